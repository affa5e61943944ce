"""Verification of the existing deployment's rows under their own rule, into the same report as any log.

Rows have no numbers; a row's `seq` in the report is its place in the order of links. What the format does not protect
is said in every report, since a reader would take silence for protection.

Source: `docs/spec/agent-manager.md` §4.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from auditseal.core.agent_manager.links import Order, order_rows
from auditseal.core.agent_manager.row import Encoding, Row, decode_signature, unknown_columns
from auditseal.core.entry import StoredEntry, StoredSignature
from auditseal.core.entry_check import Trust, check_signature
from auditseal.core.report import Code, Finding, Findings, Report, SignedRange, StreamSummary
from auditseal.errors import InputError

if TYPE_CHECKING:
    from auditseal.core.entry_check import Checked
    from auditseal.core.registry import RegisteredSigner

STREAM: Final = "agent-manager"
"""What the report calls the one chain of such a table."""
_MOST_BRANCHES: Final = 8
_MOST_NAMED: Final = 10


class _Walk:
    """One verification under way."""

    def __init__(self, rows: Sequence[Row], order: Order, trust: Trust) -> None:
        self.rows = rows
        self.order = order
        self.trust = trust
        self.findings = Findings()
        self.number = {index: place for place, index in enumerate(order.places)}
        self.signers: dict[int, RegisteredSigner] = {}
        self.checked = 0
        self.unreachable: str | None = None

    def add(
        self, code: Code, index: int | None, message: str, *, expected: str | None = None, actual: str | None = None
    ) -> None:
        """Keeps a finding about a row, or about the table."""
        self.findings.add(
            Finding(
                code=code,
                stream=STREAM,
                seq=None if index is None else self.number[index],
                entry_id=None if index is None else self.rows[index].id,
                message=message,
                expected=expected,
                actual=actual,
            )
        )


def verify_rows(source: str, rows: Sequence[Row], trust: Trust, *, unreadable: Sequence[str] = ()) -> Report:
    """The report on all rows of a table.

    Args:
        source: where they are from, for the report.
        rows: in any order.
        trust: the accepted signers.
        unreadable: what stood among the rows and is none, a sentence each.
    """
    walk = _Walk(rows, order_rows(rows), trust)
    for message in unreadable:
        walk.add(Code.NOT_CANONICAL, None, message)
    encoding = _usual_encoding(rows, trust)
    for index in walk.order.places:
        _check_row(walk, index, encoding)
    _check_links(walk)
    _say_what_is_not_covered(walk)
    if not rows:
        walk.add(Code.NOTHING_TO_CHECK, None, "no rows were read, so nothing is proven")
    return Report(
        source=source,
        streams=(_summary(walk),) if rows else (),
        findings=walk.findings.in_order(),
        checked={"streams": int(bool(rows)), "entries": len(rows), "signatures": walk.checked},
        unreachable=walk.unreachable,
    )


def _check_row(walk: _Walk, index: int, encoding: Encoding | None) -> None:
    row = walk.rows[index]
    for fault in row.faults:
        walk.add(Code.NOT_CANONICAL, index, fault)
    for text in row.uncovered:
        walk.add(
            Code.NOT_CANONICAL,
            index,
            f"the number {text[:40]} is more exact than a double, and the hash covers only the double",
            expected=repr(float(text)),
            actual=text[:60],
        )
    if row.stored_hash is not None and row.hash is not None and row.stored_hash != row.hash.hex():
        walk.add(
            Code.HASH_MISMATCH,
            index,
            "the payload does not hash to what the column says: one of them was changed",
            expected=row.stored_hash[:80],
            actual=row.hash.hex(),
        )
    if row.hash is not None:
        _check_signature(walk, index, row, row.hash, encoding)


def _check_signature(walk: _Walk, index: int, row: Row, hash_: bytes, encoding: Encoding | None) -> None:
    if row.signature is None or row.signer is None:
        missing = "no signature" if row.signature is None else "a signature, and nobody is named who made it"
        walk.add(Code.UNSIGNED, index, f"the row has {missing}")
        return
    registered = walk.trust.registry.find(row.signer)
    decoded = decode_signature(row.signature, None if registered is None else registered.signature_bytes)
    if registered is not None and (decoded is None or decoded[1] != encoding):
        walk.add(
            Code.MALFORMED_SIGNATURE,
            index,
            "the signature is not written as the others are: something was appended, or its encoding was changed",
            expected=encoding or "base64",
            actual="neither base64 nor hex" if decoded is None else decoded[1],
        )
        return
    signature = StoredSignature(
        signer=row.signer,
        algorithm="" if registered is None else registered.algorithm.id,
        signature=b"" if decoded is None else decoded[0],
    )
    entry = StoredEntry(
        stream=STREAM, seq=walk.number[index], body=b"", prev_hash=row.prev_hash, hash=hash_, signatures=(signature,)
    )
    _note(walk, index, check_signature(entry, signature, row.time, walk.trust))


def _note(walk: _Walk, index: int, checked: Checked) -> None:
    if checked.unreachable is not None:
        walk.unreachable = walk.unreachable or checked.unreachable
        return
    if checked.signer is not None:
        walk.signers[index] = checked.signer
    if checked.finding is None or checked.finding.code is not Code.UNKNOWN_SIGNER:
        walk.checked += 1
    if checked.finding is not None:
        walk.findings.add(replace(checked.finding, entry_id=walk.rows[index].id))


def _check_links(walk: _Walk) -> None:
    rows = walk.rows
    for index in walk.order.repeated:
        walk.add(Code.DUPLICATE_SEQ, index, "the same row stands twice in the table")
    for index in walk.order.torn:
        row = rows[index]
        if row.broken_prev is not None:
            walk.add(
                Code.BROKEN_LINK,
                index,
                "prev_hash is no hash",
                expected="64 hexadecimal digits, or null on the first row",
                actual=row.broken_prev[:80],
            )
            continue
        # A row that its signer vouches for names one that is not here: that one existed.
        code = Code.MISSING_ENTRY if index in walk.signers and not _has_edited_rows(walk) else Code.BROKEN_LINK
        walk.add(
            code,
            index,
            "the row that it follows is not in the table: it was removed, or changed so that its hash is another",
            expected=row.prev_hash.hex(),
            actual="no such row",
        )
    for fork in walk.order.forks:
        shown = ", ".join(
            f"{rows[index].id or '(no id)'} with {size} rows"
            for index, size in list(zip(fork.rows, fork.sizes, strict=True))[:_MOST_BRANCHES]
        )
        more = f" and {len(fork.rows) - _MOST_BRANCHES} more" if len(fork.rows) > _MOST_BRANCHES else ""
        after = rows[fork.rows[0]].prev_hash.hex() or "nothing: more than one row is a first one"
        walk.add(
            Code.FORK,
            fork.rows[1],
            f"the chain forks into {len(fork.rows)} branches here: {shown}{more}",
            expected="one row",
            actual=f"{len(fork.rows)} rows that follow {after}",
        )


def _has_edited_rows(walk: _Walk) -> bool:
    """Whether some row may be the one that is missed, only changed: then a removal is not proven."""
    return any(index not in walk.signers for index in walk.order.places)


def _say_what_is_not_covered(walk: _Walk) -> None:
    if not walk.rows:
        return
    columns = frozenset.union(*(row.columns for row in walk.rows))
    named = sorted(columns - set(unknown_columns(columns)))
    extra = unknown_columns(columns)
    text = ", ".join(named + [name[:40] for name in extra[:_MOST_NAMED]]) or "any other column"
    walk.add(Code.NOT_COVERED, None, f"this format's hash does not cover {text}: a change there shows nowhere")
    walk.add(
        Code.NOT_COVERED, None, "rows removed from the end show nowhere in this format: compare the head with a copy"
    )


def _summary(walk: _Walk) -> StreamSummary:
    rows, places = walk.rows, walk.order.places
    tip = rows[places[-len(walk.order.repeated) - 1]].hash or b""
    return StreamSummary(
        stream=STREAM,
        entries=len(rows),
        signed=len(walk.signers),
        first_seq=0,
        last_seq=len(rows) - 1,
        first_time=rows[places[0]].time,
        last_time=rows[places[-1]].time,
        head=tip,
        signed_by=tuple(_ranges(walk)),
    )


def _ranges(walk: _Walk) -> list[SignedRange]:
    ranges: list[SignedRange] = []
    for place, index in enumerate(walk.order.places):
        signer = walk.signers.get(index)
        if signer is None:
            continue
        last = ranges[-1] if ranges else None
        if last is not None and last.last_seq + 1 == place and last.signer == signer.signer_id:
            ranges[-1] = replace(last, last_seq=place)
            continue
        ranges.append(
            SignedRange(
                signer=signer.signer_id,
                algorithm=signer.algorithm.id,
                first_seq=place,
                last_seq=place,
                development=signer.development,
            )
        )
    return ranges


def _usual_encoding(rows: Sequence[Row], trust: Trust) -> Encoding | None:
    """How most signatures are written; a table has one writer, so that another way is a change."""
    counts: Counter[Encoding] = Counter()
    for row in rows:
        signer = trust.registry.find(row.signer or "")
        decoded = decode_signature(row.signature or "", None if signer is None else signer.signature_bytes)
        if decoded is not None and signer is not None:
            counts[decoded[1]] += 1
    return counts.most_common(1)[0][0] if counts else None


def parse_table(members: object) -> list[object]:
    """The rows of a JSON document: an array of them, or an object whose `rows` is one.

    Raises:
        InputError: neither.
    """
    rows = members.get("rows") if isinstance(members, dict) else members
    if not isinstance(rows, list):
        raise InputError("not a table of rows: write them as a JSON array")
    return rows
