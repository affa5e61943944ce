"""What Go's sumdb packages say of notes and trees (`script/differential` makes them), replayed without Go."""

from __future__ import annotations

import base64
import hashlib

import pytest

from auditseal.core.merkle import leaf_hash, leaf_hashes, root_of
from auditseal.core.merkle_proof import verify_consistency, verify_inclusion
from auditseal.core.note import parse_note, verify_note
from auditseal.core.note_key import parse_vkey, verifier_for
from auditseal.errors import AuditSealError, ProofInvalidError
from support.vectors import load_vectors

VECTORS = load_vectors("transparency")
LEAVES = [hashlib.sha256(b"leaf %d" % number).digest() for number in range(VECTORS["leaves"])]
ROOTS = {size: base64.b64decode(root) for size, root in VECTORS["roots"]}


@pytest.mark.parametrize(
    "case", VECTORS["notes"], ids=lambda case: hashlib.sha256(case["note"].encode()).hexdigest()[:8]
)
def test_notes_are_opened_and_refused_as_go_does(case):
    def opened():
        note = parse_note(case["note"].encode())
        verify_note(note, [verifier_for(parse_vkey(vkey)) for vkey in case["vkeys"]])
        return note.text

    if case["opened"]:
        assert opened() == case["opened"]
    else:
        with pytest.raises(AuditSealError):
            opened()


def test_roots_are_those_of_go():
    assert {size: root_of(leaf_hashes(LEAVES[:size])) for size in ROOTS} == ROOTS


def test_go_s_inclusion_proofs_hold_for_their_leaf_alone():
    assert len(VECTORS["inclusion"]) > 10
    for index, size, path in VECTORS["inclusion"]:
        hashes = [base64.b64decode(each) for each in path]
        verify_inclusion(leaf_hash(LEAVES[index]), index, size, hashes, ROOTS[size])
        with pytest.raises(ProofInvalidError):
            verify_inclusion(leaf_hash(b"another"), index, size, hashes, ROOTS[size])


def test_go_s_consistency_proofs_hold_for_their_trees_alone():
    assert len(VECTORS["consistency"]) > 10
    for old, new, path in VECTORS["consistency"]:
        hashes = [base64.b64decode(each) for each in path]
        verify_consistency(old, ROOTS[old], new, ROOTS[new], hashes)
        with pytest.raises(ProofInvalidError):
            verify_consistency(old, bytes(32), new, ROOTS[new], hashes)
