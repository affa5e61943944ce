"""The synchronous client: the interface of a log, over a service that may fail at any moment."""

from __future__ import annotations

import uuid

import pytest

import auditseal
from auditseal.client import Client, LocalClient, calls
from auditseal.core.event import Event, parse_body
from auditseal.errors import (
    AuditSealError,
    BacklogFullError,
    CanonicalError,
    ConfigError,
    ConflictError,
    ForbiddenError,
    InputError,
    NotFoundError,
    OverloadedError,
    ServiceError,
    SignaturePendingError,
    SignerError,
    StoreError,
    TooLargeError,
    UnauthenticatedError,
)
from auditseal.http.errors import kind_of
from auditseal.ports import EntryFilter
from support.service import running_app
from support.transports import answer_lost, broken_off, status, unreachable


def _ids(app, stream="agents"):
    return [parse_body(entry.body).id for entry in app.serving.log.entries(stream)]


def test_a_receipt_is_that_of_the_log(app, client):
    receipt = client.append("agent.spawned", {"agent_id": "a-1"}, actor="user:alice", stream="agents")
    entry = app.serving.log.store.entry("agents", 0)
    assert (receipt.hash, receipt.signature) == (entry.hash, entry.signatures[0].signature)
    assert (receipt.status, receipt.repeated, receipt.development) == ("signed", False, True)


def test_a_receipt_under_a_checkpoint_is_signed_and_names_the_checkpoints_signer(tmp_path):
    with (
        running_app(tmp_path, signing_mode="checkpoint", origin="log.example/audit") as app,
        Client("http://127.0.0.1", token=app.tokens["producer"], transport=app.client._transport) as client,
    ):
        receipt = client.append("agent.spawned", stream="agents")
    assert (receipt.status, receipt.signer, receipt.signature) == ("signed", "development", None)


def test_clients_and_logs_take_the_same_calls(app, client):
    for log in (client, app.serving.log, LocalClient(app.serving.log)):
        stream = type(log).__name__.lower()
        log.append(type="a", payload={"n": 1}, actor="x", stream=stream, context={"t": 1}, ack="durable")
        log.append_event(Event(type="b", stream=stream))
        log.append_many([Event(type="c", stream=stream), Event(type="d", stream=stream)])
        assert [len(part) for part in log.append_stream([Event(type="e", stream=stream)])] == [1]
        assert len(_ids(app, stream)) == 5


def test_entries_are_read_as_they_stand(app, make_client):
    for number in range(7):
        app.append(type=f"t{number % 2}")
    auditor = make_client("auditor")
    theirs, ours = list(auditor.entries("agents", page=3)), list(app.serving.log.entries("agents"))
    assert [(entry.seq, entry.body, entry.hash) for entry in theirs] == [(e.seq, e.body, e.hash) for e in ours]
    assert [entry.signatures[0].signature for entry in theirs] == [e.signatures[0].signature for e in ours]
    odd = auditor.entries(which=EntryFilter(stream="agents", type="t1"))
    assert [entry.seq for entry in odd] == [1, 3, 5]
    id_ = _ids(app)[4]
    assert [entry.seq for entry in auditor.entries(which=EntryFilter(id=id_))] == [4]
    assert auditor.streams() == ["agents"]


@pytest.mark.parametrize(
    ("event", "error"),
    [
        (Event(type=""), InputError),
        (Event(type="a", stream="A"), InputError),
        (Event(type="a", id="7"), InputError),
        (Event(type="a", payload=[]), InputError),
        (Event(type="a", payload={"n": 2**60}), CanonicalError),
        (Event(type="a", payload={"o": object()}), CanonicalError),
        (Event(type="a", context={"caller": "me"}), InputError),
    ],
)
def test_what_is_no_event_is_refused_as_by_a_log(client, event, error):
    with pytest.raises(error):
        client.append_event(event)


