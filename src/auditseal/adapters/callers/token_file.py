"""API tokens in a file, of each only a hash: changed by command, read by every replica that has the file.

A change is atomic (written beside, synced, renamed) and made under a lock. A running service looks at the file at most
once a second, so that a revoked token is refused within about that time. Without a readable file no token is accepted.

Source: `docs/spec/tokens.md`.
"""

from __future__ import annotations

import fcntl
import os
import tempfile
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import orjson

from auditseal.core.api_token import ApiToken, is_same, read_token
from auditseal.core.caller import check_pattern, parse_roles
from auditseal.errors import ConfigError, InputError, NotFoundError, StoreError, UnauthenticatedError
from auditseal.service.ids import now_micros

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from auditseal.core.caller import Caller
    from auditseal.ports import Clock

MAX_BYTES: Final = 16 * 1024 * 1024
_LOOK_EVERY_S: Final = 1.0
_HASH_BYTES: Final = 32


def load_tokens(path: Path) -> list[ApiToken]:
    """The tokens of a file.

    Raises:
        NotFoundError: there is no such file.
        StoreError: it cannot be read.
        ConfigError: it is no token file.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES)
    except FileNotFoundError:
        raise NotFoundError(f"there is no token file {path}: make one with auditseal tokens create") from None
    except OSError as error:
        raise StoreError(f"{path} cannot be read: {error.strerror}") from error
    try:
        return [_token(members) for members in orjson.loads(data)["tokens"]]
    except (ValueError, KeyError, TypeError, InputError):
        raise ConfigError(f"{path} is no token file: restore it, or make the tokens anew") from None


def update_tokens(path: Path, change: Callable[[list[ApiToken]], list[ApiToken]]) -> None:
    """Changes the file's tokens while no other process does; a file that is not there is taken for an empty one.

    Raises:
        StoreError: it cannot be written.
        AuditSealError: as `load_tokens` and `change`.
    """
    try:
        with _locked(path):
            try:
                before = load_tokens(path)
            except NotFoundError:
                before = []
            _replace(path, {"tokens": [_members(token) for token in change(before)]})
    except OSError as error:
        raise StoreError(f"{path} cannot be written: {error.strerror}") from error


class TokenFile:
    """Knows the callers that hold a token of the file (`auditseal.ports.Authenticator`)."""

    def __init__(
        self, path: Path, *, clock: Clock = now_micros, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        """Reads the file.

        Raises:
            NotFoundError, StoreError, ConfigError: as `load_tokens`.
        """
        self._path = path
        self._clock = clock
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._mark = self._seen()
        self._by_id = {token.id: token for token in load_tokens(path)}
        self._looked_at = monotonic()

    def authenticate(self, credential: str) -> Caller | None:
        """Who holds the token (`Authenticator.authenticate`)."""
        presented = read_token(credential)
        if presented is None:
            return None
        token = self._tokens().get(presented.id)
        if token is None or not is_same(token, presented):
            raise UnauthenticatedError("the token is not accepted", reason="unknown-token")
        # What does not expire needs no clock; this is asked for every request.
        status = token.status_at(self._now() if token.expires is not None else token.created)
        if status != "active":
            raise UnauthenticatedError("the token is not accepted", reason=f"{status}-token")
        return token.caller()

    def _now(self) -> str:
        from auditseal.core.times import format_time

        return format_time(self._clock())

    def _tokens(self) -> dict[str, ApiToken]:
        with self._lock:
            if self._monotonic() - self._looked_at >= _LOOK_EVERY_S:
                mark = self._seen()
                if mark != self._mark:
                    try:
                        self._by_id = {token.id: token for token in load_tokens(self._path)}
                    except NotFoundError:
                        # Taken away on purpose or by mistake: either way nobody is known any more.
                        self._by_id = {}
                    self._mark = mark
                self._looked_at = self._monotonic()
            return self._by_id

    def _seen(self) -> tuple[int, int, int] | None:
        try:
            state = self._path.stat()
        except OSError:
            return None
        return state.st_ino, state.st_mtime_ns, state.st_size


def _token(members: dict[str, Any]) -> ApiToken:
    secret_hash = bytes.fromhex(members["secret_sha256"])
    if len(secret_hash) != _HASH_BYTES:
        raise ValueError(secret_hash)
    texts = [members[name] for name in ("id", "name", "created")]
    times = [members.get(name) for name in ("expires", "revoked")]
    if not all(type(text) is str for text in texts) or not all(time is None or type(time) is str for time in times):
        raise TypeError(texts)
    return ApiToken(
        id=members["id"],
        name=members["name"],
        secret_hash=secret_hash,
        roles=parse_roles(members["roles"]),
        streams=tuple(check_pattern(pattern) for pattern in members["streams"]),
        created=members["created"],
        expires=times[0],
        revoked=times[1],
    )


def _members(token: ApiToken) -> dict[str, Any]:
    return {
        "id": token.id,
        "name": token.name,
        "secret_sha256": token.secret_hash.hex(),
        "roles": sorted(token.roles),
        "streams": list(token.streams),
        "created": token.created,
        "expires": token.expires,
        "revoked": token.revoked,
    }


def _replace(path: Path, document: dict[str, Any]) -> None:
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    # Never removed: a lock on a file that another process has removed would keep nobody out.
    lock = os.open(path.with_name(f".{path.name}.lock"), os.O_RDONLY | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)
