"""Event ids: UUID version 7, which sort by the time they were made.

Source: RFC 9562 §5.7.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Final

from auditseal.core.times import Micros

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_NOISE_BYTES: Final = 10
_NOISE_DIGITS: Final = 19
_AT_ONCE: Final = 64
_VARIANT: Final = {digit: "89ab"[int(digit, 16) & 3] for digit in "0123456789abcdef"}
"""By a random hex digit, one whose upper two bits are those of the variant, and whose lower two are random."""


def now_micros() -> Micros:
    """The system's clock: microseconds since the epoch, UTC."""
    return Micros(time.time_ns() // 1_000)


def new_id(time_ns: Callable[[], int] = time.time_ns, random: Callable[[int], bytes] = os.urandom) -> str:
    """A fresh UUID version 7: 48 bits of milliseconds, 74 random bits."""
    return next(new_ids(time_ns, random, at_once=1))


def new_ids(
    time_ns: Callable[[], int] = time.time_ns, random: Callable[[int], bytes] = os.urandom, *, at_once: int = _AT_ONCE
) -> Iterator[str]:
    """Fresh ids without end, for one thread; the system is asked for the random bits of so many at once.

    After a fork only one of the two processes may go on with it.
    """
    told, beginning = -1, ""
    while True:
        noise = random(_NOISE_BYTES * at_once).hex()
        for at in range(0, len(noise), 2 * _NOISE_BYTES):
            digits = noise[at : at + _NOISE_DIGITS]
            if (millis := time_ns() // 1_000_000) != told:
                told, hexed = millis, f"{millis:012x}"
                beginning = f"{hexed[:8]}-{hexed[8:]}-7"
            yield f"{beginning}{digits[:3]}-{_VARIANT[digits[3]]}{digits[4:7]}-{digits[7:]}"
