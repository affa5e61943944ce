import hashlib
import hmac
import threading
from functools import partial

import pytest

from auditseal.adapters.signers.local import LocalSigner
from auditseal.adapters.stores.sqlite.store import SqliteStore
from auditseal.cli.exits import Exit, exit_of_report
from auditseal.core.algorithm import ALGORITHMS, AlgorithmId
from auditseal.core.event import Event
from auditseal.core.registry import RegisteredSigner, Registry
from auditseal.core.report import Code, Verdict
from auditseal.errors import ConfigError, NotCheckedError, RejectedError, SignatureInvalidError, SignerError, StoreError
from auditseal.service.append import Appender
from auditseal.service.audit import audit
from auditseal.service.log import Log
from auditseal.service.seal import Sealer

HMAC = ALGORITHMS[AlgorithmId.HMAC_SHA256]
SECRET = b"a secret of 32 bytes for testing"
ARN = "arn:aws:kms:eu-central-1:111122223333:key/0987dcba-09fe-87dc-65ba-ab0987654321"


def _codes(report):
    return {finding.code for finding in report.findings}


def test_an_empty_log_proves_nothing(store, signer):
    report = audit(store, signer.registry())
    assert report.verdict is Verdict.INCONCLUSIVE
    assert _codes(report) == {Code.NOTHING_TO_CHECK}
    with pytest.raises(NotCheckedError):
        report.require_ok()


def test_a_stream_that_was_asked_for_and_is_not_there_is_named(log, store, signer):
    log.append("test.event")
    report = audit(store, signer.registry(), streams=["default", "typo"])
    assert [(finding.code, finding.stream) for finding in report.findings] == [(Code.NOTHING_TO_CHECK, "typo")]
    assert report.verdict is Verdict.INCONCLUSIVE


def test_only_the_streams_asked_for_are_read(log, store, signer):
    log.append_many([Event(type="test.event", stream=stream) for stream in "abc"])
    report = audit(store, signer.registry(), streams=["a", "c"])
    assert [stream.stream for stream in report.streams] == ["a", "c"]
    assert report.checked == {"streams": 2, "entries": 2, "signatures": 2}


@pytest.mark.parametrize("processes", [1, 2])
def test_any_number_of_processes_gives_the_same_report(log, store, signer, processes, monkeypatch):
    monkeypatch.setattr("auditseal.service.audit._WORTH_PROCESSES", 1000)
    monkeypatch.setattr("auditseal.service.audit._PART", 300)
    log.append_many([Event(type="test.event", stream=f"s{number % 3}") for number in range(1500)])
    store._writer.execute("DROP TRIGGER signatures_no_update")
    store._writer.execute("UPDATE signatures SET signature = zeroblob(64) WHERE stream = 's1' AND seq IN (7, 400)")
    reopen = partial(SqliteStore, store.address, read_only=True)
    report = audit(store, signer.registry(), reopen=reopen, processes=processes)
    assert [(finding.code, finding.stream, finding.seq) for finding in report.findings] == [
        (Code.BAD_SIGNATURE, "s1", 7),
        (Code.BAD_SIGNATURE, "s1", 400),
    ]
    assert report.checked["entries"] == report.checked["signatures"] == 1500
    with pytest.raises(RejectedError, match="bad-signature at 2"):
        report.require_ok()


def test_an_unsigned_tail_is_no_success(log, store, signer):
    log.append_many([Event(type="test.event")] * 3)
    log.append_many([Event(type="test.event")] * 4, ack="durable")
    report = audit(store, signer.registry())
    (finding,) = report.findings
    assert (finding.code, finding.seq, finding.last_seq) == (Code.UNSIGNED, 3, 6)
    assert report.verdict is Verdict.INCONCLUSIVE
    assert report.streams[0].signed == 3


def test_without_a_known_signer_nothing_is_proven(log, store):
    log.append("test.event")
    report = audit(store, Registry())
    assert _codes(report) == {Code.UNKNOWN_SIGNER}
    assert (report.verdict, report.checked["signatures"]) == (Verdict.INCONCLUSIVE, 0)


def test_progress_is_told_up_to_the_end(log, store, signer):
    log.append_many([Event(type="test.event")] * 600)
    told = []
    audit(store, signer.registry(), progress=lambda done, total: told.append((done, total)))
    assert told[-1] == (600, 600)
    assert told == sorted(told)


def test_a_source_that_cannot_be_read_on_is_an_error_and_no_report(log, store, signer):
    log.append_many([Event(type="test.event")] * 300)
    read = store.rows

    def fail_midway(part):
        for number, rows in enumerate(read(part)):
            if number == 1:
                raise StoreError("the disk reports an error")
            yield rows

    store.rows = fail_midway
    with pytest.raises(StoreError, match="disk"):
        audit(store, signer.registry())


