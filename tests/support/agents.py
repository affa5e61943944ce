"""An Agent Manager over a real log and real processes, in this process; and ways to interrupt it."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import auditseal
from agent_manager.errors import CannotDoError
from agent_manager.manager import Manager, Settings
from agent_manager.model import Action, Operation, State
from agent_manager.processes import Processes
from agent_manager.state import StateStore
from agent_manager.story import Story, read_story
from agent_manager.trail import Trail
from auditseal.core.event import Body, parse_body

# It leaves its secret where the test finds it, and lives until it is ended.
AGENT = ["/bin/sh", "-c", 'echo "$AGENT_SECRET" >"secret-$AGENT_ID"; while :; do sleep 0.05; done']


class Crash(BaseException):
    """The manager dies here."""


@dataclass
class Interrupter:
    """Counts the steps of whatever it was put before, and lets one of them be the last."""

    last: int | None = None
    count: int = 0

    def step(self) -> None:
        self.count += 1
        if self.count == self.last:
            raise Crash

    def watch(self, target: Any, *names: str) -> Any:
        """The target, each of whose calls under these names is a step before and a step after."""
        for name in names:
            setattr(target, name, self._stepping(getattr(target, name)))
        return target

    def _stepping(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def stepping(*arguments: Any, **named: Any) -> Any:
            self.step()
            result = call(*arguments, **named)
            self.step()
            return result

        return stepping


class AuditLog:
    """A real log that can be away, or refuse, or lose its answer."""

    def __init__(self, address: str) -> None:
        self.log = auditseal.open_log(address)
        self.error: Exception | None = None
        self.takes = lambda _: True
        self.loses_answers = False

    def append_event(self, event: auditseal.Event) -> auditseal.Receipt:
        refuses = self.error is not None and not self.takes(event)
        if refuses and not self.loses_answers:
            raise self.error
        receipt = self.log.append_event(event)
        if refuses:
            raise self.error
        return receipt

    def away(self, error: Exception, takes: Callable[[auditseal.Event], bool] = lambda _: False) -> None:
        self.error, self.takes = error, takes

    def back(self) -> None:
        self.error, self.loses_answers = None, False

    def bodies(self) -> list[Body]:
        return [parse_body(entry.body) for entry in self.log.entries("agents")]

    def events(self) -> list[tuple[str, dict[str, Any]]]:
        return [(body.type, body.payload) for body in self.bodies()]

    def types(self) -> list[str]:
        return [type_ for type_, _ in self.events() if type_ != "manager.started"]

    def story(self) -> Story:
        return read_story(self.events())


@dataclass
class World:
    """Managers, one after another, over one folder and one log."""

    folder: Path
    audit: AuditLog
    now: float = 1_000_000.0
    ended: list[tuple[StateStore, Processes]] = field(default_factory=list)
    manager: Manager | None = None

    def begin(self, interrupter: Interrupter | None = None) -> Manager:
        state, processes, audit = StateStore(self.folder / "state.db"), Processes(self.folder / "runs"), self.audit
        self.ended.append((state, processes))
        if interrupter is not None:
            interrupter.watch(state, "step")
            interrupter.watch(processes, "start", "stop")
            audit = interrupter.watch(_Appender(audit), "append_event")
        settings = Settings(url="http://127.0.0.1:9", silent_after_s=10.0, stop_grace_s=2.0)
        trail = Trail(audit, stream="agents")
        self.manager = Manager(state, processes, trail, settings, clock=lambda: self.now)
        return self.manager

    def die(self) -> None:
        """What SIGKILL leaves: the folder and the processes."""
        self.ended[-1][0].close()

    def again(self) -> Manager:
        self.die()
        return self.begin()

    def order(self, action: Action, subject: str = "", *, id_: str | None = None, **details: Any) -> Operation:
        id_ = id_ or str(uuid4())
        if action is Action.SPAWN:
            subject = f"a-{id_[-12:]}"
            details = {"template": "worker", **details}
        if action is Action.REGISTER:
            subject, details = subject or "worker", {"command": AGENT, **details}
        return self.manager.order(action, subject, id_=id_, actor="user:alice", **details)

    def spawn(self) -> str:
        """A new agent; its id."""
        if not self.manager.state.templates():
            self.order(Action.REGISTER)
        return self.order(Action.SPAWN).subject

    def heartbeat(self, agent: str) -> None:
        path = Path(f"secret-{agent}")
        wait_until(lambda: path.exists() and path.read_text().endswith("\n"))
        self.manager.heartbeat(agent, path.read_text().strip())

    def agent_state(self, agent: str) -> State:
        return self.manager.state.agent(agent).state

    def pid(self, agent: str) -> int | None:
        return self.ended[-1][1].pid(self.manager.state.agent(agent).run)

    def check(self) -> None:
        """The log tells what the state says, and every order has an end."""
        story = self.audit.story()
        assert (story.faults, story.unfinished) == ([], {})
        assert story.states == {agent.id: agent.state for agent in self.manager.state.agents()}

    def close(self) -> None:
        for state, processes in self.ended:
            state.close()
            for run in (self.folder / "runs").glob("*[!t]"):
                with contextlib.suppress(CannotDoError):
                    Processes.stop(processes, run.name, grace_s=0.0)  # past an interrupter
            for child in processes._children.values():
                child.wait()
        self.audit.log.close()


class _Appender:
    def __init__(self, audit: AuditLog) -> None:
        self.append_event = audit.append_event


def wait_until(condition: Callable[[], Any], timeout_s: float = 20.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "it did not come true"
        time.sleep(0.02)


def kill(pid: int) -> None:
    os.killpg(pid, signal.SIGKILL)


@contextlib.contextmanager
def a_world(folder: Path, address: str) -> Iterator[World]:
    world = World(folder, AuditLog(address))
    try:
        world.begin()
        yield world
    finally:
        world.close()
