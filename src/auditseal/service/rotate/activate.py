"""publish and activate: once every verifier knows the new key, the streams go over to it.

Source: `docs/spec/rotation.md` §2 and §3.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from auditseal.core.algorithm import parse_algorithm
from auditseal.core.event import Event, parse_body
from auditseal.core.heads import HEADS_STREAM
from auditseal.core.registered_signer import Status
from auditseal.core.rotation import ACTIVATED, Rotation, Step
from auditseal.core.rotation_event import ROTATED, Handover, Proof, Switch, name_of, parse_handover, switch_of
from auditseal.core.successor import SUCCESSOR
from auditseal.core.validity import Bound
from auditseal.errors import AuditSealError, ConflictError, NotCheckedError
from auditseal.service.rotate.checkpoints import closing_checkpointer, complete_range, make_checkpoint
from auditseal.service.rotate.start import NEXT

if TYPE_CHECKING:
    from auditseal.core.entry import StoredEntry
    from auditseal.core.registered_signer import RegisteredSigner
    from auditseal.core.registry import Registry
    from auditseal.ports import Signer
    from auditseal.service.checkpoint import Checkpointer
    from auditseal.service.rotate.desk import Desk
    from auditseal.service.rotate.ports import Location


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """What one location serves; `why_not` None where it serves what it should."""

    name: str
    why_not: str | None


def check_locations(desk: Desk, rotation: Rotation) -> list[Served]:
    """Whether each location serves a registry that has the new signer, and after the activation its range."""
    return [Served(name=location.name, why_not=_why_not(desk, rotation, location)) for location in desk.locations]


def publish(desk: Desk) -> list[Served]:
    """Puts the registry to every location, and says which did not take it."""
    registry = desk.registry.load()
    outcomes = []
    for location in desk.locations:
        why_not = None
        try:
            if not desk.dry_run:
                location.publish(registry)
        except AuditSealError as error:
            why_not = str(error)
        outcomes.append(Served(name=location.name, why_not=why_not))
    return outcomes


def wait_until_published(
    desk: Desk,
    rotation: Rotation,
    *,
    wait_s: float,
    monotonic: Callable[[], float] = time.monotonic,
    pause_s: float = 5.0,
) -> list[Served]:
    """Asks the locations until all serve the new signer or the time is up; the last answers."""
    until = monotonic() + wait_s
    while True:
        served = check_locations(desk, rotation)
        if all(item.why_not is None for item in served) or monotonic() >= until:
            return served
        desk.sleep(min(pause_s, max(0.0, until - monotonic())))


def activate(desk: Desk, rotation: Rotation, *, grace_s: float | None = None) -> Rotation:
    """Lets the streams go over to the new signer; done again, it carries on where it was.

    Args:
        desk: what to work with.
        rotation: one that is announced.
        grace_s: how long writers have for what they appended before, instead of the desk's own.

    Raises:
        ConflictError: it is not announced yet.
        NotCheckedError: a location does not serve the new signer yet.
        AuditSealError: as log, registry and KMS.
    """
    rotation.require(Step.ANNOUNCED)
    if rotation.reached(Step.ACTIVE):
        return rotation
    missing = [] if rotation.emergency else [item for item in check_locations(desk, rotation) if item.why_not]
    if missing:
        said = "; ".join(f"{item.name}: {item.why_not}" for item in missing)
        raise NotCheckedError(f"verifiers would not know {rotation.new_id} yet: {said}")
    if desk.dry_run:
        return rotation
    _check_new_key(desk, rotation)
    switched = _go_over(desk, rotation, dict.fromkeys(rotation.streams, 0), grace_s)
    while late := _left(desk, rotation, switched):  # streams that began meanwhile
        switched |= _go_over(desk, rotation, late, grace_s)
    _move_alias(desk, rotation)
    new = desk.open(desk.registered(rotation.new_id))
    desk.tell(rotation, ACTIVATED, {"switched": switched, "signerId": rotation.new_id}, new)
    return desk.again(rotation)


def take_along(desk: Desk, rotation: Rotation) -> list[str]:
    """Lets streams go over that the old signer began after the activation, under a registry from before it.

    Returns:
        These streams.

    Raises:
        AuditSealError: as `activate`.
    """
    if rotation.step is Step.ACTIVE or rotation.step is Step.VERIFIED:
        return list(_go_over(desk, rotation, _left(desk, rotation, rotation.switched), None))
    return []


def _check_new_key(desk: Desk, rotation: Rotation) -> None:
    """Refuses a registry whose new signer is not the one that was announced in the log."""
    if rotation.new is None or name_of(desk.registered(rotation.new_id)) != rotation.new:
        raise ConflictError(
            f"signers.json has another key under {rotation.new_id} than the log announced: somebody changed it; "
            "auditseal rotate abort, and begin anew"
        )


def _go_over(desk: Desk, rotation: Rotation, streams: Iterable[str], grace_s: float | None) -> dict[str, int]:
    # The stream of heads last: until then it may cover what the old signer announced elsewhere.
    order = sorted(streams, key=lambda stream: stream == HEADS_STREAM)
    if not order:
        return {}
    old, new = _old_signer(desk, rotation), desk.open(desk.registered(rotation.new_id))
    if old is None:
        # Nobody obeys an entry that the old key did not sign, but for this word of the registry.
        desk.registry.update(lambda present: _with_successor(present, rotation))
        desk.reached("successor named")
    found = {stream: _hand_over(desk, rotation, stream, (old, new)) for stream in order}
    switched = {stream: entry.seq for stream, (entry, _) in found.items()}
    # The alias moves later, and a writer that signs by it must not find another key behind it for what it owes.
    desk.settle(switched, grace_s=grace_s)
    desk.reached("settled")
    switches = {stream: switch for stream, (_, switch) in found.items()}
    desk.registry.update(lambda present: _with_ranges(present, rotation, switches))
    desk.reached("registry ranges")
    return switched


def _old_signer(desk: Desk, rotation: Rotation) -> Signer | None:
    """The old signer; None where its key is held to be stolen and cannot sign any more.

    Raises:
        ConflictError: it cannot, and keeps other streams.
    """
    registered = desk.registered(rotation.old.signer_id)
    if not rotation.emergency or desk.can_sign(registered):
        return desk.open(registered)
    if not rotation.all_streams:
        raise ConflictError(
            f"the key of {registered.signer_id} is not enabled, so that it cannot sign that it hands over: without it "
            "all of its streams go over together, so leave out --stream; or enable it for as long as it takes"
        )
    return None


def _left(desk: Desk, rotation: Rotation, switched: Mapping[str, int]) -> list[str]:
    """The streams that are the old signer's still, if all are to go over."""
    if not rotation.all_streams:
        return []
    names = [str(head.stream) for head in desk.store.streams() if head.stream not in switched]
    return [stream for stream in names if _is_olds(desk, rotation, stream)]


