"""From the settings to a witness, and to its server."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

from auditseal.errors import ConfigError, InputError, StoreError
from auditseal.wiring import signing

_MAX_KEYS_BYTES: Final = 4 * 1024 * 1024

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator

    from auditseal.config import Settings
    from auditseal.core.note_key import NoteKey
    from auditseal.ports import NoteSigner


@dataclass(frozen=True, slots=True, kw_only=True)
class WitnessServer:
    """A witness that is ready to answer.

    Attributes:
        url: where it listens.
        origins: of the logs that it witnesses.
        server: uvicorn's.
        listening: the socket.
    """

    url: str
    origins: tuple[str, ...]
    server: Any
    listening: socket.socket

    def run(self) -> None:
        """Answers until interrupted."""
        self.server.run(sockets=[self.listening])


@contextmanager
def serve_witness(
    settings: Settings, *, name: str, logs: Path, state: Path, host: str, port: int, prefix: str = ""
) -> Iterator[WitnessServer]:
    """A witness with the configured signer.

    Args:
        settings: name the signer.
        name: of the witness's key.
        logs: file of verifier keys, one a line.
        state: file of what was cosigned.
        host: the address to listen on.
        port: 0 takes a free one.
        prefix: of its addresses.

    Raises:
        ConfigError: no signer, or one that makes no cosignatures; the extra `server` is missing; no log is named.
        InputError: a verifier key is none.
        StoreError: the state cannot be used, or the port is taken.
    """
    try:
        import uvicorn

        from auditseal.adapters.witnesses.asgi import witness_app
    except ImportError as error:
        raise ConfigError("a witness needs the extra `server`: pip install 'auditseal[server]'") from error
    from auditseal.adapters.witnesses.sqlite import SqliteWitnessStore
    from auditseal.service.witness import Witness

    if prefix and not prefix.startswith("/"):
        raise InputError(f"the prefix {prefix[:40]!r} does not begin with a slash")
    keys = load_log_keys(logs)
    with _signer(settings) as signer:
        store = SqliteWitnessStore(state)
        try:
            witness = Witness(store, signer, name=name, logs=keys)
            app = witness_app(witness, prefix=prefix.rstrip("/"))
            config = uvicorn.Config(
                app, host=host, port=port, log_level="warning", server_header=False, access_log=False, lifespan="off"
            )
            listening = _bind(host, port)
            yield WitnessServer(
                url=f"http://{host}:{listening.getsockname()[1]}{prefix.rstrip('/')}",
                origins=tuple(witness.logs),
                server=uvicorn.Server(config),
                listening=listening,
            )
        finally:
            store.close()


def witness_vkey(settings: Settings, name: str) -> str:
    """The verifier key of a witness with the configured signer.

    Raises:
        ConfigError: as `serve_witness`.
    """
    from auditseal.service.witness import witness_key

    with _signer(settings) as signer:
        return witness_key(signer, name).vkey()


def load_log_keys(path: Path) -> list[NoteKey]:
    """The verifier keys of a file, one a line; empty lines and lines that begin with `#` are nothing.

    Raises:
        NotFoundError, StoreError: the file cannot be read.
        ConfigError: it may not be read, or names no log.
        InputError: a line is no verifier key.
    """
    from auditseal.adapters.whole_file import read_text
    from auditseal.core.note_key import parse_vkey

    keys = []
    for number, line in enumerate(read_text(path, max_bytes=_MAX_KEYS_BYTES).splitlines(), 1):
        if line.strip() and not line.startswith("#"):
            try:
                keys.append(parse_vkey(line.strip()))
            except InputError as error:
                raise InputError(f"{path}:{number}: {error}") from None
    if not keys:
        raise ConfigError(f"{path} names no log: write one verifier key a line")
    return keys


@contextmanager
def _signer(settings: Settings) -> Iterator[NoteSigner]:
    signer = signing.find_signer(settings, Path(".auditseal"))
    if signer is None:
        raise ConfigError("no signer is configured for the witness: set AUDIT_SIGNING_KMS_KEY_ID and AUDIT_SIGNER_KID")
    try:
        signing.check_allowed(signer, settings).start()
        if not hasattr(signer, "sign_message"):
            raise ConfigError(f"the signer {signer.signer_id} signs entries alone, and no checkpoints")
        yield cast("NoteSigner", signer)
    finally:
        signer.close()


def _bind(host: str, port: int) -> socket.socket:
    import socket

    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listening = socket.socket(family)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
        listening.listen(128)
    except OSError as error:
        raise StoreError(f"cannot listen on {host}:{port}: {error.strerror}") from error
    return listening
