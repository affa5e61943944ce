import json

import pytest

from auditseal.access.generate.key_policy import key_policy
from auditseal.access.generate.next_policy import carry_over
from auditseal.access.generate.roles import Role
from auditseal.core.algorithm import parse_algorithm
from auditseal.errors import InputError

OLD_ARN = "arn:aws:kms:eu-central-1:111122223333:key/11111111-2222-3333-4444-555555555555"
SIGNER = "arn:aws:iam::111122223333:role/agent-manager"
RSA, ED25519, HMAC = (parse_algorithm(name) for name in ("rsa-sha256", "ed25519", "hmac-sha256"))


@pytest.mark.parametrize(("old", "new"), [(RSA, ED25519), (ED25519, HMAC), (HMAC, RSA), (RSA, RSA)])
def test_what_the_rules_made_for_the_old_algorithm_becomes_what_they_make_for_the_new_one(old, new):
    before, wanted = (key_policy({Role.SIGNER: SIGNER}, account="111122223333", algorithm=each) for each in (old, new))
    assert json.loads(carry_over(json.dumps(before), old=old, new=new, old_arn=OLD_ARN)) == wanted


def test_a_statement_on_the_old_keys_arn_is_on_the_new_key():
    statement = {"Effect": "Allow", "Principal": {"AWS": SIGNER}, "Action": ["kms:Sign"], "Resource": OLD_ARN}
    policy = json.dumps({"Version": "2012-10-17", "Statement": statement})
    (carried,) = json.loads(carry_over(policy, old=RSA, new=RSA, old_arn=OLD_ARN))["Statement"]
    assert carried["Resource"] == "*"


@pytest.mark.parametrize("policy", ["", "[]", '{"Version": "2012-10-17"}'])
def test_what_is_no_policy_is_refused(policy):
    with pytest.raises(InputError, match="cannot be read"):
        carry_over(policy, old=RSA, new=RSA, old_arn=OLD_ARN)


def test_a_policy_that_wants_requests_by_alias_is_refused():
    with pytest.raises(InputError, match="kms:RequestAlias"):
        carry_over(
            '{"Statement": [{"Condition": {"StringEquals": {"kms:RequestAlias": "alias/x"}}}]}',
            old=RSA,
            new=RSA,
            old_arn=OLD_ARN,
        )
