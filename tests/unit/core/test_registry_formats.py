"""Every shape of signers.json in the wild is brought into one; what is ambiguous is refused."""

import json

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from auditseal.core.registry_formats import member_of, read_document
from auditseal.errors import InputError
from support.keys import WITH_PUBLIC_KEY, private_key


def _read(document):
    return read_document(json.dumps(document).encode())


def _pem(algorithm="rsa-sha256"):
    return private_key(algorithm).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


@pytest.mark.parametrize(
    ("spelling", "member"),
    [
        ("signerId", "signerId"),
        ("signer_id", "signerId"),
        ("signer_kid", "signerId"),
        ("kid", "signerId"),
        ("KID", "signerId"),
        ("signer-id", "signerId"),
        ("alg", "algorithm"),
        ("public_key_pem", "publicKey"),
        ("publicKeyPem", "publicKey"),
        ("public_key", "publicKey"),
        ("key", "key"),
        ("valid_until", "validUntil"),
        ("ValidFrom", "validFrom"),
        ("key_arn", "keyArn"),
        ("deployedAt", None),
        ("createdAt", None),
        ("", None),
    ],
)
def test_a_member_is_known_by_any_spelling(spelling, member):
    assert member_of(spelling) == member


@pytest.mark.parametrize(
    "document",
    [
        {"signers": [{"signerId": "k", "alg": "rsa", "publicKey": "P"}]},
        {"signers": {"k": {"alg": "rsa", "publicKey": "P"}}},
        [{"signer_id": "k", "algorithm": "RSA-SHA256", "public_key": "P"}],
        {"k": {"alg": "rsa-sha256", "public_key_pem": "P"}},
        {"k": {"kid": "k", "alg": "rsa-sha256", "publicKey": "P"}},
        [{"k": {"alg": "rsa-sha256", "publicKey": "P"}}],
    ],
    ids=range(6),
)
def test_every_shape_gives_the_same_signer(document):
    (raw,), extra = _read(document)
    assert (raw.signer_id, raw.algorithm.id, raw.public_keys, raw.keys) == ("k", "rsa-sha256", ("P",), ())
    assert (dict(raw.members), dict(raw.extra), extra) == ({}, {}, {})


def test_a_map_of_bare_texts_gives_keys():
    (first, second), _ = _read({"a": "PEM", "b": "SECRET"})
    assert [(raw.signer_id, raw.keys, raw.algorithm) for raw in (first, second)] == [
        ("a", ("PEM",), None),
        ("b", ("SECRET",), None),
    ]


def test_an_empty_registry_is_one_in_every_shape():
    for document in ({}, [], {"signers": []}, {"signers": {}}):
        assert _read(document) == ([], {})


def test_what_is_not_known_is_kept_apart_at_both_levels():
    (raw,), extra = _read(
        {"version": 3, "signers": [{"signerId": "k", "publicKey": "P", "deployedAt": "x", "deep": {"a": [1, None]}}]}
    )
    assert extra == {"version": 3}
    assert dict(raw.extra) == {"deployedAt": "x", "deep": {"a": [1, None]}}


def test_known_members_that_are_null_are_left_out():
    (raw,), _ = _read([{"signerId": "k", "publicKey": "P", "status": None, "alg": None, "key": None}])
    assert (dict(raw.members), raw.algorithm, raw.keys) == ({}, None, ())


def test_two_spellings_of_one_member_may_agree():
    (raw,), _ = _read([{"signerId": "k", "kid": "k", "alg": "RSA", "algorithm": "rsa-sha256", "publicKey": "P"}])
    assert (raw.signer_id, raw.algorithm.id) == ("k", "rsa-sha256")