def _is_olds(desk: Desk, rotation: Rotation, stream: str) -> bool:
    """Whether the old signer signs a stream now, or, with a key that may be disabled, left it without any signature."""
    return desk.signs(rotation.old.signer_id, stream) or (rotation.emergency and desk.find_signer(stream) is None)


def _why_not(desk: Desk, rotation: Rotation, location: Location) -> str | None:
    try:
        served = location.fetch()
    except AuditSealError as error:
        return str(error)
    ours, theirs = desk.registered(rotation.new_id), served.find(rotation.new_id)
    if theirs is None:
        return f"it does not have {rotation.new_id}"
    if name_of(theirs) != name_of(ours):
        return f"it has another key under {rotation.new_id}"
    if (theirs.status, theirs.valid_from) != (ours.status, ours.valid_from):
        return f"it has {rotation.new_id} as {theirs.status}, and the registry as {ours.status}: publish it again"
    return None


def _hand_over(
    desk: Desk, rotation: Rotation, stream: str, both: tuple[Signer | None, Signer]
) -> tuple[StoredEntry, Switch]:
    """The entry by which a stream goes over, appended if it is not there, and signed by whoever of the two can."""
    ids = list(rotation.event_ids(ROTATED, stream))
    old, new = both
    checkpointer = None if old is None else closing_checkpointer(desk, old)
    entry = desk.own.find(stream, ids, ROTATED)
    if entry is None:
        if not _is_olds(desk, rotation, stream):
            raise ConflictError(f"{stream} is not signed by {rotation.old.signer_id} any more: see rotate status")
        registry = desk.registry.load()
        after_seq, after_hash = _after(desk, rotation, stream) if old is None else _head(desk, stream)
        handover = Handover(
            rotation=rotation.id,
            stream=stream,
            old=name_of(desk.registered(rotation.old.signer_id, registry)),
            new=name_of(desk.registered(rotation.new_id, registry)),
            after_seq=after_seq,
            after_hash=after_hash,
        )
        proofs = [_prove(handover, signer) for signer in both if signer is not None]
        desk.reached("proofs made")
        event = Event(type=ROTATED, stream=stream, payload=handover.payload(proofs))
        with suppress(ConflictError):  # another operator was faster
            _append(desk, event, ids, checkpointer)
        entry = desk.own.find(stream, ids, ROTATED)
        assert entry is not None
        desk.reached("handover appended")
    if checkpointer is not None:
        complete_range(desk, stream, entry.seq, checkpointer)
        desk.reached("range closed")
    switch = switch_of(*parse_handover(parse_body(entry.body).payload, stream), entry.seq)
    for signer in (new,) if old is None or switch.since < entry.seq else (old, new):
        desk.own.sign(entry, signer)
        desk.reached("handover signed")
    if desk.succession(stream).signer_at(stream, entry.seq + 1).signer_id != rotation.new_id:
        raise ConflictError(f"{stream} #{entry.seq:,} hands over and came too late: another rotation went first")
    if old is None:
        make_checkpoint(desk, stream)
    return entry, switch


