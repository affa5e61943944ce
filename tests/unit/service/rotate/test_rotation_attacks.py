"""What somebody could try around a rotation, each with the one finding or refusal that answers it."""

from dataclasses import replace

import pytest

from auditseal.adapters.registry_file import save_registry
from auditseal.core.algorithm import parse_algorithm
from auditseal.core.entry import StoredSignature
from auditseal.core.event import Event
from auditseal.core.registered_signer import Status
from auditseal.core.report import Code, Verdict
from auditseal.core.rotation import ACTIVATED, ADDED, PLANNED, Step, plan_payload
from auditseal.core.rotation_event import ROTATED, Handover, Proof, name_of
from auditseal.core.validity import Bound
from auditseal.errors import ConflictError, InputError
from auditseal.ports import NewSignature
from auditseal.service.registry_check import RegistryCode, check_registry
from auditseal.service.rotate.activate import activate
from auditseal.service.rotate.start import Wish, plan, start
from support.rotating import ALIAS, NEW, OLD, Deployment

WISH = Wish(overlap_s=0, alias=ALIAS)


@pytest.fixture
def deployment(kms, tmp_path):
    made = Deployment(tmp_path, kms.url, kms.region)
    made.create()
    made.append()
    return made


@pytest.fixture
def rotated(deployment):
    """The deployment after a rotation, with five entries behind it; the seq at which it went over."""
    desk = deployment.desk()
    rotation = activate(desk, start(desk, WISH))
    deployment.append()
    yield deployment, desk, rotation.switched["default"]
    desk.close()


def codes(report):
    return {finding.code for finding in report.findings}


def sign_again(deployment, desk, seq, signer_id):
    """An entry of the log, unsigned until now, signed by a signer of the attacker's choice."""
    signer = deployment.signers.open(deployment.registry().find(signer_id))
    entry = desk.store.entry("default", seq)
    made = StoredSignature(signer=signer_id, algorithm=signer.algorithm.id, signature=signer.sign(entry.hash).signature)
    desk.store.add_signatures([NewSignature(stream="default", seq=seq, signature=replace(made, entry_hash=entry.hash))])
    signer.close()


def test_the_old_key_signing_after_its_range_is_not_valid_there(rotated):
    deployment, desk, _ = rotated
    entry = desk.own.append(Event(type="forged", payload={}))
    sign_again(deployment, desk, entry.seq, OLD)
    report = deployment.audit()
    assert (report.verdict, codes(report)) == (Verdict.INVALID, {Code.SIGNER_NOT_VALID_HERE})


def test_the_new_key_signing_the_past_anew_is_not_valid_there(deployment):
    desk = deployment.desk()
    unsigned = desk.own.append(Event(type="old", payload={}))
    rotation = start(desk, WISH)
    new = deployment.signers.open(deployment.registry().find(NEW))
    made = new.sign(unsigned.hash)
    signature = StoredSignature(signer=NEW, algorithm="ed25519", signature=made.signature, entry_hash=unsigned.hash)
    desk.store.add_signatures([NewSignature(stream="default", seq=unsigned.seq, signature=signature)])
    activate(desk, rotation)
    assert codes(deployment.audit()) == {Code.SIGNER_NOT_VALID_HERE}


def test_a_gap_between_the_ranges_is_found_by_both_verification_and_the_chain(rotated):
    deployment, desk, switched = rotated
    registry = deployment.registry().with_changed(NEW, valid_from=Bound(seq={"default": switched + 3}))
    assert codes(deployment.audit(registry)) == {Code.SIGNER_NOT_VALID_HERE}
    found = {finding.code for finding in check_registry(registry, desk.store).findings}
    assert found == {RegistryCode.RANGE_GAP, RegistryCode.RANGE_DIFFERS}


