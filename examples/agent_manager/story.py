"""What the audit log tells of the agents, by itself: what an auditor sees who has nothing else.

The manager's state must be what the log tells, and every order in it must have an end.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from agent_manager.model import State

if TYPE_CHECKING:
    from collections.abc import Iterable

_STATES: Final = {
    "agent.spawned": State.STARTING,
    "agent.started": State.STARTING,
    "agent.restarted": State.STARTING,
    "agent.running": State.RUNNING,
    "agent.heard": State.RUNNING,
    "agent.silent": State.SILENT,
    "agent.stopped": State.STOPPED,
    "agent.destroyed": State.DESTROYED,
}


@dataclass(slots=True)
class Story:
    """The log, read from its beginning.

    Attributes:
        states: by agent, its last one.
        unfinished: by operation, the type of its request.
        faults: what cannot be: an outcome nobody asked for, two ends of one order.
    """

    states: dict[str, State] = field(default_factory=dict)
    unfinished: dict[str, str] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)

    def add(self, type_: str, payload: dict[str, Any]) -> None:
        """The next event."""
        operation = payload.get("operation")
        if type_.endswith(".requested"):
            if operation in self.unfinished:
                self.faults.append(f"{type_} of {operation} stands there twice")
            self.unfinished[str(operation)] = type_
            return
        if operation is not None and self.unfinished.pop(operation, None) is None:
            self.faults.append(f"{type_} of {operation} was not asked for, or ended before")
        agent = payload.get("agent")
        if agent is None:
            return
        if type_ == "agent.exited":
            self.states[agent] = State.STOPPED if payload["exit_code"] == 0 else State.FAILED
        elif type_.endswith(".failed"):
            self.states[agent] = State(payload["state"])
        elif type_ in _STATES:
            self.states[agent] = _STATES[type_]


def read_story(events: Iterable[tuple[str, dict[str, Any]]]) -> Story:
    """The story that events tell, each (type, payload), in their order."""
    story = Story()
    for type_, payload in events:
        story.add(type_, payload)
    return story
