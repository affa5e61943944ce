"""Rotation of logs with checkpoints: each range ends with a checkpoint by its own signer."""

import itertools
import threading
from contextlib import closing
from dataclasses import replace

import pytest

from auditseal.core.heads import HEADS_STREAM
from auditseal.core.report import Code, Verdict
from auditseal.core.rotation import Step
from auditseal.core.validity import Bound
from auditseal.errors import SignerError
from auditseal.service.explaining import explain_place
from auditseal.service.lookup import Place
from auditseal.service.registry_check import check_registry
from auditseal.service.rotate.activate import activate
from auditseal.service.rotate.emergency import emergency
from auditseal.service.rotate.finish import disable, retire, verify
from auditseal.service.rotate.start import Wish, start
from support.rotating import ALIAS, NEW, OLD, Deployment

WISH = Wish(overlap_s=0, alias=ALIAS)


@pytest.fixture(params=["checkpoint-sqlite", "event-sqlite", "checkpoint-postgres"])
def deployment(request, kms, tmp_path):
    mode, _, store = request.param.partition("-")
    address = None
    if store == "postgres":
        server = request.getfixturevalue("postgres")
        address = server.url(server.create_log_database())
    made = Deployment(tmp_path, kms.url, kms.region, mode=mode, checkpoints=True, address=address)
    made.create()
    made.append()
    return made


def covered_by(deployment, stream="default"):
    (summary,) = [each for each in deployment.audit().streams if each.stream == stream]
    return [(part.signer, part.first_seq, part.last_seq) for part in summary.signed_by]


def disagreements(deployment):
    """Entries without signatures of their own of which verification says `signed` and explanation not, or otherwise."""
    found = []
    with closing(deployment.open_store(read_only=True)) as store:
        for summary in deployment.audit().streams:
            signed = {seq for part in summary.signed_by for seq in range(part.first_seq, part.last_seq + 1)}
            for seq in range(summary.first_seq, summary.last_seq + 1):
                (each,) = explain_place(store, Place(stream=summary.stream, seq=seq), deployment.registry())
                proven = each.is_sound and each.is_conclusive
                if not each.entry.signatures and proven != (seq in signed):
                    found.append((summary.stream, seq, each.meaning, each.checks[-1]))
    return found


def test_a_running_writer_goes_over_and_the_log_verifies(deployment):
    with deployment.open_log() as log:
        assert log.append("x", {}).signer == OLD
        desk = deployment.desk()
        rotation = activate(desk, start(desk, WISH))
        receipt = log.append("x", {})
        assert (receipt.signer, receipt.status) == (NEW, "signed")
        rotation = disable(desk, retire(desk, verify(desk, rotation)))
        assert log.append("x", {}).signer == NEW
    assert rotation.step is Step.DISABLED
    report = deployment.audit()
    assert (report.verdict, report.findings) == (Verdict.VALID, ())
    assert check_registry(deployment.registry(), desk.store).findings == ()
    (switched,) = {rotation.switched["default"]}
    for signer, first, last in covered_by(deployment):
        assert (signer == OLD and last <= switched) or (signer == NEW and first >= switched)
    sizes = {each.size: each.signer for each in desk.store.checkpoints(["default"])}
    assert sizes[switched] == OLD
    assert all((signer == OLD) == (size <= switched) for size, signer in sizes.items())
    assert disagreements(deployment) == []


def test_several_streams_that_share_one_signature_go_over(deployment):
    with deployment.open_log() as log:
        for stream in ("a", "b", "c"):
            log.append("x", {}, stream=stream, ack="durable")
        log.sign_pending()
        desk = deployment.desk()
        rotation = activate(desk, start(desk, WISH))
        assert {"a", "b", "c", "default"} <= set(rotation.switched)
        for stream in ("a", "b", "c", "fresh"):
            log.append("x", {}, stream=stream, ack="durable")
        log.sign_pending()
        verify(desk, rotation)
    report = deployment.audit()
    assert (report.verdict, report.findings) == (Verdict.VALID, ())
    assert {each.stream for each in report.streams} >= {"a", "b", "c", "fresh"}
    assert disagreements(deployment) == []


def test_a_checkpoint_of_the_old_signer_that_was_announced_and_never_signed_is_signed_by_it(deployment, kms):
    desk = deployment.desk()
    rotation = start(desk, WISH)
    points = itertools.count()

    class StopError(Exception):
        pass

    def reached(what):
        if what == "handover appended" and not next(points):
            raise StopError

    stopping = replace(deployment.desk(), reached=reached)
    with pytest.raises(StopError):
        activate(stopping, rotation)
    activate(desk, desk.again(rotation))
    assert deployment.audit().verdict is Verdict.VALID


