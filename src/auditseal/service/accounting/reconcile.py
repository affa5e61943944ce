"""Reconciling: reads a trail and a log into a ledger, joins them, and says what does not fit.

The trail's digests are walked first, so that only what AWS delivered can witness. The trail is read before the log:
whatever it holds, the log, read later, has had the time to hold too. Both sides may be resumed.

Source: `docs/spec/reconciliation.md`.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from auditseal.core.account import (
    JOINED,
    AccountCode,
    AccountedRange,
    AccountFinding,
    AccountFindings,
    AccountReport,
)
from auditseal.core.cloudtrail import parse_log_file
from auditseal.core.cloudtrail_record import format_instant
from auditseal.core.reconcile import Reconciliation, Window
from auditseal.core.report import Severity
from auditseal.core.trail_chain import DigestWalk, Span, Verified
from auditseal.core.trail_digest import PublicKeys, parse_digest
from auditseal.core.trail_sight import Blindness, Sight, blindnesses_of
from auditseal.service.accounting.changes import judge_changes
from auditseal.service.accounting.claims import read_claims
from auditseal.service.ids import now_micros

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from auditseal.core.claim import Claim
    from auditseal.core.expectation import Expectation
    from auditseal.ports import Clock, Progress, Source
    from auditseal.service.accounting.ports import Ledger, Trail, TrailFile

DAY_S: Final = 86_400
TAIL_S: Final = 2 * 3600
"""How far the proven end of a trail may lie behind: a digest comes once an hour, and late."""
RETRY_S: Final = 60
"""How long after a call that got lost its client calls again, at most."""
_BATCH: Final = 5000


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What to reconcile.

    Attributes:
        since, until: seconds since the epoch; None for all there is, and for now less the settling time.
        settle_s: how late a record may come.
        keys: CloudTrail's public keys; None where digests are not to be checked, which the report says.
        accept_without_digests: whether a trail without verified digests is good enough.
        streams: only these; None for all.
        most_of_a_kind: how many findings of a kind are told one by one.
    """

    since: int | None = None
    until: int | None = None
    settle_s: int = 900
    keys: PublicKeys | None = None
    accept_without_digests: bool = False
    streams: Sequence[str] | None = None
    most_of_a_kind: int = 1000


