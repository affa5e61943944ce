"""emergency: a key is held to be stolen. It is revoked at once, and what it signed is sorted by what still proves it.

Source: `docs/spec/rotation.md` §5.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import takewhile
from typing import TYPE_CHECKING

from auditseal.core.chain import entry_hash
from auditseal.core.checkpoint import parse_checkpoint
from auditseal.core.cosignature import cosignature_time
from auditseal.core.heads import HEADS_STREAM
from auditseal.core.merkle import Frontier, grow, leaf_hashes
from auditseal.core.registered_signer import Status
from auditseal.core.rotation import REVOKED, Rotation, Step
from auditseal.core.times import Micros, format_time, parse_time
from auditseal.errors import ConflictError, InputError, NotFoundError
from auditseal.ports import EntryFilter
from auditseal.service.rotate.activate import activate
from auditseal.service.rotate.finish import disable_key
from auditseal.service.rotate.start import Wish, plan, start

if TYPE_CHECKING:
    from auditseal.core.note import NoteSignature
    from auditseal.core.outside_check import AnchoredNote
    from auditseal.core.registry import Registry
    from auditseal.core.stored_checkpoint import StoredCheckpoint
    from auditseal.core.witness_policy import WitnessPolicy
    from auditseal.ports import CheckpointStore
    from auditseal.service.rotate.desk import Desk

_PAGE = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Anchor:
    """Something out of the thief's reach that holds a stream's state: a checkpoint that was witnessed or anchored.

    Attributes:
        stream, seq: the last entry that it covers.
        hash: that entry's hash, as it was when the anchor was made; 32 bytes. Empty where `root` is known.
        root: of the tree up to that entry; 32 bytes. Empty where `hash` is known.
        time: when it was made, by the other party's clock; RFC 3339 as bodies have it.
        where: names it for people.
    """

    stream: str
    seq: int
    time: str
    hash: bytes = b""
    root: bytes = b""
    where: str = "as given"


@dataclass(frozen=True, slots=True, kw_only=True)
class Damage:
    """What a stolen key means for one stream.

    Attributes:
        proven_to: the last entry that an anchor made before the theft proves; -1 without any.
        proven_by: that anchor; None without any.
        in_doubt: (first, last) of the entries that rest on the key alone; None where there are none.
        contradicted: anchors that the log does not agree with: it was rewritten.
    """

    stream: str
    proven_to: int
    in_doubt: tuple[int, int] | None
    proven_by: Anchor | None = None
    contradicted: tuple[Anchor, ...] = ()


def emergency(
    desk: Desk, wish: Wish, *, since: str, reason: str, anchors: Sequence[Anchor] = ()
) -> tuple[Rotation, list[Damage]]:
    """Goes over to a new key without waiting for anybody, revokes the old one and disables it.

    Done again, it carries on where it was. An old key that is disabled already signs nothing more: the new signer goes
    over by the registry's word, and signs what the old one left.

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
    wish = replace(wish, emergency=True, overlap_s=0)
    rotation = _active_already(desk, wish) or plan(desk, wish)
    if desk.dry_run:
        return rotation, assess(desk, rotation, since=since, anchors=anchors)
    # At once, before anything that can fail: whoever gets this registry believes the old key no more.
    old_id = rotation.old.signer_id
    desk.registry.update(lambda registry: _revoke(desk, registry, old_id))
    desk.reached("registry revoked")
    if not rotation.reached(Step.ACTIVE):
        rotation = activate(desk, start(desk, wish), grace_s=0)
    old = desk.registered(old_id)
    if old.key_arn is not None and desk.can_sign(old):
        disable_key(desk, old.key_arn)
    desk.tell(rotation, REVOKED, {"signer": rotation.old.members(), "since": since, "reason": reason})
    return rotation, assess(desk, rotation, since=since, anchors=anchors)


def assess(desk: Desk, rotation: Rotation, *, since: str, anchors: Sequence[Anchor]) -> list[Damage]:
    """What rests on the old key alone, by stream.

    Whoever has the key and the database can write the chain anew from anywhere, so that only what was out of reach
    before the theft proves anything of the old signer's entries. An anchor of a later time proves nothing.
    """
    damages = []
    for stream in rotation.streams:
        made_before = [anchor for anchor in anchors if anchor.stream == stream and anchor.time < since]
        agreeing = [anchor for anchor in made_before if _agrees(desk, anchor)]
        best = max(agreeing, key=lambda anchor: anchor.seq, default=None)
        proven = -1 if best is None else best.seq
        last = rotation.switched.get(stream, desk.store.head(stream).seq)
        damages.append(
            Damage(
                stream=stream,
                proven_to=proven,
                proven_by=best,
                in_doubt=_in_doubt(desk, rotation, stream, proven + 1, last),
                contradicted=tuple(anchor for anchor in made_before if anchor not in agreeing),
            )
        )
    return damages


