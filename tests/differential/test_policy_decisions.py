"""Our evaluator and `@cloud-copilot/iam-simulate` decide thousands of generated cases alike.

Run by `script/differential`, which installs the other one. Run as a program, this file writes the cases and the other
one's verdicts to the vectors that the unit tests replay.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE / "policy")]

from cases import make_cases  # noqa: E402 - found through the path above

from support.decisions import decisions  # noqa: E402

VECTORS = HERE.parent / "vectors" / "policy-decisions.json"
PEER = HERE.parent.parent / ".tools" / "policy-peer"
_WORDS = {
    "Allowed": "allowed",
    "ExplicitlyDenied": "explicitly denied",
    "ImplicitlyDenied": "implicitly denied",
}


def other_verdicts(document: dict[str, Any]) -> list[str]:
    """What the other evaluator says of each case."""
    done = subprocess.run(
        ["node", str(HERE / "policy" / "simulate.mjs"), str(PEER)],
        input=json.dumps(document),
        capture_output=True,
        text=True,
        check=True,
    )
    return [_WORDS.get(verdict, "") if isinstance(verdict, str) else "" for verdict in json.loads(done.stdout)]


def test_both_evaluators_decide_every_case_alike():
    document = make_cases(count=4000, seed=20261101)
    ours, theirs = list(decisions(document)), other_verdicts(document)
    different = [
        (case, one, other) for case, one, other in zip(document["cases"], ours, theirs, strict=True) if one != other
    ]
    assert not different[:3]
    assert {theirs.count(word) > 100 for word in _WORDS.values()} == {True}


def test_the_committed_vectors_hold_the_other_evaluators_verdicts():
    document = json.loads(VECTORS.read_text())
    assert [case["expect"] for case in document["cases"]] == other_verdicts(document)


def write_vectors() -> None:
    """Makes the vectors anew, one case a line."""
    document = make_cases(count=2400, seed=20261124)
    for case, verdict in zip(document["cases"], other_verdicts(document), strict=True):
        case["expect"] = verdict
    parts = [
        f'"{name}": [\n' + ",\n".join(json.dumps(item) for item in document[name]) + "\n]"
        for name in ("statements", "cases")
    ]
    contexts = json.dumps(document["contexts"])
    head = '"schema_version": 1,\n"decided_by": "@cloud-copilot/iam-simulate 0.1.173"'
    VECTORS.write_text(f'{{\n{head},\n"contexts": {contexts},\n' + ",\n".join(parts) + "\n}\n")


if __name__ == "__main__":
    write_vectors()
