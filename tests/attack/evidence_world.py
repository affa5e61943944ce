"""A log with checkpoints, a witness, anchors and a verifier that remembers, and attackers who own the log's file."""

from __future__ import annotations

import atexit
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

from auditseal.adapters.signers.local import LocalSigner
from auditseal.adapters.stores.sqlite import SqliteStore
from auditseal.adapters.witnesses.sqlite import SqliteWitnessStore
from auditseal.core.entry import StoredEntry
from auditseal.core.event import Event
from auditseal.core.evidence import Outside
from auditseal.core.log_keys import note_key_of
from auditseal.core.outside_check import AnchoredNote
from auditseal.core.registry import Registry
from auditseal.core.remembered import Remembered
from auditseal.core.report import Report
from auditseal.core.times import Micros
from auditseal.core.witness_policy import WitnessPolicy, parse_policy
from auditseal.service.audit import audit, resumable
from auditseal.service.checkpoint import Pace
from auditseal.service.cosign import Cosigner
from auditseal.service.witness import Witness, witness_key
from support.evidence import LOG, Key
from support.logs import StepClock, opened_log, registered

STREAM = "main"
HOUR = 3_600_000_000
BATCH = 6
"""Five events and the entry of their checkpoint."""


class WitnessInProcess:
    """Asks a witness without a network."""

    def __init__(self, name: str, state: Path, make: Callable[[SqliteWitnessStore], Witness]) -> None:
        self.name = name
        self._state = state
        self._make = make

    def add_checkpoint(self, body: bytes, *, timeout_s: float) -> bytes:
        store = SqliteWitnessStore(self._state)
        try:
            return self._make(store).add_checkpoint(body)
        finally:
            store.close()


@dataclass
class Attestor:
    """A witness with its own state; `reset` makes it one that forgets, and so signs two views."""

    name: str
    folder: Path
    key: Key = field(init=False)
    states: int = 0

    def __post_init__(self) -> None:
        self.key = Key(f"{self.name}-key")

    @property
    def signer(self) -> LocalSigner:
        return LocalSigner(signer_id=self.key.signer_id, key=self.key.private)

    def reset(self) -> None:
        self.states += 1

    def client(self, log_key: Key, clock: Callable[[], Micros]) -> WitnessInProcess:
        logs = [note_key_of(log_key.registered, f"{LOG}/{STREAM}")]
        return WitnessInProcess(
            self.name,
            self.folder / f"state-{self.states}.db",
            lambda store: Witness(store, self.signer, name=self.name, logs=logs, clock=clock),
        )

    def vkey(self) -> str:
        return witness_key(self.signer, self.name).vkey()


