"""What a verifier remembers of a stream that it has proven, so that it notices when the log takes something back.

Source: `docs/spec/verification.md`, "The remembering verifier".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from auditseal.core.canonical import canonicalize, parse_json
from auditseal.core.event import check_stream
from auditseal.core.merkle import Frontier
from auditseal.core.scalar import HASH_BYTES, format_base64, parse_base64
from auditseal.core.times import Micros, format_time, parse_time
from auditseal.errors import CanonicalError, InputError

if TYPE_CHECKING:
    from collections.abc import Mapping

VERSION: Final = 1
MAX_STATE_BYTES: Final = 64 * 1024 * 1024

_MEMBERS: Final = frozenset({"checkpoint", "frontier", "head", "next_by", "time"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Remembered:
    """A stream up to where it was proven.

    Attributes:
        frontier: of its tree; its size is how many entries were proven.
        head: the hash of the last of them; 32 bytes.
        time: which that entry claims.
        checkpoint: the last signed checkpoint that was proven, as a note; evidence if the log ever shows another.
        next_by: when the log had promised the next checkpoint; None without a promise.
    """

    frontier: Frontier
    head: bytes
    time: str
    checkpoint: str | None = None
    next_by: Micros | None = None

    def __post_init__(self) -> None:
        """Refuses what no walk leaves behind.

        Raises:
            InputError: nothing proven, or no hash.
        """
        if self.frontier.size < 1 or len(self.head) != HASH_BYTES:
            raise InputError("a remembered stream has one entry or more, and the hash of its last")

    @property
    def size(self) -> int:
        """How many entries were proven."""
        return self.frontier.size


def format_state(streams: Mapping[str, Remembered]) -> bytes:
    """The state as JSON with a newline."""
    members: dict[str, Any] = {
        name: {
            "checkpoint": each.checkpoint,
            "frontier": format_base64(each.frontier.to_bytes()),
            "head": format_base64(each.head),
            "next_by": None if each.next_by is None else format_time(each.next_by),
            "time": each.time,
        }
        for name, each in streams.items()
    }
    return canonicalize({"state": VERSION, "streams": members}, max_bytes=MAX_STATE_BYTES) + b"\n"


def parse_state(octets: bytes) -> dict[str, Remembered]:
    """The inverse of `format_state`.

    Raises:
        InputError: not JSON, of another version, or damaged.
    """
    try:
        members = parse_json(octets, max_bytes=MAX_STATE_BYTES)
    except CanonicalError as error:
        raise InputError(f"not a verifier's state: {error}") from None
    if type(members) is not dict or set(members) != {"state", "streams"} or members["state"] != VERSION:
        raise InputError(f"not a verifier's state of version {VERSION}")
    streams = members["streams"]
    if type(streams) is not dict:
        raise InputError("the streams of a verifier's state are an object")
    return {check_stream(name): _parse_stream(name, each) for name, each in streams.items()}


def _parse_stream(name: str, members: Any) -> Remembered:
    if type(members) is not dict or set(members) != _MEMBERS:
        raise InputError(f"the state of stream {name[:140]} has exactly the members {', '.join(sorted(_MEMBERS))}")
    checkpoint = members["checkpoint"]
    texts = [members[each] for each in ("frontier", "head", "time")]
    next_by = members["next_by"]
    optional = all(type(each) in (str, type(None)) for each in (checkpoint, next_by))
    if not all(type(text) is str for text in texts) or not optional:
        raise InputError(f"the state of stream {name[:140]} holds text alone")
    return Remembered(
        frontier=Frontier.from_bytes(parse_base64(texts[0], "the frontier of a state")),
        head=parse_base64(texts[1], "the head of a state"),
        time=texts[2],
        checkpoint=checkpoint,
        next_by=None if next_by is None else parse_time(next_by),
    )
