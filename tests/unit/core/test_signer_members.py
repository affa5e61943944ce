"""Every row of the table of signers.json files in the wild, and the form that is written."""

import base64
import json

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from auditseal.core.algorithm import AlgorithmId
from auditseal.core.key import fingerprint, spki_der, to_pem
from auditseal.core.registered_signer import Status
from auditseal.core.registry_formats import read_document
from auditseal.core.signer_members import format_signer, parse_signer
from auditseal.core.validity import Bound
from auditseal.errors import InputError
from support.keys import SECRET, WITH_PUBLIC_KEY, public_key, signer

RSA, EC, ED25519, HMAC = (
    AlgorithmId.RSA_SHA256,
    AlgorithmId.ECDSA_P256_SHA256,
    AlgorithmId.ED25519,
    AlgorithmId.HMAC_SHA256,
)


def _read(document):
    raws, _ = read_document(json.dumps(document).encode())
    (raw,) = raws
    return parse_signer(raw)


def _der(algorithm):
    return base64.b64encode(spki_der(public_key(algorithm))).decode()


def _pem(algorithm):
    return to_pem(public_key(algorithm))


def _pkcs1():
    return public_key(RSA).public_bytes(Encoding.PEM, PublicFormat.PKCS1).decode()


RAW = base64.b64encode(public_key(ED25519).public_bytes_raw()).decode()

WILD = {
    "the verifier's own, ed25519": (
        ED25519,
        {
            "signer_kid": "k",
            "algorithm": "ed25519",
            "public_key_pem": _pem(ED25519),
            "deployedAt": "2026-01-01",
            "description": "d",
        },
    ),
    "the verifier's own, rsa": (RSA, {"signer_kid": "k", "algorithm": "rsa-sha256", "public_key_pem": _pem(RSA)}),
    "guidance, PEM": (RSA, {"signerId": "k", "algorithm": "rsa-sha256", "publicKey": _pem(RSA)}),
    "guidance, base64 DER": (ED25519, {"signerId": "k", "algorithm": "Ed25519", "publicKey": _der(ED25519)}),
    "the Go registry, raw": (
        ED25519,
        {"signerId": "k", "algorithm": "Ed25519", "publicKey": RAW, "createdAt": "2026-01-01T00:00:00Z"},
    ),
    "SQL export": (RSA, {"signer_id": "k", "algorithm": "RSA-SHA256", "public_key": _der(RSA)}),
    "rotation tool": (EC, {"signerId": "k", "publicKey": _der(EC)}),
    "algorithm by type alone": (RSA, {"signerId": "k", "algorithm": "rsa", "publicKey": _pem(RSA)}),
    "PKCS #1": (RSA, {"signerId": "k", "algorithm": "rsa-sha256", "publicKey": _pkcs1()}),
}
MAPS = {
    "environment JSON, PEM": (RSA, {"k": {"alg": "rsa-sha256", "key": _pem(RSA)}}),
    "environment JSON, HMAC": (HMAC, {"k": {"alg": "hmac-sha256", "key": SECRET.decode()}}),
    "environment JSON, raw": (ED25519, {"k": {"alg": "Ed25519", "key": RAW}}),
    "KMS update script": (RSA, {"k": _pem(RSA)}),
    "KMS update script, P-256": (EC, {"k": _pem(EC)}),
}


def _check(registered, algorithm):
    assert (registered.signer_id, registered.algorithm.id) == ("k", algorithm)
    if algorithm is HMAC:
        assert registered.secret == SECRET
    else:
        assert registered.fingerprint == fingerprint(public_key(algorithm))


@pytest.mark.parametrize("name", WILD)
@pytest.mark.parametrize("around", [lambda m: {"signers": [m]}, lambda m: [m]], ids=["signers", "bare array"])
def test_a_signer_in_the_wild_is_read(name, around):
    algorithm, members = WILD[name]
    _check(_read(around(members)), algorithm)


@pytest.mark.parametrize("name", MAPS)
@pytest.mark.parametrize(
    "around", [lambda m: {"signers": m}, lambda m: m, lambda m: [m]], ids=["signers", "bare map", "bare array"]
)
def test_a_map_in_the_wild_is_read(name, around):
    algorithm, members = MAPS[name]
    _check(_read(around(members)), algorithm)


def test_members_that_are_not_known_are_kept():
    assert _read([WILD["the verifier's own, ed25519"][1]]).extra == {"deployedAt": "2026-01-01"}
    assert _read([WILD["the Go registry, raw"][1]]).extra == {"createdAt": "2026-01-01T00:00:00Z"}


@pytest.mark.parametrize("form", [str.lower, str.upper, lambda t: f"sha256:{t}", lambda t: f"SHA256:{t.upper()}"])
def test_a_fingerprint_that_is_right_is_taken_in_every_form(form):
    members = {"signerId": "k", "publicKey": _pem(EC), "fingerprint": form(fingerprint(public_key(EC)))}
    assert _read([members]).fingerprint == fingerprint(public_key(EC))


