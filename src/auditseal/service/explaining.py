"""Explaining an entry of a log or an export, with those beside it and the signed checkpoint over it.

Source: `docs/cli.md`, "Commands".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from auditseal.core.explain import explain_entry, is_signed
from auditseal.ports import CheckpointSource
from auditseal.service.covering import CoveringCheck
from auditseal.service.lookup import find_surroundings

if TYPE_CHECKING:
    from auditseal.core.explain import Explanation
    from auditseal.core.registry import Registry
    from auditseal.ports import Source
    from auditseal.service.lookup import Place


def explain_place(source: Source, place: Place, registry: Registry) -> list[Explanation]:
    """The explanation of each entry at a place: of one, unless more stand there.

    Checkpoints are asked about an entry only where no signature of its own holds.

    Raises:
        NotFoundError: nothing there.
        StoreError: the source cannot be read.
    """
    found = find_surroundings(source, place)
    check = CoveringCheck(source, registry) if isinstance(source, CheckpointSource) else None
    explanations = []
    for here in found.here:
        covering = None if check is None or is_signed(here, registry) else check.over(here, found.after)
        explanations.append(explain_entry(here, found.before, found.after, registry, covering))
    return explanations
