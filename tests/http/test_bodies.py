"""Reading the body of a batch: how slowly it may come."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest

from auditseal.http.bodies import read_lines
from auditseal.http.errors import SlowBodyError


def read(part: bytes, *, parts: int, pause_s: float, timeout_s: float) -> list[bytes]:
    """The lines of a body that comes in so many equal parts."""

    async def stream():
        for _ in range(parts):
            await asyncio.sleep(pause_s)
            yield part

    async def run():
        request = SimpleNamespace(headers={}, stream=stream)
        lines = read_lines(request, max_line_bytes=1 << 20, limit=1 << 30, timeout_s=timeout_s)
        return [line async for some in lines for line in some]

    return asyncio.run(run())


def test_a_byte_now_and_then_is_not_enough():
    with pytest.raises(SlowBodyError, match="did not come within"):
        read(b"\n", parts=300, pause_s=0.01, timeout_s=0.3)


def test_as_long_as_enough_of_it_comes_it_may_take_longer_than_the_time_for_a_part():
    line = b"x" * (16 * 1024 - 1) + b"\n"
    assert read(line, parts=60, pause_s=0.02, timeout_s=1.0) == [line[:-1]] * 60


def test_a_small_body_that_ends_in_time_is_whole():
    assert read(b"{}\n{}", parts=1, pause_s=0, timeout_s=5.0) == [b"{}", b"{}"]
