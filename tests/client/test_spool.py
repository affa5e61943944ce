"""The spool: in order, bounded, and nothing lost, whatever fails."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading

import pytest

from auditseal.client import Spool, calls
from auditseal.client.drain import Drain
from auditseal.core.event import Event, parse_body
from auditseal.errors import ConfigError, InputError, StoreError, UnauthenticatedError
from auditseal.service.ids import new_id
from support.service import wait_until
from support.transports import answer_lost, status, unreachable


def _event(number: int, stream: str = "agents") -> Event:
    return Event(type="a", payload={"n": number}, stream=stream, id=new_id())


def _numbers(app, stream="agents"):
    return [parse_body(entry.body).payload["n"] for entry in app.serving.log.entries(stream)]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "spool.db"


class TestTheFile:
    def test_it_keeps_events_in_order_over_a_restart(self, path):
        events = [_event(number) for number in range(5)]
        with Spool(path) as spool:
            for event in events:
                spool.put(event)
        with Spool(path) as spool:
            assert [spooled.event for spooled in spool.first(10)] == events
            assert len(spool) == 5

    def test_a_part_is_of_one_stream(self, path):
        with Spool(path) as spool:
            for number, stream in enumerate("aabab"):
                spool.put(_event(number, stream))
            assert [spooled.event.payload["n"] for spooled in spool.first(10)] == [0, 1]

    def test_it_takes_no_more_than_it_may_and_says_so(self, path):
        with Spool(path, max_bytes=300) as spool:
            spool.put(_event(0))
            spool.put(_event(1))
            with pytest.raises(StoreError, match="full") as raised:
                spool.put(_event(2))
            assert raised.value.retryable
            spool.remove([spool.first(1)[0].n])
            spool.put(_event(2))
            assert [spooled.event.payload["n"] for spooled in spool.first(10)] == [1, 2]

    def test_what_is_refused_is_set_aside_with_the_reason(self, path):
        with Spool(path) as spool:
            spool.put(_event(0))
            spool.remove([], [(spool.first(1)[0].n, "InputError: no")])
            assert len(spool) == 0
            assert [(event.payload["n"], reason) for event, reason in spool.refused()] == [(0, "InputError: no")]

    def test_it_is_one_process_s_alone(self, path):
        with Spool(path), pytest.raises(ConfigError, match="another process"):
            Spool(path)
        Spool(path).close()

    def test_others_cannot_read_it(self, path):
        Spool(path).close()
        assert path.stat().st_mode & 0o077 == 0

    @pytest.mark.parametrize("make", [lambda p: p.mkdir(), lambda p: p.write_text("not a database" * 100)])
    def test_what_is_no_spool_is_refused(self, path, make):
        make(path)
        with pytest.raises(StoreError):
            Spool(path)

    def test_a_folder_that_does_not_exist_is_named(self, tmp_path):
        with pytest.raises(StoreError, match="nowhere"):
            Spool(tmp_path / "nowhere" / "spool.db")

    def test_it_survives_the_death_of_its_process(self, path):
        program = (
            "import os, signal, sys\n"
            "from auditseal.client import Spool\n"
            "from auditseal.core.event import Event\n"
            "spool = Spool(sys.argv[1])\n"
            "for n in range(20):\n"
            "    spool.put(Event(type='a', payload={'n': n}, id=f'00000000-0000-7000-8000-{n:012d}'))\n"
            "os.kill(os.getpid(), signal.SIGKILL)\n"
        )
        ended = subprocess.run([sys.executable, "-c", program, path], env=dict(os.environ), check=False)
        assert ended.returncode == -signal.SIGKILL
        with Spool(path) as spool:
            assert [spooled.event.payload["n"] for spooled in spool.first(100)] == list(range(20))


class TestSubmitting:
    def test_while_the_service_answers_nothing_is_spooled(self, app, make_client, path):
        client = make_client(spool=path)
        assert client.submit(_event(0)).seq == 0
        assert client.flush(0)

    def test_what_it_cannot_take_now_is_spooled_and_sent_in_order(self, app, make_client, transport, path):
        client = make_client(spool=path)
        client.submit(_event(0))
        transport.always = unreachable
        assert [client.submit(_event(number)) for number in range(1, 40)] == [None] * 39
        transport.always = None
        assert client.flush(20)
        client.submit(_event(40))
        assert client.flush(20)
        assert _numbers(app) == list(range(41))

    @pytest.mark.parametrize("fault", [answer_lost, status(503), status(502)])
    def test_whatever_fails_nothing_is_lost_or_repeated(self, app, make_client, transport, path, fault):
        client = make_client(spool=path)
        for number in range(30):
            transport.faults = [fault] if number % 3 == 0 else []
            client.submit(_event(number))
        transport.faults = []
        assert client.flush(20)
        assert _numbers(app) == list(range(30))

    def test_what_an_earlier_process_left_is_sent_first(self, app, make_client, path):
        with Spool(path) as spool:
            for number in range(3):
                spool.put(_event(number))
        client = make_client(spool=path)
        client.submit(_event(3))
        assert client.flush(20)
        assert _numbers(app) == [0, 1, 2, 3]

    def test_what_is_refused_for_good_holds_nothing_up(self, app, make_client, path):
        with Spool(path) as spool:
            spool.put(_event(0))
            spool.put(Event(type="a", payload={}, context={"caller": "me"}, stream="agents", id=new_id()))
            spool.put(_event(2))
        spool = Spool(path)
        client = make_client(spool=spool)
        assert client.flush(20)
        assert _numbers(app) == [0, 2]
        assert "context.caller" in spool.refused()[0][1]

    def test_what_no_service_would_take_is_refused_at_once(self, make_client, transport, path):
        transport.always = unreachable
        with pytest.raises(InputError):
            make_client(spool=path).submit(Event(type=""))

    def test_a_token_that_is_not_accepted_loses_nothing(self, app, make_client, transport, path):
        token = ["x"]
        transport.always = unreachable
        client = make_client(spool=path, token=lambda: token[0])
        client.submit(_event(0))
        transport.always = None
        sent = len(transport.requests)
        wait_until(lambda: len(transport.requests) > sent)
        assert not client.flush(0)
        token[0] = app.tokens["producer"]
        assert client.flush(20)
        assert _numbers(app) == [0]

    def test_without_a_spool_the_error_is_the_callers(self, make_client, transport):
        transport.always = unreachable
        with pytest.raises(calls.ServiceError):
            make_client(retry_for_s=0).submit(_event(0))

    def test_a_full_spool_is_the_callers_error(self, make_client, transport, path):
        transport.always = unreachable
        client = make_client(spool=Spool(path, max_bytes=150))
        client.submit(_event(0))
        with pytest.raises(StoreError, match="full"):
            client.submit(_event(1))

    def test_an_error_that_will_not_pass_is_the_callers(self, make_client, path):
        with pytest.raises(calls.AuditSealError) as raised:
            make_client("auditor", spool=path).submit(_event(0))
        assert not raised.value.retryable

    def test_many_threads_lose_nothing(self, app, make_client, transport, path):
        client = make_client(spool=path)

        def work(stream: str) -> None:
            for number in range(20):
                transport.faults.append(unreachable if number % 4 == 0 else None)
                client.submit(_event(number, stream))

        threads = [threading.Thread(target=work, args=[f"s{n}"]) for n in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        transport.faults = []
        assert client.flush(30)
        for number in range(6):
            assert sorted(_numbers(app, f"s{number}")) == list(range(20))


def test_a_drain_goes_on_after_an_error(path):
    sent = []

    def send(events):
        if len(sent) < 2:
            sent.append(None)
            raise UnauthenticatedError("no", reason="x")
        sent.extend(events)
        return ["receipt"] * len(events)

    with Spool(path) as spool:
        spool.put(_event(0))
        drain = Drain(spool, send, first_pause_s=0.01)
        assert drain.wait_until_empty(20)
        drain.close()
    assert len(sent) == 3
