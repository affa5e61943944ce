"""Both transports against the strict fake: whatever goes wrong on the wire, they say and do the same."""

import hashlib
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from auditseal.adapters.signers.kms_connections import MAX_IDLE_S, Connections
from auditseal.errors import SignerError
from fakes.kms import FakeKms, Principal
from support.kms import calls_to

DIGEST = hashlib.sha256(b"an entry").digest()


@pytest.fixture
def key(kms: FakeKms):
    return kms.create("ECC_NIST_EDWARDS25519")


@pytest.fixture(params=["auto", "botocore"])
def transport(request):
    return request.param


@pytest.fixture
def calls(kms: FakeKms, transport):
    opened = calls_to(kms, transport=transport)
    yield opened
    opened.close()


def _sign(calls, key):
    return calls.call(
        "Sign", {"KeyId": key.id, "Message": DIGEST, "MessageType": "RAW", "SigningAlgorithm": "ED25519_SHA_512"}
    )


def test_blobs_are_bytes_and_the_request_id_is_that_of_the_record(kms, calls, key):
    answer = _sign(calls, key)
    key.material.public_key().verify(answer.values["Signature"], DIGEST)
    assert kms.records("Sign")[0]["requestID"] == answer.request_id


def test_a_request_is_signed_as_aws_demands(kms, calls, key):
    kms.service.principals.add(
        Principal(access_key="AKIATESTSIGNER000001", name="alice", secret="a-secret-of-the-tests")
    )
    _sign(calls, key)
    assert kms.records("Sign")[0]["userIdentity"]["userName"] == "alice"


def test_a_wrong_secret_is_refused_by_name(kms, calls, key):
    kms.service.principals.add(Principal(access_key="AKIATESTSIGNER000001", name="alice", secret="another"))
    with pytest.raises(SignerError) as caught:
        _sign(calls, key)
    assert (caught.value.reason, caught.value.retryable) == ("clock", False)


def test_a_session_token_is_sent_and_signed(kms, transport, monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "ASIATESTSIGNER000001")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "a-token/with+signs==")
    kms.service.principals.add(
        Principal(
            access_key="ASIATESTSIGNER000001",
            name="agent",
            secret="a-secret-of-the-tests",
            token="a-token/with+signs==",
        )
    )
    calls = calls_to(kms, transport=transport)
    _sign(calls, kms.create("ECC_NIST_EDWARDS25519"))
    calls.close()
    issuer = kms.records("Sign")[0]["userIdentity"]["sessionContext"]["sessionIssuer"]
    assert issuer["arn"] == "arn:aws:iam::111122223333:role/agent"


@pytest.mark.parametrize("kind", ["reset", "reset-after", "garbage", "hang", "hang-after", "throttled", "error"])
def test_a_fault_that_passes_is_survived(kms, calls, key, kind):
    kms.faults.add(kind, operation="Sign", times=1)
    key.material.public_key().verify(_sign(calls, key).values["Signature"], DIGEST)


@pytest.mark.parametrize("kind", ["reset", "hang", "throttled"])
def test_a_fault_that_passes_is_survived_on_a_kept_connection_too(kms, calls, key, kind):
    _sign(calls, key)
    kms.faults.add(kind, operation="Sign", times=1)
    key.material.public_key().verify(_sign(calls, key).values["Signature"], DIGEST)


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ({"kind": "reset"}, "interrupted"),
        ({"kind": "garbage", "status": 502}, "unavailable"),
        ({"kind": "garbage", "status": 200}, "malformed-answer"),
        ({"kind": "hang"}, "timeout"),
        ({"kind": "throttled"}, "throttled"),
        ({"kind": "error", "type": "KMSInternalException"}, "unavailable"),
        ({"kind": "error", "type": "KeyUnavailableException"}, "unavailable"),
    ],
)
def test_a_fault_that_stays_is_retryable_and_has_its_reason(kms, calls, key, fault, reason):
    kms.faults.add(operation="Sign", **fault)
    with pytest.raises(SignerError) as caught:
        _sign(calls, key)
    assert (caught.value.reason, caught.value.retryable) == (reason, True)


@pytest.mark.parametrize("kind", ["denied", "error"])
def test_what_kms_refuses_carries_the_request_id_and_is_asked_once(kms, calls, key, kind):
    kms.faults.add(kind, operation="Sign", type="DisabledException", status=400)
    with pytest.raises(SignerError) as caught:
        _sign(calls, key)
    (record,) = kms.records("Sign")
    assert (caught.value.request_id, caught.value.retryable) == (record["requestID"], False)


def test_a_time_out_after_signing_leaves_an_orphan_and_the_retry_signs(kms, calls, key):
    kms.faults.add("hang-after", operation="Sign", times=1)
    answer = _sign(calls, key)
    orphan, kept = kms.records("Sign")
    assert kept["requestID"] == answer.request_id
    assert "errorCode" not in orphan


def test_nothing_listening_is_unreachable(kms, transport, key):
    calls = calls_to(kms, transport=transport)
    kms.stop()
    with pytest.raises(SignerError) as caught:
        _sign(calls, key)
    assert (caught.value.reason, caught.value.retryable) == ("unreachable", True)


def test_the_deadline_holds_against_a_server_that_never_answers(kms, transport, key):
    kms.faults.add("hang", operation="Sign")
    calls = calls_to(kms, transport=transport, attempt_timeout_s=60.0, deadline_s=0.3, max_attempts=10)
    with pytest.raises(SignerError) as caught:
        _sign(calls, key)
    assert caught.value.reason == "timeout", caught.value.__cause__


