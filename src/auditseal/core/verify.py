"""Verification of a log, in numbered steps that yield a report.

For each entry, from what is stored and nothing else:

1. the body is canonical JSON with the members of the format (`not-canonical`);
2. the place and the query columns beside the body say what the body says (`column-mismatch`);
3. the body and `prev_hash` hash to `hash` (`hash-mismatch`);
4. the entry has its own place in the chain and follows the entry before it (`missing-entry`, `duplicate-seq`, `fork`,
   `broken-link`, `time-runs-back`; `auditseal.core.run`);
5. each signature is well formed (`malformed-signature`), of a known signer (`unknown-signer`) that was valid there
   (`signer-not-valid-here`), and verifies over the stored hash (`bad-signature`); an entry without a signature that
   passes is `unsigned`;

and at the end:

6. checkpoints, witnesses, anchors and the verifier's memory agree with the entries (`auditseal.core.evidence`); an
   entry under a checkpoint that verifies needs no signature of its own;
7. something was checked (`nothing-to-check`).

Steps 1 to 4 run in order of the entries (`Verification.take`); step 5 is a pure function of a batch (`check_batch`) and
may run in any thread or process; `Verification.absorb` takes its outcomes back in order. The caller's part is reading,
scheduling and, for keys that only a KMS can check, asking it.

Source: `docs/spec/verification.md`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import orjson
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

from auditseal.core.algorithm import AlgorithmId
from auditseal.core.canonical import is_canonical
from auditseal.core.chain import entry_hash
from auditseal.core.event import Body, body_from
from auditseal.core.evidence import OWN_TYPES, EvidenceWalk, Outside
from auditseal.core.grade import Grade
from auditseal.core.log_keys import LogKeys
from auditseal.core.registry import Registry
from auditseal.core.report import Code, Finding, Findings, Report, SignedRange, StreamSummary
from auditseal.core.run import ChainFold
from auditseal.errors import InputError, SignatureInvalidError, SignerError, SignerNotAllowedError

if TYPE_CHECKING:
    from auditseal.core.entry import StoredEntry, StoredSignature
    from auditseal.core.registry import RegisteredSigner
    from auditseal.core.stored_checkpoint import StoredCheckpoint
    from auditseal.core.tree_fold import TreeFold

Rule = Callable[[bytes, bytes], None]
"""(signature, digest) -> None; raises SignatureInvalidError, or SignerError where a remote key was not to be asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trust:
    """What a verification believes.

    Attributes:
        registry: the accepted signers.
        mac_rules: by signer id, the checks of signers whose key is not at hand but can be asked (VerifyMac).
    """

    registry: Registry
    mac_rules: dict[str, Rule]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """Step 5 for one entry.

    Attributes:
        findings: what was found; the caller keeps their order.
        signer: of the first signature that verified; None without one.
        checked: how many signatures were checked against a key.
        unreachable: why a remote key could not be asked, else None.
    """

    entry: StoredEntry
    time: str
    findings: tuple[Finding, ...] = ()
    signer: RegisteredSigner | None = None
    checked: int = 0
    unreachable: str | None = None


Batch = Sequence[tuple["StoredEntry", str]]
"""Entries of one stream, in order, each with the time its body claims ("" where unreadable)."""


def check_batch(batch: Batch, trust: Trust) -> list[Outcome]:
    """Step 5 for each entry of a batch. Pure but for the rules of remote keys; safe in any thread."""
    return [_check_signatures(entry, time, trust) for entry, time in batch]


