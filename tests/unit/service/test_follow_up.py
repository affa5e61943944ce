"""Signing in the background beside appending: how much of the processor it leaves."""

from __future__ import annotations

import itertools
import threading
from types import SimpleNamespace

import pytest

from auditseal.service.follow_up import FollowUp


class Pauses(threading.Event):
    """Remembers how long it was waited for, and does not wait."""

    def __init__(self):
        super().__init__()
        self.seconds = []

    def wait(self, timeout=None):
        self.seconds.append(timeout)
        return self.is_set()


class Sealer:
    """Signs nothing; begins its first work when it is let."""

    def __init__(self, concurrency):
        self.signer = SimpleNamespace(concurrency=concurrency)
        self.let = threading.Event()
        self.finished = []

    def begin(self, entries):
        assert self.let.wait(20)
        return entries

    def finish(self, entries, _):
        self.finished += entries
        return [SimpleNamespace(signature=b"s") for _ in entries]


def work(concurrency, *, batches):
    """What was signed, and the pauses, of a follow-up whose clock goes on by 0.1 s whenever it is read."""
    sealer, pauses = Sealer(concurrency), Pauses()
    ticks = itertools.count()
    entries = [[SimpleNamespace(body=b"{}", number=(batch, n)) for n in range(3)] for batch in range(batches)]
    follow_up = FollowUp(sealer, within_s=1e9, let_go=lambda: None, monotonic=lambda: next(ticks) / 10, closing=pauses)
    for batch in entries:
        follow_up.take(batch)
    sealer.let.set()
    follow_up.close()
    assert sealer.finished == list(itertools.chain(*entries))
    return pauses.seconds


def test_a_local_key_leaves_the_processor_to_others_while_more_waits():
    seconds = work(1, batches=3)
    assert len(seconds) == 2, "none after the last"
    assert all(0.5 < pause <= 1.0 for pause in seconds)


@pytest.mark.parametrize(("concurrency", "batches"), [(1, 1), (50, 3)])
def test_nothing_waits_where_nothing_else_is_due_or_a_kms_signs(concurrency, batches):
    assert work(concurrency, batches=batches) == []
