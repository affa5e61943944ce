"""Event ids: UUID version 7, which sort by the time they were made.

Source: RFC 9562 §5.7.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Final

from auditseal.core.event import Micros

if TYPE_CHECKING:
    from collections.abc import Callable

_VERSION_AND_VARIANT: Final = 7 << 76 | 2 << 62
_RANDOM: Final = 0xFFF << 64 | (1 << 62) - 1


def now_micros() -> Micros:
    """The system's clock: microseconds since the epoch, UTC."""
    return Micros(time.time_ns() // 1_000)


def new_id(time_ns: Callable[[], int] = time.time_ns, random: Callable[[int], bytes] = os.urandom) -> str:
    """A fresh UUID version 7: 48 bits of milliseconds, 74 random bits."""
    noise = int.from_bytes(random(10), "big") & _RANDOM | _VERSION_AND_VARIANT
    text = ((time_ns() // 1_000_000) << 80 | noise).to_bytes(16, "big").hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
