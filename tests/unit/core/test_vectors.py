"""Replays the vectors that other programs made (script/differential) and those of the existing deployment."""

import base64
import hashlib
import json

import pytest

from auditseal.core.canonical import MAX_INTEGER, canonicalize, parse_json
from auditseal.core.chain import entry_hash
from auditseal.core.registry import Registry
from auditseal.errors import CanonicalError, SignatureInvalidError
from support.vectors import load_vectors

NODE = load_vectors("canonical_node")["cases"]
SIGNATURES = load_vectors("signatures")
GOLDEN = ("golden_rsa2048_pkcs1v15", "golden_hmac_sha256")


def _as_doubles(digits):
    """How a JavaScript program reads integers."""
    number = int(digits)
    return number if abs(number) <= MAX_INTEGER else float(number)


@pytest.mark.parametrize("case", [case for case in NODE if "canonical" in case], ids=lambda case: case["sha256"][:8])
def test_the_canonical_form_is_what_node_writes(case):
    form = canonicalize(parse_json(case["text"]))
    assert form == case["canonical"].encode()
    assert hashlib.sha256(form).hexdigest() == case["sha256"]


@pytest.mark.parametrize("case", [case for case in NODE if "refused" in case], ids=lambda case: case["text"][:30])
def test_what_node_gives_a_form_that_hides_something_is_refused(case):
    with pytest.raises(CanonicalError) as caught:
        parse_json(case["text"])
    assert caught.value.reason == case["refused"]


@pytest.mark.parametrize("case", SIGNATURES["cases"], ids=lambda case: case["name"])
def test_a_signature_is_judged_as_node_judges_it(case):
    signer = Registry.parse(json.dumps(SIGNATURES["registry"]).encode()).find(case["signer"])
    digest = bytes.fromhex(case["digest"])
    assert digest == hashlib.sha256(bytes.fromhex(case["message"])).digest()
    try:
        signer.rule(base64.b64decode(case["signature"]), digest)
        verdict = "accepted"
    except SignatureInvalidError:
        verdict = "refused"
    assert verdict == case["expect"]


@pytest.mark.parametrize("name", GOLDEN)
def test_the_existing_deployments_chain_is_formed_linked_and_signed_as_it_says(name):
    golden = load_vectors(name)
    registry = Registry.parse(json.dumps(golden["signers"]).encode())
    before = b""
    for row in golden["rows"]:
        assert bytes.fromhex(row["prev_hash"] or "") == before
        form = canonicalize(json.loads(row["payload_jsonb_text"], parse_int=_as_doubles))
        assert form == row["expected_canonical"].encode()
        before = entry_hash(form, before)
        assert before.hex() == row["expected_hash"]
        registry.find(row["signer_kid"]).rule(base64.b64decode(row["signature"]), before)
    assert before.hex() == golden["head_hash"]


@pytest.mark.parametrize("name", GOLDEN)
def test_a_number_that_the_existing_deployment_rounded_is_refused_as_an_event(name):
    row = next(row for row in load_vectors(name)["rows"] if "big" in row["payload"])
    with pytest.raises(CanonicalError) as caught:
        parse_json(row["payload_jsonb_text"])
    assert caught.value.reason == "integer-out-of-range"
