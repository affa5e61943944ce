"""What applications import to record events: clients of the service, and the same over a log of their own.

    from auditseal.client import Client

    with Client("https://audit.internal", token=token, spool="audit-spool.db") as log:
        log.append(type="agent.spawned", actor="user:alice", payload={"agent_id": "a-1"})

`Client` and `AsyncClient` call the service (extra `client`); `LocalClient` and `AsyncLocalClient` write to an open log
in this process. `AuditHandler`, `AuditMiddleware` and `audited` record through any of them.

Source: `docs/clients.md`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from auditseal.errors import ConfigError

if TYPE_CHECKING:
    from auditseal.client.asgi import AuditMiddleware
    from auditseal.client.asynchronous import AsyncClient
    from auditseal.client.decorator import audited
    from auditseal.client.handler import AuditHandler
    from auditseal.client.interface import AsyncRecorder, Recorder
    from auditseal.client.local import AsyncLocalClient, LocalClient
    from auditseal.client.spool import Spool
    from auditseal.client.synchronous import Client

__all__ = [
    "AsyncClient",
    "AsyncLocalClient",
    "AsyncRecorder",
    "AuditHandler",
    "AuditMiddleware",
    "Client",
    "LocalClient",
    "Recorder",
    "Spool",
    "audited",
]

_PLACES: Final = {
    "AsyncClient": "asynchronous",
    "AsyncLocalClient": "local",
    "AsyncRecorder": "interface",
    "AuditHandler": "handler",
    "AuditMiddleware": "asgi",
    "Client": "synchronous",
    "LocalClient": "local",
    "Recorder": "interface",
    "Spool": "spool",
    "audited": "decorator",
}


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        value = getattr(import_module(f"{__name__}.{_PLACES[name]}"), name)
    except ModuleNotFoundError as error:
        raise ConfigError("calling the service needs the extra `client`: pip install 'auditseal[client]'") from error
    globals()[name] = value
    return value
