"""Makes a development key on disk: once, readable by its owner alone, and never over another file."""

from __future__ import annotations

import os
import secrets
import stat
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from auditseal.errors import ConfigError, ConflictError

_OTHERS_MAY_WRITE: Final = stat.S_IWGRP | stat.S_IWOTH


def generate_development_key(path: Path) -> None:
    """Writes a new Ed25519 private key as PKCS#8 PEM, mode 0600.

    The file appears complete or not at all, and is on disk when this returns. Missing folders are made with mode 0700.

    Args:
        path: where to; its folder must not be writable by others.

    Raises:
        ConflictError: there is such a file already; it is left as it is.
        ConfigError: the folder is writable by others, or the file cannot be written.
    """
    pem = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    try:
        _make_folder(path.parent)
        _write_new(path, pem)
    except OSError as error:
        raise ConfigError(f"the development key {path} cannot be written: {error.strerror}") from error


def _make_folder(folder: Path) -> None:
    for missing in reversed([folder, *folder.parents]):
        if not missing.is_dir():
            missing.mkdir(mode=0o700, exist_ok=True)
    mode = folder.stat().st_mode
    if mode & _OTHERS_MAY_WRITE and not mode & stat.S_ISVTX:
        raise ConfigError(f"others can write in {folder}, and could replace a key there: chmod go-w it")


def _write_new(path: Path, content: bytes) -> None:
    """Writes beside and links into place: unlike a rename, a link never replaces."""
    beside = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.link(beside, path)
    except FileExistsError:
        raise ConflictError(f"{path} exists already: use that key, or remove it first") from None
    finally:
        beside.unlink()
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
