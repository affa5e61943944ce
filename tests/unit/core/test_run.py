"""The fold of a chain: what it notices, and that cutting the chain anywhere changes nothing."""

import hashlib
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditseal.core.run import ChainFold

TIMES = [f"2026-07-01T00:00:{second:02}.000000Z" for second in range(60)]


def _hash(name):
    return hashlib.sha256(str(name).encode()).digest()


def _chain(count):
    """(seq, prev_hash, hash, time) of an intact chain."""
    return [(seq, _hash(seq - 1) if seq else b"", _hash(seq), TIMES[seq]) for seq in range(count)]


def _fold(entries):
    fold = ChainFold("s")
    found = [finding for entry in entries for finding in fold.add(*entry)]
    return fold, found


def _facts(findings):
    return sorted((f.code, f.seq, f.last_seq, f.expected or "", f.actual or "") for f in findings)


def _findings(entries):
    fold, found = _fold(entries)
    return [(finding.code, finding.seq) for finding in found + fold.finish()]


@st.composite
def broken_chains(draw):
    """A chain with entries missing, links broken and times changed or unreadable, each place taken once."""
    entries = []
    for seq, prev_hash, hash_, time in _chain(draw(st.integers(1, 14))):
        prev = draw(st.sampled_from([prev_hash] * 6 + [b"", _hash("other")]))
        claimed = draw(st.sampled_from([time] * 4 + ["", TIMES[0], TIMES[-1]]))
        if draw(st.integers(0, 7)):
            entries.append((seq, prev, hash_, claimed))
    return entries


@given(st.integers(0, 30))
def test_an_intact_chain_has_no_findings(count):
    fold, found = _fold(_chain(count))
    assert found + fold.finish() == []
    assert fold.entries == count
    assert (fold.first_seq, fold.last_seq) == ((0, count - 1) if count else (-1, -1))
    assert fold.head == (_hash(count - 1) if count else b"")


@given(broken_chains(), st.data())
def test_any_cut_into_segments_joined_in_any_order_gives_the_same_findings(entries, data):
    whole, expected = _fold(entries)
    expected += whole.finish()
    cuts = sorted(data.draw(st.sets(st.integers(0, len(entries)))) | {0, len(entries)})
    segments = [_fold(entries[start:end]) for start, end in pairwise(cuts)]
    order = data.draw(st.permutations(segments))
    joined = ChainFold("s")
    found = []
    for fold, own in order:
        found += own + joined.merge(fold)
    found += joined.finish()
    assert _facts(found) == _facts(expected)
    assert (joined.entries, joined.first_seq, joined.last_seq) == (whole.entries, whole.first_seq, whole.last_seq)
    assert joined.head == whole.head


@given(broken_chains(), st.data())
def test_entries_in_any_order_give_the_same_findings(entries, data):
    whole, expected = _fold(entries)
    shuffled, found = _fold(data.draw(st.permutations(entries)))
    assert _facts(found + shuffled.finish()) == _facts(expected + whole.finish())
    assert shuffled.head == whole.head


@given(st.integers(2, 12), st.data())
def test_an_entry_that_stands_twice_is_noticed_wherever_the_chain_is_cut(count, data):
    chain = _chain(count)
    twice = data.draw(st.sampled_from(chain))
    place = data.draw(st.integers(0, count))
    entries = [*chain[:place], twice, *chain[place:]]
    cut = data.draw(st.integers(0, len(entries)))
    joined, found = _fold(entries[:cut])
    rest, own = _fold(entries[cut:])
    found += own + joined.merge(rest)
    assert any(
        finding.code == "duplicate-seq" and finding.seq <= twice[0] <= (finding.last_seq or finding.seq)
        for finding in found
    )


def test_a_missing_entry_is_named_with_the_range_of_the_gap():
    chain = _chain(6)
    fold, found = _fold([chain[0], chain[4], chain[5]])
    assert found == []
    (finding,) = fold.finish()
    assert (finding.code, finding.seq, finding.last_seq, finding.count) == ("missing-entry", 1, 3, 3)


def test_missing_first_entries_are_named():
    assert _findings(_chain(3)[2:]) == [("missing-entry", 0)]


def test_a_link_to_another_entry_is_broken_and_both_sides_are_told():
    chain = _chain(3)
    chain[1] = (1, _hash("other"), _hash(1), TIMES[1])
    fold, (finding,) = _fold(chain)
    assert fold.finish() == []
    assert (finding.code, finding.seq) == ("broken-link", 1)
    assert (finding.expected, finding.actual) == (_hash(0).hex(), _hash("other").hex())


def test_the_first_entry_must_follow_nothing():
    fold, (finding,) = _fold([(0, _hash("garbage"), _hash(0), TIMES[0])])
    assert (finding.code, finding.seq, finding.expected) == ("broken-link", 0, "none")
    assert fold.finish() == []


