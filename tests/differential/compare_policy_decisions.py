"""Our policy evaluator against `@cloud-copilot/iam-simulate`, over thousands of generated cases."""

from __future__ import annotations

import json
import os
from typing import Any

from differential.node import run_node
from differential.policy_cases import make_cases
from support.decisions import decisions
from support.vectors import FOLDER, load_vectors

_NAME = "policy-decisions"
_SEED = 20261124
_KEPT = 2400
_WORDS = {
    "Allowed": "allowed",
    "ExplicitlyDenied": "explicitly denied",
    "ImplicitlyDenied": "implicitly denied",
}


def _other_verdicts(document: dict[str, Any]) -> list[str]:
    verdicts = json.loads(run_node("simulate_policies.mjs", json.dumps(document)))
    return [_WORDS.get(verdict, "") if isinstance(verdict, str) else "" for verdict in verdicts]


def test_both_evaluators_decide_thousands_of_cases_alike():
    document = make_cases(count=4000, seed=_SEED + 1)
    ours, theirs = list(decisions(document)), _other_verdicts(document)
    assert all(theirs.count(word) > 200 for word in _WORDS.values())
    cases = zip(document["cases"], ours, theirs, strict=True)
    assert [(case, one, other) for case, one, other in cases if one != other][:3] == []


def test_the_vectors_hold_the_other_evaluators_verdicts():
    document = make_cases(count=_KEPT, seed=_SEED)
    for case, verdict in zip(document["cases"], _other_verdicts(document), strict=True):
        case["expect"] = verdict
    if os.environ.get("AUDITSEAL_WRITE_VECTORS"):
        (FOLDER / f"{_NAME}.json").write_text(_text(document))
    committed = load_vectors(_NAME)
    assert committed["cases"] == document["cases"]
    assert committed["statements"] == document["statements"]
    assert committed["contexts"] == document["contexts"]


def _text(document: dict[str, Any]) -> str:
    """One case a line: the file is long enough."""
    lists = [
        f'"{name}": [\n' + ",\n".join(json.dumps(item) for item in document[name]) + "\n]"
        for name in ("statements", "cases")
    ]
    head = '"schema_version": 1,\n"decided_by": "@cloud-copilot/iam-simulate"'
    return f'{{\n{head},\n"contexts": {json.dumps(document["contexts"])},\n' + ",\n".join(lists) + "\n}\n"
