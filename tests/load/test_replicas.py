"""Several replicas on one PostgreSQL log fork, lose and repeat nothing; what one leaves behind another signs."""

from __future__ import annotations

import itertools
import signal
import threading
import time
from functools import partial

from auditseal.client import Client
from auditseal.config import load_settings
from auditseal.core.event import Event
from auditseal.service.ids import new_id
from auditseal.wiring.logs import open_configured
from auditseal.wiring.sources import open_store
from support.load import Account, check_account, verified, write, writers
from support.service import is_up, wait_until

EVENTS = 20_000
BATCH = 100
WRITERS = 16
KILLS = 50
KILLS_UNDER_CHECKPOINTS = 10
RESTARTS = 10
STREAMS = ("agents", "ci", "billing/eu", "billing/us")


def _signers(tmp_path) -> str:
    return str(tmp_path / ".auditseal" / "signers.json")


def _pending(address: str) -> int:
    store = open_store(address, read_only=True)
    try:
        return store.count_pending()
    finally:
        store.close()


def test_16_writers_through_2_replicas_fork_nothing_lose_nothing_and_repeat_nothing(tmp_path, address, token, replicas):
    running = [replicas.start(), replicas.start()]
    account = Account()
    clients = [Client(replica.url, token=token, timeout_s=60) for replica in running]
    share = EVENTS // WRITERS
    works = [
        partial(
            write, clients[n % 2], account, STREAMS[n // 2 % len(STREAMS)], batch=BATCH, go_on=lambda done: done < share
        )
        for n in range(WRITERS)
    ]
    with writers(works):
        pass
    for client in clients:
        client.close()
    assert len(account.told) == len(account.sent) >= EVENTS
    assert account.refused == []
    check_account(address, account)
    report = verified(address, _signers(tmp_path))
    assert (report.verdict, report.checked["entries"]) == ("valid", len(account.sent))


def test_50_deaths_of_replicas_under_load_lose_nothing(tmp_path, address, token, replicas):
    running = [replicas.start(ready=False) for _ in range(4)]
    account = Account()
    ended = threading.Event()
    clients = [_patient(replica.url, token) for replica in running]
    works = [
        partial(write, clients[n % 4], account, STREAMS[n % 3], batch=size, go_on=lambda _: not ended.is_set())
        for n, size in zip(range(8), itertools.cycle([1, 20]))
    ]
    with writers(works, ended):
        for death in range(KILLS):
            before = len(account.told)
            wait_until(lambda before=before: len(account.told) > before, "the load goes on", timeout_s=120)
            # Whichever is up dies, while others are still coming up.
            place = next(n % 4 for n in itertools.count(death) if _is_up(running[n % 4]))
            port = int(running[place].url.rpartition(":")[2])
            running[place].kill()
            running[place] = replicas.start(port=port, ready=False)
    for client in clients:
        client.close()
    assert len(replicas.running) == KILLS + 4
    assert set(account.told) == account.sent
    check_account(address, account)
    wait_until(lambda: _pending(address) == 0, "what the dead left behind is signed", timeout_s=90)
    report = verified(address, _signers(tmp_path))
    assert (report.verdict, report.checked["entries"]) == ("valid", len(account.sent))


def test_10_deaths_of_replicas_under_checkpoints_leave_nothing_uncovered(tmp_path, address, token, replicas):
    checkpoints = {"AUDITSEAL_SIGNING_MODE": "checkpoint", "AUDITSEAL_ORIGIN": "example.com/load"}
    running = [replicas.start(ready=False, environment=checkpoints) for _ in range(3)]
    account = Account()
    ended = threading.Event()
    clients = [_patient(replica.url, token) for replica in running]
    works = [
        # Streams that all write to, and one of each replica's own.
        partial(
            write,
            clients[n % 3],
            account,
            STREAMS[n % 2] if n < 4 else f"own/{n}",
            batch=size,
            go_on=lambda _: not ended.is_set(),
        )
        for n, size in zip(range(7), itertools.cycle([1, 20]))
    ]
    with writers(works, ended):
        for death in range(KILLS_UNDER_CHECKPOINTS):
            before = len(account.told)
            wait_until(lambda before=before: len(account.told) > before, "the load goes on", timeout_s=60)
            place = next(n % 3 for n in itertools.count(death) if _is_up(running[n % 3]))
            port = int(running[place].url.rpartition(":")[2])
            running[place].kill()
            running[place] = replicas.start(port=port, ready=False, environment=checkpoints)
    for client in clients:
        client.close()
    # One more comes, which would cover its entries in a minute, and all but one of the others die with it.
    slow = replicas.start(environment={**checkpoints, "AUDITSEAL_CHECKPOINT_INTERVAL_MS": "60000"})
    with _patient(slow.url, token) as client:
        for stream in ("slow/1", "slow/2"):
            events = [Event(type="load", stream=stream, id=new_id()) for _ in range(50)]
            account.sent.update(event.id for event in events)
            account.note(client.append_many(events, ack="durable"))
    wait_until(lambda: is_up(running[0]), "one lives on")
    for replica in (slow, *running[1:]):
        replica.kill()
    assert _pending(address) >= 100
    assert set(account.told) == account.sent
    check_account(address, account)
    wait_until(lambda: _pending(address) == 0, "the one that lives covers what the dead left behind", timeout_s=30)
    check_account(address, account)
    report = verified(address, _signers(tmp_path))
    assert report.verdict == "valid"
    assert report.checked["entries"] > len(account.sent)


def test_10_restarts_of_the_database_beneath_replicas_lose_nothing(tmp_path, token, replicas, database, address):
    running = [replicas.start(), replicas.start()]
    account = Account()
    ended = threading.Event()
    clients = [_patient(replica.url, token) for replica in running]
    works = [
        partial(write, clients[n % 2], account, STREAMS[n % 3], batch=size, go_on=lambda _: not ended.is_set())
        for n, size in zip(range(6), itertools.cycle([1, 20]))
    ]
    with writers(works, ended):
        for number in range(RESTARTS):
            before = len(account.told)
            wait_until(lambda before=before: len(account.told) > before + 50, "the load goes on")
            # In good order, and as a power cut would.
            database.restart(signal.SIGQUIT if number % 2 else signal.SIGINT)
        before = len(account.told)
        wait_until(lambda: len(account.told) > before + 50, "the load goes on after the last")
    for client in clients:
        client.close()
    assert set(account.told) == account.sent
    check_account(address, account)
    wait_until(lambda: _pending(address) == 0, "what was left unsigned is signed", timeout_s=90)
    report = verified(address, _signers(tmp_path))
    assert (report.verdict, report.checked["entries"]) == ("valid", len(account.sent))


def _patient(url: str, token: str) -> Client:
    """A client that tries again for long, and often."""
    return Client(url, token=token, timeout_s=20, retry_for_s=120, sleep=lambda s: time.sleep(min(s, 0.2)))


def _is_up(replica) -> bool:
    time.sleep(0.02)
    return is_up(replica)


def test_what_a_dead_replica_left_unsigned_another_signs_unasked(tmp_path, address, token, replicas):
    # As a replica leaves it that dies between a commit and the signatures.
    with open_configured(load_settings({"log": address}).settings, background=False) as dead:
        dead.append_many([Event(type="a")] * 30, ack="durable")
    assert _pending(address) == 30
    replicas.start()
    wait_until(lambda: _pending(address) == 0, "another replica signs what is left", timeout_s=60)
    assert verified(address, _signers(tmp_path)).verdict == "valid"
