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


_SHA256 = bytes.fromhex("0609608648016503040201")
"""The object identifier, in DER."""


def _der(tag: int, *parts: bytes) -> bytes:
    content = b"".join(parts)
    return bytes([tag, len(content)]) + content


def _digest_info(*, oid: bytes = _SHA256, null: bytes = b"\5\0", digest: bytes = DIGEST) -> bytes:
    return _der(0x30, _der(0x30, oid, null), _der(4, digest))


ENCODED = {
    "no parameters": (1, _digest_info(null=b"")),
    "parameters in a longer form": (1, _digest_info(null=b"\5\x81\0")),
    "parameters of another type": (1, _digest_info(null=b"\4\0")),
    "something within the parameters": (1, _digest_info(null=b"\5\0\5\0")),
    "SHA-512/256, of the same length": (1, _digest_info(oid=bytes.fromhex("0609608648016503040206"))),
    "a longer digest": (1, _digest_info(digest=DIGEST + b"\0")),
    "a shorter digest": (1, _digest_info(digest=DIGEST[:-1])),
    "the digest alone": (1, DIGEST),
    "something after it": (1, _digest_info() + bytes(180)),
    "the digest once more": (1, _digest_info() + DIGEST),
    "something before it": (1, b"\0" + _digest_info()),
    "of the type for encryption": (2, _digest_info()),
    "of the type without padding": (0, _digest_info()),
}
"""Block type and content of what somebody could let the key sign besides RFC 8017's one encoding (§9.2)."""


@pytest.mark.parametrize("name", ENCODED)
def test_no_other_encoding_of_the_same_digest_passes_for_rsa(name):
    block_type, content = ENCODED[name]
    with pytest.raises(SignatureInvalidError):
        _rule(AlgorithmId.RSA_SHA256)(_raw_rsa(block_type, content), DIGEST)


@given(at=st.integers(0, 255), value=st.integers(0, 255))
def test_no_other_byte_in_the_encoding_passes_for_rsa(at, value):
    form = bytearray(_encoded(1, _digest_info()))
    if at == 0:
        value %= 128  # else it is no residue of the modulus
    changed, form[at] = form[at] != value, value
    rule, signature = _rule(AlgorithmId.RSA_SHA256), _power(bytes(form))
    if not changed:
        rule(signature, DIGEST)
        return
    with pytest.raises(SignatureInvalidError):
        rule(signature, DIGEST)


def test_a_signature_that_is_not_below_the_modulus_is_refused():
    signature = int.from_bytes(_raw_rsa(1, _digest_info()))
    modulus = public_key(AlgorithmId.RSA_SHA256).public_numbers().n
    larger = signature + modulus
    for length in (256, 257):
        if larger < 1 << 8 * length:
            with pytest.raises(SignatureInvalidError):
                _rule(AlgorithmId.RSA_SHA256)(larger.to_bytes(length), DIGEST)


def _raw_rsa(block_type: int, content: bytes) -> bytes:
    return _power(_encoded(block_type, content))


def _encoded(block_type: int, content: bytes) -> bytes:
    return bytes([0, block_type]) + b"\xff" * (253 - len(content)) + b"\0" + content


def _power(form: bytes) -> bytes:
    """What the private key makes of any bytes, as RSA itself does, without a library's checks."""
    numbers = private_key(AlgorithmId.RSA_SHA256).private_numbers()
    return pow(int.from_bytes(form), numbers.d, numbers.public_numbers.n).to_bytes(256)


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