def test_overlapping_ranges_are_found(rotated):
    deployment, desk, switched = rotated
    registry = deployment.registry().with_changed(OLD, valid_until=Bound(seq={"default": switched + 4}))
    found = {finding.code for finding in check_registry(registry, desk.store).findings}
    assert found == {RegistryCode.RANGES_OVERLAP, RegistryCode.RANGE_DIFFERS}


def test_a_registry_that_was_rolled_back_is_found_by_the_chain_and_is_no_false_alarm(rotated):
    deployment, desk, _ = rotated
    old = deployment.registry().find(OLD)
    rolled_back = replace(deployment.registry(), signers=(replace(old, valid_until=None, extra={}),))
    report = deployment.audit(rolled_back)
    assert (report.verdict, codes(report)) == (Verdict.INCONCLUSIVE, {Code.UNKNOWN_SIGNER})
    found = {finding.code for finding in check_registry(rolled_back, desk.store).findings}
    assert found == {RegistryCode.SIGNER_MISSING}


def test_a_registry_of_the_time_before_the_activation_is_inconclusive_too(rotated):
    deployment, _, _ = rotated
    before = deployment.registry().with_changed(NEW, status=Status.ANNOUNCED, valid_from=None)
    report = deployment.audit(before)
    assert (report.verdict, codes(report)) == (Verdict.INCONCLUSIVE, {Code.UNKNOWN_SIGNER})


def test_a_retirement_that_the_registry_does_not_know_is_found(rotated):
    from auditseal.service.rotate.finish import retire, verify

    deployment, desk, _ = rotated
    retire(desk, verify(desk, desk.latest(())))
    stale = deployment.registry().with_changed(OLD, status=Status.ACTIVE)
    (finding,) = check_registry(stale, desk.store).findings
    assert finding.code is RegistryCode.STATUS_DIFFERS


def test_a_signer_that_somebody_added_to_the_registry_and_no_entry_tells_of_is_found(rotated):
    deployment, desk, _ = rotated
    mine = replace(deployment.registry().find(OLD), signer_id="mine", valid_until=None, extra={})
    (finding,) = check_registry(deployment.registry().with_signer(mine), desk.store).findings
    assert (finding.code, finding.signer_id) == (RegistryCode.SIGNER_NOT_TOLD, "mine")


