"""How receipts, entries and reports look, as text and as JSON members."""

from __future__ import annotations

from base64 import b64encode
from typing import TYPE_CHECKING, Any

import orjson

from auditseal.cli.printable import printable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from auditseal.core.entry import StoredEntry
    from auditseal.core.event import Receipt

MARK = " (development key)"


def receipt_members(receipt: Receipt) -> dict[str, Any]:
    """A receipt as JSON members; hashes in hex, the signature in base64."""
    return {
        "stream": receipt.stream,
        "seq": receipt.seq,
        "id": receipt.id,
        "time": receipt.time,
        "hash": receipt.hash.hex(),
        "prev_hash": receipt.prev_hash.hex(),
        "status": receipt.status,
        "signer": receipt.signer,
        "algorithm": receipt.algorithm,
        "signature": None if receipt.signature is None else b64encode(receipt.signature).decode(),
        "development": receipt.development,
        "repeated": receipt.repeated,
    }


def receipt_text(receipt: Receipt) -> str:
    """A receipt in two lines."""
    by = f" by {receipt.signer} ({receipt.algorithm})" if receipt.signer else ""
    return (
        f"{receipt.stream} #{receipt.seq:,}  {receipt.status}{by}{MARK if receipt.development else ''}"
        f"{'  (was there already)' if receipt.repeated else ''}\n"
        f"id {receipt.id}  hash {receipt.hash.hex()}"
    )


def body_value(entry: StoredEntry) -> Any:
    """The body as JSON, or as text where it is none."""
    try:
        return orjson.loads(entry.body)
    except orjson.JSONDecodeError:
        return entry.body.decode("utf-8", "replace")


def entry_members(entry: StoredEntry, *, whole: bool = False) -> dict[str, Any]:
    """An entry as JSON members; `whole` adds the exact bytes."""
    body = body_value(entry)
    members: dict[str, Any] = {
        "stream": entry.stream,
        "seq": entry.seq,
        "event": body,
        "prev_hash": entry.prev_hash.hex(),
        "hash": entry.hash.hex(),
        "status": "signed" if entry.signatures else "pending",
        "signatures": [
            {
                "signer": signature.signer,
                "algorithm": signature.algorithm,
                "signature": b64encode(signature.signature).decode(),
                "request_id": signature.request_id,
                "signed_at": signature.signed_at,
            }
            for signature in entry.signatures
        ],
    }
    if whole:
        members["body"] = entry.body.decode("utf-8", "replace")
    return members


def json_line(members: dict[str, Any]) -> str:
    """One line of JSON, with its newline."""
    return orjson.dumps(members, option=orjson.OPT_APPEND_NEWLINE).decode()


def entries_table(entries: Sequence[StoredEntry]) -> str:
    """Entries, one a line."""
    if not entries:
        return "no entries"
    rows = []
    for entry in entries:
        columns = entry.columns
        cells = (
            f"{entry.stream}#{entry.seq}",
            (columns.time or "")[:19].replace("T", " ") + "Z" if columns else "",
            (columns.type or "") if columns else "",
            (columns.actor or "-") if columns else "",
            ", ".join(signature.signer for signature in entry.signatures) or "pending",
        )
        rows.append(tuple(map(printable, cells)))
    widths = [max(len(row[index]) for row in rows) for index in range(len(rows[0]))]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
    return "\n".join(map(str.rstrip, lines))


def entry_text(entry: StoredEntry) -> str:
    """One entry with all its parts."""
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
    if not entry.signatures:
        lines.append("  signature  pending")
    return "\n".join(lines)


def _plain(value: Any) -> str:
    return printable(value if isinstance(value, str) else "-" if value is None else orjson.dumps(value).decode())