class MacCalls:
    """Implements `MacVerifier` with the secret at hand; `failure` is raised while it is set."""

    def __init__(self):
        self.failure = None
        self.asked = []
        self.threads = set()

    def verify_mac(self, key_id, digest, mac):
        self.asked.append(key_id)
        self.threads.add(threading.current_thread().name)
        if self.failure is not None:
            raise self.failure
        if not hmac.compare_digest(hmac.digest(SECRET, digest, hashlib.sha256), mac):
            raise SignatureInvalidError("the MAC is wrong")


@pytest.fixture
def macs():
    return MacCalls()


@pytest.fixture
def mac_log(store):
    sealer = Sealer(store, LocalSigner(signer_id="mac-2026", key=SECRET))
    log = Log(store, Appender(store, sealer), sealer=sealer)
    log.append_many([Event(type="test.event", payload={"n": number}) for number in range(40)])
    return log


REMOTE = Registry(signers=(RegisteredSigner(signer_id="mac-2026", algorithm=HMAC, key_arn=ARN),))


def test_macs_are_verified_by_whoever_holds_the_key(mac_log, store, macs):
    report = audit(store, REMOTE, mac_verifier=macs)
    assert report.verdict is Verdict.VALID
    assert (macs.asked, report.checked["signatures"]) == ([ARN] * 40, 40)


def test_macs_are_verified_offline_where_the_secret_is_at_hand(mac_log, store, macs):
    registry = Registry(signers=(RegisteredSigner(signer_id="mac-2026", algorithm=HMAC, secret=SECRET, key_arn=ARN),))
    assert audit(store, registry, mac_verifier=macs).verdict is Verdict.VALID
    assert macs.asked == []


def test_a_mac_that_nobody_was_asked_about_is_no_success(mac_log, store):
    report = audit(store, REMOTE)
    assert (report.verdict, _codes(report)) == (Verdict.INCONCLUSIVE, {Code.UNKNOWN_SIGNER})
    assert exit_of_report(report) is Exit.INCONCLUSIVE


def test_a_wrong_mac_is_proven_bad(mac_log, store, macs):
    store._writer.execute("DROP TRIGGER signatures_no_update")
    store._writer.execute("UPDATE signatures SET signature = zeroblob(32) WHERE seq = 5")
    report = audit(store, REMOTE, mac_verifier=macs)
    assert [(finding.code, finding.seq) for finding in report.findings] == [(Code.BAD_SIGNATURE, 5)]


def test_an_unreachable_kms_is_inconclusive_with_an_exit_code_of_its_own(mac_log, store, macs):
    macs.failure = SignerError("VerifyMac failed: no connection", reason="unreachable", retryable=True)
    report = audit(store, REMOTE, mac_verifier=macs)
    assert (report.verdict, report.findings) == (Verdict.INCONCLUSIVE, ())
    assert "no connection" in report.unreachable
    assert (report.checked["signatures"], report.streams[0].signed) == (0, 0)
    assert exit_of_report(report) is Exit.REMOTE


def test_what_is_proven_bad_counts_more_than_an_unreachable_kms(mac_log, store, macs):
    macs.failure = SignerError("VerifyMac failed: no connection", reason="unreachable", retryable=True)
    store._writer.execute("DROP TRIGGER entries_no_update")
    store._writer.execute("UPDATE entries SET actor = 'user:mallory' WHERE seq = 3")
    report = audit(store, REMOTE, mac_verifier=macs)
    assert (report.verdict, exit_of_report(report)) == (Verdict.INVALID, Exit.BAD)


def test_a_wrong_setting_for_kms_is_an_error_and_no_report(mac_log, store, macs):
    macs.failure = ConfigError("no AWS credentials")
    with pytest.raises(ConfigError):
        audit(store, REMOTE, mac_verifier=macs)


def test_macs_are_asked_about_by_several_threads(mac_log, store, macs):
    together = threading.Barrier(2, timeout=10)
    verify = macs.verify_mac
    first = []

    def wait_for_another(key_id, digest, mac):
        if len(first) < 2:
            first.append(digest)
            together.wait()
        verify(key_id, digest, mac)

    macs.verify_mac = wait_for_another
    assert audit(store, REMOTE, mac_verifier=macs).verdict is Verdict.VALID
    assert len(macs.threads) > 1


def test_the_registry_says_which_signers_are_development_keys(log, store, signer):
    signer.development = True
    log.append("test.event")
    (stream,) = audit(store, signer.registry()).streams
    assert [part.development for part in stream.signed_by] == [True]
