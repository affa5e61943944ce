"""Explains one entry: what each part was expected to be, what still holds, and what that implies.

Verification says that something is wrong; this says what must have happened for exactly these parts to disagree.

Source: `docs/spec/entry.md`; `docs/threat-model.md`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from auditseal.core.chain import entry_hash
from auditseal.core.covering import Outcome
from auditseal.core.entry_check import Trust, check_body, check_signature
from auditseal.core.heads import HEADS_STREAM
from auditseal.core.meaning import Facts, meaning_of
from auditseal.core.report import Code
from auditseal.errors import SignatureInvalidError

if TYPE_CHECKING:
    from auditseal.core.covering import Covering
    from auditseal.core.entry import StoredEntry, StoredSignature
    from auditseal.core.registry import Registry


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing that was looked at.

    Attributes:
        name: what, in a few words.
        holds: None where it could not be looked at.
        detail: one line that says why, or what was compared.
    """

    name: str
    holds: bool | None
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """All checks of an entry, and what they mean together."""

    entry: StoredEntry
    checks: tuple[Check, ...]
    meaning: str
    advice: str

    @property
    def is_sound(self) -> bool:
        """Whether everything that could be looked at holds."""
        return all(check.holds is not False for check in self.checks)

    @property
    def is_conclusive(self) -> bool:
        """Whether every signature could be looked at, or the checkpoint that stands in for one."""
        return all(check.holds is not None or not check.name.startswith(_OF_SIGNERS) for check in self.checks)


_CHECKPOINT: Final = "checkpoint"
_OF_SIGNERS: Final = ("signature", _CHECKPOINT)


def is_signed(entry: StoredEntry, registry: Registry) -> bool:
    """Whether a signature of the entry's own holds over its stored hash."""
    body, _ = check_body(entry)
    return any(each.check.holds for each in _signatures(entry, body.time if body else "", registry, entry.hash))


def explain_entry(
    entry: StoredEntry,
    before: StoredEntry | None,
    after: StoredEntry | None,
    registry: Registry,
    covering: Covering | None = None,
) -> Explanation:
    """The explanation of an entry.

    Args:
        entry: as it stands in the source.
        before: the one before it in the source, if there is one.
        after: the one after it, if there is one.
        registry: the accepted signers.
        covering: what the checkpoint over it says of it; None where none was asked, or none is over it.
    """
    body, found = check_body(entry)
    by_code = {finding.code: finding for finding in reversed(found)}
    computed = entry_hash(entry.body, entry.prev_hash)
    form = by_code.get(Code.NOT_CANONICAL)
    columns = [finding for finding in found if finding.code is Code.COLUMN_MISMATCH]
    checks = [
        Check(name="form", holds=form is None, detail=form.message if form else "the body is canonical JSON"),
        Check(
            name="columns",
            holds=not columns,
            detail="; ".join(f"the body says {item.expected}, beside it stands {item.actual}" for item in columns)
            or "what stands beside the body agrees with it",
        ),
        Check(
            name="hash",
            holds=computed == entry.hash,
            detail=f"the body hashes to {computed.hex()}, the chain holds {entry.hash.hex() or 'nothing'}"
            if computed != entry.hash
            else computed.hex(),
        ),
        _previous(entry, before),
        _next(entry, after),
    ]
    signatures = _signatures(entry, body.time if body else "", registry, computed)
    meaning, advice = meaning_of(
        Facts(
            holds={check.name: check.holds for check in checks},
            is_last=after is None,
            signed=any(each.check.holds for each in signatures),
            refused=any(each.check.holds is False and not each.barred for each in signatures),
            barred=any(each.barred for each in signatures),
            over_body=any(each.over_body for each in signatures) or (covering is not None and covering.has == computed),
            covering=covering,
        )
    )
    of_checkpoint = [] if covering is None else _checkpoint_checks(covering, entry, computed)
    if not signatures and covering is None:
        of_checkpoint.append(Check(name="signature", holds=None, detail="there is none"))
    return Explanation(
        entry=entry,
        checks=(*checks, *(each.check for each in signatures), *of_checkpoint),
        meaning=meaning,
        advice=advice,
    )


