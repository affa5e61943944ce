"""Many writers on one store, in threads and in processes: no fork, nothing lost, nothing twice."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from auditseal.ports import Store
from contract.store_subjects import Subject
from support.chains import START
from support.processes import finish, start
from support.store_events import check_chains, draft, event_id, signature_for

PROCESSES, THREADS, EVENTS = 4, 8, 25


def test_processes_with_threads_write_one_chain(store: Store, subject: Subject):
    writers = [
        start("support.store_writer", subject.address, "shared", THREADS, EVENTS, 3 + number)
        for number in range(PROCESSES)
    ]
    acknowledged = [line.split() for writer in writers for line in finish(writer)]
    assert check_chains(store.walk()) == {"shared": PROCESSES * THREADS * EVENTS}
    stored = [[str(entry.seq), entry.columns.id, entry.hash.hex()] for entry in store.walk()]
    assert sorted(acknowledged) == sorted(stored)


def test_threads_write_their_own_streams_and_a_shared_one(store: Store):
    def write(number: int) -> None:
        for event in range(20):
            names = [f"own-{number}", "shared"] if number % 2 else ["shared", f"own-{number}"]
            store.append([draft(event, stream=name) for name in names], lambda: START)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, range(8)))
    assert check_chains(store.walk()) == {"shared": 160, **{f"own-{number}": 20 for number in range(8)}}


def test_one_event_sent_by_many_threads_is_one_entry(store: Store):
    same = [draft(1, id_=event_id(1)), draft(2, id_=event_id(2))]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: store.append(same, lambda: START), range(8)))
    assert sum(item.new is not None for answer in answers for item in answer) == 2
    assert {tuple((item.new or item.found).seq for item in answer) for answer in answers} == {(0, 1)}
    assert store.count() == 2


def test_readers_see_whole_transactions_while_threads_write_and_sign(store: Store):
    def write() -> None:
        for _ in range(15):
            appended = store.append([draft(number) for number in range(4)], lambda: START)
            store.add_signatures([signature_for(item.new) for item in appended])

    def read() -> list[int]:
        return [sum(check_chains(store.walk()).values()) for _ in range(10)]

    with ThreadPoolExecutor(6) as pool:
        writing = [pool.submit(write) for _ in range(3)]
        reading = [pool.submit(read) for _ in range(3)]
        counts = [count for future in reading for count in future.result()]
        for future in writing:
            future.result()
    assert all(count % 4 == 0 for count in counts)
    assert (store.count(), store.count_pending()) == (180, 0)
