"""Real logs in SQLite files, signed by local keys, for tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from auditseal.adapters.signers.local import LocalSigner
from auditseal.adapters.stores.sqlite import SqliteStore
from auditseal.core.registered_signer import RegisteredSigner
from auditseal.core.registry import Registry
from auditseal.core.times import Micros
from auditseal.ports import Signed
from auditseal.service.append import Appender
from auditseal.service.backlog import SigningPolicy
from auditseal.service.checkpoint import Checkpointer, Pace
from auditseal.service.checkpoint_loop import CheckpointLoop
from auditseal.service.log import Log
from auditseal.service.seal import Sealer
from auditseal.service.watch import Sharing
from support.evidence import LOG, START, Key


@dataclass
class StepClock:
    """A clock that goes on by a step at each look, and can be set."""

    now: int = START
    step: int = 1000

    def __call__(self) -> Micros:
        self.now += self.step
        return Micros(self.now)


class CountingSigner(LocalSigner):
    """Counts its signatures, and fails while it is told to."""

    failure: Exception | None = None
    calls = 0

    def sign_message(self, message: bytes) -> Signed:
        self.calls += 1
        if self.failure is not None:
            raise self.failure
        return super().sign_message(message)


def signer_of(key: Key) -> CountingSigner:
    return CountingSigner(signer_id=key.signer_id, key=key.private)


def registered(*keys: Key, **changes) -> Registry:
    return Registry(
        signers=tuple(
            RegisteredSigner(
                signer_id=key.signer_id,
                algorithm=signer_of(key).algorithm,
                public_key=key.private.public_key(),
                **changes,
            )
            for key in keys
        )
    )


@cache
def _empty_log() -> bytes:
    """Migrations take longer than most tests, and always end in the same file."""
    with TemporaryDirectory() as folder:
        SqliteStore.create(f"sqlite:///{folder}/empty.db")
        return (Path(folder) / "empty.db").read_bytes()


def create_store(path: Path) -> SqliteStore:
    if not path.exists():
        path.write_bytes(_empty_log())
    return SqliteStore(f"sqlite:///{path}")


@dataclass
class Opened:
    """A log in checkpoint or event mode, with its parts."""

    log: Log
    store: SqliteStore
    signer: CountingSigner
    checkpointer: Checkpointer
    loop: CheckpointLoop | None
    clock: Callable[[], Micros]
    extra: dict = field(default_factory=dict)

    def events(self, count: int, stream: str = "main", **how):
        for number in range(count):
            self.log.append("test.event", {"n": number}, stream=stream, **how)


@contextmanager
def opened_log(
    path: Path,
    key: Key,
    *,
    mode: str = "checkpoint",
    pace: Pace | None = None,
    background: bool = True,
    clock: Callable[[], Micros] | None = None,
    cosigner_for=None,
    policy: SigningPolicy | None = None,
    origin: str = LOG,
    sharing: Sharing | None = None,
) -> Iterator[Opened]:
    """A log that exists or is created; without `background`, the test calls `checkpointer.create` itself."""
    store = create_store(path)
    clock = clock or StepClock()
    signer = signer_of(key)
    sealer = Sealer(store, signer, clock=clock) if mode == "event" else None
    pace = pace or Pace(interval_s=0.02)
    cosigner = cosigner_for(store) if cosigner_for else None
    checkpointer = Checkpointer(store, signer, origin=origin, pace=pace, sealer=sealer, cosigner=cosigner, clock=clock)
    loop = CheckpointLoop(store, checkpointer, sharing=sharing, clock=clock) if background else None
    appender = Appender(store, sealer, checkpoints=loop, policy=policy, clock=clock)
    log = Log(store, appender, sealer=sealer, checkpoints=loop)
    try:
        yield Opened(log=log, store=store, signer=signer, checkpointer=checkpointer, loop=loop, clock=clock)
    finally:
        log.close()