def _head(desk: Desk, stream: str) -> tuple[int, bytes]:
    head = desk.store.head(stream)
    return head.seq, head.hash


def _after(desk: Desk, rotation: Rotation, stream: str) -> tuple[int, bytes]:
    """(seq, hash) of the last entry before the first that the old signer left: unsigned, or under no checkpoint."""
    left = [entry.seq for entry in desk.store.pending(limit=1, stream=stream)] or [desk.store.head(stream).seq + 1]
    if desk.checkpoints is not None:
        last = desk.checkpoints.store.last_checkpoint(stream)
        left.append(0 if last is None else last.size)
    valid_from = desk.registered(rotation.old.signer_id).valid_from
    began = valid_from.seq.get(stream, -1) if valid_from else -1
    after = desk.store.entry(stream, max(min(left), began + 1) - 1)
    return (-1, b"") if after is None else (after.seq, after.hash)


def _append(desk: Desk, event: Event, ids: Sequence[str], checkpointer: Checkpointer | None) -> None:
    """Appends the entry that hands over; where the log has checkpoints, right behind one by the old signer."""
    if checkpointer is None:
        desk.own.append(event, ids)
        return

    def unless() -> None:
        if desk.own.free_id(event.stream, ids) != draft.id:
            raise ConflictError("another operator was faster")

    draft = desk.own.draft(event, desk.own.free_id(event.stream, ids))
    checkpointer.hand_over(event.stream, draft, unless=unless)


def _prove(handover: Handover, signer: Signer) -> Proof:
    signed = signer.sign(handover.digest())
    return Proof(signer.signer_id, str(signer.algorithm.id), signed.signature, signed.request_id)


def _with_ranges(registry: Registry, rotation: Rotation, switches: Mapping[str, Switch]) -> Registry:
    """The registry in which the old signer ends with the entry that hands over, and the new one begins with it."""
    registry = _with_successor(registry, rotation) if rotation.all_streams else registry
    old, new = registry.find(rotation.old.signer_id), registry.find(rotation.new_id)
    assert old is not None
    assert new is not None
    until = _bound(old.valid_until, {stream: switch.until for stream, switch in switches.items()})
    since = _bound(new.valid_from, {stream: switch.since for stream, switch in switches.items()})
    registry = registry.with_changed(old.signer_id, valid_until=until)
    return registry.with_changed(new.signer_id, status=Status.ACTIVE, valid_from=since)


def _with_successor(registry: Registry, rotation: Rotation) -> Registry:
    old = registry.find(rotation.old.signer_id)
    assert old is not None
    return registry.with_changed(old.signer_id, extra={**old.extra, SUCCESSOR: rotation.new_id})


def _bound(present: Bound | None, seqs: Mapping[str, int]) -> Bound:
    known = dict(present.seq) if present else {}
    return Bound(time=present.time if present else None, seq={**known, **seqs})


def _move_alias(desk: Desk, rotation: Rotation) -> None:
    if rotation.alias is None:
        return
    registry = desk.registry.load()
    old: RegisteredSigner = desk.registered(rotation.old.signer_id, registry)
    new: RegisteredSigner = desk.registered(rotation.new_id, registry)
    assert new.key_arn is not None
    present = desk.keys.find_alias(rotation.alias)
    if present is None or present.arn != new.key_arn:
        if present is not None and old.algorithm.is_mac != parse_algorithm(rotation.algorithm).is_mac:
            # UpdateAlias keeps to one usage. Writers know the keys by their ARNs by now.
            desk.keys.delete_alias(rotation.alias)
        desk.keys.set_alias(rotation.alias, new.key_arn)
        desk.reached("alias moved")
    desk.keys.delete_alias(rotation.alias + NEXT)
