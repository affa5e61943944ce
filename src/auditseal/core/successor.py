"""Who signs in place of a signer whose streams all went over to another: a member of signers.json says so.

A rotation moves an alias and not the settings of every writer: one that starts later under the old name finds here whom
to sign as.

Source: `docs/spec/rotation.md` §4.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from auditseal.core.registered_signer import Status

if TYPE_CHECKING:
    from auditseal.core.registry import RegisteredSigner, Registry

SUCCESSOR: Final = "successor"
"""The member: a signerId."""


def follow_successors(registry: Registry, signer: RegisteredSigner) -> RegisteredSigner:
    """Who signs in place of a signer that was rotated away from in all streams; the signer itself, if nobody does."""
    seen = {signer.signer_id}
    while isinstance(named := signer.extra.get(SUCCESSOR), str) and named not in seen:
        seen.add(named)
        successor = registry.find(named)
        if successor is None or successor.status is Status.ANNOUNCED:
            break
        signer = successor
    return signer
