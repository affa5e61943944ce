"""A log that KMS signs, its registry, and the desk to rotate it at: all real but for KMS, which is the fake."""

from __future__ import annotations

import functools
import tempfile
from collections.abc import Callable
from pathlib import Path

from auditseal.adapters.registry_file import load_registry, save_registry
from auditseal.adapters.registry_locations import FileLocation, RegistryAtPath
from auditseal.adapters.signers.aws_kms import KmsMacVerifier, KmsSigner
from auditseal.adapters.signers.kms_keys import KmsKeys
from auditseal.adapters.stores.postgres.store import PostgresStore
from auditseal.adapters.stores.sqlite.store import SqliteStore
from auditseal.core.algorithm import parse_algorithm
from auditseal.core.event import Event
from auditseal.core.key import parse_public_key
from auditseal.core.registered_signer import RegisteredSigner
from auditseal.core.registry import Registry
from auditseal.core.report import Report
from auditseal.ports import Signer
from auditseal.service.append import Appender
from auditseal.service.audit import audit
from auditseal.service.checkpoint import Checkpointer, Pace
from auditseal.service.checkpoint_loop import CheckpointLoop
from auditseal.service.ids import now_micros
from auditseal.service.log import Log
from auditseal.service.rotate.checkpoints import Checkpoints
from auditseal.service.rotate.desk import Desk
from auditseal.service.seal import Resealer, Sealer
from auditseal.service.succession import Succession
from support.kms import shared_calls_to as open_calls_to

ALIAS = "alias/audit"
ORIGIN = "log.example/audit"
OLD = "audit-2026"
NEW = "audit-2027"


@functools.cache
def _empty_log() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        SqliteStore.create(f"sqlite:///{folder}/audit.db")
        return Path(folder, "audit.db").read_bytes()


class Signers:
    """Opens signers of the fake by their ARN (`auditseal.service.rotate.ports.Signers`)."""

    def __init__(self, url: str, region: str) -> None:
        self._url, self._region = url, region

    def open(self, signer: RegisteredSigner) -> Signer:
        assert signer.key_arn is not None
        return KmsSigner(
            signer_id=signer.signer_id,
            algorithm=signer.algorithm,
            key_id=signer.key_arn,
            calls=open_calls_to(self._url, self._region),
            public_key=signer.public_key,
        )


class Deployment:
    """A folder with a log and a registry, and a KMS at an address."""

    def __init__(
        self,
        folder: Path,
        url: str,
        region: str,
        *,
        mode: str = "event",
        checkpoints: bool = False,
        address: str | None = None,
    ) -> None:
        self.folder, self.url, self.region = folder, url, region
        self.mode, self.has_checkpoints = mode, checkpoints or mode == "checkpoint"
        self.address = address or f"sqlite:///{folder}/audit.db"
        self.registry_path = folder / "signers.json"
        self.published_path = folder / "published.json"
        self.signers = Signers(url, region)

    def open_store(self, *, read_only: bool = False) -> SqliteStore | PostgresStore:
        kind = SqliteStore if self.address.startswith("sqlite:") else PostgresStore
        return kind(self.address, read_only=read_only)

    @property
    def alias(self) -> str:
        """One of its own where a file says so, since an emulator may be shared."""
        own = self.folder / "alias"
        return own.read_text() if own.exists() else ALIAS

    def create(self, algorithm: str = "ed25519") -> None:
        """Makes the log, the first key with its alias, and the registry that names it."""
        if self.address.startswith("sqlite:"):
            (self.folder / "audit.db").write_bytes(_empty_log())
        row = parse_algorithm(algorithm)
        keys = KmsKeys(open_calls_to(self.url, self.region))
        info = keys.create_key(row, alias=self.alias)
        public_key = None if row.is_mac else parse_public_key(keys.export_public_key(info.arn).der)
        keys.close()
        first = RegisteredSigner(signer_id=OLD, algorithm=row, public_key=public_key, key_arn=info.arn)
        save_registry(self.registry_path, Registry(signers=(first,)))

    def registry(self) -> Registry:
        return load_registry(self.registry_path)

    def publish(self) -> None:
        save_registry(self.published_path, self.registry())

    def desk(
        self, *, reached: Callable[[str], None] = lambda _: None, published: bool = False, grace_s: float = 1.0
    ) -> Desk:
        """The caller closes `desk.store` and `desk.keys`, or lets them end with the process."""
        store = self.open_store()
        kept = Checkpoints(store=store, origin=ORIGIN, cover_entries=self.mode == "checkpoint")
        return Desk(
            store=store,
            checkpoints=kept if self.has_checkpoints else None,
            registry=RegistryAtPath(self.registry_path),
            keys=KmsKeys(open_calls_to(self.url, self.region)),
            signers=self.signers,
            clock=now_micros,
            locations=[FileLocation(self.published_path)] if published else [],
            reached=reached,
            grace_s=grace_s,
        )

    def open_log(
        self, signer_id: str = OLD, *, background: bool = False, load: Callable[[], Registry] | None = None
    ) -> Log:
        """A log open for appending, which follows rotations by the registry that `load` gives."""
        store = self.open_store()
        registered = self.registry().find(signer_id)
        assert registered is not None
        signer = self.signers.open(registered)
        succession = Succession(store, signer, load or self.registry, self.signers.open)
        sealer = Sealer(store, signer, succession=succession) if self.mode == "event" else None
        resealer = Resealer(sealer, grace_s=1.0) if background and sealer else None
        loop = self._loop(store, signer, sealer, succession) if self.has_checkpoints else None
        appender = Appender(store, sealer, resealer=resealer, checkpoints=loop)
        return Log(store, appender, sealer=sealer, resealer=resealer, checkpoints=loop)

    def _loop(
        self, store: SqliteStore, signer: Signer, sealer: Sealer | None, succession: Succession
    ) -> CheckpointLoop:
        pace = Pace(interval_s=0.02)
        made = Checkpointer(store, signer, origin=ORIGIN, pace=pace, sealer=sealer, succession=succession)
        return CheckpointLoop(store, made, patience_s=10.0)

    def append(self, count: int = 5, *, stream: str = "default") -> None:
        with self.open_log() as log:
            log.append_many([Event(type="agent.spawned", payload={"n": n}, stream=stream) for n in range(count)])

    def sign_pending(self) -> None:
        with self.open_log() as log:
            log.sign_pending()

    def audit(self, registry: Registry | None = None, *, ask_kms: bool = False) -> Report:
        """Verifies the log; offline, unless KMS is to be asked about MACs."""
        store = self.open_store(read_only=True)
        macs = KmsMacVerifier(open_calls_to(self.url, self.region)) if ask_kms else None
        try:
            return audit(store, self.registry() if registry is None else registry, mac_verifier=macs)
        finally:
            store.close()
            if macs is not None:
                macs.close()

    def signers_of(self, stream: str = "default") -> list[tuple[str, ...]]:
        """Who signed each entry."""
        store = self.open_store(read_only=True)
        try:
            return [tuple(made.signer for made in entry.signatures) for entry in store.walk([stream])]
        finally:
            store.close()
