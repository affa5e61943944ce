"""Reading a trail into a ledger: first the digests, so that only what AWS delivered can witness, then the log files.

A file that is damaged or was changed is a finding, and the reading goes on: whoever can spoil one file must not be able
to end the account.

Source: `docs/spec/reconciliation.md` §3.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from auditseal.core.account import AccountCode, AccountFinding
from auditseal.core.cloudtrail import parse_log_file
from auditseal.core.report import Severity
from auditseal.core.trail_chain import DigestWalk, Span, Verified
from auditseal.core.trail_digest import parse_digest
from auditseal.errors import InputError

if TYPE_CHECKING:
    from auditseal.core.account import AccountFindings
    from auditseal.core.trail_digest import PublicKeys
    from auditseal.ports import Progress
    from auditseal.service.accounting.ports import DigestFile, Ledger, Trail, TrailFile


class TrailReading:
    """One reading of a trail.

    Attributes:
        spans: the times that verified digests prove.
        trails: the names of the trails that the digests are of.
        digests_seen, digests_verified: how many there were, and how many are CloudTrail's.
    """

    def __init__(self, trail: Trail, ledger: Ledger, findings: AccountFindings) -> None:
        """Takes what to read, and where to."""
        self._trail = trail
        self._ledger = ledger
        self._findings = findings
        self.spans: list[Span] = []
        self.trails: set[str] = set()
        self.digests_seen = self.digests_verified = 0

    def read_digests(self, keys: PublicKeys) -> None:
        """Walks the digest chains; from here on the ledger knows which files AWS delivered.

        Raises:
            StoreError: they cannot be read.
        """
        walk = DigestWalk(keys)
        for file in self._trail.digests():
            self.digests_seen += 1
            try:
                stored = self._digest(file)
                digest = parse_digest(stored.content, file.name)
            except InputError as error:
                self._tampered(f"a digest is damaged, or none of CloudTrail's: {error}")
                continue
            if digest.name.rsplit("/", 1)[-1] != file.name.rsplit("/", 1)[-1]:
                self._tampered(f"{file.name} says that it is {digest.name}: a digest lies in another's place")
                continue
            self.trails.add(digest.chain[2].removesuffix(" backfill"))
            for verified in walk.add(digest, stored.signature):
                self._take(verified)
        for verified in walk.finish():
            self._take(verified)
        self.digests_verified = walk.verified

    def read_files(self, progress: Progress | None) -> None:
        """Reads the log files that the ledger does not have.

        Raises:
            StoreError: they cannot be read.
        """
        records = 0
        for file in self._trail.files():
            if self._ledger.has_file(file):
                continue
            listed = self._ledger.listed(file.name) if self.digests_seen else None
            if self.digests_seen and listed is None:
                continue  # not listed yet, or planted: it witnesses nothing
            try:
                content = self._trail.read(file)
                if listed is not None and hashlib.sha256(content).hexdigest() != listed.sha256:
                    self._tampered(f"the log file {file.name} is not what CloudTrail delivered: it was changed")
                    continue
                part = parse_log_file(content, file.name)
            except InputError as error:
                if listed is not None:
                    self._tampered(f"a log file is not what CloudTrail delivered: {error}")
                else:
                    self._blind(f"a log file is damaged, or none of CloudTrail's: {error}")
                continue
            self._ledger.add_file(file, part)
            records += part.records
            if progress:
                progress(records, None)
        if self.digests_seen:
            for name in self._ledger.missing_files():
                self._blind(f"the log file {name}, which a digest lists, is not in the trail or was changed")

    def _digest(self, file: TrailFile) -> DigestFile:
        kept = self._ledger.digest(file)
        if kept is None:
            kept = self._trail.read_digest(file)
            self._ledger.keep_digest(file, kept)
        return kept

    def _take(self, verified: Verified) -> None:
        for finding in verified.findings:
            self._findings.add(finding)
        if verified.span is not None:
            self.spans.append(verified.span)
        self._ledger.add_listed(verified.files)

    def _tampered(self, message: str) -> None:
        self._findings.add(AccountFinding(code=AccountCode.TRAIL_TAMPERED, message=message))

    def _blind(self, message: str) -> None:
        self._findings.add(AccountFinding(code=AccountCode.TRAIL_BLIND, severity=Severity.GAP, message=message))
