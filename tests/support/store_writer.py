"""A process that appends to a log from several threads and prints each acknowledged entry.

    python -m support.store_writer ADDRESS STREAM THREADS EVENTS BATCH [signed]

Each line is `seq id hash`, printed after the append returned. A failed append is tried again under the same ids while
the store says that another attempt may succeed. EVENTS is how many each thread appends; 0 is until stdin ends. With
`signed` the events go through a whole log with a signer, and an acknowledged entry is signed.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

from auditseal import open_log
from auditseal.adapters.signers.local import LocalSigner
from auditseal.core.algorithm import ALGORITHMS, AlgorithmId
from auditseal.core.draft import Limits, make_draft
from auditseal.core.event import Event
from auditseal.errors import StoreError
from auditseal.service.ids import new_id, now_micros
from auditseal.wiring.sources import open_store
from support.agent_manager import KEY

_GIVE_UP_S = 60.0
Append = Callable[[list[Event]], list[tuple[int, bytes]]]


def write(append: Append, stream: str, events: int, batch: int, ended: threading.Event) -> None:
    """Appends so many events in batches."""
    for part in _batches(stream, events, batch, ended):
        places = _persistently(append, part)
        lines = [f"{seq} {event.id} {hash_.hex()}\n" for (seq, hash_), event in zip(places, part, strict=True)]
        sys.stdout.write("".join(lines))
        sys.stdout.flush()


def _batches(stream: str, events: int, batch: int, ended: threading.Event) -> Iterator[list[Event]]:
    done = 0
    while (events and done < events) or (not events and not ended.is_set()):
        size = min(batch, events - done) if events else batch
        numbers = range(done, done + size)
        yield [Event(type="test.event", stream=stream, id=new_id(), payload={"n": number}) for number in numbers]
        done += size


def _persistently(append: Append, events: list[Event]) -> list[tuple[int, bytes]]:
    give_up_at = time.monotonic() + _GIVE_UP_S
    while True:
        try:
            return append(events)
        except StoreError as error:
            if not error.retryable or time.monotonic() > give_up_at:
                raise
            time.sleep(0.05)


def _through_store(address: str) -> tuple[Append, Callable[[], None]]:
    store = open_store(address)

    def append(events: list[Event]) -> list[tuple[int, bytes]]:
        drafts = [make_draft(event, new_id=new_id(), limits=Limits()) for event in events]
        entries = [item.new or item.found for item in store.append(drafts, now_micros)]
        return [(entry.seq, entry.hash) for entry in entries if entry is not None]

    return append, store.close


def _through_log(address: str) -> tuple[Append, Callable[[], None]]:
    signer = LocalSigner(signer_id="node-1", key=KEY, algorithm=ALGORITHMS[AlgorithmId.ED25519])
    log = open_log(address, signer=signer)

    def append(events: list[Event]) -> list[tuple[int, bytes]]:
        receipts = log.append_many(events)
        if any(receipt.status == "pending" for receipt in receipts):
            # In the log, and its signature could not be stored: the same ids again wait for it.
            raise StoreError("a signature is due", retryable=True)
        return [(receipt.seq, receipt.hash) for receipt in receipts]

    return append, log.close


def main() -> None:
    address, stream, threads, events, batch, *signed = sys.argv[1:]
    append, close = (_through_log if signed else _through_store)(address)
    ended = threading.Event()
    with closing(sys.stdout), ThreadPoolExecutor(int(threads)) as pool:
        work = [pool.submit(write, append, stream, int(events), int(batch), ended) for _ in range(int(threads))]
        if not int(events):
            sys.stdin.read()
            ended.set()
        for outcome in work:
            outcome.result()
        close()


if __name__ == "__main__":
    main()
