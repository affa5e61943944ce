"""What a trail can have seen: by account and Region the times that it covers, less those in which it was blind.

Source: `docs/spec/reconciliation.md` §3.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from auditseal.core.cloudtrail_changes import trail_name, why_blinding
from auditseal.core.cloudtrail_record import format_instant
from auditseal.core.trail_chain import Span

if TYPE_CHECKING:
    from auditseal.core.cloudtrail_changes import Change


class Blindness(NamedTuple):
    """A time in which a trail was blind; `end` None where it still is, in seconds since the epoch."""

    start: int
    end: int | None
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """The covered times of one account and Region, joined and in order."""

    starts: tuple[int, ...]
    ends: tuple[int, ...]

    def covers(self, at: int) -> bool:
        """Whether this moment is covered, both ends included."""
        index = bisect_right(self.starts, at) - 1
        return index >= 0 and at <= self.ends[index]


class Sight:
    """What a trail can have seen."""

    def __init__(self, spans: Iterable[Span], blindnesses: Iterable[Blindness] = (), *, settle_s: int) -> None:
        """Joins the spans of each place.

        Args:
            spans: in any order; those that meet or overlap are joined.
            blindnesses: when the trail did not see.
            settle_s: how late records may come; the last so many seconds of each stretch are not settled.
        """
        self.blindnesses = tuple(blindnesses)
        by_place: dict[tuple[str, str], list[tuple[int, int]]] = {}
        for span in sorted(spans):
            joined = by_place.setdefault((span.account, span.region), [])
            if joined and span.start <= joined[-1][1]:
                joined[-1] = (joined[-1][0], max(joined[-1][1], span.end))
            else:
                joined.append((span.start, span.end))
        self.places = {
            place: Place(
                starts=tuple(start for start, _ in joined),
                ends=tuple(max(start, end - settle_s) for start, end in joined),
            )
            for place, joined in by_place.items()
        }

    def why_unseen(self, account: str, region: str, at: int) -> str | None:
        """Why the trail cannot have seen a call there and then; None if it must have."""
        place = self.places.get((account, region))
        if place is None:
            return f"the trail has nothing of account {account or '?'} in {region or '?'}"
        if not place.covers(at):
            return f"no part of the trail that is proven and settled covers {account} {region} there"
        for blindness in self.blindnesses:
            if blindness.start <= at and (blindness.end is None or at <= blindness.end):
                return blindness.why
        return None

    def end_of(self, account: str, region: str) -> int | None:
        """The last moment that is covered; None where nothing is."""
        place = self.places.get((account, region))
        return place.ends[-1] if place else None


def blindnesses_of(changes: Iterable[Change], trails: frozenset[str] = frozenset()) -> list[Blindness]:
    """When a trail was stopped, or told to leave out what signs; each until it was set right again.

    Args:
        changes: in order of time.
        trails: the names of the trails that are read; empty where they are not known, so that every trail counts.
    """
    found: list[Blindness] = []
    for change in changes:
        if change.error is not None or (trails and trail_name(change.parameters) not in trails):
            continue
        why = why_blinding(change)
        is_open = bool(found) and found[-1].end is None
        if why is not None and not is_open:
            found.append(Blindness(change.at, None, f"{why} at {format_instant(change.at)}, by {change.principal}"))
        elif why is None and is_open and change.name in ("StartLogging", "CreateTrail", "PutEventSelectors"):
            found[-1] = found[-1]._replace(end=change.at)
    return found