class TestErrors:
    def test_a_conflict(self, client):
        id_ = str(uuid.uuid4())
        client.append("a", id=id_)
        with pytest.raises(ConflictError):
            client.append("b", id=id_)

    def test_a_role_that_is_missing(self, client):
        with pytest.raises(ForbiddenError):
            list(client.entries("agents"))

    def test_a_token_that_is_not_accepted(self, app, transport):
        with Client("http://127.0.0.1", token="nothing", transport=transport) as client:
            with pytest.raises(UnauthenticatedError) as raised:
                client.append("a")
            assert "nothing" not in str(raised.value)

    def test_a_token_may_come_from_a_function_at_every_call(self, app, transport):
        given = iter([app.tokens["producer"], "nothing"])
        with Client("http://127.0.0.1", token=lambda: next(given), transport=transport) as client:
            client.append("a")
            with pytest.raises(UnauthenticatedError):
                client.append("a")

    @pytest.mark.parametrize(
        "error",
        [
            InputError("x"),
            CanonicalError("not-json", "x"),
            TooLargeError("x"),
            UnauthenticatedError("x", reason="y"),
            ForbiddenError("x"),
            NotFoundError("x"),
            ConflictError("x"),
            OverloadedError("x", reason="rate-limit"),
            OverloadedError("x", reason="busy"),
            OverloadedError("x", reason="draining"),
            BacklogFullError(pending=7, limit=5),
            SignerError("x", reason="throttled", retryable=True),
            SignerError("x", reason="denied"),
            StoreError("x", retryable=True),
            StoreError("x"),
        ],
        ids=lambda error: f"{type(error).__name__}-{getattr(error, 'reason', '')}",
    )
    def test_each_error_of_the_log_comes_through_as_itself(self, app, make_client, monkeypatch, error):
        monkeypatch.setattr(app.serving.log, "append_each", lambda events, *_: [error for _ in events])
        with pytest.raises(AuditSealError) as raised:
            make_client(retry_for_s=0).append("a")
        assert type(raised.value) is type(error)
        assert raised.value.retryable == error.retryable
        assert kind_of(raised.value) == kind_of(error)
        if isinstance(error, BacklogFullError):
            assert (raised.value.pending, raised.value.limit) == (7, 5)

    def test_what_is_in_the_log_unsigned_is_not_sent_again(self, app, client, transport, monkeypatch):
        receipt = client.append("a")

        cause = SignerError("x", reason="throttled", retryable=True)
        pending = SignaturePendingError("in the log", receipts=[receipt], cause=cause)
        monkeypatch.setattr(app.serving.log, "append_each", lambda *_: [pending])
        sent = len(transport.requests)
        with pytest.raises(SignaturePendingError) as raised:
            client.append("a")
        assert raised.value.receipts == (receipt,)
        assert len(transport.requests) == sent + 1

    def test_a_fault_of_the_service_is_no_fault_of_the_event(self, app, client, monkeypatch):
        def fail(*_, **__):
            raise RuntimeError("x")

        monkeypatch.setattr(app.serving.log, "append_each", fail)
        with pytest.raises(ServiceError) as raised:
            client.append("a")
        assert (raised.value.status, raised.value.retryable) == (500, False)

    @pytest.mark.parametrize("body", [b"", b"{}", b"[]", b"<html>", b'{"seq": 1}'])
    def test_an_answer_that_is_no_receipt_is_no_success(self, client, transport, body):
        transport.faults = [status(201, body)]
        with pytest.raises(ServiceError):
            client.append("a")


class TestRetries:
    @pytest.mark.parametrize("fault", [unreachable, answer_lost, status(502), status(503), status(429)])
    def test_a_call_is_repeated_under_the_same_id(self, app, client, transport, fault):
        transport.faults = [fault, fault]
        receipt = client.append("a", stream="agents")
        assert _ids(app) == [receipt.id]
        assert len(transport.requests) == 3
        assert len({request.content for request in transport.requests}) == 1

    def test_an_event_whose_answer_was_lost_is_known_to_have_been_there(self, client, transport):
        transport.faults = [answer_lost]
        assert client.append("a").repeated

    def test_pauses_grow_and_never_fall_below_what_the_service_asks(self, client, transport, pauses):
        transport.faults = [*[unreachable] * 5, status(503, b"", **{"retry-after": "1"})]
        busy = b'{"type":"urn:auditseal:problem:busy","detail":"x","status":503}'
        transport.faults += [status(503, busy, **{"retry-after": "9", "content-type": "application/problem+json"})]
        client.append("a")
        assert all(0.5 * top <= pause <= top for pause, top in zip(pauses, [0.2, 0.4, 0.8, 1.6, 3.2], strict=False))
        assert pauses[-1] >= 9

    def test_it_gives_up_after_its_time(self, make_client, transport):
        transport.always = unreachable
        client = make_client(retry_for_s=0.0)
        with pytest.raises(ServiceError) as raised:
            client.append("a")
        assert raised.value.retryable
        assert len(transport.requests) == 1

    @pytest.mark.parametrize("code", [400, 404, 301])
    def test_what_no_attempt_will_mend_is_not_repeated(self, client, transport, code):
        transport.always = status(code)
        with pytest.raises(ServiceError):
            client.append("a")
        assert len(transport.requests) == 1


