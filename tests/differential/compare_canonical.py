"""Our canonical JSON against Node.js's, value by value."""

import hashlib

import pytest

from auditseal.core.canonical import canonicalize, parse_json
from auditseal.errors import CanonicalError
from differential.committed import keep
from differential.node import run_node
from differential.values import make_texts

_SEED = 8785
_COMPARED = 20_000
_KEPT = 300
# Node.js gives each of these a form. It is not the only one that a reader could take the text for.
_REFUSED = (
    ('{"a":1,"a":2}', "duplicate-key"),
    ('{"a":1,"\\u0061":2}', "duplicate-key"),
    ('[{"b":{"a":1,"a":1}}]', "duplicate-key"),
    ('"\\ud800"', "lone-surrogate"),
    ('"\\udc00\\ud800"', "lone-surrogate"),
    ('{"\\udfff":1}', "lone-surrogate"),
    ("9007199254740992", "integer-out-of-range"),
    ("9007199254740993", "integer-out-of-range"),
    ("-9007199254740992", "integer-out-of-range"),
    ("123456789012345678901", "integer-out-of-range"),
    ("1e309", "not-finite"),
    ("[-1e400]", "not-finite"),
    ("[" * 65 + "]" * 65, "too-deep"),
)


def _node(texts):
    return run_node("canonicalize.mjs", "".join(f"{text}\n" for text in texts)).split("\n")[:-1]


def test_thousands_of_values_have_the_form_that_node_writes():
    texts = make_texts(_SEED, _COMPARED)
    forms = _node(texts)
    assert len(forms) == _COMPARED
    assert sum(not form.isascii() for form in forms) > _COMPARED / 10
    for text, form in zip(texts, forms, strict=True):
        assert canonicalize(_as_node_reads(text)) == form.encode(), text


def _as_node_reads(text):
    try:
        return parse_json(text)
    except CanonicalError as error:
        pytest.fail(f"{text} is refused: {error}")


def test_the_vectors_are_those_that_are_committed():
    texts = make_texts(_SEED, _KEPT)
    cases = [
        {"text": text, "canonical": form, "sha256": hashlib.sha256(form.encode()).hexdigest()}
        for text, form in zip(texts, _node(texts), strict=True)
    ]
    refused = [
        {"text": text, "refused": reason, "node": form}
        for (text, reason), form in zip(_REFUSED, _node([text for text, _ in _REFUSED]), strict=True)
    ]
    keep(
        "canonical_node",
        {
            "note": "JSON texts and their canonical form (RFC 8785) as Node.js writes it, with its SHA-256. Where "
            "'refused' stands, auditseal refuses the text for that reason; 'node' is the form that Node.js gives it.",
            "cases": cases + refused,
        },
    )
