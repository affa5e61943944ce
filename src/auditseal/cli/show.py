"""How receipts, entries and reports look, as text; as JSON members they are `core.members`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from auditseal.cli.printable import printable
from auditseal.core.members import body_value, entry_members, receipt_members

if TYPE_CHECKING:
    from collections.abc import Sequence

    from auditseal.core.entry import StoredEntry
    from auditseal.core.receipt import Receipt
    from auditseal.core.stored_checkpoint import CoveredBy

__all__ = ["MARK", "entries_table", "entry_members", "entry_text", "json_line", "receipt_members", "receipt_text"]
MARK = " (development key)"


def receipt_text(receipt: Receipt) -> str:
    """A receipt in two lines."""
    by = f" by {receipt.signer} ({receipt.algorithm})" if receipt.signer else ""
    return (
        f"{receipt.stream} #{receipt.seq:,}  {receipt.status}{by}{MARK if receipt.development else ''}"
        f"{'  (was there already)' if receipt.repeated else ''}\n"
        f"id {receipt.id}  hash {receipt.hash.hex()}"
    )


def json_line(members: dict[str, Any]) -> str:
    """One line of JSON, with its newline."""
    return orjson.dumps(members, option=orjson.OPT_APPEND_NEWLINE).decode()


def entries_table(entries: Sequence[StoredEntry], covered_by: Sequence[CoveredBy | None]) -> str:
    """Entries, one a line, each with who signed it or the checkpoint over it."""
    if not entries:
        return "no entries"
    rows = []
    for entry, covered in zip(entries, covered_by, strict=True):
        columns = entry.columns
        cells = (
            f"{entry.stream}#{entry.seq}",
            (columns.time or "")[:19].replace("T", " ") + "Z" if columns else "",
            (columns.type or "") if columns else "",
            (columns.actor or "-") if columns else "",
            ", ".join(signature.signer for signature in entry.signatures)
            or (f"{covered.signer} by checkpoint" if covered is not None else "pending"),
        )
        rows.append(tuple(map(printable, cells)))
    widths = [max(len(row[index]) for row in rows) for index in range(len(rows[0]))]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
    return "\n".join(map(str.rstrip, lines))


def entry_text(entry: StoredEntry, covered_by: CoveredBy | None) -> str:
    """One entry with all its parts, and the checkpoint that stands in for a signature of its own."""
    body = body_value(entry)
    lines = [f"{printable(entry.stream)} #{entry.seq:,}"]
    if isinstance(body, dict):
        lines += [f"  {name:<10} {_plain(body.get(name))}" for name in ("id", "time", "type", "actor")]
        lines += [f"  {name:<10} {_plain(body[name])}" for name in ("payload", "context") if name in body]
    else:
        lines.append(f"  body       {body!r}")
    lines += [f"  prev_hash  {entry.prev_hash.hex() or '(none: the first entry)'}", f"  hash       {entry.hash.hex()}"]
    for signature in entry.signatures:
        request = f", KMS request {signature.request_id}" if signature.request_id else ""
        lines.append(printable(f"  signed by  {signature.signer} ({signature.algorithm}){request}"))
    if covered_by is not None:
        lines.append(printable(f"  signed by  {covered_by.signer}, by the checkpoint of size {covered_by.size}"))
    elif not entry.signatures:
        lines.append("  signature  pending")
    return "\n".join(lines)


def _plain(value: Any) -> str:
    return printable(value if isinstance(value, str) else "-" if value is None else orjson.dumps(value).decode())
