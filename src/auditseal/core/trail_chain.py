"""Walking CloudTrail's digest chains: what they prove, and what they leave unproven.

Each chain (account, Region, trail) is walked from its oldest digest to its newest. A digest is good if its signature
verifies and its neighbour's link to it holds. Time between two digests that do not meet, and time at the end that no
verified digest covers, is blind: AWS's own tool passes over both.

Source: `docs/spec/reconciliation.md` §3.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from auditseal.core.account import AccountCode, AccountFinding
from auditseal.core.cloudtrail_record import format_instant
from auditseal.core.report import Severity
from auditseal.core.trail_digest import Digest, is_signed

if TYPE_CHECKING:
    from auditseal.core.trail_digest import ListedFile, PublicKeys


class Span(NamedTuple):
    """A time of which a trail proves what happened in one account and Region: seconds since the epoch."""

    account: str
    region: str
    start: int
    end: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """What a digest contributed.

    Attributes:
        span: the time that is proven by it; None where it proves nothing.
        files: the log files whose hashes are proven.
        findings: what was wrong or missing.
    """

    span: Span | None = None
    files: tuple[ListedFile, ...] = ()
    findings: tuple[AccountFinding, ...] = ()


class DigestWalk:
    """Walks the digests of any number of chains; those of one chain in order of their end."""

    def __init__(self, keys: PublicKeys) -> None:
        self._keys = keys
        self._last: dict[tuple[str, str, str], tuple[Digest, str | None]] = {}
        self.verified = 0

    def add(self, digest: Digest, signature: str | None) -> list[Verified]:
        """Takes the next digest of its chain, and gives what the one before it contributes.

        Args:
            digest: the digest.
            signature: hex, from its object's metadata; None where that is not at hand.
        """
        before = self._last.get(digest.chain)
        if before is not None and (before[0].name, before[0].sha256) == (digest.name, digest.sha256):
            return []  # the same file twice, as in a folder with two copies
        self._last[digest.chain] = (digest, signature)
        if before is None:
            return []
        findings = list(_link(before[0], digest))
        known = before[1] or (None if findings else digest.previous_signature)
        return [Verified(findings=tuple(findings)), self._judge(before[0], known)]

    def finish(self) -> Iterator[Verified]:
        """What the last digest of each chain contributes."""
        for digest, signature in self._last.values():
            if signature is None:
                why = "a copy holds a digest's signature in the one that follows; the end of the trail is before it"
                yield Verified(findings=(_gap(digest, why, Severity.NOTE),))
            else:
                yield self._judge(digest, signature)

    def _judge(self, digest: Digest, signature: str | None) -> Verified:
        signed = None if signature is None else is_signed(digest, signature, self._keys)
        if signed:
            self.verified += 1
            span = None if digest.backfill else Span(digest.account, digest.region, digest.start, digest.end)
            return Verified(span=span, files=digest.files)
        if signature is None:
            return Verified(findings=(_gap(digest, "its signature is not at hand"),))
        if signed is None:
            why = f"CloudTrail's public key {digest.key[:64]} is not among those given"
            return Verified(findings=(_gap(digest, why),))
        finding = AccountFinding(
            code=AccountCode.TRAIL_TAMPERED,
            message=f"the digest {digest.name} is not what CloudTrail signed: it or its signature was changed",
            at=format_instant(digest.end),
        )
        return Verified(findings=(finding,))


def _link(before: Digest, digest: Digest) -> Iterator[AccountFinding]:
    """What is wrong with the link from a digest to the one before it."""
    if digest.previous == before.name:
        if digest.previous_sha256 != before.sha256:
            yield AccountFinding(
                code=AccountCode.TRAIL_TAMPERED,
                message=f"the digest {before.name} does not hash to what the one after it says: it was changed",
                at=format_instant(before.end),
                expected=digest.previous_sha256,
                actual=before.sha256,
            )
        elif digest.start != before.end and not digest.backfill:
            yield _hole(before, digest, "two digests that follow each other do not meet in time")
        return
    if digest.previous is None:
        yield _hole(before, digest, "the chain of digests began anew: logging or its validation was off in between")
    else:
        yield _hole(before, digest, f"the digest {digest.previous} is missing")


def _hole(before: Digest, digest: Digest, why: str) -> AccountFinding:
    first, last = format_instant(before.end), format_instant(digest.start)
    return AccountFinding(
        code=AccountCode.TRAIL_BLIND,
        severity=Severity.GAP,
        message=f"{why}; nothing is proven of {digest.account} {digest.region} from {first} to {last}",
        at=first,
        expected=before.name,
        actual=digest.previous,
    )


def _gap(digest: Digest, why: str, severity: Severity = Severity.GAP) -> AccountFinding:
    return AccountFinding(
        code=AccountCode.TRAIL_BLIND,
        severity=severity,
        message=f"the digest {digest.name} could not be verified: {why}",
        at=format_instant(digest.end),
    )
