import pytest
from botocore.retries import quota, standard

from auditseal.adapters.signers import kms_retry
from auditseal.adapters.signers.kms_retry import RetryQuota, RetryRules, cost_of


@pytest.mark.parametrize(
    ("attempt", "throttled", "longest_s"),
    [
        (1, False, 0.05),
        (2, False, 0.1),
        (3, False, 0.2),
        (1, True, 1.0),
        (3, True, 4.0),
        (9, True, 20.0),
        (99, False, 20.0),
    ],
)
def test_the_pause_doubles_from_its_base_up_to_20_seconds(attempt, throttled, longest_s):
    rules = RetryRules(jitter=lambda: 1.0)
    assert rules.pause_s(attempt, throttled=throttled) == pytest.approx(longest_s)


def test_the_pause_is_a_random_part_of_the_longest():
    assert RetryRules(jitter=lambda: 0.25).pause_s(1, throttled=True) == pytest.approx(0.25)


def test_the_figures_are_those_of_botocores_standard_mode():
    backoff = standard.ExponentialBackoff
    assert kms_retry.MAX_BACKOFF_S == backoff._MAX_BACKOFF
    assert backoff._DEFAULT_BACKOFF_CONFIG["throttling_base_scale"] == kms_retry.THROTTLED_BASE_S
    assert backoff._DEFAULT_BACKOFF_CONFIG["non_throttling_base_scale"] == kms_retry.OTHER_BASE_S
    assert quota.RetryQuota.INITIAL_CAPACITY == kms_retry.QUOTA_TOKENS
    assert cost_of(throttled=False) == standard.RetryQuotaChecker._RETRY_COST
    assert cost_of(throttled=True) == standard.RetryQuotaChecker._THROTTLING_RETRY_COST
    assert standard.RetryQuotaChecker._NO_RETRY_INCREMENT == kms_retry.SUCCESS_REFUND
    assert RetryRules().max_attempts == standard.DEFAULT_MAX_ATTEMPTS


def test_a_quota_without_enough_tokens_gives_none():
    tokens = RetryQuota(20)
    assert [tokens.take(14), tokens.take(14), tokens.take(6)] == [True, False, True]


def test_tokens_given_back_never_exceed_the_most():
    tokens = RetryQuota(20)
    tokens.take(5)
    tokens.give_back(1000)
    assert [tokens.take(20), tokens.take(1)] == [True, False]
