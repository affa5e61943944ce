"""plan, start and abort: a new key is made, exported and announced, or all that is taken back.

Source: `docs/spec/rotation.md` §1.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from auditseal.core.algorithm import parse_algorithm
from auditseal.core.key import parse_public_key
from auditseal.core.registered_signer import RegisteredSigner, Status
from auditseal.core.registry import Registry
from auditseal.core.rotation import (
    ABANDONED,
    ADDED,
    PLANNED,
    Rotation,
    Step,
    plan_payload,
    rotation_id,
)
from auditseal.core.rotation_event import name_of
from auditseal.errors import ConflictError, InputError, NotFoundError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from auditseal.core.algorithm import Algorithm
    from auditseal.service.rotate.desk import Desk
    from auditseal.service.rotate.ports import KeyInfo

_NUMBERED: Final = re.compile(r"(.*?)(\d{1,9})")
_ENABLED: Final = "Enabled"
NEXT: Final = "-next"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What an operator asks for; what is None follows from what there is.

    Attributes:
        streams: which go over, the first leads; empty for all of the log.
        algorithm: what the new key signs with; None for that of the old one.
        new_id: the new signer's id; None for the old one's with its number one higher.
        overlap_s: how long the old key is kept ready after the activation.
        alias: moves to the new key.
        policy: the key policy of the new key as JSON; None takes AWS's default.
        tags: of the new key.
        emergency: whether the old key is held to be stolen.
    """

    streams: Sequence[str] = ()
    algorithm: str | None = None
    new_id: str | None = None
    overlap_s: int = 7 * 86_400
    alias: str | None = None
    policy: str | None = None
    tags: Mapping[str, str] | None = None
    emergency: bool = False


def plan(desk: Desk, wish: Wish) -> Rotation:
    """The rotation that a wish comes to: the one that is under way if it is the same, else a new one; nothing is done.

    Raises:
        ConflictError: another rotation is under way.
        NotFoundError: the log has no such stream, or no signer yet.
        InputError: the new signer is not acceptable.
    """
    streams = tuple(wish.streams) or tuple(head.stream for head in desk.store.streams())
    if not streams:
        raise NotFoundError("the log has no entry yet: there is no signer to rotate away from")
    lead = streams[0]
    before = desk.rotations(lead)
    registry = desk.registry.load()
    under_way = [rotation for rotation in before if rotation.is_under_way]
    old_id = under_way[-1].old.signer_id if under_way else desk.current_signer(lead)
    old = desk.registered(old_id, registry)
    for stream in streams[1:]:
        if desk.current_signer(stream) != old_id:
            raise ConflictError(f"{stream} is not signed by {old_id}: rotate streams of one signer together")
    algorithm = parse_algorithm(wish.algorithm) if wish.algorithm else old.algorithm
    attempt = sum(rotation.old.signer_id == old_id and rotation.step is Step.ABANDONED for rotation in before)
    new_id = wish.new_id or (under_way[-1].new_id if under_way else next_id(old_id, registry))
    wished = Rotation(
        id=rotation_id(lead, old_id, attempt),
        streams=streams,
        old=name_of(old),
        new_id=new_id,
        algorithm=str(algorithm.id),
        overlap_s=wish.overlap_s,
        alias=wish.alias,
        emergency=wish.emergency,
    )
    if not under_way:
        _require_finished(before, emergency=wish.emergency)
        if registry.find(new_id) is not None:
            raise ConflictError(f"signers.json has a signer {new_id!r} already: give the new one a name of its own")
        return wished
    if plan_payload(under_way[-1]) != plan_payload(wished):
        known = under_way[-1]
        raise ConflictError(
            f"a rotation of {known.old.signer_id} to {known.new_id} ({known.algorithm}) is under way: carry it on with "
            f"auditseal rotate {known.next_action}, or end it with auditseal rotate abort"
        )
    return under_way[-1]


def start(desk: Desk, wish: Wish) -> Rotation:
    """Makes the new key and announces it in the registry; done again, it carries on where it was.

    Raises:
        ConflictError: another rotation is under way.
        AuditSealError: as log, registry and KMS.
    """
    rotation = plan(desk, wish)
    if desk.dry_run or rotation.reached(Step.ANNOUNCED):
        return rotation
    desk.tell(rotation, PLANNED, _without_id(rotation))
    algorithm = parse_algorithm(rotation.algorithm)
    key = _new_key(desk, rotation, algorithm, wish)
    public_key = None if algorithm.is_mac else parse_public_key(desk.keys.export_public_key(key.arn).der)
    announced = RegisteredSigner(
        signer_id=rotation.new_id,
        algorithm=algorithm,
        public_key=public_key,
        key_arn=key.arn,
        key_spec=key.spec,
        status=Status.ANNOUNCED,
    )
    desk.registry.update(lambda registry: registry.with_signer(announced))
    desk.reached("registry announced")
    desk.tell(rotation, ADDED, {"new": name_of(announced).members()})
    return desk.rotations(rotation.lead)[-1]


