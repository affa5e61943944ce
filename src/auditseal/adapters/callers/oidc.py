"""Callers that show a JWT of an OpenID provider.

The signature is checked under the provider's published keys, the algorithm against our own list and never by what the
token says of itself; `iss`, `aud`, `exp`, `nbf` and `iat` are checked, and a token without them, or without `sub`, is
refused. Roles and streams come from two claims; a token without them may do nothing.

Source: RFC 7519, RFC 7517, RFC 8725, OpenID Connect Discovery 1.0 §4.
"""

from __future__ import annotations

import json
import threading
import urllib.error
import urllib.request
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any, Final
from urllib.parse import urlsplit

import jwt

from auditseal.core.caller import Caller, Role, check_pattern
from auditseal.errors import ConfigError, InputError, StoreError, UnauthenticatedError

ALGORITHMS: Final = frozenset(
    {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519"}
)
"""Those with a public key; with a shared secret every verifier could also forge."""
MAX_TOKEN_CHARACTERS: Final = 8192
_TIMEOUT_S: Final = 5.0
_KEYS_FOR_S: Final = 300
_LEEWAY_S: Final = 10
_MOST_DISCOVERY_BYTES: Final = 256 * 1024
_DOTS: Final = 2

_REASONS: Final[tuple[tuple[type[Exception], str], ...]] = (
    (jwt.ExpiredSignatureError, "expired-jwt"),
    (jwt.ImmatureSignatureError, "jwt-not-yet-valid"),
    (jwt.InvalidIssuedAtError, "jwt-not-yet-valid"),
    (jwt.InvalidAudienceError, "wrong-audience"),
    (jwt.InvalidIssuerError, "wrong-issuer"),
    (jwt.MissingRequiredClaimError, "missing-claim"),
    (jwt.InvalidAlgorithmError, "algorithm-not-allowed"),
    (jwt.InvalidSignatureError, "forged-jwt"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class OidcSettings:
    """What a JWT must be.

    Attributes:
        issuer, audience: `iss` and `aud`.
        jwks_url: where the keys are; None asks the issuer's discovery document.
        algorithms: those allowed.
        roles_claim, streams_claim: the claims with the caller's roles and stream patterns: lists of strings, or one
            string with spaces between.
    """

    issuer: str
    audience: str
    algorithms: tuple[str, ...]
    jwks_url: str | None = None
    roles_claim: str = "roles"
    streams_claim: str = "auditseal_streams"

    def __post_init__(self) -> None:
        unknown = sorted(set(self.algorithms) - ALGORITHMS)
        if unknown or not self.algorithms:
            raise ConfigError(
                f"a JWT's algorithm {unknown[0] if unknown else ''!r} is not to be trusted: allow any of "
                f"{', '.join(sorted(ALGORITHMS))}"
            )
        for url in (self.issuer, self.jwks_url):
            if url is not None:
                _check_url(url)


class OidcCallers:
    """Knows the callers of one provider (`auditseal.ports.Authenticator`)."""

    def __init__(self, settings: OidcSettings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._keys: jwt.PyJWKClient | None = None

    def authenticate(self, credential: str) -> Caller | None:
        """Who the JWT speaks of (`Authenticator.authenticate`)."""
        if credential.count(".") != _DOTS or len(credential) > MAX_TOKEN_CHARACTERS:
            return None
        claims = self._claims(credential)
        return Caller(
            name=f"oidc:{claims['iss']}#{claims['sub']}"[:256],
            roles=frozenset(Role(name) for name in _texts(claims, self._settings.roles_claim) if name in set(Role)),
            streams=tuple(filter(_is_pattern, _texts(claims, self._settings.streams_claim))),
            credential=str(claims["jti"])[:128] if "jti" in claims else None,
        )

    def _claims(self, credential: str) -> dict[str, Any]:
        try:
            # Before the keys are asked for: what may not be used needs none.
            if jwt.get_unverified_header(credential).get("alg") not in self._settings.algorithms:
                raise UnauthenticatedError("the token is not accepted", reason="algorithm-not-allowed")
            key = self._key_client().get_signing_key_from_jwt(credential)
            return jwt.decode(
                credential,
                key,
                algorithms=list(self._settings.algorithms),
                audience=self._settings.audience,
                issuer=self._settings.issuer,
                leeway=_LEEWAY_S,
                options={"require": ["exp", "iat", "iss", "aud", "sub"]},
            )
        except jwt.PyJWKClientConnectionError as error:
            raise StoreError("the OpenID provider's keys could not be fetched: try again", retryable=True) from error
        except jwt.PyJWKClientError as error:
            raise UnauthenticatedError("the token is not accepted", reason="unknown-key") from error
        except jwt.PyJWTError as error:
            reason = next((word for kind, word in _REASONS if isinstance(error, kind)), "malformed-jwt")
            raise UnauthenticatedError("the token is not accepted", reason=reason) from error

    def _key_client(self) -> jwt.PyJWKClient:
        with self._lock:
            if self._keys is None:
                url = self._settings.jwks_url or discover_keys(self._settings.issuer)
                self._keys = jwt.PyJWKClient(url, lifespan=_KEYS_FOR_S, timeout=_TIMEOUT_S)
            return self._keys


def discover_keys(issuer: str) -> str:
    """The address of an issuer's keys, from its discovery document.

    Raises:
        StoreError: there is no such document, or it is not the issuer's.
        ConfigError: it names an address that may not be used.
    """
    url = issuer.rstrip("/") + "/.well-known/openid-configuration"
    try:
        with urllib.request.urlopen(url, timeout=_TIMEOUT_S) as answer:  # noqa: S310 - the scheme was checked
            document = json.loads(answer.read(_MOST_DISCOVERY_BYTES))
        named, keys = document["issuer"], document["jwks_uri"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StoreError("the OpenID provider's discovery document could not be read", retryable=True) from error
    if named != issuer:
        raise StoreError(f"the OpenID provider's discovery document is another issuer's, not {issuer}'s")
    _check_url(str(keys))
    return str(keys)


def _check_url(url: str) -> None:
    """HTTPS, or HTTP to this machine.

    Raises:
        ConfigError: anything else.
    """
    parts = urlsplit(url)
    if parts.scheme == "https" and parts.hostname:
        return
    try:
        is_here = parts.hostname == "localhost" or ip_address(parts.hostname or "").is_loopback
    except ValueError:
        is_here = False
    if parts.scheme != "http" or not is_here:
        raise ConfigError(f"{url[:200]!r} is no address for an OpenID provider: it must begin with https://")


def _texts(claims: dict[str, Any], name: str) -> list[str]:
    value = claims.get(name)
    if isinstance(value, str):
        return value.split()
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []


def _is_pattern(text: str) -> bool:
    try:
        check_pattern(text)
    except InputError:
        return False
    return True