@dataclass
class World:
    """Three batches of events, each under a checkpoint that two witnesses cosigned and an anchor holds."""

    folder: Path
    key: Key = field(default_factory=lambda: Key("audit-2026"))
    clock: StepClock = field(default_factory=StepClock)
    honest: Attestor = field(init=False)
    faithless: Attestor = field(init=False)
    anchors: list[AnchoredNote] = field(default_factory=list)
    remembered: dict[str, Remembered] = field(default_factory=dict)
    registry: Registry = field(init=False)

    def __post_init__(self) -> None:
        self.honest = Attestor("honest.example/w", self._sub("honest"))
        self.faithless = Attestor("faithless.example/w", self._sub("faithless"))
        self.registry = registered(self.key)
        for batch in range(3):
            self.append(self.path, [{"batch": batch, "n": n} for n in range(5)])
            self._anchor()
            if batch == 0:
                self.copy("after-6")
            if batch == 1:
                self.copy("after-12")
        report = self.verify("state")
        assert report.verdict == "valid", report.findings
        self.remembered = dict(report.remembered)

    @property
    def path(self) -> Path:
        return self.folder / "audit.db"

    def _sub(self, name: str) -> Path:
        (self.folder / name).mkdir()
        return self.folder / name

    def copy(self, name: str) -> None:
        with self.database() as connection:
            connection.execute("VACUUM INTO ?", (str(self.folder / f"{name}.db"),))

    def restore(self, name: str) -> None:
        for end in ("", "-wal", "-shm"):
            self.path.with_name(self.path.name + end).unlink(missing_ok=True)
        shutil.copy(self.folder / f"{name}.db", self.path)

    def append(self, path: Path, payloads: list[dict], *, key: Key | None = None, announce: bool = True) -> None:
        """Appends events and a checkpoint, asking both witnesses; what they refuse stays without them."""
        key = key or self.key

        def cosigner(store: SqliteStore) -> Cosigner:
            clients = [each.client(self.key, self.clock) for each in (self.honest, self.faithless)]
            return Cosigner(store, self.policy("all"), clients, on_missing="fail-open")

        with opened_log(
            path, key, background=False, clock=self.clock, cosigner_for=cosigner, pace=Pace(heartbeat_s=3600)
        ) as opened:
            opened.log.append_many(
                [Event(type="test.event", stream=STREAM, payload=each) for each in payloads], ack="durable"
            )
            if announce:
                opened.checkpointer.create([STREAM])

    def policy(self, quorum: str) -> WitnessPolicy:
        names = (self.honest.name, self.faithless.name)
        lines = [f"witness {each.name} {each.vkey()}" for each in (self.honest, self.faithless)]
        return parse_policy("\n".join([*lines, f"group both {quorum} {' '.join(names)}", "quorum both"]))

    def _anchor(self) -> None:
        store = SqliteStore(f"sqlite:///{self.path}")
        last = store.last_checkpoint(STREAM)
        store.close()
        assert last is not None
        self.anchors.append(AnchoredNote(note=last.note(), time=Micros(self.clock.now), where=f"anchor {last.size}"))

    def verify(self, evidence: str, *, now: int | None = None) -> Report:
        """What a verifier says who has this besides the log and the registry: `alone`, `state`, `witness`, `anchor`."""
        store = SqliteStore(f"sqlite:///{self.path}", read_only=True)
        try:
            remembered = self.remembered if evidence == "state" else {}
            outside = Outside(
                remembered=remembered,
                resumed=resumable(store, remembered),
                anchors={STREAM: self.anchors} if evidence == "anchor" else None,
                policy=self.policy("any" if evidence == "one witness" else "all") if "witness" in evidence else None,
                now=Micros(self.clock.now if now is None else now),
            )
            return audit(store, self.registry, outside=outside)
        finally:
            store.close()

    @contextmanager
    def database(self) -> Iterator[sqlite3.Connection]:
        """The log's file in the hands of somebody who may do everything: the triggers are gone while it is open."""
        connection = sqlite3.connect(self.path, isolation_level=None)
        triggers = connection.execute("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'").fetchall()
        for name, _ in triggers:
            connection.execute(f"DROP TRIGGER {name}")
        try:
            yield connection
        finally:
            for _, sql in triggers:
                connection.execute(sql)
            connection.close()

    def entries(self) -> list[StoredEntry]:
        store = SqliteStore(f"sqlite:///{self.path}", read_only=True)
        try:
            return list(store.walk([STREAM]))
        finally:
            store.close()

    def cut(self, size: int, *, checkpoints_too: bool = True) -> None:
        with self.database() as connection:
            connection.execute("DELETE FROM entries WHERE seq >= ?", (size,))
            connection.execute("UPDATE signed_below SET seq = min(seq, ?)", (size,))
            if checkpoints_too:
                connection.execute("DELETE FROM checkpoints WHERE size > ?", (size,))
                connection.execute("DELETE FROM checkpoint_signatures WHERE size > ?", (size,))

    def rewrite(self, first: int, payloads: list[dict], *, key: Key | None) -> None:
        """Puts other events in the place of all from `first` on; with a key also checkpoints of its own."""
        self.cut(first)
        self.append(self.path, payloads, key=key, announce=key is not None)


@cache
def _built() -> tuple[World, Path]:
    """A world takes a second to make: it is made once, and copied with its keys for each test."""
    folder = Path(mkdtemp(prefix="auditseal-world-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return World(folder), folder


def new_world(folder: Path) -> World:
    """A world of the caller's own."""
    built, template = _built()
    shutil.copytree(template, folder, dirs_exist_ok=True)
    world = copy(built)
    world.folder = folder
    world.clock = replace(built.clock)
    world.anchors = list(built.anchors)
    world.remembered = dict(built.remembered)
    world.honest = replace_folder(built.honest, folder / "honest")
    world.faithless = replace_folder(built.faithless, folder / "faithless")
    return world


def replace_folder(attestor: Attestor, folder: Path) -> Attestor:
    """The same witness with its state elsewhere."""
    other = copy(attestor)
    other.folder = folder
    return other
