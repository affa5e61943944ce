"""Appending: check, chain and store durably, then sign, then acknowledge.

Concurrent callers share a transaction. An event is answered with a receipt that says what is true at that moment, or
with an error that says whether the event is in the log.

Source: `docs/life-of-an-entry.md`.
"""

from __future__ import annotations

from collections import deque
from itertools import islice
from typing import TYPE_CHECKING, Final, NamedTuple

from auditseal.core.draft import Limits
from auditseal.core.entry import Entry
from auditseal.core.receipt import Receipt
from auditseal.errors import (
    AuditSealError,
    BacklogFullError,
    ConflictError,
    InputError,
    SignaturePendingError,
    SignerError,
)
from auditseal.service.backlog import BacklogGauge, SigningPolicy, refuse_pending
from auditseal.service.drafting import Drafter
from auditseal.service.group import GroupCommit
from auditseal.service.ids import new_ids, now_micros
from auditseal.service.receipts import receipts_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from auditseal.core.draft import Draft
    from auditseal.core.entry import StoredEntry, StoredSignature
    from auditseal.core.event import Event
    from auditseal.core.receipt import Ack
    from auditseal.ports import Appended, Clock, Signer, Store
    from auditseal.service.checkpoint_loop import CheckpointLoop
    from auditseal.service.drafting import ReadDraft
    from auditseal.service.line import Sealing
    from auditseal.service.receipts import Outcome, Place
    from auditseal.service.seal import Resealer, Sealer

CHUNK: Final = 1000
"""How many events of a bulk share one transaction."""
_CHUNKS_UNDER_CHECKPOINT: Final = 64
"""How many chunks may wait for one checkpoint: enough to go on chaining while it is signed."""


class _Chunk(NamedTuple):
    """Events that were chained together, some of them now being signed."""

    outcomes: list[Appended | AuditSealError]
    signing: list[Entry | StoredEntry]
    sealings: list[Sealing]


class _Part(NamedTuple):
    """What became of a chunk's events, and why some of them are not signed, if so."""

    outcomes: list[Outcome]
    cause: SignerError | None


