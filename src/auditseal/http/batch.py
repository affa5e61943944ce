"""A batch: lines in, outcomes out, in constant memory.

Outcomes are kept (in a file, once there are many) until all lines have come: a client that does not read while it sends
would otherwise wait for the service, and the service for the client.
"""

from __future__ import annotations

import tempfile
from itertools import islice
from typing import IO, TYPE_CHECKING, Any, Final, cast

import orjson

from auditseal.core.members import receipt_members
from auditseal.errors import AuditSealError, TooLargeError
from auditseal.http.errors import kind_of, problem_members

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from auditseal.core.receipt import Ack
    from auditseal.http.metrics import Metrics
    from auditseal.service.drafting import ReadDraft
    from auditseal.service.log import Log
    from auditseal.service.receipts import Outcome

PORTION_BYTES: Final = 4 * 1024 * 1024
_PORTION_LINES: Final = 2000
_IN_MEMORY: Final = 1024 * 1024
_BLOCK: Final = 256 * 1024


class Batch:
    """The state of one batch."""

    def __init__(self, log: Log, read: ReadDraft, *, ack: Ack, metrics: Metrics) -> None:
        """Sets up.

        Args:
            log: where to.
            read: gives a line's draft; raises InputError.
            ack: as `Log.append`.
            metrics: counts what is appended and what refused.
        """
        self._log = log
        self._read = read
        self._ack = ack
        self._metrics = metrics
        self._waiting: list[bytes] = []
        self._size = 0
        self._lines = 0
        self._answered = 0
        self._appended = 0
        self._kept = cast("IO[bytes]", tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY))  # noqa: SIM115 - kept open

    def add(self, lines: list[bytes]) -> bool:
        """Takes lines; whether it is time to flush."""
        self._waiting += lines
        self._size += sum(map(len, lines))
        return self._size >= PORTION_BYTES or len(self._waiting) >= _PORTION_LINES

    def flush(self) -> None:
        """Appends what waits, and keeps the outcomes.

        Raises:
            BacklogFullError, StoreError: as `Log.append_texts`.
        """
        waiting, self._waiting, self._size = self._waiting, [], 0
        numbered = {number: line for number, line in enumerate(waiting, self._lines + 1) if line.strip()}
        self._lines += len(waiting)
        numbers = iter(numbered)
        for outcomes in self._log.append_texts(numbered.values(), self._read, ack=self._ack):
            self._keep(list(islice(numbers, len(outcomes))), outcomes)

    def end_early(self, error: BaseException) -> bool:
        """Keeps an error as the outcome of the next line, if lines before it are in the log; whether it was kept.

        What was not answered so far was not appended, or, where the storage failed, may have been: the problem says so.
        """
        if not isinstance(error, AuditSealError) or not self._appended:
            return False
        members = problem_members(error)
        if not isinstance(error, TooLargeError):
            members["detail"] += " (this line and those after it: send them again, under the same ids)"
        self._metrics.count_refused(kind_of(error).name)
        self._write([{"line": self._answered + 1, "problem": members}])
        return True

    async def outcomes(self) -> AsyncIterator[bytes]:
        """The lines of the answer, in blocks; read at once, since what was just written is in memory or its cache."""
        self._kept.seek(0)
        try:
            while block := self._kept.read(_BLOCK):
                yield block
        finally:
            self.close()

    def close(self) -> None:
        """Gives up what is kept."""
        self._kept.close()

    def _keep(self, numbers: list[int], outcomes: list[Outcome]) -> None:
        new = repeated = 0
        lines = []
        for number, outcome in zip(numbers, outcomes, strict=True):
            if isinstance(outcome, AuditSealError):
                self._metrics.count_refused(kind_of(outcome).name)
                lines.append({"line": number, "problem": problem_members(outcome)})
                continue
            new, repeated = (new, repeated + 1) if outcome.repeated else (new + 1, repeated)
            lines.append({"line": number, "receipt": receipt_members(outcome)})
        self._metrics.count_appended(new, repeated)
        self._appended += new + repeated
        self._answered = numbers[-1] if numbers else self._answered
        self._write(lines)

    def _write(self, lines: list[dict[str, Any]]) -> None:
        """Keeps outcomes, each an object whose first member is `line`.

        One text for all costs a quarter of one for each. What parts two outcomes can stand nowhere else: within a
        string a quote would have a backslash before it, and no object within an outcome begins with `line`.
        """
        if lines:
            self._kept.write(orjson.dumps(lines)[1:-1].replace(b'},{"line":', b'}\n{"line":') + b"\n")