class TestForgedHandovers:
    """An application may append what it likes; only what both keys signed makes a writer go over."""

    @pytest.fixture
    def announced(self, deployment):
        desk = deployment.desk()
        start(desk, WISH)
        yield deployment, desk
        desk.close()

    def forge(self, deployment, desk, *, signers=(OLD, NEW), change=None):
        registry = deployment.registry()
        head = desk.store.head("default")
        handover = Handover(
            rotation="forged",
            stream="default",
            old=name_of(registry.find(OLD)),
            new=name_of(registry.find(NEW)),
            after_seq=head.seq,
            after_hash=head.hash,
        )
        proofs = []
        for signer_id in signers:
            signer = deployment.signers.open(registry.find(signer_id))
            proofs.append(Proof(signer_id, "ed25519", signer.sign(handover.digest()).signature, None))
            signer.close()
        stated = change(handover) if change else handover
        desk.own.append(Event(type=ROTATED, stream="default", payload=stated.payload(proofs)))

    def next_signer(self, deployment):
        with deployment.open_log() as log:
            return log.append("x", {}).signer

    def test_one_that_both_keys_signed_is_obeyed(self, announced):
        self.forge(*announced)
        assert self.next_signer(announced[0]) == NEW

    @pytest.mark.parametrize("signers", [(), (OLD,), (NEW,)])
    def test_one_that_a_key_did_not_sign_is_nobodys_word(self, announced, signers):
        self.forge(*announced, signers=signers)
        assert self.next_signer(announced[0]) == OLD
        announced[0].sign_pending()
        assert codes(announced[0].audit()) == {Code.BAD_ROTATION}

    def test_one_without_the_old_key_counts_from_when_the_registry_revokes_it(self, announced):
        deployment, desk = announced
        with deployment.open_log() as log:
            self.forge(deployment, desk, signers=(NEW,))
            assert log.append("x", {}).signer == OLD
            registry = deployment.registry().with_changed(NEW, status=Status.ACTIVE)
            save_registry(deployment.registry_path, registry.with_changed(OLD, status=Status.REVOKED))
            assert log.append("x", {}).signer == OLD
            registry = deployment.registry().with_changed(OLD, extra={"successor": NEW})
            save_registry(deployment.registry_path, registry)
            assert log.append("x", {}).signer == NEW

    @pytest.mark.parametrize(
        "change",
        [
            lambda handover: replace(handover, rotation="another"),
            lambda handover: replace(handover, after_seq=handover.after_seq - 1),
            lambda handover: replace(handover, after_hash=b"\x00" * 32),
            lambda handover: replace(handover, old=handover.new, new=handover.old),
            lambda handover: replace(handover, new=handover.new._replace(fingerprint="00" * 32)),
        ],
        ids=["rotation", "head", "hash", "direction", "key"],
    )
    def test_one_whose_statement_was_changed_is_nobodys_word(self, announced, change):
        self.forge(*announced, change=change)
        assert self.next_signer(announced[0]) == OLD

    def test_one_that_is_no_payload_of_ours_is_passed_over(self, announced):
        deployment, desk = announced
        desk.own.append(Event(type=ROTATED, stream="default", payload={"to": "mine"}))
        assert self.next_signer(deployment) == OLD

    def test_one_that_is_told_again_later_does_not_lead_back(self, rotated):
        deployment, desk, switched = rotated
        with deployment.open_log() as log:
            log.append("x", {})
            import orjson

            body = orjson.loads(desk.store.entry("default", switched).body)
            desk.own.append(Event(type=ROTATED, stream="default", payload=body["payload"]))
            assert log.append("x", {}).signer == NEW

    def test_the_chain_says_which_handover_was_forged(self, announced):
        deployment, desk = announced
        self.forge(deployment, desk, signers=(OLD,))
        found = {finding.code for finding in check_registry(deployment.registry(), desk.store).findings}
        assert found == {RegistryCode.HANDOVER_NOT_SIGNED}


def test_a_writer_with_an_old_registry_leaves_entries_pending_and_signs_them_later(deployment):
    served = {"now": deployment.registry()}
    desk = deployment.desk()
    with deployment.open_log(load=lambda: served["now"]) as log:
        log.append("x", {})
        activate(desk, start(desk, WISH))
        receipt = log.append("x", {})
        assert receipt.status == "pending"
        assert "no signers.json here has" in str(log.sign_pending().error)
        served["now"] = deployment.registry()
        assert (log.sign_pending().left, log.append("x", {}).signer) == (0, NEW)
    assert deployment.signers_of()[receipt.seq] == (NEW,)
    assert deployment.audit().verdict is Verdict.VALID


def test_a_rotation_under_another_name_while_one_is_under_way_is_refused(deployment):
    desk = deployment.desk()
    start(desk, WISH)
    with pytest.raises(ConflictError):
        start(deployment.desk(), replace(WISH, new_id="other"))


@pytest.mark.parametrize("type_", ["signer.rotated", "signer.planned", "signer.revoked", "auditseal.checkpoint"])
def test_a_producer_cannot_write_what_the_log_says_of_its_signers(deployment, type_):
    with deployment.open_log() as log, pytest.raises(InputError, match="the log's own"):
        log.append(type_, {})


def test_a_producer_that_takes_the_ids_of_a_rotation_does_not_keep_it_from_going_on(deployment):
    """Ids are the producer's to choose, and those of a rotation can be known beforehand."""
    desk = deployment.desk()
    planned = plan(desk, WISH)
    names = [PLANNED, ADDED, ROTATED, ACTIVATED]
    with deployment.open_log() as log:
        for name in names:
            taken = next(planned.event_ids(name, "default" if name == ROTATED else None))
            log.append("agent.spawned", {"mine": name}, id=taken)
        rotation = activate(desk, start(desk, WISH))
        assert log.append("x", {}).signer == NEW
    assert rotation.step is Step.ACTIVE
    assert deployment.audit().verdict is Verdict.VALID


