"""From the settings to the desk that rotations are worked at."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from auditseal.errors import ConfigError, InputError, SignerError
from auditseal.service.ids import now_micros
from auditseal.service.rotate.desk import Desk
from auditseal.wiring import signing
from auditseal.wiring.checkpoints import checkpoint_store
from auditseal.wiring.sources import local_folder, log_address, open_store

if TYPE_CHECKING:
    from pathlib import Path

    from auditseal.config import Settings
    from auditseal.core.algorithm import Algorithm
    from auditseal.core.registry import RegisteredSigner
    from auditseal.ports import Signer, Store
    from auditseal.service.rotate.checkpoints import Checkpoints
    from auditseal.service.rotate.emergency import Anchor
    from auditseal.service.succession import Succession


class RegisteredSigners:
    """Opens signers of the registry by their key ARN, within what the settings allow."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        self._settings = settings
        self._folder = folder

    def open(self, signer: RegisteredSigner) -> Signer:
        """A signer of its own, which the caller closes (`auditseal.service.rotate.ports.Signers`)."""
        if signer.key_arn is None:
            local = signing.find_signer(self._settings, self._folder)
            if local is None or local.signer_id != signer.signer_id:
                raise ConfigError(f"{signer.signer_id} has no keyArn in signers.json, and is not the configured signer")
            return signing.check_allowed(local, self._settings)
        return signing.open_registered(self._settings, signer)


@contextmanager
def open_desk(
    settings: Settings,
    *,
    locations: Sequence[str] = (),
    dry_run: bool = False,
    reached: Callable[[str], None] = lambda _: None,
) -> Iterator[Desk]:
    """The desk of the configured log, registry and KMS.

    Raises:
        ConfigError: log or registry are not configured.
        AuditSealError: as they are opened.
    """
    from auditseal.adapters.registry_locations import RegistryAtPath, open_location

    address = log_address(settings)
    folder = local_folder(address)
    path = signing.registry_path(settings, folder)
    if path is None:
        raise ConfigError("a rotation changes signers.json: give --signers PATH, or set AUDITSEAL_SIGNERS")
    with ExitStack() as stack:
        store = open_store(address)
        stack.callback(store.close)
        keys = signing.open_keys(settings)
        stack.callback(keys.close)
        desk = Desk(
            store=store,
            registry=RegistryAtPath(path),
            keys=keys,
            signers=RegisteredSigners(settings, folder),
            clock=now_micros,
            locations=[open_location(text) for text in (*locations, *settings.signers_locations)],
            reached=reached,
            dry_run=dry_run,
            grace_s=settings.kms_deadline_s * 1.5,
        )
        stack.callback(desk.close)
        yield replace(desk, checkpoints=checkpoints_of(settings, store))


def checkpoints_of(settings: Settings, store: Store) -> Checkpoints | None:
    """How the log keeps checkpoints; None if it has none, and settings call for none.

    Raises:
        ConfigError: they are called for, and the log has no origin or cannot keep any.
    """
    from auditseal.service.origin import find_origin
    from auditseal.service.rotate.checkpoints import Checkpoints

    cover_entries = settings.signing_mode == "checkpoint"
    if not hasattr(store, "add_checkpoints") and settings.origin is None and not cover_entries:
        return None
    kept = checkpoint_store(store)
    if settings.origin is None and not cover_entries and not any(map(kept.last_checkpoint, _names(store))):
        return None
    return Checkpoints(store=kept, origin=find_origin(kept, settings.origin), cover_entries=cover_entries)


def _names(store: Store) -> list[str]:
    return [str(head.stream) for head in store.streams()]


