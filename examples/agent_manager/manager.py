"""Orders and observations, each in the audit log before it counts.

An order is kept in the journal, then its request is recorded, then it is carried out, then its outcome is recorded, and
only then it is answered. If the log does not take the request, nothing is done. If it does not take the outcome, the
answer says so, and nothing more is done with that agent until it has. A crash anywhere leaves the journal, from which
the next look goes on: what was not begun is abandoned, what was begun is looked at, what was done is told.

An observation (an agent ended, fell silent, was heard) is recorded before the agent's state says so. Its event follows
from what is on disk, id and all: whoever is interrupted records the same event again, which the log takes as one.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import secrets
import threading
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

from agent_manager.errors import CannotDoError, NotAllowedError, NotRecordedError, UnknownError
from agent_manager.model import (
    ALIVE,
    ALLOWED_IN,
    OPEN,
    Action,
    Agent,
    Operation,
    Phase,
    State,
    Template,
    derived_id,
    done,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from agent_manager.processes import Processes
    from agent_manager.state import StateStore
    from agent_manager.trail import Trail

_log: Final = logging.getLogger("agent_manager")
_SELF: Final = "agent-manager"
_STARTS_SOMETHING: Final = frozenset({Action.SPAWN, Action.START, Action.RESTART})


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How the manager treats agents.

    Attributes:
        url: where agents send their heartbeats.
        silent_after_s: so long without a heartbeat.
        stop_grace_s: between asking an agent to end and killing it.
    """

    url: str
    silent_after_s: float = 15.0
    stop_grace_s: float = 5.0


