import base64
import hashlib
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa

from auditseal.adapters.signers.aws_kms import KmsSigner, check_key_id
from auditseal.adapters.signers.kms_start import check_metadata, parse_public_key
from auditseal.core.algorithm import ALGORITHMS, AlgorithmId
from auditseal.errors import ConfigError, SignerError
from fakes.kms import FakeKms
from support.kms import calls_to

DIGEST = hashlib.sha256(b"an entry").digest()
ED25519 = ALGORITHMS[AlgorithmId.ED25519]
RSA = ALGORITHMS[AlgorithmId.RSA_SHA256]
HMAC = ALGORITHMS[AlgorithmId.HMAC_SHA256]
KEY_ID = "0987dcba-09fe-87dc-65ba-ab0987654321"


@pytest.fixture
def make(kms: FakeKms):
    made = []

    def build(key_id, algorithm=ED25519, *, public_key=None, transport="auto", **rules):
        signer = KmsSigner(
            signer_id="audit-2026",
            algorithm=algorithm,
            key_id=key_id,
            calls=calls_to(kms, transport=transport, **rules),
            public_key=public_key,
        )
        made.append(signer)
        return signer

    yield build
    for signer in made:
        signer.close()


def _operations(kms):
    return [record["eventName"] for record in kms.records()]


def _metadata(**members):
    return {
        "KeyUsage": "SIGN_VERIFY",
        "KeySpec": "ECC_NIST_EDWARDS25519",
        "KeyState": "Enabled",
        "SigningAlgorithms": ["ED25519_SHA_512", "ED25519_PH_SHA_512"],
        **members,
    }


@pytest.mark.parametrize(
    ("members", "algorithm", "texts"),
    [
        ({"KeyUsage": "ENCRYPT_DECRYPT"}, ED25519, ["ENCRYPT_DECRYPT", "--key-usage SIGN_VERIFY", "ECC_NIST_EDWARDS"]),
        ({}, HMAC, ["--key-usage GENERATE_VERIFY_MAC --key-spec HMAC_256"]),
        ({}, RSA, ["RSA_2048 or RSA_3072 or RSA_4096", "set the algorithm to ed25519"]),
        ({"KeySpec": "ECC_NIST_P384"}, ED25519, ["ECC_NIST_P384", "name another key"]),
        ({"SigningAlgorithms": ["ED25519_PH_SHA_512"]}, ED25519, ["does not offer ED25519_SHA_512"]),
        ({"SigningAlgorithms": None}, ED25519, ["it offers none"]),
        ({"KeyState": "Disabled"}, ED25519, ["is Disabled", "enable-key"]),
        ({"KeyState": "PendingDeletion"}, ED25519, ["PendingDeletion", "cancel-key-deletion"]),
        ({"KeyState": "PendingImport"}, ED25519, ["import its key material"]),
        ({"KeyState": "Unavailable"}, ED25519, ["custom key store"]),
        ({"KeyState": "Creating"}, ED25519, ["wait until it is Enabled"]),
    ],
)
def test_a_key_that_does_not_fit_the_settings_is_refused_with_the_fix(members, algorithm, texts):
    with pytest.raises(ConfigError) as caught:
        check_metadata(_metadata(**members), KEY_ID, algorithm)
    assert all(text in str(caught.value) for text in [KEY_ID, *texts]), str(caught.value)


@pytest.mark.parametrize("algorithm", ALGORITHMS.values(), ids=lambda row: row.id)
def test_a_key_made_for_an_algorithm_fits_it(kms, algorithm):
    key = kms.create(algorithm.kms_key_specs[0])
    check_metadata(key.metadata(), key.id, algorithm)


def test_a_key_without_the_newer_name_of_its_spec_fits():
    metadata = _metadata(CustomerMasterKeySpec="ECC_NIST_EDWARDS25519")
    del metadata["KeySpec"]
    check_metadata(metadata, KEY_ID, ED25519)


