from dataclasses import replace

import pytest

from auditseal.core.chain import Head, entry_hash, extend
from auditseal.core.covering import Covering, Outcome
from auditseal.core.draft import Limits, make_draft
from auditseal.core.entry import Columns, StoredEntry, StoredSignature
from auditseal.core.event import Event
from auditseal.core.explain import explain_entry, is_signed
from auditseal.core.registered_signer import Status
from auditseal.core.registry import Registry
from auditseal.service.ids import new_id
from fakes.scripted_signer import ScriptedSigner

SIGNER = ScriptedSigner()
REGISTRY = SIGNER.registry()


def _log(count=3):
    drafts = [
        make_draft(Event(type="test.event", payload={"n": number}), new_id=new_id(), limits=Limits())
        for number in range(count)
    ]
    stored = []
    for entry in extend(Head(stream="default"), drafts, 1_700_000_000_000_000):
        signature = StoredSignature(
            signer=SIGNER.signer_id, algorithm="ed25519", signature=SIGNER.sign(entry.hash).signature
        )
        columns = Columns(id=entry.id, time=entry.time, type=entry.type, actor=entry.actor)
        stored.append(
            StoredEntry(
                stream=entry.stream,
                seq=entry.seq,
                body=entry.body,
                prev_hash=entry.prev_hash,
                hash=entry.hash,
                columns=columns,
                signatures=(signature,),
            )
        )
    return stored


BEFORE, HERE, AFTER = _log()


def _holds(explanation):
    return {check.name: check.holds for check in explanation.checks}


def _explain(*, before=BEFORE, after=AFTER, registry=REGISTRY, covering=None, **changes):
    return explain_entry(replace(HERE, **changes), before, after, registry, covering)


def _covered(outcome=Outcome.HOLDS, **members):
    return Covering(**{"size": 5, "outcome": outcome, "signer": "audit-2026", "has": HERE.hash, **members})


def test_a_whole_entry_is_sound():
    explanation = _explain()
    assert explanation.is_sound
    assert set(_holds(explanation).values()) == {True}
    assert "Nothing is wrong" in explanation.meaning


def test_at_the_ends_a_link_is_not_checked():
    first = explain_entry(BEFORE, None, HERE, REGISTRY)
    assert _holds(first)["link back"] is True
    last = explain_entry(AFTER, HERE, None, REGISTRY)
    assert (_holds(last)["link ahead"], last.is_sound) == (None, True)
    alone = _explain(before=None, after=None)
    assert (_holds(alone)["link back"], alone.is_sound) == (None, True)


def test_a_changed_body_is_told_by_the_signature_that_still_holds_over_the_old_hash():
    explanation = _explain(body=HERE.body.replace(b'"n":1', b'"n":2'))
    assert not explanation.is_sound
    assert (_holds(explanation)["hash"], _holds(explanation)["signature by audit-2026"]) == (False, True)
    assert "changed after it was signed" in explanation.meaning
    assert "--against" in explanation.advice


def test_a_changed_hash_is_told_by_the_signature_that_holds_over_the_body():
    explanation = _explain(hash=bytes(32))
    assert "stored hash was changed" in explanation.meaning
    (signature,) = [check for check in explanation.checks if check.name.startswith("signature")]
    assert (signature.holds, "hash of the body" in signature.detail) == (False, True)


def test_where_nothing_agrees_nothing_is_claimed():
    explanation = _explain(body=HERE.body.replace(b'"n":1', b'"n":2'), hash=bytes(32))
    assert "No two of body, hash and signature agree" in explanation.meaning


def test_an_entry_rewritten_with_its_hash_no_longer_joins_what_follows():
    body = HERE.body.replace(b'"n":1', b'"n":2')
    explanation = _explain(body=body, hash=entry_hash(body, HERE.prev_hash))
    assert (_holds(explanation)["link ahead"], _holds(explanation)["hash"]) == (False, True)
    assert "written anew" in explanation.meaning


def test_a_replaced_signature_leaves_two_possibilities():
    explanation = _explain(signatures=AFTER.signatures)
    assert "or the signature was replaced" in explanation.meaning


