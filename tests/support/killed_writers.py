"""Writers that are killed at random points, one after the other, in a process that imports everything once.

    python -m support.killed_writers ADDRESS KILLS SEED

Each writer is a process of its own that opens the log, appends single events and batches, and prints every
acknowledged entry as `seq id hash`. It is killed (SIGKILL) at a random moment after its first acknowledgement.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from contextlib import suppress

from auditseal.service.ids import new_id, now_micros
from auditseal.wiring.sources import open_store
from support.store_events import draft, signature_for

_LONGEST_S = 0.06


def _write(address: str, out: int) -> None:
    store = open_store(address)
    for number in range(1_000_000):
        drafts = [draft(number, id_=new_id()) for _ in range(1 + number % 7)]
        entries = [item.new for item in store.append(drafts, now_micros)]
        os.write(out, "".join(f"{entry.seq} {entry.id} {entry.hash.hex()}\n" for entry in entries).encode())
        store.add_signatures([signature_for(entry) for entry in entries])


def _run_one(address: str, pause_s: float) -> bytes:
    """The acknowledgements of one writer, whole lines as they were printed until it was killed."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        with suppress(BaseException):
            os.close(reading)
            _write(address, writing)
        os._exit(1)
    os.close(writing)
    said = os.read(reading, 65_536)
    time.sleep(pause_s)
    os.kill(child, signal.SIGKILL)
    while more := os.read(reading, 65_536):
        said += more
    os.close(reading)
    _, status = os.waitpid(child, 0)
    if os.waitstatus_to_exitcode(status) != -signal.SIGKILL:
        sys.exit("a writer ended before it was killed")
    return said


def main() -> None:
    address, kills, seed = sys.argv[1:]
    chance = random.Random(int(seed))
    open_store(address).close()
    for _ in range(int(kills)):
        sys.stdout.write(_run_one(address, chance.uniform(0, _LONGEST_S)).decode())
        sys.stdout.flush()


if __name__ == "__main__":
    main()