@pytest.mark.parametrize(
    "text",
    [
        KEY_ID,
        "mrk-1234abcd12ab34cd56ef1234567890ab",
        "alias/audit/2026",
        f"arn:aws:kms:eu-central-1:111122223333:key/{KEY_ID}",
        "arn:aws-cn:kms:cn-north-1:111122223333:alias/audit",
        "arn:aws-us-gov:kms:us-gov-west-1:111122223333:key/mrk-1234abcd12ab34cd56ef1234567890ab",
    ],
)
def test_every_form_of_a_key_id_is_taken(text):
    assert check_key_id(text) == text


@pytest.mark.parametrize("text", ["", "audit", "-----BEGIN PRIVATE KEY-----", "alias/", f"key/{KEY_ID}", f"{KEY_ID}\n"])
def test_what_is_no_key_id_is_refused_without_being_repeated(text):
    with pytest.raises(ConfigError, match="key id is none") as caught:
        check_key_id(text)
    assert text in {"", "alias/"} or text not in str(caught.value)


def test_starting_asks_once_and_makes_no_signature(kms, make):
    signer = make(kms.create("ECC_NIST_EDWARDS25519").id)
    signer.start()
    signer.start()
    assert _operations(kms) == ["DescribeKey", "GetPublicKey"]


def test_with_a_public_key_given_kms_is_not_asked_for_it(kms, make):
    key = kms.create("ECC_NIST_EDWARDS25519")
    signer = make(key.id, public_key=key.material.public_key())
    signer.sign(DIGEST)
    assert _operations(kms) == ["DescribeKey", "Sign"]


def test_the_key_is_named_by_its_arn_once_kms_has_named_it(kms, make):
    key = kms.create("ECC_NIST_EDWARDS25519", alias="alias/audit")
    signer = make("alias/audit")
    assert signer.key_arn is None
    signer.start()
    assert signer.key_arn == key.arn


def test_a_signer_says_where_it_calls_and_that_this_is_no_aws(kms, make):
    signer = make(kms.create("ECC_NIST_EDWARDS25519").id)
    assert (signer.endpoint, signer.is_emulated, signer.development) == (kms.url, True, False)


@pytest.mark.parametrize(("state", "text"), [("Disabled", "enable-key"), ("PendingDeletion", "cancel-key-deletion")])
def test_a_key_out_of_use_is_refused_at_start(kms, make, state, text):
    key = kms.create("ECC_NIST_EDWARDS25519")
    key.state = state
    with pytest.raises(ConfigError, match=text):
        make(key.id).start()


def test_a_key_that_is_not_there_is_a_wrong_setting(make):
    with pytest.raises(ConfigError, match="AUDIT_SIGNING_KMS_KEY_ID and AWS_REGION"):
        make(KEY_ID).start()


def test_an_outage_at_start_is_no_wrong_setting(kms, make):
    signer = make(kms.create("ECC_NIST_EDWARDS25519").id)
    kms.faults.add("error", operation="DescribeKey")
    with pytest.raises(SignerError) as caught:
        signer.start()
    assert caught.value.retryable


def test_a_start_that_failed_can_be_made_again(kms, make):
    signer = make(kms.create("ECC_NIST_EDWARDS25519").id)
    kms.faults.add("error", operation="DescribeKey", times=3)
    with pytest.raises(SignerError):
        signer.start()
    assert signer.sign(DIGEST).signature


def test_threads_that_wait_for_a_failing_start_share_its_failure(kms, make):
    signer = make(kms.create("ECC_NIST_EDWARDS25519").id, max_attempts=1)
    kms.faults.add("denied", operation="GetPublicKey")
    kms.faults.latency_s = 0.05
    together = threading.Barrier(10)

    def start(_):
        together.wait(10)
        with pytest.raises(ConfigError, match="kms:GetPublicKey"):
            signer.start()

    with ThreadPoolExecutor(10) as pool:
        list(pool.map(start, range(10)))
    assert len(kms.records("GetPublicKey")) < 10