def test_a_stream_that_one_writer_begins_after_the_switch_others_carry_on(deployment):
    desk = deployment.desk()
    with deployment.open_log() as one, deployment.open_log() as other:
        activate(desk, start(desk, WISH))
        signers = [log.append("x", {}, stream="fresh").signer for log in (one, other)]
        desk.keys.disable(deployment.registry().find(OLD).key_arn)
    assert signers == [NEW, NEW]
    assert desk.store.count_pending() == 0
    assert deployment.audit().verdict is Verdict.VALID


def test_the_new_signer_cannot_cover_what_the_old_one_left(deployment):
    desk = deployment.desk()
    rotation = activate(desk, start(desk, WISH))
    deployment.append()
    switched = rotation.switched["default"]
    stretched = deployment.registry().with_changed(NEW, valid_from=Bound(seq={"default": switched + 1}))
    assert Code.SIGNER_NOT_VALID_HERE in {finding.code for finding in deployment.audit(stretched).findings}


def test_what_follows_an_emergency_is_verified_although_the_revoked_keys_checkpoints_prove_nothing(deployment):
    with deployment.open_log() as log:
        for stream in ("a", "b"):
            log.append("x", {}, stream=stream, ack="durable")
        log.sign_pending()
        desk = deployment.desk()
        rotation, _ = emergency(desk, WISH, since="2026-01-01T00:00:00.000000Z", reason="stolen")
        assert log.append("x", {}).signer == NEW
        assert verify(desk, rotation).step is Step.VERIFIED
    report = deployment.audit()
    assert {finding.code for finding in report.findings} <= {Code.SIGNER_NOT_VALID_HERE, Code.UNSIGNED}
    assert {finding.actual for finding in report.findings} <= {OLD, None}
    for stream, switched in rotation.switched.items():
        assert all(each.last_seq <= switched for each in report.findings if each.stream == stream)
        assert {(signer, first >= switched) for signer, first, _ in covered_by(deployment, stream)} == {(NEW, True)}
    assert disagreements(deployment) == []


def test_a_stolen_key_that_is_disabled_already_is_left_behind(deployment):
    desk = deployment.desk()
    with deployment.open_log() as log:
        for stream in ("a", "b"):
            log.append("x", {}, stream=stream, ack="durable")
        log.sign_pending()
        desk.keys.disable(deployment.registry().find(OLD).key_arn)
        for stream in ("a", "default", "fresh"):
            log.append("x", {}, stream=stream, ack="durable")
        rotation, _ = emergency(desk, WISH, since="2026-01-01T00:00:00.000000Z", reason="stolen")
        for stream in ("a", "b", "default", "fresh", "another"):
            log.append("x", {}, stream=stream, ack="durable")
        assert verify(desk, rotation).step is Step.VERIFIED
        log.sign_pending()
    assert desk.store.count_pending() == 0
    report = deployment.audit()
    assert {finding.code for finding in report.findings} <= {Code.SIGNER_NOT_VALID_HERE, Code.UNSIGNED}
    assert {finding.actual for finding in report.findings} <= {OLD, None}
    assert check_registry(deployment.registry(), desk.store).findings == ()
    signed = {each.stream: each.signed == each.entries for each in report.streams}
    assert (signed["fresh"], signed["another"]) == (True, True)
    assert disagreements(deployment) == []


def test_four_writers_of_one_process_lose_nothing_while_it_goes_over(deployment):
    stop = threading.Event()
    receipts = [[] for _ in range(4)]

    def write(into):
        with deployment.open_log() as log:
            while not stop.is_set():
                into.append(log.append("x", {"n": len(into)}))

    threads = [threading.Thread(target=write, args=[into]) for into in receipts]
    for thread in threads:
        thread.start()
    desk = deployment.desk()
    try:
        rotation = activate(desk, start(desk, WISH))
        target = desk.store.head("default").seq + 20
        while desk.store.head("default").seq < target and any(thread.is_alive() for thread in threads):
            stop.wait(0.02)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    report = deployment.audit()
    assert (report.verdict, report.findings) == (Verdict.VALID, ())
    entries = {entry.seq: entry for entry in desk.store.walk(["default"])}
    switched = rotation.switched["default"]
    for each in itertools.chain(*receipts):
        assert entries[each.seq].hash == each.hash
        assert (each.status, each.signer) == ("signed", OLD if each.seq < switched else NEW)
    assert any(each.seq > switched for each in itertools.chain(*receipts))


def test_a_writer_without_a_registry_stops_at_the_end_of_its_turn(deployment):
    from auditseal.core.registry import Registry

    with deployment.open_log(load=Registry) as log:
        log.append("x", {})
        desk = deployment.desk()
        activate(desk, start(desk, WISH))
        assert log.append("x", {}).status == "pending"
        try:
            error = log.sign_pending().error
        except SignerError as raised:
            error = raised
        assert "no signers.json here has" in str(error)
    assert HEADS_STREAM not in {head.stream for head in desk.store.streams()}
