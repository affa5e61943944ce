"""The tree and its proofs, against the RFC's examples, known roots and a tree computed by the definition."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditseal.core.merkle import EMPTY_ROOT, MAX_SIZE, Frontier, grow, leaf_hash, leaf_hashes, node_hash, root_of
from auditseal.core.merkle_proof import (
    consistency_path_nodes,
    consistency_proof,
    inclusion_path_nodes,
    inclusion_proof,
    root_at,
    root_nodes,
    verify_consistency,
    verify_inclusion,
)
from auditseal.errors import InputError, ProofInvalidError

# The inputs and roots that implementations of RFC 6962 commonly test with.
KNOWN_LEAVES = [
    bytes.fromhex(text)
    for text in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f")
]
KNOWN_ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]


def naive_root(leaves: list[bytes]) -> bytes:
    """RFC 9162 §2.1.1 word for word, over leaf hashes."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return hashlib.sha256(b"\x01" + naive_root(leaves[:split]) + naive_root(leaves[split:])).digest()


def naive_path(index: int, leaves: list[bytes]) -> list[bytes]:
    """RFC 9162 §2.1.3.1 word for word."""
    if len(leaves) == 1:
        return []
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    if index < split:
        return [*naive_path(index, leaves[:split]), naive_root(leaves[split:])]
    return [*naive_path(index - split, leaves[split:]), naive_root(leaves[:split])]


def naive_subproof(old: int, leaves: list[bytes], *, complete: bool) -> list[bytes]:
    """RFC 9162 §2.1.4.1 word for word."""
    if old == len(leaves):
        return [] if complete else [naive_root(leaves)]
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    if old <= split:
        return [*naive_subproof(old, leaves[:split], complete=complete), naive_root(leaves[split:])]
    return [*naive_subproof(old - split, leaves[split:], complete=False), naive_root(leaves[:split])]


def made(count: int) -> list[bytes]:
    return [leaf_hash(str(number).encode()) for number in range(count)]


def reader(leaves: list[bytes]):
    """Serves nodes as a store does that kept all that `grow` gave."""
    _, runs = grow(Frontier(), leaves)
    nodes = {(level, index): hash_ for run in runs for level, index, hash_ in run}
    return lambda level, index: nodes[level, index]


def test_the_roots_are_those_that_other_implementations_have():
    for size, expected in enumerate(KNOWN_ROOTS):
        assert root_of(leaf_hashes(KNOWN_LEAVES[:size])).hex() == expected


def test_the_proofs_are_those_of_the_rfc_s_example():
    """RFC 9162 §2.1.5: seven leaves, whose nodes have letters."""
    a, b, c, d, e, f, j = made(7)
    g, h, i = node_hash(a, b), node_hash(c, d), node_hash(e, f)
    k, l = node_hash(g, h), node_hash(i, j)  # noqa: E741 - the RFC's letters
    read = reader([a, b, c, d, e, f, j])
    assert inclusion_proof(0, 7, read) == (b, h, l)
    assert inclusion_proof(3, 7, read) == (c, g, l)
    assert inclusion_proof(4, 7, read) == (f, j, k)
    assert inclusion_proof(6, 7, read) == (i, k)
    assert consistency_proof(3, 7, read) == (c, d, g, l)
    assert consistency_proof(4, 7, read) == (l,)
    assert consistency_proof(6, 7, read) == (i, j, k)


@given(st.integers(0, 200), st.lists(st.integers(0, 60), max_size=8))
def test_a_tree_grown_in_any_steps_has_the_root_of_the_definition(first: int, steps: list[int]):
    leaves = made(first + sum(steps))
    frontier, done = Frontier().extend(leaves[:first]), first
    for step in steps:
        frontier, done = frontier.extend(leaves[done : done + step]), done + step
        assert Frontier.from_bytes(frontier.to_bytes()) == frontier
    one_by_one = Frontier()
    for leaf in leaves:
        one_by_one = one_by_one.append(leaf)
    assert frontier == one_by_one
    assert frontier.root() == naive_root(leaves)


@given(st.data(), st.integers(1, 150), st.integers(0, 150))
def test_proofs_are_those_of_the_definition_at_every_earlier_size(data: st.DataObject, size: int, more: int):
    leaves = made(size + more)
    read = reader(leaves)
    index = data.draw(st.integers(0, size - 1))
    old = data.draw(st.integers(0, size))
    root = naive_root(leaves[:size])
    path = inclusion_proof(index, size, read)
    assert list(path) == naive_path(index, leaves[:size])
    assert root_at(size, read) == root
    verify_inclusion(leaves[index], index, size, path, root)
    proof = consistency_proof(old, size, read)
    assert list(proof) == (naive_subproof(old, leaves[:size], complete=True) if old else [])
    verify_consistency(old, naive_root(leaves[:old]), size, root, proof)


