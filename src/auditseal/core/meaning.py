"""What the checks of one entry mean together: what must have happened for exactly these parts to disagree.

Source: `docs/spec/entry.md`; `docs/threat-model.md`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from auditseal.core.covering import Outcome

if TYPE_CHECKING:
    from collections.abc import Mapping

    from auditseal.core.covering import Covering


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What was found about an entry.

    Attributes:
        holds: by name, the checks of its parts: form, columns, hash, link back, link ahead.
        is_last: whether no entry follows in the source.
        signed: whether a signature of its own holds over the stored hash.
        refused: whether one does not.
        barred: whether one holds whose signer does not count at this place.
        over_body: whether a signature, or the tree of a signed checkpoint, is over the hash of the body as it now
            stands.
        covering: what the checkpoint over it says; None where none was asked, or none is over it.
    """

    holds: Mapping[str, bool | None]
    is_last: bool
    signed: bool
    refused: bool
    barred: bool
    over_body: bool
    covering: Covering | None

    @property
    def covered(self) -> bool:
        """Whether the tree of a signed checkpoint has the stored hash."""
        return self.covering is not None and self.covering.outcome is Outcome.HOLDS


def meaning_of(facts: Facts) -> tuple[str, str]:
    """What the facts mean together, and what to do."""
    if not facts.holds["hash"]:
        return _of_changed_hash(facts), _COMPARE
    wrong = _of_signatures(facts) or _of_parts(facts)
    if wrong is not None:
        return wrong
    if not facts.signed and not facts.covered:
        return _UNSIGNED, "auditseal sign-pending signs what is pending; an unknown signer needs its signers.json."
    return "Nothing is wrong with this entry.", "Nothing to do."


def _of_changed_hash(facts: Facts) -> str:
    """The body does not hash to what the chain holds."""
    if facts.signed:
        return _BODY_CHANGED
    if facts.covered:
        return _BODY_CHANGED_UNDER
    if not facts.over_body:
        return _NOTHING_AGREES
    return _HASH_CHANGED if facts.covering is None else _HASH_CHANGED_UNDER


def _of_signatures(facts: Facts) -> tuple[str, str] | None:
    """A signature, or the checkpoint that stands in for one, is not over what stands here."""
    if facts.refused and facts.covered:
        return _SIGNATURE_REPLACED, _COMPARE
    if facts.refused:
        holds = facts.holds
        rewritten = holds["link ahead"] is False or (facts.is_last and holds["link back"] is not True)
        return (_REWRITTEN if rewritten else _SIGNATURE_DISAGREES), _COMPARE
    if facts.barred:
        return (_ONE_BARRED if facts.signed or facts.covered else _BARRED), _VERIFY_ALL
    return None if facts.covering is None else _AGAINST.get(facts.covering.outcome)


def _of_parts(facts: Facts) -> tuple[str, str] | None:
    """A part of the entry, or something beside it, is wrong."""
    holds = facts.holds
    if holds["form"] is False:
        return _FOREIGN_BODY, _COMPARE
    if holds["columns"] is False:
        return _COLUMN_CHANGED, _TRUST_THE_BODY
    if holds["link back"] is False or holds["link ahead"] is False:
        return _NEIGHBOUR_CHANGED, "Explain the entries before and after it, too."
    if facts.covering is not None and facts.covering.kept_differs:
        return _TREE_CHANGED, _TRUST_THE_BODY
    return None


_COMPARE: Final = "Compare it with a copy: auditseal explain … --against COPY. Keep this one as it is."
_BODY_CHANGED: Final = (
    "The body was changed after it was signed, by somebody without the key or by a damaged disk: the signature still "
    "holds over the hash of the body that was there."
)
_HASH_CHANGED: Final = "The stored hash was changed: body and signature agree with each other."
_NOTHING_AGREES: Final = (
    "No two of body, hash and signature agree: nothing about this entry can be relied on but that it was changed."
)
_BODY_CHANGED_UNDER: Final = (
    "The body was changed after it was signed, by somebody without the key or by a damaged disk: the signed checkpoint "
    "still has the hash of the body that was there."
)
_HASH_CHANGED_UNDER: Final = "The stored hash was changed: the body is the one that the signed checkpoint has."
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
_SIGNATURE_REPLACED: Final = (
    "The entry is what the signed checkpoint has; the signature beside it is none that counts, or was replaced."
)
_BARRED: Final = (
    "The entry is whole, and its signature proves nothing: the signer was not valid at this place, or is revoked."
)
_ONE_BARRED: Final = (
    "The entry is whole and signed. A further signature on it proves nothing: its signer was not valid at this place, "
    "or is revoked."
)
_OTHER_TREE: Final = (
    "Body and hash agree, and these entries are not those that were signed: this one was written anew without the key, "
    "with all entries after it, or another one under the checkpoint was."
)
_BAD_CHECKPOINT: Final = (
    "The entry is whole, and the checkpoint over it is none that the log signed: it was changed, or made without the "
    "key."
)
_SIGNER_NOT_VALID: Final = (
    "The entry is whole, and the checkpoint over it proves nothing: its signer was not valid at this place."
)
_TREE_CHANGED: Final = (
    "The entry stands as it was signed. What was changed is a node of the tree, which the log keeps for making proofs."
)
_VERIFY_ALL: Final = "Verify the whole log: it says from where to where its signers count."
_TRUST_THE_BODY: Final = "Trust the body. Find out who can write to the database."
_AGAINST: Final = {
    Outcome.OTHER_HASH: (_REWRITTEN, _COMPARE),
    Outcome.OTHER_TREE: (_OTHER_TREE, _COMPARE),
    Outcome.BAD_CHECKPOINT: (_BAD_CHECKPOINT, "Verify the whole log, and compare it with a copy."),
    Outcome.NOT_VALID: (_SIGNER_NOT_VALID, _VERIFY_ALL),
}
_UNSIGNED: Final = (
    "The entry is whole, and no signature that can be checked here covers it: whoever could write to the database "
    "could have made it."
)
