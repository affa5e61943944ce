"""Why a call to KMS failed, as data: each error code and botocore exception with its cause and its fix.

`retryable` says whether the cause passes by itself; it decides both our own retries and what callers are told.

Source: AWS KMS API Reference, "Common Errors" and the errors of each operation; botocore's `exceptions` module.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

CONFIGURATION: Final = "configuration"
"""The reason of causes that become a ConfigError."""


@dataclass(frozen=True, slots=True)
class Cause:
    """One cause.

    Attributes:
        reason: the stable name, as in `SignerError.reason`; `CONFIGURATION` makes a ConfigError.
        fix: what is wrong and what to do.
        retryable: whether it passes by itself.
    """

    reason: str
    fix: str
    retryable: bool = False


THROTTLED: Final = Cause(
    "throttled", "the request quota of the account is used up: sign in checkpoint mode, or ask AWS for more", True
)
UNAVAILABLE: Final = Cause("unavailable", "KMS has a fault of its own: it passes, try again later", True)
DENIED: Final = Cause("denied", "allow it in the key policy or the caller's IAM policy")
DISABLED: Final = Cause("disabled", "the key is disabled: enable it, or rotate to another key")
BAD_STATE: Final = Cause(
    "invalid-state", "the key's state does not allow this (pending deletion, or being made): look at its KeyState"
)
NOT_FOUND: Final = Cause("not-found", "there is no such key or alias in this account and Region: check both")
WRONG_USAGE: Final = Cause("wrong-usage", "the key's usage or spec does not fit the algorithm: check both")
WRONG_SIGNATURE: Final = Cause("wrong-signature", "the signature or MAC is not this key's over this digest")
DRY_RUN: Final = Cause("dry-run", "the call would have succeeded: DryRun was asked for")
CREDENTIALS: Final = Cause("credentials", "AWS does not accept the credentials: renew them, and check their account")
CLOCK: Final = Cause("clock", "the request's time or signature was refused: check this machine's clock, then the keys")
INVALID: Final = Cause("invalid-request", "KMS refused a parameter: check key id, algorithm and Region")
QUOTA: Final = Cause("quota", "a resource quota of the account is used up: delete what is unused, or ask AWS for more")
CONFLICT: Final = Cause("conflict", "it exists already: choose another name, or update the one that is there")
POLICY: Final = Cause("policy", "the key policy is not accepted: check its syntax, and that it keeps an administrator")
UNSUPPORTED: Final = Cause("unsupported", "this key or endpoint cannot do that: check KeySpec and Region")
KEY_STORE: Final = Cause("key-store", "the custom or external key store behind the key refused: ask who runs it")
KEY_MATERIAL: Final = Cause("key-material", "the key's imported material is not usable: import it again")
ENDPOINT: Final = Cause("endpoint", "the endpoint does not speak KMS's protocol: check AWS_ENDPOINT_URL_KMS")
UNEXPECTED: Final = Cause("unexpected", "this answer is not known here: look it up in the AWS KMS API Reference")

TIMEOUT: Final = Cause("timeout", "no answer in time, and whether KMS did it is unknown: check network and load", True)
UNREACHABLE: Final = Cause(
    "unreachable", "no connection to the endpoint: check network, Region, endpoint URL and AWS_CA_BUNDLE", True
)
PROXY: Final = Cause("unreachable", "no connection through the proxy: check HTTPS_PROXY and NO_PROXY", True)
INTERRUPTED: Final = Cause("interrupted", "the connection broke before the answer was complete", True)
MALFORMED: Final = Cause("malformed-answer", "the answer is not KMS's: check what answers at the endpoint URL", True)
TLS: Final = Cause("tls", "no secure connection: check AWS_CA_BUNDLE and what answers at the endpoint URL", True)
CERTIFICATE: Final = Cause("tls", "the endpoint's certificate is not trusted: set AWS_CA_BUNDLE to its authority's")
NO_TOKEN: Final = Cause("credentials", "the credentials could not be fetched: check role, IMDS and STS access", True)
CLIENT: Final = Cause("client", "botocore or awscrt failed in itself: check their versions and the AWS configuration")

NO_CREDENTIALS: Final = Cause(
    CONFIGURATION, "no AWS credentials, or incomplete ones: give the process a role, a profile or AWS_ACCESS_KEY_ID"
)
LOGIN: Final = Cause(CONFIGURATION, "the AWS login has ended or lacks permission: log in again (aws sso login)")
NO_REGION: Final = Cause(CONFIGURATION, "no AWS Region, or not one that has KMS: set AWS_REGION")
BAD_ENDPOINT: Final = Cause(CONFIGURATION, "the KMS endpoint is malformed, or is none: check AWS_ENDPOINT_URL_KMS")
BAD_CONFIG: Final = Cause(CONFIGURATION, "the AWS configuration is not usable: check ~/.aws/config and AWS_* variables")
BAD_PARAMETER: Final = Cause(CONFIGURATION, "a parameter is malformed, most likely the key id: check it")

_CODES_BY_CAUSE: Final = {
    THROTTLED: """Throttling ThrottlingException ThrottledException RequestThrottled RequestThrottledException
        TooManyRequestsException ProvisionedThroughputExceededException RequestLimitExceeded BandwidthLimitExceeded
        SlowDown EC2ThrottledException PriorRequestNotComplete TransactionInProgressException""",
    UNAVAILABLE: """KMSInternalException DependencyTimeoutException KeyUnavailableException InternalFailure
        InternalError InternalServerError InternalServiceError ServiceUnavailable ServiceUnavailableException
        RequestTimeout RequestTimeoutException""",
    DENIED: "AccessDenied AccessDeniedException NotAuthorized UnauthorizedOperation",
    DISABLED: "DisabledException",
    BAD_STATE: "KMSInvalidStateException ConflictException",
    NOT_FOUND: "NotFoundException InvalidArnException",
    WRONG_USAGE: "InvalidKeyUsageException",
    WRONG_SIGNATURE: "KMSInvalidSignatureException KMSInvalidMacException",
    DRY_RUN: "DryRunOperationException",
    CREDENTIALS: """UnrecognizedClientException InvalidClientTokenId ExpiredToken ExpiredTokenException
        InvalidAccessKeyId OptInRequired MissingAuthenticationToken MissingAuthenticationTokenException AuthFailure""",
    CLOCK: """InvalidSignatureException SignatureDoesNotMatch IncompleteSignature IncompleteSignatureException
        RequestExpired RequestTimeTooSkewed RequestInTheFuture""",
    INVALID: """ValidationException ValidationError InvalidParameterValue InvalidMarkerException InvalidGrantIdException
        InvalidGrantTokenException InvalidAliasNameException TagException""",
    QUOTA: "LimitExceededException",
    CONFLICT: "AlreadyExistsException",
    POLICY: "MalformedPolicyDocumentException",
    UNSUPPORTED: "UnsupportedOperationException",
    KEY_STORE: """CloudHsmClusterInUseException CloudHsmClusterInvalidConfigurationException
        CloudHsmClusterNotActiveException CloudHsmClusterNotFoundException CloudHsmClusterNotRelatedException
        CustomKeyStoreHasCMKsException CustomKeyStoreInvalidStateException CustomKeyStoreNameInUseException
        CustomKeyStoreNotFoundException IncorrectTrustAnchorException XksKeyAlreadyInUseException
        XksKeyInvalidConfigurationException XksKeyNotFoundException XksProxyIncorrectAuthenticationCredentialException
        XksProxyInvalidConfigurationException XksProxyInvalidResponseException XksProxyUriEndpointInUseException
        XksProxyUriInUseException XksProxyUriUnreachableException XksProxyVpcEndpointServiceInUseException
        XksProxyVpcEndpointServiceInvalidConfigurationException XksProxyVpcEndpointServiceNotFoundException""",
    KEY_MATERIAL: """ExpiredImportTokenException IncorrectKeyException IncorrectKeyMaterialException
        InvalidCiphertextException InvalidImportTokenException""",
    ENDPOINT: """UnknownOperationException SerializationException InvalidAction UnknownService
        AccessDeniedByEndpointPolicy""",
}
_CLASSES_BY_CAUSE: Final = {
    NO_CREDENTIALS: """NoCredentialsError PartialCredentialsError NoAuthTokenError UnknownCredentialError
        UnknownTokenProviderError ProfileNotFound""",
    LOGIN: "SSOError LoginError RefreshWithMFAUnsupportedError",
    NO_TOKEN: "CredentialRetrievalError TokenRetrievalError MetadataRetrievalError",
    NO_REGION: "NoRegionError UnknownRegionError InvalidRegionError ServiceNotInRegionError",
    BAD_ENDPOINT: """BaseEndpointResolverError EndpointProviderError InvalidEndpointConfigurationError
        InvalidHostLabelError InvalidDNSNameError InvalidEndpointDiscoveryConfigurationError""",
    BAD_CONFIG: """ConfigParseError ConfigNotFound InvalidConfigError InvalidRetryConfigurationError
        InvalidRetryModeError InvalidDefaultsMode InvalidProxiesConfigError InvalidIMDSEndpointError
        InvalidIMDSEndpointModeError InvalidSTSRegionalEndpointsConfigError InvalidS3UsEast1RegionalEndpointConfigError
        InvalidS3AddressingStyleError InvalidChecksumConfigError UnknownSignatureVersionError
        UnsupportedSignatureVersionError UnsupportedServiceProtocolsError""",
    BAD_PARAMETER: "ParamValidationError ValidationError MissingParametersError AliasConflictParameterError",
    TIMEOUT: "ReadTimeoutError",
    PROXY: "ProxyConnectionError",
    TLS: "SSLError",
    UNREACHABLE: "ConnectionError EndpointConnectionError ConnectTimeoutError",
    INTERRUPTED: "HTTPClientError ConnectionClosedError ResponseStreamingError IncompleteReadError",
    THROTTLED: "CapacityNotAvailableError",
    CLIENT: """DataNotFoundError ApiVersionNotFoundError UnknownServiceStyle PaginationError OperationNotPageableError
        ChecksumError UnseekableStreamError WaiterError InvalidExpressionError WaiterConfigError
        UnknownClientMethodError UnsupportedS3ArnError UnsupportedS3ControlArnError UnsupportedOutpostResourceError
        UnsupportedS3ConfigurationError UnsupportedS3AccesspointConfigurationError
        UnsupportedS3ControlConfigurationError StubResponseError MD5UnavailableError MissingDependencyException
        UndefinedModelAttributeError AwsChunkedWrapperError FlexibleChecksumError""",
}


def _by_name(names_by_cause: dict[Cause, str]) -> dict[str, Cause]:
    return {name: cause for cause, names in names_by_cause.items() for name in names.split()}


CAUSE_OF_CODE: Final = _by_name(_CODES_BY_CAUSE)
"""By the error code in KMS's answer."""
CAUSE_OF_CLASS: Final = _by_name(_CLASSES_BY_CAUSE)
"""By the name of a botocore exception; a subclass without an entry takes its parent's."""
