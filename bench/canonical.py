"""Canonical JSON of a 200-byte payload, against rfc8785, with the same bytes as the result."""

from __future__ import annotations

import sys

import rfc8785
from common import Result, in_turns, print_results, rate

from auditseal.core.canonical import canonicalize

PAYLOAD = {
    "agent_id": "a-7",
    "template": "summarise-tickets",
    "memory_mb": 512,
    "cpu": 0.25,
    "labels": {"team": "platform", "stage": "prod", "région": "eu-central-1"},
    "reason": "scheduled by the nightly plan, third attempt",
    "restarts": 3,
    "healthy": True,
}
COUNT = 20_000


def measure() -> list[Result]:
    text = canonicalize(PAYLOAD)
    assert text == rfc8785.dumps(PAYLOAD)

    def with_(function: object, count: int) -> float:
        def work() -> int:
            for _ in range(count):
                function(PAYLOAD)
            return count

        return rate(work)

    ours, theirs = in_turns(5, lambda: with_(canonicalize, COUNT * 5), lambda: with_(rfc8785.dumps, COUNT))
    return [
        Result(
            what=f"canonical form of a {len(text)}-byte payload",
            ours=f"{ours / 1000:.0f},000/s",
            theirs=f"rfc8785 {theirs / 1000:.0f},000/s",
            ratio=ours / theirs,
            goal="at least 10",
            met=ours / theirs >= 10,
        )
    ]


if __name__ == "__main__":
    sys.exit(print_results(measure()))
