from dataclasses import replace

import pytest

from auditseal.adapters.registry_file import save_registry
from auditseal.adapters.signers.aws_kms import KmsMacVerifier
from auditseal.core.outside_check import AnchoredNote
from auditseal.core.registered_signer import Status
from auditseal.core.report import Code, Verdict
from auditseal.core.rotation import Step
from auditseal.core.times import parse_time
from auditseal.core.witness_policy import parse_policy
from auditseal.errors import ConflictError, NotCheckedError
from auditseal.service.registry_check import check_registry
from auditseal.service.rotate.activate import activate, check_locations, publish
from auditseal.service.rotate.emergency import Anchor, anchored, assess, emergency, witnessed
from auditseal.service.rotate.finish import disable, retire, seal, verify
from auditseal.service.rotate.start import Wish, abort, plan, start
from support.evidence import Witness
from support.kms import shared_calls_to as open_calls_to
from support.rotating import ALIAS, NEW, OLD, Deployment

PAIRS = [
    ("ed25519", "ed25519"),
    ("rsa-sha256", "ed25519"),
    ("ed25519", "ml-dsa-44"),
    ("rsa-pss-sha256", "ecdsa-p256-sha256"),
    ("ecdsa-p256-sha256", "rsa-sha256"),
    ("hmac-sha256", "ed25519"),
    ("ed25519", "hmac-sha256"),
    ("hmac-sha256", "hmac-sha256"),
]
WISH = Wish(overlap_s=0, alias=ALIAS)


@pytest.fixture
def deployment(kms, tmp_path):
    made = Deployment(tmp_path, kms.url, kms.region)
    made.create()
    made.append()
    return made


@pytest.fixture
def desk(deployment):
    made = deployment.desk()
    yield made
    made.store.close()
    made.keys.close()


@pytest.mark.parametrize(("before", "after"), PAIRS, ids=["-to-".join(pair) for pair in PAIRS])
def test_a_rotation_of_each_pair_of_algorithms_ends_with_a_log_that_verifies(kms, tmp_path, before, after):
    deployment = Deployment(tmp_path, kms.url, kms.region)
    deployment.create(before)
    deployment.append()
    macs = "hmac" in before + after
    desk = deployment.desk(published=True)
    verifier = KmsMacVerifier(open_calls_to(kms.url, kms.region)) if macs else None
    with deployment.open_log() as log:
        rotation = start(desk, Wish(algorithm=after, overlap_s=0, alias=ALIAS))
        assert (rotation.step, rotation.new_id) == (Step.ANNOUNCED, NEW)
        with pytest.raises(NotCheckedError, match="verifiers would not know"):
            activate(desk, rotation)
        publish(desk)
        log.append("agent.spawned", {"before": True})
        rotation = activate(desk, rotation)
        receipt = log.append("agent.spawned", {"after": True})
        assert (rotation.step, receipt.signer, receipt.status) == (Step.ACTIVE, NEW, "signed")
        publish(desk)
        rotation = verify(desk, rotation, mac_verifier=verifier)
        rotation = retire(desk, rotation)
        if before.startswith("hmac"):
            with pytest.raises(ConflictError, match="MACs"):
                disable(desk, rotation)
            if after.startswith("hmac"):
                with pytest.raises(ConflictError, match="makes MACs too"):
                    seal(desk, rotation, mac_verifier=verifier)
            else:
                seal(desk, rotation, mac_verifier=verifier)
        rotation = disable(
            desk, rotation, mac_verifier=verifier, accept_unverifiable_macs=before == after == "hmac-sha256"
        )
        assert log.append("agent.spawned", {"at the end": True}).signer == NEW
    assert rotation.step is Step.DISABLED
    states = {key.spec_name: key.state for key in kms.service.store.keys.values()}
    assert sorted(states.values()) == ["Disabled", "Enabled"] or before == after
    assert desk.keys.describe(ALIAS).arn == rotation.new.key_arn
    assert desk.keys.find_alias(f"{ALIAS}-next") is None
    if not macs:
        assert deployment.audit().verdict is Verdict.VALID
    assert check_registry(deployment.registry(), desk.store).findings == ()


