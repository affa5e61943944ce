"""A process that appends to a log from several threads and prints each acknowledged entry.

    python -m support.store_writer ADDRESS STREAM THREADS EVENTS BATCH

Each line is `seq id hash`, printed after the append returned. A failed append is tried again under the same ids while
the store says that another attempt may succeed.
"""

from __future__ import annotations

import sys
import time
from concurrent.futures import ThreadPoolExecutor

from auditseal.errors import StoreError
from auditseal.ports import Store
from auditseal.service.ids import new_id, now_micros
from auditseal.wiring.sources import open_store
from support.store_events import draft

_GIVE_UP_S = 60.0


def write(store: Store, stream: str, events: int, batch: int) -> None:
    """Appends so many events in batches."""
    for first in range(0, events, batch):
        drafts = [draft(number, stream=stream, id_=new_id()) for number in range(first, min(first + batch, events))]
        entries = [item.new or item.found for item in _persistently(store, drafts)]
        lines = [f"{entry.seq} {item.id} {entry.hash.hex()}\n" for entry, item in zip(entries, drafts, strict=True)]
        sys.stdout.write("".join(lines))
        sys.stdout.flush()


def _persistently(store: Store, drafts: list) -> list:
    give_up_at = time.monotonic() + _GIVE_UP_S
    while True:
        try:
            return store.append(drafts, now_micros)
        except StoreError as error:
            if not error.retryable or time.monotonic() > give_up_at:
                raise
            time.sleep(0.05)


def main() -> None:
    address, stream, *numbers = sys.argv[1:]
    threads, events, batch = map(int, numbers)
    store = open_store(address)
    with ThreadPoolExecutor(threads) as pool:
        for outcome in [pool.submit(write, store, stream, events, batch) for _ in range(threads)]:
            outcome.result()
    store.close()


if __name__ == "__main__":
    main()
