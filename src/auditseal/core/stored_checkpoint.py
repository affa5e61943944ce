"""A checkpoint as it stands in a source, right or wrong: reading never repairs and never checks.

Source: `docs/spec/checkpoint.md`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from auditseal.core.note import Note

if TYPE_CHECKING:
    from auditseal.core.heads import Cover
    from auditseal.core.note import NoteSignature


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredCheckpoint:
    """A checkpoint with what was kept beside it.

    Attributes:
        stream: whose tree it is, as stored.
        size: the number of leaves, as stored.
        text: origin, size and root, as signed.
        signatures: the log's own, if it has any of its own, and cosignatures.
        cover: for one without a signature of its own, where it is covered.
        signer: signerId of the log's signature, as stored.
        request_id: the KMS request id of the call that made it.
        signed_at: RFC 3339; when the signature was stored. Not itself signed.
        malformed: why the stored form could not be read, else None.
    """

    stream: str
    size: int
    text: str
    signatures: tuple[NoteSignature, ...] = ()
    cover: Cover | None = None
    signer: str | None = None
    request_id: str | None = None
    signed_at: str | None = None
    malformed: str | None = None

    def note(self) -> Note:
        """The signed note.

        Raises:
            InputError: the text or the signatures are none that a note can carry.
        """
        return Note(text=self.text, signatures=self.signatures)


@dataclass(frozen=True, slots=True, kw_only=True)
class CoveredBy:
    """The kept checkpoint that stands in for an entry's own signature; whether it verifies is not said.

    Attributes:
        size: its size, which is above the entry's seq.
        signer: signerId of who signed it, or the checkpoint of the stream of heads that covers it.
    """

    size: int
    signer: str
