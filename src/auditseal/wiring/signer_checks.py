"""Checks of the configured signer's key, for the doctor and the guard: state, algorithm, registry.

Each gives a checklist item; what may not be read is not checked.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from auditseal.access.checked import Item, Reading, failed, held, not_checked, passed
from auditseal.core.algorithm import parse_algorithm
from auditseal.errors import AuditSealError, InputError
from auditseal.wiring import signing
from auditseal.wiring.sources import local_folder

if TYPE_CHECKING:
    from auditseal.access.facts import KeyFacts
    from auditseal.config import Settings
    from auditseal.core.algorithm import Algorithm
    from auditseal.core.registered_signer import RegisteredSigner

_STATES = {
    "Disabled": "aws kms enable-key, or configure another key",
    "PendingDeletion": "aws kms cancel-key-deletion and enable-key, or configure another key",
}
_EXPORT = "auditseal keys export {} --signer-id {} --signers {}"


def folder_of(settings: Settings) -> Path:
    """Where the log is, or the working directory where no log of a file is named."""
    try:
        return local_folder(settings.log or "")
    except AuditSealError:
        return Path()


def key_items(key: Reading[KeyFacts], algorithm: Reading[Algorithm]) -> list[Item]:
    """Whether the key is enabled and fits the algorithm."""
    titles = ("the key is enabled", "the key fits the algorithm")
    found = key.value
    if found is None:
        return [not_checked("key", titles[0], key.why), not_checked("algorithm", titles[1], key.why)]
    state = [] if found.state == "Enabled" else [f"it is {found.state}"]
    fix = _STATES.get(found.state, "wait until it is Enabled, or configure another key")
    first = held("key", titles[0], state, f"{found.spec}, {found.usage}, enabled", fix)
    wanted = algorithm.value
    if wanted is None:
        return [first, not_checked("algorithm", titles[1], algorithm.why)]
    fits = found.spec in wanted.kms_key_specs and found.usage == wanted.kms_key_usage
    faults = [] if fits else [f"{wanted.id} needs {' or '.join(wanted.kms_key_specs)}, and the key is {found.spec}"]
    return [
        first,
        held("algorithm", titles[1], faults, str(wanted.id), "correct AUDIT_SIGNING_ALG, or take another key"),
    ]


def registered_signer(settings: Settings) -> Reading[RegisteredSigner]:
    """What signers.json has under the signer's name."""
    path = signing.registry_path(settings, folder_of(settings))
    if path is None:
        return Reading(why="no signers.json is configured: set AUDITSEAL_SIGNERS")
    if settings.signer_id is None:
        return Reading(why="the signer has no name: set AUDIT_SIGNER_KID")
    from auditseal.adapters.registry_file import load_registry

    try:
        found = load_registry(path).find(settings.signer_id)
    except AuditSealError as error:
        return Reading(why=str(error))
    return Reading(why=f"{path} has no signer {settings.signer_id!r}") if found is None else Reading(found)


def configured_algorithm(settings: Settings, registered: Reading[RegisteredSigner]) -> Reading[Algorithm]:
    """The algorithm that is set, else the one that signers.json has."""
    if settings.algorithm is not None:
        try:
            return Reading(parse_algorithm(settings.algorithm))
        except InputError as error:
            return Reading(why=f"AUDIT_SIGNING_ALG: {error}")
    if registered.value is not None:
        return Reading(registered.value.algorithm)
    return Reading(why="no algorithm is configured: set AUDIT_SIGNING_ALG")


def registry_item(settings: Settings, registered: Reading[RegisteredSigner], key: Reading[KeyFacts]) -> Item:
    """Whether signers.json holds the very key that signs.

    Raises:
        ConfigError, SignerError: KMS cannot be asked at all.
    """
    title = "signers.json has the key that signs"
    path = signing.registry_path(settings, folder_of(settings)) or Path(signing.SIGNERS)
    fix = _EXPORT.format(settings.kms_key_id, settings.signer_id or "NAME", path)
    signer = registered.value
    if signer is None:
        return failed("registry", title, registered.why or "", fix)
    if key.value is None:
        return not_checked("registry", title, key.why)
    if signer.key_arn is not None and signer.key_arn != key.value.arn:
        return failed("registry", title, f"{path} has {signer.signer_id} with {signer.key_arn}", fix)
    if signer.status in {"revoked", "retired"}:
        return failed("registry", title, f"{path} has {signer.signer_id} as {signer.status}", fix)
    if signer.public_key is None:
        return passed("registry", title, f"{signer.signer_id} is {key.value.arn}; a MAC has no public key")
    return _compared(settings, signer, key.value.arn, path, fix)


def _compared(settings: Settings, signer: RegisteredSigner, arn: str, path: Path, fix: str) -> Item:
    from auditseal.core.key import fingerprint, parse_public_key
    from auditseal.errors import SignerError

    title = "signers.json has the key that signs"
    keys = signing.open_keys(settings, key_id=arn)
    try:
        found = fingerprint(parse_public_key(keys.export_public_key(arn).der))
    except SignerError as error:
        if error.retryable:
            raise
        return not_checked("registry", title, "no permission for kms:GetPublicKey, or the key is disabled")
    finally:
        keys.close()
    if found != signer.fingerprint:
        return failed("registry", title, f"{path} has {signer.signer_id} with another key", fix)
    return passed("registry", title, f"{signer.signer_id}, fingerprint {found[:16]}…")
