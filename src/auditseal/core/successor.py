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
    return line_of(registry, signer)[-1]


def line_of(registry: Registry, signer: RegisteredSigner) -> list[RegisteredSigner]:
    """A signer and those that took over from it in all streams, one after another."""
    line = [signer]
    while isinstance(named := line[-1].extra.get(SUCCESSOR), str):
        successor = registry.find(named)
        if successor is None or successor in line or successor.status is Status.ANNOUNCED:
            break
        line.append(successor)
    return line
