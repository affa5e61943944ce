"""Making checkpoints: announce in the log, compute the root, sign, keep, ask witnesses.

A checkpoint that was announced and could not be signed is signed later without announcing it again, unless the stream
has grown since. Several streams that are due together share one signature (`auditseal.core.heads`).

Source: `docs/spec/checkpoint.md`; `docs/life-of-an-entry.md`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from auditseal.core.checkpoint import Checkpoint, format_checkpoint, log_origin_of, parse_checkpoint, stream_origin
from auditseal.core.event import Event, Limits, Micros, format_time, make_draft, parse_body
from auditseal.core.heads import HEADS_STREAM, HEADS_TYPE, Cover, cover_texts
from auditseal.core.note import Note
from auditseal.core.note_key import log_key, signed_by, to_sign
from auditseal.core.promise import CHECKPOINT_TYPE, Promise
from auditseal.core.stored_checkpoint import StoredCheckpoint
from auditseal.errors import ConfigError, InputError, NotFoundError, SignerError, StoreError
from auditseal.service.ids import new_id, now_micros
from auditseal.service.tree import StreamTree

if TYPE_CHECKING:
    from auditseal.core.event import Draft
    from auditseal.core.note_key import NoteKey
    from auditseal.ports import CheckpointStore, Clock, NoteSigner
    from auditseal.service.cosign import Cosigner
    from auditseal.service.seal import Sealer

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
        cosigner: Cosigner | None = None,
        clock: Clock = now_micros,
        make_id: Callable[[], str] = new_id,
    ) -> None:
        """Sets up.

        Args:
            store: the log.
            signer: what signs.
            origin: of the log; a stream's origin is `<origin>/<stream>`.
            pace: what next checkpoint is promised.
            sealer: signs the announcing entries as well, in a log where each entry is signed; None in one where
                checkpoints cover them.
            cosigner: asks witnesses; None asks nobody.
            clock: microseconds since the epoch.
            make_id: gives entries their id.
        """
        self.signer = signer
        self.pace = pace or Pace()
        self._store = store
        self._origin = origin
        self._sealer = sealer
        self._cosigner = cosigner
        self._clock = clock
        self._make_id = make_id
        self._trees: dict[str, StreamTree] = {}
        self._known: set[str] = set()
        self._turn = threading.Lock()

    def tree(self, stream: str) -> StreamTree:
        """The stream's tree."""
        return self._trees.setdefault(stream, StreamTree(self._store, stream))

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
            others = [stream for stream in asked if stream != HEADS_STREAM]
            if not asked:
                raise InputError("a checkpoint is made for one stream or more")
            if len(asked) == 1:
                made = [self._signed(self._prepare(asked[0]))]
            else:
                made = self._cover([self._prepare(stream) for stream in others])
            self._store.add_checkpoints(made, settle=self._sealer is None)
        signed = next(each for each in made if each.signatures)
        if self._cosigner is not None:
            lines = self._cosigner.collect(signed, self.tree(signed.stream))
            made[made.index(signed)] = replace(signed, signatures=(*signed.signatures, *lines))
        return made

    def due(self) -> dict[str, int]:
        """By stream that has entries beyond its last checkpoint, how many."""
        found = {}
        for head in self._store.streams():
            last = self._store.last_checkpoint(head.stream)
            uncovered = head.seq + 1 - (last.size if last is not None else 0)
            if uncovered > 0 and head.stream != HEADS_STREAM:
                found[str(head.stream)] = uncovered
        return found

    def close(self) -> None:
        """Releases signer and witnesses. Idempotent."""
        if self._cosigner is not None:
            self._cosigner.close()
        self.signer.close()

    def _prepare(self, stream: str) -> Prepared:
        head = self._store.head(stream)
        if head.seq < 0:
            raise NotFoundError(f"the stream {stream} has no entries, and so no checkpoint")
        self._check_known(stream)
        size = head.seq + 1 if self._is_announced(stream, head.seq) else self._announce(stream)
        frontier = self.tree(stream).grow_to(size)
        checkpoint = Checkpoint(origin=stream_origin(self._origin, stream), size=size, root=frontier.root())
        return Prepared(stream=stream, size=size, text=format_checkpoint(checkpoint))

    def _check_known(self, stream: str) -> None:
        """Once for each stream: the log never signs a second history, whatever happened to its entries or its tree.

        Raises:
            StoreError: the tree that was found has another root than the last checkpoint says.
        """
        if stream in self._known:
            return
        last = self._store.last_checkpoint(stream)
        if last is not None:
            try:
                is_same = self.tree(stream).root(last.size) == parse_checkpoint(last.text).root
            except InputError:
                is_same = False
            if not is_same:
                raise StoreError(f"{stream} contradicts its checkpoint of size {last.size}, so none is made: verify it")
        self._known.add(stream)

    def _is_announced(self, stream: str, seq: int) -> bool:
        """Whether the last entry announces a checkpoint by this signer that was never kept."""
        entry = self._store.entry(stream, seq)
        last = self._store.last_checkpoint(stream)
        if entry is None or (last is not None and last.size > seq):
            return False
        body = parse_body(entry.body)
        return body.type == CHECKPOINT_TYPE and Promise.from_payload(body.payload).signer == self.signer.signer_id

    def _announce(self, stream: str) -> int:
        tree = self.tree(stream)
        tree.grow_to(self._store.head(stream).seq + 1)  # most of the work, done before the stream is locked

        def draft_at(seq: int, before: int | None) -> Draft:
            promise = Promise(
                size=seq + 1,
                signer=self.signer.signer_id,
                next_by=Micros(self._clock() + int(self.pace.heartbeat_s * _MICROS)),
                previous=None if before is None else (before + 1, tree.root(before + 1)),
            )
            return self._draft(stream, CHECKPOINT_TYPE, promise.to_payload())

        entry = self._store.announce(stream, draft_at, self._clock)
        if self._sealer is not None:
            self._sealer.finish([entry], self._sealer.begin([entry]))
        return entry.seq + 1

    def _cover(self, prepared: Sequence[Prepared]) -> list[StoredCheckpoint]:
        heads, paths = cover_texts([each.text for each in prepared])
        draft = self._draft(HEADS_STREAM, HEADS_TYPE, heads.to_payload())
        entry = self._store.append([draft], self._clock)[0].new
        assert entry is not None
        if self._sealer is not None:
            self._sealer.finish([entry], self._sealer.begin([entry]))
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
        key = note_key_of_signer(self.signer, parse_checkpoint(prepared.text).origin)
        signed = self.signer.sign_message(to_sign(key, prepared.text).message)
        return StoredCheckpoint(
            stream=prepared.stream,
            size=prepared.size,
            text=prepared.text,
            signatures=(signed_by(key, signed.signature),),
            signer=self.signer.signer_id,
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


def find_origin(store: CheckpointStore, configured: str | None) -> str:
    """The log's origin: the configured one, which must be that of the checkpoints that are there.

    Raises:
        ConfigError: none is configured and none is known, or the two differ.
    """
    known = None
    for head in store.streams():
        last = store.last_checkpoint(head.stream)
        if last is not None:
            known = log_origin_of(parse_checkpoint(last.text).origin, head.stream)
            break
    if configured is not None and known is not None and configured != known:
        raise ConfigError(
            f"AUDITSEAL_ORIGIN is {configured}, and the checkpoints of this log have {known}: an origin is for ever"
        )
    origin = configured or known
    if origin is None:
        raise ConfigError(
            "the log has no origin, which names it in its checkpoints: set AUDITSEAL_ORIGIN, such as example.com/audit"
        )
    return origin
