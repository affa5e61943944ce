"""Checks the entries by which a stream goes over from one signer to the next, and that both kept to it.

1. The entry is what the format asks for, its statement names an entry before it, and both keys, as the registry has
   them, signed the statement (`bad-rotation`); of a revoked one no proof is needed if the registry names the other as
   its successor. Where the registry lacks one of the keys, or only a KMS could check its
   MAC, nothing is concluded: what the unknown key signed says so itself.
2. After such an entry the old signer signs no more, and before it the new one signed nothing, whatever ranges the
   registry has (`signer-not-valid-here`): a registry from before the activation does not know them.

Source: `docs/spec/rotation.md` §6.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from auditseal.core.report import Code, Finding
from auditseal.core.rotation_event import check_handover, check_place, name_of, parse_handover, switch_of
from auditseal.errors import InputError, VerificationError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from auditseal.core.entry import StoredEntry
    from auditseal.core.event import Body
    from auditseal.core.registry import Registry
    from auditseal.core.report import SignedRange


class GoodHandover(NamedTuple):
    """An entry that hands over: `old` signs up to `seq`, `new` from there on.

    `seq` is the entry's own; where a revoked signer's key gave no proof, that of the last entry before what it left.
    """

    seq: int
    old: str
    new: str


def check_entry(entry: StoredEntry, body: Body, registry: Registry) -> GoodHandover | Finding | None:
    """Rule 1 for one entry; None where nothing can be concluded."""
    try:
        handover, proofs = parse_handover(body.payload, entry.stream)
        check_place(handover, entry.seq)
        for name in (handover.old, handover.new):
            signer = registry.find(name.signer_id)
            if signer is None:
                return None
            if name_of(signer)[:3] == name[:3] and signer.rule is None:
                return None
        check_handover(handover, proofs, registry)
    except (InputError, VerificationError) as error:
        return Finding(
            code=Code.BAD_ROTATION,
            stream=entry.stream,
            seq=entry.seq,
            entry_id=body.id,
            message=f"it claims to hand the stream over to another signer, and is not what both keys signed: {error}",
        )
    switch = switch_of(handover, proofs, entry.seq)
    return GoodHandover(switch.until - 1, handover.old.signer_id, handover.new.signer_id)


def check_ranges(stream: str, handovers: Sequence[GoodHandover], signed: Iterable[SignedRange]) -> Iterator[Finding]:
    """Rule 2 for a whole stream.

    Args:
        stream: its name.
        handovers: the good ones, by seq.
        signed: who signed what, entries' own signatures alone.
    """
    in_force: list[GoodHandover] = []
    for each in handovers:
        if not in_force or in_force[-1].new == each.old:
            in_force.append(each)
    turns = [(-1, in_force[0].old)] if in_force else []
    turns += [(each.seq, each.new) for each in in_force]
    ends = [*(since for since, _ in turns[1:]), None]
    named = {signer for _, signer in turns}
    for part in signed:
        if part.signer not in named:
            continue
        for (since, signer), end in zip(turns, ends, strict=True):
            # The entry that hands over counts for both: for the one before and for the one after.
            first = max(part.first_seq, since + 1)
            last = part.last_seq if end is None else min(part.last_seq, end - 1)
            if first <= last and part.signer != signer:
                yield Finding(
                    code=Code.SIGNER_NOT_VALID_HERE,
                    stream=stream,
                    seq=first,
                    last_seq=last,
                    expected=signer,
                    actual=part.signer,
                    message=f"by the entries that hand over it was {signer}'s turn, and {part.signer} signed",
                )
