"""verify, retire, seal and disable: the new signer is proven, and the old key is taken out of use.

Source: `docs/spec/rotation.md` §1 and §4.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from auditseal.core.event import Event
from auditseal.core.registered_signer import Status
from auditseal.core.rotation import DISABLED, PROBE, RETIRED, SEALED, VERIFIED, Rotation, Step
from auditseal.core.times import Micros, format_time, parse_time
from auditseal.core.validity import Bound
from auditseal.errors import ConflictError, InputError, RejectedError, SignerError
from auditseal.service.rotate.activate import take_along
from auditseal.service.rotate.checkpoints import make_checkpoint
from auditseal.service.rotate.desk import GONE
from auditseal.service.rotate.proof import require_valid

if TYPE_CHECKING:
    from auditseal.core.entry import StoredEntry
    from auditseal.core.registry import Registry
    from auditseal.ports import MacVerifier
    from auditseal.service.rotate.desk import Desk

_SECOND: Final = 1_000_000


def verify(desk: Desk, rotation: Rotation, *, mac_verifier: MacVerifier | None = None) -> Rotation:
    """Signs a fresh entry in each stream, and verifies all of the log against what each location serves.

    Args:
        desk: what to work with; without locations its own registry counts.
        rotation: one that is active.
        mac_verifier: asks KMS about MACs that nobody can verify offline.

    Raises:
        ConflictError: it is not active yet.
        RejectedError: the log does not verify under a registry that is served.
        NotCheckedError: it could not be verified, or a location serves nothing.
        AuditSealError: as log, registry and KMS.
    """
    rotation.require(Step.ACTIVE)
    if desk.dry_run:
        return rotation
    late = take_along(desk, rotation)
    for stream in dict.fromkeys((*rotation.streams, *rotation.switched, *late)):
        entry = desk.own.append(Event(type=PROBE, stream=stream, payload={"rotation": rotation.id}))
        desk.reached("probe appended")
        signer = desk.turn_of(entry)
        if signer.signer_id != rotation.new_id and not _is_followed(desk, rotation):
            raise RejectedError(f"{stream} #{entry.seq:,} is for {signer.signer_id} to sign, not {rotation.new_id}")
        desk.own.sign(entry, signer)
        make_checkpoint(desk, stream)
    excused = rotation if rotation.emergency else None
    for name, registry in _registries(desk):
        require_valid(desk, registry, f"the registry at {name}", mac_verifier, excused=excused)
    if not rotation.reached(Step.VERIFIED):
        desk.tell(rotation, VERIFIED, {"locations": [location.name for location in desk.locations]})
    return desk.again(rotation)


def retire(desk: Desk, rotation: Rotation) -> Rotation:
    """Marks the old signer as retired, once the overlap is over.

    Raises:
        ConflictError: it is not verified yet, or the overlap lasts on; the text says until when.
        AuditSealError: as log, registry and KMS.
    """
    rotation.require(Step.VERIFIED)
    assert rotation.activated_at is not None
    ends = Micros(parse_time(rotation.activated_at) + rotation.overlap_s * _SECOND)
    if not rotation.emergency and desk.clock() < ends:
        raise ConflictError(f"{rotation.old.signer_id} is kept ready until {format_time(ends)}: retire it then")
    if desk.dry_run or rotation.reached(Step.RETIRED):
        return rotation

    take_along(desk, rotation)
    # From here on it is valid in no stream that begins later. Clocks of writers may be ahead of ours.
    times = [_time_after(desk.store.entry(stream, seq)) for stream, seq in rotation.switched.items()]
    ends_at = max([format_time(desk.clock()), *times])

    def retired(registry: Registry) -> Registry:
        known = desk.registered(rotation.old.signer_id, registry)
        if known.status is Status.REVOKED:
            return registry
        if not rotation.all_streams:
            return registry.with_changed(known.signer_id, status=Status.RETIRED)
        until = Bound(time=ends_at, seq=known.valid_until.seq if known.valid_until else {})
        return registry.with_changed(known.signer_id, status=Status.RETIRED, valid_until=until)

    desk.registry.update(retired)
    desk.reached("registry retired")
    desk.tell(rotation, RETIRED, {"signer": rotation.old.members()})
    return desk.again(rotation)


def seal(desk: Desk, rotation: Rotation, *, mac_verifier: MacVerifier) -> None:
    """Lets the new signer vouch for what the old MACs cover, after KMS verified all of them.

    The entry names each stream's last entry of the old signer by its hash, so that the signature over it covers the
    whole chain up to there: a verifier that believes the new key need not ask about a MAC again.

    Raises:
        ConflictError: not active yet, or the new signer makes MACs too.
        RejectedError: a MAC is wrong.
        NotCheckedError: not all could be verified.
        AuditSealError: as log, registry and KMS.
    """
    rotation.require(Step.ACTIVE)
    registry = desk.registry.load()
    if desk.registered(rotation.new_id, registry).algorithm.is_mac:
        raise ConflictError(f"{rotation.new_id} makes MACs too: only a signature can stand in for them")
    require_valid(desk, registry, "signers.json", mac_verifier)
    if desk.dry_run:
        return
    ends = {}
    for stream, seq in rotation.switched.items():
        last = desk.store.entry(stream, seq)
        assert last is not None
        ends[stream] = {"seq": seq, "hash": last.hash.hex()}
    desk.tell(rotation, SEALED, {"signer": rotation.old.members(), "upTo": ends})


def disable(
    desk: Desk,
    rotation: Rotation,
    *,
    mac_verifier: MacVerifier | None = None,
    accept_unverifiable_macs: bool = False,
) -> Rotation:
    """Disables the old key, once everything that it signed verifies without it.

    Args:
        desk: what to work with.
        rotation: one whose old signer is retired.
        mac_verifier: for MACs of other keys than the old one.
        accept_unverifiable_macs: whether the old key's MACs may become unverifiable for ever.

    Raises:
        ConflictError: not retired yet, or MACs would become unverifiable.
        RejectedError: the log does not verify.
        NotCheckedError: it could not be verified without the key.
        AuditSealError: as log, registry and KMS.
    """
    rotation.require(Step.RETIRED)
    if rotation.reached(Step.DISABLED):
        return rotation
    registry = desk.registry.load()
    old = desk.registered(rotation.old.signer_id, registry)
    if old.algorithm.is_mac and old.secret is None:
        if not accept_unverifiable_macs and desk.own.find(rotation.lead, rotation.event_ids(SEALED), SEALED) is None:
            raise ConflictError(
                f"the MACs of {old.signer_id} can be verified by its key alone: let {rotation.new_id} vouch for them "
                "first (auditseal rotate seal), or lose them with --i-accept-unverifiable-macs"
            )
    else:
        require_valid(desk, registry, "signers.json", mac_verifier)
    if desk.dry_run or old.key_arn is None:
        return rotation
    disable_key(desk, old.key_arn)
    desk.tell(rotation, DISABLED, {"signer": rotation.old.members()})
    return desk.again(rotation)


def _time_after(entry: StoredEntry | None) -> str:
    """A microsecond after an entry's time."""
    try:
        return format_time(Micros(parse_time(entry.columns.time or "" if entry and entry.columns else "") + 1))
    except InputError:
        return ""


def _registries(desk: Desk) -> list[tuple[str, Registry]]:
    if not desk.locations:
        return [("signers.json", desk.registry.load())]
    return [(location.name, location.fetch()) for location in desk.locations]


def _is_followed(desk: Desk, rotation: Rotation) -> bool:
    return desk.rotations(rotation.lead)[-1].id != rotation.id


def disable_key(desk: Desk, key_arn: str) -> None:
    """Disables a key; one that is gone needs no more."""
    try:
        desk.keys.disable(key_arn)
    except SignerError as error:
        if error.reason not in GONE:
            raise
    desk.reached("key disabled")
