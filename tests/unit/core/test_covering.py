import pytest

from auditseal.core import covering
from auditseal.core.checkpoint import Checkpoint
from auditseal.core.covering import Covering, Outcome, hash_at, inclusion_path
from auditseal.core.merkle import Frontier, grow, leaf_hashes
from auditseal.core.merkle_proof import inclusion_proof
from auditseal.errors import InputError

HASHES = [bytes([number]) * 32 for number in range(40)]


def _checkpoint(size: int) -> Checkpoint:
    root = Frontier().extend(leaf_hashes(HASHES[:size])).root()
    return Checkpoint(origin="example.com/log/main", size=size, root=root)


def _proof(seq: int, size: int) -> tuple[bytes, ...]:
    _, runs = grow(Frontier(), leaf_hashes(HASHES))
    nodes = {(level, index): hash_ for run in runs for level, index, hash_ in run}
    return inclusion_proof(seq, size, lambda level, index: nodes[level, index])


@pytest.mark.parametrize("block", [1, 3, 4096])
def test_the_path_from_all_entries_is_that_of_the_kept_nodes_at_every_place_of_every_tree(monkeypatch, block):
    monkeypatch.setattr(covering, "_BLOCK", block)
    for size in range(1, len(HASHES) + 1):
        for seq in range(size):
            assert inclusion_path(seq, size, iter(HASHES)) == _proof(seq, size), (seq, size)


def test_no_more_entries_are_taken_than_the_tree_has():
    rest = iter(HASHES)
    inclusion_path(3, 11, rest)
    assert next(rest) == HASHES[11]


@pytest.mark.parametrize("there", [0, 1, 5, 10])
def test_too_few_entries_have_no_path(there):
    with pytest.raises(InputError, match="and the tree has 11"):
        inclusion_path(2, 11, HASHES[:there])


def test_there_is_no_path_to_a_place_behind_the_tree():
    with pytest.raises(InputError, match="no leaf 11"):
        inclusion_path(11, 11, HASHES)


def test_of_several_hashes_the_one_is_given_that_the_tree_has():
    path = _proof(7, 21)
    assert hash_at(7, _checkpoint(21), path, [b"", bytes(31), HASHES[6], HASHES[7], HASHES[8]]) == HASHES[7]
    assert hash_at(7, _checkpoint(21), path, [HASHES[6]]) is None
    assert hash_at(8, _checkpoint(21), path, [HASHES[7]]) is None
    assert hash_at(7, _checkpoint(22), path, [HASHES[7]]) is None
    assert hash_at(7, _checkpoint(21), (bytes(31), *path[1:]), [HASHES[7]]) is None


@pytest.mark.parametrize(("outcome", "holds"), [(Outcome.HOLDS, True), (Outcome.NOT_CHECKED, None)])
def test_what_holds_proves_and_what_was_not_checked_proves_nothing(outcome, holds):
    assert Covering(size=1, outcome=outcome).holds is holds


@pytest.mark.parametrize("outcome", sorted(set(Outcome) - {Outcome.HOLDS, Outcome.NOT_CHECKED}))
def test_everything_else_speaks_against_the_entry(outcome):
    assert Covering(size=1, outcome=outcome).holds is False
