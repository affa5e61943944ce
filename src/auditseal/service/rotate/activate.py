"""publish and activate: once every verifier knows the new key, the streams go over to it.

Source: `docs/spec/rotation.md` §2 and §3.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from auditseal.core.algorithm import parse_algorithm
from auditseal.core.event import Event
from auditseal.core.registered_signer import Status
from auditseal.core.rotation import ACTIVATED, SUCCESSOR, Rotation, Step
from auditseal.core.rotation_event import ROTATED, Handover, Proof, name_of
from auditseal.core.validity import Bound
from auditseal.errors import AuditSealError, ConflictError, NotCheckedError
from auditseal.service.rotate.start import NEXT

if TYPE_CHECKING:
    from auditseal.core.entry import StoredEntry
    from auditseal.core.registered_signer import RegisteredSigner
    from auditseal.core.registry import Registry
    from auditseal.ports import Signer
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
    registry = desk.registry.load()
    old = desk.open(desk.registered(rotation.old.signer_id, registry))
    new = desk.open(desk.registered(rotation.new_id, registry))
    switched = {stream: _hand_over(desk, rotation, stream, (old, new)).seq for stream in rotation.streams}
    # The alias moves next, and a writer that signs by it must not find another key behind it for what it still owes.
    desk.settle(switched, grace_s=grace_s)
    desk.reached("settled")
    desk.registry.update(lambda present: _with_ranges(desk, present, rotation, switched))
    desk.reached("registry ranges")
    _move_alias(desk, rotation)
    desk.tell(rotation, ACTIVATED, {"switched": switched, "signerId": rotation.new_id}, new)
    return desk.rotations(rotation.lead)[-1]


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


def _hand_over(desk: Desk, rotation: Rotation, stream: str, both: tuple[Signer, Signer]) -> StoredEntry:
    """The entry by which a stream goes over, appended if it is not there, and signed by both."""
    event_id = rotation.event_id("rotated", stream)
    entry = desk.own.find(stream, event_id)
    if entry is None:
        registry = desk.registry.load()
        head = desk.store.head(stream)
        handover = Handover(
            rotation=rotation.id,
            stream=stream,
            old=name_of(desk.registered(rotation.old.signer_id, registry)),
            new=name_of(desk.registered(rotation.new_id, registry)),
            after_seq=head.seq,
            after_hash=head.hash,
        )
        proofs = [_prove(handover, signer) for signer in both]
        desk.reached("proofs made")
        event = Event(type=ROTATED, stream=stream, id=event_id, payload=handover.payload(proofs))
        try:
            entry = desk.own.append(event)
        except ConflictError:  # another operator was faster
            entry = desk.own.find(stream, event_id)
        assert entry is not None
        desk.reached("handover appended")
    for signer in both:
        desk.own.sign(entry, signer)
        desk.reached("handover signed")
    return entry


def _prove(handover: Handover, signer: Signer) -> Proof:
    signed = signer.sign(handover.digest())
    return Proof(signer.signer_id, str(signer.algorithm.id), signed.signature, signed.request_id)


def _with_ranges(desk: Desk, registry: Registry, rotation: Rotation, switched: dict[str, int]) -> Registry:
    """The registry in which the old signer ends with the entry that hands over, and the new one begins with it."""
    old, new = registry.find(rotation.old.signer_id), registry.find(rotation.new_id)
    assert old is not None
    assert new is not None
    extra = dict(old.extra)
    if {head.stream for head in desk.store.streams()} <= switched.keys():
        extra[SUCCESSOR] = rotation.new_id
    registry = registry.with_changed(
        old.signer_id, valid_until=_bound(old.valid_until, {s: n + 1 for s, n in switched.items()}), extra=extra
    )
    return registry.with_changed(new.signer_id, status=Status.ACTIVE, valid_from=_bound(new.valid_from, switched))


def _bound(present: Bound | None, seqs: dict[str, int]) -> Bound:
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