def test_a_registry_of_before_the_activation_still_shows_the_old_key_signing_after_its_turn(rotated):
    """The chain says whose turn it is: a rolled-back range does not give the old key its right to sign back."""
    deployment, desk, _ = rotated
    entry = desk.own.append(Event(type="forged", payload={}))
    sign_again(deployment, desk, entry.seq, OLD)
    unlimited = deployment.registry().with_changed(OLD, valid_until=None)
    assert codes(deployment.audit(unlimited)) == {Code.SIGNER_NOT_VALID_HERE}


def test_a_registry_without_ranges_still_shows_the_new_key_signing_the_past(deployment):
    desk = deployment.desk()
    unsigned = desk.own.append(Event(type="old", payload={}))
    rotation = start(desk, WISH)
    sign_again(deployment, desk, unsigned.seq, NEW)
    activate(desk, rotation)
    unlimited = deployment.registry().with_changed(NEW, valid_from=None).with_changed(OLD, valid_until=None)
    assert codes(deployment.audit(unlimited)) == {Code.SIGNER_NOT_VALID_HERE}


def test_a_registry_in_which_another_key_took_the_announced_ones_place_is_refused(deployment):
    desk = deployment.desk()
    rotation = start(desk, WISH)
    announced = deployment.registry().find(NEW)
    mine = replace(announced, key_arn=deployment.registry().find(OLD).key_arn)
    others = tuple(signer for signer in deployment.registry() if signer.signer_id != NEW)
    save_registry(deployment.registry_path, replace(deployment.registry(), signers=(*others, mine)))
    with pytest.raises(ConflictError, match="another key under"):
        activate(desk, rotation)


def test_a_key_that_somebody_laid_in_the_rotations_place_is_refused(kms, deployment):
    """Whoever may create keys could make one with the rotation's mark and a policy of its own."""
    desk = deployment.desk()
    wish = replace(WISH, policy=lambda _old, _algorithm: kms.service.store.default_policy())
    desk.tell(plan(desk, wish), PLANNED, plan_members(plan(desk, wish)))
    (rotation,) = desk.rotations("default")
    mark = f"auditseal {NEW} after {OLD}, rotation {rotation.id} {rotation.token}"
    mine = kms.service.store.default_policy().replace("Enable IAM User Permissions", "Mine")
    desk.keys.create_key(parse_algorithm("ed25519"), description=mark, policy=mine)
    with pytest.raises(ConflictError, match="another key policy"):
        start(desk, wish)


def test_rotations_of_overlapping_streams_under_different_leads_are_refused(deployment):
    deployment.append(stream="other")
    desk = deployment.desk()
    start(desk, replace(WISH, streams=("default", "other")))
    with pytest.raises(ConflictError, match="is under way"):
        start(deployment.desk(), Wish(streams=("other",), overlap_s=0))


def test_of_two_rotations_of_one_stream_that_both_began_one_hands_over(deployment):
    """What keeps two apart can fail if two begin in the same moment; the stream itself cannot be handed over twice."""
    deployment.append(stream="other")
    desk = deployment.desk()
    first = start(desk, Wish(streams=("default", "other"), overlap_s=0))
    second = replace(first, id="00000000-0000-5000-8000-000000000000", streams=("other",), token="mine")
    desk.tell(second, PLANNED, plan_members(second))
    desk.tell(second, ADDED, {"new": first.new.members()})
    activate(desk, first)
    with pytest.raises(ConflictError, match="is not signed by"):
        activate(desk, desk.again(second))
    assert deployment.audit().verdict is Verdict.VALID


def plan_members(rotation):
    return {name: value for name, value in plan_payload(rotation).items() if name != "rotation"}
