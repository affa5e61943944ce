"""Keys and signatures against Node.js: it loads every key that we write, and judges every signature as we do."""

import base64
import hashlib
import json

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from auditseal.core.algorithm import AlgorithmId
from auditseal.core.registry import Registry
from auditseal.errors import SignatureInvalidError
from differential.committed import keep, read_committed
from differential.node import run_node
from support.keys import private_key, sign, signer

NAME = "signatures"
MESSAGE = b'{"actor":null,"id":"01936f5e-0000-7000-8000-000000000001","payload":{},"seq":0}' + bytes(32)
DIGEST = hashlib.sha256(MESSAGE).digest()
RSA, PSS = AlgorithmId.RSA_SHA256, AlgorithmId.RSA_PSS_SHA256


def _fresh():
    """A registry of new keys, and a signature by each."""
    members = [(f"{id_}", id_, private_key(id_)) for id_ in AlgorithmId]
    # One key under both schemes, so that they can be mistaken for one another.
    members[1] = (f"{PSS}", PSS, private_key(RSA))
    members += [(f"{RSA}-{bits}", RSA, rsa.generate_private_key(65537, bits)) for bits in (3072, 4096)]
    signers, signatures = [], {}
    for name, id_, key in members:
        public = {} if id_ is AlgorithmId.HMAC_SHA256 else {"public_key": key.public_key()}
        signers.append(signer(id_, signer_id=name, **public))
        signatures[name] = sign(id_, DIGEST, key=key)
    return Registry(signers=tuple(signers)), signatures


def _cases(registry, signatures):
    """Each signature, and what somebody could do to it: (name, signer, message, signature)."""
    other = MESSAGE + b"\0"
    for member in registry:
        name = member.signer_id
        good = signatures[name]
        yield f"{name}: good", name, MESSAGE, good
        yield f"{name}: over another message", name, other, good
        yield f"{name}: first bit flipped", name, MESSAGE, bytes([good[0] ^ 0x80]) + good[1:]
        yield f"{name}: last bit flipped", name, MESSAGE, good[:-1] + bytes([good[-1] ^ 1])
        yield f"{name}: a byte appended", name, MESSAGE, good + b"\0"
        yield f"{name}: cut", name, MESSAGE, good[:-1]
        yield f"{name}: empty", name, MESSAGE, b""
        yield f"{name}: zeros", name, MESSAGE, bytes(len(good))
    yield "PKCS #1 v1.5 under PSS", str(PSS), MESSAGE, signatures[RSA]
    yield "PSS under PKCS #1 v1.5", str(RSA), MESSAGE, signatures[PSS]
    yield "ecdsa: length in a longer form", "ecdsa-p256-sha256", MESSAGE, _longer(signatures["ecdsa-p256-sha256"])


def _longer(der):
    return b"\x30\x81" + der[1:]


def _node(document, cases):
    members = [
        {"signer": name, "message": message.hex(), "signature": base64.b64encode(signature).decode()}
        for _, name, message, signature in cases
    ]
    return json.loads(run_node("signatures.mjs", json.dumps({"signers": document["signers"], "cases": members})))


def _accepts(member, message, signature):
    try:
        member.rule(signature, hashlib.sha256(message).digest())
    except SignatureInvalidError:
        return False
    return True


def _compare(registry, cases, answer):
    assert answer["keys"] == {
        member.signer_id: {"type": answer["keys"][member.signer_id]["type"], "fingerprint": member.fingerprint}
        for member in registry
        if member.public_key is not None
    }
    for (case, name, message, signature), accepted in zip(cases, answer["verdicts"], strict=True):
        assert _accepts(registry.find(name), message, signature) == accepted, case
        assert accepted == case.endswith(": good"), case


@pytest.mark.parametrize("key_form", ["pem", "der"])
def test_node_loads_every_key_that_we_write_and_judges_every_signature_alike(key_form):
    registry, signatures = _fresh()
    cases = list(_cases(registry, signatures))
    document = json.loads(registry.to_json_bytes(key_form=key_form))
    _compare(registry, cases, _node(document, cases))


def test_the_vectors_are_those_that_are_committed():
    """Keys and signatures are random: those that are committed are kept, and everything else is made anew of them."""
    committed = read_committed(NAME)
    if committed is None:
        registry, signatures = _fresh()
    else:
        registry = Registry.parse(json.dumps(committed["registry"]).encode())
        signatures = {
            case["signer"]: base64.b64decode(case["signature"])
            for case in committed["cases"]
            if case["name"].endswith(": good")
        }
    cases = list(_cases(registry, signatures))
    document = json.loads(registry.to_json_bytes())
    answer = _node(document, cases)
    _compare(registry, cases, answer)
    keep(
        NAME,
        {
            "note": "Signatures over digest = SHA-256(message) by the keys of 'registry', a signers.json, and whether "
            "Node.js accepts each. The keys are of the tests alone.",
            "registry": document,
            "cases": [
                {
                    "name": case,
                    "signer": name,
                    "message": message.hex(),
                    "digest": hashlib.sha256(message).hexdigest(),
                    "signature": base64.b64encode(signature).decode(),
                    "expect": "accepted" if accepted else "refused",
                }
                for (case, name, message, signature), accepted in zip(cases, answer["verdicts"], strict=True)
            ],
        },
    )
