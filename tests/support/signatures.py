"""Checks signatures with others' programs: pyca's `cryptography` and the openssl command, not with our own rule."""

from __future__ import annotations

import subprocess
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, utils
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key

OPENSSL_KNOWS = frozenset({"rsa-sha256", "rsa-pss-sha256", "ecdsa-p256-sha256", "ed25519"})
_PREHASHED = utils.Prehashed(hashes.SHA256())


def pyca_accepts(algorithm: str, der: bytes, digest: bytes, signature: bytes) -> bool:
    """Whether `cryptography` verifies the signature under a DER SubjectPublicKeyInfo."""
    key = load_der_public_key(der)
    arguments = {
        "rsa-sha256": (padding.PKCS1v15(), _PREHASHED),
        "rsa-pss-sha256": (padding.PSS(padding.MGF1(hashes.SHA256()), 32), _PREHASHED),
        "ecdsa-p256-sha256": (ec.ECDSA(_PREHASHED),),
    }.get(algorithm, ())
    try:
        key.verify(signature, digest, *arguments)
    except InvalidSignature:
        return False
    return True


def openssl_accepts(algorithm: str, der: bytes, digest: bytes, signature: bytes, folder: Path) -> bool:
    """Whether `openssl pkeyutl -verify` does; the folder takes its files."""
    options = {
        "rsa-sha256": ["-pkeyopt", "digest:sha256"],
        "rsa-pss-sha256": [
            *("-pkeyopt", "digest:sha256"),
            *("-pkeyopt", "rsa_padding_mode:pss"),
            *("-pkeyopt", "rsa_pss_saltlen:32"),
        ],
        "ecdsa-p256-sha256": [],
        "ed25519": ["-rawin"],
    }[algorithm]
    pem = load_der_public_key(der).public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    files = {"key": pem, "digest": digest, "signature": signature}
    for name, content in files.items():
        (folder / name).write_bytes(content)
    command = ["openssl", "pkeyutl", "-verify", "-pubin", "-inkey", "key", "-in", "digest", "-sigfile", "signature"]
    done = subprocess.run([*command, *options], cwd=folder, capture_output=True, text=True, check=False)
    assert "Signature Verified Successfully" in done.stdout or "ignature" in done.stdout + done.stderr
    return done.returncode == 0
