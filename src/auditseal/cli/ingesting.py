"""The two sides of ingest: lines that become events, and outcomes that become counts and an exit code."""

from __future__ import annotations

from typing import IO, TYPE_CHECKING

from auditseal.cli.exits import Exit, exit_of_error, strongest
from auditseal.cli.options import remark
from auditseal.errors import AuditSealError, InputError

if TYPE_CHECKING:
    from collections import deque
    from collections.abc import Iterator

    from auditseal.core.event import Event
    from auditseal.core.receipt import Receipt
    from auditseal.errors import SignerError


def read_events(lines: IO[bytes], stream: str, places: deque[int]) -> Iterator[Event | InputError]:
    """The events of the lines, or why a line is none; empty lines are passed over.

    Args:
        lines: NDJSON.
        stream: for events that name none.
        places: takes the line number of each event.
    """
    from auditseal.core.event_text import MAX_LINE_BYTES, parse_event

    number = 0
    while line := lines.readline(MAX_LINE_BYTES + 1):
        number += 1
        if not line.strip():
            continue
        places.append(number)
        if len(line) > MAX_LINE_BYTES:
            # The rest of an endless line is not to be taken for lines of its own.
            while line and not line.endswith(b"\n"):
                line = lines.readline(MAX_LINE_BYTES)
            yield InputError(f"the line has more than {MAX_LINE_BYTES} bytes: it is no event")
            continue
        try:
            yield parse_event(line, stream)
        except InputError as error:
            yield error


class Tally:
    """What became of the events, counted as the truth of each is: signed, pending, there before, or refused."""

    def __init__(self, file: str) -> None:
        self.counts = {"signed": 0, "pending": 0, "repeated": 0, "refused": 0}
        self._file = file
        self._codes: set[Exit] = set()

    def add(self, outcome: Receipt | AuditSealError, line: int) -> None:
        """Counts one event; one that was refused is named with its line."""
        if isinstance(outcome, AuditSealError):
            self.counts["refused"] += 1
            self._codes.add(exit_of_error(outcome))
            remark(f"auditseal: {self._file}:{line}: {outcome}")
            return
        self._codes.add(Exit.GOOD)
        if outcome.status == "pending":
            self.counts["pending"] += 1
        else:
            self.counts["repeated" if outcome.repeated else "signed"] += 1

    def end_early(self, error: AuditSealError) -> None:
        """Notes what ended the whole; what was counted before is in the log."""
        self._codes.add(exit_of_error(error))
        remark(f"auditseal: after {self.total} events: {error}")

    def note_pending(self, outage: SignerError | None) -> None:
        """Says that signatures are due where they were waited for."""
        if self.counts["pending"]:
            self._codes.add(Exit.REMOTE)
            why = f": {outage}" if outage is not None else ""
            remark(f"auditseal: {self.counts['pending']} events are in the log, their signatures due{why}")

    @property
    def total(self) -> int:
        """How many events were told of."""
        return sum(self.counts.values())

    @property
    def code(self) -> Exit:
        """The exit code of all together; without any event, nothing was done."""
        return strongest(self._codes)

    @property
    def text(self) -> str:
        """The counts that are not nought."""
        return ", ".join(f"{count} {name}" for name, count in self.counts.items() if count) or "no events"
