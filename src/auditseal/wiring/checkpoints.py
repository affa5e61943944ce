"""From the settings to what makes checkpoints, and to the witnesses that cosign them."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final, cast

from auditseal.errors import ConfigError, InputError

if TYPE_CHECKING:
    from pathlib import Path

    from auditseal.config import Settings
    from auditseal.core.witness_policy import WitnessPolicy
    from auditseal.ports import CheckpointStore, NoteSigner, Signer, Store
    from auditseal.service.checkpoint import Checkpointer
    from auditseal.service.checkpoint_loop import CheckpointLoop
    from auditseal.service.cosign import Cosigner
    from auditseal.service.seal import Sealer
    from auditseal.service.succession import Succession
    from auditseal.service.watch import Sharing

_INTERVAL_MS: Final = {"checkpoint": 250, "event": 60_000}


def open_loop(
    settings: Settings,
    store: Store,
    signer: Signer,
    sealer: Sealer | None,
    succession: Succession | None = None,
    *,
    watch_s: float | None = None,
    grace_s: float = 15.0,
) -> CheckpointLoop | None:
    """What makes an open log's checkpoints; None for a log of mode `event` without an origin.

    Args:
        settings: all of them.
        store: the log.
        signer: what signs.
        sealer: in a log of mode `event`, what signs entries.
        succession: who signs after whom.
        watch_s: how often to look for what other processes left uncovered; None for never.
        grace_s: how long another process may take to have a checkpoint signed.

    Raises:
        ConfigError: the mode is `checkpoint` and there is no origin, or the store keeps no checkpoints.
        InputError: the witness policy is none.
    """
    if settings.signing_mode == "event" and settings.origin is None:
        return None
    from auditseal.service.checkpoint_loop import CheckpointLoop

    checkpointer = open_checkpointer(settings, store, signer, sealer, succession)
    # While a process asks witnesses it makes no other checkpoint.
    grace_s += checkpointer.pace.interval_s + (settings.witness_timeout_s if settings.witness_policy else 0)
    return CheckpointLoop(
        checkpoint_store(store),
        checkpointer,
        patience_s=settings.kms_deadline_s + settings.witness_timeout_s + checkpointer.pace.interval_s,
        sharing=None if watch_s is None else _sharing(store, watch_s, grace_s),
    )


def _sharing(store: Store, watch_s: float, grace_s: float) -> Sharing:
    from auditseal.ports import Exclusive
    from auditseal.service.watch import Sharing

    if isinstance(store, Exclusive):
        return Sharing(watch_s=watch_s, grace_s=grace_s, claim=partial(store.exclusively, "checkpoints"))
    return Sharing(watch_s=watch_s, grace_s=grace_s)


def open_checkpointer(
    settings: Settings, store: Store, signer: Signer, sealer: Sealer | None, succession: Succession | None = None
) -> Checkpointer:
    """What makes checkpoints of a log.

    Args:
        settings: all of them.
        store: the log.
        signer: what signs.
        sealer: in a log of mode `event`, what signs entries.
        succession: who signs after whom.

    Raises:
        ConfigError: there is no origin, or store or signer do not serve checkpoints.
        InputError: the witness policy is none.
    """
    from auditseal.service.checkpoint import Checkpointer, Pace
    from auditseal.service.origin import find_origin

    kept = checkpoint_store(store)
    if not hasattr(signer, "sign_message"):
        raise ConfigError(f"the signer {signer.signer_id} signs entries alone, and no checkpoints")
    interval_ms = settings.checkpoint_interval_ms or _INTERVAL_MS[settings.signing_mode]
    try:
        origin = find_origin(kept, settings.origin)
    except InputError as error:
        raise ConfigError(f"AUDITSEAL_ORIGIN: {error}") from None
    return Checkpointer(
        kept,
        cast("NoteSigner", signer),
        origin=origin,
        pace=Pace(
            interval_s=interval_ms / 1000,
            entries=settings.checkpoint_entries,
            heartbeat_s=settings.checkpoint_heartbeat_s,
        ),
        sealer=sealer,
        succession=succession,
        cosigner=_cosigner(settings, kept),
    )


def checkpoint_store(store: Store) -> CheckpointStore:
    """The store, if it keeps checkpoints.

    Raises:
        ConfigError: it does not.
    """
    if not hasattr(store, "add_checkpoints"):
        raise ConfigError(f"the log at {store.address} keeps no checkpoints: use one in SQLite or PostgreSQL")
    return cast("CheckpointStore", store)


def load_policy(path: Path) -> WitnessPolicy:
    """The witness policy of a file.

    Raises:
        NotFoundError, ConfigError, StoreError: the file cannot be read.
        InputError: it holds no policy.
    """
    from auditseal.adapters.whole_file import read_text
    from auditseal.core.witness_policy import MAX_POLICY_BYTES, parse_policy

    text = read_text(path, max_bytes=MAX_POLICY_BYTES)
    try:
        return parse_policy(text)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


def _cosigner(settings: Settings, store: CheckpointStore) -> Cosigner | None:
    if settings.witness_policy is None:
        return None
    from auditseal.adapters.witnesses.http import HttpWitness
    from auditseal.service.cosign import Cosigner

    policy = load_policy(settings.witness_policy)
    clients = [HttpWitness(name=each.name, url=each.url) for each in policy.witnesses.values() if each.url]
    if not clients:
        raise ConfigError(f"{settings.witness_policy} names no witness with an address: nobody could be asked")
    return Cosigner(
        store,
        policy,
        clients,
        timeout_s=settings.witness_timeout_s,
        on_missing=settings.witness_failure,
    )
