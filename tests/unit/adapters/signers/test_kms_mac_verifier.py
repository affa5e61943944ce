import hashlib

import pytest

from auditseal.adapters.signers.aws_kms import KmsMacVerifier
from auditseal.errors import ConfigError, SignatureInvalidError, SignerError
from support.kms import calls_to

DIGEST = hashlib.sha256(b"an entry").digest()


@pytest.fixture
def verifier(kms):
    made = KmsMacVerifier(calls_to(kms))
    yield made
    made.close()


def _mac(kms, key):
    return kms.service.call("GenerateMac", KeyId=key.id, Message=DIGEST, MacAlgorithm="HMAC_SHA_256")["Mac"]


def test_a_right_mac_is_accepted_and_a_wrong_one_is_not(kms, verifier):
    key = kms.create("HMAC_256")
    mac = _mac(kms, key)
    verifier.verify_mac(key.arn, DIGEST, mac)
    for wrong_digest, wrong_mac in [(DIGEST[::-1], mac), (DIGEST, mac[::-1]), (DIGEST, mac[:-1]), (DIGEST, b"")]:
        with pytest.raises(SignatureInvalidError):
            verifier.verify_mac(key.arn, wrong_digest, wrong_mac)


def test_a_mac_that_kms_could_not_check_is_not_called_wrong(kms, verifier):
    key = kms.create("HMAC_256")
    key.state = "Disabled"
    with pytest.raises(SignerError) as caught:
        verifier.verify_mac(key.arn, DIGEST, b"m" * 32)
    assert caught.value.reason == "disabled"


def test_a_mac_check_that_says_neither_yes_nor_no_is_no_yes(kms, verifier, monkeypatch):
    key = kms.create("HMAC_256")
    send = verifier._calls._hot.send

    def change(operation, parameters, timeout_s):
        answer = send(operation, {**parameters, "Mac": _mac(kms, key)}, timeout_s)
        answer.values["MacValid"] = "true"
        return answer

    monkeypatch.setattr(verifier._calls._hot, "send", change)
    with pytest.raises(SignerError) as caught:
        verifier.verify_mac(key.arn, DIGEST, b"m" * 32)
    assert caught.value.reason == "malformed-answer"


def test_a_verifier_says_how_many_calls_it_takes_at_once(verifier):
    assert verifier.concurrency == 50


def test_what_is_no_key_id_is_not_sent(kms, verifier):
    with pytest.raises(ConfigError):
        verifier.verify_mac("no key", DIGEST, b"m" * 32)
    assert kms.records() == []
