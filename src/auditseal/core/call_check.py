"""Holding calls against what is expected of their keys: who may sign, with which algorithm, in which Region.

Source: `docs/spec/reconciliation.md` §4.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from auditseal.core.account import AccountCode, AccountFinding
from auditseal.core.cloudtrail_record import format_instant

if TYPE_CHECKING:
    from auditseal.core.claim import Claim
    from auditseal.core.cloudtrail import Call, Facts
    from auditseal.core.expectation import Expectation
    from auditseal.core.tally import Tally

_MOST_JUDGED: Final = 10_000
_WORDS: Final = {
    AccountCode.UNEXPECTED_PRINCIPAL: "by a principal that is not expected",
    AccountCode.UNEXPECTED_ALGORITHM: "with an algorithm or message type that none of the key's signers uses",
    AccountCode.UNEXPECTED_REGION: "in a Region that is not the key's",
}


class CallCheck:
    """Checks calls of expected keys. What many calls share is judged once."""

    def __init__(self, expectation: Expectation, tally: Tally) -> None:
        """Takes what is expected, and where findings are counted."""
        self._expectation = expectation
        self._tally = tally
        # By identity, since facts that calls share are one object; what is kept keeps its id from being used anew.
        self._judged: dict[tuple[int, str | None], tuple[Facts, list[AccountFinding]]] = {}

    def check(self, call: Call, claim: Claim | None) -> None:
        """Counts what is unexpected of a call.

        Args:
            call: of an expected key.
            claim: what it accounts for; None for an orphan, whose principal is judged with it.
        """
        facts = call.facts
        signer = claim.signer if claim else None
        judged = self._judged.get((id(facts), signer))
        if judged is None or judged[0] is not facts:
            if len(self._judged) >= _MOST_JUDGED:
                self._judged.clear()
            judged = self._judged[id(facts), signer] = (facts, list(self._against(facts, signer)))
        for finding in judged[1]:
            self._tally.count(
                (finding.code, finding.actual, finding.key_arn),
                replace(finding, at=format_instant(call.at), request_id=call.request_id, event_id=call.event_id),
            )

    def _against(self, facts: Facts, signer: str | None) -> Iterator[AccountFinding]:
        expectation = self._expectation
        key = expectation.key_of(facts)
        if key is None:
            return
        unexpected = [
            (AccountCode.UNEXPECTED_ALGORITHM, expectation.why_unexpected_algorithm(facts, key)),
            (AccountCode.UNEXPECTED_REGION, expectation.why_unexpected_region(facts, key)),
        ]
        if signer is not None and not expectation.is_expected_principal(facts.principal):
            both = (", ".join(expectation.principals), facts.principal)
            unexpected.append((AccountCode.UNEXPECTED_PRINCIPAL, both))
        for code, why in unexpected:
            if why is not None:
                held = "nobody knows what" if signer is None else "the log holds what"
                yield AccountFinding(
                    code=code,
                    message=f"{facts.operation} was called {_WORDS[code]}; {held} it signed",
                    signer=signer,
                    key_arn=facts.key_arn,
                    principal=facts.principal,
                    expected=why[0],
                    actual=why[1],
                )