@pytest.mark.parametrize(
    ("document", "error"),
    [
        ([{"signerId": "a", "kid": "b", "key": "x"}], "two members that mean signerId disagree"),
        ({"a": {"kid": "b", "key": "x"}}, "two members that mean signerId disagree"),
        ([{"signerId": "a", "alg": "rsa", "algorithm": "ed25519"}], "two members that mean algorithm disagree"),
        ([{"signerId": "a", "status": "active", "STATUS": "revoked"}], "two members that mean status disagree"),
        ([{"publicKey": "x"}], "has no signerId"),
        ([{"signerId": 7}], "signerId is not a text"),
        ([{"signerId": "a", "publicKey": ["x"]}], "publicKey is not a text"),
        ([{"signerId": "a", "alg": "rot13"}], "unknown signature algorithm 'rot13'"),
        (["text"], r"signers\[0\] is not an object with signerId"),
        ([{}], "has no signerId"),
        ([[]], r"signers\[0\] is not an object"),
        ({"a": 1}, r"signers\['a'\] is not an object or a PEM text"),
        ({"a": None}, r"signers\['a'\] is not an object or a PEM text"),
        ({"signerId": "a", "publicKey": "x"}, "a signer without a list around it"),
        ({"kid": "x"}, "a signer without a list around it"),
        ({"signers": None}, "neither an object nor a list"),
        ({"signers": "x"}, "neither an object nor a list"),
        ("text", "neither an object nor a list"),
        (7, "neither an object nor a list"),
        (None, "neither an object nor a list"),
    ],
)
def test_what_is_ambiguous_or_of_no_known_shape_is_refused_with_its_place(document, error):
    with pytest.raises(InputError, match=error):
        _read(document)


def test_the_place_names_the_signer():
    with pytest.raises(InputError, match=r"^signers\[1\] \('b'\): unknown signature algorithm"):
        _read({"signers": [{"signerId": "a", "key": "x"}, {"signerId": "b", "alg": "x"}]})


@pytest.mark.parametrize(
    "text",
    [
        '{"signers": [{"signerId": "a", "publicKey": "x", "publicKey": "y"}]}',
        '{"a": "x", "a": "y"}',
        '{"signers": [], "signers": []}',
    ],
)
def test_a_member_that_stands_twice_is_named(text):
    with pytest.raises(InputError, match=r"^'(publicKey|a|signers)' stands twice in one object"):
        read_document(text.encode())


def test_a_member_that_stands_twice_is_refused_even_where_the_rest_is_broken():
    with pytest.raises(InputError, match="stands twice"):
        read_document(b'{"a": {"b": 1, "b": 2}, ')


@pytest.mark.parametrize("data", [b"", b"{", b"\xff", b"[" * 100_000, b"{'a': 1}", b'"\\ud800"'])
def test_what_is_not_json_is_refused_with_an_example(data):
    with pytest.raises(InputError, match=r'a registry is \{"signers"'):
        read_document(data)


def test_a_registry_above_the_limit_is_refused():
    with pytest.raises(InputError, match="too large"):
        read_document(b" " * (4 * 1024 * 1024 + 1))


def _places(secret):
    yield {"signers": [{"signerId": "a", "key": secret}]}
    yield {"signers": [{"signerId": "a", "publicKey": secret}]}
    yield {"signers": [{"signerId": "a", "key": "x", "notes": {"deep": [secret]}}]}
    yield {"a": secret}
    yield {"a": {"alg": "hmac", "key": secret}}
    yield [secret]
    yield {"notes": secret, "signers": []}
    yield {"signers": [{"signerId": "a", secret: "x"}]}
    yield secret


@pytest.mark.parametrize("algorithm", WITH_PUBLIC_KEY, ids=str)
def test_a_private_key_is_refused_wherever_it_stands_and_never_shown(algorithm):
    pem = _pem(algorithm)
    for document in _places(pem):
        with pytest.raises(InputError, match="a private key stands here: remove it") as caught:
            _read(document)
        for line in pem.splitlines()[1:-1]:
            assert line[:16] not in str(caught.value)
        assert caught.value.__cause__ is None


def test_a_private_key_is_refused_where_the_file_is_not_json():
    with pytest.raises(InputError, match="a private key stands here"):
        read_document(_pem().encode())


def test_a_private_jwk_is_refused():
    with pytest.raises(InputError, match=r"^signers\[0\]\['jwk'\]: a private key stands here"):
        _read([{"signerId": "a", "jwk": {"kty": "OKP", "crv": "Ed25519", "x": "AA", "d": "BB"}}])
