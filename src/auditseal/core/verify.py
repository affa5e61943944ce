"""Verification of a log, in numbered steps that yield a report.

For each entry, from what is stored and nothing else:

1. the body is canonical JSON with the members of the format (`not-canonical`);
2. what stands beside the body agrees: the place and the query columns with the body, and with `hash` the copy of it
   that each signature may carry (`column-mismatch`);
3. the body and `prev_hash` hash to `hash` (`hash-mismatch`);
4. the entry has its own place in the chain and follows the entry before it (`missing-entry`, `duplicate-seq`, `fork`,
   `broken-link`, `time-runs-back`; `auditseal.core.run`);
5. each signature is well formed (`malformed-signature`), of a known signer (`unknown-signer`) that was valid there
   (`signer-not-valid-here`), and verifies over the stored hash (`bad-signature`); an entry without a signature that
   passes is `unsigned`; one that hands its stream over to another signer is what both keys signed (`bad-rotation`),
   and each of them signed only on its own side of it (`auditseal.core.handover_check`);

and at the end:

6. checkpoints, witnesses, anchors and the verifier's memory agree with the entries (`auditseal.core.evidence`); an
   entry under a checkpoint that verifies needs no signature of its own;
7. something was checked (`nothing-to-check`).

A `Segment` takes any run of entries through steps 1 to 5 on its own, in any thread, process or place, and joins with
the segments beside it; the joined whole gives the report. The caller's part is reading, scheduling and, for keys that
only a KMS can check, asking it.

Source: `docs/spec/verification.md`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple, Self

import orjson
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from auditseal.core.algorithm import AlgorithmId
from auditseal.core.canonical import is_canonical
from auditseal.core.chain import entry_hash
from auditseal.core.event import Body, body_from
from auditseal.core.evidence import OWN_TYPES, Checkpoints, Outside, note_own, prove
from auditseal.core.grade import Grade
from auditseal.core.handover_check import check_entry, check_ranges
from auditseal.core.log_keys import LogKeys
from auditseal.core.plain_run import is_plain_run, stored_entry
from auditseal.core.registered_signer import Status
from auditseal.core.report import Code, Finding, Findings, Report
from auditseal.core.rotation_event import ROTATED
from auditseal.core.run import ChainFold
from auditseal.core.stream_part import StreamPart
from auditseal.errors import InputError, SignatureInvalidError, SignerError, SignerNotAllowedError

if TYPE_CHECKING:
    from auditseal.core.entry import EntryRow, StoredEntry, StoredSignature
    from auditseal.core.registry import RegisteredSigner, Registry
    from auditseal.core.remembered import Remembered

Sizes = Mapping[str, frozenset[int]]
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
    mac_rules: Mapping[str, Rule] = field(default_factory=dict)


class Checked(NamedTuple):
    """What became of one signature; exactly one is set. A tuple for speed, since one is made for every signature.

    Attributes:
        signer: it verifies, and its signer was valid there.
        finding: it does not, or cannot be checked (`unknown-signer`).
        unreachable: why its remote key could not be asked.
    """

    signer: RegisteredSigner | None = None
    finding: Finding | None = None
    unreachable: str | None = None


class Segment:
    """The verification of a run of entries, of one stream or several. It is fed, joined, and asked for the report."""

    def __init__(self, trust: Trust, sizes: Sizes | None = None) -> None:
        """Begins.

        Args:
            trust: what is believed.
            sizes: by stream, at which sizes its tree will be asked for.
        """
        self._trust: Trust | None = trust
        self._sizes = sizes or {}
        self._findings = Findings()
        self._streams: dict[str, StreamPart] = {}
        self._signatures = 0
        self._unreachable: str | None = None

    def add(self, entry: StoredEntry) -> None:
        """Takes the next entry through steps 1 to 5; each stream's in order, where the source has an order."""
        if entry.malformed is not None and entry.seq < 0:
            self._findings.add(Finding(code=Code.NOT_CANONICAL, message=entry.malformed))
            return
        part = self._streams.get(entry.stream)
        if part is None:
            part = self._begin(entry.stream)
        body, found = check_body(entry)
        time = body.time if body else ""
        found += part.fold.add(entry.seq, entry.prev_hash, entry.hash, time, body.id if body else None)
        if entry.signatures:
            part.count(entry.seq, time, self._check_signatures(entry, time, found))
        else:
            part.count(entry.seq, time, None)
            id_ = entry.columns.id if entry.columns is not None else None
            part.leave_range_unsigned(entry.seq, entry.seq, id_)
        part.tree.add(entry.seq, entry.hash, time)
        if body is not None and body.type in OWN_TYPES:
            note_own(part.tree, entry.seq, body)
        elif body is not None and body.type == ROTATED:
            assert self._trust is not None
            handover = check_entry(entry, body, self._trust.registry)
            if isinstance(handover, Finding):
                found.append(handover)
            elif handover is not None:
                part.handovers.append(handover)
        for finding in found:
            self._findings.add(finding)

    def add_rows(self, stream: str, rows: Sequence[EntryRow]) -> None:
        """Takes the next entries of a stream, none of which has a signature of its own, as `add` does one by one."""
        first = 0
        own = [number for number, row in enumerate(rows) if row[4] in OWN_TYPES]
        for end in (*own, len(rows)):
            run = rows[first:end]
            if len(run) > 1 and self._take_run(stream, run):
                run = []
            for row in (*run, *rows[end : end + 1]):
                self.add(stored_entry(row))
            first = end + 1

    def _take_run(self, stream: str, rows: Sequence[EntryRow]) -> bool:
        """Takes entries that are sound and follow what was taken; False, and nothing, if that is not sure."""
        part = self._streams.get(stream)
        (_, first, id_, first_time, *_, prev_hash, hash_), (_, last, _, time, *_, last_prev_hash, last_hash) = (
            rows[0],
            rows[-1],
        )
        if part is not None and part.fold.last_seq + 1 != first:
            return False
        if any(first < size <= last for size in self._sizes.get(stream, ())) or not is_plain_run(stream, rows):
            return False
        part = part or self._begin(stream)
        for finding in part.fold.add(first, prev_hash, hash_, first_time, id_):
            self._findings.add(finding)
        part.fold.extend(last, last_prev_hash, last_hash, time)
        part.count(first, first_time, None)
        part.count(last, time, None)
        part.leave_range_unsigned(first, last, id_)
        part.tree.extend(first, [row[8] for row in rows], first_time, time)
        return True

    def join(self, following: Segment) -> None:
        """Takes over the segment of the entries that come next in the source; `following` is spent."""
        for name, theirs in following._streams.items():
            ours = self._streams.get(name)
            if ours is None:
                self._streams[name] = theirs
                continue
            for finding in ours.join(theirs):
                self._findings.add(finding)
        for finding in following._findings.kept:
            self._findings.add(finding)
        self._signatures += following._signatures
        self._unreachable = self._unreachable or following._unreachable

    def recall(self, stream: str, known: Remembered) -> None:
        """Begins a stream where an earlier verification of it ended; only what follows will be added."""
        part = self._begin(stream)
        part.fold = ChainFold.resume(stream, size=known.size, head=known.head, time=known.time)

    def sizes(self) -> dict[str, int]:
        """By stream, how far it was read."""
        return {name: part.fold.last_seq + 1 for name, part in self._streams.items()}

    def closed(self) -> Self:
        """This segment without what it trusts and holds open, ready to be sent elsewhere; it takes no more entries."""
        for part in self._streams.values():
            part.close_range()
            part.tree.close()
        self._trust = None
        return self

    def report(
        self,
        source: str,
        *,
        expected_streams: Sequence[str] = (),
        checkpoints: Checkpoints | None = None,
        outside: Outside | None = None,
    ) -> Report:
        """The report, with steps 6 and 7, when all is joined.

        Args:
            source: the address, without a password.
            expected_streams: which must have entries; one that has none is named.
            checkpoints: by stream, as they stand in the source.
            outside: what else the log is held against.
        """
        assert self._trust is not None
        outside = outside or Outside()
        for part in self._streams.values():
            ranges = check_ranges(part.fold.stream, part.handovers, part.summary().signed_by) if part.handovers else ()
            for finding in (*part.unsigned_findings(), *part.fold.finish(), *ranges):
                self._findings.add(finding)
        unread: list[str | None] = [name for name in expected_streams if name not in self._streams]
        for name in unread or ([] if self._streams else [None]):
            self._findings.add(
                Finding(code=Code.NOTHING_TO_CHECK, stream=name, message="no entries were read, so nothing is proven")
            )
        proven = prove(
            LogKeys(self._trust.registry, self._trust.mac_rules),
            outside,
            findings=self._findings,
            walked=[(part.summary(), part.tree) for part in self._streams.values()],
            checkpoints=checkpoints or {},
        )
        streams = tuple(proven.streams)
        asked = {Grade.COSIGNED: outside.policy, Grade.RECONCILED: outside.reconciled, Grade.ANCHORED: outside.anchors}
        return Report(
            source=source,
            streams=streams,
            findings=self._findings.in_order(),
            checked={
                "streams": len(streams),
                "entries": sum(stream.entries for stream in streams),
                "signatures": self._signatures,
                **({"checkpoints": proven.checkpoints} if proven.checkpoints else {}),
                **({"remembered": len(outside.resumed)} if outside.resumed else {}),
            },
            unreachable=self._unreachable or proven.unreachable,
            not_checked=tuple(grade for grade, by in asked.items() if by is None),
            remembered=proven.remembered,
        )

    def _begin(self, stream: str) -> StreamPart:
        part = self._streams[stream] = StreamPart(stream, self._sizes.get(stream, frozenset()))
        return part

    def _check_signatures(self, entry: StoredEntry, time: str, found: list[Finding]) -> RegisteredSigner | None:
        """Step 5; adds to `found`, and gives the signer of the first signature that verifies."""
        assert self._trust is not None
        good: RegisteredSigner | None = None
        unreachable = None
        faults: list[Finding] = []
        unknown: list[Finding] = []
        for signature in entry.signatures:
            checked = check_signature(entry, signature, time, self._trust)
            finding = checked.finding
            if finding is not None:
                (unknown if finding.code is Code.UNKNOWN_SIGNER else faults).append(finding)
                self._signatures += finding.code in _CHECKED_AND_FALSE
            elif checked.signer is not None:
                self._signatures += 1
                good = good or checked.signer
            else:
                unreachable = checked.unreachable
        if good is None and not faults:
            if unreachable is None:
                faults = unknown
            self._unreachable = self._unreachable or unreachable
        found += faults
        return good


