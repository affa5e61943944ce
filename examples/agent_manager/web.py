"""The manager over HTTP: parse, order, answer. Errors are RFC 9457 problem details."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import APIRouter, Depends, FastAPI, Header, Path, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field

from agent_manager.errors import DeniedError, ManagerError, NotRecordedError
from agent_manager.manager import Manager
from agent_manager.model import Action, Agent, Operation, Template
from agent_manager.users import user_of
from agent_manager.watch import Watch
from auditseal.service.ids import new_id

_NAME: Final = r"^[a-z0-9][a-z0-9._-]{0,63}$"
_RETRY_AFTER: Final = {"Retry-After": "2"}
_SHOWN: Final = ("id", "template", "state", "run", "heartbeat_at", "exit_code")

Name = Annotated[str, Path(pattern=_NAME)]
Argument = Annotated[str, Field(min_length=1, max_length=4096, pattern=r"^[^\x00]*$")]
Authorization = Annotated[str, Header()]
router = APIRouter(prefix="/v1")


class NewTemplate(BaseModel):
    """A template to be registered."""

    model_config = ConfigDict(extra="forbid")
    name: str = Field(pattern=_NAME)
    command: list[Argument] = Field(min_length=1, max_length=64)


class NewAgent(BaseModel):
    """An agent to be spawned."""

    model_config = ConfigDict(extra="forbid")
    template: str = Field(pattern=_NAME)


def _manager(request: Request) -> Manager:
    manager: Manager = request.app.state.manager
    return manager


def _caller(request: Request, authorization: Authorization = "") -> str:
    user = user_of(request.app.state.users, authorization.removeprefix("Bearer "))
    if user is None:
        raise DeniedError("show a token: Authorization: Bearer …")
    return f"user:{user}"


def _order_id(idempotency_key: Annotated[UUID | None, Header()] = None) -> str:
    return new_id() if idempotency_key is None else str(idempotency_key)


Managing = Annotated[Manager, Depends(_manager)]
Caller = Annotated[str, Depends(_caller)]
OrderId = Annotated[str, Depends(_order_id)]


@router.post("/templates", status_code=201)
def register(new: NewTemplate, manager: Managing, who: Caller, id_: OrderId) -> dict[str, Any]:
    """Registers a template."""
    return _told(manager.order(Action.REGISTER, new.name, id_=id_, actor=who, command=new.command))


@router.get("/templates", dependencies=[Depends(_caller)])
def templates(manager: Managing) -> list[Template]:
    """All templates."""
    return manager.state.templates()


@router.post("/agents", status_code=201)
def spawn(new: NewAgent, manager: Managing, who: Caller, id_: OrderId) -> dict[str, Any]:
    """Makes an agent of a template, and starts it. Its id follows from the order's."""
    name = f"a-{id_.replace('-', '')[-12:]}"
    return _told(manager.order(Action.SPAWN, name, id_=id_, actor=who, template=new.template))


@router.get("/agents", dependencies=[Depends(_caller)])
def agents(manager: Managing) -> list[dict[str, Any]]:
    """All agents."""
    return [_shown(agent) for agent in manager.state.agents()]


@router.get("/agents/{name}", dependencies=[Depends(_caller)])
def agent(name: Name, manager: Managing) -> dict[str, Any]:
    """One agent."""
    return _shown(manager.state.agent(name))


@router.post("/agents/{name}/start")
def start(name: Name, manager: Managing, who: Caller, id_: OrderId) -> dict[str, Any]:
    """Starts an agent that has ended."""
    return _told(manager.order(Action.START, name, id_=id_, actor=who))


@router.post("/agents/{name}/stop")
def stop(name: Name, manager: Managing, who: Caller, id_: OrderId) -> dict[str, Any]:
    """Ends an agent's process."""
    return _told(manager.order(Action.STOP, name, id_=id_, actor=who))


@router.post("/agents/{name}/restart")
def restart(name: Name, manager: Managing, who: Caller, id_: OrderId) -> dict[str, Any]:
    """Ends an agent's process, if it has one, and starts another."""
    return _told(manager.order(Action.RESTART, name, id_=id_, actor=who))


@router.delete("/agents/{name}")
def destroy(name: Name, manager: Managing, who: Caller, id_: OrderId) -> dict[str, Any]:
    """Ends an agent for good."""
    return _told(manager.order(Action.DESTROY, name, id_=id_, actor=who))


@router.post("/agents/{name}/heartbeat", status_code=204)
def heartbeat(name: Name, manager: Managing, authorization: Authorization = "") -> None:
    """An agent lives; it shows the secret that it got with its start."""
    manager.heartbeat(name, authorization.removeprefix("Bearer "))


def create_app(manager: Manager, users: Mapping[str, str], *, look_every_s: float = 1.0) -> FastAPI:
    """The application, which looks after its agents for as long as it is up.

    Args:
        manager: which runs them.
        users: hashes of tokens, by name.
        look_every_s: how often it looks whether they still live.
    """
    watch = Watch(manager, every_s=look_every_s)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        watch.start()
        yield
        watch.stop()

    app = FastAPI(title="Agent Manager", lifespan=lifespan)
    app.state.manager, app.state.users = manager, users
    app.include_router(router)
    app.add_exception_handler(ManagerError, _problem)

    @app.get("/healthz")
    def healthz() -> dict[str, str]:
        """It lives."""
        return {"status": "ok"}

    @app.get("/readyz")
    def readyz() -> JSONResponse:
        """Whether the audit log knows all that the manager knows."""
        if manager.knows_all:
            return JSONResponse({"status": "ready"})
        waiting = [operation.id for operation in manager.state.open_operations()]
        return JSONResponse({"status": "the audit log is behind", "waiting": waiting}, 503, _RETRY_AFTER)

    return app


def _told(operation: Operation) -> dict[str, Any]:
    outcome = {operation.noun: operation.subject, "outcome": operation.outcome, **operation.result}
    return {"operation": operation.id, **outcome, "audit": operation.audit}


def _shown(agent: Agent) -> dict[str, Any]:
    return {name: getattr(agent, name) for name in _SHOWN}


def _problem(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, ManagerError)
    detail, headers = str(error), None
    if isinstance(error, DeniedError):
        headers = {"WWW-Authenticate": "Bearer"}
    if isinstance(error, NotRecordedError):
        headers = _RETRY_AFTER
        detail += "" if error.is_done else ": nothing was done"
    kind = type(error).__name__.removesuffix("Error")
    members = {"type": "about:blank", "title": kind, "status": error.status, "detail": detail}
    return JSONResponse(members, error.status, headers, "application/problem+json")