@given(st.data(), st.integers(2, 90))
def test_any_change_to_an_inclusion_proof_fails(data: st.DataObject, size: int):
    leaves = made(size)
    index = data.draw(st.integers(0, size - 1))
    path, root = list(inclusion_proof(index, size, reader(leaves))), naive_root(leaves)
    other = data.draw(st.integers(0, size - 1).filter(lambda each: each != index))
    at = data.draw(st.integers(0, len(path) - 1))
    changed = [*path[:at], bytes(32), *path[at + 1 :]]
    for leaf, place, proof in (
        (leaves[other], index, path),
        (leaves[index], other, path),
        (leaves[index], index, path[:-1]),
        (leaves[index], index, [*path, bytes(32)]),
        (leaves[index], index, changed),
        (leaves[index], size, path),
    ):
        with pytest.raises(ProofInvalidError):
            verify_inclusion(leaf, place, size, proof, root)


@given(st.data(), st.integers(2, 90))
def test_any_change_to_a_consistency_proof_fails(data: st.DataObject, size: int):
    leaves = made(size)
    old = data.draw(st.integers(1, size - 1))
    proof = list(consistency_proof(old, size, reader(leaves)))
    roots = naive_root(leaves[:old]), naive_root(leaves)
    for parts in (
        (old, bytes(32), size, roots[1], proof),
        (old, roots[0], size, bytes(32), proof),
        (old, roots[0], size, roots[1], proof[:-1]),
        (old, roots[0], size, roots[1], [*proof, bytes(32)]),
        (old, roots[0], size, roots[1], [bytes(32), *proof[1:]]),
        (size, roots[1], old, roots[0], proof),
        (size, roots[0], size, roots[1], []),
        (0, roots[0], size, roots[1], []),
        (0, EMPTY_ROOT, size, roots[1], proof),
    ):
        with pytest.raises(ProofInvalidError):
            verify_consistency(*parts)


def test_a_proof_reads_at_most_two_nodes_a_level_of_a_huge_tree():
    size = 2**40 + 2**20 + 12345
    for index in (0, 1, size // 2, size - 1):
        nodes = [node for part in inclusion_path_nodes(index, size) for node in part]
        assert len(nodes) <= 2 * size.bit_length()
        assert all(node.end <= size for node in nodes)
    assert len(consistency_path_nodes(size - 7, size)) <= 2 * size.bit_length()
    assert sum(1 << node.level for node in root_nodes(size)) == size


@pytest.mark.parametrize("index", [-1, -2, -(2**63), MAX_SIZE, 2**64])
def test_an_index_that_no_leaf_can_have_is_refused(index: int):
    leaf = leaf_hash(b"")
    with pytest.raises(InputError):
        verify_inclusion(leaf, index, 1, (), leaf)


def test_sizes_beyond_the_range_and_hashes_of_another_length_are_refused():
    leaf = leaf_hash(b"")
    for size in (-1, 2**63, 2**70):
        with pytest.raises(InputError):
            verify_inclusion(leaf, 0, size, (), leaf)
        with pytest.raises(InputError):
            verify_consistency(0, EMPTY_ROOT, size, leaf, ())
        with pytest.raises(InputError):
            inclusion_path_nodes(0, size)
        with pytest.raises(InputError):
            consistency_path_nodes(0, size)
    with pytest.raises(InputError):
        verify_inclusion(leaf[:31], 0, 1, (), leaf)
    with pytest.raises(InputError):
        verify_consistency(1, leaf, 2, leaf, [b""])
    with pytest.raises(InputError):
        inclusion_path_nodes(3, 3)
    with pytest.raises(InputError):
        consistency_path_nodes(4, 3)


def test_a_frontier_that_does_not_fit_its_size_is_refused():
    with pytest.raises(InputError):
        Frontier(size=3, nodes=(bytes(32),))
    with pytest.raises(InputError):
        Frontier(size=2**63, nodes=(bytes(32),))
    for stored in (b"", bytes(7), (3).to_bytes(8, "big") + bytes(32), (2**64 - 1).to_bytes(8, "big") + bytes(64 * 32)):
        with pytest.raises(InputError):
            Frontier.from_bytes(stored)
    full = Frontier(size=MAX_SIZE, nodes=(bytes(32),) * 63)
    with pytest.raises(InputError):
        full.append(bytes(32))
    with pytest.raises(InputError):
        full.extend([bytes(32)])
