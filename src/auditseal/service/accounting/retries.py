"""Which orphaned calls a retry explains.

A call whose answer got lost is made again for the same entry. So a call that did make a signature of the log stands in
for as many lost ones as a client tries, and not for more: a flood of misuse beside a busy writer stays visible.

Source: `docs/spec/reconciliation.md` §4.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

LOST_ATTEMPTS: Final = 2
"""How many attempts before the last one a client makes; `auditseal` tries three times."""
_MOST_KEPT: Final = 100_000


class Retries:
    """Hands out the calls that may stand in for lost ones; orphans are asked about in order of time."""

    def __init__(self) -> None:
        """Begins with all of them free."""
        self._taken: OrderedDict[str, int] = OrderedDict()

    def take(self, beside: Sequence[str]) -> bool:
        """Whether one of these calls can stand in for one more lost call; it is then taken."""
        for request_id in beside:
            if self._taken.get(request_id, 0) < LOST_ATTEMPTS:
                self._taken[request_id] = self._taken.get(request_id, 0) + 1
                if len(self._taken) > _MOST_KEPT:
                    self._taken.popitem(last=False)
                return True
        return False
