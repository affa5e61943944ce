from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.serialization import load_der_public_key

from auditseal.adapters.signers.kms_calls import Answer
from auditseal.adapters.signers.kms_keys import KmsKeys, check_alias
from auditseal.core.algorithm import ALGORITHMS, AlgorithmId, offline_rule
from auditseal.errors import ConfigError, ConflictError, InputError, SignerError
from support.kms import calls_to

ED25519 = ALGORITHMS[AlgorithmId.ED25519]
HMAC = ALGORITHMS[AlgorithmId.HMAC_SHA256]
RSA = ALGORITHMS[AlgorithmId.RSA_SHA256]


@pytest.fixture
def keys(kms):
    # An RSA key is found by chance: now and then that takes seconds.
    made = KmsKeys(calls_to(kms, attempt_timeout_s=30.0, deadline_s=60.0))
    yield made
    made.close()


@pytest.mark.parametrize("algorithm", ALGORITHMS.values(), ids=lambda row: row.id)
def test_a_key_is_made_for_each_algorithm(keys, algorithm):
    info = keys.create_key(algorithm, description="audit")
    assert (info.spec, info.usage, info.state) == (algorithm.kms_key_specs[0], algorithm.kms_key_usage, "Enabled")
    assert algorithm in info.fitting
    assert keys.describe(info.arn) == info


def test_a_key_has_the_description_tags_policy_and_alias_that_were_given(kms, keys):
    policy = kms.service.store.default_policy()
    given = {"alias": "alias/audit", "description": "d", "tags": {"a": "b"}, "policy": policy, "key_spec": "RSA_3072"}
    info = keys.create_key(RSA, **given)
    made = kms.service.store.keys[info.key_id]
    assert (made.description, made.tags, made.policy, made.spec_name) == ("d", {"a": "b"}, policy, "RSA_3072")
    assert keys.describe("alias/audit") == info
    assert abs(info.created - datetime.now(UTC)) < timedelta(minutes=1)


def test_a_spec_that_the_algorithm_does_not_take_is_refused(kms, keys):
    with pytest.raises(InputError, match="ed25519 needs a key of ECC_NIST_EDWARDS25519, not RSA_2048"):
        keys.create_key(ED25519, key_spec="RSA_2048")
    assert kms.records() == []


def test_an_alias_that_is_taken_is_found_before_a_key_is_made(kms, keys):
    kms.create("RSA_2048", alias="alias/audit")
    with pytest.raises(ConflictError, match="alias/audit exists already"):
        keys.create_key(ED25519, alias="alias/audit")
    assert kms.records("CreateKey") == []


def test_a_key_whose_alias_could_not_be_made_is_named(kms, keys):
    kms.faults.add("error", operation="CreateAlias", type="LimitExceededException", status=400)
    with pytest.raises(SignerError, match=r"the key arn:aws:kms:.* was made, and alias/audit could not be") as caught:
        keys.create_key(ED25519, alias="alias/audit")
    assert caught.value.reason == "quota"


@pytest.mark.parametrize("kind", ["hang-after", "reset-after"])
def test_a_key_that_may_have_been_made_is_not_made_again(kms, keys, kind):
    kms.faults.add(kind, operation="CreateKey")
    with pytest.raises(SignerError):
        keys.create_key(ED25519)
    assert len(kms.service.store.keys) == 1


def test_a_policy_that_would_lock_everybody_out_is_refused(keys):
    with pytest.raises(SignerError, match="keeps an administrator") as caught:
        keys.create_key(ED25519, policy='{"Version": "2012-10-17", "Statement": []}')
    assert caught.value.reason == "policy"


@pytest.mark.parametrize(
    "alias", ["audit", "alias/", "alias/aws/x", "alias/with space", "alias/" + "x" * 251, "alias/ü"]
)
def test_what_is_no_alias_name_is_refused(alias):
    with pytest.raises(InputError, match="alias name"):
        check_alias(alias)


def test_an_alias_is_made_and_then_moved(kms, keys):
    first, second = kms.create("ECC_NIST_EDWARDS25519"), kms.create("ECC_NIST_EDWARDS25519")
    keys.set_alias("alias/audit", first.id)
    assert keys.describe("alias/audit").key_id == first.id
    keys.set_alias("alias/audit", second.arn)
    assert keys.describe("alias/audit").key_id == second.id
    changes = [record["eventName"] for record in kms.records("CreateAlias", "UpdateAlias")]
    assert changes == ["CreateAlias", "UpdateAlias"]


def test_an_alias_does_not_move_to_a_key_of_another_usage(kms, keys):
    kms.create("ECC_NIST_EDWARDS25519", alias="alias/audit")
    with pytest.raises(SignerError) as caught:
        keys.set_alias("alias/audit", kms.create("HMAC_256").id)
    assert caught.value.reason == "invalid-request"


