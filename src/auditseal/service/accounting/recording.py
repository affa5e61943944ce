"""Findings as entries of the log itself: what an account found stands in the record that it is about.

Source: `docs/spec/account.md`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from uuid import UUID, uuid5

import orjson

from auditseal.core.event import RESERVED_TYPES, Event
from auditseal.errors import ConflictError
from auditseal.service.accounting.follow import identity_of

if TYPE_CHECKING:
    from auditseal.core.account import AccountFinding
    from auditseal.service.log import Log

FOUND: Final = f"{RESERVED_TYPES}account-finding"
_NAMESPACE: Final = UUID("6d1f7a5e-0c4b-4d0e-9c57-2f5a9b1e8d34")


def record_finding(log: Log, stream: str, finding: AccountFinding, members: dict[str, Any]) -> None:
    """Appends a finding, unless it stands there already: its id follows from what it is about.

    Args:
        log: open for appending.
        stream: where it belongs.
        finding: what was found.
        members: the same as JSON members.

    Raises:
        AuditSealError: as `Log.append_own`, but for a conflict.
    """
    about = orjson.dumps([stream, *identity_of(finding)]).decode()
    event = Event(type=FOUND, payload=members, stream=stream, id=str(uuid5(_NAMESPACE, about)))
    try:
        log.append_own(event)
    except ConflictError:
        return  # told before, with another count
