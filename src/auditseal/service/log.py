"""A log that is open for appending: what applications hold.

Source: `docs/life-of-an-entry.md`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self

from auditseal.core.event import Event
from auditseal.errors import ConfigError
from auditseal.ports import EntryFilter
from auditseal.service.seal import Backlog

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from auditseal.core.entry import StoredEntry
    from auditseal.core.receipt import Ack, Receipt
    from auditseal.errors import InputError, SignerError
    from auditseal.ports import Signer, Store
    from auditseal.service.append import Appender
    from auditseal.service.checkpoint import Checkpointer
    from auditseal.service.checkpoint_loop import CheckpointLoop
    from auditseal.service.drafting import ReadDraft
    from auditseal.service.receipts import Outcome
    from auditseal.service.seal import Resealer, Sealer


class Log:
    """An open log. Safe to use from many threads; close it, or use it in a `with` statement."""

    def __init__(
        self,
        store: Store,
        appender: Appender,
        *,
        sealer: Sealer | None = None,
        resealer: Resealer | None = None,
        checkpoints: CheckpointLoop | None = None,
    ) -> None:
        """Joins the parts; `auditseal.open_log` is the usual way here."""
        self.store = store
        self._appender = appender
        self._sealer = sealer
        self._resealer = resealer
        self._checkpoints = checkpoints

    @property
    def signer(self) -> Signer | None:
        """What signs; None for a log that was opened without a signer."""
        if self._sealer is not None:
            return self._sealer.signer
        return self._checkpoints.checkpointer.signer if self._checkpoints is not None else None

    def append(
        self,
        type: str,  # noqa: A002 - the member's name in the format
        payload: Mapping[str, Any] | None = None,
        *,
        actor: str | None = None,
        stream: str = "default",
        id: str | None = None,  # noqa: A002 - the member's name in the format
        context: Mapping[str, Any] | None = None,
        ack: Ack = "signed",
    ) -> Receipt:
        """Records one event.

        Args:
            type: what happened, such as `agent.spawned`: 1 to 256 characters.
            payload: a JSON object of exact JSON types.
            actor: who did it.
            stream: the chain it belongs to: 1 to 128 of `a-z 0-9 . _ / -`.
            id: a UUID, to make a retry safe: the same id with the same content gives the first receipt.
            context: a JSON object about the recording, such as trace id and source address.
            ack: wait until the event is `signed`, or only `durable`.

        Raises:
            InputError: the event is not acceptable; nothing was appended.
            ConflictError: the id stands in the stream for another event; nothing was appended.
            BacklogFullError: too much waits for a signature; nothing was appended.
            SignaturePendingError: in the log and durable, and not signed yet.
            StoreError: the log's storage failed; retry under the same id.
        """
        event = Event(
            type=type, payload={} if payload is None else payload, actor=actor, stream=stream, id=id, context=context
        )
        return self._appender.append(event, ack)

    def append_event(self, event: Event, *, ack: Ack = "signed") -> Receipt:
        """Records an event that was put together elsewhere.

        Raises:
            as `append`.
        """
        return self._appender.append(event, ack)

    def append_each(self, events: Sequence[Event], ack: Ack = "signed") -> list[Outcome]:
        """Records events of different callers together: for each, in order, the receipt or error of `append_event`."""
        return self._appender.append_each(events, ack)

    def append_own(self, event: Event, *, ack: Ack = "signed") -> Receipt:
        """Records a statement of the log about itself, whose type callers may not use.

        Raises:
            as `append`.
        """
        return self._appender.append_own(event, ack)

    def append_many(self, events: Iterable[Event], *, ack: Ack = "signed") -> list[Receipt]:
        """Records events in order, sharing transactions and signing concurrently.

        Raises:
            as `append`; all events are checked before the first is appended.
        """
        return self._appender.append_many(events, ack)

    def append_stream(self, events: Iterable[Event | InputError], *, ack: Ack = "signed") -> Iterator[list[Outcome]]:
        """Records any number of events in constant memory; each has an outcome of its own.

        Yields:
            in order, a receipt or the error that kept this one event out, some at a time.

        Raises:
            BacklogFullError, StoreError: as `append`.
        """
        return self._appender.stream(events, ack)

    def append_texts(self, texts: Iterable[bytes], read: ReadDraft, *, ack: Ack = "signed") -> Iterator[list[Outcome]]:
        """Records any number of events as `append_stream` does, each read from its text by `read`.

        Yields:
            as `append_stream`.

        Raises:
            as `append_stream`.
        """
        return self._appender.stream_texts(texts, read, ack)

    def entries(
        self, stream: str | None = None, *, which: EntryFilter | None = None, page: int = 500
    ) -> Iterator[StoredEntry]:
        """Entries by stream and seq, in constant memory.

        Args:
            stream: only this one.
            which: a further filter; its own `stream` counts if `stream` is not given.
            page: how many are read at a time.
        """
        filter_ = which or EntryFilter()
        if stream is not None:
            filter_ = replace(filter_, stream=stream)
        after: tuple[str, int] | None = None
        while part := self.store.select(filter_, limit=page, after=after):
            yield from part
            after = (part[-1].stream, part[-1].seq)

    @property
    def outage(self) -> SignerError | None:
        """Why the signer is held to be down, while it is."""
        if self._sealer is not None and self._sealer.outage is not None:
            return self._sealer.outage
        return self._checkpoints.outage if self._checkpoints is not None else None

    def sign_pending(self) -> Backlog:
        """Signs what waits for a signature: each entry, or in a log of checkpoints all by a new one.

        Raises:
            ConfigError: the log was opened without a signer.
            SignerError, StoreError, PolicyNotMetError: in a log of checkpoints, none could be made.
        """
        if self._sealer is None and self._checkpoints is not None:
            return self._cover_pending(self._checkpoints.checkpointer)
        if self._sealer is None:
            raise ConfigError("no signer is configured: set AUDIT_SIGNING_KMS_KEY_ID and AUDIT_SIGNER_KID")
        if self._resealer is not None:
            self._resealer.release()
        return self._sealer.sign_pending()

    def _cover_pending(self, checkpointer: Checkpointer) -> Backlog:
        due = checkpointer.due()
        if due:
            checkpointer.create(list(due))
        return Backlog(signed=sum(due.values()), left=self.store.count_pending())

    def close(self) -> None:
        """Waits for signatures in flight, makes the last checkpoint and releases everything. Idempotent."""
        if self._checkpoints is not None:
            self._checkpoints.close()
            self._checkpoints.checkpointer.close()
        if self._resealer is not None:
            self._resealer.close()
        if self._sealer is not None:
            self._sealer.close()
        self.store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