def test_the_entry_that_hands_over_is_signed_by_both_and_the_ranges_meet_there(deployment, desk):
    rotation = activate(desk, start(desk, WISH))
    (seq,) = rotation.switched.values()
    assert set(deployment.signers_of()[seq]) == {OLD, NEW}
    registry = deployment.registry()
    assert registry.find(OLD).valid_until.seq == {"default": seq + 1}
    assert registry.find(NEW).valid_from.seq == {"default": seq}
    assert deployment.audit().verdict is Verdict.VALID


def test_several_streams_go_over_together(deployment):
    deployment.append(stream="other")
    desk = deployment.desk()
    with deployment.open_log() as log:
        rotation = activate(desk, start(desk, WISH))
        assert set(rotation.switched) == {"default", "other"}
        assert {log.append("x", {}, stream=stream).signer for stream in ("default", "other")} == {NEW}
    assert deployment.audit().verdict is Verdict.VALID


def test_replicas_on_postgresql_go_over_together(kms, tmp_path, postgres):
    database = postgres.create_log_database()
    deployment = Deployment(tmp_path, kms.url, kms.region, address=postgres.url(database))
    deployment.create()
    deployment.append()
    desk = deployment.desk()
    with deployment.open_log() as one, deployment.open_log() as other:
        before = [log.append("x", {}).signer for log in (one, other, one)]
        rotation = activate(desk, start(desk, WISH))
        after = [log.append("x", {}).signer for log in (other, one, other)]
        rotation = disable(desk, retire(desk, verify(desk, rotation)))
        after += [log.append("x", {}).signer for log in (one, other)]
    assert (set(before), set(after)) == ({OLD}, {NEW})
    assert deployment.audit().verdict is Verdict.VALID
    assert check_registry(deployment.registry(), desk.store).findings == ()
    desk.store.close()


def test_a_stream_that_one_writer_begins_after_the_switch_others_carry_on(deployment, desk):
    with deployment.open_log() as one, deployment.open_log() as other:
        activate(desk, start(desk, WISH))
        signers = [log.append("x", {}, stream="fresh").signer for log in (one, other)]
        for number in range(60):  # more than a writer looks back on
            one.append("x", {"n": number}, stream="fresh", ack="durable")
        signers.append(deployment.open_log().append("x", {}, stream="fresh").signer)
    assert signers == [NEW, NEW, NEW]


def test_a_stream_that_is_not_named_stays_with_the_old_signer(deployment):
    deployment.append(stream="other")
    desk = deployment.desk()
    with deployment.open_log() as log:
        activate(desk, start(desk, Wish(streams=("default",), overlap_s=0)))
        signers = [log.append("x", {}, stream=stream).signer for stream in ("default", "other", "default")]
    assert signers == [NEW, OLD, NEW]
    assert deployment.audit().verdict is Verdict.VALID


def test_a_writer_that_starts_under_the_old_name_finds_whose_turn_it_is(deployment, desk):
    activate(desk, start(desk, WISH))
    with deployment.open_log(OLD) as log:
        assert log.append("x", {}).signer == NEW
    with deployment.open_log(OLD) as log:
        assert log.append("x", {}).signer == NEW


def test_a_second_rotation_follows_the_first(deployment, desk):
    with deployment.open_log() as log:
        for number in (2027, 2028):
            rotation = activate(desk, start(desk, WISH))
            assert (rotation.new_id, log.append("x", {}).signer) == (f"audit-{number}", f"audit-{number}")
            rotation = disable(desk, retire(desk, verify(desk, rotation)))
    assert deployment.audit().verdict is Verdict.VALID
    with deployment.open_log(OLD) as log:
        assert log.append("x", {}).signer == "audit-2028"


