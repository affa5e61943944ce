"""Holds single entries of a log or an export against the signed checkpoints over them, offline.

The smallest checkpoint counts whose signer is known and was valid there, and nothing about it is believed unchecked:
its signature, or that of the checkpoint of the stream of heads that covers it, with the entry between them; then the
entry's place in the tree. A log's kept tree gives the path to the root; where that leads elsewhere, and for every other
source, the path is computed from all entries under the checkpoint, in constant memory.

Source: `docs/spec/verification.md`, "Checkpoints"; `docs/spec/tree.md`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple, cast

from auditseal.core.chain import entry_hash
from auditseal.core.checkpoint import Checkpoint, log_origin_of, parse_checkpoint
from auditseal.core.covering import Covering, Outcome, hash_at, inclusion_path
from auditseal.core.event import parse_body
from auditseal.core.heads import HEADS_STREAM, HEADS_TYPE, HeadsRoot, check_cover
from auditseal.core.log_keys import LogKeys
from auditseal.core.registered_signer import Status
from auditseal.errors import (
    InputError,
    NotCheckedError,
    ProofInvalidError,
    SignerNotAllowedError,
    StoreError,
    VerificationError,
)
from auditseal.service.tree import StreamTree

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from auditseal.core.entry import StoredEntry
    from auditseal.core.heads import Cover
    from auditseal.core.registered_signer import RegisteredSigner
    from auditseal.core.registry import Registry
    from auditseal.core.stored_checkpoint import StoredCheckpoint
    from auditseal.ports import CheckpointSource, CheckpointStore, Source


class _At(NamedTuple):
    """What a signed tree has at a place, of the hashes that were asked for, and whether the log's kept tree agrees."""

    hash: bytes | None
    kept_differs: bool


