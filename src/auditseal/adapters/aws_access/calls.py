"""Read-only calls to AWS: what is denied becomes the reason why it is not known, an outage an error.

Endpoint, Region and credentials are what AWS's own configuration says.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
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

from auditseal.access.checked import Reading
from auditseal.errors import ConfigError, SignerError

_DENIED: Final = frozenset(
    {"AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "NotAuthorized", "AuthorizationError"}
)
_CREDENTIALS: Final = frozenset(
    {
        "ExpiredToken",
        "ExpiredTokenException",
        "InvalidClientTokenId",
        "InvalidSignatureException",
        "SignatureDoesNotMatch",
        "UnrecognizedClientException",
    }
)
_RETRY: Final = frozenset({"Throttling", "ThrottlingException", "RequestLimitExceeded", "ServiceUnavailable"})
_TIMEOUT_S: Final = 5.0
_MOST_PAGES: Final = 1000


class AwsCalls:
    """Makes clients when they are needed, all in one Region."""

    def __init__(self, region: str | None = None) -> None:
        """Prepares; nothing is sent yet.

        Args:
            region: such as `eu-central-1`; None for the one that AWS's configuration names.

        Raises:
            ConfigError: AWS's configuration cannot be read.
        """
        try:
            self._session = Session()
            configured: str | None = self._session.get_config_variable("region")
        except BotoCoreError as error:
            raise ConfigError(f"AWS's configuration cannot be read: {type(error).__name__}") from error
        self._region = region or os.environ.get("AWS_REGION") or configured
        self._clients: dict[str, Any] = {}

    def call(self, service: str, operation: str, **parameters: Any) -> dict[str, Any]:
        """One call.

        Args:
            service: such as `iam`.
            operation: in botocore's spelling, such as `get_role`.
            parameters: of the call.

        Returns:
            The answer.

        Raises:
            ClientError: AWS refused; `attempt` turns that into a reason.
            ConfigError: no Region, or no credentials, or they are not accepted.
            SignerError: AWS could not be reached, or asks to come back later.
        """
        name = f"{service}:{_camel(operation)}"
        try:
            client = self._client(service)
            answer: dict[str, Any] = getattr(client, operation)(**parameters)
        except (NoCredentialsError, PartialCredentialsError, ProfileNotFound) as error:
            raise ConfigError("there are no AWS credentials: set a profile, a role or AWS_ACCESS_KEY_ID") from error
        except NoRegionError as error:
            raise ConfigError("no AWS Region is set: set AWS_REGION, or name the key by its ARN") from error
        except ClientError as error:
            _check_credentials(name, error)
            raise
        except (BotoCoreError, ValueError, OSError) as error:
            message = f"{name} failed: AWS cannot be reached [{type(error).__name__}]; try again"
            raise SignerError(message, reason="unreachable", retryable=True) from error
        return answer

    def attempt(self, service: str, operation: str, **parameters: Any) -> Reading[dict[str, Any]]:
        """One call; what AWS refuses is a reason, not an error.

        Raises:
            ConfigError, SignerError: as `call`.
        """
        try:
            return Reading(self.call(service, operation, **parameters))
        except ClientError as error:
            return Reading(why=_why(f"{service}:{_camel(operation)}", error))

    def pages(self, service: str, operation: str, member: str, **parameters: Any) -> Reading[list[Any]]:
        """All items of a list that comes in pages.

        Args:
            service: as for `call`.
            operation: as for `call`.
            member: the answer's list.
            parameters: of the call.

        Raises:
            ConfigError, SignerError: as `call`.
        """
        items: list[Any] = []
        marker: dict[str, Any] = {}
        for _ in range(_MOST_PAGES):
            answer = self.attempt(service, operation, **parameters, **marker)
            if answer.value is None:
                return Reading(why=answer.why)
            items += answer.value.get(member, [])
            marker = dict(_next(answer.value))
            if not marker:
                return Reading(items)
        return Reading(why=f"{service}:{_camel(operation)} does not end")

    def close(self) -> None:
        """Closes all connections. Idempotent."""
        for client in self._clients.values():
            client.close()

    def _client(self, service: str) -> Any:
        if service not in self._clients:
            config = Config(
                connect_timeout=_TIMEOUT_S,
                read_timeout=_TIMEOUT_S,
                retries={"mode": "standard", "total_max_attempts": 3},
                user_agent_extra="auditseal",
            )
            self._clients[service] = self._session.create_client(service, region_name=self._region, config=config)
        return self._clients[service]


def _next(answer: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    if answer.get("Truncated") or answer.get("IsTruncated"):
        marker = answer.get("NextMarker") or answer.get("Marker")
        if marker:
            yield "Marker", marker


def _camel(operation: str) -> str:
    return "".join(word.title() for word in operation.split("_"))


def _check_credentials(name: str, error: ClientError) -> None:
    """Raises for what no permission would mend."""
    code = str(error.response.get("Error", {}).get("Code", ""))
    if code in _CREDENTIALS:
        raise ConfigError(f"{name}: AWS does not accept these credentials [{code}]: renew them") from error
    if code in _RETRY:
        raise SignerError(
            f"{name}: AWS asks to come back later [{code}]", reason="throttled", retryable=True
        ) from error


def _why(name: str, error: ClientError) -> str:
    code = str(error.response.get("Error", {}).get("Code", ""))
    return f"no permission for {name}" if code in _DENIED else f"{name} answered {code or 'an error'}"
