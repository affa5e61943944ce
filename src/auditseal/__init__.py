"""auditseal: a tamper-evident audit log, chained by hash and signed by AWS KMS, that anybody can verify offline.

    import auditseal

    log = auditseal.open_log("sqlite:///audit.db")
    receipt = log.append(type="agent.spawned", actor="user:alice", payload={"agent_id": "a-1"})
    auditseal.verify("sqlite:///audit.db", auditseal.Registry.load("signers.json")).require_ok()

What is public is imported when it is first used, so that a program pays only for its part.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from auditseal.core.event import Event
    from auditseal.core.receipt import Receipt
    from auditseal.core.report import Code, Finding, Report, Severity, Verdict
    from auditseal.errors import AuditSealError
    from auditseal.service.log import Log
    from auditseal.wiring.logs import open_log
    from auditseal.wiring.verifying import Registry, verify

__all__ = [
    "AuditSealError",
    "Code",
    "Event",
    "Finding",
    "Log",
    "Receipt",
    "Registry",
    "Report",
    "Severity",
    "Verdict",
    "open_log",
    "verify",
]

_PLACES: Final = {
    "AuditSealError": "errors",
    "Code": "core.report",
    "Event": "core.event",
    "Finding": "core.report",
    "Log": "service.log",
    "Receipt": "core.receipt",
    "Registry": "wiring.verifying",
    "Report": "core.report",
    "Severity": "core.report",
    "Verdict": "core.report",
    "open_log": "wiring.logs",
    "verify": "wiring.verifying",
}


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_PLACES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
