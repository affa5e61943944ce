from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from auditseal.core.algorithm import ALGORITHMS, AlgorithmId, parse_algorithm
from auditseal.core.registry import RegisteredSigner, Registry, Status
from auditseal.core.validity import Bound
from auditseal.errors import SignerError
from auditseal.service.key_check import check_keys

ARN = "arn:aws:kms:eu-central-1:111122223333:key/0987dcba-09fe-87dc-65ba-ab0987654321"


def _key():
    return ed25519.Ed25519PrivateKey.generate().public_key()


def _signer(key, **members):
    return RegisteredSigner(
        signer_id="audit-2026", algorithm=ALGORITHMS[AlgorithmId.ED25519], public_key=key, key_arn=ARN, **members
    )


@dataclass
class Keys:
    """Implements `Keys` with one key; `failure` is raised while it is set."""

    key: object
    state: str = "Enabled"
    failure: Exception | None = None

    def describe(self, key_id):
        assert key_id == ARN
        if self.failure:
            raise self.failure
        return self

    def export_public_key(self, key_id):
        return self

    @property
    def der(self):
        return self.key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _check(signer, keys):
    (found,) = check_keys(Registry(signers=(signer,)), keys)
    assert found.signer_id == signer.signer_id
    return found


def test_the_registered_key_enabled_holds():
    key = _key()
    assert _check(_signer(key), Keys(key)).holds is True


def test_another_key_does_not_hold_and_both_fingerprints_are_named():
    signer = _signer(_key())
    found = _check(signer, Keys(_key()))
    assert found.holds is False
    assert signer.fingerprint in found.detail


def test_a_key_of_another_kind_does_not_hold():
    found = _check(_signer(_key()), Keys(ec.generate_private_key(ec.SECP384R1()).public_key()))
    assert found.holds is False


@pytest.mark.parametrize("state", ["Disabled", "PendingDeletion", "Unavailable"])
def test_an_active_signer_needs_an_enabled_key(state):
    key = _key()
    found = _check(_signer(key), Keys(key, state=state))
    assert found.holds is False
    assert state in found.detail


@pytest.mark.parametrize(
    ("status", "holds"), [(Status.RETIRED, True), (Status.REVOKED, True), (Status.ANNOUNCED, False)]
)
def test_a_disabled_key_is_right_for_a_signer_that_is_out_of_use(status, holds):
    key = _key()
    assert _check(_signer(key, status=status), Keys(key, state="Disabled")).holds is holds


def test_a_mac_key_is_enabled_or_not():
    signer = RegisteredSigner(signer_id="mac", algorithm=ALGORITHMS[AlgorithmId.HMAC_SHA256], key_arn=ARN)
    assert _check(signer, Keys(None)).holds is True
    assert _check(signer, Keys(None, state="Disabled")).holds is False


def test_a_key_that_is_gone_does_not_hold():
    gone = SignerError("there is no such key", reason="not-found")
    assert _check(_signer(_key()), Keys(None, failure=gone)).holds is False


def test_what_could_not_be_asked_is_not_checked():
    denied = SignerError("no permission for kms:DescribeKey", reason="denied")
    found = _check(_signer(_key()), Keys(None, failure=denied))
    assert (found.holds, found.detail) == (None, "no permission for kms:DescribeKey")


def test_a_signer_without_an_arn_is_not_checked():
    signer = RegisteredSigner(signer_id="local", algorithm=ALGORITHMS[AlgorithmId.ED25519], public_key=_key())
    assert _check(signer, Keys(None)).holds is None


class DatedKeys:
    """KMS that describes one key and gives no public key."""

    def __init__(self, *, state="Enabled", days_old=10, deletion=None):
        self.info = SimpleNamespace(state=state, created=NOW - timedelta(days=days_old), deletion=deletion)

    def describe(self, key_id):
        return self.info

    def export_public_key(self, key_id):
        raise SignerError("not asked", reason="denied")


NOW = datetime(2026, 11, 28, tzinfo=UTC)
MAC = RegisteredSigner(signer_id="mac", algorithm=parse_algorithm("hmac-sha256"), key_arn="arn:aws:kms:x:1:key/k")


@pytest.mark.parametrize(
    ("signer", "keys", "warnings"),
    [
        (MAC, DatedKeys(), []),
        (MAC, DatedKeys(days_old=400), ["400 days old"]),
        (replace(MAC, status=Status.RETIRED), DatedKeys(days_old=400), []),
        (replace(MAC, valid_until=Bound(time="2026-12-08T00:00:00Z")), DatedKeys(), ["in 10 days"]),
        (MAC, DatedKeys(state="PendingDeletion", deletion=NOW + timedelta(days=9)), ["delete its key on 2026-12-07"]),
        (MAC, DatedKeys(state="Disabled"), ["nobody can verify its MACs"]),
    ],
)
def test_what_is_coming_is_warned_of(signer, keys, warnings):
    (found,) = check_keys(Registry(signers=(signer,)), keys, now=NOW)
    assert len(found.warnings) == len(warnings)
    assert all(part in said for part, said in zip(warnings, found.warnings, strict=True))
