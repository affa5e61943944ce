"""Auditing: takes a source through verification in segments.

In one process segments follow each other: threads would spend more on handing the interpreter to each other, entry by
entry, than they gain. Processes do gain, where a source can be read in parts. Only where a KMS is asked do threads
help, since they wait for it together. Memory stays constant: a bounded window of segments is under way at a time.

Source: `docs/spec/verification.md`; `docs/decisions/verification-in-processes.md`.
"""

from __future__ import annotations

import multiprocessing
from collections import deque
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Final, cast

from auditseal.core.algorithm import AlgorithmId
from auditseal.core.entry_check import Trust
from auditseal.core.evidence import Outside
from auditseal.core.heads import HEADS_STREAM
from auditseal.core.registry import Registry
from auditseal.core.verify import Segment
from auditseal.ports import PartedSource, RowSource

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from auditseal.core.entry import StoredEntry
    from auditseal.core.entry_check import Rule
    from auditseal.core.remembered import Remembered
    from auditseal.core.report import Report
    from auditseal.core.stored_checkpoint import StoredCheckpoint
    from auditseal.core.verify import Sizes
    from auditseal.ports import CheckpointSource, MacVerifier, Part, Progress, RangeSource, Source

_SEGMENT: Final = 512
_REMOTE_SEGMENT: Final = 16
_REMOTE_THREADS: Final = 16
_PART: Final = 4096
"""How many entries a part has, where a source is read in parts."""
_WORTH_PROCESSES: Final = 15_000
"""From how many entries on it is worth starting processes, which takes about as long as verifying these."""


def audit(
    source: Source,
    registry: Registry,
    *,
    streams: Sequence[str] | None = None,
    mac_verifier: MacVerifier | None = None,
    outside: Outside | None = None,
    reopen: Callable[[], Source] | None = None,
    processes: int = 1,
    progress: Progress | None = None,
) -> Report:
    """Verifies a log.

    Args:
        source: where to read.
        registry: the accepted signers.
        streams: only these; each must have entries.
        mac_verifier: checks signers whose key is an HMAC key in a KMS; None leaves them unchecked.
        outside: what else the log is held against. Of the streams that it says are resumed, only what is new is read.
        reopen: opens the source once more, in another process; a function that can be pickled.
        processes: how many verify a large source that can be read in parts; 1 is this one.
        progress: told how far the walk is.

    Raises:
        StoreError: the source cannot be read on.
    """
    trust = trust_in(registry, mac_verifier)
    outside = outside or Outside()
    sizes = outside.sizes()
    streams_asked = streams
    streams, checkpoints = with_covers(source, streams)
    total = source.count(streams) if progress or processes > 1 else None
    segments: Iterator[tuple[Segment, int]]
    whole = Segment(trust, sizes)
    if outside.resumed:
        for name in outside.resumed:
            whole.recall(name, outside.remembered[name])
        segments = (_verify(part, trust, sizes) for part in _chunks(_walk_on(source, streams, outside), _SEGMENT))
    elif trust.mac_rules:
        segments = _in_threads(source, streams, trust, sizes)
    elif processes > 1 and reopen and (total or 0) >= _WORTH_PROCESSES and isinstance(source, PartedSource):
        segments = _in_processes(source, streams, (reopen, registry.to_json_bytes(), sizes), processes)
    elif isinstance(source, RowSource):
        segments = (_verify_part(source, part, trust, sizes) for part in source.parts(streams, _PART))
    else:
        segments = (_verify(part, trust, sizes) for part in _chunks(source.walk(streams), _SEGMENT))
    done = 0
    for segment, entries in segments:
        whole.join(segment)
        done += entries
        if progress:
            progress(done, total)
    return whole.report(
        source.address,
        expected_streams=streams_asked or (),
        checkpoints=_with_newer(source, streams, checkpoints, whole.sizes()),
        outside=outside,
    )


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


def _walk_on(source: Source, streams: Sequence[str] | None, outside: Outside) -> Iterator[StoredEntry]:
    ranged = cast("RangeSource", source)
    names = ranged.stream_names() if streams is None else streams
    return ranged.walk_from({name: outside.remembered[name].size if name in outside.resumed else 0 for name in names})


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


