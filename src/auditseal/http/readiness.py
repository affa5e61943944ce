"""Readiness: what it depends on, asked at most once a second.

Nobody has to say who they are to ask for it, and it asks the database: without a bound it could be used to load that.

Source: `docs/http.md`, "Watching it".
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, Final

from anyio import to_thread

from auditseal.errors import AuditSealError

if TYPE_CHECKING:
    from collections.abc import Callable

    from auditseal.http.state import State
    from auditseal.wiring.serving import Serving

_KEEP_S: Final = 1.0


class Readiness:
    """The checks of one application, kept for a second; of callers who come together one asks, and the others wait."""

    def __init__(self, serving: Serving, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        """Sets up; `monotonic` gives seconds."""
        self._serving = serving
        self._monotonic = monotonic
        self._asking = asyncio.Lock()
        self._kept: list[dict[str, Any]] = []
        self._kept_until = float("-inf")

    async def checks(self) -> list[dict[str, Any]]:
        """What readiness depends on, as the members of `wire.Check`; running apart, which is known without asking."""
        async with self._asking:
            if self._monotonic() >= self._kept_until:
                self._kept = await to_thread.run_sync(self._ask)
                self._kept_until = self._monotonic() + _KEEP_S
            return self._kept

    def _ask(self) -> list[dict[str, Any]]:
        return [*_log(self._serving), _disk(self._serving)]


def running_check(state: State) -> dict[str, Any]:
    """Whether the service is about to stop."""
    if state.draining.is_set():
        return _check("running", "fail", "about to stop: requests in flight are finished, no new ones are for here")
    return _check("running", "pass", "takes requests")


def _log(serving: Serving) -> list[dict[str, Any]]:
    log, settings = serving.log, serving.settings
    try:
        pending = log.store.count_pending()
        oldest = log.store.pending(limit=1) if pending else []
    except AuditSealError as error:
        return [_check("database", "fail", f"cannot be read ({type(error).__name__})")]
    checks = [_check("database", "pass", "answers")]
    outage = log.outage
    if outage is None:
        checks.append(_check("signer", "pass", "no failure since it last signed"))
    else:
        advice = "it is asked again every few seconds" if outage.retryable else "somebody must act: auditseal doctor"
        checks.append(_check("signer", "warn", f"does not sign: {outage.reason}; {advice}"))
    if not pending:
        return [*checks, _check("backlog", "pass", "every entry is signed")]
    since = oldest[0].columns.time if oldest and oldest[0].columns is not None else None
    detail = f"{pending} entries wait for a signature, the first since {since or 'just now'}"
    refuses = (settings.on_signer_failure or ("refuse" if settings.require_kms else "queue")) == "refuse"
    if refuses and pending >= settings.backlog_limit:
        checks.append(_check("backlog", "fail", f"{detail}; {settings.backlog_limit} may: nothing new is accepted"))
    else:
        checks.append(_check("backlog", "warn", f"{detail}; they are signed as soon as the signer answers"))
    return checks


def _disk(serving: Serving) -> dict[str, Any]:
    try:
        free = serving.free_bytes()
    except OSError as error:
        return _check("disk", "fail", f"cannot be measured: {error.strerror}")
    if free is None:
        return _check("disk", "pass", "the log does not lie on this machine")
    free_mib = free // (1024 * 1024)
    least = serving.settings.min_free_mib
    if free_mib < least:
        return _check("disk", "fail", f"{free_mib} MiB are free, and {least} should be: make room")
    return _check("disk", "pass", f"{free_mib} MiB are free")


def _check(name: str, status: str, detail: str) -> dict[str, Any]:
    return {"name": name, "status": status, "detail": detail}