class Appender:
    """Appends to one log. Safe to use from many threads."""

    def __init__(
        self,
        store: Store,
        sealer: Sealer | None,
        *,
        resealer: Resealer | None = None,
        checkpoints: CheckpointLoop | None = None,
        policy: SigningPolicy | None = None,
        limits: Limits | None = None,
        clock: Clock = now_micros,
        make_ids: Callable[[], Iterator[str]] = new_ids,
    ) -> None:
        """Sets up.

        Args:
            store: where to.
            sealer: what signs each entry; None where checkpoints cover them, and, without these either, for a log that
                is measured without signatures: only `ack="durable"` then.
            resealer: woken when something stays pending.
            checkpoints: told of what is appended; without a sealer, what a signed acknowledgement waits for.
            policy: what to do while the signer is down.
            limits: what a body may measure.
            clock: microseconds since the epoch.
            make_ids: gives ids without end, for the events of one thread.
        """
        self._store = store
        self._sealer = sealer
        self._resealer = resealer
        self._checkpoints = checkpoints
        self._covering = checkpoints if sealer is None else None
        self._policy = policy or SigningPolicy()
        self._drafter = Drafter(limits or Limits(), make_ids)
        self._chaining: GroupCommit[Draft, Appended] = GroupCommit(
            lambda drafts: store.append(drafts, clock), max_items=CHUNK
        )
        self._backlog = BacklogGauge(store, sealer)

    def append(self, event: Event, ack: Ack = "signed") -> Receipt:
        """Appends one event.

        Args:
            event: what happened.
            ack: what to wait for, `signed` or `durable`.

        Raises:
            InputError: the event is not acceptable; nothing was appended.
            ConflictError: its id stands in the stream for another event; nothing was appended.
            BacklogFullError: too much waits for a signature; nothing was appended.
            SignaturePendingError: appended and durable, and not signed yet.
            StoreError: the log's storage failed; the event may be retried under the same id.
        """
        return self.append_many([event], ack)[0]

    def append_many(self, events: Iterable[Event], ack: Ack = "signed") -> list[Receipt]:
        """Appends events in order; they are all checked before the first is appended.

        Raises:
            as `append`; a ConflictError names one event, and the others are in the log. At a StoreError, events before
            those that could not be stored may be in the log (1,000 share a transaction): give them ids to retry safely.
        """
        return self._append_all(self._drafter.all_of(events), ack)

    def append_own(self, event: Event, ack: Ack = "signed") -> Receipt:
        """Appends a statement of the log about itself, whose type callers may not use.

        Raises:
            as `append`.
        """
        return self._append_all([self._drafter.own(event)], ack)[0]

    def _append_all(self, drafts: list[Draft], ack: Ack) -> list[Receipt]:
        self._admit(len(drafts))
        parts = list(self._run(drafts, ack, admitted=True))
        receipts = []
        for outcome in (outcome for part in parts for outcome in part.outcomes):
            if isinstance(outcome, AuditSealError):
                raise outcome
            receipts.append(outcome)
        if self._refuses_pending(ack):
            refuse_pending(receipts, next((part.cause for part in parts if part.cause is not None), None))
        return receipts

    def stream(self, events: Iterable[Event | InputError], ack: Ack = "signed") -> Iterator[list[Outcome]]:
        """Appends any number of events, each with an outcome of its own, in constant memory.

        The next chunk is chained while the signer works on those before.

        Args:
            events: an InputError among them stands for an event that could not be read, and is its outcome.
            ack: as `append`.

        Yields:
            for each event in order, its receipt or why it alone was not appended (InputError, ConflictError); receipts
            of `status` `pending` are the caller's to judge.

        Raises:
            BacklogFullError, StoreError: as `append`, for the events that were not yielded; those before stay appended.
        """
        return (part.outcomes for part in self._run(self._drafter.each_of(events), ack, admitted=False))

    def stream_texts(self, texts: Iterable[bytes], read: ReadDraft, ack: Ack = "signed") -> Iterator[list[Outcome]]:
        """As `stream`, for events that are read from texts.

        Args:
            texts: of one event each.
            read: gives the draft of a text; its InputError is the outcome of the text.
            ack: as `append`.

        Yields:
            as `stream`.

        Raises:
            as `stream`.
        """
        return (part.outcomes for part in self._run(self._drafter.each_read(texts, read), ack, admitted=False))

    def append_each(self, events: Sequence[Event], ack: Ack = "signed") -> list[Outcome]:
        """Appends events of different callers together; none is another's error.

        Args:
            events: at most a few hundred; all are held in memory.
            ack: as `append`.

        Returns:
            for each event in order, what `append` gives for it, or the error that it raises.
        """
        return self._each(list(self._drafter.each_of(events)), ack)

    def _each(self, drafts: Sequence[Draft | InputError], ack: Ack) -> list[Outcome]:
        outcomes: list[Outcome] = []
        try:
            for part in self._run(drafts, ack, admitted=False):
                outcomes += [self._as_of_one(outcome, ack, part.cause) for outcome in part.outcomes]
        except AuditSealError as error:
            rest = drafts[len(outcomes) :]
            if len(rest) > 1 and (isinstance(error, BacklogFullError) or not error.retryable):
                # One of them may be to blame, or there may be room for some: nothing of the rest is in the log.
                return outcomes + [outcome for draft in rest for outcome in self._each([draft], ack)]
            outcomes += [error] * len(rest)
        return outcomes

    def _as_of_one(self, outcome: Outcome, ack: Ack, cause: SignerError | None) -> Outcome:
        if isinstance(outcome, Receipt) and self._refuses_pending(ack):
            try:
                refuse_pending([outcome], cause)
            except SignaturePendingError as error:
                return error
        return outcome

    def _admit(self, count: int) -> None:
        """Refuses new events while the backlog is full, if that is the policy.

        Raises:
            BacklogFullError: names both numbers.
        """
        may_wait = self._sealer is not None or self._outage is not None
        if may_wait and self._policy.on_failure == "refuse":
            self._backlog.check(count, self._policy.backlog_limit)

    def _run(self, drafts: Iterable[Draft | InputError], ack: Ack, *, admitted: bool) -> Iterator[_Part]:
        if ack not in ("signed", "durable"):
            raise InputError(f"ack is {str(ack)[:20]!r}: use signed or durable")
        if ack == "signed" and self._signer is None:
            raise InputError("this log was opened without a signer: append with ack=durable, or configure one")
        source = iter(drafts)
        in_flight: deque[_Chunk] = deque()
        most_in_flight = 3 + (self._sealer.signer.concurrency * 2 // CHUNK if self._sealer else 0)
        if self._covering is not None:
            most_in_flight = _CHUNKS_UNDER_CHECKPOINT
        failure: AuditSealError | None = None
        try:
            while failure is None and (chunk := list(islice(source, CHUNK))):
                try:
                    in_flight.append(self._chain(chunk, ack, admitted=admitted))
                except AuditSealError as error:
                    failure = error  # raised after what is in the log has been told
                if len(in_flight) >= most_in_flight:
                    yield self._finish(in_flight.popleft(), ack)
            while in_flight:
                yield self._finish(in_flight.popleft(), ack)
            if failure is not None:
                raise failure
        finally:
            while in_flight:
                self._finish(in_flight.popleft(), ack)

    @property
    def _signer(self) -> Signer | None:
        if self._sealer is not None:
            return self._sealer.signer
        return self._covering.checkpointer.signer if self._covering is not None else None

    def _turn_of(self, stream: str, seq: int) -> Signer | None:
        """Who signs an entry, or the checkpoint over it."""
        if self._covering is None:
            return self._signer
        try:
            return self._covering.checkpointer.signer_at(stream, seq)
        except SignerError:
            return None

    @property
    def _outage(self) -> SignerError | None:
        if self._sealer is not None:
            return self._sealer.outage
        return self._covering.outage if self._covering is not None else None

    def _chain(self, asked: Sequence[Draft | InputError], ack: Ack, *, admitted: bool) -> _Chunk:
        drafts = [draft for draft in asked if not isinstance(draft, InputError)]
        if not admitted:
            self._admit(len(drafts))
        appended = iter(self._chaining.submit(drafts) if drafts else ())
        outcomes: list[Appended | AuditSealError] = []
        signing: list[Entry | StoredEntry] = []
        named: set[Place] = set()
        for draft in asked:
            if isinstance(draft, InputError):
                outcomes.append(draft)
                continue
            outcome = next(appended)
            if draft.id_is_new and outcome.new is not None:  # its own, and nobody else's
                outcomes.append(outcome)
                signing.append(outcome.new)
                continue
            entry = outcome.new or outcome.found
            assert entry is not None
            if not draft.is_told_by(entry.body):
                outcomes.append(_conflict(draft))
                continue
            outcomes.append(outcome)
            place = entry.stream, entry.seq
            if place not in named and (outcome.found is None or not outcome.found.signatures):
                named.add(place)
                signing.append(entry)
        if self._checkpoints is not None:
            self._checkpoints.appended(signing)
        if ack == "signed" and self._covering is not None:
            return _Chunk(outcomes, signing, [])
        if self._sealer is None or ack == "durable":
            self._backlog.grew(len(signing))
            self._leave(signing)
            return _Chunk(outcomes, [], [])
        return _Chunk(outcomes, signing, self._sealer.begin(signing))

    def _finish(self, chunk: _Chunk, ack: Ack) -> _Part:
        signed: dict[Place, StoredSignature] = {}
        cause: SignerError | None = None
        if self._sealer is not None and ack == "signed":
            sealed = self._sealer.finish(chunk.signing, chunk.sealings)
            for entry, one in zip(chunk.signing, sealed, strict=True):
                if one.signature is not None:
                    signed[entry.stream, entry.seq] = one.signature
                cause = cause or one.error
            if len(signed) < len(chunk.signing):
                self._backlog.grew(len(chunk.signing) - len(signed))
                self._wake()
        covered = self._covering.wait(chunk.signing) if self._covering is not None and chunk.signing else {}
        return _Part(receipts_of(chunk.outcomes, signed, covered, self._turn_of), cause or self._outage)

    def _refuses_pending(self, ack: Ack) -> bool:
        """Whether a caller who asked for this is answered with an error while the signature is due."""
        return ack == "signed" and self._policy.on_failure == "refuse" and self._signer is not None

    def _leave(self, due: Sequence[Entry | StoredEntry]) -> None:
        """Leaves entries to be signed in the background."""
        new = [entry for entry in due if isinstance(entry, Entry)]
        if self._resealer is not None and new:
            self._resealer.take(new)
        if len(new) < len(due):
            self._wake()

    def _wake(self) -> None:
        if self._resealer is not None:
            self._resealer.wake()


def _conflict(draft: Draft) -> ConflictError:
    return ConflictError(f"the id {draft.id} stands in {draft.stream} for another event: give this one its own id")
