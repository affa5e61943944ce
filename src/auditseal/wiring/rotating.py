"""From the settings to the desk that rotations are worked at."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from auditseal.errors import ConfigError
from auditseal.service.ids import now_micros
from auditseal.service.rotate.desk import Desk
from auditseal.wiring import signing
from auditseal.wiring.sources import local_folder, log_address, open_store

if TYPE_CHECKING:
    from pathlib import Path

    from auditseal.config import Settings
    from auditseal.core.registry import RegisteredSigner
    from auditseal.ports import Signer, Store
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
    store = open_store(address)
    keys = None
    try:
        keys = signing.open_keys(settings)
        desk = Desk(
            store=store,
            registry=RegistryAtPath(path),
            keys=keys,
            signers=RegisteredSigners(settings, folder),
            clock=now_micros,
            locations=[open_location(text) for text in (*locations, *settings.signers_locations)],
            reached=reached,
            dry_run=dry_run,
        )
        try:
            yield desk
        finally:
            desk.close()
    finally:
        if keys is not None:
            keys.close()
        store.close()


def succession_of(settings: Settings, store: Store, signer: Signer, folder: Path) -> Succession | None:
    """Who signs after whom, for a writer; None without a registry, against which alone a handover can be checked."""
    path = signing.registry_path(settings, folder)
    if path is None:
        return None
    from auditseal.adapters.registry_file import load_registry
    from auditseal.service.succession import Succession

    return Succession(store, signer, lambda: load_registry(path), RegisteredSigners(settings, folder).open)
