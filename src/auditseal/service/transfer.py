"""Export and import: the same entries, byte for byte, in another place.

Source: `docs/spec/export.md`.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING, Final, cast

from auditseal.core.chain import NO_HASH, Head, entry_hash
from auditseal.core.checkpoint import log_origin_of, parse_checkpoint
from auditseal.core.entry import Entry
from auditseal.core.entry_check import check_body
from auditseal.core.event import EntryHash, check_stream
from auditseal.errors import ChainBrokenError, InputError
from auditseal.ports import NewSignature

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from auditseal.core.entry import StoredEntry
    from auditseal.ports import CheckpointSource, CheckpointStore, Progress, Source, Store

_PART: Final = 500


def import_entries(source: Source, store: Store, *, progress: Progress | None = None) -> dict[str, int]:
    """Adds a source's entries, with their signatures, to the log; entries that it holds already are passed over.

    Each must be whole, and follow its stream's head in the log. Signatures are carried over as they are: whether they
    verify is for `audit` to say.

    Returns:
        By stream, how many entries were added.

    Raises:
        InputError: a line is no entry, or its text is not what the format asks for.
        ChainBrokenError: an entry does not follow the one before it, or stands in the log with another hash. What was
            added before it stays: each entry added follows its head.
        StoreError, ConflictError: as `Store.insert`.
    """
    heads: dict[str, Head] = {head.stream: head for head in store.streams()}
    added: dict[str, int] = {}
    entries = iter(source.walk())
    while part := list(islice(entries, _PART)):
        fresh = [entry for entry in part if not _is_held(entry, store, heads)]
        ready, tips = _checked(fresh, heads)
        signatures = list(_signatures(fresh))
        store.insert(ready, signatures)
        heads.update(tips)
        for entry in ready:
            added[entry.stream] = added.get(entry.stream, 0) + 1
        if progress:
            progress(sum(added.values()), None)
    _import_checkpoints(source, store)
    return added


def _import_checkpoints(source: Source, store: Store) -> None:
    """Carries checkpoints over as they are, so far as the store has their entries."""
    if not hasattr(source, "checkpoints") or not hasattr(store, "add_checkpoints"):
        return
    kept = cast("CheckpointStore", store)
    sizes: dict[str, int] = {head.stream: head.seq + 1 for head in store.streams()}
    checkpoints = []
    for checkpoint in cast("CheckpointSource", source).checkpoints():
        if checkpoint.malformed is not None:
            raise InputError(checkpoint.malformed)
        text = parse_checkpoint(checkpoint.text)
        log_origin_of(text.origin, checkpoint.stream)
        if text.size != checkpoint.size:
            raise InputError(f"a checkpoint of {checkpoint.stream} says {text.size}, and stands for {checkpoint.size}")
        if checkpoint.size <= sizes.get(checkpoint.stream, 0):
            checkpoints.append(checkpoint)
    if checkpoints:
        kept.add_checkpoints(checkpoints, settle=True)


def _is_held(entry: StoredEntry, store: Store, heads: dict[str, Head]) -> bool:
    if entry.malformed is not None:
        raise InputError(entry.malformed)
    head = heads.get(entry.stream)
    if head is None or entry.seq > head.seq:
        return False
    held = store.entry(entry.stream, entry.seq)
    if held is None or held.hash != entry.hash:
        raise ChainBrokenError(f"{entry.stream} #{entry.seq} stands in the log with another hash: the two logs differ")
    return True


def _checked(fresh: Sequence[StoredEntry], heads: dict[str, Head]) -> tuple[list[Entry], dict[str, Head]]:
    tips: dict[str, Head] = {}
    ready = []
    for stored in fresh:
        stream = check_stream(stored.stream)
        tip = tips.get(stream) or heads.get(stream) or Head(stream=stream)
        body, found = check_body(stored)
        if found or body is None:
            raise ChainBrokenError(f"{stream} #{stored.seq}: {found[0].message}")
        if stored.seq != tip.seq + 1 or stored.prev_hash != (tip.hash or NO_HASH):
            raise ChainBrokenError(f"{stream} #{stored.seq} does not follow #{tip.seq}, the last entry before it")
        hash_ = entry_hash(stored.body, stored.prev_hash)
        ready.append(
            Entry(
                stream=stream,
                seq=stored.seq,
                id=body.id,
                time=body.time,
                type=body.type,
                actor=body.actor,
                body=stored.body,
                prev_hash=EntryHash(stored.prev_hash),
                hash=hash_,
            )
        )
        tips[stream] = Head(stream=stream, seq=stored.seq, hash=hash_, time=body.time)
    return ready, tips


def _signatures(entries: Sequence[StoredEntry]) -> Iterator[NewSignature]:
    for entry in entries:
        for signature in entry.signatures:
            if signature.malformed is not None:
                raise InputError(f"{entry.stream} #{entry.seq}: {signature.malformed}")
            signed = replace(signature, entry_hash=entry.hash)
            yield NewSignature(stream=entry.stream, seq=entry.seq, signature=signed)