def reconcile(
    log: Source,
    trail: Trail,
    ledger: Ledger,
    expectation: Expectation,
    asked: Asked,
    *,
    clock: Clock = now_micros,
    progress: Progress | None = None,
) -> AccountReport:
    """Joins a log with a trail, both ways.

    Args:
        log: where to read signatures.
        trail: where to read calls.
        ledger: where to keep both; what it holds already is not read again.
        expectation: the keys and who may use them.
        asked: the window and the rules.
        clock: microseconds since the epoch.
        progress: told how many records were read.

    Raises:
        StoreError: log, trail or ledger cannot be read on.
        InputError: a file of the trail is not what its name says.
    """
    run = _Run(trail, ledger, expectation, asked, now=clock() // 1_000_000)
    run.read_digests()
    run.read_trail(progress)
    run.read_log(log)
    return run.judge(log.address)


class _Run:
    """One reconciliation under way."""

    def __init__(self, trail: Trail, ledger: Ledger, expectation: Expectation, asked: Asked, *, now: int) -> None:
        self._trail = trail
        self._ledger = ledger
        self._expectation = expectation
        self._asked = asked
        self._findings = AccountFindings(most_of_a_kind=asked.most_of_a_kind)
        self._spans: list[Span] = []
        self._trail_names: set[str] = set()
        self._digests = self._digests_seen = 0
        until = now - asked.settle_s if asked.until is None else min(asked.until, now - asked.settle_s)
        self._window = Window(since=asked.since or 0, until=until, now=now)

    def read_digests(self) -> None:
        """Walks the digest chains; from here on the ledger knows which files AWS delivered."""
        if self._asked.keys is None or self._trail.live is not None:
            return
        walk = DigestWalk(self._asked.keys)
        for file in self._trail.digests():
            self._digests_seen += 1
            digest = parse_digest(file.content, file.name)
            self._trail_names.add(digest.chain[2].removesuffix(" backfill"))
            if digest.name.rsplit("/", 1)[-1] != file.name.rsplit("/", 1)[-1]:
                self._tampered(f"{file.name} says that it is {digest.name}: a digest lies in another's place")
                continue
            for verified in walk.add(digest, file.signature):
                self._take(verified)
        for verified in walk.finish():
            self._take(verified)
        self._digests = walk.verified

    def read_trail(self, progress: Progress | None) -> None:
        """Reads the log files that the ledger does not have."""
        records = 0
        for file in self._trail.files():
            if self._ledger.has_file(file):
                continue
            content = self._trail.read(file)
            if self._digests_seen and not self._is_delivered(file, content):
                continue
            part = parse_log_file(content, file.name)
            self._ledger.add_file(file, part)
            records += part.records
            if progress:
                progress(records, None)
        if self._digests_seen:
            for name in self._ledger.missing_files():
                self._blind(f"the log file {name}, which a digest lists, is not in the trail or was changed")

    def read_log(self, log: Source) -> None:
        """Reads the claims of the entries that the ledger does not have."""
        claims: list[Claim] = []
        last: dict[str, int] = {}
        known: dict[str, int] = {}
        due: set[str] = set()
        for stream, seq, made in read_claims(log, self._asked.streams):
            if stream not in known:
                known[stream] = self._ledger.last_seq(stream)
            if seq <= known[stream]:
                continue
            claims += made
            if not made:
                due.add(stream)  # its signature comes later: from here on this stream is read again next time
            elif stream not in due:
                last[stream] = seq
            if len(claims) >= _BATCH:
                self._ledger.add_claims(claims, last)
                claims, last = [], {}
        self._ledger.add_claims(claims, last)

    def judge(self, address: str) -> AccountReport:
        """Joins both sides and judges."""
        ledger = self._ledger
        sight = self._sight()
        joint = Reconciliation(self._expectation, sight, self._window, self._findings)
        ledger.add_orphans(call for pair in ledger.joined() if (call := joint.join(*pair)) is not None)
        orphans = 0
        for call, retry_beside in ledger.orphans(beside_s=RETRY_S):
            orphans += 1
            joint.orphan(call, retry_beside=retry_beside)
            joint.judge_expectation_of(call)
        for claim in ledger.unjoinable():
            joint.without_request_id(claim)
        joint.finish()
        self._judge_expectation()
        changes = 0
        for finding in judge_changes(ledger.changes(), self._expectation, self._window):
            changes += 1
            self._findings.add(finding)
        files, records, _ = ledger.totals()
        if not joint.accounted and not joint.outside and not joint.unsettled and not orphans:
            message = "no signature and no call of the keys lies in the window: nothing was reconciled"
            self._findings.add(
                AccountFinding(code=AccountCode.NOTHING_TO_CHECK, severity=Severity.GAP, message=message)
            )
        return AccountReport(
            source=address,
            trail=self._trail.address,
            since=format_instant(self._window.since) if self._asked.since else None,
            until=format_instant(self._window.until),
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
                "digests": self._digests,
            },
            accounted=tuple(self._ranges(joint)) if joint.exceptions_are_all else (),
        )

    def _is_delivered(self, file: TrailFile, content: bytes) -> bool:
        """Whether a verified digest lists the file with this content."""
        listed = self._ledger.listed(file.name)
        if listed is None:
            return False  # not listed yet, or planted: it witnesses nothing
        if hashlib.sha256(content).hexdigest() != listed.sha256:
            self._tampered(f"the log file {file.name} is not what CloudTrail delivered: it was changed")
            return False
        return True

    def _sight(self) -> Sight:
        live = self._trail.live
        if live is not None:
            self._spans = [Span(live.account, live.region, live.since, self._window.now)]
        elif not self._digests_seen:
            self._spans = [Span(*seen) for seen in self._ledger.seen()]
            self._note_no_digests()
        names = frozenset(self._trail_names)
        blind = blindnesses_of(self._ledger.changes(), names) if live is None else []
        files, _, read_only = self._ledger.totals()
        if files and not read_only and live is None:
            why = "the trail has no read-only call to KMS at all: its selectors leave out read events or KMS"
            blind.append(Blindness(0, None, why))
        for blindness in blind:
            self._blind(blindness.why)
        sight = Sight(self._spans, blind, settle_s=self._asked.settle_s)
        self._judge_sight(sight)
        return sight

    def _judge_sight(self, sight: Sight) -> None:
        """Says where a trail ends too early, and where it holds nothing at all that it would have to hold."""
        due = self._window.until - TAIL_S if self._asked.until is None else self._window.until
        for key in self._expectation.keys.values():
            account, region = key.arn.split(":")[4], key.arn.split(":")[3]
            end = sight.end_of(account, region)
            if end is None:
                self._blind(f"the trail has nothing of account {account} in {region}, where {key.arn} lies")
            elif end < due:
                self._blind(
                    f"the trail of {account} {region} is proven up to {format_instant(end)} only, and "
                    f"{format_instant(self._window.until)} was asked for: name the end with --until, or get the rest"
                )

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

    def _take(self, verified: Verified) -> None:
        for finding in verified.findings:
            self._findings.add(finding)
        if verified.span is not None:
            self._spans.append(verified.span)
        self._ledger.add_listed(verified.files)

    def _tampered(self, message: str) -> None:
        self._findings.add(AccountFinding(code=AccountCode.TRAIL_TAMPERED, message=message))

    def _blind(self, message: str) -> None:
        self._findings.add(AccountFinding(code=AccountCode.TRAIL_BLIND, severity=Severity.GAP, message=message))

    def _ranges(self, joint: Reconciliation) -> Iterator[AccountedRange]:
        """The stretches of entries all of whose signatures by a KMS are accounted for."""
        first: tuple[str, int] | None = None
        last: tuple[str, int] | None = None
        exceptions, window = joint.exceptions, self._window
        for stream, seq, at in self._ledger.places():
            if at not in window or (exceptions and (stream, seq) in exceptions):
                continue
            if last is not None and last[1] in (seq, seq - 1) and last[0] == stream:
                last = (stream, seq)
                continue
            if first is not None and last is not None:
                yield AccountedRange(stream=first[0], first_seq=first[1], last_seq=last[1])
            first = last = (stream, seq)
        if first is not None and last is not None:
            yield AccountedRange(stream=first[0], first_seq=first[1], last_seq=last[1])