def test_a_changed_column_leaves_the_body_to_be_trusted():
    explanation = _explain(columns=replace(HERE.columns, actor="user:mallory"))
    assert _holds(explanation)["columns"] is False
    (check,) = [check for check in explanation.checks if check.name == "columns"]
    assert "user:mallory" in check.detail
    assert "Trust the body" in explanation.advice


def test_a_foreign_form_with_the_right_hash_is_named():
    body = HERE.body.replace(b'"n":1', b'"n": 1')
    hash_ = entry_hash(body, HERE.prev_hash)
    signature = replace(HERE.signatures[0], signature=SIGNER.sign(hash_).signature)
    explanation = _explain(body=body, hash=hash_, signatures=(signature,), after=None)
    assert _holds(explanation)["form"] is False
    assert "not one that auditseal wrote" in explanation.meaning


def test_a_body_that_is_not_json_is_explained_as_well():
    explanation = _explain(body=b"\xff", columns=None)
    assert (_holds(explanation)["form"], _holds(explanation)["hash"]) == (False, False)


@pytest.mark.parametrize("neighbour", ["before", "after"])
def test_a_replaced_neighbour_is_not_this_entrys_fault(neighbour):
    other = {"before": replace(BEFORE, hash=bytes(32)), "after": replace(AFTER, prev_hash=bytes(32))}[neighbour]
    explanation = _explain(**{neighbour: other})
    assert not explanation.is_sound
    assert "The entry itself is whole" in explanation.meaning


def test_a_first_entry_that_claims_to_follow_another_does_not_hold():
    explanation = explain_entry(replace(BEFORE, prev_hash=bytes(32)), None, HERE, REGISTRY)
    assert _holds(explanation)["link back"] is False


def test_an_unsigned_entry_proves_nothing_by_itself():
    explanation = _explain(signatures=())
    assert (_holds(explanation)["signature"], explanation.is_sound) == (None, True)
    assert "no signature that can be checked here" in explanation.meaning


def test_an_unknown_signer_is_not_checked():
    explanation = _explain(registry=Registry())
    assert _holds(explanation)["signature by audit-2026"] is None
    assert "no such signer" in explanation.checks[-1].detail


def test_a_signature_of_a_signer_that_is_not_valid_here_is_named():
    from auditseal.core.validity import Bound

    ended = REGISTRY.with_changed("audit-2026", valid_until=Bound(seq={"default": 1}))
    explanation = _explain(registry=ended)
    assert _holds(explanation)["signature by audit-2026"] is False
    assert "before seq 1" in explanation.checks[-1].detail
    assert explanation.meaning.startswith("The entry is whole, and its signature proves nothing")


def test_a_signature_that_does_not_count_beside_one_that_does_is_no_tampering():
    other = ScriptedSigner(signer_id="audit-2025")
    signature = StoredSignature(
        signer="audit-2025", algorithm=other.algorithm.id, signature=other.sign(HERE.hash).signature
    )
    revoked = other.registry().with_changed("audit-2025", status=Status.REVOKED)
    registry = Registry(signers=(*REGISTRY.signers, *revoked.signers))
    explanation = _explain(registry=registry, signatures=(*HERE.signatures, signature))
    assert not explanation.is_sound
    assert explanation.meaning.startswith("The entry is whole and signed. A further signature")
    forged = replace(signature, signature=bytes(64))
    assert "the signature does not" in _explain(registry=registry, signatures=(*HERE.signatures, forged)).meaning


def test_each_of_several_signatures_has_a_check():
    strange = StoredSignature(signer="stranger", algorithm="ed25519", signature=bytes(64))
    explanation = _explain(signatures=(*HERE.signatures, strange))
    assert _holds(explanation)["signature by audit-2026"] is True
    assert _holds(explanation)["signature by stranger"] is None


def test_a_development_key_is_marked():
    SIGNER.development = True
    try:
        registry = SIGNER.registry()
    finally:
        SIGNER.development = False
    assert "development key" in _explain(registry=registry).checks[-1].detail


