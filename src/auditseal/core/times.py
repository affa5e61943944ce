"""Times as bodies have them: RFC 3339 in UTC with six decimals, so that they compare as text.

Source: `docs/spec/body.md`; RFC 3339.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final, NewType

from auditseal.errors import InputError

Micros = NewType("Micros", int)
"""Microseconds since 1970-01-01T00:00:00Z."""

_TIME: Final = re.compile(r"\d{4}-\d\d-\d\dT(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d\.\d{6}Z", re.ASCII)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


def format_time(micros: Micros) -> str:
    """RFC 3339 in UTC with six decimals, such as `2026-07-01T00:00:03.000120Z`.

    Raises:
        InputError: outside the years 1970 to 9999.
    """
    seconds, rest = divmod(micros, 1_000_000)
    try:
        if seconds >= 0:
            return f"{_format_second(seconds)}.{rest:06d}Z"
    except (ValueError, OverflowError, OSError):
        pass
    raise InputError(f"{micros} µs is no time between the years 1970 and 9999")


@lru_cache(maxsize=16)
def _format_second(seconds: int) -> str:
    """A second without its fraction; many times in a row are of the same."""
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}"


def is_time(text: str) -> bool:
    """Whether this is a time as `format_time` gives it, of a date that exists."""
    if not _TIME.fullmatch(text):
        return False
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True


def parse_time(text: str) -> Micros:
    """The inverse of `format_time`, for exactly its form.

    Raises:
        InputError: another form, or no such date.
    """
    if not is_time(text):
        raise InputError(f"{text[:40]!r} is not a time such as 2026-07-01T00:00:03.000120Z")
    return Micros((datetime.fromisoformat(text) - _EPOCH) // _MICROSECOND)


def instant(text: str) -> str:
    """A time as people write it, in the form that bodies have, so that the two compare as text.

    Args:
        text: RFC 3339 with any offset and up to six decimals, or a date alone (midnight UTC).

    Raises:
        InputError: another form.
    """
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise InputError(f"{text[:40]!r} is not a time such as 2026-07-01T00:00:03Z or 2026-07-01") from None
    moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
    return format_time(Micros((moment - _EPOCH) // _MICROSECOND))