def test_doing_every_step_twice_changes_nothing(kms, deployment, desk):
    rotation = start(desk, WISH)
    assert start(desk, WISH) == rotation
    rotation = activate(desk, rotation)
    assert activate(desk, rotation) == rotation
    rotation = verify(desk, rotation)
    entries = desk.store.head("default").seq
    rotation = retire(desk, rotation)
    assert retire(desk, rotation) == rotation
    rotation = disable(desk, rotation)
    assert disable(desk, rotation) == rotation
    assert desk.store.head("default").seq == entries + 2
    assert len(kms.service.store.keys) == 2


def test_steps_are_refused_before_their_turn(deployment, desk):
    rotation = start(desk, Wish(overlap_s=3600))
    for step in (verify, retire, disable):
        with pytest.raises(ConflictError, match="do activate first"):
            step(desk, rotation)
    rotation = verify(desk, activate(desk, rotation))
    with pytest.raises(ConflictError, match="kept ready until"):
        retire(desk, rotation)
    with pytest.raises(ConflictError, match="carry it on with auditseal rotate retire"):
        start(desk, WISH)


def test_two_different_rotations_at_once_are_refused(deployment, desk):
    start(desk, WISH)
    other = deployment.desk()
    with pytest.raises(ConflictError, match="is under way"):
        start(other, Wish(overlap_s=0, alias=ALIAS, new_id="mine"))
    with pytest.raises(ConflictError, match="is under way"):
        start(other, Wish(overlap_s=0, alias=ALIAS, algorithm="rsa-sha256"))


