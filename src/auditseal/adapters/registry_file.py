"""signers.json as a file: bounded reading, atomic writing, and changes that two processes can make at once.

A reader sees the old file or the new one, never part of one: a new file is written beside, synced, and renamed.
`update_registry` holds a lock on a file beside (`.signers.json.lock`, which stays) while it reads, changes and writes;
`save_registry` alone takes none, so that of two writers the last wins.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import tempfile
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final, NoReturn

from auditseal.core.registry import MAX_REGISTRY_BYTES, Registry
from auditseal.errors import ConfigError, InputError, NotFoundError, StoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from auditseal.core.registry import KeyForm

    AnyPath = str | os.PathLike[str]

PUBLIC_MODE: Final = 0o644
SECRET_MODE: Final = 0o600
"""Of a registry that holds a MAC's secret, whatever its mode was."""
LOCK_TIMEOUT_S: Final = 10.0
_LOCK_POLL_S: Final = 0.02


def load_registry(path: AnyPath) -> Registry:
    """The registry of a file, in any shape that `Registry.parse` reads.

    Args:
        path: a regular file of at most 4 MiB.

    Raises:
        NotFoundError: there is no such file.
        ConfigError: it may not be read.
        InputError: it is no regular file, too large, or no registry that can be relied on.
        StoreError: the disk failed.
    """
    return _parse(path, _read(path))


class RegistryReader:
    """The registry of a file, read at each call and parsed when it has changed. Safe to use from many threads."""

    def __init__(self, path: AnyPath) -> None:
        self._path = path
        self._last: tuple[bytes, Registry] | None = None

    def __call__(self) -> Registry:
        """The registry as it is now.

        Raises:
            AuditSealError: as `load_registry`.
        """
        data, last = _read(self._path), self._last
        if last is not None and last[0] == data:
            return last[1]
        registry = _parse(self._path, data)
        self._last = (data, registry)
        return registry


def _read(path: AnyPath) -> bytes:
    try:
        with open(path, "rb", opener=_open_at_once) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise InputError(f"{path} is not a regular file: name a signers.json")
            data = file.read(MAX_REGISTRY_BYTES + 1)
    except OSError as error:
        _refuse(error, path, "read")
    if len(data) > MAX_REGISTRY_BYTES:
        raise InputError(f"{path} has more than {MAX_REGISTRY_BYTES} bytes: it is no signers.json")
    return data


def _parse(path: AnyPath, data: bytes) -> Registry:
    try:
        return Registry.parse(data)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


def _open_at_once(path: str, flags: int) -> int:
    """Opens without waiting for the other end of a pipe, so that it can be refused."""
    return os.open(path, flags | os.O_NONBLOCK)


def save_registry(path: AnyPath, registry: Registry, *, key_form: KeyForm = "pem") -> None:
    """Writes the registry in the design's form, all at once or not at all; durable (fsync) when it returns.

    A symbolic link stays one: what it points to is replaced. A file that is there keeps its mode and, where it may be
    set, its owner; a new one gets 0644; one with secrets gets 0600.

    Raises:
        NotFoundError: its folder does not exist.
        ConfigError: it may not be written.
        InputError: it is no regular file, or the registry could not be read back as it is.
        StoreError: the disk failed. The file that was there stands, unless the rename itself could not be synced.
    """
    data = registry.to_json_bytes(key_form=key_form)
    try:
        Registry.parse(data)
    except InputError as error:
        raise InputError(f"{path} was not written, since it could not be read back: {error}") from None
    try:
        _replace(Path(path).resolve(), data, has_secrets=registry.has_secrets)
    except OSError as error:
        _refuse(error, path, "written")


def _replace(target: Path, data: bytes, *, has_secrets: bool) -> None:
    before = target.stat() if target.exists() else None
    if before and not stat.S_ISREG(before.st_mode):
        raise InputError(f"{target} is not a regular file: name a signers.json")
    mode = SECRET_MODE if has_secrets else stat.S_IMODE(before.st_mode) if before else PUBLIC_MODE
    descriptor, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.", suffix=".tmp")
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            if before:
                with suppress(PermissionError):
                    os.fchown(descriptor, before.st_uid, before.st_gid)
            os.fchmod(descriptor, mode)
            file.flush()
            os.fsync(descriptor)
        temporary.replace(target)
    except BaseException:
        temporary.unlink()
        raise
    folder = os.open(target.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def update_registry(
    path: AnyPath,
    change: Callable[[Registry], Registry],
    *,
    create: bool = False,
    key_form: KeyForm = "pem",
    timeout_s: float = LOCK_TIMEOUT_S,
) -> Registry:
    """Reads, changes and writes a registry while no other `update_registry` does, and returns what now stands there.

    Args:
        path: the file. It is not written if the change gives the registry that it was given.
        change: gives the new registry; what it raises ends the update, and nothing is written.
        create: whether a file that is not there is taken for an empty registry.
        key_form: as `Registry.to_json_bytes`.
        timeout_s: how long to wait for another process.

    Raises:
        StoreError: another process holds the lock (`retryable`), or the disk failed.
        AuditSealError: as `load_registry`, `save_registry` and `change`.
    """
    with _locked(path, timeout_s):
        try:
            before = load_registry(path)
        except NotFoundError:
            if not create:
                raise
            before = Registry()
        after = change(before)
        if after is not before:
            save_registry(path, after, key_form=key_form)
        return after


@contextmanager
def _locked(path: AnyPath, timeout_s: float) -> Iterator[None]:
    target = Path(path).resolve()
    try:
        # Opened for reading alone, so that another user's lock file serves; never removed, since a lock on a file
        # that another process has removed would keep nobody out.
        flags = os.O_RDONLY | os.O_CREAT | os.O_NOFOLLOW
        lock = os.open(target.with_name(f".{target.name}.lock"), flags, PUBLIC_MODE)
    except OSError as error:
        _refuse(error, path, "locked")
    try:
        _wait_for(lock, path, time.monotonic() + timeout_s)
        yield
    finally:
        os.close(lock)


def _wait_for(lock: int, path: AnyPath, deadline: float) -> None:
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                raise StoreError(f"{path} is being changed by another process: try again", retryable=True) from None
            time.sleep(_LOCK_POLL_S)
        except OSError as error:
            _refuse(error, path, "locked")
        else:
            return


def _refuse(error: OSError, path: AnyPath, done: str) -> NoReturn:
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        raise NotFoundError(f"{path} could not be {done}: there is no such file or folder") from error
    if isinstance(error, IsADirectoryError):
        raise InputError(f"{path} is a folder: name a signers.json in it") from error
    if isinstance(error, PermissionError) or error.errno == errno.EROFS:
        raise ConfigError(f"{path} could not be {done}: {error.strerror}; check its owner and mode") from error
    raise StoreError(f"{path} could not be {done}: {error.strerror}") from error