class Verification:
    """One walk through a log: fed with entries in any interleaving of streams, it ends in a report."""

    def __init__(self, source: str, *, trust: Trust | None = None, outside: Outside | None = None) -> None:
        """Begins.

        Args:
            source: the address, without a password.
            trust: what checkpoints are believed by; None believes nobody.
            outside: what else the log is held against.
        """
        trust = trust or Trust(registry=Registry(), mac_rules={})
        self._source = source
        self._outside = outside or Outside()
        self._evidence = EvidenceWalk(LogKeys(trust.registry, trust.mac_rules), self._outside)
        self._findings = Findings()
        self._streams: dict[str, _StreamState] = {}
        self._signatures = 0
        self._unreachable: str | None = None

    def take(self, entries: Sequence[StoredEntry]) -> Batch:
        """Steps 1 to 4 for the next entries; what it returns goes to `check_batch`, and from there to `absorb`."""
        batch = []
        for entry in entries:
            if entry.malformed is not None and entry.seq < 0:
                self._findings.add(Finding(code=Code.NOT_CANONICAL, message=entry.malformed))
                continue
            state = self._streams.get(entry.stream)
            if state is None:
                state = self._streams[entry.stream] = self._begin(entry.stream)
            body, found = check_body(entry)
            time = body.time if body else ""
            entry_id = body.id if body else None
            found += state.fold.add(entry.seq, entry.prev_hash, entry.hash, time, entry_id)
            state.tree.add(entry.seq, entry.hash, time)
            if body is not None and body.type in OWN_TYPES and body.stream == entry.stream:
                self._evidence.note(entry.seq, body)
            for finding in found:
                self._findings.add(finding)
            batch.append((entry, time))
        return batch

    def absorb(self, outcomes: Sequence[Outcome]) -> None:
        """Takes the outcomes of step 5, in the order of the entries."""
        for outcome in outcomes:
            self._streams[outcome.entry.stream].count(outcome)
            self._signatures += outcome.checked
            self._unreachable = self._unreachable or outcome.unreachable
            for finding in outcome.findings:
                self._findings.add(finding)

    def sizes(self) -> dict[str, int]:
        """By stream, how many entries follow each other from the first."""
        return self._evidence.sizes()

    def finish(
        self,
        *,
        expected_streams: Sequence[str] = (),
        checkpoints: Mapping[str, Sequence[StoredCheckpoint]] | None = None,
    ) -> Report:
        """The report, with steps 6 and 7; each expected stream that had no entries is named.

        Args:
            expected_streams: which must have entries.
            checkpoints: by stream, as they stand in the source.
        """
        for resumed in self._outside.resumed - set(self._streams):  # nothing new there
            self._streams[resumed] = self._begin(resumed)
        for state in self._streams.values():
            for finding in state.fold.finish():
                self._findings.add(finding)
        summaries = [state.summary() for state in self._streams.values()]
        proven = self._evidence.finish(self._findings, summaries, checkpoints or {})
        unread: list[str | None] = [name for name in expected_streams if name not in self._streams]
        for name in unread or ([] if self._streams else [None]):
            self._findings.add(
                Finding(code=Code.NOTHING_TO_CHECK, stream=name, message="no entries were read, so nothing is proven")
            )
        streams = tuple(proven.streams)
        outside = self._outside
        asked = {Grade.COSIGNED: outside.policy, Grade.RECONCILED: None, Grade.ANCHORED: outside.anchors}
        return Report(
            source=self._source,
            streams=streams,
            findings=self._findings.in_order(),
            checked={
                "streams": len(streams),
                "entries": sum(stream.entries for stream in streams),
                "signatures": self._signatures,
                "checkpoints": proven.checkpoints,
                **({"remembered": len(outside.resumed)} if outside.resumed else {}),
            },
            unreachable=self._unreachable or proven.unreachable,
            not_checked=tuple(grade for grade, by in asked.items() if by is None),
            remembered=proven.remembered,
        )

    def _begin(self, stream: str) -> _StreamState:
        tree = self._evidence.fold(stream)
        known = self._outside.remembered.get(stream)
        if known is None or not tree.start:
            return _StreamState(ChainFold(stream), tree)
        chain = ChainFold.resume(stream, size=known.size, head=known.head, time=known.time)
        return _StreamState(chain, tree)


class _StreamState:
    """What one stream's walk has to remember: the ends of its runs and of its signed ranges."""

    def __init__(self, fold: ChainFold, tree: TreeFold) -> None:
        self.fold = fold
        self.tree = tree
        self._signed = 0
        self._first_time = ""
        self._last_time = ""
        self._ranges: list[SignedRange] = []

    def count(self, outcome: Outcome) -> None:
        self._first_time = self._first_time or outcome.time
        self._last_time = outcome.time or self._last_time
        signer = outcome.signer
        if signer is None:
            return
        self._signed += 1
        seq = outcome.entry.seq
        last = self._ranges[-1] if self._ranges else None
        if last is not None and last.last_seq + 1 == seq and last.signer == signer.signer_id:
            self._ranges[-1] = replace(last, last_seq=seq)
            return
        self._ranges.append(
            SignedRange(
                signer=signer.signer_id,
                algorithm=signer.algorithm.id,
                first_seq=seq,
                last_seq=seq,
                development=signer.development,
            )
        )

    def summary(self) -> StreamSummary:
        return StreamSummary(
            stream=self.fold.stream,
            entries=self.fold.entries,
            signed=self._signed,
            first_seq=self.fold.first_seq,
            last_seq=self.fold.last_seq,
            first_time=self._first_time,
            last_time=self._last_time,
            head=self.fold.head,
            signed_by=tuple(self._ranges),
        )


def check_body(entry: StoredEntry) -> tuple[Body | None, list[Finding]]:
    """Steps 1 to 3 for one entry: (the parsed body if there is one, what was found)."""
    found: list[Finding] = []
    body: Body | None = None
    try:
        members = orjson.loads(entry.body)
        body = body_from(members)
    except orjson.JSONDecodeError:
        found.append(_finding(Code.NOT_CANONICAL, entry, None, entry.malformed or "the body is not JSON"))
    except InputError as error:
        found.append(_finding(Code.NOT_CANONICAL, entry, None, str(error)))
    else:
        if not is_canonical(entry.body, members):
            found.append(_finding(Code.NOT_CANONICAL, entry, body, "the body is not in canonical form (RFC 8785)"))
        found += _compare_columns(entry, body)
    if entry_hash(entry.body, entry.prev_hash) != entry.hash:
        actual = entry_hash(entry.body, entry.prev_hash).hex()
        found.append(
            _finding(
                Code.HASH_MISMATCH,
                entry,
                body,
                "the body does not hash to what the chain holds: one of them was changed",
                expected=entry.hash.hex() or "none",
                actual=actual,
            )
        )
    return body, found


