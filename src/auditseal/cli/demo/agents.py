"""A small Agent Manager: agents live, and everything that happens to them is an event."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any, Final

from auditseal.core.event import Event

if TYPE_CHECKING:
    from collections.abc import Iterator

AGENTS: Final = 12
_PEOPLE: Final = ("user:alice", "user:bob", "ci:deploy", "system:scheduler")
_TEMPLATES: Final = ("summarise-tickets", "triage-alerts", "nightly-report", "review-changes")
# From each state, what may happen next and where it leads.
_LIFE: Final = {
    "new": (("agent.spawned", "stopped"),),
    "stopped": (("agent.started", "running"), ("agent.started", "running"), ("agent.destroyed", "new")),
    "running": (
        ("agent.heartbeat", "running"),
        ("agent.heartbeat", "running"),
        ("agent.stopped", "stopped"),
        ("agent.failed", "stopped"),
    ),
}


def lives(stream: str, count: int) -> Iterator[Event]:
    """So many events of agents' lives, the same ones for the same stream.

    Args:
        stream: where the events belong.
        count: how many.
    """
    chance = random.Random(stream)  # noqa: S311 - a story, not a secret
    states = ["new"] * AGENTS
    for _ in range(count):
        agent = chance.randrange(AGENTS)
        type_, states[agent] = chance.choice(_LIFE[states[agent]])
        payload: dict[str, Any] = {"agent_id": f"a-{agent + 1}"}
        if type_ == "agent.spawned":
            payload |= {"template": chance.choice(_TEMPLATES), "memory_mb": chance.choice((256, 512, 1024))}
        elif type_ == "agent.heartbeat":
            payload |= {"cpu": round(chance.uniform(0.01, 0.99), 2), "queue": chance.randrange(20)}
        elif type_ == "agent.failed":
            payload |= {"exit_code": chance.choice((1, 137)), "restarts": chance.randrange(4)}
        actor = None if type_ in ("agent.heartbeat", "agent.failed") else chance.choice(_PEOPLE)
        yield Event(type=type_, actor=actor, payload=payload, stream=stream)