def test_a_checkpoint_stands_in_for_a_signature_of_the_entrys_own():
    explanation = _explain(signatures=(), covering=_covered())
    assert (explanation.is_sound, explanation.is_conclusive) == (True, True)
    assert "signature" not in _holds(explanation)
    assert explanation.checks[-1].detail == "the signed checkpoint of size 5 by audit-2026 has it at its place"
    assert "Nothing is wrong" in explanation.meaning


def test_the_heads_and_a_development_key_are_named():
    explanation = _explain(signatures=(), covering=_covered(heads_seq=3, development=True))
    assert explanation.checks[-1].detail.endswith("signed through entry 3 of auditseal/heads, a development key")


def test_a_checkpoint_that_was_not_checked_leaves_the_entry_unproven():
    explanation = _explain(signatures=(), covering=_covered(Outcome.NOT_CHECKED, signer=None, problem="nobody known"))
    assert (explanation.is_sound, explanation.is_conclusive) == (True, False)
    assert explanation.checks[-1].detail == "the checkpoint of size 5: nobody known"
    assert "no signature that can be checked here" in explanation.meaning


@pytest.mark.parametrize(
    ("covering", "meaning"),
    [
        (_covered(Outcome.OTHER_HASH, has=bytes(32)), "written anew, together and without the key"),
        (_covered(Outcome.OTHER_TREE, has=None), "not those that were signed"),
        (_covered(Outcome.BAD_CHECKPOINT, has=None), "none that the log signed"),
        (_covered(Outcome.NOT_VALID, has=None), "not valid at this place"),
    ],
)
def test_each_way_in_which_a_checkpoint_does_not_hold_has_a_meaning(covering, meaning):
    explanation = _explain(signatures=(), covering=covering)
    assert not explanation.is_sound
    assert _holds(explanation)["checkpoint"] is False
    assert meaning in explanation.meaning


@pytest.mark.parametrize(
    ("covering", "meaning"),
    [
        (_covered(), "signed checkpoint still has the hash of the body that was there"),
        (_covered(Outcome.OTHER_TREE, has=None), "No two of body, hash and signature agree"),
        (_covered(Outcome.OTHER_HASH, has=bytes(32)), "No two of body, hash and signature agree"),
    ],
)
def test_a_changed_body_is_told_by_the_checkpoint(covering, meaning):
    explanation = _explain(signatures=(), body=HERE.body.replace(b'"n":1', b'"n":2'), covering=covering)
    assert meaning in explanation.meaning


def test_a_changed_hash_is_told_by_the_checkpoint_that_has_the_body():
    explanation = _explain(signatures=(), hash=bytes(32), covering=_covered(Outcome.OTHER_HASH))
    assert "the body is the one that the signed checkpoint has" in explanation.meaning
    assert "the hash of the body, and not the stored one" in explanation.checks[-1].detail


def test_a_replaced_signature_is_told_by_the_checkpoint_that_has_the_entry():
    explanation = _explain(signatures=AFTER.signatures, covering=_covered())
    assert "the signature beside it is none that counts" in explanation.meaning


def test_a_changed_part_of_a_covered_entry_is_named_as_with_a_signature():
    explanation = _explain(signatures=(), columns=replace(HERE.columns, actor="x"), covering=_covered())
    assert "Trust the body" in explanation.advice


def test_a_kept_node_that_was_changed_has_a_check_of_its_own():
    explanation = _explain(signatures=(), covering=_covered(kept_differs=True))
    assert (_holds(explanation)["checkpoint"], _holds(explanation)["kept tree"]) == (True, False)
    assert "a node of the tree" in explanation.meaning


def test_an_entry_is_signed_by_a_signature_that_holds_over_its_stored_hash():
    assert is_signed(HERE, REGISTRY)
    assert is_signed(replace(HERE, body=b"{}"), REGISTRY)
    assert not is_signed(replace(HERE, hash=bytes(32)), REGISTRY)
    assert not is_signed(replace(HERE, signatures=()), REGISTRY)
    assert not is_signed(HERE, Registry())
