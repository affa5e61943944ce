"""How a rotation is shown: its members as JSON, and for people."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from auditseal.core.rotation import Step
from auditseal.core.times import Micros, format_time, parse_time

if TYPE_CHECKING:
    from collections.abc import Sequence

    from auditseal.core.rotation import Rotation
    from auditseal.service.rotate.activate import Served
    from auditseal.service.rotate.emergency import Damage


def rotation_members(rotation: Rotation, served: Sequence[Served], damages: Sequence[Damage]) -> dict[str, Any]:
    """A rotation as JSON members."""
    return {
        "schema_version": 1,
        "rotation": rotation.id,
        "step": str(rotation.step),
        "next": rotation.next_action,
        "streams": list(rotation.streams),
        "old": rotation.old.members(),
        "new": None if rotation.new is None else rotation.new.members(),
        "new_signer_id": rotation.new_id,
        "algorithm": rotation.algorithm,
        "overlap_s": rotation.overlap_s,
        "alias": rotation.alias,
        "emergency": rotation.emergency,
        "switched": dict(rotation.switched),
        "activated_at": rotation.activated_at,
        "locations": [
            {"name": item.name, "serves_it": item.why_not is None, "why_not": item.why_not} for item in served
        ],
        "damage": [
            {
                "stream": damage.stream,
                "proven_to": damage.proven_to,
                "proven_by": None if damage.proven_by is None else damage.proven_by.where,
                "in_doubt": None if damage.in_doubt is None else list(damage.in_doubt),
                "contradicted": [f"{anchor.stream}#{anchor.seq}" for anchor in damage.contradicted],
            }
            for damage in damages
        ],
    }


def rotation_text(rotation: Rotation, served: Sequence[Served], damages: Sequence[Damage]) -> str:
    """A rotation for people: how far it is, and what comes next."""
    old, new = rotation.old, rotation.new
    lines = [
        f"Rotation of {old.signer_id} ({old.algorithm}) to {rotation.new_id} ({rotation.algorithm}): {rotation.step}",
        f"  streams   {', '.join(rotation.streams)}",
    ]
    if new is not None:
        lines.append(f"  new key   {new.key_arn}   fingerprint {new.fingerprint or 'none: a MAC'}")
    lines += [f"  went over {stream} after #{seq:,}" for stream, seq in rotation.switched.items()]
    lines += [f"  {'serves it' if item.why_not is None else 'NOT YET  '} {item.name}" for item in served]
    lines += [f"            {item.why_not}" for item in served if item.why_not]
    for damage in damages:
        by = damage.proven_by
        proven = "no evidence from before it" if by is None else f"proven up to #{by.seq:,} by {by.where} ({by.time})"
        doubt = damage.in_doubt
        said = f"#{doubt[0]:,} to #{doubt[1]:,} rest on the old key alone" if doubt else "nothing rests on it alone"
        lines.append(f"  {damage.stream}: {proven}; {said}")
        lines += [f"    REWRITTEN: not what was anchored at #{item.seq:,}" for item in damage.contradicted]
    lines += _what_next(rotation, served)
    return "\n".join(lines)


def _what_next(rotation: Rotation, served: Sequence[Served]) -> list[str]:
    """The next step, and why it may not be taken yet."""
    if rotation.next_action is None:
        return []
    if rotation.emergency and rotation.is_under_way:
        return ["Next: auditseal rotate emergency --since … --reason …, which carries it out"]
    if rotation.emergency and rotation.step is Step.ACTIVE:
        return ["Next: auditseal rotate publish, then auditseal rotate verify"]
    if rotation.step is Step.ANNOUNCED:
        missing = [item.name for item in served if item.why_not]
        if missing:
            return [f"Next: auditseal rotate publish; it may not be activated before {', '.join(missing)} serves it"]
        if not served:
            return ["Next: auditseal rotate publish, then auditseal rotate activate"]
    if rotation.step is Step.VERIFIED and rotation.activated_at is not None:
        ends = format_time(Micros(parse_time(rotation.activated_at) + rotation.overlap_s * 1_000_000))
        return [f"Next: auditseal rotate retire, not before {ends}: until then {rotation.old.signer_id} is kept ready"]
    return [f"Next: auditseal rotate {rotation.next_action}"]


def plan_text(rotation: Rotation) -> str:
    """What a rotation would do, step by step."""
    old, new = rotation.old.signer_id, rotation.new_id
    lines = [rotation_text(rotation, (), ()).rpartition("\nNext:")[0]]
    moves = f", {rotation.alias} moves" if rotation.alias else ", no alias moves"
    lines += [
        f"  start     a key for {rotation.algorithm} is made, exported, and announced in signers.json as {new}",
        "  publish   every location must serve it",
        f"  activate  both keys sign the hand-over, writers go over by themselves{moves}",
        "  verify    fresh entries are signed, and all of the log is verified",
        f"  retire    {old} is retired, {rotation.overlap_s // 86_400} days after the activation"
        if rotation.overlap_s >= 86_400  # noqa: PLR2004 - a day
        else f"  retire    {old} is retired, {rotation.overlap_s} s after the activation",
        f"  disable   the key of {old} is disabled, once the log verifies without it; nothing is ever deleted",
        "Next: auditseal rotate start, with the same options",
    ]
    return "\n".join(lines)
