"""Who calls the service."""

from __future__ import annotations

from typing import Protocol

from auditseal.core.caller import Caller


class Authenticator(Protocol):
    """Knows callers by the credential they show. Safe to call from many threads."""

    def authenticate(self, credential: str) -> Caller | None:
        """Who calls; None where the credential is of another kind.

        Args:
            credential: what followed `Bearer`; never kept, logged or put into an error's text.

        Raises:
            UnauthenticatedError: of this kind, and not accepted: unknown, forged, expired, revoked.
            StoreError: what it is checked against could not be had.
        """
