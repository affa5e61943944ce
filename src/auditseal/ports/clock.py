"""What time it is."""

from __future__ import annotations

from collections.abc import Callable

from auditseal.core.times import Micros

Clock = Callable[[], Micros]
"""Microseconds since the epoch, UTC."""
