"""How many CloudTrail records a second one core reconciles, and in how much memory.

    python bench/reconcile.py [RECORDS] [EVERY]        default 1,000,000 and 4

One record in EVERY is a Sign call that the log accounts for, the others are calls of other services and keys; EVERY 1
is the dearest trail there can be. Files have 4,000 records as CloudTrail writes them, compressed, each with a digest
that is verified. A quarter of the records is measured too, to show that memory does not grow with them.
"""

from __future__ import annotations

import hashlib
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import orjson
from common import ROOT, Result, print_results

sys.path[:0] = [str(ROOT / "tests")]
PER_FILE = 4_000
PER_SECOND = 40
MOST, EVERY = 1_000_000, 4
GOAL = 50_000


def make(folder: Path, count: int, every: int) -> None:
    """Writes the trail and the log."""
    from cryptography.hazmat.primitives.asymmetric import rsa

    from support.trail import KEY_ARN, START, Bucket, sign_record, text_of, uuid_of

    bucket = Bucket(folder=folder / "trail", key=rsa.generate_private_key(public_exponent=65537, key_size=2048))
    shape = sign_record(START, 0)
    other = shape | {"resources": [shape["resources"][0] | {"ARN": KEY_ARN.replace("1234", "9999")}]}
    noise = [other | {"eventName": "Decrypt"}, other | {"eventSource": "sts.amazonaws.com", "eventName": "AssumeRole"}]
    begun = START
    for first in range(0, count, PER_FILE):
        records = []
        for number in range(first, min(first + PER_FILE, count)):
            moment = {"eventTime": text_of(START + number // PER_SECOND)}
            kind = noise[number % len(noise)] if number % every else shape
            records.append(kind | moment | {"requestID": uuid_of(number, 1), "eventID": uuid_of(number, 2)})
        until = START + (first + PER_FILE) // PER_SECOND
        listed = bucket.add_log(records, until)
        last = bucket.add_digest([listed], begun, until)
        begun = until
    bucket.put_signature_beside(last)
    (folder / "keys.json").write_bytes(bucket.public_keys())
    make_log(folder / "log.db", range(0, count, every))


def make_log(path: Path, numbers: range) -> None:
    """Writes a chained log whose signatures verify under nothing: their request ids are what counts here."""
    from auditseal.adapters.stores.sqlite.store import SqliteStore
    from auditseal.core.chain import Head, extend
    from auditseal.core.draft import Limits, make_draft
    from auditseal.core.entry import StoredSignature
    from auditseal.core.event import Event, StreamName
    from auditseal.core.times import Micros, format_time
    from auditseal.ports import NewSignature
    from support.signed_log import SIGNER
    from support.trail import START, uuid_of

    address = f"sqlite:///{path}"
    SqliteStore.create(address)
    store = SqliteStore(address)
    head = Head(stream=StreamName("default"))
    for first in range(0, len(numbers), PER_FILE):
        part = numbers[first : first + PER_FILE]
        entries = []
        for number in part:
            event = Event(type="agent.spawned", payload={"n": number})
            draft = make_draft(event, new_id=uuid_of(number, 3), limits=Limits())
            (entry,) = extend(head, [draft], Micros((START + number // PER_SECOND) * 1_000_000))
            head = Head(stream=entry.stream, seq=entry.seq, hash=entry.hash, time=entry.time)
            entries.append(entry)
        signatures = [
            NewSignature(
                stream=entry.stream,
                seq=entry.seq,
                signature=StoredSignature(
                    signer=SIGNER,
                    algorithm="ed25519",
                    signature=b"\x00" * 64,
                    entry_hash=entry.hash,
                    request_id=uuid_of(number, 1),
                    signed_at=format_time(Micros((START + number // PER_SECOND + 1) * 1_000_000)),
                ),
            )
            for number, entry in zip(part, entries, strict=True)
        ]
        store.insert(entries, signatures)
    store.close()


def reconcile_once(folder: Path, count: int) -> None:
    """Reconciles once, after reading the same files alone; in a process of its own, so that its memory is its own."""
    from auditseal.adapters.stores.sqlite.store import SqliteStore
    from auditseal.adapters.trail.folder import FolderTrail
    from auditseal.adapters.trail.ledger import SqliteLedger
    from auditseal.core.algorithm import ALGORITHMS, AlgorithmId
    from auditseal.core.expectation import expect
    from auditseal.core.key import parse_public_key
    from auditseal.core.registry import RegisteredSigner, Registry
    from auditseal.core.trail_digest import parse_public_keys
    from auditseal.service.accounting.reconcile import Asked, reconcile
    from support.signed_log import SIGNER
    from support.trail import KEY_ARN, ROLE, START

    signer = RegisteredSigner(
        signer_id=SIGNER,
        algorithm=ALGORITHMS[AlgorithmId.ED25519],
        public_key=parse_public_key("MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE="),
        key_arn=KEY_ARN,
    )
    registry = Registry(signers=(signer,))
    log = SqliteStore(f"sqlite:///{folder}/log.db", read_only=True)
    trail = FolderTrail(folder / "trail")
    begun = time.process_time()
    for file in trail.files():
        content = trail.read(file)
        hashlib.sha256(content).digest()
        orjson.loads(content)
    reading = time.process_time() - begun
    begun = time.process_time()
    ledger = SqliteLedger()
    report = reconcile(
        log,
        registry,
        trail,
        ledger,
        expectation=expect(registry, principals=[ROLE]),
        asked=Asked(
            keys=parse_public_keys((folder / "keys.json").read_bytes(), "keys"),
            until=START + count // PER_SECOND - 1000,
        ),
    )
    ledger.close()
    took = time.process_time() - begun
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    assert (report.verdict, report.findings) == ("valid", ()), report.findings
    result = {"rate": count / took, "reading": count / reading, "peak_mib": peak, "signed": report.checked["accounted"]}
    print(orjson.dumps(result).decode())


def figures_of(count: int, every: int) -> dict[str, float]:
    with tempfile.TemporaryDirectory(prefix="auditseal-bench-") as folder:
        make(Path(folder), count, every)
        command = [sys.executable, __file__, str(count), folder]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
    figures: dict[str, float] = orjson.loads(done.stdout)
    return figures


def measure(most: int = MOST, every: int = EVERY) -> list[Result]:
    small, large = figures_of(most // 4, every), figures_of(most, every)
    grown = large["peak_mib"] / small["peak_mib"]
    return [
        Result(
            what=f"reconcile {most:,} CloudTrail records, 1 in {every} a signature, beside reading them alone",
            ours=f"{large['rate']:,.0f} records a CPU second",
            theirs=f"{large['reading']:,.0f}",
            ratio=large["rate"] / large["reading"],
            goal="at least 50,000 a CPU second",
            met=large["rate"] >= GOAL,
        ),
        Result(
            what=f"peak memory of reconcile, {most:,} records against {most // 4:,}",
            ours=f"{large['peak_mib']:.0f} MB",
            theirs=f"{small['peak_mib']:.0f} MB",
            ratio=grown,
            goal="at most 1.2",
            met=grown <= 1.2,
        ),
    ]


def main() -> int:
    count, *rest = [*sys.argv[1:], str(EVERY)] if len(sys.argv) > 1 else [str(MOST), str(EVERY)]
    if rest[0].isdecimal():
        return print_results(measure(int(count), int(rest[0])))
    reconcile_once(Path(rest[0]), int(count))
    return 0


if __name__ == "__main__":
    sys.exit(main())
