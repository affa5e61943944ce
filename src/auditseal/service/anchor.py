"""Anchors: publishing checkpoints to them, and reading them for a verification.

Source: `docs/spec/checkpoint.md`, "Anchors".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from auditseal.core.checkpoint import log_origin_of, parse_checkpoint
from auditseal.core.event import parse_body
from auditseal.core.note import format_note, parse_note
from auditseal.core.outside_check import AnchoredNote
from auditseal.core.times import parse_time
from auditseal.errors import InputError, NotFoundError, StoreError
from auditseal.service.checkpoint import note_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from auditseal.core.stored_checkpoint import StoredCheckpoint
    from auditseal.core.times import Micros
    from auditseal.ports import Anchor, Anchored, CheckpointStore
    from auditseal.service.checkpoint import Checkpointer

_MICROS = 1_000_000
FRESH_S = 60
"""How old a checkpoint may be that is anchored as it is."""


def publish(
    store: CheckpointStore, anchor: Anchor, streams: Sequence[str], *, checkpointer: Checkpointer | None, now: Micros
) -> list[tuple[StoredCheckpoint, Anchored]]:
    """Anchors the streams as they stand now.

    An anchor proves that an entry which it lacks came later only if its checkpoint was fresh, so that an old one is
    not anchored: a new one is made, with a signature of its own.

    Args:
        store: the log.
        anchor: where to.
        streams: whose checkpoints; one or more.
        checkpointer: makes new ones; None anchors fresh ones alone.
        now: microseconds since the epoch.

    Raises:
        NotFoundError: a stream has no entries, or no fresh checkpoint and nothing makes one.
        SignerError, StoreError, ConfigError, PolicyNotMetError: as the checkpointer and the anchor.
    """
    published = []
    for stream in streams:
        last = store.last_checkpoint(stream)
        if last is None or not last.signatures or not _is_fresh(store, last, now):
            if checkpointer is None:
                raise NotFoundError(f"{stream} has no fresh checkpoint with a signature of its own: make one first")
            (last,) = checkpointer.create([stream])
        published.append((last, anchor.publish(format_note(note_of(last)))))
    return published


def _is_fresh(store: CheckpointStore, checkpoint: StoredCheckpoint, now: Micros) -> bool:
    head = store.head(checkpoint.stream)
    entry = store.entry(checkpoint.stream, checkpoint.size - 1)
    if entry is None or head.seq + 1 != checkpoint.size:
        return False
    return now - parse_time(parse_body(entry.body).time) <= FRESH_S * _MICROS


def read_anchors(anchors: Iterable[Anchor], origins: Mapping[str, str]) -> dict[str, list[AnchoredNote]]:
    """By stream, what the anchors hold of it.

    Args:
        anchors: to be asked.
        origins: by stream, the origin of its checkpoints.

    Raises:
        RejectedError: something in an anchor is proven wrong.
        StoreError: an anchor cannot be read.
    """
    found: dict[str, list[AnchoredNote]] = {stream: [] for stream in origins}
    for anchor in anchors:
        for stream, origin in origins.items():
            for each in anchor.find(origin):
                try:
                    note = parse_note(each.note)
                except InputError as error:
                    raise StoreError(f"the anchor {anchor.address} holds a damaged checkpoint: {error}") from error
                found[stream].append(AnchoredNote(note=note, time=each.time, where=each.where))
    return found


def origins_of(checkpoints: Iterable[StoredCheckpoint], streams: Iterable[str], known: str | None) -> dict[str, str]:
    """By stream, the origin under which anchors know it.

    Args:
        checkpoints: of the log, from which its origin follows.
        streams: by name.
        known: the log's origin, where the caller knows it; it counts before what the log says.

    Raises:
        NotFoundError: nobody knows it.
    """
    log_origin = known
    for each in checkpoints:
        if log_origin is not None:
            break
        try:
            log_origin = log_origin_of(parse_checkpoint(each.text).origin, each.stream)
        except InputError:
            continue
    if log_origin is None:
        raise NotFoundError("the log has no checkpoints that name its origin: give it with --origin")
    return {stream: f"{log_origin}/{stream}" for stream in streams}