class Manager:
    """Runs agents. Safe to use from many threads; what concerns one agent happens one after the other."""

    def __init__(
        self,
        state: StateStore,
        processes: Processes,
        trail: Trail,
        settings: Settings,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.state = state
        self._processes = processes
        self._trail = trail
        self._settings = settings
        self._clock = clock
        self._locks: dict[str, threading.RLock] = {}
        self._up_since = clock()
        self._start_id = str(uuid4())
        self._found = dict(Counter(str(agent.state) for agent in state.agents()))
        self._is_announced = False
        self._failures = 0
        self.knows_all = False
        """Whether at the last look the audit log knew all that this manager knew, and has refused nothing since."""

    def order(self, action: Action, subject: str, *, id_: str, actor: str, **details: Any) -> Operation:
        """Carries out an action, or gives the outcome of the same one that was ordered before.

        Args:
            action: what.
            subject: the agent's id or the template's name.
            id_: a UUID; the same for a repetition.
            actor: who orders it.
            details: what else the order says.

        Raises:
            NotRecordedError: the log refused; nothing was done, unless it says so.
            NotAllowedError, UnknownError: not now, not this.
            CannotDoError: tried and recorded, and it did not work.
        """
        order = Operation(id=id_, action=action, subject=subject, actor=actor, details=details)
        if action in ALLOWED_IN:
            self.state.agent(subject)
        with self._locked(subject):
            try:
                known = self._carried_out(order)
            except NotRecordedError:
                self._failures += 1
                self.knows_all = False
                raise
        if not known.has_succeeded:
            raise CannotDoError(f"{known.ended}: {known.result.get('error', 'the audit log was away; order it anew')}")
        return known

    def _carried_out(self, order: Operation) -> Operation:
        known = self.state.operation(order.id)
        if known is not None and not known.is_repeated_by(order):
            raise NotAllowedError(f"{order.id} is the id of another operation")
        if known is None or known.phase is Phase.REFUSED:
            self._settle_before_another(order.subject)
            self.state.ask(order)
            known = order
        if known.phase is Phase.ASKED:
            # The first time, or again by whoever was told that nothing had been done.
            known = self._carry_out(self._record_request(known))
        return self._finish(known) if known.phase in OPEN else known

    def heartbeat(self, id_: str, secret: str) -> None:
        """An agent lives.

        Raises:
            UnknownError: no such agent, or not the secret of its present run.
            NotRecordedError: it is heard for the first time or again, and the log does not take that.
        """
        self.state.agent(id_)
        with self._locked(id_):
            agent = self._heard(id_, secret)
            if agent.state is not State.RUNNING:
                self._settle(id_)
                agent = self._heard(id_, secret)
                what = "agent.running" if agent.state is State.STARTING else "agent.heard"
                self._observe(agent, what, actor=f"agent:{agent.id}")
            self.state.put_agent(replace(agent, state=State.RUNNING, heartbeat_at=self._clock()))

    def look(self) -> bool:
        """Settles what is open and looks at every agent; whether the log knows all that the manager knows."""
        failures, knows_all = self._failures, self._announce()
        subjects = {operation.subject for operation in self.state.open_operations()}
        for subject in sorted(subjects | {agent.id for agent in self.state.agents() if agent.state in ALIVE}):
            with self._locked(subject):
                try:
                    self._settle(subject)
                    with suppress(UnknownError):
                        self._look_at(self.state.agent(subject))
                except NotRecordedError:
                    knows_all = False
        self.knows_all = knows_all and failures == self._failures
        return self.knows_all

    def _heard(self, id_: str, secret: str) -> Agent:
        """The agent that runs now with this secret."""
        agent = self.state.agent(id_)
        given = hashlib.sha256(secret.encode()).hexdigest()
        if agent.state not in ALIVE or not hmac.compare_digest(given, agent.secret_hash):
            raise UnknownError("no agent that runs now has this secret")
        return agent

    def _announce(self) -> bool:
        """Records that this manager came up, and what it found."""
        if not self._is_announced:
            with suppress(NotRecordedError):
                self._trail.record(self._start_id, "manager.started", actor=_SELF, payload={"agents": self._found})
                self._is_announced = True
        return self._is_announced

    def _look_at(self, agent: Agent) -> None:
        if agent.state not in ALIVE:
            return
        if not agent.has_ended and not self._processes.is_alive(agent.run):
            agent = replace(agent, has_ended=True, exit_code=self._processes.exit_code(agent.run))
            self.state.put_agent(agent)
        if agent.has_ended:
            self._observe(agent, "agent.exited", exit_code=agent.exit_code)
            self.state.put_agent(replace(agent, state=State.STOPPED if agent.exit_code == 0 else State.FAILED))
        elif agent.state is not State.SILENT and self._is_silent(agent):
            self._observe(agent, "agent.silent")
            self.state.put_agent(replace(agent, state=State.SILENT))

    def _is_silent(self, agent: Agent) -> bool:
        # While the manager was away it could hear nobody.
        heard_at = max(agent.heartbeat_at or 0.0, self._up_since)
        return self._clock() - heard_at > self._settings.silent_after_s

    def _observe(self, agent: Agent, what: str, *, actor: str = _SELF, **more: Any) -> None:
        payload = {"agent": agent.id, "run": agent.run, "last_heartbeat": agent.heartbeat_at, **more}
        id_ = derived_id(agent.run, f"{what} {agent.heartbeat_at}")
        self._trail.record(id_, what, actor=actor, payload=payload)

    def _record_request(self, operation: Operation) -> Operation:
        try:
            where = self._trail.record(
                operation.id, operation.requested, actor=operation.actor, payload=operation.payload
            )
        except NotRecordedError as error:
            if error.is_certain:
                self.state.step(replace(operation, phase=Phase.REFUSED))
            raise
        operation = replace(operation, phase=Phase.DONE if operation.outcome else Phase.RECORDED, audit=(where,))
        self.state.step(operation)
        return operation

    def _carry_out(self, operation: Operation) -> Operation:
        """Does what was ordered and recorded; the operation with its outcome."""
        try:
            if operation.action is Action.REGISTER:
                command = tuple(operation.details["command"])
                template = Template(name=operation.subject, command=command, created_by=operation.actor)
                return self._done(operation, template=template)
            if operation.action is Action.SPAWN:
                return self._run(operation, _new_agent(operation))
            agent = self.state.agent(operation.subject)
            if operation.action is Action.START:
                return self._run(operation, agent)
            agent, how = self._end(agent)
            if operation.action is Action.RESTART:
                return self._run(operation, agent)
            if operation.action is Action.DESTROY:
                agent = replace(agent, state=State.DESTROYED)
            return self._done(operation, agent=agent, **how)
        except CannotDoError as error:
            return self._failed(operation, str(error))

    def _run(self, operation: Operation, before: Agent) -> Operation:
        secret = secrets.token_urlsafe(32)
        agent = Agent(
            id=before.id,
            template=before.template,
            state=State.STARTING,
            run=operation.id,
            secret_hash=hashlib.sha256(secret.encode()).hexdigest(),
        )
        self.state.step(operation, agent=agent)
        environment = {"AGENT_ID": agent.id, "AGENT_SECRET": secret, "AGENT_MANAGER_URL": self._settings.url}
        pid = self._processes.start(agent.run, self.state.template(agent.template).command, environment)
        return self._done(operation, agent=agent, pid=pid)

    def _end(self, agent: Agent) -> tuple[Agent, dict[str, Any]]:
        if agent.state not in ALIVE:
            return agent, {}
        exit_code, killed = self._processes.stop(agent.run, grace_s=self._settings.stop_grace_s)
        ended = replace(agent, state=State.STOPPED, has_ended=True, exit_code=exit_code)
        return ended, {"exit_code": exit_code, "killed": killed}

    def _done(
        self, operation: Operation, *, agent: Agent | None = None, template: Template | None = None, **result: Any
    ) -> Operation:
        operation = replace(operation, phase=Phase.DONE, outcome=done(operation.action), result=result)
        self.state.step(operation, agent=agent, template=template)
        return operation

    def _failed(self, operation: Operation, why: str) -> Operation:
        try:
            agent = self.state.agent(operation.subject)
        except UnknownError:
            agent = _new_agent(operation)
        if not self._processes.is_alive(agent.run):
            agent = replace(agent, state=State.FAILED, has_ended=True)
        result = {"error": why, "state": str(agent.state)}
        operation = replace(operation, phase=Phase.DONE, outcome=f"{operation.action}.failed", result=result)
        self.state.step(operation, agent=agent)
        return operation

    def _settle_before_another(self, subject: str) -> None:
        try:
            self._settle(subject)
        except NotRecordedError as error:
            raise NotRecordedError(f"an earlier operation on {subject} is not in the audit log yet") from error

    def _settle(self, subject: str) -> None:
        """Brings what an earlier call or an earlier process left open to its end.

        Raises:
            NotRecordedError: the log does not take it; nothing may be done with the subject before it does.
        """
        for operation in self.state.open_operations(subject):
            _log.info("settling %s of %s, which was %s", operation.action, subject, operation.phase)
            left = operation
            if left.phase is Phase.ASKED:
                # Nothing was begun, and nobody was told otherwise. That it was asked for is recorded all the same.
                left = replace(left, phase=Phase.DONE, outcome=f"{left.action}.abandoned")
                self.state.step(left)
            self._finish(left)

    def _finish(self, operation: Operation) -> Operation:
        """From `recorded` or `done` to `finished`."""
        if operation.phase is Phase.RECORDED:
            operation = self._resume(operation)
        try:
            if not operation.audit:
                operation = self._record_request(operation)
            payload = {**operation.payload, **operation.result}
            where = self._trail.record(operation.outcome_id, operation.ended, actor=operation.actor, payload=payload)
        except NotRecordedError as error:
            raise NotRecordedError(f"{operation.ended}: {error}, and will be given it again", is_done=True) from error
        operation = replace(operation, phase=Phase.FINISHED, audit=(*operation.audit, where))
        self.state.step(operation)
        return operation

    def _resume(self, operation: Operation) -> Operation:
        """What a crash interrupted while it was carried out. What starts a process is looked for, not begun anew."""
        if operation.action not in _STARTS_SOMETHING:
            return self._carry_out(operation)
        why = "the manager was interrupted"
        try:
            agent = self.state.agent(operation.subject)
            pid = self._processes.pid(operation.id)
            if agent.run == operation.id and pid is not None:
                return self._done(operation, agent=agent, pid=pid)
            self.state.put_agent(self._end(agent)[0])
        except UnknownError:
            pass
        except CannotDoError as error:
            why = str(error)
        return self._failed(operation, why)

    def _locked(self, subject: str) -> threading.RLock:
        return self._locks.setdefault(subject, threading.RLock())


def _new_agent(operation: Operation) -> Agent:
    """What a spawning makes, before it has a process."""
    template = str(operation.details["template"])
    return Agent(id=operation.subject, template=template, state=State.STARTING, run=operation.id)
