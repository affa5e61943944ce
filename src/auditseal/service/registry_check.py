"""Holds a registry against the chain: every change of signers stands in the log, so that the two must agree.

Source: `docs/spec/rotation.md` §6.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from typing import TYPE_CHECKING

from auditseal.core.event import parse_body
from auditseal.core.registered_signer import Status
from auditseal.core.rotation import ABANDONED, ACTIVATED, ADDED, RETIRED, REVOKED, parse_name
from auditseal.core.rotation_event import ROTATED, check_handover, name_of, parse_handover, switch_of
from auditseal.errors import InputError, VerificationError
from auditseal.ports import CheckpointSource, EntryFilter

if TYPE_CHECKING:
    from auditseal.core.entry import StoredEntry
    from auditseal.core.registry import RegisteredSigner, Registry
    from auditseal.core.rotation_event import KeyName
    from auditseal.ports import Store

_PAGE = 200


class RegistryCode(StrEnum):
    """What a registry and a chain can disagree in."""

    SIGNER_MISSING = "signer-missing"
    KEY_DIFFERS = "key-differs"
    STATUS_DIFFERS = "status-differs"
    RANGE_DIFFERS = "range-differs"
    RANGE_GAP = "range-gap"
    RANGES_OVERLAP = "ranges-overlap"
    HANDOVER_NOT_SIGNED = "handover-not-signed"
    SIGNER_NOT_TOLD = "signer-not-told"


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistryFinding:
    """One disagreement; `stream` and `seq` name the entry that says otherwise, where one does."""

    code: RegistryCode
    message: str
    signer_id: str
    stream: str | None = None
    seq: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistryReport:
    """The outcome: how many entries about signers were held against the registry, and what did not fit."""

    checked: int
    findings: tuple[RegistryFinding, ...]


def check_registry(registry: Registry, store: Store, streams: Sequence[str] | None = None) -> RegistryReport:
    """Compares the registry with the entries about signers.

    Args:
        registry: the one to check; one that was rolled back lacks what the chain tells.
        store: the log, which is not verified here.
        streams: only these; None for all.

    Raises:
        StoreError: the log cannot be read.
    """
    names = list(streams or [head.stream for head in store.streams()])
    findings: list[RegistryFinding] = []
    checked = 0
    known: set[str] = set()
    for stream in names:
        told = list(_about_signers(store, stream))
        checked += len(told)
        abandoned = {payload.get("newSignerId") for _, type_, payload in told if type_ == ABANDONED}
        for entry, type_, payload in told:
            try:
                findings += _compare(registry, entry, type_, payload, abandoned)
            except (InputError, KeyError, TypeError):
                continue  # written by an application; it changes nothing
        known |= _named(told) | _first_signers(store, stream)
        findings += _ranges(registry, stream)
    if checked:
        findings += _not_told(registry, known)
    return RegistryReport(checked=checked, findings=tuple(findings))


def _about_signers(store: Store, stream: str) -> Iterator[tuple[StoredEntry, str, dict[str, object]]]:
    for type_ in (ADDED, ROTATED, ACTIVATED, RETIRED, REVOKED, ABANDONED):
        after = None
        while page := store.select(EntryFilter(stream=stream, type=type_), limit=_PAGE, after=after):
            for entry in page:
                try:
                    yield entry, type_, parse_body(entry.body).payload
                except InputError:
                    continue
            after = (stream, page[-1].seq)


def _named(told: Sequence[tuple[StoredEntry, str, dict[str, object]]]) -> set[str]:
    """The signers that entries about signers name."""
    names = set()
    for _, _, payload in told:
        for member in ("old", "new", "signer"):
            with suppress(KeyError, TypeError, AttributeError):
                names.add(parse_name(payload[member]).signer_id)
    return names


def _first_signers(store: Store, stream: str) -> set[str]:
    """Who signed the stream's beginning: the log begins with somebody, and says so nowhere."""
    kept = store.checkpoints([stream]) if isinstance(store, CheckpointSource) else iter(())
    first = next((checkpoint.signer for checkpoint in kept if checkpoint.signer is not None), None)
    names = set() if first is None else {first}
    for entry in store.select(EntryFilter(stream=stream), limit=_PAGE):
        if entry.signatures:
            return names | {signature.signer for signature in entry.signatures}
    return names


def _not_told(registry: Registry, known: set[str]) -> Iterator[RegistryFinding]:
    """Signers that are accepted everywhere, and that the log never heard of: anybody could have added them."""
    for signer in registry:
        if signer.signer_id not in known and signer.status is not Status.REVOKED:
            said = f"no entry tells of {signer.signer_id}, which the registry accepts ({signer.status}): who added it?"
            yield RegistryFinding(code=RegistryCode.SIGNER_NOT_TOLD, signer_id=signer.signer_id, message=said)


