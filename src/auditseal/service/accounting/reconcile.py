"""Reconciling: reads a trail and a log into a ledger, joins them, and says what does not fit.

The trail is read before the log: whatever it holds, the log, read later, has had the time to hold too. A trail may be
resumed; a log is read anew, so that a claim that was changed since is seen as it is.

Source: `docs/spec/reconciliation.md`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from auditseal.core.account import JOINED, AccountCode, AccountFinding, AccountFindings, AccountReport, TrailProof
from auditseal.core.cloudtrail_record import format_instant
from auditseal.core.reconcile import Reconciliation, Window
from auditseal.core.report import Severity
from auditseal.core.trail_chain import Span
from auditseal.core.trail_sight import Blindness, Sight, blindnesses_of
from auditseal.service.accounting.changes import aliases_of, judge_changes
from auditseal.service.accounting.claims import take_claims
from auditseal.service.accounting.ranges import accounted_ranges, with_heads
from auditseal.service.accounting.retries import Retries
from auditseal.service.accounting.trail_reading import TrailReading
from auditseal.service.ids import now_micros

if TYPE_CHECKING:
    from auditseal.core.expectation import Expectation
    from auditseal.core.registry import Registry
    from auditseal.core.trail_digest import PublicKeys
    from auditseal.ports import Clock, Progress, Source
    from auditseal.service.accounting.ports import Ledger, Trail

TAIL_S: Final = 2 * 3600
"""How far the proven end of a trail may lie behind: a digest comes once an hour, and late."""
RETRY_S: Final = 60
"""How long after a call that got lost its client calls again, at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What to reconcile.

    Attributes:
        since, until: seconds since the epoch; None for all there is, and for as far as the trail is settled.
        settle_s: how late a record may come.
        keys: CloudTrail's public keys; None where digests are not to be checked, which the report says.
        accept_without_digests: whether a trail without verified digests is good enough.
        most_of_a_kind: how many findings of a kind are told one by one.
    """

    since: int | None = None
    until: int | None = None
    settle_s: int = 900
    keys: PublicKeys | None = None
    accept_without_digests: bool = False
    most_of_a_kind: int = 1000


def reconcile(
    log: Source,
    registry: Registry,
    trail: Trail,
    ledger: Ledger,
    *,
    expectation: Expectation,
    asked: Asked,
    clock: Clock = now_micros,
    progress: Progress | None = None,
) -> AccountReport:
    """Joins a log with a trail, both ways.

    Args:
        log: where to read signatures.
        registry: the accepted signers.
        trail: where to read calls.
        ledger: where to keep both; what it holds of the trail is not read again.
        expectation: the keys and who may use them.
        asked: the window and the rules.
        clock: microseconds since the epoch.
        progress: told how many records were read.

    Raises:
        ConfigError: the ledger is of another trail.
        StoreError: log, trail or ledger cannot be read on.
    """
    findings = AccountFindings(most_of_a_kind=asked.most_of_a_kind)
    ledger.bind(trail.address, digests=asked.keys is not None and trail.live is None)
    now = clock() // 1_000_000
    reading = TrailReading(trail, ledger, findings)
    if asked.keys is not None and trail.live is None:
        reading.read_digests(asked.keys)
    reading.read_files(progress)
    if trail.live is not None:
        ledger.note_asked(trail.live.since, now if asked.until is None else min(asked.until, now))
    take_claims(log, registry, ledger)
    judgement = _Judgement(trail, ledger, findings, expectation=expectation, asked=asked, now=now)
    return judgement.of(log, reading)


class _Judgement:
    """The judging of what was read."""

    def __init__(
        self,
        trail: Trail,
        ledger: Ledger,
        findings: AccountFindings,
        *,
        expectation: Expectation,
        asked: Asked,
        now: int,
    ) -> None:
        self._trail = trail
        self._ledger = ledger
        self._expectation = expectation
        self._asked = asked
        self._findings = findings
        self._now = now

    def of(self, log: Source, reading: TrailReading) -> AccountReport:
        ledger = self._ledger
        sight = self._sight(reading)
        window = self._window(sight)
        joint = Reconciliation(self._expectation, sight, window, self._findings)
        ledger.add_orphans(call for pair in ledger.joined() if (call := joint.join(*pair)) is not None)
        orphans = self._judge_orphans(joint)
        for claim in ledger.unjoinable():
            joint.without_request_id(claim)
        joint.finish()
        self._judge_expectation()
        changes = self._judge_changes(window, frozenset(reading.trails))
        if not joint.accounted and not orphans:
            message = "no signature in the window is accounted for, and no call of the keys: nothing was reconciled"
            self._findings.add(
                AccountFinding(code=AccountCode.NOTHING_TO_CHECK, severity=Severity.GAP, message=message)
            )
        files, records = ledger.totals()
        return AccountReport(
            source=log.address,
            trail=self._trail.address,
            trail_proof=self._proof(reading),
            since=format_instant(window.since) if self._asked.since else None,
            until=format_instant(window.until),
            findings=self._findings.in_order(),
            checked={
                JOINED: joint.accounted,
                "unaccounted": orphans,
                "unsettled": joint.unsettled,
                "outside": joint.outside,
                "other_keys": joint.other_keys,
                "changes": changes,
                "records": records,
                "files": files,
                "digests": reading.digests_verified,
            },
            accounted=with_heads(log, accounted_ranges(ledger, joint, self._expectation, window)),
        )

    def _proof(self, reading: TrailReading) -> TrailProof:
        if self._trail.live is not None:
            return TrailProof.LOOKUP
        return TrailProof.DIGESTS if reading.digests_seen else TrailProof.NONE

    def _sight(self, reading: TrailReading) -> Sight:
        live, seen = self._trail.live, self._ledger.seen()
        spans = reading.spans
        blind: list[Blindness] = []
        if live is not None:
            spans = [Span(live.account, live.region, live.since, self._now)]
        else:
            if not reading.digests_seen:
                spans = [Span(each.account, each.region, each.first, each.last) for each in seen]
                self._note_no_digests()
            blind = blindnesses_of(self._ledger.changes(), frozenset(reading.trails))
            places = self._expectation.places()
            for each in seen:
                if (each.account, each.region) in places and not each.read_only:
                    why = f"the trail has no read-only call to KMS of {each.account} {each.region} at all: its "
                    why += "selectors leave out read events or KMS"
                    blind.append(Blindness(0, None, why, (each.account, each.region)))
        for blindness in blind:
            self._blind(blindness.why)
        return Sight(spans, blind, settle_s=self._asked.settle_s)

    def _window(self, sight: Sight) -> Window:
        """The time to judge: as far as the trail is settled; what it lacks of what was asked for is said."""
        asked, now = self._asked, self._now
        wanted = until = min(now if asked.until is None else asked.until, now - asked.settle_s)
        due = wanted - TAIL_S if asked.until is None else wanted
        for place in self._expectation.places():
            start, end = sight.start_of(place), sight.end_of(place)
            name = " ".join(place)
            if start is None or end is None:
                self._blind(f"the trail has nothing of account {name}, where a key lies")
                continue
            if end + 1 < due:
                self._blind(
                    f"the trail of {name} is proven up to {format_instant(end)} only, and {format_instant(wanted)} was "
                    "asked for: name the end with --until, or get the rest"
                )
            else:
                until = min(until, end + 1)
            if asked.since is not None and start > asked.since:
                self._blind(
                    f"the trail of {name} begins at {format_instant(start)}, and {format_instant(asked.since)} was "
                    "asked for"
                )
        return Window(since=asked.since or 0, until=until, now=now)

    def _judge_orphans(self, joint: Reconciliation) -> int:
        retries = Retries()
        orphans = 0
        for call, beside in self._ledger.orphans(beside_s=RETRY_S):
            orphans += 1
            joint.orphan(call, retry_beside=retries.take(beside))
        return orphans

    def _judge_changes(self, window: Window, trails: frozenset[str]) -> int:
        ledger, expectation = self._ledger, self._expectation
        aliases = aliases_of(ledger.facts(), expectation)
        changes = 0
        for finding in judge_changes(ledger.changes(), expectation, window, aliases=aliases, trails=trails):
            changes += 1
            self._findings.add(finding)
        return changes

    def _judge_expectation(self) -> None:
        for signer_id in sorted(self._expectation.without_arn):
            self._blind(f"the registry names no key ARN for {signer_id}: calls of its key cannot be told from others")
        if self._expectation.keys and not self._expectation.principals:
            self._blind("nobody said who may sign: name the principals, so that another's calls stand out")

    def _note_no_digests(self) -> None:
        accepted = self._asked.accept_without_digests
        self._findings.add(
            AccountFinding(
                code=AccountCode.TRAIL_BLIND,
                severity=Severity.NOTE if accepted else Severity.GAP,
                message="no digest was checked, so that whoever can write to the trail can change what it says: "
                "give CloudTrail's public keys, and the folder of the digests",
            )
        )

    def _blind(self, message: str) -> None:
        self._findings.add(AccountFinding(code=AccountCode.TRAIL_BLIND, severity=Severity.GAP, message=message))