def test_a_later_entry_that_claims_to_be_the_first_breaks_the_link():
    chain = _chain(2)
    chain[1] = (1, b"", _hash(1), TIMES[1])
    assert _findings(chain) == [("broken-link", 1)]


def test_time_that_runs_back_is_named_and_equal_times_are_not():
    chain = [(seq, prev, hash_, TIMES[(0, 5, 5, 4, 9)[seq]]) for seq, prev, hash_, _ in _chain(5)]
    fold, (finding,) = _fold(chain)
    assert fold.finish() == []
    assert (finding.code, finding.seq) == ("time-runs-back", 3)
    assert (finding.expected, finding.actual) == (f"{TIMES[5]} or later", TIMES[4])


def test_time_is_compared_across_entries_whose_time_cannot_be_read():
    times = [TIMES[5], "", TIMES[4]]
    assert _findings([(s, p, h, times[s]) for s, p, h, _ in _chain(3)]) == [("time-runs-back", 2)]


@pytest.mark.parametrize("cuts", [[0, 1, 3], [0, 2, 3], [0, 1, 2, 3]], ids=str)
@pytest.mark.parametrize("backwards", [False, True])
def test_time_is_compared_so_wherever_the_chain_is_cut(cuts, backwards):
    times = [TIMES[5], "", TIMES[4]]
    chain = [(seq, prev, hash_, times[seq]) for seq, prev, hash_, _ in _chain(3)]
    parts = [_fold(chain[start:end])[0] for start, end in pairwise(cuts)]
    joined = ChainFold("s")
    found = [finding for part in (parts[::-1] if backwards else parts) for finding in joined.merge(part)]
    assert [(finding.code, finding.seq) for finding in found] == [("time-runs-back", 2)]


def test_a_fork_behind_a_cut_is_told_apart_by_what_stood_before_the_cut():
    chain = _chain(2)
    joined, _ = _fold(chain[:1])
    single, _ = _fold([(1, _hash("other"), _hash("x"), TIMES[1])])
    assert [finding.code for finding in joined.merge(single)] == ["broken-link"]
    assert [finding.code for finding in joined.add(*chain[1])] == ["fork"]


def test_the_same_entry_twice_is_a_duplicate():
    chain = _chain(3)
    assert _findings([*chain[:2], chain[1], chain[2]]) == [("duplicate-seq", 1)]


def test_two_entries_after_the_same_one_are_a_fork_and_either_may_be_followed():
    chain = _chain(4)
    branch = (2, _hash(1), _hash("branch"), TIMES[2])
    assert _findings([*chain[:3], branch, chain[3]]) == [("fork", 2)]
    followed = (3, _hash("branch"), _hash(3), TIMES[3])
    assert _findings([*chain[:3], branch, followed]) == [("fork", 2)]
    assert _findings([*chain[:3], branch, chain[3], (3, _hash("branch"), _hash("b3"), TIMES[3])]) == [
        ("fork", 2),
        ("fork", 3),
    ]


def test_two_first_entries_are_a_fork():
    assert _findings([(0, b"", _hash("a"), TIMES[0]), (0, b"", _hash("b"), TIMES[0])]) == [("fork", 0)]


def test_a_second_entry_at_a_place_that_follows_another_one_is_a_duplicate_number():
    chain = _chain(2)
    fold, (finding,) = _fold([*chain, (1, _hash("elsewhere"), _hash("x"), TIMES[1])])
    assert fold.finish() == []
    assert (finding.code, finding.message) == ("duplicate-seq", "two entries have this number")


def test_branches_beyond_the_limit_are_still_told():
    entries = [(0, b"", _hash(number), TIMES[0]) for number in range(100)]
    fold, found = _fold(entries)
    assert [finding.code for finding in found] == ["fork"] * 99
    assert fold.entries == 100


def test_a_late_copy_of_an_early_entry_is_a_duplicate():
    chain = _chain(5)
    assert _findings([*chain, chain[2]]) == [("duplicate-seq", 2)]


def test_findings_name_the_event():
    fold = ChainFold("s")
    fold.add(0, b"", _hash(0), TIMES[0], "id-0")
    (finding,) = fold.add(1, b"", _hash(1), TIMES[1], "id-1")
    assert (finding.stream, finding.entry_id) == ("s", "id-1")


@pytest.mark.parametrize("count", [1000])
def test_memory_does_not_grow_with_the_chain(count):
    fold = ChainFold("s")
    for seq in range(count):
        fold.add(seq, _hash(seq - 1) if seq else b"", _hash(seq), TIMES[0])
    assert len(fold._runs) == 1
