"""From the settings to the evidence on which a key is deleted."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from auditseal.errors import InputError
from auditseal.wiring import signing
from auditseal.wiring.sources import log_address, open_source
from auditseal.wiring.verifying import registry_for

if TYPE_CHECKING:
    from collections.abc import Sequence

    from auditseal.config import Settings
    from auditseal.core.report import Report
    from auditseal.service.key_deletion import Deletion, DeletionWish


def delete_key(settings: Settings, wish: DeletionWish, *, held_at: Sequence[str]) -> Deletion:
    """Gathers the evidence on a signer's key, and schedules its deletion if all of it is there.

    Args:
        settings: log, registry and KMS.
        wish: whose key, and how.
        held_at: where else its public key should be held, besides the configured locations; the registry itself does
            not count.

    Raises:
        AuditSealError: as `auditseal.service.key_deletion.delete`.
    """
    from auditseal.adapters.registry_locations import open_location
    from auditseal.adapters.signers.kms_keys import DELETION_DAYS
    from auditseal.service.audit import audit
    from auditseal.service.key_deletion import delete

    if wish.days not in DELETION_DAYS:
        raise InputError(f"--days {wish.days} is not {DELETION_DAYS[0]} to {DELETION_DAYS[-1]}")
    address = log_address(settings)
    path, registry = registry_for(settings, address)
    locations = [open_location(text) for text in (*held_at, *settings.signers_locations)]
    if any(location.name == str(path) for location in locations):
        raise InputError(f"{path} is the registry itself: name a place that does not go with it")

    def verify() -> Report:
        source = open_source(address)
        try:
            return audit(source, registry)
        finally:
            source.close()

    signer = registry.find(wish.signer_id)
    with closing(signing.open_keys(settings, key_id=signer.key_arn if signer else None)) as keys:
        return delete(registry, keys, wish, verify=verify, held_at=locations, now=datetime.now(UTC))
