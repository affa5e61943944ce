"""Small logs in memory, with their trees and signed checkpoints, for tests of what is proven of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric import ed25519

from auditseal.core.algorithm import ALGORITHMS, AlgorithmId
from auditseal.core.chain import Head, extend
from auditseal.core.checkpoint import Checkpoint, format_checkpoint, stream_origin
from auditseal.core.draft import Limits, make_draft
from auditseal.core.entry import Entry
from auditseal.core.event import Event, StreamName
from auditseal.core.log_keys import note_key_of
from auditseal.core.merkle import Frontier, grow, leaf_hashes
from auditseal.core.merkle_proof import inclusion_proof, root_at
from auditseal.core.note import Note, NoteSignature, format_note
from auditseal.core.note_key import NoteKey, NoteKeyType, signed_by, to_sign
from auditseal.core.registered_signer import RegisteredSigner
from auditseal.core.registry import Registry
from auditseal.core.times import Micros

LOG = "example.com/audit"
START = 1_780_000_000_000_000


@dataclass(frozen=True)
class Key:
    """An Ed25519 signer whose private key the test has."""

    signer_id: str
    private: ed25519.Ed25519PrivateKey = field(default_factory=ed25519.Ed25519PrivateKey.generate)

    @property
    def registered(self) -> RegisteredSigner:
        return RegisteredSigner(
            signer_id=self.signer_id, algorithm=ALGORITHMS[AlgorithmId.ED25519], public_key=self.private.public_key()
        )

    def sign(self, text: str, origin: str) -> NoteSignature:
        key = note_key_of(self.registered, origin)
        return signed_by(key, self.private.sign(to_sign(key, text).message))


def registry_of(*keys: Key) -> Registry:
    return Registry(signers=tuple(key.registered for key in keys))


@dataclass(frozen=True)
class Witness:
    """A witness whose private key the test has."""

    name: str
    private: ed25519.Ed25519PrivateKey = field(default_factory=ed25519.Ed25519PrivateKey.generate)

    @property
    def key(self) -> NoteKey:
        material = self.private.public_key().public_bytes_raw()
        return NoteKey(name=self.name, type=NoteKeyType.COSIGNATURE_ED25519, material=material)

    def cosign(self, text: str, time_s: int) -> NoteSignature:
        message = to_sign(self.key, text, time_s=time_s).message
        return signed_by(self.key, self.private.sign(message), time_s=time_s)


@dataclass
class SmallLog:
    """One stream's entries and the tree over them."""

    stream: str = "main"
    entries: list[Entry] = field(default_factory=list)

    def append(self, *payloads: dict, type_: str = "test.event") -> SmallLog:
        for payload in payloads:
            number = len(self.entries)
            id_ = f"00000000-0000-7000-8000-{number:012x}"
            draft = make_draft(Event(type=type_, payload=payload, stream=self.stream), new_id=id_, limits=Limits())
            last = self.entries[-1] if self.entries else None
            stream = StreamName(self.stream)
            head = Head(stream=stream, seq=last.seq, hash=last.hash, time=last.time) if last else Head(stream=stream)
            self.entries += extend(head, [draft], Micros(START + number * 1_000_000))
        return self

    @property
    def origin(self) -> str:
        return stream_origin(LOG, self.stream)

    @property
    def leaves(self) -> list[bytes]:
        return leaf_hashes(entry.hash for entry in self.entries)

    def read_node(self, level: int, index: int) -> bytes:
        _, runs = grow(Frontier(), self.leaves)
        return {(at, number): hash_ for run in runs for at, number, hash_ in run}[level, index]

    def checkpoint(self, size: int | None = None) -> Checkpoint:
        size = len(self.entries) if size is None else size
        return Checkpoint(origin=self.origin, size=size, root=root_at(size, self.read_node))

    def path(self, seq: int, size: int | None = None) -> tuple[bytes, ...]:
        return inclusion_proof(seq, len(self.entries) if size is None else size, self.read_node)

    def note(self, key: Key, *, size: int | None = None, witnesses: Sequence[Witness] = (), time_s: int = 0) -> Note:
        text = format_checkpoint(self.checkpoint(size))
        lines = [key.sign(text, self.origin), *(witness.cosign(text, time_s) for witness in witnesses)]
        return Note(text=text, signatures=tuple(lines))

    def signed_text(self, key: Key, **how) -> str:
        return format_note(self.note(key, **how)).decode()
