"""The evaluator decides as an independent one did: 2,400 generated cases, replayed."""

from __future__ import annotations

from collections import Counter

from support.decisions import decisions
from support.vectors import load_vectors


def test_every_case_is_decided_as_the_independent_evaluator_did():
    document = load_vectors("policy-decisions")
    expected = [case["expect"] for case in document["cases"]]
    assert len(expected) >= 2000
    assert min(Counter(expected).values()) > 200
    differing = [
        (case, verdict)
        for case, verdict in zip(document["cases"], decisions(document), strict=True)
        if verdict != case["expect"]
    ]
    assert differing == []
