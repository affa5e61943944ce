"""plan, start and abort: a new key is made, exported and announced, or all that is taken back.

Source: `docs/spec/rotation.md` §1.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import orjson

from auditseal.core.algorithm import Algorithm, parse_algorithm
from auditseal.core.event import OWN_PREFIX
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
from auditseal.core.rotation_event import ROTATED, name_of
from auditseal.errors import ConflictError, InputError, NotFoundError
from auditseal.service.rotate.desk import ENABLED

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from auditseal.service.rotate.desk import Desk
    from auditseal.service.rotate.ports import KeyInfo

_NUMBERED: Final = re.compile(r"(.*?)(\d{1,9})")
NEXT: Final = "-next"
OWN_STREAMS: Final = OWN_PREFIX.replace(".", "/")


DEFAULT_OVERLAP_S: Final = 7 * 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What an operator asks for; what is None follows from what there is, or from a rotation that is under way.

    Attributes:
        streams: which go over, the first leads; empty for all that the old signer signs.
        algorithm: what the new key signs with; None for that of the old one.
        new_id: the new signer's id; None for the old one's with its number one higher.
        overlap_s: how long the old key is kept ready after the activation; None for seven days.
        alias: moves to the new key.
        policy: gives the key policy of the new key as JSON, from the old signer and the new algorithm.
        tags: of the new key.
        emergency: whether the old key is held to be stolen.
    """

    streams: Sequence[str] = ()
    algorithm: str | None = None
    new_id: str | None = None
    overlap_s: int | None = None
    alias: str | None = None
    policy: Callable[[RegisteredSigner, Algorithm], str | None] = lambda _old, _algorithm: None
    tags: Mapping[str, str] | None = None
    emergency: bool = False


def plan(desk: Desk, wish: Wish) -> Rotation:
    """The rotation that a wish comes to: the one that is under way if it is the same, else a new one; nothing is done.

    Raises:
        ConflictError: another rotation is under way.
        NotFoundError: the log has no such stream, or no signer yet.
        InputError: the new signer is not acceptable.
    """
    all_rotations = desk.all_rotations()
    under_way = _under_way(all_rotations, wish.streams)
    if under_way is not None:
        return _same(under_way, wish)
    streams = _streams(desk, wish)
    lead = streams[0]
    registry = desk.registry.load()
    old_id = desk.current_signer(lead)
    old = desk.registered(old_id, registry)
    for stream in streams[1:]:
        if desk.current_signer(stream) != old_id:
            raise ConflictError(f"{stream} is not signed by {old_id}: rotate streams of one signer together")
    before = [rotation for rotation in all_rotations if not set(streams).isdisjoint(rotation.streams)]
    _require_finished(before, emergency=wish.emergency)
    algorithm = parse_algorithm(wish.algorithm) if wish.algorithm else old.algorithm
    new_id = wish.new_id or next_id(old_id, registry)
    if registry.find(new_id) is not None:
        raise ConflictError(f"signers.json has a signer {new_id!r} already: give the new one a name of its own")
    others = [head.stream for head in desk.store.streams() if head.stream not in streams] if wish.streams else []
    if wish.alias and any(desk.signs(old_id, stream) for stream in others):
        raise ConflictError(
            f"{old_id} signs further streams, so that {wish.alias} cannot move: rotate all, or no alias"
        )
    attempt = sum(each.lead == lead and each.old.signer_id == old_id for each in all_rotations)
    return Rotation(
        id=rotation_id(lead, old_id, attempt),
        streams=streams,
        all_streams=not wish.streams,
        token=secrets.token_hex(8),
        old=name_of(old),
        new_id=new_id,
        algorithm=str(algorithm.id),
        overlap_s=DEFAULT_OVERLAP_S if wish.overlap_s is None else wish.overlap_s,
        alias=wish.alias,
        emergency=wish.emergency,
    )


def _streams(desk: Desk, wish: Wish) -> tuple[str, ...]:
    present = [str(head.stream) for head in desk.store.streams()]
    if not present:
        raise NotFoundError("the log has no entry yet: there is no signer to rotate away from")
    if missing := [stream for stream in wish.streams if stream not in present]:
        raise NotFoundError(f"the log has no stream {missing[0][:130]}: auditseal list shows its streams")
    if wish.streams:
        return tuple(dict.fromkeys(wish.streams))
    # A stream that nobody signed yet is no matter of the old signer's, or one of those that go over as they are found.
    signers = {stream: signer for stream in present if (signer := desk.find_signer(stream)) is not None}
    if not signers:
        raise NotFoundError("no entry of the log is signed yet: there is no signer to rotate away from")
    if len(set(signers.values())) > 1:
        said = ", ".join(f"{stream} by {signer}" for stream, signer in list(signers.items())[:5])
        raise ConflictError(f"the streams have several signers ({said}): name those of one with --stream")
    # A stream of the application leads, where there is one: it is there as long as the log.
    return tuple(sorted(signers, key=lambda stream: (stream.startswith(OWN_STREAMS), stream)))


def _under_way(rotations: Sequence[Rotation], streams: Sequence[str]) -> Rotation | None:
    """The rotation that is under way for these streams, or for any; of several the one that is further."""
    found = [
        rotation
        for rotation in rotations
        if rotation.is_under_way and (not streams or not set(streams).isdisjoint(rotation.streams))
    ]
    return max(found, key=lambda rotation: rotation.step is Step.ANNOUNCED, default=None)


