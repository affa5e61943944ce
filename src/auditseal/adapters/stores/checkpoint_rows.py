"""Between checkpoints and the rows of a database: what stores on SQL databases share. It knows no driver.

Source: `docs/spec/checkpoint.md`, `docs/spec/sqlite.md`, `docs/spec/postgresql.md`.
"""

from __future__ import annotations

from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final

import orjson

from auditseal.core.heads import Cover
from auditseal.core.note import parse_signatures
from auditseal.core.stored_checkpoint import StoredCheckpoint
from auditseal.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from auditseal.core.note import NoteSignature

CHECKPOINT_COLUMNS: Final = ("stream", "size", "note_text", "cover")
LINE_COLUMNS: Final = ("stream", "size", "line", "signer", "request_id", "signed_at")
"""`signer` is null for a cosignature."""
_SHOWN_LINE_COLUMNS: Final = LINE_COLUMNS[2:]
_PLACE: Final = itemgetter(0, 1)
_COVER, _LINE, _SIGNER, _REQUEST_ID, _SIGNED_AT = 3, 4, 5, 6, 7

JOINED_COLUMNS: Final = ", ".join(
    [*(f"c.{name}" for name in CHECKPOINT_COLUMNS), *(f"s.{name}" for name in _SHOWN_LINE_COLUMNS)]
)
"""What `checkpoints_of` reads, of checkpoints `c` and their signatures `s`."""


def checkpoints_of(rows: Iterable[Any]) -> Iterator[StoredCheckpoint]:
    """The checkpoints of rows joined with their signatures, the rows of one checkpoint together."""
    for _, group in groupby(rows, key=_PLACE):
        yield _checkpoint(list(group))


def _checkpoint(rows: Sequence[Any]) -> StoredCheckpoint:
    first = rows[0]
    own = next((row for row in rows if row[_SIGNER] is not None), first)
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
        stream=first[0],
        size=first[1],
        text=first[2],
        signatures=signatures,
        cover=cover,
        signer=own[_SIGNER],
        request_id=own[_REQUEST_ID],
        signed_at=own[_SIGNED_AT],
        malformed=malformed,
    )


def checkpoint_row(checkpoint: StoredCheckpoint) -> tuple[Any, ...]:
    """The values of `CHECKPOINT_COLUMNS`."""
    cover = None if checkpoint.cover is None else orjson.dumps(checkpoint.cover.to_members()).decode()
    return checkpoint.stream, checkpoint.size, checkpoint.text, cover


def line_rows(checkpoint: StoredCheckpoint) -> list[tuple[Any, ...]]:
    """The values of `LINE_COLUMNS` for each signature, the log's own first."""
    own = (checkpoint.signer, checkpoint.request_id, checkpoint.signed_at)
    return [
        (checkpoint.stream, checkpoint.size, signature.line(), *(own if number == 0 else (None, None, own[2])))
        for number, signature in enumerate(checkpoint.signatures)
    ]


def cosignature_rows(stream: str, size: int, signatures: Iterable[NoteSignature]) -> list[tuple[Any, ...]]:
    """The values of `LINE_COLUMNS` for lines of others."""
    return [(stream, size, signature.line(), None, None, None) for signature in signatures]
