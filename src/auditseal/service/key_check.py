"""Compares the signers of a registry with their keys in KMS.

Source: `docs/spec/signers-json.md`; AWS KMS Developer Guide, "Key states".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from auditseal.core.key import fingerprint, parse_public_key
from auditseal.core.registry import Status
from auditseal.errors import InputError, SignerError

if TYPE_CHECKING:
    from auditseal.core.registry import RegisteredSigner, Registry

_ENABLED = "Enabled"


class KeyInfo(Protocol):
    """What is asked of a key's description."""

    @property
    def state(self) -> str:
        """KeyState."""


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


def check_keys(registry: Registry, keys: Keys) -> list[KeyCheck]:
    """Checks every signer's key: that it is enabled while the signer is active, and the one that is registered."""
    return [_check(signer, keys) for signer in registry]


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
