"""Making checkpoints: announce in the log, compute the root, sign, keep, ask witnesses.

A checkpoint that was announced and could not be signed is signed later without announcing it again, unless the stream
has grown since. Several streams that are due together share one signature (`auditseal.core.heads`).

Source: `docs/spec/checkpoint.md`; `docs/life-of-an-entry.md`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, cast

from auditseal.core.checkpoint import Checkpoint, format_checkpoint, parse_checkpoint, stream_origin
from auditseal.core.draft import Limits, make_draft
from auditseal.core.event import Event, parse_body
from auditseal.core.heads import HEADS_STREAM, HEADS_TYPE, Cover, cover_texts
from auditseal.core.note import Note
from auditseal.core.note_key import log_key, signed_by, to_sign
from auditseal.core.promise import CHECKPOINT_TYPE, Promise
from auditseal.core.stored_checkpoint import StoredCheckpoint
from auditseal.core.times import Micros, format_time
from auditseal.errors import InputError, NotFoundError, SignerError, StoreError
from auditseal.service.ids import new_id, now_micros
from auditseal.service.tree import StreamTree

if TYPE_CHECKING:
    from auditseal.core.draft import Draft
    from auditseal.core.note_key import NoteKey
    from auditseal.ports import CheckpointStore, Clock, NoteSigner
    from auditseal.service.cosign import Cosigner
    from auditseal.service.seal import Sealer
    from auditseal.service.succession import Turns

_MICROS: Final = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How often checkpoints are made.

    Attributes:
        interval_s: seconds after which an entry is covered at the latest.
        entries: so many uncovered entries do not wait for the interval.
        heartbeat_s: seconds from one checkpoint to the promised next one, with or without new entries.
    """

    interval_s: float = 0.25
    entries: int = 10_000
    heartbeat_s: float = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A checkpoint that was announced, and is to be signed."""

    stream: str
    size: int
    text: str
    signer: NoteSigner


class Checkpointer:
    """Makes the checkpoints of one log. Safe to use from many threads; other processes may do so as well."""

    def __init__(
        self,
        store: CheckpointStore,
        signer: NoteSigner,
        *,
        origin: str,
        pace: Pace | None = None,
        sealer: Sealer | None = None,
        covers_entries: bool | None = None,
        succession: Turns | None = None,
        cosigner: Cosigner | None = None,
        clock: Clock = now_micros,
        make_id: Callable[[], str] = new_id,
    ) -> None:
        """Sets up.

        Args:
            store: the log.
            signer: what signs what no other signer has taken over.
            origin: of the log; a stream's origin is `<origin>/<stream>`.
            pace: what next checkpoint is promised.
            sealer: signs the announcing entries as well, in a log where each entry is signed; None in one where
                checkpoints cover them.
            covers_entries: whether entries under a checkpoint need no signature; None: where there is no `sealer`.
            succession: says who signs after a rotation; None leaves all to `signer`.
            cosigner: asks witnesses; None asks nobody.
            clock: microseconds since the epoch.
            make_id: gives entries their id.
        """
        self._given = signer
        self.signer: NoteSigner = signer
        """What signs now: the one given, or the last that took over from it."""
        self.pace = pace or Pace()
        self.store = store
        self._origin = origin
        self._sealer = sealer
        self._covers_entries = sealer is None if covers_entries is None else covers_entries
        self._succession = succession
        self._cosigner = cosigner
        self._clock = clock
        self._make_id = make_id
        self._trees: dict[str, StreamTree] = {}
        self._known: set[str] = set()
        self._owes_heads = False
        self._turn = threading.Lock()

    def tree(self, stream: str) -> StreamTree:
        """The stream's tree."""
        return self._trees.setdefault(stream, StreamTree(self.store, stream))

    def create(self, streams: Sequence[str]) -> list[StoredCheckpoint]:
        """A new checkpoint for each stream, all under one signature.

        Args:
            streams: one or more, each with entries.

        Returns:
            One for each stream; for several streams also that of `auditseal/heads`, which is signed for all.

        Raises:
            NotFoundError: a stream has no entries.
            SignerError: announced and not signed; the next call signs.
            StoreError: the store failed, or a stream contradicts its last checkpoint.
            PolicyNotMetError: kept and signed, and too few witnesses cosigned where that is asked for.
        """
        with self._turn:
            asked = sorted(set(streams))
            if not asked:
                raise InputError("a checkpoint is made for one stream or more")
            others = [stream for stream in asked if stream != HEADS_STREAM] if len(asked) > 1 else asked
            groups: dict[str, list[Prepared]] = {}
            for prepared in map(self._prepare, others):
                groups.setdefault(prepared.signer.signer_id, []).append(prepared)
            made = []
            for group in groups.values():
                part = self._cover(group) if len(asked) > 1 else [self._signed(*group)]
                made += self._keep(part)
            if self._owes_heads:
                # Heads that were written and not signed: nobody may ever ask for several streams again.
                with suppress(SignerError):
                    made += self._keep([self._signed(self._prepare(HEADS_STREAM))])
        if self._cosigner is not None:
            for signed in [each for each in made if each.signatures]:
                lines = self._cosigner.collect(signed, self.tree(signed.stream))
                made[made.index(signed)] = replace(signed, signatures=(*signed.signatures, *lines))
        return made

    def hand_over(self, stream: str, draft: Draft, *, unless: Callable[[], None]) -> int:
        """Appends an entry right behind a checkpoint over all that is before it, so that its seq parts two ranges.

        Args:
            stream: which; it has entries.
            draft: of the entry; its id is new in the stream.
            unless: called when nobody else can append; raises what keeps the entry out.

        Returns:
            The seq of the entry; the checkpoint has that size.

        Raises:
            SignerError: appended, and the checkpoint is not signed: `complete` does that.
            StoreError: as `create`; also what `unless` raises, and nothing is appended.
        """
        with self._turn:
            self._check_known(stream)
            size = self._announce(stream, then=[draft], unless=unless)[0]
            self._complete(stream, size)
        return size

    def complete(self, stream: str, size: int) -> None:
        """Signs and keeps a checkpoint that was announced, if it is not kept; any other entry announces none.

        Raises:
            SignerError, StoreError: as `create`.
        """
        with self._turn:
            self._check_known(stream)
            self._complete(stream, size)

    def signer_at(self, stream: str, seq: int) -> NoteSigner:
        """Who signs the checkpoint over an entry.

        Raises:
            SignerError: it cannot be said.
        """
        if self._succession is None:
            return self.signer
        return cast("NoteSigner", self._succession.signer_at(stream, seq))

    def due(self) -> dict[str, int]:
        """By stream that has entries beyond its last checkpoint, how many."""
        found = {}
        for head in self.store.streams():
            last = self.store.last_checkpoint(head.stream)
            uncovered = head.seq + 1 - (last.size if last is not None else 0)
            if uncovered > 0:
                found[str(head.stream)] = uncovered
        return found

    def close(self) -> None:
        """Releases signer and witnesses. Idempotent."""
        if self._cosigner is not None:
            self._cosigner.close()
        if self._succession is not None:
            self._succession.close()
        self._given.close()

    def _keep(self, made: list[StoredCheckpoint]) -> list[StoredCheckpoint]:
        self.store.add_checkpoints(made, settle=self._covers_entries)
        if any(each.stream == HEADS_STREAM for each in made):
            self._owes_heads = False
        return made

    def _prepare(self, stream: str) -> Prepared:
        head = self.store.head(stream)
        if head.seq < 0:
            raise NotFoundError(f"the stream {stream} has no entries, and so no checkpoint")
        self._check_known(stream)
        signer = self._announced_by(stream, head.seq)
        size = head.seq + 1
        if signer is None:
            size, signer = self._announce(stream)
        return self._at(stream, size, signer)

    def _at(self, stream: str, size: int, signer: NoteSigner) -> Prepared:
        frontier = self.tree(stream).grow_to(size)
        checkpoint = Checkpoint(origin=stream_origin(self._origin, stream), size=size, root=frontier.root())
        if stream != HEADS_STREAM:
            self.signer = signer
        return Prepared(stream=stream, size=size, text=format_checkpoint(checkpoint), signer=signer)

    def _check_known(self, stream: str) -> None:
        """Once for each stream: the log never signs a second history, whatever happened to its entries or its tree.

        Raises:
            StoreError: the tree that was found has another root than the last checkpoint says.
        """
        if stream in self._known:
            return
        last = self.store.last_checkpoint(stream)
        if last is not None:
            try:
                is_same = self.tree(stream).root(last.size) == parse_checkpoint(last.text).root
            except InputError:
                is_same = False
            if not is_same:
                raise StoreError(f"{stream} contradicts its checkpoint of size {last.size}, so none is made: verify it")
        self._known.add(stream)

    def _announced_by(self, stream: str, seq: int) -> NoteSigner | None:
        """Who is to sign the checkpoint that an entry announces; None if it announces none, or one that is kept."""
        entry = self.store.entry(stream, seq)
        over = self.store.checkpoint_over(stream, seq + 1)
        if entry is None or (over is not None and over.size == seq + 1):
            return None
        body = parse_body(entry.body)
        if body.type != CHECKPOINT_TYPE:
            return None
        signer = self.signer_at(stream, seq)
        return signer if Promise.from_payload(body.payload).signer == signer.signer_id else None

    def _complete(self, stream: str, size: int) -> None:
        signer = self._announced_by(stream, size - 1) if size else None
        if signer is not None:
            self._keep([self._signed(self._at(stream, size, signer))])

    def _announce(
        self, stream: str, *, then: Sequence[Draft] = (), unless: Callable[[], None] = lambda: None
    ) -> tuple[int, NoteSigner]:
        """(the size that is announced, who will sign it)."""
        tree = self.tree(stream)
        size = self.store.head(stream).seq + 1
        tree.grow_to(size)  # most of the work, done before the stream is locked
        signer = self.signer_at(stream, size)

        def draft_at(seq: int, before: int | None) -> Draft:
            nonlocal signer
            unless()
            # Whose turn it is, is asked while nobody can append: no entry that hands over comes in between.
            signer = self.signer_at(stream, seq)
            promise = Promise(
                size=seq + 1,
                signer=signer.signer_id,
                next_by=Micros(self._clock() + int(self.pace.heartbeat_s * _MICROS)),
                previous=None if before is None else (before + 1, tree.root(before + 1)),
            )
            return self._draft(stream, CHECKPOINT_TYPE, promise.to_payload())

        entry = self.store.announce(stream, draft_at, self._clock, then=then)
        if self._sealer is not None:
            self._sealer.finish([entry], self._sealer.begin([entry]))
        return entry.seq + 1, signer

    def _cover(self, prepared: Sequence[Prepared]) -> list[StoredCheckpoint]:
        """One signature for several checkpoints; where its signer may not sign the heads, each has its own."""
        heads, paths = cover_texts([each.text for each in prepared])
        draft = self._draft(HEADS_STREAM, HEADS_TYPE, heads.to_payload())
        entry = self.store.append([draft], self._clock)[0].new
        assert entry is not None
        self._owes_heads = True
        if self._sealer is not None:
            self._sealer.finish([entry], self._sealer.begin([entry]))
        if self.signer_at(HEADS_STREAM, entry.seq).signer_id != prepared[0].signer.signer_id:
            return [self._signed(each) for each in prepared]
        signed = self._signed(self._prepare(HEADS_STREAM))
        covered = [
            StoredCheckpoint(
                stream=each.stream,
                size=each.size,
                text=each.text,
                cover=Cover(seq=entry.seq, index=index, count=heads.count, path=path),
            )
            for index, (each, path) in enumerate(zip(prepared, paths, strict=True))
        ]
        return [*covered, signed]

    def _signed(self, prepared: Prepared) -> StoredCheckpoint:
        signer = prepared.signer
        key = note_key_of_signer(signer, parse_checkpoint(prepared.text).origin)
        signed = signer.sign_message(to_sign(key, prepared.text).message)
        return StoredCheckpoint(
            stream=prepared.stream,
            size=prepared.size,
            text=prepared.text,
            signatures=(signed_by(key, signed.signature),),
            signer=signer.signer_id,
            request_id=signed.request_id,
            signed_at=format_time(self._clock()),
        )

    def _draft(self, stream: str, type_: str, payload: dict[str, object]) -> Draft:
        event = Event(type=type_, stream=stream, payload=payload, actor=None)
        return make_draft(event, new_id=self._make_id(), limits=Limits())


def note_key_of_signer(signer: NoteSigner, origin: str) -> NoteKey:
    """The key of a signer under an origin or a cosigner's name.

    Raises:
        SignerError: its public key is not known, since KMS could not be asked yet.
    """
    if signer.algorithm.is_mac:
        return log_key(origin, signer.algorithm.id, signer.signer_id)
    signer.start()
    if signer.public_key is None:
        text = f"the public key of {signer.signer_id} is not known yet"
        raise SignerError(text, reason="unreachable", retryable=True)
    return log_key(origin, signer.algorithm.id, signer.public_key)


def note_of(checkpoint: StoredCheckpoint) -> Note:
    """The signed note of a kept checkpoint.

    Raises:
        InputError: it cannot be read as one.
    """
    if checkpoint.malformed is not None:
        raise InputError(f"{checkpoint.stream} {checkpoint.size}: {checkpoint.malformed}")
    return checkpoint.note()
