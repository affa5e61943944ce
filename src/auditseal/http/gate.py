"""Who calls, and whether it may: asked before anything of a request's body is read.

Source: RFC 6750, `docs/how-to/run-the-service.md`, "Who may do what".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final

import structlog
from fastapi import Depends, Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.concurrency import run_in_threadpool

from auditseal.core.api_token import PREFIX
from auditseal.core.caller import Caller, Role
from auditseal.errors import ForbiddenError, UnauthenticatedError
from auditseal.http.limits import RateLimit

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from auditseal.ports import Authenticator

ANYBODY: Final = Caller(name="anonymous", roles=frozenset(Role), streams=("*",))
"""Who calls a service without authentication."""
_log: Final = structlog.get_logger("auditseal.http")
_bearer = HTTPBearer(auto_error=False, description="An API token, or a JWT of the configured OpenID provider.")


class Gate:
    """Knows callers, and how fast each is."""

    def __init__(self, authenticators: Sequence[Authenticator], rate: RateLimit) -> None:
        """Sets up; without any authenticator everybody is `ANYBODY`."""
        self._authenticators = tuple(authenticators)
        self._rate = rate

    async def identify(self, credential: str | None) -> Caller:
        """Who shows the credential.

        Raises:
            UnauthenticatedError: nobody who is known.
            OverloadedError: it calls too often.
            StoreError: whom it is checked with could not be reached.
        """
        if not self._authenticators:
            caller = ANYBODY
        elif credential is None:
            raise UnauthenticatedError("a token is needed: Authorization: Bearer …", reason="no-token")
        elif credential.startswith(PREFIX):
            caller = self._ask(credential)
        else:
            caller = await run_in_threadpool(self._ask, credential)
        self._rate.take(caller.name)
        return caller

    def _ask(self, credential: str) -> Caller:
        for authenticator in self._authenticators:
            caller = authenticator.authenticate(credential)
            if caller is not None:
                return caller
        raise UnauthenticatedError("the token is not accepted", reason="unknown-kind")


def allow(*roles: Role) -> Callable[..., Awaitable[Caller]]:
    """A dependency: the caller, if it has one of the roles, in the path's stream where there is one."""

    async def caller_of(
        request: Request, shown: Annotated[HTTPAuthorizationCredentials | None, Security(_bearer)]
    ) -> Caller:
        return await _admit(request, shown, roles)

    return caller_of


async def admit(request: Request, *roles: Role) -> Caller:
    """The caller, as the dependencies of `allow` give it, for a route that has none.

    Raises:
        UnauthenticatedError, ForbiddenError, OverloadedError, StoreError: it may not go on.
    """
    return await _admit(request, await _bearer(request), roles)


async def _admit(request: Request, shown: HTTPAuthorizationCredentials | None, roles: Sequence[Role]) -> Caller:
    gate: Gate = request.app.state.gate
    caller = await gate.identify(shown.credentials if shown is not None else None)
    request.state.caller = caller.name
    if caller.credential is not None:
        request.state.credential = caller.credential
    caller.require(roles, request.path_params.get("stream"))
    return caller


Producer = Annotated[Caller, Depends(allow(Role.PRODUCER))]
Auditor = Annotated[Caller, Depends(allow(Role.AUDITOR))]
Verifier = Annotated[Caller, Depends(allow(Role.AUDITOR, Role.OPERATOR))]
Operator = Annotated[Caller, Depends(allow(Role.OPERATOR))]
Anyone = Annotated[Caller, Depends(allow(*Role))]


def require_streams(caller: Caller, streams: Sequence[str]) -> None:
    """Returns if all the streams are the caller's.

    Raises:
        ForbiddenError: names the first that is not.
    """
    for stream in streams:
        if not caller.may_use(stream):
            raise ForbiddenError(f"{stream[:128]!r} is not a stream of {caller.name}")


def caller_marks(state: Any) -> dict[str, str]:
    """What a log record says of the caller."""
    return {name: getattr(state, name) for name in ("caller", "credential", "reason") if getattr(state, name, None)}
