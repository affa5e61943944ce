"""Auditing: walks a source through verification, with signatures checked in other threads meanwhile.

`cryptography` lets go of the interpreter while it verifies, so threads are enough to use the machine. Memory stays
constant: a bounded window of batches is under way at a time.

Source: `docs/spec/verification.md`.
"""

from __future__ import annotations

import os
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TYPE_CHECKING, Final, cast

from auditseal.core.algorithm import AlgorithmId
from auditseal.core.evidence import Outside
from auditseal.core.heads import HEADS_STREAM
from auditseal.core.verify import Batch, Outcome, Trust, Verification, check_batch

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from auditseal.core.entry import StoredEntry
    from auditseal.core.registry import Registry
    from auditseal.core.remembered import Remembered
    from auditseal.core.report import Report
    from auditseal.core.stored_checkpoint import StoredCheckpoint
    from auditseal.core.verify import Rule
    from auditseal.ports import CheckpointSource, MacVerifier, Progress, RangeSource, Source

_BATCH: Final = 256
_REMOTE_BATCH: Final = 16
_REMOTE_THREADS: Final = 16


def audit(
    source: Source,
    registry: Registry,
    *,
    streams: Sequence[str] | None = None,
    mac_verifier: MacVerifier | None = None,
    outside: Outside | None = None,
    threads: int | None = None,
    progress: Progress | None = None,
) -> Report:
    """Verifies a log.

    Args:
        source: where to read.
        registry: the accepted signers.
        streams: only these; each must have entries.
        mac_verifier: checks signers whose key is an HMAC key in a KMS; None leaves them unchecked.
        outside: what else the log is held against. Of the streams that it remembers, only what is new is read where
            the source can begin there, unless it says that they are not resumed.
        threads: for signatures; by default one for each processor, or more where a KMS is asked.
        progress: told how far the walk is.

    Raises:
        StoreError: the source cannot be read on.
    """
    mac_rules = _mac_rules(registry, mac_verifier)
    trust = Trust(registry=registry, mac_rules=mac_rules)
    batch_size = _REMOTE_BATCH if mac_rules else _BATCH
    threads = threads or (_REMOTE_THREADS if mac_rules else os.cpu_count() or 1)
    outside = outside or Outside()
    walked, checkpoints = with_covers(source, streams)
    verification = Verification(source.address, trust=trust, outside=outside)
    total = source.count(walked) if progress else None
    done = 0
    under_way: deque[Future[list[Outcome]]] = deque()
    entries = _walk(source, walked, outside)
    with ThreadPoolExecutor(threads, "auditseal-verify") as pool:
        while part := list(islice(entries, batch_size)):
            batch: Batch = verification.take(part)
            under_way.append(pool.submit(check_batch, batch, trust))
            if len(under_way) > 2 * threads:
                verification.absorb(under_way.popleft().result())
            done += len(part)
            if progress:
                progress(done, total)
        while under_way:
            verification.absorb(under_way.popleft().result())
    found = _with_newer(source, walked, checkpoints, verification.sizes())
    return verification.finish(expected_streams=streams or (), checkpoints=found)


def with_covers(source: Source, streams: Sequence[str] | None) -> tuple[list[str] | None, list[StoredCheckpoint]]:
    """(the streams to read, their checkpoints): with the stream that covers checkpoints, where one is covered.

    Raises:
        StoreError: the source cannot be read on.
    """
    checkpoints = _checkpoints(source, streams)
    if streams is None:
        return None, checkpoints
    if all(each.cover is None for each in checkpoints) or HEADS_STREAM in streams:
        return list(streams), checkpoints
    names = [*streams, HEADS_STREAM]
    return names, _checkpoints(source, names)


def resumable(source: Source, remembered: Mapping[str, Remembered]) -> frozenset[str]:
    """The streams of which only what is new need be read: their last proven entry stands where it stood.

    Raises:
        StoreError: the source cannot be read on.
    """
    if not hasattr(source, "walk_from"):
        return frozenset()
    resumed = set()
    for stream, known in remembered.items():
        last = next(cast("RangeSource", source).walk_from({stream: known.size - 1}), None)
        if last is not None and last.seq == known.size - 1 and last.hash == known.head:
            resumed.add(stream)
    return frozenset(resumed)


def _walk(source: Source, streams: Sequence[str] | None, outside: Outside) -> Iterator[StoredEntry]:
    if not outside.resumed:
        return iter(source.walk(streams))
    ranged = cast("RangeSource", source)
    names = ranged.stream_names() if streams is None else streams
    first = {name: outside.remembered[name].size if name in outside.resumed else 0 for name in names}
    return iter(ranged.walk_from(first))


def _checkpoints(source: Source, streams: Sequence[str] | None) -> list[StoredCheckpoint]:
    if not hasattr(source, "checkpoints"):
        return []
    return list(cast("CheckpointSource", source).checkpoints(streams))


def _with_newer(
    source: Source, streams: Sequence[str] | None, before: Sequence[StoredCheckpoint], sizes: Mapping[str, int]
) -> dict[str, list[StoredCheckpoint]]:
    """The checkpoints from before the walk, which it must bear out, and those made while it read, as far as it read."""
    known = {(each.stream, each.size) for each in before}
    newer = [
        each
        for each in _checkpoints(source, streams)
        if (each.stream, each.size) not in known and each.size <= sizes.get(each.stream, 0)
    ]
    by_stream: dict[str, list[StoredCheckpoint]] = {}
    for each in (*before, *newer):
        by_stream.setdefault(each.stream, []).append(each)
    return by_stream


def _mac_rules(registry: Registry, mac_verifier: MacVerifier | None) -> dict[str, Rule]:
    if mac_verifier is None:
        return {}
    rules: dict[str, Rule] = {}
    for signer in registry:
        if signer.algorithm.id is AlgorithmId.HMAC_SHA256 and signer.rule is None and signer.key_arn is not None:
            rules[signer.signer_id] = _remote_rule(mac_verifier, signer.key_arn)
    return rules


def _remote_rule(mac_verifier: MacVerifier, key_id: str) -> Rule:
    return lambda mac, digest: mac_verifier.verify_mac(key_id, digest, mac)