def witnessed(store: CheckpointStore, policy: WitnessPolicy, streams: Sequence[str], *, since: str) -> list[Anchor]:
    """The log's own checkpoints that enough witnesses cosigned before a time, by the witnesses' own clocks.

    The last of each stream is enough. One that is covered by the stream of heads counts by that stream's cosignatures.

    Args:
        store: the log.
        policy: which witnesses, and how many.
        streams: whose checkpoints.
        since: RFC 3339 as bodies have it.
    """
    until_s = parse_time(since) // 1_000_000
    heads_to = _cosigned(store, policy, HEADS_STREAM, until_s, heads_to=-1)
    found = []
    for stream in streams:
        last = _cosigned(store, policy, stream, until_s, heads_to=-1 if heads_to is None else heads_to[0].size - 1)
        if last is not None:
            checkpoint, time_s = last if last[1] or heads_to is None else (last[0], heads_to[1])
            root = parse_checkpoint(checkpoint.text).root
            time = format_time(Micros(time_s * 1_000_000))
            found.append(Anchor(stream=stream, seq=checkpoint.size - 1, root=root, time=time, where="witnesses"))
    return found


def _cosigned(
    store: CheckpointStore, policy: WitnessPolicy, stream: str, until_s: int, *, heads_to: int
) -> tuple[StoredCheckpoint, int] | None:
    """The last checkpoint that was cosigned in time, and when at the latest; 0 where the heads were."""
    best = None
    for checkpoint in store.checkpoints([stream]):
        if checkpoint.malformed is not None:
            continue
        if checkpoint.cover is not None and checkpoint.cover.seq <= heads_to:
            best = (checkpoint, 0)
            continue
        with suppress(InputError):
            note = checkpoint.note()
            early = tuple(line for line in note.signatures if _made_before(line, until_s))
            if early and policy.evaluate(replace(note, signatures=early)).met:
                times = policy.evaluate(replace(note, signatures=early)).times
                best = (checkpoint, max(times.values()))
    return best


def _made_before(line: NoteSignature, until_s: int) -> bool:
    try:
        return cosignature_time(line) < until_s
    except InputError:
        return False


def anchored(notes: Mapping[str, Sequence[AnchoredNote]]) -> list[Anchor]:
    """What anchors hold, by stream; those whose own clock cannot be believed prove no time, and are left out."""
    return [
        Anchor(
            stream=stream,
            seq=note.size - 1,
            root=parse_checkpoint(note.note.text).root,
            time=format_time(note.time),
            where=note.where,
        )
        for stream, found in notes.items()
        for note in found
        if note.time is not None
    ]


def _agrees(desk: Desk, anchor: Anchor) -> bool:
    entry = desk.store.entry(anchor.stream, anchor.seq)
    if entry is None:
        return False
    if anchor.hash:
        return entry_hash(entry.body, entry.prev_hash) == anchor.hash
    leaves = leaf_hashes(_hashes(desk, anchor.stream, anchor.seq))
    frontier, _ = grow(Frontier(size=0, nodes=()), leaves)
    return frontier.root() == anchor.root


def _hashes(desk: Desk, stream: str, last: int) -> list[bytes]:
    """The hashes of entries 0 to `last` as their bodies make them, since the column may say what it likes."""
    entries = takewhile(lambda entry: entry.seq <= last, desk.store.walk([stream]))
    return [entry_hash(entry.body, entry.prev_hash) for entry in entries]


def _in_doubt(desk: Desk, rotation: Rotation, stream: str, first: int, last: int) -> tuple[int, int] | None:
    """(first, last) of the entries within these that nobody but the old signer vouches for.

    In a log whose checkpoints cover entries nobody else does.
    """
    if desk.checkpoints is not None and desk.checkpoints.cover_entries:
        new = desk.registry.load().find(rotation.new_id)
        begins = new.valid_from.seq.get(stream, last) if new is not None and new.valid_from else last
        return (first, begins - 1) if first < begins else None
    found: tuple[int, int] | None = None
    after = None
    which = EntryFilter(stream=stream, first_seq=first, last_seq=last)
    while page := desk.store.select(which, limit=_PAGE, after=after):
        for entry in page:
            if {signature.signer for signature in entry.signatures} == {rotation.old.signer_id}:
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