def _same(known: Rotation, wish: Wish) -> Rotation:
    """The rotation that is under way, if what is wished for is no other."""
    asked = {
        "streams": tuple(wish.streams) or None,
        "algorithm": str(parse_algorithm(wish.algorithm).id) if wish.algorithm else None,
        "new_id": wish.new_id,
        "overlap_s": wish.overlap_s,
        "alias": wish.alias,
        "emergency": wish.emergency or None,
    }
    if any(value is not None and value != getattr(known, name) for name, value in asked.items()):
        raise ConflictError(
            f"a rotation of {known.old.signer_id} to {known.new_id} ({known.algorithm}) is under way: carry it on with "
            f"auditseal rotate {known.next_action}, or end it with auditseal rotate abort"
        )
    return known


def start(desk: Desk, wish: Wish) -> Rotation:
    """Makes the new key and announces it in the registry; done again, it carries on where it was.

    Raises:
        ConflictError: another rotation is under way.
        AuditSealError: as log, registry and KMS.
    """
    rotation = plan(desk, wish)
    if desk.dry_run or rotation.reached(Step.ANNOUNCED):
        return rotation
    if desk.own.find(rotation.lead, rotation.event_ids(PLANNED), PLANNED) is None:
        with suppress(ConflictError):  # another operator began it in this moment: the first plan counts
            desk.tell(rotation, PLANNED, _without_id(rotation))
    rotation = _same(desk.again(rotation), wish)
    desk.tell(rotation, PLANNED, _without_id(rotation))
    _require_alone(desk, rotation)
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
    # Of two operators who begin at once the first one's key counts, whichever key is older.
    desk.registry.update(lambda known: known if known.find(announced.signer_id) else known.with_signer(announced))
    desk.reached("registry announced")
    announced = desk.registered(rotation.new_id)
    for surplus in _keys_of(desk, rotation):
        if surplus.arn != announced.key_arn:
            desk.keys.disable(surplus.arn)
    assert announced.key_arn is not None
    if rotation.alias:
        desk.keys.set_alias(rotation.alias + NEXT, announced.key_arn)
        desk.reached("next alias set")
    desk.tell(rotation, ADDED, {"new": name_of(announced).members()})
    return desk.again(rotation)


def _require_alone(desk: Desk, rotation: Rotation) -> None:
    """Ends a rotation that another one of the same streams was ahead of, under another lead."""
    others = [
        other
        for other in desk.all_rotations()
        if other.id != rotation.id and other.is_under_way and not set(other.streams).isdisjoint(rotation.streams)
    ]
    if any((other.step is Step.ANNOUNCED, rotation.lead) > (False, other.lead) for other in others):
        desk.tell(rotation, ABANDONED, {"newSignerId": rotation.new_id})
        raise ConflictError(f"a rotation to {others[0].new_id} began at the same time, and goes first: see its status")


def abort(desk: Desk, rotation: Rotation) -> Rotation:
    """Takes back a rotation that is not active yet: the announced signer goes, its key is disabled, never deleted.

    Raises:
        ConflictError: it is active: the chain has gone over, and goes on from there.
    """
    if rotation.step is Step.ABANDONED:
        return rotation
    if not rotation.is_under_way or any(_handed_over(desk, rotation, stream) for stream in rotation.streams):
        first = "carry the rotation on with auditseal rotate activate, then " if rotation.is_under_way else ""
        raise ConflictError(f"{rotation.new_id} signs already, and what it signs stays: {first}rotate away from it")
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
    return desk.again(rotation)


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
    if last is None or emergency or last.next_action is None or last.reached(Step.RETIRED):
        return
    if last.step is not Step.ABANDONED:
        raise ConflictError(
            f"the rotation of {last.old.signer_id} to {last.new_id} is {last.step}: carry it on with auditseal rotate "
            f"{last.next_action}"
        )


def _handed_over(desk: Desk, rotation: Rotation, stream: str) -> bool:
    return desk.own.find(stream, rotation.event_ids(ROTATED, stream), ROTATED) is not None


def _without_id(rotation: Rotation) -> dict[str, object]:
    return {name: value for name, value in plan_payload(rotation).items() if name != "rotation"}


def _description(rotation: Rotation) -> str:
    return f"auditseal {rotation.new_id} after {rotation.old.signer_id}, rotation {rotation.id} {rotation.token}"


def _keys_of(desk: Desk, rotation: Rotation) -> list[KeyInfo]:
    """The keys that were made for a rotation, oldest first: more than one where two operators began at once."""
    wanted = _description(rotation)
    made = [key for key in desk.keys.list_signing_keys().keys if key.description == wanted and key.state == ENABLED]
    return sorted(made, key=lambda key: (key.created, key.key_id))


def _new_key(desk: Desk, rotation: Rotation, algorithm: Algorithm, wish: Wish) -> KeyInfo:
    """The rotation's key, made if there is none; whoever begins at the same time takes the same one."""
    known = desk.registry.load().find(rotation.new_id)
    if known is not None and known.key_arn is not None:
        return desk.keys.describe(known.key_arn)
    policy = wish.policy(desk.registered(rotation.old.signer_id), algorithm)
    present = _keys_of(desk, rotation)
    if not present:
        tags = {"auditseal:signer": rotation.new_id, "auditseal:rotation": rotation.id, **(wish.tags or {})}
        made = desk.keys.create_key(algorithm, description=_description(rotation), tags=tags, policy=policy)
        desk.reached("key made")
        present = _keys_of(desk, rotation) or [made]
    chosen = present[0]
    if policy is not None and not same_policy(desk.keys.get_policy(chosen.arn), policy):
        raise ConflictError(
            f"{chosen.arn} bears this rotation's mark and another key policy than it should: if that was not you, "
            "somebody wants to sign; disable it, auditseal rotate abort, and begin anew"
        )
    return chosen


def same_policy(one: str, other: str) -> bool:
    """Whether two key policies are the same JSON."""
    try:
        return bool(orjson.loads(one) == orjson.loads(other))
    except orjson.JSONDecodeError:
        return False
