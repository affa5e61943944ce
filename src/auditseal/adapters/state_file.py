"""What a verifier remembers, in a file: replaced at once, and by one verifier at a time."""

from __future__ import annotations

import fcntl
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from auditseal.adapters.whole_file import read_whole, refuse, write_whole
from auditseal.core.remembered import MAX_STATE_BYTES, format_state, parse_state
from auditseal.errors import InputError, NotFoundError, StoreError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from auditseal.core.remembered import Remembered

MODE: Final = 0o600


def load_state(path: Path) -> dict[str, Remembered]:
    """What was remembered, by stream; nothing where there is no file yet.

    Raises:
        ConfigError: the file may not be read.
        InputError: it holds no state: it is left as it is.
        StoreError: the disk failed.
    """
    try:
        return parse_state(read_whole(path, max_bytes=MAX_STATE_BYTES))
    except NotFoundError:
        if not path.parent.is_dir():
            raise
        return {}
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


def save_state(path: Path, streams: Mapping[str, Remembered]) -> None:
    """Puts a new state in the place of the old one.

    Raises:
        NotFoundError, ConfigError, StoreError: it could not be written; the old one stands.
    """
    write_whole(path, format_state(streams), mode=MODE)


@contextmanager
def locked_state(path: Path) -> Iterator[None]:
    """Keeps other verifiers away from the file, so that none puts back an older state.

    Raises:
        InputError: the path names no file.
        StoreError: another verifier has it (`retryable`).
        NotFoundError, ConfigError: the lock file beside it cannot be made.
    """
    if not path.name or path.is_dir():
        raise InputError(f"{path} is a folder: name a file for what is remembered, such as state.json")
    try:
        lock = os.open(path.with_name(f".{path.name}.lock"), os.O_RDONLY | os.O_CREAT | os.O_NOFOLLOW, MODE)
    except OSError as error:
        refuse(error, path, "locked")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise StoreError(f"another verifier is using {path}: try again", retryable=True) from None
    finally:
        os.close(lock)
