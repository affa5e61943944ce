"""The words of KMS that stand in the code are those of its service model."""

from __future__ import annotations

import botocore.session
import pytest

from auditseal.access import vocabulary
from auditseal.core.algorithm import ALGORITHMS


@pytest.mark.parametrize(
    ("shape", "ours"),
    [
        ("SigningAlgorithmSpec", vocabulary.SIGNING_ALGORITHMS),
        ("MacAlgorithmSpec", vocabulary.MAC_ALGORITHMS),
        ("MessageType", vocabulary.MESSAGE_TYPES),
        ("KeySpec", vocabulary.KEY_SPECS),
        ("KeyUsageType", vocabulary.KEY_USAGES),
        ("OriginType", vocabulary.KEY_ORIGINS),
    ],
)
def test_values_are_those_of_the_service_model(shape: str, ours: frozenset[str]):
    model = botocore.session.get_session().get_service_model("kms")
    assert set(model.shape_for(shape).enum) == ours


def test_every_algorithm_of_ours_has_a_value_of_kms():
    known = vocabulary.SIGNING_ALGORITHMS | vocabulary.MAC_ALGORITHMS
    assert {algorithm.kms_signing_algorithm for algorithm in ALGORITHMS.values()} <= known


@pytest.mark.parametrize(
    ("key", "having"),
    [
        ("kms:SigningAlgorithm", {"kms:Sign", "kms:Verify"}),
        ("kms:MessageType", {"kms:Sign", "kms:Verify"}),
        ("kms:MacAlgorithm", {"kms:GenerateMac", "kms:VerifyMac"}),
        ("kms:RequestAlias", {"kms:Sign", "kms:Verify", "kms:GenerateMac", "kms:VerifyMac", "kms:GetPublicKey"}),
        ("kms:BypassPolicyLockoutSafetyCheck", {"kms:PutKeyPolicy", "kms:CreateKey"}),
        ("kms:ViaService", {"kms:Sign", "kms:GetPublicKey", "kms:PutKeyPolicy"}),
        ("aws:TagKeys", {"kms:TagResource", "kms:CreateKey"}),
    ],
)
def test_actions_have_their_condition_keys_and_no_others(key: str, having: set[str]):
    asked = {"kms:Sign", "kms:Verify", "kms:GenerateMac", "kms:VerifyMac", "kms:GetPublicKey", "kms:PutKeyPolicy"}
    has = {action for action in asked | having if vocabulary.supports(action, key)}
    assert has - {"kms:ListKeys"} >= having
    if key in {"kms:SigningAlgorithm", "kms:MacAlgorithm", "kms:MessageType", "aws:TagKeys"}:
        assert has == having


def test_keys_exist_or_not_and_hold_one_value_or_several():
    assert vocabulary.key_exists("kms:encryptioncontext:department")
    assert vocabulary.key_exists("aws:PrincipalTag/team")
    assert vocabulary.key_exists("s3:prefix")
    assert not vocabulary.key_exists("kms:Algorithm")
    assert not vocabulary.key_exists("aws:Nothing")
    assert vocabulary.is_list("KMS:ResourceAliases")
    assert not vocabulary.is_list("kms:RequestAlias")


def test_a_pattern_means_the_actions_it_covers():
    assert vocabulary.meant("kms:*Mac") == {"kms:GenerateMac", "kms:VerifyMac"}
    assert vocabulary.meant("s3:*") == frozenset()
    assert vocabulary.meant("*") == frozenset(vocabulary.names())
