"""Where two bodies differ, member by member.

Source: RFC 6901 for the paths.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import orjson

if TYPE_CHECKING:
    from collections.abc import Iterator


class _Absent:
    """Stands for a member that is not there."""


ABSENT: Final = _Absent()


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One place where two bodies differ; a side without the member has None.

    Attributes:
        path: JSON pointer, "" for the whole.
        here, there: each side as JSON text.
    """

    path: str
    here: str | None
    there: str | None


def diff_bodies(here: bytes, there: bytes) -> list[Difference]:
    """What differs between two bodies, in the order of the paths; bytes that are not JSON are compared as text."""
    try:
        pair = orjson.loads(here), orjson.loads(there)
    except orjson.JSONDecodeError:
        texts = here.decode("utf-8", "replace"), there.decode("utf-8", "replace")
        return [] if here == there else [Difference(path="", here=texts[0], there=texts[1])]
    found = list(_walk("", *pair))
    if not found and here != there:
        found.append(Difference(path="", here=here.decode("utf-8", "replace"), there=there.decode("utf-8", "replace")))
    return found


def _walk(path: str, here: Any, there: Any) -> Iterator[Difference]:
    if type(here) is dict and type(there) is dict:
        for name in sorted(here.keys() | there.keys()):
            step = name.replace("~", "~0").replace("/", "~1")
            yield from _walk(f"{path}/{step}", here.get(name, ABSENT), there.get(name, ABSENT))
    elif type(here) is list and type(there) is list and len(here) == len(there):
        for index, (left, right) in enumerate(zip(here, there, strict=True)):
            yield from _walk(f"{path}/{index}", left, right)
    elif _text(here) != _text(there):
        yield Difference(path=path, here=_text(here), there=_text(there))


def _text(value: Any) -> str | None:
    return None if value is ABSENT else orjson.dumps(value).decode()
