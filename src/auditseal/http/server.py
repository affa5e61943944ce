"""Runs the application on uvicorn until it is told to stop, and drains it then."""

from __future__ import annotations

import gc
import ssl
from ipaddress import ip_address
from typing import TYPE_CHECKING, Final

import structlog
import uvicorn

from auditseal.errors import ConfigError
from auditseal.http.app import create_app
from auditseal.http.logs import configure_logs
from auditseal.http.metrics import Metrics
from auditseal.wiring.serving import open_serving

if TYPE_CHECKING:
    from types import FrameType

    from auditseal.config import Settings
    from auditseal.http.state import State

_HIGHEST_PORT: Final = 65535
_KEEP_ALIVE_S: Final = 30
_OBJECTS_BETWEEN_COLLECTIONS: Final = 50_000
_log: Final = structlog.get_logger("auditseal.http")


class _Server(uvicorn.Server):
    """Says to the application when it is about to stop, and ends without dying of the signal."""

    def __init__(self, config: uvicorn.Config, state: State) -> None:
        super().__init__(config)
        self._state = state

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._state.draining.set()
        super().handle_exit(sig, frame)
        self._captured_signals.clear()


def run(settings: Settings, *, without_authentication: bool = False) -> None:
    """Serves until SIGTERM or SIGINT, then finishes what is in flight.

    Args:
        settings: all of them.
        without_authentication: let anybody call; on loopback only.

    Raises:
        ConfigError: an address, certificate or other setting is not usable, or the address is taken.
        AuditSealError: as `open_serving`.
    """
    host, port = parse_listen(settings.listen)
    _check_exposure(settings, host, without_authentication=without_authentication)
    configure_logs()
    metrics = Metrics()
    serving = open_serving(
        settings, observe_signing=metrics.observe_signing, without_authentication=without_authentication
    )
    _spare_collections()
    try:
        app = create_app(serving, metrics)
        config = _config(app, settings, host, port)
        server = _Server(config, app.state.parts)
        _log.info(
            "serving",
            address=f"{'https' if settings.tls_cert else 'http'}://{settings.listen}",
            log=serving.log.store.address,
            signer=serving.log.signer.signer_id if serving.log.signer else None,
            development_key=serving.log.signer.development if serving.log.signer else None,
            authentication="none" if without_authentication else "tokens and JWTs",
        )
        server.run()
    except SystemExit:
        # uvicorn's way to say that it could not start; its reason stands in the log.
        raise ConfigError(f"the service could not listen on {settings.listen}: is the address free?") from None
    finally:
        serving.close()
    _log.info("stopped")


def _spare_collections() -> None:
    """Looks for cycles more rarely, and never among what was there at the start.

    What requests make has hardly any cycles, and is gone before it would be looked at; the looking took a tenth of the
    time of a batch.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_OBJECTS_BETWEEN_COLLECTIONS)


def parse_listen(text: str) -> tuple[str, int]:
    """Host and port of `HOST:PORT`; an IPv6 address stands in brackets.

    Raises:
        ConfigError: another form.
    """
    host, _, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not host or not (port.isascii() and port.isdecimal()) or int(port) > _HIGHEST_PORT:
        raise ConfigError(f"{text[:80]!r} is no address to listen on: write HOST:PORT, such as 127.0.0.1:8420")
    return host, int(port)


def _check_exposure(settings: Settings, host: str, *, without_authentication: bool) -> None:
    """Refuses what would let others in, or let tokens be read on the way.

    Raises:
        ConfigError: names what to change.
    """
    try:
        is_loopback = host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        is_loopback = False
    if without_authentication and not is_loopback:
        raise ConfigError(f"--insecure-no-auth is for this machine alone: listen on 127.0.0.1, not on {host}")
    if not is_loopback and settings.tls_cert is None and not settings.tls_terminated:
        raise ConfigError(
            f"on {host} tokens and events could be read on the way: set AUDITSEAL_TLS_CERT and AUDITSEAL_TLS_KEY, or "
            "AUDITSEAL_TLS_TERMINATED=true where a proxy in front ends TLS"
        )


def _config(app: object, settings: Settings, host: str, port: int) -> uvicorn.Config:
    config = uvicorn.Config(
        app,  # type: ignore[arg-type] # an ASGI application
        host=host,
        port=port,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        lifespan="on",
        timeout_keep_alive=_KEEP_ALIVE_S,
        timeout_graceful_shutdown=max(1, round(settings.drain_s)),
        ssl_certfile=settings.tls_cert,
        ssl_keyfile=settings.tls_key,
        ssl_ca_certs=None if settings.tls_client_ca is None else str(settings.tls_client_ca),
        ssl_cert_reqs=ssl.CERT_NONE if settings.tls_client_ca is None else ssl.CERT_REQUIRED,
    )
    try:
        config.load()
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(
            f"the certificate, its key or the client authorities cannot be used ({type(error).__name__}): they are PEM "
            "files that this user can read"
        ) from error
    if config.ssl is not None:
        config.ssl.minimum_version = ssl.TLSVersion.TLSv1_2
    return config