def _previous(entry: StoredEntry, before: StoredEntry | None) -> Check:
    name = "link back"
    if entry.seq == 0:
        holds = not entry.prev_hash
        return Check(
            name=name,
            holds=holds,
            detail="the first entry follows none" if holds else "the first entry says that it follows another",
        )
    if before is None:
        return Check(name=name, holds=None, detail=f"#{entry.seq - 1} is not in the source")
    holds = before.hash == entry.prev_hash
    said = entry.prev_hash.hex() or "nothing"
    return Check(
        name=name,
        holds=holds,
        detail=f"it follows #{before.seq}"
        if holds
        else f"it says that it follows {said}, and #{before.seq} is {before.hash.hex()}",
    )


def _next(entry: StoredEntry, after: StoredEntry | None) -> Check:
    name = "link ahead"
    if after is None:
        return Check(name=name, holds=None, detail="no entry follows in the source")
    holds = after.prev_hash == entry.hash
    return Check(
        name=name,
        holds=holds,
        detail=f"#{after.seq} follows it"
        if holds
        else f"#{after.seq} follows {after.prev_hash.hex() or 'nothing'}, and this is {entry.hash.hex()}",
    )


class _Signature(NamedTuple):
    """What was found of one signature.

    Attributes:
        check: for people.
        over_body: whether it is over the hash of the body as it now stands, and not over the stored one.
        barred: whether it is over the stored hash, by a signer that does not count here.
    """

    check: Check
    over_body: bool = False
    barred: bool = False


def _signatures(entry: StoredEntry, time: str, registry: Registry, computed: bytes) -> list[_Signature]:
    checks = []
    for signature in entry.signatures:
        checked = check_signature(entry, signature, time, Trust(registry=registry))
        name = f"signature by {signature.signer[:60]}"
        if checked.signer is not None:
            mark = ", a development key" if checked.signer.development else ""
            checks.append(_Signature(Check(name=name, holds=True, detail=f"holds over the stored hash{mark}")))
            continue
        finding = checked.finding
        assert finding is not None  # no remote key is asked here
        unknown = finding.code is Code.UNKNOWN_SIGNER
        over_body = computed != entry.hash and _holds_over(registry, signature, computed)
        barred = finding.code is Code.SIGNER_NOT_VALID_HERE and _holds_over(registry, signature, entry.hash)
        detail = "holds over the hash of the body, and not over the stored one" if over_body else finding.message
        checks.append(_Signature(Check(name=name, holds=None if unknown else False, detail=detail), over_body, barred))
    return checks


def _checkpoint_checks(covering: Covering, entry: StoredEntry, computed: bytes) -> list[Check]:
    what = f"checkpoint of size {covering.size}" + ("" if covering.signer is None else f" by {covering.signer[:80]}")
    through = "" if covering.heads_seq is None else f", signed through entry {covering.heads_seq} of {HEADS_STREAM}"
    if covering.outcome is Outcome.HOLDS:
        it = "it" if computed == entry.hash else "the stored hash"
        mark = ", a development key" if covering.development else ""
        detail = f"the signed {what} has {it} at its place{through}{mark}"
    elif covering.outcome is Outcome.OTHER_HASH and covering.has is not None:
        whose = "of the body" if covering.has == computed else "that the next entry follows"
        detail = f"the signed {what} has the hash {whose}, and not the stored one: {covering.has.hex()}"
    elif covering.outcome is Outcome.OTHER_TREE:
        detail = f"the signed {what} has another root than these entries: this one, or another under it, was changed"
    else:
        detail = f"the {what}: {covering.problem}"
    checks = [Check(name=_CHECKPOINT, holds=covering.holds, detail=detail)]
    if covering.kept_differs:
        detail = "a node that the log keeps of the tree is not what the entries make: it makes no proof of this one"
        checks.append(Check(name="kept tree", holds=False, detail=detail))
    return checks


def _holds_over(registry: Registry, signature: StoredSignature, digest: bytes) -> bool:
    signer = registry.find(signature.signer)
    if signer is None or signer.rule is None:
        return False
    try:
        signer.rule(signature.signature, digest)
    except SignatureInvalidError:
        return False
    return True
