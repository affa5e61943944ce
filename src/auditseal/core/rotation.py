"""Rotations as the log tells them: what was done, what may be done next, and why something may not be done yet.

The entries of a rotation stand in its lead stream. Whatever else a rotation changes, the registry, an alias, a key's
state, can be done again from them; so they are its only state, and whoever holds the log can carry it on.

Source: `docs/spec/rotation.md` §1.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, Final, NamedTuple
from uuid import UUID, uuid5

from auditseal.core.rotation_event import KeyName
from auditseal.errors import ConflictError, InputError

PLANNED: Final = "signer.planned"
ADDED: Final = "signer.added"
ACTIVATED: Final = "signer.activated"
VERIFIED: Final = "signer.verified"
RETIRED: Final = "signer.retired"
DISABLED: Final = "signer.disabled"
ABANDONED: Final = "signer.abandoned"
REVOKED: Final = "signer.revoked"
SEALED: Final = "signer.sealed"
PROBE: Final = "signer.probe"

_IDS: Final = 100
_NAMESPACE: Final = UUID("0b9f6c3e-6f5e-5d7b-9a55-2f7e3f1c8a10")


class Step(StrEnum):
    """How far a rotation is."""

    PLANNED = "planned"
    ANNOUNCED = "announced"
    ACTIVE = "active"
    VERIFIED = "verified"
    RETIRED = "retired"
    DISABLED = "disabled"
    ABANDONED = "abandoned"


_STEP_OF: Final = {
    ADDED: Step.ANNOUNCED,
    ACTIVATED: Step.ACTIVE,
    VERIFIED: Step.VERIFIED,
    RETIRED: Step.RETIRED,
    DISABLED: Step.DISABLED,
    ABANDONED: Step.ABANDONED,
}
STEPS: Final = (PLANNED, *_STEP_OF)
"""The types of entries that tell a rotation's steps."""
_ORDER: Final = list(Step)
_UNDER_WAY: Final = frozenset({Step.PLANNED, Step.ANNOUNCED})
_NEXT: Final = {
    Step.PLANNED: "start",
    Step.ANNOUNCED: "activate",
    Step.ACTIVE: "verify",
    Step.VERIFIED: "retire",
    Step.RETIRED: "disable",
}
_NEXT_IN_EMERGENCY: Final = {Step.PLANNED: "emergency", Step.ANNOUNCED: "emergency", Step.ACTIVE: "verify"}


class Told(NamedTuple):
    """An entry about signers: its place, its time (RFC 3339), its type and payload."""

    seq: int
    time: str
    type: str
    payload: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rotation:
    """One rotation.

    Attributes:
        id: a UUID that follows from the lead stream, the old signer and how many attempts were abandoned before.
        streams: those that go over, the lead stream first.
        all_streams: whether those go over too that the old signer begins before the activation.
        token: random; the new key bears it, so that nobody can lay another key in its place beforehand.
        old: who signs before.
        new_id: signer id of who signs after.
        algorithm: what it signs with.
        overlap_s: how long after the activation the old key is kept ready.
        alias: the alias that moves to the new key; None where there is none.
        step: how far it is.
        new: the new signer with its key; None before that is made.
        switched: by stream, the seq of the entry that hands over; from the one after it the new signer signs.
        activated_at: RFC 3339; None before.
        emergency: whether the old key is held to be stolen.
    """

    id: str
    streams: tuple[str, ...]
    old: KeyName
    new_id: str
    algorithm: str
    overlap_s: int
    all_streams: bool = True
    token: str = ""
    alias: str | None = None
    step: Step = Step.PLANNED
    new: KeyName | None = None
    switched: Mapping[str, int] = field(default_factory=dict)
    activated_at: str | None = None
    emergency: bool = False

    @property
    def lead(self) -> str:
        """The stream that holds its entries."""
        return self.streams[0]

    @property
    def is_under_way(self) -> bool:
        """Whether it keeps another from beginning: planned or announced, and not active yet."""
        return self.step in _UNDER_WAY

    @property
    def next_action(self) -> str | None:
        """What to do next; None where nothing is left. A stolen key is revoked and disabled as it is left."""
        return (_NEXT_IN_EMERGENCY if self.emergency else _NEXT).get(self.step)

    def reached(self, step: Step) -> bool:
        """Whether it is at this step or beyond; an abandoned rotation reached none."""
        return self.step is not Step.ABANDONED and _ORDER.index(self.step) >= _ORDER.index(step)

    def require(self, step: Step) -> None:
        """Returns if the step was reached.

        Raises:
            ConflictError: not yet; the text says what comes first.
        """
        if not self.reached(step):
            first = "it was abandoned: start another" if self.step is Step.ABANDONED else f"do {self.next_action} first"
            raise ConflictError(f"the rotation of {self.old.signer_id} to {self.new_id} is {self.step}: {first}")

    def event_ids(self, name: str, stream: str | None = None) -> Iterator[str]:
        """The ids that one of its entries may have, of which it takes the first that no other event has taken.

        They are always the same, so that doing a step again adds nothing; there are several, since whoever may append
        chooses ids, and could have taken the first one to keep the entry out.
        """
        for number in range(_IDS):
            yield str(uuid5(_NAMESPACE, f"{self.id} {name} {stream or self.lead} {number}"))


