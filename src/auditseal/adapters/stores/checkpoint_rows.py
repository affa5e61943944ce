"""Between checkpoints and the rows of a database: what stores on SQL databases share. It knows no driver.

Source: `docs/spec/checkpoint.md`, `docs/spec/sqlite.md`, `docs/spec/postgresql.md`.
"""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Any, Final

import orjson

from auditseal.core.heads import Cover
from auditseal.core.note import parse_signatures
from auditseal.core.stored_checkpoint import StoredCheckpoint
from auditseal.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from auditseal.core.note import NoteSignature

COLUMNS: Final = ("c.stream", "c.size", "c.note_text", "c.cover")
"""A row that is read has these, then of one signature its line and its details, all None where there is none."""
DETAILS: Final = ("s.signer", "s.request_id", "s.signed_at")
_STREAM, _SIZE, _TEXT, _COVER, _LINE, _SIGNER, _REQUEST_ID, _SIGNED_AT = range(8)


def checkpoints_of(rows: Iterable[Any]) -> Iterator[StoredCheckpoint]:
    """The checkpoints of rows, those of one checkpoint together, its signatures in the order they were added."""
    for _, group in groupby(rows, key=lambda row: row[:2]):
        lines = list(group)
        yield _checkpoint(lines[0], lines)


def checkpoint_row(each: StoredCheckpoint) -> tuple[Any, ...]:
    """stream, size, note_text, cover."""
    cover = None if each.cover is None else orjson.dumps(each.cover.to_members()).decode()
    return each.stream, each.size, each.text, cover


def line_rows(each: StoredCheckpoint) -> list[tuple[Any, ...]]:
    """Of each signature stream, size, line, signer, request_id, signed_at; the first is the log's own."""
    own = [(each.signer, each.request_id, each.signed_at)]
    details = own + [(None, None, each.signed_at)] * len(each.signatures)
    return [
        (each.stream, each.size, signature.line(), *rest)
        for signature, rest in zip(each.signatures, details, strict=False)
    ]


def _checkpoint(first: Any, rows: list[Any]) -> StoredCheckpoint:
    own = next((row for row in rows if row[_SIGNER] is not None), rows[0])
    malformed = None
    signatures: tuple[NoteSignature, ...] = ()
    cover = None
    try:
        text = "".join(row[_LINE] for row in rows if row[_LINE] is not None)
        signatures = parse_signatures(text) if text else ()
        cover = None if first[_COVER] is None else Cover.from_members(orjson.loads(first[_COVER]))
    except (InputError, orjson.JSONDecodeError) as error:
        malformed = str(error)
    return StoredCheckpoint(
        stream=first[_STREAM],
        size=first[_SIZE],
        text=first[_TEXT],
        signatures=signatures,
        cover=cover,
        signer=own[_SIGNER],
        request_id=own[_REQUEST_ID],
        signed_at=own[_SIGNED_AT],
        malformed=malformed,
    )
