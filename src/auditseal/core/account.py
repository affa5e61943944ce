"""The outcome of reconciling a log with a trail: findings, what was checked, and the verdict.

The same shape as a verification's report, with the places that a call in AWS has besides those that an entry has.

Source: `docs/spec/reconciliation.md`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final

from auditseal.core.report import Severity, Verdict


class AccountCode(StrEnum):
    """What can be found. The names are a contract: programs match on them."""

    UNACCOUNTED_SIGNATURE = "unaccounted-signature"
    UNWITNESSED_SIGNATURE = "unwitnessed-signature"
    UNEXPECTED_PRINCIPAL = "unexpected-principal"
    UNEXPECTED_ALGORITHM = "unexpected-algorithm"
    UNEXPECTED_REGION = "unexpected-region"
    KEY_CHANGED = "key-changed"
    TRAIL_TAMPERED = "trail-tampered"
    TRAIL_BLIND = "trail-blind"
    LATE_SIGNATURE = "late-signature"
    NOTHING_TO_CHECK = "nothing-to-check"


class Kind(StrEnum):
    """What tells findings of one code apart."""

    EXPLAINED = "explained"
    RETRY_BESIDE = "retry-beside"
    EXPECTED_PRINCIPAL = "expected-principal"
    UNEXPECTED_PRINCIPAL = "unexpected-principal"
    NO_CALL = "no-call"
    FAILED_CALL = "failed-call"
    OTHER_KEY = "other-key"
    OTHER_TIME = "other-time"
    SHARED_CALL = "shared-call"
    NO_REQUEST_ID = "no-request-id"
    UNKNOWN_SIGNER = "unknown-signer"


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountFinding:
    """One thing that the account of signatures does not explain.

    Attributes:
        code: what it is.
        kind: which sort of it, where there are several.
        severity: what it does to the verdict.
        message: one sentence for a person.
        stream, seq, last_seq, entry_id: the entry, where one is meant.
        signer: the signer id that the log names.
        key_arn: the key.
        principal: who called.
        request_id, event_id: KMS's and CloudTrail's id of the call.
        at: when, RFC 3339.
        expected, actual: the two sides of what does not agree.
        count: how many are meant, where many are told in one.
        details: further lines, such as what changed in a policy.
    """

    code: AccountCode
    message: str
    severity: Severity = Severity.ERROR
    kind: Kind | None = None
    stream: str | None = None
    seq: int | None = None
    last_seq: int | None = None
    entry_id: str | None = None
    signer: str | None = None
    key_arn: str | None = None
    principal: str | None = None
    request_id: str | None = None
    event_id: str | None = None
    at: str | None = None
    expected: str | None = None
    actual: str | None = None
    count: int = 1
    details: tuple[str, ...] = ()


class AccountFindings:
    """Collects findings; of each code, kind and severity only so many one by one, the rest as one with a count."""

    def __init__(self, *, most_of_a_kind: int) -> None:
        self._most = most_of_a_kind
        self._kept: list[AccountFinding] = []
        self._numbers: dict[tuple[AccountCode, Kind | None, Severity], int] = {}
        self._first_left_out: dict[tuple[AccountCode, Kind | None, Severity], AccountFinding] = {}

    def add(self, finding: AccountFinding) -> None:
        """Keeps or counts one finding."""
        key = (finding.code, finding.kind, finding.severity)
        number = self._numbers[key] = self._numbers.get(key, 0) + 1
        if number <= self._most:
            self._kept.append(finding)
        else:
            self._first_left_out.setdefault(key, finding)

    def in_order(self) -> tuple[AccountFinding, ...]:
        """By code, kind, time and place; what was only counted comes last of its kind."""
        order = list(AccountCode)
        rest = [
            replace(
                finding,
                message=f"and {self._numbers[key] - self._most:,} more like these; the first: {finding.message}",
                count=self._numbers[key] - self._most,
            )
            for key, finding in self._first_left_out.items()
        ]
        kept = sorted(
            self._kept,
            key=lambda found: (
                order.index(found.code),
                found.kind or "",
                found.at or "",
                found.stream or "",
                -1 if found.seq is None else found.seq,
            ),
        )
        return (*kept, *rest)


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountedRange:
    """Entries of one stream that are signed by witnessed calls, themselves or by a checkpoint; both ends are included.

    `head` is the hash of the last of them, in the log that was read; None until it was looked up.
    """

    stream: str
    first_seq: int
    last_seq: int
    head: bytes | None = None


class TrailProof(StrEnum):
    """What shows that the trail says what AWS recorded."""

    DIGESTS = "digests"
    LOOKUP = "lookup"
    NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountReport:
    """The outcome of a reconciliation.

    Attributes:
        source: the log's address.
        trail: the trail's address.
        trail_proof: what shows that it is what AWS recorded.
        since, until: the window that was judged, RFC 3339; None without any signature or call.
        findings: all of them.
        checked: how many of each kind were checked, such as `signatures` and `calls`.
        accounted: the ranges that calls witness.
    """

    source: str
    trail: str
    trail_proof: TrailProof = TrailProof.NONE
    since: str | None = None
    until: str | None = None
    findings: tuple[AccountFinding, ...] = ()
    checked: Mapping[str, int] = field(default_factory=dict)
    accounted: tuple[AccountedRange, ...] = ()

    @property
    def verdict(self) -> Verdict:
        """Invalid if anything is proven wrong, inconclusive if anything is unproven or nothing was joined."""
        severities = {finding.severity for finding in self.findings}
        if Severity.ERROR in severities:
            return Verdict.INVALID
        if Severity.GAP in severities or not self.checked.get(JOINED):
            return Verdict.INCONCLUSIVE
        return Verdict.VALID


JOINED: Final = "accounted"
"""In `checked`: how many signatures of the log a call in the trail accounts for."""
