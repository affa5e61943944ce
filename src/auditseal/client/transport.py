"""How a client reaches its service: the address, the credential, TLS; and httpx's errors in our words."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import httpx2

from auditseal.client.problems import Answer
from auditseal.errors import ConfigError, ServiceError

if TYPE_CHECKING:
    from auditseal.client.calls import Send

Token = str | Callable[[], str] | None
"""An API token or JWT, or what gives one whenever one is needed; None for a service without authentication."""
_CONNECT_S: Final = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """Where a service is and how it is spoken to.

    Attributes:
        url: its address: https, or http to this machine.
        token: the credential.
        timeout_s: for one attempt.
        ca: PEM file of the authorities that its certificate must come from; None for the system's.
        certificate: PEM files of the client's certificate and key, where the service asks for one.
    """

    url: str
    token: Token = None
    timeout_s: float = 10.0
    ca: Path | None = None
    certificate: tuple[Path, Path] | None = None

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        if parts.username or parts.password or parts.query or parts.fragment:
            raise ConfigError("a service's address is https://HOST[:PORT] alone: the token goes into AUDITSEAL_TOKEN")
        if parts.scheme == "https" and parts.hostname:
            return
        if parts.scheme != "http" or not _is_loopback(parts.hostname):
            raise ConfigError(f"{self.url[:200]!r} is no address of a service: write https://HOST[:PORT]")

    def options(self) -> dict[str, Any]:
        """The arguments of an httpx client.

        Raises:
            ConfigError: a certificate cannot be used.
        """
        return {
            "base_url": self.url,
            "timeout": httpx2.Timeout(self.timeout_s, connect=min(_CONNECT_S, self.timeout_s)),
            "verify": self._tls(),
            "follow_redirects": False,
            "trust_env": not _is_loopback(urlsplit(self.url).hostname),
        }

    def headers(self) -> dict[str, str]:
        """The headers of a request: who calls."""
        token = self.token() if callable(self.token) else self.token
        return {} if token is None else {"Authorization": f"Bearer {token}"}

    def _tls(self) -> ssl.SSLContext:
        try:
            context = ssl.create_default_context(cafile=None if self.ca is None else str(self.ca))
            if self.certificate is not None:
                context.load_cert_chain(*self.certificate)
        except (OSError, ssl.SSLError) as error:
            raise ConfigError(
                f"the authorities or the client's certificate cannot be used ({type(error).__name__}): they are PEM "
                "files that this user can read"
            ) from error
        return context


def failure_of(error: httpx2.HTTPError) -> ServiceError:
    """Why there was no answer. Whether the request was carried out is not known; its id makes another attempt safe."""
    kind = type(error).__name__
    if isinstance(error, httpx2.TransportError) and not isinstance(
        error, httpx2.UnsupportedProtocol | httpx2.LocalProtocolError
    ):
        return ServiceError(f"the service gave no answer ({kind})", retryable=True)
    return ServiceError(f"the service could not be called ({kind})", retryable=False)


def request_arguments(send: Send, headers: dict[str, str]) -> dict[str, Any]:
    """The arguments of httpx's `request`."""
    return {
        "method": send.method,
        "url": send.path,
        "params": send.params,
        "headers": send.headers | headers,
        "content": send.content,
    }


def answer_of(response: httpx2.Response) -> Answer:
    """The answer, read to its end."""
    return Answer(response.status_code, response.headers, response.content)


def _is_loopback(host: str | None) -> bool:
    try:
        return host == "localhost" or ip_address(host or "").is_loopback
    except ValueError:
        return False