class TestBatches:
    def test_events_of_several_streams_keep_their_order(self, app, client):
        events = [Event(type="a", stream=f"s{number % 3}", payload={"n": number}) for number in range(60)]
        receipts = client.append_many(events)
        assert [receipt.stream for receipt in receipts] == [event.stream for event in events]
        for stream in ("s0", "s1", "s2"):
            numbers = [parse_body(entry.body).payload["n"] for entry in app.serving.log.entries(stream)]
            assert numbers == sorted(numbers)

    @pytest.mark.parametrize("fault", [unreachable, answer_lost, broken_off(0), broken_off(7), status(503)])
    def test_a_batch_that_is_broken_off_is_finished_without_a_repetition(self, app, client, transport, fault):
        transport.faults = [fault]
        receipts = client.append_many([Event(type="a", stream="agents", payload={"n": n}) for n in range(20)])
        assert [receipt.seq for receipt in receipts] == list(range(20))
        assert len(set(_ids(app))) == 20

    def test_a_large_batch_is_sent_in_parts(self, app, client, transport, monkeypatch):
        monkeypatch.setattr(calls, "BATCH_BYTES", 5000)
        client.append_many([Event(type="a", payload={"t": "x" * 1000}) for _ in range(20)], ack="durable")
        assert len(transport.requests) == 5

    def test_one_that_is_refused_keeps_no_other_out(self, app, client):
        events = [Event(type="a"), Event(type=""), Event(type="b", context={"caller": "me"}), Event(type="c")]
        outcomes = [outcome for part in client.append_stream(events) for outcome in part]
        assert [isinstance(outcome, InputError) for outcome in outcomes] == [False, True, True, False]
        assert len(_ids(app, "default")) == 2

    def test_a_service_that_takes_no_more_ends_the_stream_after_what_it_took(self, app, make_client, monkeypatch):
        append = app.serving.log.store.append
        called = []

        def fail_later(drafts, clock):
            called.append(1)
            if len(called) > 1:
                raise StoreError("the disk is full")
            return append(drafts, clock)

        monkeypatch.setattr(app.serving.log.store, "append", fail_later)
        monkeypatch.setattr("auditseal.service.append.CHUNK", 500)  # so that it fails within a request
        outcomes = []
        stream = make_client().append_stream([Event(type="a", stream="agents")] * 1200)
        with pytest.raises(StoreError):
            outcomes.extend(outcome for part in stream for outcome in part)
        assert app.serving.log.store.head("agents").seq == 499

    def test_append_many_raises_the_first_error(self, client):
        with pytest.raises(InputError):
            client.append_many([Event(type="a"), Event(type="")])


class TestAddresses:
    @pytest.mark.parametrize(
        "url", ["http://audit.internal", "ftp://127.0.0.1", "audit.internal", "https://u:p@host", "https://h?x=1", ""]
    )
    def test_a_token_never_leaves_in_clear(self, url):
        with pytest.raises(ConfigError):
            Client(url, token="t")

    def test_an_authority_that_cannot_be_read_is_named(self, tmp_path):
        with pytest.raises(ConfigError, match="PEM"):
            Client("https://audit.internal", ca=tmp_path / "nothing.pem")


class TestOpenLog:
    def test_a_service_is_opened_like_a_log(self, monkeypatch):
        monkeypatch.setenv("AUDITSEAL_TOKEN", "t")
        with auditseal.open_log("https://audit.internal") as log:
            assert isinstance(log, Client)

    @pytest.mark.parametrize("extra", [{"kms_key_id": "alias/a"}, {"create": True}, {"require_kms": True}])
    def test_a_service_signs_by_itself(self, extra):
        with pytest.raises(ConfigError, match="signs by itself"):
            auditseal.open_log("https://audit.internal", **extra)

    def test_a_token_has_no_place_in_a_settings_file(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        (tmp_path / "auditseal.toml").write_text('token = "t"')
        with pytest.raises(ConfigError, match="secret"):
            auditseal.open_log("https://audit.internal")
