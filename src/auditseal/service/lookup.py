"""Finds single entries in a log or an export, with those beside them.

Source: `docs/cli.md`, "Naming an entry".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from uuid import UUID

from auditseal.core.event import check_stream, parse_body
from auditseal.errors import InputError, NotFoundError
from auditseal.ports import EntryFilter

if TYPE_CHECKING:
    from collections.abc import Iterable

    from auditseal.core.entry import StoredEntry
    from auditseal.ports import Source, Store

_MOST: Final = 100
"""How many entries of one place or id are told apart; more than one is a fault already."""


_MOST_DIGITS: Final = 18
"""Of a seq; so many always fit where stores keep numbers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """What names an entry: its stream and seq, or its id."""

    stream: str
    seq: int | None = None
    id: str | None = None

    def __str__(self) -> str:
        return f"{self.stream} #{self.seq}" if self.id is None else self.id


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What stands at a place and beside it; more than one entry at a place is a fault to be explained."""

    before: StoredEntry | None
    here: tuple[StoredEntry, ...]
    after: StoredEntry | None


def parse_place(text: str, stream: str) -> Place:
    """The place of `SEQ`, `STREAM#SEQ` or an id.

    Args:
        text: as a person writes it.
        stream: for a bare seq.

    Raises:
        InputError: another form.
    """
    name, mark, digits = text.rpartition("#")
    if digits.isascii() and digits.isdecimal() and len(digits) <= _MOST_DIGITS:
        return Place(stream=check_stream(name if mark else stream), seq=int(digits))
    try:
        return Place(stream=stream, id=str(UUID(text)))
    except ValueError:
        raise InputError(f"{text[:160]!r} names no entry: write a seq, STREAM#SEQ (default#41), or an id") from None


def find_entry(store: Store, place: Place) -> StoredEntry:
    """The one entry at a place of a log.

    Raises:
        NotFoundError: none there.
        StoreError: the log cannot be read.
    """
    if place.seq is not None:
        found = store.entry(place.stream, place.seq)
        if found is None:
            raise _missing(store, place)
        return found
    entries = store.select(EntryFilter(id=place.id), limit=1)
    if not entries:
        raise _missing(store, place)
    return entries[0]


def find_surroundings(source: Source, place: Place) -> Surroundings:
    """What stands at a place of any source and beside it; a source that is no log is read through.

    Raises:
        NotFoundError: nothing there.
        StoreError: the source cannot be read.
    """
    by_seq: dict[int, list[StoredEntry]] = {}
    stream, seq = place.stream, place.seq
    if seq is None:
        named = next((entry for entry in source.walk() if _id_of(entry) == place.id), None)
        if named is None:
            raise _missing(source, place)
        stream, seq = named.stream, named.seq
    for entry in _near(source, stream, seq):
        if len(kept := by_seq.setdefault(entry.seq, [])) < _MOST:
            kept.append(entry)
    if seq not in by_seq:
        raise _missing(source, place)
    before, after = by_seq.get(seq - 1), by_seq.get(seq + 1)
    return Surroundings(
        before=before[0] if before else None, here=tuple(by_seq[seq]), after=after[0] if after else None
    )


def _near(source: Source, stream: str, seq: int) -> Iterable[StoredEntry]:
    return (entry for entry in source.walk([stream]) if abs(entry.seq - seq) <= 1 and entry.stream == stream)


def _id_of(entry: StoredEntry) -> str | None:
    if entry.columns is not None:
        return entry.columns.id
    try:
        return parse_body(entry.body).id
    except InputError:
        return None


def _missing(source: Source, place: Place) -> NotFoundError:
    return NotFoundError(f"{source.address} has no entry {place}: auditseal list shows what is there")
