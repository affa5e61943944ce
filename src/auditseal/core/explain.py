"""Explains one entry: what each part was expected to be, what still holds, and what that implies.

Verification says that something is wrong; this says what must have happened for exactly these parts to disagree.

Source: `docs/spec/entry.md`; `docs/threat-model.md`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from auditseal.core.chain import entry_hash
from auditseal.core.entry_check import Trust, check_body, check_signature
from auditseal.core.report import Code
from auditseal.errors import SignatureInvalidError

if TYPE_CHECKING:
    from auditseal.core.entry import StoredEntry
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


def explain_entry(
    entry: StoredEntry, before: StoredEntry | None, after: StoredEntry | None, registry: Registry
) -> Explanation:
    """The explanation of an entry.

    Args:
        entry: as it stands in the source.
        before: the one before it in the source, if there is one.
        after: the one after it, if there is one.
        registry: the accepted signers.
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
    meaning, advice = _meaning({check.name: check.holds for check in checks}, signatures, after)
    return Explanation(
        entry=entry,
        checks=(*checks, *(check for check, _ in signatures)),
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


def _signatures(entry: StoredEntry, time: str, registry: Registry, computed: bytes) -> list[tuple[Check, bool]]:
    """A check for each signature, and whether it verifies over the hash of the body as it now stands."""
    checks = []
    for signature in entry.signatures:
        checked = check_signature(entry, signature, time, Trust(registry=registry))
        name = f"signature by {signature.signer[:60]}"
        if checked.signer is not None:
            mark = ", a development key" if checked.signer.development else ""
            checks.append((Check(name=name, holds=True, detail=f"holds over the stored hash{mark}"), False))
            continue
        finding = checked.finding
        assert finding is not None  # no remote key is asked here
        unknown = finding.code is Code.UNKNOWN_SIGNER
        over_body = computed != entry.hash and _holds_over(registry, signature.signer, signature.signature, computed)
        detail = "holds over the hash of the body, and not over the stored one" if over_body else finding.message
        checks.append((Check(name=name, holds=None if unknown else False, detail=detail), over_body))
    if not checks:
        checks.append((Check(name="signature", holds=None, detail="there is none"), False))
    return checks


def _holds_over(registry: Registry, signer_id: str, signature: bytes, digest: bytes) -> bool:
    signer = registry.find(signer_id)
    if signer is None or signer.rule is None:
        return False
    try:
        signer.rule(signature, digest)
    except SignatureInvalidError:
        return False
    return True


def _meaning(
    holds: dict[str, bool | None], signatures: list[tuple[Check, bool]], after: StoredEntry | None
) -> tuple[str, str]:
    """What the checks mean together, and what to do."""
    signed = any(check.holds for check, _ in signatures)
    refused = any(check.holds is False for check, _ in signatures)
    if not holds["hash"]:
        over_body = any(over for _, over in signatures)
        return (_BODY_CHANGED if signed else _HASH_CHANGED if over_body else _NOTHING_AGREES), _COMPARE
    if refused:
        rewritten = holds["link ahead"] is False or (after is None and holds["link back"] is not True)
        return (_REWRITTEN if rewritten else _SIGNATURE_DISAGREES), _COMPARE
    if holds["form"] is False:
        return _FOREIGN_BODY, _COMPARE
    if holds["columns"] is False:
        return _COLUMN_CHANGED, "Trust the body. Find out who can write to the database."
    if holds["link back"] is False or holds["link ahead"] is False:
        return _NEIGHBOUR_CHANGED, "Explain the entries before and after it, too."
    if not signed:
        return _UNSIGNED, "auditseal sign-pending signs what is pending; an unknown signer needs its signers.json."
    return "Nothing is wrong with this entry.", "Nothing to do."


_COMPARE: Final = "Compare it with a copy: auditseal explain … --against COPY. Keep this one as it is."
_BODY_CHANGED: Final = (
    "The body was changed after it was signed, by somebody without the key or by a damaged disk: the signature still "
    "holds over the hash of the body that was there."
)
_HASH_CHANGED: Final = "The stored hash was changed: body and signature agree with each other."
_NOTHING_AGREES: Final = (
    "No two of body, hash and signature agree: nothing about this entry can be relied on but that it was changed."
)
_REWRITTEN: Final = "Body and hash were written anew, together and without the key."
_SIGNATURE_DISAGREES: Final = (
    "Body and hash agree and the signature does not: both were written anew without the key, with all entries after "
    "them, or the signature was replaced."
)
_FOREIGN_BODY: Final = "The body is not one that auditseal wrote, although its hash is right."
_COLUMN_CHANGED: Final = (
    "The body stands as it was recorded. What was changed is a copy beside it, which lists and queries show."
)
_NEIGHBOUR_CHANGED: Final = (
    "The entry itself is whole. One beside it is not the one that stood there: it was replaced or removed, or two "
    "writers forked the stream."
)
_UNSIGNED: Final = (
    "The entry is whole, and no signature that can be checked here covers it: whoever could write to the database "
    "could have made it."
)