_CHECKED_AND_FALSE: Final = frozenset({Code.BAD_SIGNATURE, Code.SIGNER_NOT_VALID_HERE})


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
    found += [
        _finding(
            Code.COLUMN_MISMATCH,
            entry,
            body,
            f"the signature by {signature.signer[:80]} was stored for another hash",
            expected=f"entry_hash {entry.hash.hex() or 'none'}",
            actual=f"entry_hash {signature.entry_hash.hex() or 'none'}",
        )
        for signature in entry.signatures
        if signature.entry_hash is not None and signature.entry_hash != entry.hash
    ]
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


def check_signature(entry: StoredEntry, signature: StoredSignature, time: str, trust: Trust) -> Checked:
    """Step 5 for one signature of an entry.

    Args:
        entry: whose stored hash is signed.
        signature: one of its signatures.
        time: what its body claims; "" where that cannot be read.
        trust: the accepted signers.
    """
    signer = trust.registry.find(signature.signer)
    if signer is None:
        return Checked(finding=_unknown(entry, signature, "no such signer in the registry"))
    fault = _malformation(signature, signer)
    if fault is not None:
        return Checked(finding=_finding(Code.MALFORMED_SIGNATURE, entry, None, fault, expected=signer.signer_id))
    rule = signer.rule or trust.mac_rules.get(signer.signer_id)
    if rule is None:
        return Checked(finding=_unknown(entry, signature, _MAC_ADVICE))
    try:
        rule(signature.signature, entry.hash)
        if not signer.is_unlimited:
            signer.check_valid_at(entry.stream, entry.seq, time)
    except SignatureInvalidError:
        return Checked(finding=_bad_signature(entry, signer))
    except SignerNotAllowedError as error:
        if signer.status is Status.ANNOUNCED:
            # A registry from before the activation: the verifier's is old, and the entry not wrong for it.
            return Checked(finding=_unknown(entry, signature, f"{error}: get the registry that is published now"))
        return Checked(finding=_finding(Code.SIGNER_NOT_VALID_HERE, entry, None, str(error), actual=signer.signer_id))
    except SignerError as error:
        return Checked(unreachable=str(error))
    return Checked(signer)


def _bad_signature(entry: StoredEntry, signer: RegisteredSigner) -> Finding:
    return _finding(
        Code.BAD_SIGNATURE,
        entry,
        None,
        f"the signature by {signer.signer_id} does not verify over the stored hash",
        expected=f"a signature by {signer.signer_id} ({signer.algorithm.id})",
        actual="one that does not verify",
    )


_MAC_ADVICE: Final = "only the holder of its HMAC key can verify: give the secret, or let KMS verify (--ask-kms)"


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
            decode_dss_signature(signature.signature)  # strict: nothing but the one DER form
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