def abort(desk: Desk, rotation: Rotation) -> Rotation:
    """Takes back a rotation that is not active yet: the announced signer goes, its key is disabled, never deleted.

    Raises:
        ConflictError: it is active: the chain has gone over, and goes on from there.
    """
    if rotation.step is Step.ABANDONED:
        return rotation
    if not rotation.is_under_way or any(_handed_over(desk, rotation, stream) for stream in rotation.streams):
        raise ConflictError(
            f"{rotation.new_id} signs already, and what it signed stays: to leave it, rotate away from it"
        )
    if desk.dry_run:
        return rotation

    def without(registry: Registry) -> Registry:
        signer = registry.find(rotation.new_id)
        if signer is None or signer.status is not Status.ANNOUNCED:
            return registry
        kept = tuple(known for known in registry.signers if known is not signer)
        return Registry(signers=kept, extra=dict(registry.extra))

    desk.registry.update(without)
    desk.reached("registry taken back")
    for key in _keys_of(desk, rotation):
        desk.keys.disable(key.arn)
    desk.reached("key disabled")
    if rotation.alias:
        desk.keys.delete_alias(rotation.alias + NEXT)
    desk.tell(rotation, ABANDONED, {"newSignerId": rotation.new_id})
    return desk.rotations(rotation.lead)[-1]


def next_id(old_id: str, registry: Registry) -> str:
    """A free name for the one after: its last number one higher, or with one.

    Raises:
        InputError: there is no free one.
    """
    parts = _NUMBERED.fullmatch(old_id)
    stem, number = (parts[1], int(parts[2])) if parts else (f"{old_id}-", 1)
    for candidate in range(number + 1, number + 1000):
        name = f"{stem}{candidate}"
        if registry.find(name) is None:
            return name
    raise InputError(f"no free name after {old_id!r}: give one with --signer-id")


def _require_finished(before: Sequence[Rotation], *, emergency: bool) -> None:
    """Refuses to begin a rotation while the last one's old key is still kept ready; a stolen key cannot wait."""
    last = before[-1] if before else None
    if last is not None and not emergency and not last.reached(Step.RETIRED) and last.step is not Step.ABANDONED:
        raise ConflictError(
            f"the rotation of {last.old.signer_id} to {last.new_id} is {last.step}: carry it on with auditseal rotate "
            f"{last.next_action}"
        )


def _handed_over(desk: Desk, rotation: Rotation, stream: str) -> bool:
    return desk.own.find(stream, rotation.event_id("rotated", stream)) is not None


def _without_id(rotation: Rotation) -> dict[str, object]:
    return {name: value for name, value in plan_payload(rotation).items() if name != "rotation"}


def _description(rotation: Rotation) -> str:
    return f"auditseal {rotation.new_id} after {rotation.old.signer_id}, rotation {rotation.id}"


def _keys_of(desk: Desk, rotation: Rotation) -> list[KeyInfo]:
    """The keys that were made for a rotation, oldest first: more than one where two operators began at once."""
    wanted = _description(rotation)
    made = [key for key in desk.keys.list_signing_keys().keys if key.description == wanted and key.state == _ENABLED]
    return sorted(made, key=lambda key: (key.created, key.key_id))


def _new_key(desk: Desk, rotation: Rotation, algorithm: Algorithm, wish: Wish) -> KeyInfo:
    """The rotation's key, made if there is none; whoever begins at the same time takes the same one."""
    known = desk.registry.load().find(rotation.new_id)
    if known is not None and known.key_arn is not None:
        return desk.keys.describe(known.key_arn)
    if not _keys_of(desk, rotation):
        tags = {"auditseal:signer": rotation.new_id, "auditseal:rotation": rotation.id, **(wish.tags or {})}
        desk.keys.create_key(algorithm, description=_description(rotation), tags=tags, policy=wish.policy)
        desk.reached("key made")
    chosen, *surplus = _keys_of(desk, rotation)
    for key in surplus:
        desk.keys.disable(key.arn)
    if rotation.alias:
        desk.keys.set_alias(rotation.alias + NEXT, chosen.arn)
        desk.reached("next alias set")
    return chosen
