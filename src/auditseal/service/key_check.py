"""Compares the signers of a registry with their keys in KMS.

Source: `docs/spec/signers-json.md`; AWS KMS Developer Guide, "Key states".
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Final, Protocol

from auditseal.core.key import fingerprint, parse_public_key
from auditseal.core.registry import Status
from auditseal.errors import InputError, SignerError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from auditseal.core.registry import RegisteredSigner, Registry

_ENABLED = "Enabled"
OLDEST_DAYS: Final = 365
COMING_DAYS: Final = 30
"""How long ahead the end of a validity is told."""


class KeyInfo(Protocol):
    """What is asked of a key's description."""

    @property
    def state(self) -> str:
        """KeyState."""

    @property
    def created(self) -> datetime:
        """In UTC."""

    @property
    def deletion(self) -> datetime | None:
        """When it will be deleted, in UTC; None unless that is scheduled."""


class ExportedKey(Protocol):
    """What is asked of an exported key."""

    @property
    def der(self) -> bytes:
        """DER SubjectPublicKeyInfo."""


class Keys(Protocol):
    """The part of KMS's administration that only reads."""

    def describe(self, key_id: str) -> KeyInfo:
        """The key's description.

        Raises:
            SignerError: it could not be had.
        """

    def export_public_key(self, key_id: str) -> ExportedKey:
        """The public key.

        Raises:
            SignerError: it could not be had.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyCheck:
    """What was found of one signer's key; `holds` None where it could not be looked at."""

    signer_id: str
    holds: bool | None
    detail: str
    warnings: tuple[str, ...] = ()


def check_keys(
    registry: Registry, keys: Keys, *, now: datetime | None = None, oldest_days: int = OLDEST_DAYS
) -> list[KeyCheck]:
    """Checks every signer's key: that it is enabled while the signer is active, and the one that is registered.

    Args:
        registry: the signers.
        keys: KMS.
        now: for the warnings of age and of what is coming; None leaves them out.
        oldest_days: an active signer's key that is older should be rotated.
    """
    checks = [_check(signer, keys) for signer in registry]
    if now is None:
        return checks
    warned = zip(registry, checks, strict=True)
    return [replace(item, warnings=tuple(_warnings(signer, keys, now, oldest_days))) for signer, item in warned]


def _warnings(signer: RegisteredSigner, keys: Keys, now: datetime, oldest_days: int) -> Iterator[str]:
    ends = signer.valid_until.time if signer.valid_until else None
    if signer.status is Status.ACTIVE and ends is not None:
        days = (datetime.fromisoformat(ends) - now).days
        if days < COMING_DAYS:
            yield f"it is valid until {ends}" + ("" if days < 0 else f", in {days} days") + ": rotate it"
    if signer.key_arn is None:
        return
    try:
        info = keys.describe(signer.key_arn)
    except (InputError, SignerError):
        return  # said by the check itself
    age = (now - info.created).days
    if signer.status is Status.ACTIVE and age >= oldest_days:
        yield f"its key is {age} days old, and keys that sign never rotate by themselves: rotate it"
    if info.deletion is not None:
        yield f"KMS will delete its key on {info.deletion:%Y-%m-%d}: cancel that, or hold its public key elsewhere"
    elif info.state != _ENABLED and signer.algorithm.is_mac and signer.secret is None:
        yield "while its key is not enabled, nobody can verify its MACs"


def _check(signer: RegisteredSigner, keys: Keys) -> KeyCheck:
    name = signer.signer_id
    if signer.key_arn is None:
        return KeyCheck(signer_id=name, holds=None, detail="no keyArn: its key is not known to be in KMS")
    try:
        state = keys.describe(signer.key_arn).state
        if state != _ENABLED:
            expected = signer.status in (Status.RETIRED, Status.REVOKED)
            return KeyCheck(signer_id=name, holds=expected or False, detail=f"{signer.key_arn} is {state}")
        if signer.public_key is None:
            return KeyCheck(signer_id=name, holds=True, detail=f"{signer.key_arn} is enabled; a MAC has no public key")
        found = fingerprint(parse_public_key(keys.export_public_key(signer.key_arn).der))
    except InputError as error:
        return KeyCheck(signer_id=name, holds=False, detail=f"KMS has another kind of key there: {error}")
    except SignerError as error:
        gone = error.reason == "not-found"
        return KeyCheck(signer_id=name, holds=False if gone else None, detail=str(error))
    if found != signer.fingerprint:
        detail = f"KMS has another key under {signer.key_arn}: fingerprint {found}, registered {signer.fingerprint}"
        return KeyCheck(signer_id=name, holds=False, detail=detail)
    return KeyCheck(signer_id=name, holds=True, detail=f"{signer.key_arn} is enabled and the registered key")