def test_fifty_threads_start_it_once(kms, make):
    signer = make(kms.create("ECC_NIST_EDWARDS25519").id, attempt_timeout_s=5.0)
    with ThreadPoolExecutor(50) as pool:
        list(pool.map(signer.sign, [DIGEST] * 50))
    assert len(kms.records("DescribeKey", "GetPublicKey")) == 2
    assert len(kms.records("Sign")) == 50


def test_without_describe_key_the_first_signature_proves_the_key(kms, make):
    key = kms.create("ECC_NIST_EDWARDS25519")
    kms.faults.add("denied", operation="DescribeKey")
    kms.faults.add("denied", operation="GetPublicKey")
    signer = make(key.id, public_key=key.material.public_key())
    assert signer.sign(DIGEST).request_id
    assert signer.key_arn == key.arn


def test_without_describe_key_the_public_key_tells_what_does_not_fit(kms, make):
    kms.faults.add("denied", operation="DescribeKey")
    with pytest.raises(ConfigError, match="set the algorithm to ecdsa-p256-sha256"):
        make(kms.create("ECC_NIST_P256").id).start()


def test_without_any_public_key_both_fixes_are_named(kms, make):
    kms.faults.add("denied", operation="GetPublicKey")
    with pytest.raises(ConfigError, match=r"give signers\.json .* or allow kms:GetPublicKey"):
        make(kms.create("ECC_NIST_EDWARDS25519").id).start()


@pytest.mark.parametrize("transport", ["auto", "botocore"])
@pytest.mark.parametrize("spec", ["RSA_2048", "ECC_NIST_P256", "ECC_NIST_EDWARDS25519", "ML_DSA_65", "HMAC_256"])
@pytest.mark.parametrize("fault", ["wrong-signature", "hash-again"])
def test_a_first_signature_that_is_wrong_is_never_handed_out(kms, make, spec, fault, transport):
    algorithm = next(row for row in ALGORITHMS.values() if spec in row.kms_key_specs)
    signer = make(kms.create(spec).id, algorithm, transport=transport)
    kms.faults.add(fault, operation="GenerateMac" if algorithm.is_mac else "Sign")
    for _ in range(2):
        with pytest.raises(SignerError) as caught:
            signer.sign(DIGEST)
        assert (caught.value.reason, caught.value.retryable) == ("wrong-signature", False)
        assert caught.value.request_id
    kms.faults.clear()
    assert signer.sign(DIGEST).signature


def test_signatures_of_another_key_than_that_of_the_registry_are_refused(kms, make):
    other = ed25519.Ed25519PrivateKey.generate().public_key()
    signer = make(kms.create("ECC_NIST_EDWARDS25519").id, public_key=other)
    with pytest.raises(SignerError, match=r"signers\.json is another key's") as caught:
        signer.sign(DIGEST)
    assert caught.value.reason == "wrong-signature"


def test_only_the_first_signature_is_checked(kms, make):
    signer = make(kms.create("HMAC_256").id, HMAC)
    for _ in range(5):
        signer.sign(DIGEST)
    assert len(kms.records("VerifyMac")) == 1


def test_a_mac_whose_first_check_is_denied_is_not_handed_out(kms, make):
    kms.faults.add("denied", operation="VerifyMac")
    with pytest.raises(SignerError, match="VerifyMac") as caught:
        make(kms.create("HMAC_256").id, HMAC).sign(DIGEST)
    assert caught.value.reason == "denied"


def test_a_public_key_of_another_type_is_refused_at_once(kms, make):
    with pytest.raises(ConfigError, match=r"RSA-2048 key cannot serve ed25519: correct .* signers\.json"):
        make(KEY_ID, public_key=rsa.generate_private_key(65537, 2048).public_key())


