import inspect

import awscrt.exceptions
import pytest
from botocore import exceptions as boto
from botocore.loaders import create_loader
from botocore.parsers import ResponseParserError
from botocore.retries import standard

from auditseal.adapters.signers import kms_causes as causes
from auditseal.adapters.signers.kms_errors import from_answer, from_cause, from_exception
from auditseal.errors import ConfigError, SignerError

_MODEL = create_loader().load_service_model("kms", "service-2")
_SHAPES = sorted(name for name, shape in _MODEL["shapes"].items() if shape.get("exception"))
_CLASSES = sorted(
    (
        kind
        for _, kind in inspect.getmembers(boto, inspect.isclass)
        if issubclass(kind, Exception)
        and not issubclass(kind, Warning | boto.ClientError)
        and kind.__module__ == boto.__name__
        and kind is not boto.BotoCoreError
    ),
    key=lambda kind: kind.__name__,
)


def _made(kind: type[Exception]) -> Exception:
    """An instance without the arguments that its text would be made of."""
    return kind.__new__(kind)


@pytest.mark.parametrize("code", _SHAPES)
def test_every_error_of_the_kms_service_model_has_a_cause(code):
    assert code in causes.CAUSE_OF_CODE


@pytest.mark.parametrize("kind", _CLASSES, ids=lambda kind: kind.__name__)
def test_every_exception_of_botocore_has_a_cause_of_its_own_or_of_its_parent(kind):
    assert any(parent.__name__ in causes.CAUSE_OF_CLASS for parent in kind.__mro__)
    assert isinstance(from_exception("Sign", _made(kind)), SignerError | ConfigError)


def test_every_named_botocore_exception_exists():
    names = {name for name, _ in inspect.getmembers(boto, inspect.isclass)}
    assert set(causes.CAUSE_OF_CLASS) <= names


def test_the_root_of_botocores_exceptions_is_a_fault_of_the_client():
    assert from_exception("Sign", boto.BotoCoreError()).reason == "client"


@pytest.mark.parametrize("code", standard.ThrottledRetryableChecker._THROTTLED_ERROR_CODES)
def test_what_botocore_takes_for_throttling_is_throttling_but_for_resource_quotas(code):
    error = from_answer("Sign", code=code, status=400)
    expected = ("quota", False) if code == "LimitExceededException" else ("throttled", True)
    assert (error.reason, error.retryable) == expected


@pytest.mark.parametrize("code", standard.TransientRetryableChecker._TRANSIENT_ERROR_CODES)
def test_what_botocore_takes_for_transient_is_retryable(code):
    assert from_answer("Sign", code=code, status=400).retryable


@pytest.mark.parametrize("status", [429, *standard.TransientRetryableChecker._TRANSIENT_STATUS_CODES])
def test_a_status_that_botocore_tries_again_is_retryable_without_a_code(status):
    assert from_answer("Sign", code="", status=status).retryable


@pytest.mark.parametrize(
    "kind",
    [kind for kind in _CLASSES if issubclass(kind, standard.TransientRetryableChecker._TRANSIENT_EXCEPTION_CLS)],
    ids=lambda kind: kind.__name__,
)
def test_a_network_fault_that_botocore_tries_again_is_retryable(kind):
    assert from_exception("Sign", _made(kind)).retryable


@pytest.mark.parametrize(
    ("code", "reason", "retryable"),
    [
        ("AccessDeniedException", "denied", False),
        ("DisabledException", "disabled", False),
        ("KMSInvalidStateException", "invalid-state", False),
        ("NotFoundException", "not-found", False),
        ("InvalidKeyUsageException", "wrong-usage", False),
        ("KMSInvalidMacException", "wrong-signature", False),
        ("DryRunOperationException", "dry-run", False),
        ("ExpiredTokenException", "credentials", False),
        ("InvalidSignatureException", "clock", False),
        ("ThrottlingException", "throttled", True),
        ("KMSInternalException", "unavailable", True),
        ("DependencyTimeoutException", "unavailable", True),
        ("KeyUnavailableException", "unavailable", True),
        ("SomethingNewException", "unexpected", False),
    ],
)
def test_a_code_has_its_reason(code, reason, retryable):
    error = from_answer("Sign", code=code, status=400, request_id="r-1")
    assert (error.reason, error.retryable, error.request_id) == (reason, retryable, "r-1")
    assert code in str(error)


