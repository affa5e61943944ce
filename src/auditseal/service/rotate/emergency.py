"""emergency: a key is held to be stolen. It is revoked at once, and what it signed is sorted by what still proves it.

Source: `docs/spec/rotation.md` §5.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from auditseal.core.registered_signer import Status
from auditseal.core.rotation import REVOKED, Rotation, Step
from auditseal.errors import ConflictError, InputError, NotFoundError
from auditseal.ports import EntryFilter
from auditseal.service.rotate.activate import activate
from auditseal.service.rotate.finish import disable_key
from auditseal.service.rotate.start import Wish, start

if TYPE_CHECKING:
    from auditseal.core.registry import Registry
    from auditseal.service.rotate.desk import Desk

_PAGE = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Anchor:
    """Something out of the thief's reach that holds a stream's state: a checkpoint that was witnessed or anchored.

    Attributes:
        stream, seq: the last entry that it covers.
        hash: that entry's hash, as it was when the anchor was made; 32 bytes.
        time: when it was made, RFC 3339 as bodies have it.
    """

    stream: str
    seq: int
    hash: bytes
    time: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Damage:
    """What a stolen key means for one stream.

    Attributes:
        proven_to: the last entry that an anchor made before the theft proves; -1 without any.
        in_doubt: (first, last) of the entries that rest on the key alone; None where there are none.
        contradicted: anchors that the log does not agree with: it was rewritten.
    """

    stream: str
    proven_to: int
    in_doubt: tuple[int, int] | None
    contradicted: tuple[Anchor, ...] = ()


def emergency(
    desk: Desk, wish: Wish, *, since: str, reason: str, anchors: Sequence[Anchor] = ()
) -> tuple[Rotation, list[Damage]]:
    """Goes over to a new key without waiting for anybody, revokes the old one and disables it.

    Done again, it carries on where it was.

    Args:
        desk: what to work with.
        wish: the new key.
        since: from when on the key may have been used by others, RFC 3339 as bodies have it.
        reason: for the log.
        anchors: what was witnessed or anchored.

    Raises:
        ConflictError: another rotation is under way: abort it first.
        AuditSealError: as log, registry and KMS.
    """
    rotation = _active_already(desk, wish) or start(desk, replace(wish, emergency=True, overlap_s=0))
    if desk.dry_run:
        return rotation, assess(desk, rotation, since=since, anchors=anchors)
    rotation = activate(desk, rotation, grace_s=0)
    old_id = rotation.old.signer_id
    desk.registry.update(lambda registry: _revoke(desk, registry, old_id))
    desk.reached("registry revoked")
    old = desk.registered(old_id)
    if old.key_arn is not None:
        disable_key(desk, old.key_arn)
    desk.tell(rotation, REVOKED, {"signer": rotation.old.members(), "since": since, "reason": reason})
    return rotation, assess(desk, rotation, since=since, anchors=anchors)


def assess(desk: Desk, rotation: Rotation, *, since: str, anchors: Sequence[Anchor]) -> list[Damage]:
    """What rests on the old key alone, by stream.

    Whoever has the key and the database can write the chain anew from anywhere, so that only what was out of reach
    before the theft proves anything of the old signer's entries.
    """
    damages = []
    for stream in rotation.streams:
        proven, contradicted = -1, []
        for anchor in anchors:
            if anchor.stream != stream or anchor.time >= since:
                continue
            entry = desk.store.entry(stream, anchor.seq)
            if entry is None or entry.hash != anchor.hash:
                contradicted.append(anchor)
            else:
                proven = max(proven, anchor.seq)
        last = rotation.switched.get(stream, desk.store.head(stream).seq)
        doubt = _signed_by(desk, stream, rotation.old.signer_id, proven + 1, last)
        damages.append(Damage(stream=stream, proven_to=proven, in_doubt=doubt, contradicted=tuple(contradicted)))
    return damages


def _signed_by(desk: Desk, stream: str, signer_id: str, first: int, last: int) -> tuple[int, int] | None:
    """(first, last) of the entries within these that nobody but this signer signed."""
    found: tuple[int, int] | None = None
    after = None
    which = EntryFilter(stream=stream, first_seq=first, last_seq=last)
    while page := desk.store.select(which, limit=_PAGE, after=after):
        for entry in page:
            if {signature.signer for signature in entry.signatures} == {signer_id}:
                found = (found[0] if found else entry.seq, entry.seq)
        after = (stream, page[-1].seq)
    return found


def _active_already(desk: Desk, wish: Wish) -> Rotation | None:
    """An emergency rotation that went over and may not have come to its end; a new theft begins with a new name."""
    try:
        rotation = desk.latest(wish.streams)
    except (NotFoundError, ConflictError):
        return None
    same = wish.new_id in (None, rotation.new_id)
    return rotation if rotation.emergency and rotation.reached(Step.ACTIVE) and same else None


def _revoke(desk: Desk, registry: Registry, signer_id: str) -> Registry:
    known = desk.registered(signer_id, registry)
    if known.status is Status.REVOKED:
        return registry
    return registry.with_changed(signer_id, status=Status.REVOKED)


def parse_anchor(text: str) -> Anchor:
    """The anchor of `STREAM#SEQ=HASH@TIME`.

    Raises:
        InputError: another form.
    """
    place, _, rest = text.rpartition("=")
    digits, _, time = rest.partition("@")
    stream, _, seq = place.rpartition("#")
    try:
        anchor = Anchor(stream=stream, seq=int(seq), hash=bytes.fromhex(digits), time=time)
    except ValueError:
        anchor = None
    if anchor is None or not stream or not time or len(anchor.hash) != 32:  # noqa: PLR2004 - bytes of SHA-256
        raise InputError(
            f"{text[:200]!r} is not an anchor: write STREAM#SEQ=HASH@TIME, such as default#41=5d1f…@2026-…"
        )
    return anchor
