"""What a trail can have seen: by account and Region the times that it covers, less those in which it was blind.

Source: `docs/spec/reconciliation.md` §3.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from auditseal.core.cloudtrail_changes import trail_name, why_blinding
from auditseal.core.cloudtrail_record import format_instant
from auditseal.core.trail_chain import Span

if TYPE_CHECKING:
    from auditseal.core.cloudtrail_changes import Change


class Blindness(NamedTuple):
    """A time in which a trail was blind; `end` None where it still is, in seconds since the epoch.

    `place` is the one (account, Region) that it is about; None for all.
    """

    start: int
    end: int | None
    why: str
    place: tuple[str, str] | None = None


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

    def why_unseen(self, place: tuple[str, str], at: int) -> str | None:
        """Why the trail cannot have seen a call at a place (account, Region) and time; None if it must have."""
        found = self.places.get(place)
        if found is None:
            return f"the trail has nothing of account {place[0] or '?'} in {place[1] or '?'}"
        if not found.covers(at):
            return f"no part of the trail that is proven and settled covers {place[0]} {place[1]} there"
        for blindness in self.blindnesses:
            is_then = blindness.start <= at and (blindness.end is None or at <= blindness.end)
            if is_then and blindness.place in (None, place):
                return blindness.why
        return None

    def start_of(self, place: tuple[str, str]) -> int | None:
        """The first moment that is covered; None where nothing is."""
        found = self.places.get(place)
        return found.starts[0] if found else None

    def end_of(self, place: tuple[str, str]) -> int | None:
        """The last moment that is covered; None where nothing is."""
        found = self.places.get(place)
        return found.ends[-1] if found else None


def blindnesses_of(changes: Iterable[Change], trails: frozenset[str] = frozenset()) -> list[Blindness]:
    """When a trail was stopped, or told to leave out what signs; each until that trail was set right again.

    Args:
        changes: in order of time.
        trails: the names of the trails that are read; empty where they are not known, so that every trail counts.
    """
    found: list[Blindness] = []
    stopped: dict[str, int] = {}
    selecting: dict[str, int] = {}
    for change in changes:
        trail = trail_name(change.parameters)
        if change.error is not None or (trails and trail not in trails):
            continue
        open_ones = selecting if change.name in ("PutEventSelectors", "CreateTrail") else stopped
        why = why_blinding(change)
        if why is not None and trail not in open_ones:
            open_ones[trail] = len(found)
            found.append(Blindness(change.at, None, f"{why} at {format_instant(change.at)}, by {change.principal}"))
        elif why is None and trail in open_ones and change.name in _MENDING:
            index = open_ones.pop(trail)
            found[index] = found[index]._replace(end=change.at)
    return found


_MENDING: Final = frozenset({"StartLogging", "CreateTrail", "PutEventSelectors"})