def test_an_unknown_code_with_a_server_status_is_retryable():
    assert from_answer("Sign", code="BrandNewException", status=503).retryable


def test_an_answer_without_a_code_is_not_from_kms():
    error = from_answer("Sign", code="", status=404)
    assert (error.reason, error.retryable) == ("endpoint", False)


def test_a_code_that_is_no_name_is_not_repeated():
    assert "\x1b" not in str(from_answer("Sign", code="\x1b[31mred", status=400))


def test_a_denial_says_who_was_denied_what_in_one_line():
    error = from_answer("Sign", code="AccessDeniedException", status=400, message="User: x is not\nauthorized")
    assert "User: x is not authorized" in str(error)


@pytest.mark.parametrize("code", ["ValidationException", "SerializationException", "InvalidSignatureException"])
def test_kms_words_are_not_repeated_where_they_may_quote_the_request(code):
    error = from_answer("Sign", code=code, status=400, message="Value 'c2VjcmV0' at 'message'")
    assert "c2VjcmV0" not in str(error)


@pytest.mark.parametrize(
    ("error", "fix"),
    [
        (boto.NoCredentialsError(), "role, a profile or AWS_ACCESS_KEY_ID"),
        (boto.PartialCredentialsError(provider="env", cred_var="AWS_SECRET_ACCESS_KEY"), "incomplete"),
        (boto.NoRegionError(), "AWS_REGION"),
        (boto.InvalidRegionError(region_name="x_y"), "AWS_REGION"),
        (boto.ProfileNotFound(profile="p"), "profile"),
        (boto.UnauthorizedSSOTokenError(), "aws sso login"),
        (boto.ParamValidationError(report="Invalid length for parameter KeyId, value: 0"), "key id"),
        (ValueError("Invalid endpoint: not a url"), "AWS_ENDPOINT_URL_KMS"),
        (boto.InvalidRetryModeError(provided_retry_mode="x", valid_modes="y"), "AWS configuration"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_a_wrong_setting_is_a_config_error_that_names_the_fix(error, fix):
    mapped = from_exception("Sign", error)
    assert isinstance(mapped, ConfigError)
    assert fix in str(mapped)


def test_an_exception_text_is_not_repeated():
    mapped = from_exception("Sign", boto.ParamValidationError(report="value: c2VjcmV0"))
    assert "c2VjcmV0" not in str(mapped)


def test_an_untrusted_certificate_is_not_retryable_and_another_tls_fault_is():
    untrusted = boto.SSLError(endpoint_url="https://x", error="certificate verify failed")
    broken = boto.SSLError(endpoint_url="https://x", error="EOF occurred")
    assert [from_exception("Sign", error).retryable for error in (untrusted, broken)] == [False, True]


def test_credentials_that_could_not_be_fetched_may_come_later():
    error = from_exception("Sign", boto.CredentialRetrievalError(provider="sts", error_msg="timeout"))
    assert (error.reason, error.retryable) == ("credentials", True)


def test_an_error_of_awscrt_is_named():
    error = from_exception("Sign", awscrt.exceptions.AwsCrtError(1, "AWS_AUTH_SIGNING_NO_CREDENTIALS", "text"))
    assert error.reason == "client"
    assert "AWS_AUTH_SIGNING_NO_CREDENTIALS" in str(error)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (TimeoutError(), "timeout"),
        (ConnectionRefusedError(), "unreachable"),
        (ResponseParserError("x"), "malformed-answer"),
        (RuntimeError("x"), "client"),
    ],
)
def test_other_exceptions_have_a_reason_too(error, reason):
    assert from_exception("Sign", error).reason == reason


def test_our_own_errors_pass_as_they_are():
    ours = SignerError("x", reason="y")
    assert from_exception("Sign", ours) is ours


def test_a_client_error_without_a_code_goes_by_its_status():
    error = boto.ClientError({"Error": {"Code": "503"}, "ResponseMetadata": {"HTTPStatusCode": 503}}, "Sign")
    assert from_exception("Sign", error).reason == "unavailable"


@pytest.mark.parametrize("code", [*_SHAPES, "ThrottlingException", "AccessDeniedException"])
def test_every_text_is_one_line_that_names_the_call(code):
    text = str(from_answer("Sign", code=code, status=400))
    assert "\n" not in text
    assert "Sign" in text


def test_a_cause_found_by_us_names_the_call():
    error = from_cause("Sign", causes.MALFORMED, request_id="r")
    assert "Sign" in str(error)
    assert error.request_id == "r"
