"""Verifications on demand: each a job in a thread of its own, of which few run at once.

Jobs live in the process that took them: another replica does not know them, and they end with it.

Source: `docs/http.md`, "Verifications".
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import structlog

from auditseal.core.report_members import report_members
from auditseal.errors import AuditSealError, NotFoundError, OverloadedError
from auditseal.http.errors import problem_members
from auditseal.service.ids import new_id

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from auditseal.core.caller import Caller
    from auditseal.core.report import Report
    from auditseal.ports import Progress

_MOST_KEPT: Final = 50
_RETRY_AFTER_S: Final = 10.0
_log: Final = structlog.get_logger("auditseal.http")


class _StoppedError(Exception):
    """The job was told to stop."""


@dataclass(slots=True, kw_only=True)
class Job:
    """One verification.

    Attributes:
        id: a UUID.
        streams: what is verified.
        caller: who asked.
        state: `running`, `done`, `failed` or `stopped`.
        done, total: how many entries are done, of how many.
        report: as JSON members, once it is done.
        problem: why it failed, as the members of a problem.
    """

    id: str
    streams: tuple[str, ...]
    caller: str
    state: str = "running"
    done: int = 0
    total: int | None = None
    report: dict[str, Any] | None = None
    problem: dict[str, Any] | None = None
    stop: threading.Event = field(default_factory=threading.Event)

    def members(self) -> dict[str, Any]:
        """The job as JSON members."""
        return {
            "id": self.id,
            "state": self.state,
            "streams": list(self.streams),
            "progress": {"done": self.done, "total": self.total},
            "report": self.report,
            "problem": self.problem,
        }


class Jobs:
    """The jobs of one process. Safe to use from many threads."""

    def __init__(
        self,
        verify: Callable[[Sequence[str], Progress], Report],
        *,
        limit: int,
        finished: Callable[[Report], None],
    ) -> None:
        """Sets up.

        Args:
            verify: does the work.
            limit: how many run at once.
            finished: told of each report.
        """
        self._verify = verify
        self._limit = limit
        self._finished = finished
        self._lock = threading.Lock()
        self._jobs: OrderedDict[str, Job] = OrderedDict()
        self._threads: dict[str, threading.Thread] = {}
        self._closed = False

    def start(self, streams: Sequence[str], caller: Caller) -> Job:
        """Starts a verification.

        Raises:
            OverloadedError: as many as may run do, or the service is about to stop.
        """
        job = Job(id=new_id(), streams=tuple(streams), caller=caller.name)
        thread = threading.Thread(target=self._run, args=[job], name="auditseal-job", daemon=True)
        with self._lock:
            if self._closed:
                raise OverloadedError("the service is about to stop", reason="draining")
            if len(self._threads) >= self._limit:
                raise OverloadedError(
                    f"{self._limit} verifications run, and no more may: try again when one is done",
                    reason="busy",
                    retry_after_s=_RETRY_AFTER_S,
                )
            while len(self._jobs) >= _MOST_KEPT:
                self._forget_oldest()
            self._jobs[job.id] = job
            self._threads[job.id] = thread
            thread.start()
        return job

    def find(self, id_: str, caller: Caller) -> Job:
        """A job whose streams are all the caller's.

        Raises:
            NotFoundError: there is none here.
        """
        with self._lock:
            job = self._jobs.get(id_)
        if job is None or not all(map(caller.may_use, job.streams)):
            raise NotFoundError(f"this process has no verification {id_[:60]!r}")
        return job

    def close(self) -> None:
        """Stops what runs, and waits for it."""
        with self._lock:
            self._closed = True
            running = list(self._threads.items())
        for id_, thread in running:
            self._jobs[id_].stop.set()
            thread.join()

    def _forget_oldest(self) -> None:
        oldest = next((id_ for id_ in self._jobs if id_ not in self._threads), None)
        if oldest is None:
            raise OverloadedError("too many verifications are kept", reason="busy", retry_after_s=_RETRY_AFTER_S)
        del self._jobs[oldest]

    def _run(self, job: Job) -> None:
        def progress(done: int, total: int | None) -> None:
            job.done, job.total = done, total
            if job.stop.is_set():
                raise _StoppedError

        try:
            report = self._verify(job.streams, progress)
            job.report, job.state = report_members(report), "done"
            self._finished(report)
        except _StoppedError:
            job.state = "stopped"
        except AuditSealError as error:
            job.problem, job.state = problem_members(error), "failed"
            _log.warning("verification failed", job=job.id, problem=job.problem["type"])
        except Exception:  # noqa: BLE001 - a fault of the program must show in the job, not only end its thread
            job.state = "failed"
            _log.exception("fault", job=job.id)
        finally:
            with self._lock:
                del self._threads[job.id]
