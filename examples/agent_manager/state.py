"""The manager's own state in SQLite: templates, agents, and a journal of operations.

A change of an agent and the step of the operation that caused it are one transaction, on disk when it returns. What an
operation was when the manager died is what it finds when it comes back.
"""

from __future__ import annotations

import fcntl
import json
import os
import sqlite3
import threading
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from agent_manager.errors import NotAllowedError, UnknownError
from agent_manager.model import ALLOWED_IN, OPEN, Action, Agent, Operation, Phase, State, Template

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS templates (
    name TEXT PRIMARY KEY, command TEXT NOT NULL, created_by TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS agents (
    id TEXT PRIMARY KEY, template TEXT NOT NULL REFERENCES templates, state TEXT NOT NULL, run TEXT NOT NULL,
    secret_hash TEXT NOT NULL, heartbeat_at REAL, has_ended INTEGER NOT NULL, exit_code INTEGER) STRICT;
CREATE TABLE IF NOT EXISTS operations (
    id TEXT PRIMARY KEY, action TEXT NOT NULL, subject TEXT NOT NULL, actor TEXT NOT NULL, details TEXT NOT NULL,
    phase TEXT NOT NULL, outcome TEXT NOT NULL, result TEXT NOT NULL, audit TEXT NOT NULL) STRICT;
CREATE UNIQUE INDEX IF NOT EXISTS one_open_operation ON operations (subject)
    WHERE phase IN ('asked', 'recorded', 'done');
"""
_PUT_AGENT: Final = "INSERT OR REPLACE INTO agents VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
_PUT_OPERATION: Final = "INSERT OR REPLACE INTO operations VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"


class StateStore:
    """The state of one manager. Safe to use from many threads; not from two processes."""

    def __init__(self, path: Path) -> None:
        """Opens or makes it.

        Raises:
            NotAllowedError: another manager has it.
        """
        self._hold = os.open(path.with_name(f"{path.name}.lock"), os.O_RDONLY | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._hold, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._hold)
            raise NotAllowedError(f"another Agent Manager runs on {path}") from None
        self._lock = threading.Lock()
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = FULL")
        self._db.execute("PRAGMA foreign_keys = ON")
        self._db.executescript(_SCHEMA)

    def close(self) -> None:
        """Closes the file. Idempotent."""
        with self._lock:
            self._db.close()
            if self._hold >= 0:
                os.close(self._hold)
                self._hold = -1

    def templates(self) -> list[Template]:
        """All templates, by name."""
        return [_template(row) for row in self._rows("SELECT * FROM templates ORDER BY name")]

    def template(self, name: str) -> Template:
        """One template.

        Raises:
            UnknownError: there is none of this name.
        """
        for row in self._rows("SELECT * FROM templates WHERE name = ?", name):
            return _template(row)
        raise UnknownError(f"there is no template {name!r}")

    def agents(self) -> list[Agent]:
        """All agents, those destroyed among them."""
        return [_agent(row) for row in self._rows("SELECT * FROM agents ORDER BY id")]

    def agent(self, id_: str) -> Agent:
        """One agent.

        Raises:
            UnknownError: there is none with this id.
        """
        for row in self._rows("SELECT * FROM agents WHERE id = ?", id_):
            return _agent(row)
        raise UnknownError(f"there is no agent {id_!r}")

    def put_agent(self, agent: Agent) -> None:
        """Keeps what is known of an agent now."""
        with self._transaction() as db:
            db.execute(_PUT_AGENT, _agent_row(agent))

    def operation(self, id_: str) -> Operation | None:
        """The operation with this id, if there was one."""
        rows = self._rows("SELECT * FROM operations WHERE id = ?", id_)
        return _operation(rows[0]) if rows else None

    def open_operations(self, subject: str | None = None) -> list[Operation]:
        """Operations that are not finished, of one subject or of all."""
        rows = map(_operation, self._rows("SELECT * FROM operations ORDER BY id"))
        return [each for each in rows if each.phase in OPEN and subject in {None, each.subject}]

    def ask(self, operation: Operation) -> None:
        """Keeps an operation before anybody is told of it, if it is allowed now.

        Raises:
            NotAllowedError: not in this state, or while another is open.
            UnknownError: there is no such agent or template.
        """
        self._check(operation)
        try:
            self.step(operation)
        except sqlite3.IntegrityError:
            raise NotAllowedError(f"another operation on {operation.subject} is not finished") from None

    def step(self, operation: Operation, *, agent: Agent | None = None, template: Template | None = None) -> None:
        """Keeps an operation as it is now, and what it made of an agent or a template, in one transaction."""
        with self._transaction() as db:
            if template is not None:
                command = json.dumps(template.command)
                db.execute("INSERT INTO templates VALUES (?, ?, ?)", (template.name, command, template.created_by))
            if agent is not None:
                db.execute(_PUT_AGENT, _agent_row(agent))
            db.execute(_PUT_OPERATION, _operation_row(operation))

    def _check(self, operation: Operation) -> None:
        if operation.action is Action.REGISTER:
            if any(each.name == operation.subject for each in self.templates()):
                raise NotAllowedError(f"there is a template {operation.subject!r} already")
        elif operation.action is Action.SPAWN:
            self.template(operation.details["template"])
            if any(each.id == operation.subject for each in self.agents()):
                raise NotAllowedError(f"there is an agent {operation.subject!r} already")
        else:
            state = self.agent(operation.subject).state
            if state not in ALLOWED_IN[operation.action]:
                raise NotAllowedError(f"agent {operation.subject} is {state}: it cannot {operation.action} now")

    def _rows(self, query: str, *values: Any) -> list[Any]:
        with self._lock:
            return self._db.execute(query, values).fetchall()

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
                self._db.execute("COMMIT")
            except BaseException:
                self._db.execute("ROLLBACK")
                raise


def _template(row: Any) -> Template:
    return Template(name=row[0], command=tuple(json.loads(row[1])), created_by=row[2])


def _agent(row: Any) -> Agent:
    return Agent(
        id=row[0],
        template=row[1],
        state=State(row[2]),
        run=row[3],
        secret_hash=row[4],
        heartbeat_at=row[5],
        has_ended=bool(row[6]),
        exit_code=row[7],
    )


def _agent_row(agent: Agent) -> tuple[Any, ...]:
    ended = int(agent.has_ended)
    known = (agent.id, agent.template, agent.state, agent.run, agent.secret_hash, agent.heartbeat_at)
    return (*known, ended, agent.exit_code)


def _operation(row: Any) -> Operation:
    asked = Operation(id=row[0], action=Action(row[1]), subject=row[2], actor=row[3], details=json.loads(row[4]))
    return replace(
        asked, phase=Phase(row[5]), outcome=row[6], result=json.loads(row[7]), audit=tuple(json.loads(row[8]))
    )


def _operation_row(operation: Operation) -> tuple[Any, ...]:
    ordered = (operation.id, operation.action, operation.subject, operation.actor, json.dumps(operation.details))
    told = (json.dumps(operation.result), json.dumps(operation.audit))
    return (*ordered, operation.phase, operation.outcome, *told)