def rotation_id(lead: str, old_id: str, attempt: int) -> str:
    """The id of the next rotation away from a signer: two operators who begin at once begin the same one."""
    return str(uuid5(_NAMESPACE, f"{lead} {old_id} {attempt}"))


def fold(told: Iterable[Told]) -> list[Rotation]:
    """The rotations of a lead stream, oldest first.

    Entries that are of no rotation, or that cannot be of one, are passed over: an application may have written them.
    """
    rotations: dict[str, Rotation] = {}
    for entry in told:
        try:
            number = str(entry.payload.get("rotation"))
            if entry.type == PLANNED:
                rotations.setdefault(number, _planned(number, entry.payload))
            elif number in rotations:
                rotations[number] = _carried_on(rotations[number], entry)
        except (InputError, KeyError, TypeError, ValueError, AttributeError):
            continue
    return list(rotations.values())


def _planned(number: str, payload: Mapping[str, Any]) -> Rotation:
    streams = payload["streams"]
    if not streams or not all(isinstance(stream, str) for stream in streams):
        raise InputError("a rotation names its streams")
    return Rotation(
        id=number,
        streams=tuple(streams),
        old=parse_name(payload["old"]),
        new_id=payload["newSignerId"],
        algorithm=payload["algorithm"],
        overlap_s=int(payload["overlapSeconds"]),
        all_streams=payload["allStreams"] is True,
        token=str(payload["token"]),
        alias=payload.get("alias"),
        emergency=payload.get("emergency") is True,
    )


def _carried_on(rotation: Rotation, entry: Told) -> Rotation:
    step = _STEP_OF.get(entry.type)
    if step is None or (step is not Step.ABANDONED and _ORDER.index(step) <= _ORDER.index(rotation.step)):
        return rotation
    changed = replace(rotation, step=step)
    if entry.type == ADDED:
        return replace(changed, new=parse_name(entry.payload["new"]))
    if entry.type == ACTIVATED:
        return replace(changed, switched=dict(entry.payload["switched"]), activated_at=entry.time)
    return changed


def plan_payload(rotation: Rotation) -> dict[str, Any]:
    """The payload of the entry that begins it."""
    return {
        "rotation": rotation.id,
        "streams": list(rotation.streams),
        "allStreams": rotation.all_streams,
        "token": rotation.token,
        "old": rotation.old.members(),
        "newSignerId": rotation.new_id,
        "algorithm": rotation.algorithm,
        "overlapSeconds": rotation.overlap_s,
        "alias": rotation.alias,
        "emergency": rotation.emergency,
    }


def parse_name(members: Any) -> KeyName:
    """A signer as an entry names it.

    Raises:
        KeyError, TypeError: it does not.
    """
    return KeyName(members["signerId"], members["algorithm"], members.get("fingerprint"), members.get("keyArn"))
