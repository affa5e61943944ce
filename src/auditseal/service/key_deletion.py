"""Deleting a key: only on evidence that nobody needs it any more, and only after a waiting period.

A deleted asymmetric key takes nothing with it that the registry does not hold; a deleted HMAC key takes all that it
ever authenticated. So the evidence is: the signer is out of use, nobody used its key lately, everything that it signed
verifies without it, and its public key is held elsewhere.

Source: `docs/spec/rotation.md` §7; AWS KMS API Reference, ScheduleKeyDeletion and GetKeyLastUsage.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Protocol

from auditseal.core.registered_signer import Status
from auditseal.core.report import Verdict
from auditseal.errors import AuditSealError, ConfigError, NotFoundError, SignerError

if TYPE_CHECKING:
    from auditseal.core.registered_signer import RegisteredSigner
    from auditseal.core.registry import Registry
    from auditseal.core.report import Report
    from auditseal.service.rotate.ports import Location


class Usage(Protocol):
    """When a key was last used."""

    @property
    def at(self) -> datetime | None:
        """In UTC; None if not since `tracked_since`."""

    @property
    def operation(self) -> str | None:
        """What was asked of it."""

    @property
    def tracked_since(self) -> datetime:
        """In UTC."""


class Keys(Protocol):
    """What is asked of KMS's administration; every method raises ConfigError or SignerError."""

    def last_usage(self, key_id: str) -> Usage:
        """When the key was last used."""

    def schedule_deletion(self, key_id: str, *, days: int = 30) -> datetime:
        """Lets the key be deleted; when, in UTC. Raises InputError unless the days are 7 to 30."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeletionWish:
    """What an operator asks for.

    Attributes:
        signer_id: whose key.
        days: the waiting period, 7 to 30.
        unused_for_s: how long nobody must have used it.
        accept_unverifiable_macs: whether its MACs may become unverifiable for ever.
        accept_unknown_use: whether the operator knows of its use what KMS does not say.
        dry_run: whether the evidence alone is wanted.
    """

    signer_id: str
    days: int = 30
    unused_for_s: int = 7 * 86_400
    accept_unverifiable_macs: bool = False
    accept_unknown_use: bool = False
    dry_run: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """One thing that must hold; `holds` None where it could not be looked at."""

    what: str
    holds: bool | None
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Deletion:
    """The outcome; `deletion` is set if the key is scheduled for it."""

    key_arn: str
    evidence: tuple[Evidence, ...]
    deletion: datetime | None = None

    @property
    def may_be_deleted(self) -> bool:
        """Whether all of the evidence is there."""
        return all(item.holds is True for item in self.evidence)


def delete(
    registry: Registry,
    keys: Keys,
    wish: DeletionWish,
    *,
    verify: Callable[[], Report],
    held_at: Sequence[Location],
    now: datetime,
) -> Deletion:
    """Gathers the evidence, and schedules the deletion if all of it is there.

    Args:
        registry: the signers.
        keys: KMS.
        wish: whose key, and how.
        verify: verifies all of the log without asking KMS.
        held_at: where else the signer's public key should be held.
        now: in UTC.

    Raises:
        NotFoundError: no such signer.
        ConfigError: its key is not known to be in KMS.
        InputError: the days are not 7 to 30; nothing was done.
        AuditSealError: as KMS and the log.
    """
    signer = registry.find(wish.signer_id)
    if signer is None:
        raise NotFoundError(f"the registry has no signer {wish.signer_id!r}: list them with auditseal signers list")
    if signer.key_arn is None:
        raise ConfigError(f"{wish.signer_id} has no keyArn in signers.json, so that its key is not known")
    evidence = (
        _out_of_use(signer),
        _unused(signer.key_arn, keys, wish, now),
        _verified(signer, wish, verify),
        _held(signer, wish, held_at),
    )
    outcome = Deletion(key_arn=signer.key_arn, evidence=evidence)
    if wish.dry_run or not outcome.may_be_deleted:
        return outcome
    at = keys.schedule_deletion(signer.key_arn, days=wish.days)
    return Deletion(key_arn=signer.key_arn, evidence=evidence, deletion=at)


def _out_of_use(signer: RegisteredSigner) -> Evidence:
    holds = signer.status in (Status.RETIRED, Status.REVOKED)
    return Evidence(what="out of use", holds=holds, detail=f"signers.json has {signer.signer_id} as {signer.status}")


def _unused(key_arn: str, keys: Keys, wish: DeletionWish, now: datetime) -> Evidence:
    what = "not used lately"
    try:
        usage = keys.last_usage(key_arn)
    except SignerError as error:
        if error.retryable:
            raise
        said = "looked up by you" if wish.accept_unknown_use else f"KMS does not say ({error}): --i-checked-its-use"
        return Evidence(what=what, holds=True if wish.accept_unknown_use else None, detail=said)
    quiet = timedelta(seconds=wish.unused_for_s)
    since = usage.at or usage.tracked_since
    used = (
        f"{usage.operation} at {usage.at:%Y-%m-%dT%H:%M:%SZ}" if usage.at else f"not since {since:%Y-%m-%dT%H:%M:%SZ}"
    )
    return Evidence(what=what, holds=now - since >= quiet, detail=f"{used}; asked for: {quiet} without use")


def _verified(signer: RegisteredSigner, wish: DeletionWish, verify: Callable[[], Report]) -> Evidence:
    what = "its entries verify without it"
    if signer.algorithm.is_mac and signer.secret is None:
        said = "its MACs can never be verified again"
        if wish.accept_unverifiable_macs:
            return Evidence(what=what, holds=True, detail=f"{said}, which was accepted")
        return Evidence(what=what, holds=False, detail=f"{said}: accept that with --i-accept-unverifiable-macs")
    report = verify()
    holds = {Verdict.VALID: True, Verdict.INVALID: False, Verdict.INCONCLUSIVE: None}[report.verdict]
    entries = sum(
        part.last_seq - part.first_seq + 1
        for stream in report.streams
        for part in stream.signed_by
        if part.signer == signer.signer_id
    )
    first = next((f": {finding.message}" for finding in report.findings), "")
    said = f"the log is {report.verdict}, {entries:,} entries by {signer.signer_id}{first}"
    return Evidence(what=what, holds=holds, detail=said)


def _held(signer: RegisteredSigner, wish: DeletionWish, held_at: Sequence[Location]) -> Evidence:
    what = "its public key is held elsewhere"
    if signer.public_key is None:
        return Evidence(what=what, holds=True, detail="a MAC has none")
    reasons = []
    for location in held_at:
        try:
            found = location.fetch().find(wish.signer_id)
        except AuditSealError as error:
            reasons.append(f"{location.name}: {error}")
            continue
        if found is not None and found.fingerprint == signer.fingerprint:
            return Evidence(what=what, holds=True, detail=f"{location.name}, fingerprint {signer.fingerprint}")
        reasons.append(f"{location.name} does not have it")
    said = "; ".join(reasons) or "no place was named: --held-at, or AUDITSEAL_SIGNERS_LOCATIONS"
    return Evidence(what=what, holds=False, detail=said)
