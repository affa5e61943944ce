"""The hashes of what was appended lately: given out once, by place, and never of another place."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from auditseal.core.merkle import leaf_hashes, root_of
from auditseal.service import recent_hashes
from auditseal.service.recent_hashes import RecentHashes
from auditseal.service.tree import StreamTree


def _hashes(first: int, end: int) -> list[bytes]:
    return [seq.to_bytes(32, "big") for seq in range(first, end)]


class _Store:
    """Entries with their seq as hash, read as a store gives them; nodes are not kept."""

    def __init__(self) -> None:
        self.read: list[tuple[int, int]] = []

    def entry_hashes(self, _stream, first, end):
        self.read.append((first, end))
        return _hashes(first, end)

    def count_nodes(self, _stream, _level):
        return 0

    def add_nodes(self, _stream, _nodes):
        pass


def test_a_run_is_given_out_once_and_as_far_as_it_was_asked_for():
    recent = RecentHashes()
    recent.add(10, _hashes(10, 20))
    assert list(recent.take(10, 15)) == _hashes(10, 15)
    assert list(recent.take(10, 15)) == []
    assert recent.until(12, 100) == 15
    assert list(recent.take(15, 100)) == _hashes(15, 20)
    assert recent.until(20, 100) == 100


def test_what_is_passed_by_and_what_is_too_much_is_dropped(monkeypatch):
    monkeypatch.setattr(recent_hashes, "_MOST", 25)
    recent = RecentHashes()
    recent.add(0, _hashes(0, 10))
    assert recent.until(5, 100) == 100
    recent.add(10, _hashes(10, 30))
    recent.add(30, _hashes(30, 40))
    assert list(recent.take(10, 30)) == []
    assert list(recent.take(30, 40)) == _hashes(30, 40)


@given(st.lists(st.integers(0, 60), max_size=12), st.data())
def test_a_tree_is_the_same_whoever_appended_and_reads_only_what_others_did(places, data):
    store = _Store()
    tree = StreamTree(store, "main")
    bounds = sorted({0, *places, 60})
    own = [run for run in pairwise(bounds) if data.draw(st.booleans())]
    for first, end in data.draw(st.permutations(own)):
        tree.appended(first, _hashes(first, end))
    for size in sorted(data.draw(st.lists(st.integers(0, 60), max_size=4))):
        assert tree.grow_to(size).root() == tree.root(size) == root_of(leaf_hashes(_hashes(0, size)))
    read = {seq for first, end in store.read for seq in range(first, end)}
    assert read.isdisjoint(seq for run in own for seq in range(*run))