def test_an_alias_that_moves_to_another_key_stops_the_signing(kms, make):
    kms.create("ECC_NIST_EDWARDS25519", alias="alias/audit")
    other = kms.create("ECC_NIST_EDWARDS25519")
    signer = make("alias/audit")
    signer.sign(DIGEST)
    kms.service.call("UpdateAlias", AliasName="alias/audit", TargetKeyId=other.id)
    with pytest.raises(SignerError, match="rotate") as caught:
        signer.sign(DIGEST)
    assert (caught.value.reason, caught.value.retryable) == ("key-changed", False)


def test_an_answer_for_another_key_is_refused(kms, make):
    signer = make(kms.create("ECC_NIST_EDWARDS25519").id)
    kms.faults.add("other-key", operation="Sign")
    with pytest.raises(SignerError) as caught:
        signer.sign(DIGEST)
    assert caught.value.reason == "key-changed"


@pytest.mark.parametrize(
    "values", [{"Signature": b""}, {"Signature": b"x" * 63}, {"SigningAlgorithm": "ECDSA_SHA_256"}]
)
def test_an_answer_that_cannot_be_of_the_algorithm_is_refused(kms, make, values, monkeypatch):
    signer = make(kms.create("ECC_NIST_EDWARDS25519").id)
    signer.start()
    send = signer._calls._hot.send

    def change(*arguments):
        answer = send(*arguments)
        answer.values.update(values)
        return answer

    monkeypatch.setattr(signer._calls._hot, "send", change)
    with pytest.raises(SignerError) as caught:
        signer.sign(DIGEST)
    assert caught.value.reason == "malformed-answer"


@pytest.mark.parametrize(
    ("state", "reason"),
    [("Disabled", "disabled"), ("PendingDeletion", "invalid-state"), ("Unavailable", "unavailable")],
)
def test_a_key_that_goes_out_of_use_while_signing_says_so(kms, make, state, reason):
    key = kms.create("ECC_NIST_EDWARDS25519")
    signer = make(key.id)
    signer.sign(DIGEST)
    key.state = state
    with pytest.raises(SignerError) as caught:
        signer.sign(DIGEST)
    assert caught.value.reason == reason


def test_a_wrong_setting_found_while_signing_is_a_signer_error(make):
    with pytest.raises(SignerError) as caught:
        make(KEY_ID).sign(DIGEST)
    assert (caught.value.reason, caught.value.retryable) == ("configuration", False)


def test_under_throttling_all_is_signed_in_the_end(kms, make):
    key = kms.create("ECC_NIST_EDWARDS25519")
    signer = make(key.id, max_attempts=5000, sleep=lambda _: time.sleep(0.005))
    kms.faults.limit("Sign", 400, burst=5)
    with ThreadPoolExecutor(4) as pool:
        signed = list(pool.map(signer.sign, [DIGEST] * 20))
    assert len({each.request_id for each in signed}) == 20


def test_the_request_id_is_that_of_the_record(kms, make):
    signed = make(kms.create("ECC_NIST_EDWARDS25519").id).sign(DIGEST)
    assert signed.request_id == kms.records("Sign")[-1]["requestID"]


@pytest.mark.parametrize("fault", ["denied", "wrong-signature", "garbage", "reset", "error"])
def test_neither_digest_nor_signature_nor_secret_stands_in_an_error(kms, make, fault):
    key = kms.create("ECC_NIST_EDWARDS25519")
    signer = make(key.id)
    signer.start()
    kms.faults.add(fault, operation="Sign", type="ValidationException", status=400)
    with pytest.raises(SignerError) as caught:
        signer.sign(DIGEST)
    texts = []
    error = caught.value
    while error is not None:
        texts.append(str(error))
        error = error.__cause__
    secrets = [DIGEST.hex(), base64.b64encode(DIGEST).decode(), repr(DIGEST), "a-secret-of-the-tests"]
    assert not any(secret in text for secret in secrets for text in texts)


def test_what_kms_gives_as_public_key_must_be_one():
    with pytest.raises(ConfigError, match="cannot be read"):
        parse_public_key(b"not DER", KEY_ID, ED25519)
