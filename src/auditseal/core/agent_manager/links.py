"""The order of rows that have no numbers: by their links, and never by the clock.

Rows with equal times, and clocks that ran back, are common; a link is not ambiguous. Where several rows follow one, the
chain forks; where a row follows one that is not there, it is torn.

Source: `docs/spec/agent-manager.md` §3.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from auditseal.core.agent_manager.row import Row


@dataclass(frozen=True, slots=True, kw_only=True)
class Fork:
    """Several rows that follow the same one; `rows` and `sizes` go together, in the order of the walk."""

    rows: tuple[int, ...]
    sizes: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """The rows in the order of their links.

    Attributes:
        places: indices of rows; the number of a row is its place here.
        torn: indices of rows that follow none of the rows here and do not claim to be the first.
        forks: by their first row's place.
        repeated: indices of rows that stand here twice, the first left out.
    """

    places: tuple[int, ...]
    torn: tuple[int, ...]
    forks: tuple[Fork, ...]
    repeated: tuple[int, ...]


def order_rows(rows: Sequence[Row]) -> Order:
    """The order of rows, whatever order they come in."""
    first_with: dict[bytes, int] = {}
    repeated = []
    for index, row in enumerate(rows):
        identity = _identity(row)
        if identity in first_with:
            repeated.append(index)
        else:
            first_with[identity] = index
    places_by_hash: dict[bytes, int] = {}
    for index, row in enumerate(rows):
        if row.hash is not None:
            places_by_hash.setdefault(row.hash, index)
    twice = set(repeated)
    children: dict[int, list[int]] = {}
    roots: list[int] = []
    torn: list[int] = []
    for index, row in enumerate(rows):
        if index in twice:
            continue
        before = places_by_hash.get(row.prev_hash) if row.prev_hash else None
        if before is not None and before != index:
            children.setdefault(before, []).append(index)
        elif row.prev_hash or row.broken_prev:
            torn.append(index)
        else:
            roots.append(index)
    by_time = sorted(roots, key=lambda index: (rows[index].time, index))
    torn.sort(key=lambda index: (rows[index].time, index))
    places = _walk([*by_time, *torn], children, rows)
    sizes = _sizes(places, children)
    branching = [by_time, *(followers for followers in children.values())]
    forks = [
        Fork(rows=tuple(branch), sizes=tuple(sizes[index] for index in branch))
        for branch in branching
        if len(branch) > 1
    ]
    number = {index: place for place, index in enumerate(places)}
    forks.sort(key=lambda fork: number[fork.rows[0]])
    return Order(places=(*places, *repeated), torn=tuple(torn), forks=tuple(forks), repeated=tuple(repeated))


def _identity(row: Row) -> bytes:
    """What makes two rows the same one: all that is hashed, and who is said to have signed it."""
    return b"\0".join(
        ((row.hash or b""), row.prev_hash, (row.signer or "").encode("utf-8", "replace"), (row.id or "").encode())
    )


def _walk(starts: Sequence[int], children: dict[int, list[int]], rows: Sequence[Row]) -> list[int]:
    """Each start and all that follows it, a branch after the other."""
    places = []
    stack = list(reversed(starts))
    while stack:
        index = stack.pop()
        places.append(index)
        followers = children.get(index, ())
        stack += sorted(followers, key=lambda follower: (rows[follower].time, follower), reverse=True)
    return places


def _sizes(places: Sequence[int], children: dict[int, list[int]]) -> Counter[int]:
    """How many rows each row's branch has, itself included."""
    sizes: Counter[int] = Counter(dict.fromkeys(places, 1))
    for index in reversed(places):
        for follower in children.get(index, ()):
            sizes[index] += sizes[follower]
    return sizes
