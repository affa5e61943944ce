"""Writers that go on whatever happens, and the account of what they were told."""

from __future__ import annotations

import itertools
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import auditseal
from auditseal.client import Client
from auditseal.core.event import RESERVED_TYPES, Event, parse_body
from auditseal.core.receipt import Receipt
from auditseal.core.report import Report
from auditseal.errors import AuditSealError, SignaturePendingError
from auditseal.ports import Store
from auditseal.service.ids import new_id
from auditseal.wiring.sources import open_store


@dataclass
class Account:
    """What writers sent and what they were told.

    Attributes:
        sent: the ids of all events that were sent at least once.
        told: by id, the receipts, in the order in which they came.
        refused: errors that reached a writer.
    """

    sent: set[str] = field(default_factory=set)
    told: dict[str, list[Receipt]] = field(default_factory=dict)
    refused: list[AuditSealError] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, receipts: list[Receipt]) -> None:
        with self.lock:
            for receipt in receipts:
                self.told.setdefault(receipt.id, []).append(receipt)


def write(client: Client, account: Account, stream: str, *, batch: int, go_on: Callable[[int], bool]) -> None:
    """Appends batches (or single events) of one stream until it is enough; keeps the ids of what was not taken."""
    number = 0
    waiting: list[Event] = []
    while waiting or go_on(number):
        if not waiting:
            waiting = [Event(type="load", stream=stream, id=new_id(), payload={"n": number + n}) for n in range(batch)]
            number += batch
            with account.lock:
                account.sent.update(event.id for event in waiting)
        try:
            if batch == 1:
                account.note([client.append_event(waiting[0])])
            else:
                account.note(client.append_many(waiting))
            waiting = []
        except SignaturePendingError as error:
            account.note(list(error.receipts))
            waiting = []
        except AuditSealError as error:
            with account.lock:
                account.refused.append(error)
            if not error.retryable:
                raise


@contextmanager
def writers(works: list[Callable[[], None]], ended: threading.Event | None = None) -> Iterator[list[threading.Thread]]:
    """Runs the works in threads, tells them at last that it is enough, and waits; an error in one is raised here."""
    errors: list[BaseException] = []

    def run(work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001 - raised below, in the test's own thread
            errors.append(error)

    threads = [threading.Thread(target=run, args=[work]) for work in works]
    for thread in threads:
        thread.start()
    try:
        yield threads
    finally:
        if ended is not None:
            ended.set()
        for thread in threads:
            thread.join()
    if errors:
        raise errors[0]


def check_account(address: str, account: Account) -> None:
    """Nothing acknowledged is lost or other than said, nothing is there twice, nothing forks, nothing is a stranger.

    Entries that the log makes by itself, about its signers and checkpoints, are no strangers.
    """
    store: Store = open_store(address, read_only=True)
    try:
        ids: Counter[str] = Counter()
        own: set[str] = set()
        seqs: dict[str, list[int]] = {}
        hashes: dict[str, bytes] = {}
        signed: set[str] = set()
        for entry in store.walk():
            body = parse_body(entry.body)
            id_ = body.id
            ids[id_] += 1
            if body.type.startswith(RESERVED_TYPES):
                own.add(id_)
            hashes[id_] = entry.hash
            seqs.setdefault(entry.stream, []).append(entry.seq)
            if entry.signatures:
                signed.add(id_)
        covered = {each.stream: each.size for each in store.checkpoints()} if hasattr(store, "checkpoints") else {}
    finally:
        store.close()
    duplicates = [id_ for id_, count in ids.items() if count > 1]
    lost = [id_ for id_ in account.told if id_ not in ids]
    strangers = [id_ for id_ in ids if id_ not in account.sent and id_ not in own]
    other = [id_ for id_, receipts in account.told.items() if any(r.hash != hashes.get(id_) for r in receipts)]
    unsigned = [
        receipt.id
        for receipt in itertools.chain(*account.told.values())
        if receipt.status == "signed"
        and (receipt.id not in signed if receipt.signature else receipt.seq >= covered.get(receipt.stream, 0))
    ]
    assert (duplicates, lost, strangers, other, unsigned) == ([], [], [], [], [])
    for stream, found in seqs.items():
        assert found == list(range(len(found))), f"{stream} is not contiguous"


def verified(address: str, signers: str) -> Report:
    return auditseal.verify(address, signers)