def test_a_denial_is_not_taken_for_an_alias_that_is_free(kms, keys):
    kms.create("RSA_2048", alias="alias/audit")
    kms.faults.add("denied", operation="DescribeKey")
    with pytest.raises(SignerError) as caught:
        keys.create_key(ED25519, alias="alias/audit")
    assert (caught.value.reason, kms.records("CreateKey")) == ("denied", [])


@pytest.mark.parametrize("algorithm", [row for row in ALGORITHMS.values() if not row.is_mac], ids=lambda row: row.id)
def test_an_exported_key_serves_its_algorithm(kms, keys, algorithm):
    key = kms.create(algorithm.kms_key_specs[0])
    exported = keys.export_public_key(key.id)
    assert (exported.arn, exported.spec, exported.der) == (key.arn, key.spec_name, key.public_der())
    offline_rule(algorithm, load_der_public_key(exported.der))


@pytest.mark.parametrize(
    ("spec", "state", "reason"), [("HMAC_256", "Enabled", "unsupported"), ("RSA_2048", "Disabled", "disabled")]
)
def test_a_key_that_gives_no_public_key_says_why(kms, keys, spec, state, reason):
    key = kms.create(spec)
    key.state = state
    with pytest.raises(SignerError) as caught:
        keys.export_public_key(key.id)
    assert caught.value.reason == reason


def test_all_keys_that_could_sign_are_listed_with_their_aliases(kms, keys):
    signing = [kms.create("ECC_NIST_EDWARDS25519", alias="alias/a"), kms.create("HMAC_256")]
    signing[1].state = "Disabled"
    kms.service.call("CreateAlias", AliasName="alias/b", TargetKeyId=signing[0].id)
    kms.service.call("CreateKey", KeySpec="RSA_2048", KeyUsage="ENCRYPT_DECRYPT")
    kms.service.call("CreateKey")
    kms.create("ECC_NIST_P384")
    listing = keys.list_signing_keys()
    assert {info.arn for info in listing.keys} == {key.arn for key in signing}
    assert listing.aliases[signing[0].id] == ("alias/a", "alias/b")
    assert listing.not_described == ()


def test_a_listing_reads_every_page(kms, keys):
    for number in range(130):
        kms.create("HMAC_256", alias=f"alias/{number}")
    listing = keys.list_signing_keys()
    assert (len(listing.keys), len(listing.aliases)) == (130, 130)


def test_a_key_that_may_not_be_described_is_listed_as_such(kms, keys):
    key = kms.create("ECC_NIST_EDWARDS25519")
    kms.faults.add("denied", operation="DescribeKey")
    listing = keys.list_signing_keys()
    assert (listing.keys, listing.not_described) == ((), (key.arn,))


def test_an_outage_ends_a_listing(kms, keys):
    kms.create("ECC_NIST_EDWARDS25519")
    kms.faults.add("error", operation="DescribeKey")
    with pytest.raises(SignerError) as caught:
        keys.list_signing_keys()
    assert caught.value.reason == "unavailable"


def test_a_key_is_disabled_and_enabled(kms, keys):
    key = kms.create("ECC_NIST_EDWARDS25519")
    keys.disable(key.id)
    assert keys.describe(key.id).state == "Disabled"
    keys.enable(key.arn)
    assert keys.describe(key.id).state == "Enabled"


@pytest.mark.parametrize("days", [7, 30])
def test_a_deletion_is_scheduled_and_cancelled(kms, keys, days):
    key = kms.create("ECC_NIST_EDWARDS25519")
    when = keys.schedule_deletion(key.id, days=days)
    assert timedelta(days=days) - (when - datetime.now(UTC)) < timedelta(minutes=1)
    assert (keys.describe(key.id).state, keys.describe(key.id).deletion) == ("PendingDeletion", when)
    keys.cancel_deletion(key.id)
    assert (keys.describe(key.id).state, keys.describe(key.id).deletion) == ("Disabled", None)


@pytest.mark.parametrize("days", [-1, 0, 6, 31, 365])
def test_a_waiting_time_that_kms_does_not_allow_is_not_asked_for(kms, keys, days):
    with pytest.raises(InputError, match="7 to 30 days"):
        keys.schedule_deletion(kms.create("RSA_2048").id, days=days)
    assert kms.records() == []


@pytest.mark.parametrize("change", ["disable", "enable", "schedule_deletion", "cancel_deletion"])
def test_what_changes_a_key_takes_no_alias(kms, keys, change):
    kms.create("RSA_2048", alias="alias/audit")
    with pytest.raises(InputError, match="name the key itself"):
        getattr(keys, change)("alias/audit")
    assert kms.records() == []


def test_what_is_no_key_id_is_not_sent(kms, keys):
    with pytest.raises(ConfigError):
        keys.describe("no key")
    assert kms.records() == []


def test_a_description_without_its_members_is_not_kms_s(keys, monkeypatch):
    answer = Answer(values={"KeyMetadata": {"KeyId": "x"}}, request_id=None)
    monkeypatch.setattr(keys._calls, "call", lambda *_: answer)
    with pytest.raises(SignerError) as caught:
        keys.describe("alias/audit")
    assert caught.value.reason == "malformed-answer"
