"""Publishing a registry to where verifiers get it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from auditseal.errors import AuditSealError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from auditseal.core.registry import Registry


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """What became of one place: `published`, `unchanged`, `differs` (in a dry run) or `failed`, with why."""

    name: str
    state: str
    why_not: str | None = None


def publish_registry(registry: Registry, places: Sequence[str], *, dry_run: bool = False) -> list[Published]:
    """Puts a registry to each place that does not serve it already; a place that fails keeps no other from its turn.

    Raises:
        InputError, ConfigError: a place has no form of a place; nothing was published.
    """
    from auditseal.adapters.registry_locations import open_location

    outcomes = []
    for location in [open_location(place) for place in places]:
        try:
            try:
                serves = location.fetch().to_json_bytes() == registry.to_json_bytes()
            except AuditSealError:
                serves = False  # nothing that can be read stands there yet
            if not serves and not dry_run:
                location.publish(registry)
            state = "unchanged" if serves else "differs" if dry_run else "published"
            outcomes.append(Published(name=location.name, state=state))
        except AuditSealError as error:
            outcomes.append(Published(name=location.name, state="failed", why_not=str(error)))
    return outcomes
