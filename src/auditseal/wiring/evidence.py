"""Verification against what stands outside of the log: a verifier's memory, witnesses and anchors."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, cast

from auditseal.core.evidence import Outside
from auditseal.core.report import Verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from auditseal.core.account import AccountedRange
    from auditseal.core.grade import Grade
    from auditseal.core.outside_check import AnchoredNote
    from auditseal.core.remembered import Remembered
    from auditseal.core.report import Report
    from auditseal.core.times import Micros
    from auditseal.ports import CheckpointSource, Source


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What a verification is to be held against, by addresses.

    Attributes:
        state: file in which the verifier remembers what it proved; it is written unless something is proven wrong.
        full: whether all is verified, and not only what is new since then.
        anchors: addresses.
        witness_policy: file.
        accounts: files of accounts of signatures, as `reconcile --account` writes them.
        require: the grade that every entry must have.
        origin: of the log, where it does not say itself.
        now: what the time is, if overdue promises are to be found.
    """

    state: Path | None = None
    full: bool = False
    anchors: Sequence[str] = ()
    witness_policy: Path | None = None
    accounts: Sequence[Path] = ()
    require: Grade | None = None
    origin: str | None = None
    now: Micros | None = None


def verify_against(
    source: Source, evidence: Evidence, streams: Sequence[str] | None, verify: Callable[[Outside], Report]
) -> Report:
    """Runs a verification with all that it is held against, and remembers what it proved.

    Args:
        source: what is verified.
        evidence: by addresses.
        streams: only these; None: all.
        verify: the verification itself.

    Raises:
        AuditSealError: a file, a policy or an anchor cannot be used, or an anchor itself is proven wrong.
    """
    from auditseal.adapters.state_file import load_state, locked_state, save_state
    from auditseal.service.audit import resumable
    from auditseal.wiring.checkpoints import load_policy

    with ExitStack() as stack:
        remembered: dict[str, Remembered] = {}
        if evidence.state is not None:
            stack.enter_context(locked_state(evidence.state))
            remembered = load_state(evidence.state)
        asked = {name: each for name, each in remembered.items() if streams is None or name in streams}
        anchors = _anchored(source, evidence, streams, asked) if evidence.anchors else None
        accounts = _accounted(evidence.accounts, streams) if evidence.accounts else None
        # Anchors and accounts may hold sizes below what is remembered, which only a whole walk can compare.
        whole = evidence.full or anchors is not None or accounts is not None
        resumed = frozenset[str]() if whole else resumable(source, asked)
        outside = Outside(
            anchors=anchors,
            remembered=asked,
            resumed=resumed,
            policy=load_policy(evidence.witness_policy) if evidence.witness_policy is not None else None,
            reconciled=accounts,
            now=evidence.now,
            require=evidence.require,
        )
        report = verify(outside)
        if evidence.state is not None and report.verdict is not Verdict.INVALID and not report.unreachable:
            save_state(evidence.state, {**remembered, **report.remembered})
    return replace(report, remembered={})


def _anchored(
    source: Source, evidence: Evidence, streams: Sequence[str] | None, remembered: Mapping[str, Remembered]
) -> dict[str, list[AnchoredNote]]:
    from auditseal.service.anchor import origins_of, read_anchors
    from auditseal.wiring.anchors import open_anchor

    checkpoints = list(cast("CheckpointSource", source).checkpoints(streams)) if hasattr(source, "checkpoints") else []
    names = {*(streams or ()), *remembered, *(each.stream for each in checkpoints if each.stream)}
    if streams is None:
        names |= _stream_names(source)
    with ExitStack() as stack:
        anchors = []
        for address in evidence.anchors:
            anchor = open_anchor(address)
            stack.callback(anchor.close)
            anchors.append(anchor)
        return read_anchors(anchors, origins_of(checkpoints, sorted(names), evidence.origin))


def _accounted(paths: Sequence[Path], streams: Sequence[str] | None) -> dict[str, list[AccountedRange]]:
    from auditseal.adapters.whole_file import read_whole
    from auditseal.core.account_document import MAX_ACCOUNT_BYTES, parse_account
    from auditseal.errors import InputError

    ranges: dict[str, list[AccountedRange]] = {}
    for path in paths:
        try:
            document = parse_account(read_whole(path, max_bytes=MAX_ACCOUNT_BYTES))
        except InputError as error:
            raise InputError(f"{path}: {error}") from None
        for each in document.ranges:
            if streams is None or each.stream in streams:
                ranges.setdefault(each.stream, []).append(each)
    return ranges


def _stream_names(source: Source) -> set[str]:
    if hasattr(source, "stream_names"):
        return set(source.stream_names())
    return {entry.stream for entry in source.walk() if entry.malformed is None}