def _verify(entries: Iterable[StoredEntry], trust: Trust, sizes: Sizes) -> tuple[Segment, int]:
    segment = Segment(trust, sizes)
    count = 0
    for entry in entries:
        segment.add(entry)
        count += 1
    return segment, count


def _verify_part(source: PartedSource, part: Part, trust: Trust, sizes: Sizes) -> tuple[Segment, int]:
    if not isinstance(source, RowSource):
        return _verify(source.read_part(part), trust, sizes)
    segment = Segment(trust, sizes)
    count = 0
    for rows in source.rows(part):
        segment.add_rows(part.stream, rows)
        count += len(rows)
    return segment, count


def _in_threads(
    source: Source, streams: Sequence[str] | None, trust: Trust, sizes: Sizes
) -> Iterator[tuple[Segment, int]]:
    parts = _chunks(source.walk(streams), _REMOTE_SEGMENT)
    with ThreadPoolExecutor(_REMOTE_THREADS, "auditseal-verify") as pool:
        yield from _in_order(pool, (partial(_verify, part, trust, sizes) for part in parts), 2 * _REMOTE_THREADS)


def _in_processes(
    source: PartedSource,
    streams: Sequence[str] | None,
    start: tuple[Callable[[], Source], bytes, Sizes],
    processes: int,
) -> Iterator[tuple[Segment, int]]:
    # Spawned, since a fork would copy whatever locks and connections the threads of this process hold.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, context, initializer=_Worker.start, initargs=start) as pool:
        parts = source.parts(streams, _PART)
        yield from _in_order(pool, (partial(_Worker.verify, part) for part in parts), 2 * processes)


def _in_order(
    pool: Executor, work: Iterator[Callable[[], tuple[Segment, int]]], window: int
) -> Iterator[tuple[Segment, int]]:
    under_way: deque[Future[tuple[Segment, int]]] = deque()
    try:
        for item in work:
            under_way.append(pool.submit(item))
            if len(under_way) > window:
                yield under_way.popleft().result()
        while under_way:
            yield under_way.popleft().result()
    finally:
        for future in under_way:
            future.cancel()


class _Worker:
    """What a verifying process holds: the source, opened anew, and whom to trust."""

    source: PartedSource
    trust: Trust
    sizes: Sizes

    @classmethod
    def start(cls, reopen: Callable[[], Source], registry: bytes, sizes: Sizes) -> None:
        source = reopen()
        assert isinstance(source, PartedSource)
        cls.source = source
        cls.trust = Trust(registry=Registry.parse(registry))
        cls.sizes = sizes

    @classmethod
    def verify(cls, part: Part) -> tuple[Segment, int]:
        segment, count = _verify_part(cls.source, part, cls.trust, cls.sizes)
        return segment.closed(), count


def _chunks(entries: Iterator[StoredEntry], size: int) -> Iterator[list[StoredEntry]]:
    """The entries in lists; what stands at one place stays in one list, where a fork is told from a repetition."""
    chunk: list[StoredEntry] = []
    for entry in entries:
        if len(chunk) >= size and (entry.stream, entry.seq) != (chunk[-1].stream, chunk[-1].seq):
            yield chunk
            chunk = []
        chunk.append(entry)
    if chunk:
        yield chunk


def trust_in(registry: Registry, mac_verifier: MacVerifier | None = None) -> Trust:
    """Trust in a registry's signers; those whose HMAC key only a KMS has are checked by asking it, if that is given."""
    rules: dict[str, Rule] = {}
    if mac_verifier is None:
        return Trust(registry=registry)
    for signer in registry:
        if signer.algorithm.id is AlgorithmId.HMAC_SHA256 and signer.rule is None and signer.key_arn is not None:
            rules[signer.signer_id] = _remote_rule(mac_verifier, signer.key_arn)
    return Trust(registry=registry, mac_rules=rules)


def _remote_rule(mac_verifier: MacVerifier, key_id: str) -> Rule:
    return lambda mac, digest: mac_verifier.verify_mac(key_id, digest, mac)
