"""ARNs: keys, aliases and principals are told apart, and what is no such thing is said in one line."""

from __future__ import annotations

import pytest

from auditseal.access.arn import check_account, find_placeholder, parse_alias, parse_key_arn, parse_principal, split_arn
from auditseal.errors import InputError

KEY = "arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"


def test_a_key_arn_is_taken_apart():
    arn = parse_key_arn(KEY, region="eu-west-1", account="111122223333")
    assert (arn.region, arn.account, arn.resource) == ("eu-west-1", "111122223333", KEY.rpartition(":")[2])
    assert str(arn) == KEY


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("arn:aws:kms:REGION:ACCOUNT_ID:key/KEY_ID", "placeholder REGION"),
        ("arn:aws:kms:eu-west-1:111122223333:alias/audit", "is an alias"),
        ("arn:aws:kms:eu-west-1:111122223333:key/*", "not the ARN of one KMS key"),
        ("1234abcd-12ab-34cd-56ef-1234567890ab", "is not an ARN"),
        (KEY.replace("eu-west-1", "europe"), "not a Region"),
        (KEY.replace("111122223333", "1111"), "twelve digits"),
    ],
)
def test_what_is_no_key_arn_is_refused(text: str, said: str):
    with pytest.raises(InputError, match=said):
        parse_key_arn(text)


def test_a_region_or_an_account_that_does_not_match_the_arn_is_refused():
    with pytest.raises(InputError, match=r"the Region is given as us-east-1, and .* is in eu-west-1"):
        parse_key_arn(KEY, region="us-east-1")
    with pytest.raises(InputError, match="the account is given as"):
        parse_key_arn(KEY, account="444455556666")


def test_an_alias_is_a_name_or_an_arn_beside_its_key():
    key = parse_key_arn(KEY)
    assert parse_alias("alias/audit") == "alias/audit"
    assert parse_alias("arn:aws:kms:eu-west-1:111122223333:alias/audit", key=key) == "alias/audit"
    for wrong in ("audit", "alias/", "alias/aws/s3", "arn:aws:kms:us-east-1:111122223333:alias/audit", "alias/a*"):
        with pytest.raises(InputError):
            parse_alias(wrong, key=key)


def test_principals_are_told_apart():
    assert parse_principal("111122223333").kind == "root"
    role = parse_principal("arn:aws:iam::111122223333:role/service/agent-manager")
    assert (role.kind, role.name, role.root) == ("role", "agent-manager", "arn:aws:iam::111122223333:root")
    session = parse_principal("arn:aws:sts::111122223333:assumed-role/agent-manager/i-1")
    assert session.is_session_of(role.arn)
    assert not session.is_session_of("arn:aws:iam::444455556666:role/agent-manager")


@pytest.mark.parametrize("text", ["*", "arn:aws:iam::111122223333:role/*", "arn:aws:sts::111122223333:role/a", "1"])
def test_what_names_no_one_principal_is_refused(text: str):
    with pytest.raises(InputError):
        parse_principal(text)


@pytest.mark.parametrize(
    "text", ["<key-id>", "${ACCOUNT}", "{{ key }}", "YOUR_KEY", "ROLE_NAME", "XXXXXX", "CHANGE_ME"]
)
def test_words_of_a_template_are_found(text: str):
    assert find_placeholder(f"arn:aws:kms:eu-west-1:{text}:key/x") == text


@pytest.mark.parametrize(
    "text", ["kms:Sign", KEY, "${aws:username}", "RSASSA_PKCS1_V1_5_SHA_256", "arn:aws:kms:*:*:key/*"]
)
def test_real_values_are_no_placeholders(text: str):
    assert find_placeholder(text) is None


def test_a_short_pattern_is_completed_with_wildcards():
    arn = split_arn("arn:aws:kms")
    assert arn is not None
    assert str(arn) == "arn:aws:kms:*:*:*"
    assert split_arn("*") is None


def test_an_account_has_twelve_digits():
    assert check_account("111122223333") == "111122223333"
    with pytest.raises(InputError):
        check_account("11112222333")
