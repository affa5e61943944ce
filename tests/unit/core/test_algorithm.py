import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, utils
from hypothesis import given
from hypothesis import strategies as st

from auditseal.core.algorithm import (
    ALGORITHMS,
    AlgorithmId,
    infer_algorithm,
    key_kind,
    offline_rule,
    parse_algorithm,
)
from auditseal.errors import InputError, SignatureInvalidError
from support.keys import SECRET, WITH_PUBLIC_KEY, private_key, public_key, sign

DIGEST = bytes(range(32))
EVERY = pytest.mark.parametrize("algorithm", AlgorithmId, ids=str)


def _key(algorithm):
    return SECRET if algorithm is AlgorithmId.HMAC_SHA256 else public_key(algorithm)


def _rule(algorithm):
    return offline_rule(ALGORITHMS[algorithm], _key(algorithm))


@EVERY
def test_a_signature_over_the_digest_passes(algorithm):
    _rule(algorithm)(sign(algorithm, DIGEST), DIGEST)


@EVERY
@given(st.data())
def test_any_one_bit_change_of_signature_or_digest_is_noticed(algorithm, data):
    signature = sign(algorithm, DIGEST)
    bit = data.draw(st.integers(0, 8 * (len(signature) + 32) - 1))
    both = bytearray(signature + DIGEST)
    both[bit // 8] ^= 1 << bit % 8
    with pytest.raises(SignatureInvalidError):
        _rule(algorithm)(bytes(both[: len(signature)]), bytes(both[len(signature) :]))


@EVERY
@pytest.mark.parametrize("change", [lambda s: b"", lambda s: s[:-1], lambda s: s + b"\0", lambda s: b"\0" * len(s)])
def test_a_signature_that_is_none_is_refused(algorithm, change):
    with pytest.raises(SignatureInvalidError, match=f"the {algorithm} signature does not verify"):
        _rule(algorithm)(change(sign(algorithm, DIGEST)), DIGEST)


@EVERY
@pytest.mark.parametrize("digest", [b"", DIGEST[:-1], DIGEST + b"\0"], ids=len)
def test_a_stored_hash_of_another_length_is_refused_and_not_an_error_of_the_library(algorithm, digest):
    with pytest.raises(SignatureInvalidError, match="are no hash"):
        _rule(algorithm)(sign(algorithm, DIGEST), digest)


@EVERY
def test_a_signature_by_another_key_is_refused(algorithm):
    if algorithm is AlgorithmId.HMAC_SHA256:
        rule = offline_rule(ALGORITHMS[algorithm], b"another secret")
    else:
        rule = offline_rule(ALGORITHMS[algorithm], public_key(algorithm, 1))
    with pytest.raises(SignatureInvalidError):
        rule(sign(algorithm, DIGEST), DIGEST)


def test_the_two_rsa_schemes_do_not_take_each_others_signatures():
    key = private_key(AlgorithmId.RSA_SHA256)
    prehashed = utils.Prehashed(hashes.SHA256())
    pkcs1 = key.sign(DIGEST, padding.PKCS1v15(), prehashed)
    pss = key.sign(DIGEST, padding.PSS(padding.MGF1(hashes.SHA256()), 32), prehashed)
    rules = {id_: offline_rule(ALGORITHMS[id_], key.public_key()) for id_ in ("rsa-sha256", "rsa-pss-sha256")}
    rules["rsa-sha256"](pkcs1, DIGEST)
    rules["rsa-pss-sha256"](pss, DIGEST)
    for id_, signature in (("rsa-sha256", pss), ("rsa-pss-sha256", pkcs1)):
        with pytest.raises(SignatureInvalidError):
            rules[id_](signature, DIGEST)


@pytest.mark.parametrize("salt", [0, 20, 64])
def test_a_pss_salt_of_another_length_than_32_is_refused(salt):
    key = private_key(AlgorithmId.RSA_PSS_SHA256)
    scheme = padding.PSS(padding.MGF1(hashes.SHA256()), salt)
    signature = key.sign(DIGEST, scheme, utils.Prehashed(hashes.SHA256()))
    with pytest.raises(SignatureInvalidError):
        _rule(AlgorithmId.RSA_PSS_SHA256)(signature, DIGEST)


def test_a_key_serves_its_own_algorithms_alone():
    fitting = {
        (algorithm, other)
        for algorithm in AlgorithmId
        for other in AlgorithmId
        if algorithm == other or {algorithm, other} == {AlgorithmId.RSA_SHA256, AlgorithmId.RSA_PSS_SHA256}
    }
    taken = set()
    for algorithm in AlgorithmId:
        for other in AlgorithmId:
            try:
                offline_rule(ALGORITHMS[algorithm], _key(other))
            except InputError:
                continue
            taken.add((algorithm, other))
    assert taken == fitting


def test_a_key_that_cannot_serve_is_named_in_the_refusal():
    with pytest.raises(InputError, match="an RSA-2048 key cannot serve ed25519"):
        offline_rule(ALGORITHMS[AlgorithmId.ED25519], public_key(AlgorithmId.RSA_SHA256))
    p384 = ec.generate_private_key(ec.SECP384R1()).public_key()
    with pytest.raises(InputError, match="an EC secp384r1 key cannot serve ecdsa"):
        offline_rule(ALGORITHMS[AlgorithmId.ECDSA_P256_SHA256], p384)


@pytest.mark.parametrize(
    ("name", "id_"),
    [
        ("rsa-sha256", "rsa-sha256"),
        ("RSA-SHA256", "rsa-sha256"),
        ("rsa", "rsa-sha256"),
        ("RSA", "rsa-sha256"),
        ("rsa-pkcs1v15-sha256", "rsa-sha256"),
        ("RSASSA_PKCS1_V1_5_SHA_256", "rsa-sha256"),
        ("RSASSA_PSS_SHA_256", "rsa-pss-sha256"),
        ("rsa-pss", "rsa-pss-sha256"),
        ("ECDSA_SHA_256", "ecdsa-p256-sha256"),
        ("ecdsa", "ecdsa-p256-sha256"),
        ("ecdsa-p256", "ecdsa-p256-sha256"),
        ("Ed25519", "ed25519"),
        ("ED25519_SHA_512", "ed25519"),
        (" ed25519 ", "ed25519"),
        ("ML_DSA_65", "ml-dsa-65"),
        ("hmac", "hmac-sha256"),
        ("HMAC_SHA_256", "hmac-sha256"),
    ],
)
def test_a_name_in_any_case_is_understood(name, id_):
    assert parse_algorithm(name).id == id_


@pytest.mark.parametrize("name", ["", "rsa-sha1", "sha256", "none", "ML_DSA_SHAKE_256", "ed448", "ecdsa-p384"])
def test_another_name_is_refused_with_the_ones_there_are(name):
    with pytest.raises(InputError, match=r"use one of rsa-sha256, rsa-pss-sha256, .*hmac-sha256"):
        parse_algorithm(name)


@EVERY
def test_every_algorithm_reads_back_by_its_id_and_says_how_kms_is_asked(algorithm):
    row = parse_algorithm(algorithm)
    assert row is ALGORITHMS[algorithm]
    assert row.is_mac == (algorithm == "hmac-sha256")
    assert row.kms_key_usage == ("GENERATE_VERIFY_MAC" if row.is_mac else "SIGN_VERIFY")
    pure = algorithm == "ed25519" or algorithm.startswith("ml-dsa")
    assert row.kms_message_type == (None if row.is_mac else "RAW" if pure else "DIGEST")


@EVERY
def test_a_signature_has_the_length_that_the_table_says(algorithm):
    assert ALGORITHMS[algorithm].signature_bytes in (None, len(sign(algorithm, DIGEST)))


@pytest.mark.parametrize("algorithm", WITH_PUBLIC_KEY, ids=str)
def test_the_algorithm_is_inferred_from_the_key(algorithm):
    expected = AlgorithmId.RSA_SHA256 if algorithm is AlgorithmId.RSA_PSS_SHA256 else algorithm
    assert infer_algorithm(public_key(algorithm)).id is expected


def test_no_algorithm_is_inferred_from_another_curve():
    with pytest.raises(InputError, match="EC secp384r1"):
        infer_algorithm(ec.generate_private_key(ec.SECP384R1()).public_key())


def test_a_kind_of_key_is_named():
    assert [key_kind(_key(id_)) for id_ in AlgorithmId] == [
        "RSA-2048",
        "RSA-2048",
        "EC secp256r1",
        "ED25519",
        "ML-DSA-44",
        "ML-DSA-65",
        "ML-DSA-87",
        "secret",
    ]