def _compare_columns(entry: StoredEntry, body: Body) -> list[Finding]:
    columns = entry.columns
    if body.seq == entry.seq and body.stream == entry.stream:
        if columns is None:
            return []
        if (
            columns.id == body.id
            and columns.time == body.time
            and columns.type == body.type
            and columns.actor == body.actor
        ):
            return []
    claims: list[tuple[str, object, object]] = [("stream", body.stream, entry.stream), ("seq", body.seq, entry.seq)]
    if columns is not None:
        claims += [(name, getattr(body, name), getattr(columns, name)) for name in ("id", "time", "type", "actor")]
    return [
        _finding(
            Code.COLUMN_MISMATCH,
            entry,
            body,
            f"the column {name} does not say what the body says",
            expected=f"{name} {_shown(inside)}",
            actual=f"{name} {_shown(beside)}",
        )
        for name, inside, beside in claims
        if inside != beside
    ]


def _shown(value: object) -> str:
    return "null" if value is None else str(value)[:300]


def _check_signatures(entry: StoredEntry, time: str, trust: Trust) -> Outcome:
    found: list[Finding] = []
    unknown: list[Finding] = []
    good: RegisteredSigner | None = None
    checked = 0
    unreachable = None
    for signature in entry.signatures:
        signer = trust.registry.find(signature.signer)
        if signer is None:
            unknown.append(_unknown(entry, signature, "no such signer in the registry"))
            continue
        fault = _malformation(signature, signer)
        if fault is not None:
            found.append(_finding(Code.MALFORMED_SIGNATURE, entry, None, fault, expected=signer.signer_id))
            continue
        rule = signer.rule or trust.mac_rules.get(signer.signer_id)
        if rule is None:
            unknown.append(_unknown(entry, signature, _MAC_ADVICE))
            continue
        try:
            checked += 1
            rule(signature.signature, entry.hash)
            if not signer.is_unlimited:
                signer.check_valid_at(entry.stream, entry.seq, time)
        except SignatureInvalidError:
            found.append(
                _finding(
                    Code.BAD_SIGNATURE,
                    entry,
                    None,
                    f"the signature by {signer.signer_id} does not verify over the stored hash",
                    expected=f"a signature by {signer.signer_id} ({signer.algorithm.id})",
                    actual="one that does not verify",
                )
            )
        except SignerNotAllowedError as error:
            found.append(_finding(Code.SIGNER_NOT_VALID_HERE, entry, None, str(error), actual=signer.signer_id))
        except SignerError as error:
            checked -= 1
            unreachable = str(error)
        else:
            good = good or signer
    if good is None and not found and not unreachable:
        found = unknown or [_finding(Code.UNSIGNED, entry, None, "no signature covers it")]
    return Outcome(entry=entry, time=time, findings=tuple(found), signer=good, checked=checked, unreachable=unreachable)


_MAC_ADVICE: Final = "only the holder of its HMAC key can verify: give the secret, or let KMS verify (--kms)"


def _malformation(signature: StoredSignature, signer: RegisteredSigner) -> str | None:
    """Why the stored bytes cannot be a signature by this signer, if so."""
    if signature.malformed is not None:
        return signature.malformed
    algorithm = signer.algorithm
    if signature.algorithm != algorithm.id:
        return f"labelled {signature.algorithm[:40]}, and {signer.signer_id} is registered for {algorithm.id}"
    length = signer.signature_bytes
    if length is not None and len(signature.signature) != length:
        return f"{len(signature.signature)} bytes, and a signature by {signer.signer_id} has {length}"
    if algorithm.id is AlgorithmId.ECDSA_P256_SHA256:
        try:
            if encode_dss_signature(*decode_dss_signature(signature.signature)) != signature.signature:
                return "not the one DER form of an ECDSA signature"
        except ValueError:
            return "not the DER form of an ECDSA signature"
    return None


def _unknown(entry: StoredEntry, signature: StoredSignature, why: str) -> Finding:
    return _finding(
        Code.UNKNOWN_SIGNER, entry, None, f"signed by {signature.signer[:80]}: {why}", actual=signature.signer[:80]
    )


def _finding(
    code: Code,
    entry: StoredEntry,
    body: Body | None,
    message: str,
    *,
    expected: str | None = None,
    actual: str | None = None,
) -> Finding:
    entry_id = body.id if body is not None else entry.columns.id if entry.columns is not None else None
    return Finding(
        code=code,
        stream=entry.stream,
        seq=entry.seq,
        entry_id=entry_id,
        expected=expected,
        actual=actual,
        message=message,
    )
