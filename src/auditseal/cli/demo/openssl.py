"""Checks signatures of a log with the openssl command: a program that knows nothing of auditseal."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING, Final

from auditseal.core.algorithm import AlgorithmId
from auditseal.core.key import to_pem
from auditseal.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

    from auditseal.core.entry import StoredEntry
    from auditseal.core.registry import RegisteredSigner

_OPTIONS: Final = {
    AlgorithmId.RSA_SHA256: ["-pkeyopt", "digest:sha256"],
    AlgorithmId.ED25519: ["-rawin"],
}


def find_openssl() -> str | None:
    """The openssl command's path; None if there is none."""
    return shutil.which("openssl")


def openssl_accepts(openssl: str, entry: StoredEntry, signer: RegisteredSigner, folder: Path) -> bool:
    """Whether `openssl pkeyutl -verify` accepts an entry's signature; the files it reads stay in the folder.

    Raises:
        InputError: not an algorithm that is checked here.
    """
    options = _OPTIONS.get(signer.algorithm.id)
    if options is None or signer.public_key is None:
        raise InputError(f"{signer.algorithm.id} is not checked with openssl here")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "key.pem").write_text(to_pem(signer.public_key))
    (folder / "hash.bin").write_bytes(entry.hash)
    (folder / "signature.bin").write_bytes(entry.signatures[0].signature)
    command = [openssl, "pkeyutl", "-verify", "-pubin", "-inkey", "key.pem", "-in", "hash.bin"]
    done = subprocess.run(  # noqa: S603 - a fixed command on files of our own
        [*command, "-sigfile", "signature.bin", *options], cwd=folder, capture_output=True, check=False
    )
    return done.returncode == 0