def succession_of(
    settings: Settings,
    store: Store,
    signer: Signer,
    folder: Path,
    wrap_signer: Callable[[Signer], Signer] = lambda signer: signer,
) -> Succession:
    """Who signs after whom, for a writer; one without a registry stops where its key's turn ends.

    Args:
        settings: all of them.
        store: the log.
        signer: the configured one.
        folder: of the log.
        wrap_signer: gives the signer that is used in place of one that takes over, such as a metered one.
    """
    from auditseal.adapters.registry_file import RegistryReader
    from auditseal.core.registry import Registry
    from auditseal.service.succession import Succession

    signers = RegisteredSigners(settings, folder)
    path = signing.registry_path(settings, folder)
    load = Registry if path is None else partial(signing.named_registry, RegistryReader(path))
    return Succession(store, signer, load, lambda registered: wrap_signer(signers.open(registered)))


def policy_of(
    settings: Settings, *, file: str | None, signer_role: str | None, admin_role: str | None
) -> Callable[[RegisteredSigner, Algorithm], str | None]:
    """What gives a new key its policy: a file's text, the access rules for roles, or else the old key's policy.

    Args:
        settings: for KMS.
        file: the text of a policy.
        signer_role: ARN of the role that signs.
        admin_role: ARN of the role that administers; only with a signer's.

    Raises:
        InputError: the parts do not go together.
    """
    if file is not None and (signer_role or admin_role):
        raise InputError("--policy gives the whole policy: leave out --signer-role and --admin-role")
    if admin_role and not signer_role:
        raise InputError("--admin-role goes with --signer-role: a policy names who signs as well")

    def policy(old: RegisteredSigner, algorithm: Algorithm) -> str | None:
        if file is not None or old.key_arn is None:
            return file
        if signer_role:
            return _policy_for(old.key_arn, algorithm, signer_role, admin_role)
        from auditseal.access.generate.next_policy import carry_over

        keys = signing.open_keys(settings, key_id=old.key_arn)
        try:
            known = keys.get_policy(old.key_arn)
        except SignerError as error:
            if error.retryable:
                raise
            raise ConfigError(
                f"the old key's policy, which the new key would take over, cannot be read ({error}): give "
                "--policy FILE or --signer-role ARN, or allow kms:GetKeyPolicy"
            ) from error
        finally:
            keys.close()
        return carry_over(known, old=old.algorithm, new=algorithm, old_arn=old.key_arn)

    return policy


def _policy_for(old_arn: str, algorithm: Algorithm, signer: str, admin: str | None) -> str:
    """The policy that the access rules give a new key in the old one's account."""
    import json

    from auditseal.access.arn import parse_key_arn
    from auditseal.access.generate.key_policy import key_policy
    from auditseal.access.generate.roles import Role

    key = parse_key_arn(old_arn)
    roles = {Role.SIGNER: signer} if admin is None else {Role.SIGNER: signer, Role.ADMIN: admin}
    return json.dumps(key_policy(roles, account=key.account, algorithm=algorithm, partition=key.partition))


def evidence_of(
    store: Store,
    streams: Sequence[str] | None,
    *,
    anchors: Sequence[str],
    witness_policy: Path | None,
    origin: str | None,
    since: str,
) -> list[Anchor]:
    """What anchors hold of a log, and which of its checkpoints were witnessed before a time.

    Args:
        store: the log.
        streams: whose; None for all.
        anchors: addresses.
        witness_policy: whose cosignatures count; None asks for none.
        origin: of the log, where it does not say itself.
        since: RFC 3339 as bodies have it.

    Raises:
        AuditSealError: an anchor or the policy cannot be used.
    """
    from auditseal.service.anchor import origins_of, read_anchors
    from auditseal.service.rotate.emergency import anchored, witnessed
    from auditseal.wiring.anchors import open_anchor
    from auditseal.wiring.checkpoints import load_policy

    names = list(streams or _names(store))
    found: list[Anchor] = []
    if anchors:
        kept = list(checkpoint_store(store).checkpoints(names)) if hasattr(store, "checkpoints") else []
        with ExitStack() as stack:
            opened = [open_anchor(address) for address in anchors]
            for anchor in opened:
                stack.callback(anchor.close)
            found += anchored(read_anchors(opened, origins_of(kept, names, origin)))
    if witness_policy is not None:
        found += witnessed(checkpoint_store(store), load_policy(witness_policy), names, since=since)
    return found
