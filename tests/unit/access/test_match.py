"""Patterns match as IAM matches them."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditseal.access.match import (
    compile_pattern,
    matches_action,
    matches_arn,
    matches_pattern,
    matches_resource,
    matches_text,
)

KEY = "arn:aws:kms:eu-west-1:111122223333:key/1234"


@given(st.text("ab*?", max_size=8), st.text("ab", max_size=8))
def test_wildcards_mean_what_a_regular_expression_says(pattern: str, text: str):
    expression = "".join({"*": ".*", "?": "."}.get(sign, sign) for sign in pattern)
    assert matches_text(pattern, text) is (re.fullmatch(expression, text) is not None)


def test_a_hostile_pattern_does_not_take_forever():
    assert not matches_text("*a" * 200 + "b", "a" * 4000)


def test_an_action_matches_in_any_case():
    assert matches_action("KMS:s?GN", "kms:Sign")
    assert not matches_action("kms:Sign", "kms:SignMore")


@pytest.mark.parametrize(
    ("pattern", "covered"),
    [
        ("*", True),
        (KEY, True),
        ("arn:aws:kms:*:111122223333:key/*", True),
        ("arn:aws:kms", True),
        ("arn:aws:*:key/1234", False),
        (KEY.upper(), False),
        ("arn:aws:kms:eu-west-1:111122223333:alias/audit", False),
    ],
)
def test_a_resource_is_matched_field_by_field(pattern: str, covered: bool):
    assert matches_resource(pattern, KEY) is covered


def test_an_arn_condition_needs_all_six_fields():
    assert matches_arn("arn:aws:kms:*:*:key/*", KEY)
    assert not matches_arn("arn:aws:kms:*", KEY)


def test_what_a_variable_stands_for_is_literal():
    pattern = compile_pattern("key/${aws:PrincipalTag/key}", {"aws:principaltag/key": "*"})
    assert pattern is not None
    assert matches_pattern(pattern, "key/*")
    assert not matches_pattern(pattern, "key/1234")


def test_a_variable_has_a_default_escapes_and_may_be_missing():
    variables = {"aws:username": "alice"}
    for text, value in (("${aws:username}", "alice"), ("${aws:Other, 'none'}", "none"), ("${*}${?}${$}", "*?$")):
        pattern = compile_pattern(text, variables)
        assert pattern is not None
        assert matches_pattern(pattern, value)
    assert compile_pattern("${aws:Other}", variables) is None
    assert compile_pattern("${ }", variables) is None


def test_a_policy_of_the_old_version_has_no_variables():
    pattern = compile_pattern("${aws:username}", None)
    assert pattern is not None
    assert matches_pattern(pattern, "${aws:username}")


def test_a_colon_in_a_variable_separates_no_fields():
    arn = "arn:aws:iam::111122223333:user/alice"
    assert matches_arn("arn:aws:iam::${aws:PrincipalAccount}:user/*", arn, {"aws:principalaccount": "111122223333"})