def test_the_deadline_holds_against_a_server_that_dribbles(transport, kms, key):
    """Each byte comes soon enough for a timeout on single reads, and the answer never ends."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        over = threading.Event()

        def dribble():
            connection, _ = server.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
                while not over.wait(0.02):
                    try:
                        connection.sendall(b" ")
                    except OSError:
                        return

        thread = threading.Thread(target=dribble)
        thread.start()
        kms.url = f"http://127.0.0.1:{server.getsockname()[1]}"
        calls = calls_to(kms, transport=transport, attempt_timeout_s=5.0, deadline_s=0.3, max_attempts=1)
        with pytest.raises(SignerError) as caught:
            _sign(calls, key)
        over.set()
        thread.join(10)
    assert caught.value.reason == "timeout", caught.value.__cause__


def test_connections_are_kept(kms, calls, key):
    for _ in range(10):
        _sign(calls, key)
    assert kms.accepted == 1


def test_there_are_no_more_connections_than_calls_in_flight(kms, transport, key):
    kms.faults.latency_s = 0.01
    calls = calls_to(kms, transport=transport, concurrency=4, attempt_timeout_s=10.0)
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda _: _sign(calls, key), range(64)))
    calls.close()
    assert kms.accepted <= 4


def test_a_connection_that_the_server_closed_while_idle_is_replaced(kms, calls, key):
    for _ in range(3):
        _sign(calls, key)
        assert kms.close_idle() == 1
    _sign(calls, key)
    assert len(kms.records("Sign")) == 4


def test_a_request_that_crosses_with_the_close_is_sent_again_at_once(kms, key):
    calls = calls_to(kms, max_attempts=1)
    _sign(calls, key)
    kms.faults.add("reset", operation="Sign", times=1)
    _sign(calls, key)
    calls.close()
    assert kms.accepted == 2


def test_a_new_connection_that_breaks_is_not_tried_twice_in_one_attempt(kms, key):
    calls = calls_to(kms, max_attempts=1)
    kms.faults.add("reset", operation="Sign", times=1)
    with pytest.raises(SignerError, match="broke"):
        _sign(calls, key)
    calls.close()


def test_a_connection_that_closes_after_each_answer_does_no_harm(kms, calls, key):
    kms.faults.add("close-after", operation="Sign")
    for _ in range(5):
        _sign(calls, key)
    assert len(kms.records("Sign")) == 5


def test_fifty_threads_sign_at_once(kms, calls, key):
    kms.faults.latency_s = 0.005
    digests = [hashlib.sha256(bytes([number])).digest() for number in range(200)]

    def sign(digest):
        request = {"KeyId": key.id, "Message": digest, "MessageType": "RAW", "SigningAlgorithm": "ED25519_SHA_512"}
        return calls.call("Sign", request).values["Signature"]

    with ThreadPoolExecutor(50) as pool:
        signatures = list(pool.map(sign, digests))
    for signature, digest in zip(signatures, digests, strict=True):
        key.material.public_key().verify(signature, digest)


def test_faults_under_load_never_mix_answers_up(kms, calls, key):
    for kind in ("reset", "throttled", "hang", "close-after", "error"):
        for skip in range(0, 60, 20):
            kms.faults.add(kind, operation="Sign", times=1, skip=skip)
    digests = [hashlib.sha256(bytes([number])).digest() for number in range(100)]

    def sign(digest):
        request = {"KeyId": key.id, "Message": digest, "MessageType": "RAW", "SigningAlgorithm": "ED25519_SHA_512"}
        return calls.call("Sign", request).values["Signature"]

    with ThreadPoolExecutor(10) as pool:
        signatures = list(pool.map(sign, digests))
    for signature, digest in zip(signatures, digests, strict=True):
        key.material.public_key().verify(signature, digest)


def test_an_answer_that_is_larger_than_any_of_kms_is_refused(kms, key, monkeypatch):
    monkeypatch.setattr("auditseal.adapters.signers.kms_http.MAX_ANSWER_BYTES", -1)
    calls = calls_to(kms, max_attempts=1)
    with pytest.raises(SignerError) as caught:
        _sign(calls, key)
    calls.close()
    assert caught.value.reason == "malformed-answer"


class _Clock:
    now = 0.0


def test_a_connection_that_was_idle_for_long_is_not_lent_again(kms):
    clock = _Clock()
    connections = Connections(kms.url, ca_path=None, clock=lambda: clock.now)
    first = connections.take(5)
    connections.give_back(first)
    assert connections.take(5) is first
    first.idle_since = clock.now
    connections.give_back(first)
    clock.now += MAX_IDLE_S + 1
    another = connections.take(clock.now + 5)
    assert another is not first
    connections.give_back(another)
    connections.close()


def test_a_connection_that_comes_back_after_closing_is_closed(kms):
    connections = Connections(kms.url, ca_path=None)
    lent = connections.take(time.monotonic() + 5)
    connections.close()
    connections.give_back(lent)
    assert not lent.is_alive()


def test_a_connection_that_is_not_made_in_time_is_a_time_out():
    """The server takes the connection and never begins with TLS."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        connections = Connections(f"https://127.0.0.1:{server.getsockname()[1]}", ca_path=None)
        with pytest.raises(TimeoutError):
            connections.make(time.monotonic() + 0.1)
        connections.close()
