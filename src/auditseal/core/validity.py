"""Where a signer is valid: bounds by stream and seq, and by time, and the question whether an entry lies within.

A validity is half-open: it holds from `validFrom` on and ends just before `validUntil`. A bound may name a time, seqs
of streams, or both, and an entry must lie within all that apply to it; a stream that a bound does not name is not
limited by seq. No clock is read: an entry's own time counts.

Source: RFC 3339 §5.6; `docs/spec/signers-json.md` §4.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import date
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, NewType

from auditseal.core.canonical import MAX_INTEGER
from auditseal.core.event import check_stream
from auditseal.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping

Instant = NewType("Instant", tuple[int, str])
"""Seconds since 1970-01-01T00:00:00Z, and the digits of the fraction without zeros at their end. Compares as time."""

_TIME: Final = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt]([01]\d|2[0-3]):([0-5]\d):([0-5]\d)(?:\.(\d{1,30}))?(?:[Zz]|([+-])([01]\d|2[0-3]):([0-5]\d))",
    re.ASCII,
)
_EPOCH_DAY: Final = date(1970, 1, 1).toordinal()


def parse_instant(text: str) -> Instant:
    """The instant of an RFC 3339 time with any offset and any fraction; leap seconds are not read.

    Raises:
        InputError: another form, or no such date.
    """
    parts = _TIME.fullmatch(text)
    try:
        day = date.fromisoformat(parts[1]).toordinal() if parts else None
    except ValueError:
        day = None
    if parts is None or day is None:
        raise InputError(f"{text[:40]!r} is not a time such as 2026-07-01T00:00:00Z")
    hours, minutes, seconds = int(parts[2]), int(parts[3]), int(parts[4])
    offset = (int(parts[7]) * 3600 + int(parts[8]) * 60) * (-1 if parts[6] == "-" else 1) if parts[6] else 0
    since_epoch = (day - _EPOCH_DAY) * 86400 + hours * 3600 + minutes * 60 + seconds - offset
    return Instant((since_epoch, (parts[5] or "").rstrip("0")))


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """One end of a validity: `validFrom` or `validUntil`.

    Attributes:
        time: RFC 3339, as it was given; None where time does not limit.
        seq: by stream, ≥0; streams that are not named are not limited.
        instant: what `time` means.
    """

    time: str | None = None
    seq: Mapping[str, int] = field(default_factory=dict)
    instant: Instant | None = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        for stream, number in self.seq.items():
            check_stream(stream)
            if type(number) is not int or not 0 <= number <= MAX_INTEGER:
                raise InputError(f"the seq of stream {stream} is not a whole number from 0 on")
        if self.time is None and not self.seq:
            raise InputError("a bound names neither a time nor a seq: leave it out, or say where it lies")
        object.__setattr__(self, "seq", MappingProxyType(dict(self.seq)))
        object.__setattr__(self, "instant", None if self.time is None else parse_instant(self.time))


def parse_bound(value: Any) -> Bound:
    """The bound of a JSON value: `{"time": …, "seq": {stream: …}}`, or a time alone.

    Raises:
        InputError: another shape; a member that is not known is refused, since it may be meant to limit.
    """
    if isinstance(value, str):
        return Bound(time=value)
    if not isinstance(value, dict) or not value.keys() <= {"time", "seq"}:
        raise InputError('a bound is an RFC 3339 time or {"time": …, "seq": {stream: number}}, and nothing else')
    time, seq = value.get("time"), value.get("seq", {})
    if not isinstance(time, str | None) or not isinstance(seq, dict):
        raise InputError("a bound's time is RFC 3339 text, and its seq an object of numbers by stream")
    return Bound(time=time, seq=seq)


def format_bound(bound: Bound) -> dict[str, Any]:
    """The inverse of `parse_bound`, in its long form."""
    members: dict[str, Any] = {} if bound.time is None else {"time": bound.time}
    return members | ({"seq": dict(bound.seq)} if bound.seq else {})


def check_order(valid_from: Bound | None, valid_until: Bound | None) -> None:
    """Refuses a validity that ends where it begins or before.

    Raises:
        InputError: names the time or the stream.
    """
    if valid_from is None or valid_until is None:
        return
    if valid_from.instant and valid_until.instant and valid_from.instant >= valid_until.instant:
        raise InputError("validUntil is not after validFrom")
    for stream in valid_from.seq.keys() & valid_until.seq.keys():
        if valid_from.seq[stream] >= valid_until.seq[stream]:
            raise InputError(f"validUntil is not after validFrom in stream {stream}")


def why_outside(
    valid_from: Bound | None, valid_until: Bound | None, *, stream: str, seq: int, time: str | None
) -> str | None:
    """Why an entry lies outside of a validity, in words that follow "the signer"; None if it lies within.

    Args:
        valid_from: the first that is within.
        valid_until: the first that is not any more.
        stream: the entry's stream.
        seq: the entry's number in it.
        time: the entry's time, RFC 3339; one that is missing or cannot be read is outside of any limit by time.
    """
    if valid_from and seq < valid_from.seq.get(stream, 0):
        return f"is valid in {stream} from seq {valid_from.seq[stream]} on, and this is seq {seq}"
    if valid_until and seq >= valid_until.seq.get(stream, seq + 1):
        return f"is valid in {stream} only before seq {valid_until.seq[stream]}, and this is seq {seq}"
    first = valid_from.instant if valid_from else None
    end = valid_until.instant if valid_until else None
    if first is None and end is None:
        return None
    try:
        at = parse_instant(time or "")
    except InputError:
        return "is limited by time, and the entry has no time that can be read"
    if valid_from and first and at < first:
        return f"is valid from {valid_from.time} on, and the entry says {time}"
    if valid_until and end and at >= end:
        return f"is valid only before {valid_until.time}, and the entry says {time}"
    return None
