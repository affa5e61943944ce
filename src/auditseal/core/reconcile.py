"""Joining what a log claims with what AWS recorded, and judging each side that stays alone.

Fed with everything that shares a request id, in any order of ids; ends in the findings. What a call without a claim
means depends on the calls beside it, which only the whole account knows: such calls are given back as orphans, and
judged in a second pass.

Source: `docs/spec/reconciliation.md` §4.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from auditseal.core.account import AccountCode, AccountFinding, Kind
from auditseal.core.cloudtrail_record import format_instant, key_identity, key_place
from auditseal.core.report import Severity

if TYPE_CHECKING:
    from collections.abc import Callable

    from auditseal.core.account import AccountFindings
    from auditseal.core.claim import Claim
    from auditseal.core.cloudtrail import Call, Facts
    from auditseal.core.expectation import Expectation
    from auditseal.core.trail_sight import Sight

SKEW_S: Final = 300
"""How far the clocks of a writer and of AWS may lie apart."""
LATE_S: Final = 900
"""From how long after its entry a signature is worth a remark."""
_MOST_GROUPS: Final = 10_000
_MOST_EXCEPTIONS: Final = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """The time that is judged.

    Attributes:
        since: the first second that is within, since the epoch.
        until: the first that is not any more.
        now: for what claims to be of the future.
    """

    since: int
    until: int
    now: int

    def __contains__(self, at: int) -> bool:
        return self.since <= at < self.until


class Reconciliation:
    """One account of signatures."""

    def __init__(self, expectation: Expectation, sight: Sight, window: Window, findings: AccountFindings) -> None:
        self._expectation = expectation
        self._sight = sight
        self._window = window
        self._findings = findings
        self._groups: dict[tuple[AccountCode, str, str], AccountFinding] = {}
        self._unseen: dict[str, AccountFinding] = {}
        self._late: AccountFinding | None = None
        # By identity, since facts that calls share are one object; what is kept keeps its id from being used anew.
        self._judged: dict[tuple[int, str], tuple[Facts, list[AccountFinding]]] = {}
        self.exceptions: set[tuple[str, int]] = set()
        self.accounted = self.unsettled = self.outside = self.other_keys = 0

    @property
    def exceptions_are_all(self) -> bool:
        """Whether `exceptions` holds every entry whose signature is not accounted for."""
        return len(self.exceptions) < _MOST_EXCEPTIONS

    def join(self, calls: Sequence[Call], claims: Sequence[Claim]) -> Call | None:
        """Judges what shares one request id; a call that no claim accounts for is given back."""
        if len(calls) == 1 and len(claims) == 1 and calls[0].facts.error is None:
            self._check_pair(calls[0], claims[0])  # as nearly all do
            return None
        made = [call for call in calls if call.facts.error is None]
        if not claims:
            return self._without_claim(made) if made else None
        first, *more = claims if len(claims) == 1 else sorted(set(claims), key=lambda claim: (claim.stream, claim.seq))
        if not made:
            for claim in (first, *more):
                self._without_call(claim, calls)
            return None
        self._check_pair(made[0], first)
        for claim in more:
            self._unwitnessed(
                claim,
                Kind.SHARED_CALL,
                f"its call is that of {first.stream} #{first.seq:,}, and one call makes one signature",
                call=made[0],
            )
        return None

    def without_request_id(self, claim: Claim) -> None:
        """Judges a claim that cannot be joined."""
        expectation = self._expectation
        if claim.signer in expectation.local or claim.at not in self._window:
            self.outside += claim.signer not in expectation.local
            self._except(claim)
            return
        self._unwitnessed(claim, Kind.NO_REQUEST_ID, "the log has no request id for it, so that no call can be named")

    def orphan(self, call: Call, *, retry_beside: bool) -> None:
        """Judges a call of an expected key that no claim accounts for, in the second pass."""
        facts = call.facts
        if not self._expectation.is_expected_principal(facts.principal):
            kind, severity = Kind.UNEXPECTED_PRINCIPAL, Severity.ERROR
            why = "by a principal that is not expected: the key is misused"
        elif retry_beside:
            kind, severity = Kind.RETRY_BESIDE, Severity.GAP
            why = "by an expected principal, whose client signed again right after: most likely a retry"
        else:
            kind, severity = Kind.EXPECTED_PRINCIPAL, Severity.ERROR
            why = "by an expected principal, with no retry beside it: misuse of its role, or a log that is hidden"
        self._findings.add(
            AccountFinding(
                code=AccountCode.UNACCOUNTED_SIGNATURE,
                kind=kind,
                severity=severity,
                message=f"{facts.operation} signed something that the log does not hold, {why}",
                key_arn=facts.key_arn,
                principal=facts.principal,
                request_id=call.request_id,
                event_id=call.event_id,
                at=format_instant(call.at),
            )
        )

    def finish(self) -> None:
        """Hands in what was gathered on the way."""
        for finding in (*self._groups.values(), *self._unseen.values()):
            self._findings.add(finding)
        if self._late is not None:
            self._findings.add(self._late)

    def _without_claim(self, made: Sequence[Call]) -> Call | None:
        call = made[0]
        if self._expectation.key_of(call.facts) is None:
            self.other_keys += 1
            return None
        if call.at not in self._window:
            self.outside += 1
            return None
        return call

    def _without_call(self, claim: Claim, calls: Sequence[Call]) -> None:
        self._except(claim)
        if claim.at > self._window.now + SKEW_S:
            self._unwitnessed(claim, Kind.OTHER_TIME, "it says that it was signed in the future")
            return
        if claim.at not in self._window:
            self.unsettled += claim.at >= self._window.until
            self.outside += claim.at < self._window.since
            return
        why = self._why_unseen(claim)
        if why is not None:
            self._count_unseen(claim, why)
        elif calls:
            reason = f"the call that it names failed with {calls[0].facts.error}"
            self._unwitnessed(claim, Kind.FAILED_CALL, reason, call=calls[0])
        else:
            self._unwitnessed(claim, Kind.NO_CALL, "AWS has no call of that request id")

    def _why_unseen(self, claim: Claim) -> str | None:
        identity = self._expectation.key_of_signer.get(claim.signer)
        if identity is None:
            reasons = [self._sight.why_unseen(*place, claim.at) for place in self._sight.places]
            return None if None in reasons else next(iter(reasons), "the trail is empty")
        key = self._expectation.keys[identity]
        return self._sight.why_unseen(*key_place(key.arn), claim.at)

    def _count_unseen(self, claim: Claim, why: str) -> None:
        known = self._unseen.get(why)
        count = known.count + 1 if known else 1
        first = known.at if known else format_instant(claim.at)
        self._unseen[why] = AccountFinding(
            code=AccountCode.TRAIL_BLIND,
            severity=Severity.GAP,
            message=f"{count:,} signatures of {claim.signer} from {first} on could not be looked for: {why}",
            signer=claim.signer,
            at=first,
            count=count,
        )

    def _check_pair(self, call: Call, claim: Claim) -> None:
        facts, called_at, claimed_at = call.facts, call.at, claim.at
        identity = self._expectation.key_of_signer.get(claim.signer)
        if identity is not None and facts.key_arn and key_identity(facts.key_arn) != identity:
            self._unwitnessed(claim, Kind.OTHER_KEY, f"its call used another key, {facts.key_arn}", call=call)
            return
        early = called_at + SKEW_S < claim.entry_at
        if early or not -SKEW_S <= called_at - claimed_at <= SKEW_S:
            reason = f"AWS has its call at {format_instant(called_at)}"
            reason += ", before the entry existed" if early else f", and the log says {format_instant(claimed_at)}"
            self._unwitnessed(claim, Kind.OTHER_TIME, reason, call=call)
            return
        if claimed_at not in self._window:
            self.outside += 1
            return
        self.accounted += 1
        if called_at - claim.entry_at > LATE_S:
            self._note_late(claim, call)
        judged = self._judged.get((id(facts), claim.signer))
        if judged is None or judged[0] is not facts:
            if len(self._judged) >= _MOST_GROUPS:
                self._judged.clear()
            judged = self._judged[id(facts), claim.signer] = (facts, list(self._against(facts, claim)))
        for finding in judged[1]:
            self._count(finding, call)

    def _against(self, facts: Facts, claim: Claim) -> Iterable[AccountFinding]:
        """What an accounted call says against the expectation."""
        expectation = self._expectation
        key = expectation.key_of(facts)
        make: Callable[..., AccountFinding] = _finding_of(facts, claim)
        if not expectation.is_expected_principal(facts.principal):
            expected = ", ".join(expectation.principals)
            yield make(AccountCode.UNEXPECTED_PRINCIPAL, expected, facts.principal)
        if key is None:
            return
        algorithm = expectation.why_unexpected_algorithm(facts, key)
        if algorithm:
            yield make(AccountCode.UNEXPECTED_ALGORITHM, *algorithm)
        region = expectation.why_unexpected_region(facts, key)
        if region:
            yield make(AccountCode.UNEXPECTED_REGION, *region)

    def judge_expectation_of(self, call: Call) -> None:
        """Holds an orphan against the expected algorithm and Region too; its principal is judged with it."""
        key = self._expectation.key_of(call.facts)
        if key is None:
            return
        make = _finding_of(call.facts, None)
        algorithm = self._expectation.why_unexpected_algorithm(call.facts, key)
        region = self._expectation.why_unexpected_region(call.facts, key)
        if algorithm:
            self._count(make(AccountCode.UNEXPECTED_ALGORITHM, *algorithm), call)
        if region:
            self._count(make(AccountCode.UNEXPECTED_REGION, *region), call)

    def _count(self, finding: AccountFinding, call: Call) -> None:
        key = (finding.code, finding.actual or "", finding.key_arn or "")
        known = self._groups.get(key)
        if known is not None:
            self._groups[key] = replace(known, count=known.count + 1)
        elif len(self._groups) < _MOST_GROUPS:
            self._groups[key] = replace(
                finding, at=format_instant(call.at), request_id=call.request_id, event_id=call.event_id
            )
        else:
            self._findings.add(finding)

    def _note_late(self, claim: Claim, call: Call) -> None:
        count = self._late.count + 1 if self._late else 1
        first = self._late or claim
        self._late = AccountFinding(
            code=AccountCode.LATE_SIGNATURE,
            severity=Severity.NOTE,
            message=(
                f"{count:,} signatures were made more than {LATE_S // 60} minutes after their entry: an outage of the "
                "signer, or entries that were backdated"
            ),
            stream=first.stream,
            seq=first.seq,
            at=self._late.at if self._late else format_instant(call.at),
            count=count,
        )

    def _unwitnessed(self, claim: Claim, kind: Kind, why: str, *, call: Call | None = None) -> None:
        self._except(claim)
        self._findings.add(
            AccountFinding(
                code=AccountCode.UNWITNESSED_SIGNATURE,
                kind=kind,
                message=f"the signature of {claim.signer} over this entry is not witnessed: {why}",
                stream=claim.stream,
                seq=claim.seq,
                last_seq=claim.seq,
                entry_id=claim.entry_id or None,
                signer=claim.signer,
                key_arn=call.facts.key_arn if call else None,
                principal=call.facts.principal if call else None,
                request_id=claim.request_id,
                event_id=call.event_id if call else None,
                at=format_instant(claim.at),
            )
        )

    def _except(self, claim: Claim) -> None:
        if self.exceptions_are_all:
            self.exceptions.add((claim.stream, claim.seq))


_WORDS: Final = {
    AccountCode.UNEXPECTED_PRINCIPAL: "a principal that is not expected",
    AccountCode.UNEXPECTED_ALGORITHM: "an algorithm or message type that none of the key's signers uses",
    AccountCode.UNEXPECTED_REGION: "a Region that is not the key's",
}


def _finding_of(facts: Facts, claim: Claim | None) -> Callable[..., AccountFinding]:
    def make(code: AccountCode, expected: str, actual: str) -> AccountFinding:
        held = "the log holds what" if claim else "nobody knows what"
        return AccountFinding(
            code=code,
            message=f"{facts.operation} was called with {_WORDS[code]}; {held} it signed",
            signer=claim.signer if claim else None,
            key_arn=facts.key_arn,
            principal=facts.principal,
            expected=expected,
            actual=actual,
        )

    return make
