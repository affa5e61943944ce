"""What the commands around checkpoints work with: a checkpointer, a prover, and what a source holds."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, cast

from auditseal.errors import ConfigError
from auditseal.wiring import signing
from auditseal.wiring.checkpoints import checkpoint_store, load_policy, open_checkpointer
from auditseal.wiring.rotating import succession_of
from auditseal.wiring.sources import local_folder, log_address, open_source, open_store
from auditseal.wiring.verifying import registry_for

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from auditseal.config import Settings
    from auditseal.core.stored_checkpoint import StoredCheckpoint
    from auditseal.ports import CheckpointSource, CheckpointStore
    from auditseal.service.checkpoint import Checkpointer
    from auditseal.service.prove import Prover


@contextmanager
def checkpointing(settings: Settings) -> Iterator[tuple[CheckpointStore, Checkpointer]]:
    """The log of the settings, and what makes its checkpoints.

    Raises:
        AuditSealError: as `open_log`; ConfigError also where the log has no origin.
    """
    from auditseal.service.seal import Sealer

    address = log_address(settings)
    store = open_store(address)
    try:
        signer = signing.find_signer(settings, local_folder(address))
        if signer is None:
            raise ConfigError("no signer is configured: set AUDIT_SIGNING_KMS_KEY_ID and AUDIT_SIGNER_KID")
        try:
            signing.check_allowed(signer, settings).start()
            succession = succession_of(settings, store, signer, local_folder(address))
            sealer = Sealer(store, signer, succession=succession) if settings.signing_mode == "event" else None
            checkpointer = open_checkpointer(settings, store, signer, sealer, succession)
        except BaseException:
            signer.close()
            raise
        try:
            yield checkpoint_store(store), checkpointer
        finally:
            if sealer is not None:
                sealer.close()
            checkpointer.close()
    finally:
        store.close()


@contextmanager
def proving(settings: Settings, *, witness_policy: Path | None = None) -> Iterator[Prover]:
    """What makes proofs over the log of the settings.

    Raises:
        AuditSealError: the log, the registry or the policy cannot be used.
    """
    from auditseal.service.prove import Prover

    address = log_address(settings)
    _, registry = registry_for(settings, address)
    policy = None if witness_policy is None else load_policy(witness_policy)
    store = open_store(address, read_only=True)
    try:
        yield Prover(checkpoint_store(store), registry, policy=policy)
    finally:
        store.close()


def read_checkpoints(address: str, streams: Sequence[str] | None) -> list[StoredCheckpoint]:
    """The checkpoints of a log or an export, by stream and size.

    Raises:
        AuditSealError: as `open_source`.
    """
    source = open_source(address)
    try:
        if not hasattr(source, "checkpoints"):
            return []
        return list(cast("CheckpointSource", source).checkpoints(streams))
    finally:
        source.close()
