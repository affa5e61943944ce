"""Clients for S3, CloudTrail and STS, and every error of theirs in our words."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    NoCredentialsError,
    NoRegionError,
    PartialCredentialsError,
    ProfileNotFound,
)
from botocore.session import Session

from auditseal.errors import ConfigError, NotFoundError, StoreError

_MISSING: Final = frozenset({"NoSuchBucket", "NoSuchKey", "404", "NotFound"})
_DENIED: Final = frozenset({"AccessDenied", "AccessDeniedException", "403", "UnauthorizedOperation"})
_CREDENTIALS: Final = frozenset(
    {"ExpiredToken", "ExpiredTokenException", "InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidClientTokenId"}
)
_ENDPOINTS: Final = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")
_TIMEOUT_S: Final = 10.0
_ATTEMPTS: Final = 5


def client_of(service: str, *, region: str | None = None) -> Any:
    """A client of AWS's usual configuration.

    Raises:
        ConfigError: Region or configuration is missing or malformed.
    """
    config = Config(
        connect_timeout=_TIMEOUT_S,
        read_timeout=_TIMEOUT_S * 3,
        retries={"mode": "standard", "total_max_attempts": _ATTEMPTS},
        user_agent_extra="auditseal",
        s3={"addressing_style": "path"} if any(map(os.environ.get, _ENDPOINTS)) else {},
    )
    with aws_errors(service):
        region = region or os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
        return Session().create_client(service, region_name=region, config=config)


@contextmanager
def aws_errors(what: str) -> Iterator[None]:
    """Turns botocore's errors into ours.

    Args:
        what: the call or the address, for the texts.

    Raises:
        ConfigError, NotFoundError, StoreError: as the cause is.
    """
    try:
        yield
    except ClientError as error:
        code = str(error.response.get("Error", {}).get("Code", "unknown"))[:80]
        status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
        if code in _MISSING:
            raise NotFoundError(f"{what} does not exist ({code})") from error
        if code in _DENIED or code in _CREDENTIALS:
            raise ConfigError(f"{what} is refused to these credentials ({code}): check role and policy") from error
        retryable = status >= 500 or "Throttl" in code or code == "SlowDown"  # noqa: PLR2004 - HTTP's server errors
        raise StoreError(f"{what} failed with {code}", retryable=retryable) from error
    except (NoCredentialsError, PartialCredentialsError, NoRegionError, ProfileNotFound, ValueError) as error:
        raise ConfigError(f"{what}: credentials or Region are missing [{type(error).__name__}]") from error
    except BotoCoreError as error:
        raise StoreError(f"{what} cannot be reached [{type(error).__name__}]", retryable=True) from error
