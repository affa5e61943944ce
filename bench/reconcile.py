"""How many CloudTrail records a second one core reconciles, and in how much memory.

    python bench/reconcile.py [RECORDS] [EVERY]        default 1,000,000 and 4

One record in EVERY is a Sign call that the log accounts for, the others are calls of other services and keys; EVERY 1
is the dearest trail there can be. Files have 4,000 records as CloudTrail writes them, compressed, each with a digest
that is verified. A tenth of the records is measured first, to show that memory does not grow with them.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import orjson

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "tests")]
PER_FILE = 4_000
PER_SECOND = 40


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
    from auditseal.core.entry import StoredSignature
    from auditseal.core.event import Event, Limits, Micros, StreamName, format_time, make_draft
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


def measure(folder: Path, count: int) -> None:
    """Reconciles once; in a process of its own, so that its memory is its own."""
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
    log = SqliteStore(f"sqlite:///{folder}/log.db", read_only=True)
    begun, cpu = time.perf_counter(), time.process_time()
    ledger = SqliteLedger()
    report = reconcile(
        log,
        Registry(signers=(signer,)),
        FolderTrail(folder / "trail"),
        ledger,
        expectation=expect(Registry(signers=(signer,)), principals=[ROLE]),
        asked=Asked(
            keys=parse_public_keys((folder / "keys.json").read_bytes(), "keys"),
            until=START + count // PER_SECOND - 1000,
        ),
    )
    ledger.close()
    took, cpu = time.perf_counter() - begun, time.process_time() - cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    result = {
        "records": count,
        "verdict": str(report.verdict),
        "findings": len(report.findings),
        "accounted": report.checked["accounted"],
        "seconds": round(took, 2),
        "records_per_second": round(count / took),
        "records_per_cpu_second": round(count / cpu),
        "peak_mib": round(peak),
    }
    print(orjson.dumps(result).decode())


def main() -> None:
    most = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    every = int(sys.argv[2]) if len(sys.argv) > 2 and sys.argv[2].isdecimal() else 4
    if len(sys.argv) > 2 and not sys.argv[2].isdecimal():
        measure(Path(sys.argv[2]), most)
        return
    for count in (most // 10, most):
        with tempfile.TemporaryDirectory(prefix="auditseal-bench-") as folder:
            make(Path(folder), count, every)
            subprocess.run([sys.executable, __file__, str(count), folder], check=True)


if __name__ == "__main__":
    main()
