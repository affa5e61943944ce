"""The words of an Agent Manager, and which action is allowed in which state. No I/O."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final
from uuid import UUID, uuid5


class State(StrEnum):
    """What is known of an agent."""

    STARTING = "starting"  # there is a process, which was not heard yet
    RUNNING = "running"
    SILENT = "silent"  # there is a process, which was not heard for too long
    STOPPED = "stopped"
    FAILED = "failed"
    DESTROYED = "destroyed"


ALIVE: Final = frozenset({State.STARTING, State.RUNNING, State.SILENT})
"""The states with a process."""
_ENDED: Final = frozenset({State.STOPPED, State.FAILED})


class Action(StrEnum):
    """What somebody may order."""

    REGISTER = "register"
    SPAWN = "spawn"
    START = "start"
    STOP = "stop"
    RESTART = "restart"
    DESTROY = "destroy"


ALLOWED_IN: Final = {
    Action.START: _ENDED,
    Action.STOP: ALIVE,
    Action.RESTART: ALIVE | _ENDED,
    Action.DESTROY: ALIVE | _ENDED,
}
"""By action on an agent that exists, the states in which it is allowed."""
_DONE: Final = {
    Action.REGISTER: "registered",
    Action.SPAWN: "spawned",
    Action.START: "started",
    Action.STOP: "stopped",
    Action.RESTART: "restarted",
    Action.DESTROY: "destroyed",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """What agents are made from.

    Attributes:
        command: the program and its arguments.
        created_by: who registered it.
    """

    name: str
    command: tuple[str, ...]
    created_by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Agent:
    """An agent.

    Attributes:
        run: names its present or last process; the id of the operation that started it.
        secret_hash: SHA-256 of the secret that this run shows with its heartbeats.
        heartbeat_at: when it was last heard in this run; seconds since the epoch.
        has_ended: whether its process was found to have ended, though the log may not know yet.
        exit_code: of that process; None where the manager was not its parent any more.
    """

    id: str
    template: str
    state: State
    run: str
    secret_hash: str = ""
    heartbeat_at: float | None = None
    has_ended: bool = False
    exit_code: int | None = None


class Phase(StrEnum):
    """How far an operation is."""

    ASKED = "asked"  # somebody asked for it; whether the log has the request is not known
    RECORDED = "recorded"  # the log has the request: it may be carried out, and may have been
    DONE = "done"  # it was carried out, or failed; the log may not have the outcome
    FINISHED = "finished"  # the log has the outcome
    REFUSED = "refused"  # the log refused the request


OPEN: Final = frozenset({Phase.ASKED, Phase.RECORDED, Phase.DONE})


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """An action that somebody ordered.

    Attributes:
        id: a UUID; the event of the request has the same, so that a repetition is recognised here and there.
        subject: the agent's id or the template's name.
        actor: who ordered it.
        details: what the order says besides.
        outcome: how it ended: `spawned`, `spawn.failed`, `spawn.abandoned`; empty until then.
        result: what the outcome's event says besides.
        audit: where the log has the request, and then the outcome.
    """

    id: str
    action: Action
    subject: str
    actor: str
    details: dict[str, Any] = field(default_factory=dict)
    phase: Phase = Phase.ASKED
    outcome: str = ""
    result: dict[str, Any] = field(default_factory=dict)
    audit: tuple[dict[str, Any], ...] = ()

    @property
    def noun(self) -> str:
        """What event types begin with."""
        return "template" if self.action is Action.REGISTER else "agent"

    @property
    def requested(self) -> str:
        """The type of the request's event."""
        return f"{self.noun}.{self.action}.requested"

    @property
    def ended(self) -> str:
        """The type of the outcome's event."""
        return f"{self.noun}.{self.outcome}"

    @property
    def outcome_id(self) -> str:
        """The id of the outcome's event; it follows from the operation's, so that a repetition is recognised."""
        return derived_id(self.id, "outcome")

    @property
    def has_succeeded(self) -> bool:
        """Whether it was carried out."""
        return self.outcome == _DONE[self.action]

    @property
    def payload(self) -> dict[str, Any]:
        """What both events say: of a command its program and its hash, since arguments may hold what no log should."""
        said = dict(self.details)
        if command := said.pop("command", None):
            said |= {"program": command[0], "command_sha256": hashlib.sha256(json.dumps(command).encode()).hexdigest()}
        return {"operation": self.id, self.noun: self.subject, **said}

    def is_repeated_by(self, other: Operation) -> bool:
        """Whether another order is this one again."""
        mine = (self.action, self.subject, self.actor, self.details)
        return mine == (other.action, other.subject, other.actor, other.details)


def done(action: Action) -> str:
    """The outcome of an action that was carried out."""
    return _DONE[action]


def derived_id(base: str, what: str) -> str:
    """The id of an event that follows from something with an id: the same each time."""
    return str(uuid5(UUID(base), what))
