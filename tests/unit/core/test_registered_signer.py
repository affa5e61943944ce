import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from auditseal.core.algorithm import AlgorithmId
from auditseal.core.key import fingerprint, spki_der, to_pem
from auditseal.core.registered_signer import RegisteredSigner, Status, parse_status
from auditseal.core.validity import Bound
from auditseal.errors import CanonicalError, InputError, SignatureInvalidError, SignerNotAllowedError
from support.keys import SECRET, WITH_PUBLIC_KEY, private_key, public_key, sign, signer

HMAC, ED25519, RSA = AlgorithmId.HMAC_SHA256, AlgorithmId.ED25519, AlgorithmId.RSA_SHA256
DIGEST = bytes(range(32))
PLACE = {"stream": "default", "seq": 5, "time": "2026-07-01T00:00:00.000000Z"}


@pytest.mark.parametrize("algorithm", AlgorithmId, ids=str)
def test_a_signers_rule_checks_its_signatures_and_their_length_is_known(algorithm):
    registered = signer(algorithm)
    signature = sign(algorithm, DIGEST)
    registered.rule(signature, DIGEST)
    with pytest.raises(SignatureInvalidError):
        registered.rule(signature, bytes(32))
    if algorithm is AlgorithmId.ECDSA_P256_SHA256:
        assert registered.signature_bytes is None
    else:
        assert registered.signature_bytes == len(signature)


def test_a_signature_of_an_rsa_key_of_an_odd_size_has_whole_bytes():
    key = rsa.generate_private_key(65537, 2050).public_key()
    assert signer(RSA, public_key=key).signature_bytes == 257


@pytest.mark.parametrize("algorithm", WITH_PUBLIC_KEY, ids=str)
def test_the_fingerprint_is_that_of_the_key(algorithm):
    assert signer(algorithm).fingerprint == fingerprint(public_key(algorithm))


def test_a_mac_has_no_fingerprint_and_without_its_secret_no_rule():
    assert signer(HMAC).fingerprint is None
    remote = signer(HMAC, secret=None, key_arn="arn:aws:kms:eu-central-1:111122223333:key/k")
    assert remote.rule is None
    assert remote.signature_bytes == 32


@pytest.mark.parametrize("text", ["active", "ACTIVE", "Active"])
def test_a_status_is_read_in_any_case(text):
    assert parse_status(text) is Status.ACTIVE
    assert signer(status=text).status is Status.ACTIVE


def test_another_status_is_refused_with_the_ones_there_are():
    with pytest.raises(InputError, match="'valid' is not one of announced, active, retired, revoked"):
        parse_status("valid")


@pytest.mark.parametrize(
    ("members", "valid"),
    [
        ({}, True),
        ({"status": Status.RETIRED}, True),
        ({"status": Status.ANNOUNCED}, False),
        ({"status": Status.REVOKED}, False),
        ({"valid_from": Bound(seq={"default": 5})}, True),
        ({"valid_from": Bound(seq={"default": 6})}, False),
        ({"valid_until": Bound(seq={"default": 5})}, False),
        ({"valid_until": Bound(time="2026-07-01T00:00:00Z")}, False),
        ({"valid_until": Bound(seq={"other": 0})}, True),
        ({"status": Status.REVOKED, "valid_from": Bound(seq={"default": 0})}, False),
    ],
)
def test_signatures_count_where_status_and_range_allow_it(members, valid):
    registered = signer(**members)
    assert registered.is_unlimited == (not members or members == {"status": Status.RETIRED})
    if valid:
        registered.check_valid_at(**PLACE)
        return
    with pytest.raises(SignerNotAllowedError, match=r"^signer 'signer-ed25519' is "):
        registered.check_valid_at(**PLACE)


@pytest.mark.parametrize(
    ("algorithm", "members", "error"),
    [
        (ED25519, {"signer_id": ""}, "signerId must be"),
        (ED25519, {"signer_id": "a\nb"}, "signerId must be"),
        (ED25519, {"signer_id": "\ud800"}, "signerId must be"),
        (ED25519, {"signer_id": "x" * 257}, "signerId must be"),
        (ED25519, {"key_arn": ""}, "keyArn must be"),
        (ED25519, {"status": "gone"}, "status 'gone'"),
        (ED25519, {"public_key": None}, "wants a public key and no secret"),
        (ED25519, {"secret": b"s"}, "wants a public key and no secret"),
        (ED25519, {"public_key": public_key(RSA)}, "an RSA-2048 key cannot serve ed25519"),
        (ED25519, {"key_spec": "RSA_2048"}, "keySpec says 'RSA_2048', and the key is ECC_NIST_EDWARDS25519"),
        (HMAC, {"public_key": public_key(ED25519)}, "has no public key"),
        (HMAC, {"key_spec": "RSA_2048"}, "does not fit hmac-sha256"),
        (HMAC, {"secret": None}, "neither a secret nor a keyArn"),
        (HMAC, {"secret": b""}, "empty or public"),
        (HMAC, {"secret": to_pem(public_key(ED25519)).encode()}, "empty or public"),
        (HMAC, {"secret": spki_der(public_key(ED25519))}, "empty or public"),
        (HMAC, {"secret": b"\xff\xfe"}, "UTF-8"),
        (ED25519, {"valid_from": Bound(seq={"a": 2}), "valid_until": Bound(seq={"a": 2})}, "not after validFrom"),
        (ED25519, {"extra": {"Signer_ID": "x"}}, "a meaning of its own"),
        (ED25519, {"extra": {"a": object()}}, "not a JSON value"),
        (ED25519, {"description": "\ud800"}, "surrogate"),
    ],
)
def test_parts_that_contradict_one_another_are_refused(algorithm, members, error):
    with pytest.raises(InputError, match=error):
        signer(algorithm, **members)


def test_an_extra_that_would_be_too_deep_in_the_file_is_refused():
    def nested(depth):
        value = {}
        for _ in range(depth - 1):
            value = {"a": value}
        return value

    assert signer(extra=nested(62)).extra
    with pytest.raises(CanonicalError):
        signer(extra=nested(63))


@pytest.mark.parametrize("algorithm", WITH_PUBLIC_KEY, ids=str)
def test_a_private_key_is_no_secret_and_is_not_shown(algorithm):
    pem = private_key(algorithm).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    with pytest.raises(InputError, match="a private key stands here") as caught:
        signer(HMAC, secret=pem)
    assert pem.decode().splitlines()[1] not in str(caught.value)


def test_neither_repr_nor_extra_shows_a_secret():
    shown = repr(signer(HMAC, extra={"note": "hidden-note"}))
    assert SECRET.decode() not in shown
    assert "hidden-note" not in shown


def test_extra_members_do_not_change_with_what_they_were_given_as():
    extra = {"a": 1}
    registered = signer(extra=extra)
    extra["a"] = 2
    assert registered.extra == {"a": 1}
    with pytest.raises(TypeError):
        registered.extra["a"] = 2


def test_signers_with_the_same_parts_are_equal():
    assert signer() == signer()
    assert signer() != signer(status=Status.RETIRED)
    assert isinstance(signer(), RegisteredSigner)