class CoveringCheck:
    """Holds entries of one source against its checkpoints."""

    def __init__(self, source: Source, registry: Registry) -> None:
        """Takes a source that has checkpoints, and the accepted signers."""
        self._source = source
        self._log = cast("CheckpointStore", source) if hasattr(source, "checkpoint_over") else None
        self._keys = LogKeys(registry)
        self._read: dict[str, list[StoredCheckpoint]] = {}
        self._without_heads: str | None = None

    def over(self, entry: StoredEntry, after: StoredEntry | None) -> Covering | None:
        """What the checkpoints over an entry say of it; None where there are none."""
        asked = (entry.hash, entry_hash(entry.body, entry.prev_hash), after.prev_hash if after else b"")
        refused: Covering | None = None
        for stored in self._checkpoints(entry.stream, entry.seq + 1):
            found = Covering(
                size=stored.size,
                outcome=Outcome.BAD_CHECKPOINT,
                signer=stored.signer,
                heads_seq=None if stored.cover is None else stored.cover.seq,
            )
            try:
                signer, checkpoint = self._signer_of(stored)
                found = replace(found, signer=signer.signer_id, development=signer.development)
                self._check_valid(signer, entry, checkpoint)
                return self._held_against(checkpoint, entry, list(filter(None, asked)), found)
            except NotCheckedError as error:
                found = replace(found, outcome=Outcome.NOT_CHECKED, problem=str(error))
            except SignerNotAllowedError as error:
                found = replace(found, outcome=Outcome.NOT_VALID, problem=str(error))
            except InputError as error:
                found = replace(found, problem=str(error))
            except VerificationError as error:
                return replace(found, problem=str(error))
            refused = refused or found
        return refused

    def _held_against(
        self, checkpoint: Checkpoint, entry: StoredEntry, asked: Sequence[bytes], found: Covering
    ) -> Covering:
        try:
            at = self._look_up(entry.stream, entry.seq, checkpoint, asked)
        except NotCheckedError as error:
            return replace(found, outcome=Outcome.NOT_CHECKED, problem=str(error))
        if at.hash == entry.hash:
            outcome = Outcome.HOLDS
        else:
            outcome = Outcome.OTHER_TREE if at.hash is None else Outcome.OTHER_HASH
        return replace(found, outcome=outcome, has=at.hash, kept_differs=at.kept_differs)

    def _signer_of(self, stored: StoredCheckpoint) -> tuple[RegisteredSigner, Checkpoint]:
        """Who signed a checkpoint, or the one that covers it.

        Raises:
            NotCheckedError: nobody who is known, or what covers it is not here.
            SignerNotAllowedError: its signer was not valid at the entry that covers it.
            VerificationError: a known key's signature is wrong, or the entry does not cover it.
            InputError: it is no checkpoint of the stream.
        """
        checkpoint = _parsed(stored)
        if stored.cover is None:
            signer, _ = self._keys.signer_of(stored.note(), checkpoint.origin, said=stored.signer)
            return signer, checkpoint
        if stored.stream == HEADS_STREAM:
            raise InputError(f"it is one of {HEADS_STREAM}, and covered by an entry")
        return self._signer_of_heads(stored, stored.cover, log_origin_of(checkpoint.origin, stored.stream)), checkpoint

    def _signer_of_heads(self, stored: StoredCheckpoint, cover: Cover, log_origin: str) -> RegisteredSigner:
        """Who signed the smallest checkpoint over the entry of the stream of heads that covers a checkpoint."""
        where = f"entry {cover.seq} of {HEADS_STREAM}, which covers it,"
        refused: NotCheckedError | SignerNotAllowedError | None = None
        for over in self._checkpoints(HEADS_STREAM, cover.seq + 1):
            checkpoint = _parsed(over)
            try:
                signer, _ = self._keys.signer_of(over.note(), checkpoint.origin, said=over.signer)
                heads = self._heads(cover.seq, checkpoint, where)
                self._check_valid(signer, heads, checkpoint)
            except (NotCheckedError, SignerNotAllowedError) as error:
                refused = refused or error
                continue
            if log_origin_of(checkpoint.origin, HEADS_STREAM) != log_origin:
                raise ProofInvalidError(f"{where} is another log's")
            check_cover(stored.text, cover, HeadsRoot.from_payload(parse_body(heads.body).payload))
            return signer
        raise refused or NotCheckedError(f"{where} is under no checkpoint here")

    def _heads(self, seq: int, checkpoint: Checkpoint, where: str) -> StoredEntry:
        """An entry of the stream of heads that a checkpoint's tree has at its place."""
        if self._without_heads is not None:
            raise NotCheckedError(self._without_heads)  # what was missing once, larger checkpoints want as well
        try:
            heads = self._entry(HEADS_STREAM, seq)
            proven = entry_hash(heads.body, heads.prev_hash)
            at = self._look_up(HEADS_STREAM, seq, checkpoint, [proven])
        except NotCheckedError as error:
            self._without_heads = f"{where} cannot be proven here: {error}"
            raise NotCheckedError(self._without_heads) from None
        body = parse_body(heads.body)
        if at.hash is None or (body.type, body.stream, body.seq) != (HEADS_TYPE, HEADS_STREAM, seq):
            raise ProofInvalidError(
                f"{where} is not what the checkpoint of size {checkpoint.size} there was signed over"
            )
        return heads

    def _check_valid(self, signer: RegisteredSigner, entry: StoredEntry, checkpoint: Checkpoint) -> None:
        """Returns if the signer was valid at an entry, and where it signed the checkpoint over it.

        A key whose time is over could else sign for what it was valid at.

        Raises:
            SignerNotAllowedError: it was not.
            NotCheckedError: it is only announced, or the last entry under the checkpoint is not in the source.
        """
        if signer.is_unlimited:
            return
        _check_valid_at(signer, entry)
        if entry.seq != checkpoint.size - 1:
            _check_valid_at(signer, self._entry(entry.stream, checkpoint.size - 1))

    def _look_up(self, stream: str, seq: int, checkpoint: Checkpoint, asked: Sequence[bytes]) -> _At:
        """What the tree has at a place.

        Raises:
            NotCheckedError: not all entries under the checkpoint are in the source.
        """
        kept = self._kept_path(stream, seq, checkpoint.size)
        found = None if kept is None else hash_at(seq, checkpoint, kept, asked)
        if found is not None:
            return _At(found, kept_differs=False)
        path = inclusion_path(seq, checkpoint.size, self._hashes(stream))
        found = hash_at(seq, checkpoint, path, asked)
        return _At(found, kept_differs=found is not None and kept is not None)

    def _kept_path(self, stream: str, seq: int, size: int) -> tuple[bytes, ...] | None:
        if self._log is None:
            return None
        try:
            return StreamTree(self._log, stream).inclusion(seq, size)
        except StoreError:
            return None  # an entry is missing, which the walk will name

    def _hashes(self, stream: str) -> Iterator[bytes]:
        """The hashes of a stream's entries from the first on, of several at one place the first; ends in an error."""
        due = 0
        for entry in self._source.walk([stream]):
            if entry.stream != stream or entry.seq < due:
                continue
            if entry.seq > due:
                break
            yield entry.hash
            due += 1
        raise NotCheckedError(f"the source has no entry {due} of {stream}, which is under it")

    def _checkpoints(self, stream: str, size: int) -> Iterator[StoredCheckpoint]:
        """The checkpoints of a stream of this size or more, from the smallest."""
        if self._log is None:
            if stream not in self._read:
                found = cast("CheckpointSource", self._source).checkpoints([stream])
                self._read[stream] = [each for each in found if each.stream == stream]
            yield from (each for each in self._read[stream] if each.size >= size)
            return
        while (over := self._log.checkpoint_over(stream, size)) is not None:
            yield over
            size = over.size + 1

    def _entry(self, stream: str, seq: int) -> StoredEntry:
        if self._log is not None:
            found = self._log.entry(stream, seq)
        else:
            at = (each for each in self._source.walk([stream]) if (each.stream, each.seq) == (stream, seq))
            found = next(at, None)
        if found is None:
            raise NotCheckedError(f"the source has no entry {seq} of {stream}")
        return found


def _parsed(stored: StoredCheckpoint) -> Checkpoint:
    if stored.malformed is not None:
        raise InputError(stored.malformed)
    checkpoint = parse_checkpoint(stored.text)
    log_origin_of(checkpoint.origin, stored.stream)
    if checkpoint.size != stored.size or checkpoint.extensions:
        raise InputError(f"its text speaks of {checkpoint.size} entries, or of more than origin, size and root")
    return checkpoint


def _check_valid_at(signer: RegisteredSigner, entry: StoredEntry) -> None:
    try:
        time = parse_body(entry.body).time
    except InputError:
        time = None
    try:
        signer.check_valid_at(entry.stream, entry.seq, time)
    except SignerNotAllowedError as error:
        if signer.status is Status.ANNOUNCED:
            # A registry from before the activation: the verifier's is old, and the checkpoint not wrong for it.
            raise NotCheckedError(f"{error}: get the registry that is published now") from None
        raise
