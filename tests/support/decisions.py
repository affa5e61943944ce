"""Cases of `tests/vectors/policy-decisions.json`, decided by our evaluator."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from auditseal.access.evaluate import Surroundings, evaluate
from auditseal.access.policy import Kind, Policy
from auditseal.access.policy_reading import policy_of
from auditseal.access.request import make_request


def decisions(document: dict[str, Any]) -> Iterator[str]:
    """What we say of each case, in the words of the file: allowed, explicitly denied, implicitly denied."""
    for case in document["cases"]:
        yield str(_decide(document, case))


def _decide(document: dict[str, Any], case: dict[str, Any]) -> str:
    def policy(numbers: list[int], kind: Kind) -> Policy:
        statements = [document["statements"][number] for number in numbers]
        return policy_of({"Version": case.get("version", "2012-10-17"), "Statement": statements}, kind=kind)

    request = make_request(
        principal=case["principal"],
        action=case["action"],
        resource=case["resource"],
        context=document["contexts"][case["action"]][case["context"]],
    )
    return evaluate(
        request,
        Surroundings(
            identity=[policy(numbers, Kind.IDENTITY) for numbers in case["identity"]],
            key_policy=policy(case["key_policy"], Kind.KEY),
            boundaries=[policy(numbers, Kind.BOUNDARY) for numbers in case.get("boundary", [])],
            scps=[[policy(numbers, Kind.SCP) for numbers in level] for level in case.get("scps", [])],
            session=[policy(case["session"], Kind.SESSION)] if "session" in case else [],
        ),
    ).result