def test_two_operators_who_begin_the_same_rotation_share_one_key(kms, deployment):
    import threading

    outcomes = []

    def begin():
        outcomes.append(start(deployment.desk(), WISH))

    threads = [threading.Thread(target=begin) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcomes[0].new == outcomes[1].new
    enabled = [key for key in kms.service.store.keys.values() if key.state == "Enabled"]
    assert len(enabled) == 2


def test_abort_goes_back_and_lets_another_begin(kms, deployment, desk):
    rotation = start(desk, WISH)
    new_arn = rotation.new.key_arn
    assert abort(desk, rotation).step is Step.ABANDONED
    assert abort(desk, desk.latest(())).step is Step.ABANDONED
    assert deployment.registry().find(NEW) is None
    assert desk.keys.describe(new_arn).state == "Disabled"
    assert desk.keys.find_alias(f"{ALIAS}-next") is None
    again = activate(desk, start(desk, WISH))
    assert again.new.key_arn != new_arn
    with pytest.raises(ConflictError, match="signs already"):
        abort(desk, again)
    assert check_registry(deployment.registry(), desk.store).findings == ()


def test_a_plan_and_a_dry_run_change_nothing(kms, deployment):
    desk = replace(deployment.desk(), dry_run=True)
    kms.service.forget_records()
    head = desk.store.head("default")
    assert replace(plan(desk, WISH), token="") == replace(start(desk, WISH), token="")
    assert (desk.store.head("default"), len(deployment.registry())) == (head, 1)
    assert kms.records("CreateKey", "Sign", "UpdateAlias") == []


def test_a_location_that_serves_another_key_is_named(deployment, desk):
    published = deployment.desk(published=True)
    rotation = start(published, WISH)
    deployment.publish()
    assert [item.why_not for item in check_locations(published, rotation)] == [None]
    impostor = deployment.registry().find(OLD)
    changed = deployment.registry().find(NEW)
    other = replace(changed, public_key=impostor.public_key)
    save_registry(deployment.published_path, replace(deployment.registry(), signers=(impostor, other)))
    (item,) = check_locations(published, rotation)
    assert "another key" in item.why_not


class TestEmergency:
    def test_the_key_is_revoked_at_once_and_what_rests_on_it_is_said(self, kms, deployment, desk):
        old_arn = deployment.registry().find(OLD).key_arn
        with deployment.open_log() as log:
            anchored = desk.store.entry("default", 2)
            anchor = Anchor(stream="default", seq=2, hash=anchored.hash, time="2020-01-01T00:00:00.000000Z")
            late = Anchor(stream="default", seq=4, hash=anchored.hash, time="2099-01-01T00:00:00.000000Z")
            rotation, (damage,) = emergency(
                desk, WISH, since="2026-01-01T00:00:00.000000Z", reason="stolen", anchors=[anchor, late]
            )
            assert log.append("x", {}).signer == NEW
        assert (damage.proven_to, damage.contradicted) == (2, ())
        assert damage.in_doubt == (3, rotation.switched["default"] - 1)
        assert deployment.registry().find(OLD).status is Status.REVOKED
        assert desk.keys.describe(old_arn).state == "Disabled"
        again, (same,) = emergency(desk, WISH, since="2026-01-01T00:00:00.000000Z", reason="stolen", anchors=[anchor])
        assert (again.id, same.proven_to) == (rotation.id, 2)
        assert len(kms.service.store.keys) == 2

    def test_a_log_that_is_not_what_was_anchored_was_rewritten(self, deployment, desk):
        anchor = Anchor(stream="default", seq=2, hash=b"\x00" * 32, time="2020-01-01T00:00:00.000000Z")
        _, (damage,) = emergency(desk, WISH, since="2026-01-01T00:00:00.000000Z", reason="stolen", anchors=[anchor])
        assert (damage.proven_to, damage.contradicted) == (-1, (anchor,))

    def test_witnesses_and_anchors_from_before_the_theft_prove_entries_and_later_ones_do_not(self, kms, tmp_path):
        deployment = Deployment(tmp_path, kms.url, kms.region, checkpoints=True)
        deployment.create()
        deployment.append()
        desk = deployment.desk()
        witness = Witness("witness.example/w1")
        policy = parse_policy(f"witness w1 {witness.key.vkey()}\nquorum w1\n")
        checkpoints = list(desk.store.checkpoints(["default"]))
        first = checkpoints[0]
        desk.store.add_cosignatures("default", first.size, [witness.cosign(first.text, 1_000_000_000)])
        deployment.append()
        later = list(desk.store.checkpoints(["default"]))[-1]
        desk.store.add_cosignatures("default", later.size, [witness.cosign(later.text, 4_000_000_000)])
        since = "2026-01-01T00:00:00.000000Z"
        anchors = witnessed(desk.store, policy, ["default"], since=since)
        assert [(each.seq, each.time) for each in anchors] == [(first.size - 1, "2001-09-09T01:46:40.000000Z")]
        note = AnchoredNote(note=later.note(), time=parse_time("2025-01-01T00:00:00.000000Z"), where="git:anchors")
        late = replace(note, time=parse_time("2027-01-01T00:00:00.000000Z"))
        undated = replace(note, time=None)
        planned = plan(desk, WISH)
        (damage,) = assess(desk, planned, since=since, anchors=anchors)
        assert (damage.proven_to, damage.in_doubt[0]) == (first.size - 1, first.size)
        (damage,) = assess(desk, planned, since=since, anchors=[*anchors, *anchored({"default": [late, undated]})])
        assert damage.proven_to == first.size - 1
        (damage,) = assess(desk, planned, since=since, anchors=[*anchors, *anchored({"default": [note]})])
        assert (damage.proven_to, damage.proven_by.where) == (later.size - 1, "git:anchors")
        forged = replace(anchors[0], root=bytes(32))
        (damage,) = assess(desk, planned, since=since, anchors=[forged])
        assert (damage.proven_to, damage.contradicted) == (-1, (forged,))

    def test_what_follows_it_is_verified_although_the_revoked_keys_entries_prove_nothing(self, deployment, desk):
        rotation, _ = emergency(desk, WISH, since="2026-01-01T00:00:00.000000Z", reason="stolen")
        rotation = verify(desk, rotation)
        assert (rotation.step, rotation.next_action) == (Step.VERIFIED, None)
        assert start(desk, WISH).old.signer_id == NEW

    def test_a_verifier_with_the_revoked_key_rejects_what_it_signed(self, deployment, desk):
        emergency(desk, WISH, since="2026-01-01T00:00:00.000000Z", reason="stolen")
        report = deployment.audit()
        assert {finding.code for finding in report.findings} == {Code.SIGNER_NOT_VALID_HERE}