def _compare(
    registry: Registry, entry: StoredEntry, type_: str, payload: dict[str, object], abandoned: set[object]
) -> Iterator[RegistryFinding]:
    if type_ == ADDED:
        name = parse_name(payload["new"])
        if name.signer_id not in abandoned:
            yield from _same_key(registry, name, entry)
    elif type_ in (RETIRED, REVOKED):
        name = parse_name(payload["signer"])
        signer = registry.find(name.signer_id)
        allowed = {Status.REVOKED} if type_ == REVOKED else {Status.RETIRED, Status.REVOKED}
        if signer is not None and signer.status not in allowed:
            said = f"the log says {type_.rpartition('.')[2]} at #{entry.seq:,}, and the registry {signer.status}"
            yield _finding(RegistryCode.STATUS_DIFFERS, name.signer_id, said, entry)
    elif type_ == ACTIVATED:
        signer = registry.find(str(payload["signerId"]))
        if signer is not None and signer.status is Status.ANNOUNCED:
            said = f"the log says activated at #{entry.seq:,}, and the registry announced: it was rolled back"
            yield _finding(RegistryCode.STATUS_DIFFERS, signer.signer_id, said, entry)
    elif type_ == ROTATED:
        yield from _same_handover(registry, entry, payload)


def _same_handover(registry: Registry, entry: StoredEntry, payload: dict[str, object]) -> Iterator[RegistryFinding]:
    handover, proofs = parse_handover(payload, entry.stream)
    found = [*_same_key(registry, handover.old, entry), *_same_key(registry, handover.new, entry)]
    yield from found
    if found:
        return
    try:
        check_handover(handover, proofs, registry)
    except VerificationError as error:
        said = f"#{entry.seq:,} hands over to {handover.new.signer_id}, and is not what both keys signed: {error}"
        yield _finding(RegistryCode.HANDOVER_NOT_SIGNED, handover.new.signer_id, said, entry)
        return
    by = {signature.signer for signature in entry.signatures}
    for name in (handover.old, handover.new):
        signer = registry.find(name.signer_id)
        if name.signer_id not in by and not (signer is not None and signer.status is Status.REVOKED):
            said = f"#{entry.seq:,}, which hands over, is not signed by {name.signer_id}: do the activation again"
            yield _finding(RegistryCode.HANDOVER_NOT_SIGNED, name.signer_id, said, entry)
    old, new = registry.find(handover.old.signer_id), registry.find(handover.new.signer_id)
    assert old is not None
    assert new is not None
    until = old.valid_until.seq.get(entry.stream) if old.valid_until else None
    since = new.valid_from.seq.get(entry.stream) if new.valid_from else None
    switch = switch_of(handover, proofs, entry.seq)
    if until != switch.until:
        said = f"{old.signer_id} ends in {entry.stream} before #{switch.until:,}, and the registry says {until}"
        yield _finding(RegistryCode.RANGE_DIFFERS, old.signer_id, said, entry)
    if since != switch.since:
        said = f"{new.signer_id} begins in {entry.stream} with #{switch.since:,}, and the registry says {since}"
        yield _finding(RegistryCode.RANGE_DIFFERS, new.signer_id, said, entry)


def _same_key(registry: Registry, name: KeyName, entry: StoredEntry) -> Iterator[RegistryFinding]:
    signer = registry.find(name.signer_id)
    if signer is None:
        said = f"the log has {name.signer_id} since #{entry.seq:,}, and the registry does not: it was rolled back"
        yield _finding(RegistryCode.SIGNER_MISSING, name.signer_id, said, entry)
    elif name_of(signer) != name:
        said = f"the registry has another key, algorithm or ARN under {name.signer_id} than #{entry.seq:,} says"
        yield _finding(RegistryCode.KEY_DIFFERS, name.signer_id, said, entry)


def _ranges(registry: Registry, stream: str) -> Iterator[RegistryFinding]:
    """Signers that are limited in a stream must follow each other: no seq without one, and only a handover with two."""
    limited = sorted(
        (_range(signer, stream) for signer in registry if _is_limited(signer, stream)), key=lambda part: part[0]
    )
    for (_, until, before), (since, _, after) in pairwise(limited):
        if until is None or until > since + 1:
            said = f"{before} and {after} are both valid in {stream} from #{since:,} on"
            yield RegistryFinding(code=RegistryCode.RANGES_OVERLAP, signer_id=after, stream=stream, message=said)
        elif until < since:
            said = f"nobody is valid in {stream} from #{until:,} to #{since - 1:,}"
            yield RegistryFinding(code=RegistryCode.RANGE_GAP, signer_id=after, stream=stream, message=said)


def _is_limited(signer: RegisteredSigner, stream: str) -> bool:
    bounds = (signer.valid_from, signer.valid_until)
    return any(bound is not None and stream in bound.seq for bound in bounds)


def _range(signer: RegisteredSigner, stream: str) -> tuple[int, int | None, str]:
    since = signer.valid_from.seq.get(stream, 0) if signer.valid_from else 0
    return since, signer.valid_until.seq.get(stream) if signer.valid_until else None, signer.signer_id


def _finding(code: RegistryCode, signer_id: str, message: str, entry: StoredEntry) -> RegistryFinding:
    return RegistryFinding(code=code, signer_id=signer_id, message=message, stream=entry.stream, seq=entry.seq)
