"""What the routes of one application share."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, cast

import orjson
from anyio import CapacityLimiter
from fastapi.responses import Response

from auditseal.core.members import entry_members
from auditseal.http.limits import Room
from auditseal.service.coverage import covered_by

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fastapi import Request

    from auditseal.core.entry import StoredEntry
    from auditseal.http.intake import Intake
    from auditseal.http.jobs import Jobs
    from auditseal.http.metrics import Metrics
    from auditseal.http.readiness import Readiness
    from auditseal.wiring.serving import Serving

MEMORY_BYTES: Final = 256 * 1024 * 1024
"""How much of all requests' bodies is held at once."""


@dataclass(slots=True, kw_only=True)
class State:
    """The parts of a running application.

    Attributes:
        serving: log, settings, callers.
        metrics: its counters.
        intake: where single events are appended.
        jobs: its verifications.
        readiness: what `/readyz` says.
        memory: bytes of bodies being held.
        tails: live tails being open.
        tail_threads: those in which tails read, apart from those of requests.
        draining: set when the service is about to stop.
    """

    serving: Serving
    metrics: Metrics
    intake: Intake
    jobs: Jobs
    readiness: Readiness
    tails: Room
    memory: Room = field(default_factory=lambda: Room(MEMORY_BYTES, "large requests"))
    tail_threads: CapacityLimiter = field(default_factory=lambda: CapacityLimiter(4))
    draining: threading.Event = field(default_factory=threading.Event)

    def members_of(self, entries: Sequence[StoredEntry]) -> list[dict[str, Any]]:
        """Whole entries as JSON members, each with the checkpoint that covers it.

        Raises:
            StoreError: the log cannot be read.
        """
        covered = covered_by(self.serving.log.store, entries)
        return [entry_members(entry, covered_by=by, whole=True) for entry, by in zip(entries, covered, strict=True)]


def state_of(request: Request) -> State:
    """The state of a request's application."""
    return cast("State", request.app.state.parts)


def json_answer(members: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """An answer of JSON members."""
    return Response(orjson.dumps(members), status, headers, media_type="application/json")
