"""Joining what a log claims with what AWS recorded, and judging each side that stays alone.

Fed with everything that shares a request id, in any order of ids; ends in the findings. Only a claim that fits a call,
of the same key, accounts for it. What a call without such a claim means depends on the calls beside it, which only the
whole account knows: such calls are given back as orphans, and judged in a second pass.

Source: `docs/spec/reconciliation.md` §4.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from auditseal.core.account import AccountCode, AccountFinding, Kind
from auditseal.core.call_check import CallCheck
from auditseal.core.cloudtrail_record import format_instant, key_identity, key_place
from auditseal.core.report import Severity
from auditseal.core.tally import Tally

if TYPE_CHECKING:
    from auditseal.core.account import AccountFindings
    from auditseal.core.claim import Claim
    from auditseal.core.cloudtrail import Call
    from auditseal.core.expectation import Expectation
    from auditseal.core.trail_sight import Sight

SKEW_S: Final = 300
"""How far the clocks of a writer and of AWS may lie apart."""
LATE_S: Final = 900
"""From how long after its entry a signature is worth a remark."""
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
        self._tally = Tally(findings)
        self._calls = CallCheck(expectation, self._tally)
        self.exceptions: set[tuple[str, int, int | None]] = set()
        """(stream, seq, first_seq) of each claim in the window, by a signer whose key is known, without its call."""
        self.accounted = self.unsettled = self.outside = self.other_keys = 0

    @property
    def exceptions_are_all(self) -> bool:
        """Whether `exceptions` holds all of them."""
        return len(self.exceptions) < _MOST_EXCEPTIONS

    def join(self, calls: Sequence[Call], claims: Sequence[Claim]) -> Call | None:
        """Judges what shares one request id; a call that no claim accounts for is given back."""
        if len(calls) == 1 and len(claims) == 1 and calls[0].facts.error is None and self._fits(calls[0], claims[0]):
            self._check_pair(calls[0], claims[0])  # as nearly all do
            return None
        made = [call for call in calls if call.facts.error is None]
        if not made:
            for claim in claims:
                self._without_call(claim, calls)
            return None
        call = made[0]
        fitting = []
        for claim in claims:
            if self._fits(call, claim):
                fitting.append(claim)
            else:
                self._unfit(call, claim)
        if not fitting:
            return self._without_claim(call)
        first, *more = sorted(fitting, key=lambda claim: (claim.stream, claim.seq))
        self._check_pair(call, first)
        for claim in more:
            where = f"its call is that of {first.stream} #{first.seq:,}, and one call makes one signature"
            self._unwitnessed(claim, Kind.SHARED_CALL, where, call=call)
        return None

    def without_request_id(self, claim: Claim) -> None:
        """Judges a claim that cannot be joined."""
        if claim.signer not in self._expectation.local and not self._is_outside(claim):
            why = "the log has no request id for it, so that no call can be named"
            self._unwitnessed(claim, Kind.NO_REQUEST_ID, why)

    def orphan(self, call: Call, *, retry_beside: bool) -> None:
        """Judges a call of an expected key that no claim accounts for, in the second pass."""
        facts = call.facts
        if not self._expectation.is_expected_principal(facts.principal):
            kind, severity = Kind.UNEXPECTED_PRINCIPAL, Severity.ERROR
            why = "by a principal that is not expected: the key is misused"
        elif call.request_id in self._expectation.explained:
            kind, severity = Kind.EXPLAINED, Severity.NOTE
            why = "by an expected principal, and somebody accounts for it"
        elif retry_beside:
            kind, severity = Kind.RETRY_BESIDE, Severity.GAP
            why = "by an expected principal, whose client then signed an entry that was waiting: most likely a retry"
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
        self._calls.check(call, None)

    def finish(self) -> None:
        """Hands in what was counted on the way."""
        self._tally.hand_in()

    def _fits(self, call: Call, claim: Claim) -> bool:
        """Whether a call used the key of the signer whom a claim names."""
        identity = self._expectation.key_of_signer.get(claim.signer)
        return identity is not None and key_identity(call.facts.key_arn) == identity

    def _unfit(self, call: Call, claim: Claim) -> None:
        """Judges a claim whose call used another key than that of its signer."""
        if claim.signer not in self._expectation.signers:
            self._count_unknown(claim, call)
        elif claim.signer in self._expectation.without_arn:
            pass  # the report says it of the signer
        elif not call.facts.key_arn:
            self._count_unseen(claim, "the records of their calls name no key")
        else:
            self._unwitnessed(claim, Kind.OTHER_KEY, f"its call used another key, {call.facts.key_arn}", call=call)

    def _without_claim(self, call: Call) -> Call | None:
        if call.at not in self._window:
            self.outside += 1
        elif not call.facts.key_arn:
            self._tally.count(
                ("unnamed", call.facts.region),
                AccountFinding(
                    code=AccountCode.TRAIL_BLIND,
                    severity=Severity.GAP,
                    message="records of calls that sign name no key, so that nobody can tell whose they are",
                    principal=call.facts.principal,
                    at=format_instant(call.at),
                ),
            )
        elif self._expectation.key_of(call.facts) is None:
            self.other_keys += 1
        else:
            return call
        return None

    def _without_call(self, claim: Claim, failed: Sequence[Call]) -> None:
        expectation = self._expectation
        if claim.signer in expectation.local or claim.signer in expectation.without_arn or self._is_outside(claim):
            return
        if claim.signer not in expectation.signers:
            self._count_unknown(claim, None)
            return
        why = self._why_unseen(claim, claim.at)
        if why is not None:
            self._count_unseen(claim, why)
        elif failed:
            reason = f"the call that it names failed with {failed[0].facts.error}"
            self._unwitnessed(claim, Kind.FAILED_CALL, reason, call=failed[0])
        else:
            self._unwitnessed(claim, Kind.NO_CALL, "AWS has no call of that request id")

    def _is_outside(self, claim: Claim) -> bool:
        """Whether a claim without a call is not to be judged; one that claims the future is judged here."""
        at, window = claim.at, self._window
        if at in window:
            return False
        if at > window.now + SKEW_S:
            self._unwitnessed(claim, Kind.OTHER_TIME, "it says that it was signed in the future")
            return True
        self.unsettled += at >= window.until
        self.outside += at < window.since
        return True

    def _check_pair(self, call: Call, claim: Claim) -> None:
        called_at, claimed_at = call.at, claim.at
        if claimed_at not in self._window and called_at not in self._window:
            self.unsettled += claimed_at >= self._window.until
            self.outside += claimed_at < self._window.since
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
        if called_at - claim.entry_at > LATE_S and not self._may_be_late(claim, call):
            return
        self.accounted += 1
        self._calls.check(call, claim)

    def _may_be_late(self, claim: Claim, call: Call) -> bool:
        """Whether a signature long after its entry proves what one at once would.

        It does where the first signature, if there had been another, would show as a call without a claim: where the
        time of the entry is judged too, and the trail saw it.
        """
        why = None if claim.entry_at in self._window else "the entry is older than the window: name an earlier --since"
        why = why or self._why_unseen(claim, claim.entry_at)
        if why is not None:
            self._except(claim)
        severity = Severity.NOTE if why is None else Severity.GAP
        text = f"signatures were made more than {LATE_S // 60} minutes after their entry: an outage of the signer"
        text += ", or entries that were signed anew or backdated"
        self._tally.count(
            ("late", claim.signer, why),
            AccountFinding(
                code=AccountCode.LATE_SIGNATURE,
                severity=severity,
                message=text if why is None else f"{text}, which cannot be told: {why}",
                stream=claim.stream,
                seq=claim.seq,
                signer=claim.signer,
                at=format_instant(call.at),
            ),
        )
        return why is None

    def _why_unseen(self, claim: Claim, at: int) -> str | None:
        identity = self._expectation.key_of_signer[claim.signer]
        return self._sight.why_unseen(key_place(self._expectation.keys[identity].arn), at)

    def _count_unseen(self, claim: Claim, why: str) -> None:
        self._except(claim)
        self._tally.count(
            ("unseen", claim.signer, why),
            AccountFinding(
                code=AccountCode.TRAIL_BLIND,
                severity=Severity.GAP,
                message=f"signatures of {claim.signer} could not be looked for: {why}",
                signer=claim.signer,
                at=format_instant(claim.at),
            ),
        )

    def _count_unknown(self, claim: Claim, call: Call | None) -> None:
        self._tally.count(
            ("unknown", claim.signer),
            AccountFinding(
                code=AccountCode.UNWITNESSED_SIGNATURE,
                kind=Kind.UNKNOWN_SIGNER,
                severity=Severity.GAP,
                message=f"the registry does not know {claim.signer}, so that its key and its calls cannot be told",
                stream=claim.stream,
                seq=claim.seq,
                signer=claim.signer,
                key_arn=call.facts.key_arn if call else None,
                request_id=claim.request_id,
                at=format_instant(claim.at),
            ),
        )

    def _unwitnessed(self, claim: Claim, kind: Kind, why: str, *, call: Call | None = None) -> None:
        self._except(claim)
        self._findings.add(
            AccountFinding(
                code=AccountCode.UNWITNESSED_SIGNATURE,
                kind=kind,
                message=f"the signature of {claim.signer} over {claim.what} is not witnessed: {why}",
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
            self.exceptions.add((claim.stream, claim.seq, claim.first_seq))
