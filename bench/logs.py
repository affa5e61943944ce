"""Logs to measure on, made below the service, where signing a million entries would take an hour."""

from __future__ import annotations

from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ed25519, rsa

from auditseal.adapters.registry_file import save_registry
from auditseal.adapters.signers.local import LocalSigner
from auditseal.adapters.stores.sqlite.store import SqliteStore
from auditseal.core.algorithm import parse_algorithm
from auditseal.core.draft import Limits, make_draft
from auditseal.core.entry import StoredSignature
from auditseal.core.event import Event
from auditseal.core.registry import RegisteredSigner, Registry
from auditseal.ports import NewSignature
from auditseal.service.ids import new_id, now_micros

KEYS = {
    "rsa-sha256": lambda: rsa.generate_private_key(public_exponent=65537, key_size=2048),
    "ed25519": ed25519.Ed25519PrivateKey.generate,
}


def event(number: int) -> Event:
    return Event(
        type="agent.heartbeat",
        actor="system:scheduler",
        stream="bench",
        payload={"agent_id": f"a-{number % 97}", "cpu": 0.25, "queue": number, "template": "summarise-tickets"},
    )


def make_signer(algorithm: str) -> LocalSigner:
    return LocalSigner(signer_id="bench", key=KEYS[algorithm](), algorithm=parse_algorithm(algorithm))


def make_log(path: Path, count: int, signer: LocalSigner | None) -> Path:
    """A log of so many entries, each signed; beside it its signers.json, whose path is returned."""
    address = f"sqlite:///{path}"
    SqliteStore.create(address)
    store = SqliteStore(address)
    for first in range(0, count, 1000):
        drafts = [
            make_draft(event(number), new_id=new_id(), limits=Limits())
            for number in range(first, min(count, first + 1000))
        ]
        appended = store.append(drafts, now_micros)
        if signer is not None:
            store.add_signatures([_signature(signer, item.new) for item in appended])
    store.close()
    signers = path.with_suffix(".signers.json")
    listed = () if signer is None else (_registered(signer),)
    save_registry(signers, Registry(signers=listed))
    return signers


def _registered(signer: LocalSigner) -> RegisteredSigner:
    return RegisteredSigner(signer_id="bench", algorithm=signer.algorithm, public_key=signer.public_key)


def _signature(signer: LocalSigner, entry: object) -> NewSignature:
    return NewSignature(
        stream=entry.stream,
        seq=entry.seq,
        signature=StoredSignature(
            signer="bench",
            algorithm=signer.algorithm.id,
            signature=signer.sign(entry.hash).signature,
            entry_hash=entry.hash,
        ),
    )