@pytest.mark.parametrize(
    ("members", "error"),
    [
        ({"publicKey": _pem(RSA), "fingerprint": "00" * 32}, "fingerprint is not the SHA-256"),
        ({"alg": "hmac", "key": "x" * 32, "fingerprint": "00" * 32}, "fingerprint is not the SHA-256"),
        ({"publicKey": _pem(RSA), "key": _pem(EC)}, "two members hold different keys"),
        ({"publicKey": _pem(RSA), "public_key": _der(EC)}, r"\(RSA-2048, EC secp256r1\): keep one"),
        ({"publicKey": _pem(RSA), "alg": "ed25519"}, "an RSA-2048 key cannot serve ed25519"),
        ({"publicKey": RAW, "alg": "rsa"}, "not a public key that can be read"),
        ({}, "no public key"),
        ({"alg": "rsa"}, "no public key"),
        ({"key": RAW}, "not a public key that can be read"),
        ({"key": "a-plain-secret"}, "neither PEM nor whole"),
        ({"alg": "hmac", "publicKey": "x"}, "a MAC has no public key"),
        ({"alg": "hmac", "key": "x", "Key": "y"}, "two members hold different secrets"),
        ({"alg": "hmac", "key": _pem(RSA)}, "empty or public"),
        ({"alg": "hmac"}, "neither a secret nor a keyArn"),
        ({"publicKey": _pem(RSA), "status": "gone"}, "status 'gone'"),
        ({"publicKey": _pem(RSA), "status": 1}, "status '1'"),
        ({"publicKey": _pem(RSA), "keyArn": 1}, "keyArn is not a text"),
        ({"publicKey": _pem(RSA), "description": []}, "description is not a text"),
        ({"publicKey": _pem(RSA), "development": "yes"}, "development is neither true nor false"),
        ({"publicKey": _pem(RSA), "validFrom": {}}, "validFrom: a bound names neither"),
        ({"publicKey": _pem(RSA), "valid_until": "soon"}, "validUntil: 'soon' is not a time"),
    ],
)
def test_what_is_ambiguous_or_contradicts_itself_is_refused_with_its_place(members, error):
    with pytest.raises(InputError, match=error) as caught:
        _read([{"signerId": "k"} | members])
    assert str(caught.value).startswith("signers[0] ('k'): ")


def test_two_members_with_the_same_key_in_two_forms_are_one_key():
    both = {"signerId": "k", "publicKey": _pem(RSA), "public_key": _der(RSA), "key": _pkcs1()}
    assert _read([both]).fingerprint == fingerprint(public_key(RSA))


def test_all_members_of_the_design_are_read():
    members = {
        "signerId": "k",
        "algorithm": "rsa-pss-sha256",
        "publicKey": _pem(RSA),
        "keyArn": "arn:aws:kms:eu-central-1:111122223333:key/k",
        "keySpec": "RSA_2048",
        "status": "Retired",
        "validFrom": {"time": "2026-07-01T00:00:00Z", "seq": {"a": 3}},
        "validUntil": {"seq": {"a": 9}},
        "description": "d",
        "development": True,
    }
    registered = _read([members])
    assert registered.algorithm.id is AlgorithmId.RSA_PSS_SHA256
    assert (registered.key_arn, registered.key_spec) == (members["keyArn"], "RSA_2048")
    assert registered.status is Status.RETIRED
    assert registered.valid_from == Bound(time="2026-07-01T00:00:00Z", seq={"a": 3})
    assert registered.valid_until == Bound(seq={"a": 9})
    assert (registered.description, registered.development) == ("d", True)


@pytest.mark.parametrize("algorithm", AlgorithmId, ids=str)
@pytest.mark.parametrize("key_form", ["pem", "der"])
def test_what_is_written_reads_back_as_the_signer(algorithm, key_form):
    registered = signer(
        algorithm,
        key_arn="arn:aws:kms:eu-central-1:111122223333:key/k",
        status=Status.RETIRED,
        valid_from=Bound(seq={"a": 3}),
        valid_until=Bound(time="2026-07-01T00:00:00Z"),
        description="d é",
        development=True,
        extra={"deployedAt": None, "deep": {"a": [1.5, "x"]}},
    )
    assert _read([format_signer(registered, key_form)]) == registered


@pytest.mark.parametrize("algorithm", WITH_PUBLIC_KEY, ids=str)
def test_the_form_that_is_written_has_the_designs_names_in_a_fixed_order(algorithm):
    members = format_signer(signer(algorithm, extra={"x": 1}), "pem")
    assert list(members) == ["signerId", "algorithm", "publicKey", "fingerprint", "status", "x"]
    assert members["algorithm"] == str(algorithm)
    assert members["publicKey"] == to_pem(public_key(algorithm))
    assert base64.b64decode(format_signer(signer(algorithm), "der")["publicKey"]) == spki_der(public_key(algorithm))


def test_no_refusal_shows_a_secret():
    with pytest.raises(InputError) as caught:
        _read([{"signerId": "k", "alg": "hmac", "key": SECRET.decode(), "Key": "another"}])
    assert SECRET.decode() not in str(caught.value)
    with pytest.raises(InputError) as caught:
        _read([{"signerId": "k", "key": SECRET.decode()}])
    assert SECRET.decode() not in str(caught.value)
