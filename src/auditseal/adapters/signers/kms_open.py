"""Opens the way to KMS from AWS's usual configuration: environment, profile, role.

Endpoint, Region, credentials, trusted authorities, proxy and the number of attempts are what botocore makes of them.
"""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass
from typing import Any, Final, Literal
from urllib.parse import urlsplit

from botocore.config import Config
from botocore.exceptions import BotoCoreError, NoCredentialsError
from botocore.httpsession import get_cert_path
from botocore.session import Session
from botocore.utils import get_environ_proxies

from auditseal.adapters.signers.kms_botocore import BotocoreTransport
from auditseal.adapters.signers.kms_calls import KmsCalls, Transport
from auditseal.adapters.signers.kms_connections import Connections
from auditseal.adapters.signers.kms_deadline import within
from auditseal.adapters.signers.kms_errors import from_exception
from auditseal.adapters.signers.kms_retry import RetryRules
from auditseal.errors import ConfigError

_STANDARD_ATTEMPTS: Final = 3
_SET_UP_S: Final = 30.0
"""For reading AWS's configuration, and credentials from wherever it says, once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KmsSettings:
    """How to reach KMS; what is None is AWS's own configuration to say.

    Attributes:
        region: such as `eu-central-1`.
        endpoint_url: of another KMS than the Region's own, such as an emulator.
        profile: of the AWS configuration files.
        concurrency: how many calls are in flight at once.
        deadline_s: for one call with all its retries.
        attempt_timeout_s: for one attempt.
        max_attempts: the first one included.
        transport: `auto` takes the lean transport for what is called for each entry, unless a proxy is configured;
            `botocore` never takes it.
    """

    region: str | None = None
    endpoint_url: str | None = None
    profile: str | None = None
    concurrency: int = 50
    deadline_s: float = 10.0
    attempt_timeout_s: float = 3.0
    max_attempts: int | None = None
    transport: Literal["auto", "botocore"] = "auto"

    def __post_init__(self) -> None:
        if self.concurrency < 1 or self.deadline_s <= 0 or self.attempt_timeout_s <= 0:
            raise ConfigError("concurrency, deadline and attempt timeout of KMS must be positive")
        if self.max_attempts is not None and self.max_attempts < 1:
            raise ConfigError("KMS needs at least one attempt for a call")


def open_kms(settings: KmsSettings, *, rules: RetryRules | None = None) -> KmsCalls:
    """Calls to the KMS that the settings and AWS's configuration name.

    Nothing is sent to KMS yet, but credentials may be fetched (from a role, an instance, a container).

    Args:
        settings: what is set here goes before AWS's configuration.
        rules: in place of those of the settings; for tests.

    Raises:
        ConfigError: no Region, no such profile, a malformed endpoint, an unreadable configuration.
        SignerError: the credentials could not be fetched, or not in time.
    """
    try:
        session = Session(profile=settings.profile)
        rules = rules or RetryRules(
            max_attempts=settings.max_attempts or _configured_attempts(session),
            deadline_s=settings.deadline_s,
            attempt_timeout_s=settings.attempt_timeout_s,
        )
        client = within(_SET_UP_S, lambda: _client(session, settings))
    except (BotoCoreError, ValueError, TimeoutError) as error:
        raise from_exception("set-up", error) from error
    lean = settings.transport == "auto" and not _has_proxy(client.meta.endpoint_url)
    return KmsCalls(
        endpoint=client.meta.endpoint_url,
        region=client.meta.region_name,
        rare=BotocoreTransport(client),
        hot=_lean_transport(session, client) if lean else None,
        concurrency=settings.concurrency,
        rules=rules,
    )


def _client(session: Session, settings: KmsSettings) -> Any:
    config = Config(
        connect_timeout=settings.attempt_timeout_s,
        read_timeout=settings.attempt_timeout_s,
        max_pool_connections=settings.concurrency,
        retries={"mode": "standard", "total_max_attempts": 1},
        user_agent_extra="auditseal",
    )
    # botocore itself reads AWS_DEFAULT_REGION alone, other SDKs AWS_REGION.
    region = settings.region or os.environ.get("AWS_REGION")
    return session.create_client("kms", region_name=region, endpoint_url=settings.endpoint_url, config=config)


def _configured_attempts(session: Session) -> int:
    attempts: int | None = session.get_config_variable("max_attempts")
    return attempts or _STANDARD_ATTEMPTS


def _has_proxy(endpoint_url: str) -> bool:
    return urlsplit(endpoint_url).scheme in get_environ_proxies(endpoint_url)


def _lean_transport(session: Session, client: Any) -> Transport | None:
    try:
        from auditseal.adapters.signers.kms_lean import LeanTransport
    except ImportError:  # no awscrt for this platform: botocore carries all calls
        return None
    try:
        connections = Connections(client.meta.endpoint_url, ca_path=_ca_path(session))
    except OSError as error:
        raise ConfigError("the trusted authorities cannot be read: check AWS_CA_BUNDLE") from error
    return LeanTransport(
        connections=connections, region=client.meta.region_name, credentials=_CurrentCredentials(session)
    )


def _ca_path(session: Session) -> str | None:
    configured = session.get_config_variable("ca_bundle") or os.environ.get("REQUESTS_CA_BUNDLE")
    path: str | None = configured or get_cert_path(True)
    return path


class _CurrentCredentials:
    """botocore's credentials, refreshed by botocore as they near their end."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._found: Any = None
        self._lock = threading.Lock()

    def __call__(self, timeout_s: float) -> tuple[str, str, str | None]:
        """Access key id, secret and token that are valid now.

        Raises:
            NoCredentialsError: there are none.
            TimeoutError: they could not be fetched in time.
        """
        found = self._found
        if found is None or _needs_refresh(found):
            return within(timeout_s, self._fetch)
        return _frozen(found)

    def _fetch(self) -> tuple[str, str, str | None]:
        with self._lock:
            if self._found is None:
                self._found = self._session.get_credentials()
        if self._found is None:
            raise NoCredentialsError
        return _frozen(self._found)


def _needs_refresh(credentials: Any) -> bool:
    ask = getattr(credentials, "refresh_needed", None)
    return ask is not None and bool(ask())


def _frozen(credentials: Any) -> tuple[str, str, str | None]:
    frozen = credentials.get_frozen_credentials()
    return frozen.access_key, frozen.secret_key, frozen.token
