"""JWTs of an OpenID provider on loopback."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Iterator
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from auditseal.adapters.callers.oidc import OidcCallers, OidcSettings
from auditseal.core.caller import Role
from auditseal.errors import ConfigError, StoreError, UnauthenticatedError
from support.openid import AUDIENCE, Provider


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    running = Provider()
    yield running
    running.close()


@pytest.fixture
def callers(provider: Provider) -> OidcCallers:
    return OidcCallers(_settings(provider))


def _settings(provider: Provider, **members: Any) -> OidcSettings:
    given = {"issuer": provider.issuer, "audience": AUDIENCE, "algorithms": ("RS256", "ES256", "EdDSA")} | members
    return OidcSettings(**given)


def _reason(callers: OidcCallers, token: str) -> str:
    with pytest.raises(UnauthenticatedError) as raised:
        callers.authenticate(token)
    assert token not in str(raised.value)
    return raised.value.reason


@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "EdDSA"])
def test_a_good_token_names_its_caller(provider, callers, algorithm):
    caller = callers.authenticate(provider.token(algorithm, jti="j-1"))
    assert caller.name == f"oidc:{provider.issuer}#ci-job"
    assert (caller.roles, caller.streams, caller.credential) == ({Role.PRODUCER}, ("ci/*",), "j-1")


@pytest.mark.parametrize(
    ("claims", "reason"),
    [
        ({"exp": 1}, "expired-jwt"),
        ({"nbf": 4102444800}, "jwt-not-yet-valid"),
        ({"iat": 4102444800}, "jwt-not-yet-valid"),
        ({"iss": "https://other.example"}, "wrong-issuer"),
        ({"aud": "another-service"}, "wrong-audience"),
        ({"aud": ["a", "b"]}, "wrong-audience"),
        ({"exp": None}, "missing-claim"),
        ({"aud": None}, "missing-claim"),
        ({"iss": None}, "missing-claim"),
        ({"sub": None}, "missing-claim"),
        ({"iat": None}, "missing-claim"),
    ],
)
def test_a_token_with_wrong_claims_is_refused(provider, callers, claims, reason):
    assert _reason(callers, provider.token(**claims)) == reason


def test_a_token_of_another_key_under_a_known_name_is_forged(provider, callers):
    stranger = rsa.generate_private_key(65537, 2048)
    assert _reason(callers, provider.token(key=stranger)) == "forged-jwt"


def test_a_token_whose_claims_were_changed_is_forged(provider, callers):
    head, body, signature = provider.token().split(".")
    claims = json.loads(base64.urlsafe_b64decode(body + "=="))
    claims["roles"] = ["producer", "operator"]
    changed = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    assert _reason(callers, f"{head}.{changed}.{signature}") == "forged-jwt"


def test_a_key_that_the_provider_does_not_have_is_refused(provider, callers):
    assert _reason(callers, provider.token(kid="another")) == "unknown-key"


def test_an_unsigned_token_is_refused(provider, callers):
    body = provider.token().split(".")[1]
    head = base64.urlsafe_b64encode(b'{"alg":"none","kid":"RS256"}').decode().rstrip("=")
    assert _reason(callers, f"{head}.{body}.") == "algorithm-not-allowed"


def test_a_public_key_used_as_a_shared_secret_is_refused(provider, callers):
    pem = provider.keys["RS256"].public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    body = provider.token().split(".")[1]
    head = base64.urlsafe_b64encode(b'{"alg":"HS256","kid":"RS256"}').decode().rstrip("=")
    mac = hmac.new(pem, f"{head}.{body}".encode(), hashlib.sha256).digest()
    token = f"{head}.{body}.{base64.urlsafe_b64encode(mac).decode().rstrip('=')}"
    assert _reason(callers, token) == "algorithm-not-allowed"


def test_an_algorithm_that_is_not_on_the_list_is_refused(provider):
    callers = OidcCallers(_settings(provider, algorithms=("ES256",)))
    assert _reason(callers, provider.token("RS256")) == "algorithm-not-allowed"


def test_an_algorithm_of_the_list_under_a_key_of_another_is_refused(provider, callers):
    assert _reason(callers, provider.token("ES256", kid="RS256")) in {"algorithm-not-allowed", "forged-jwt"}


@pytest.mark.parametrize("token", ["a.b.c", "..", "eyJhbGciOiJSUzI1NiJ9.e30.AAAA"])
def test_what_only_looks_like_a_token_is_refused(callers, token):
    assert _reason(callers, token) in {"malformed-jwt", "unknown-key"}


@pytest.mark.parametrize("text", ["", "nothing", "a.b", "a.b.c.d", "a.b." + "c" * 9000])
def test_what_is_of_another_kind_is_left_to_others(callers, text):
    assert callers.authenticate(text) is None


@pytest.mark.parametrize(
    ("claims", "roles", "streams"),
    [
        ({"roles": "producer auditor"}, {Role.PRODUCER, Role.AUDITOR}, ("ci/*",)),
        ({"roles": ["root", "auditor", 7]}, {Role.AUDITOR}, ("ci/*",)),
        ({"roles": None}, set(), ("ci/*",)),
        ({"roles": {"producer": True}}, set(), ("ci/*",)),
        ({"auditseal_streams": None}, {Role.PRODUCER}, ()),
        ({"auditseal_streams": ["BAD PATTERN", "ok"]}, {Role.PRODUCER}, ("ok",)),
    ],
)
def test_claims_that_are_missing_or_odd_give_nothing(provider, callers, claims, roles, streams):
    caller = callers.authenticate(provider.token(**claims))
    assert (caller.roles, caller.streams) == (roles, streams)


def test_the_claims_that_count_can_be_named(provider):
    callers = OidcCallers(_settings(provider, roles_claim="grp", streams_claim="where"))
    caller = callers.authenticate(provider.token(grp=["operator"], where="a b"))
    assert (caller.roles, caller.streams) == ({Role.OPERATOR}, ("a", "b"))


def test_keys_are_fetched_once_for_many_tokens(provider, callers):
    before = provider.fetched
    for _ in range(5):
        callers.authenticate(provider.token())
    assert provider.fetched - before == 1


def test_a_provider_that_is_away_is_no_verdict_on_the_token(provider):
    callers = OidcCallers(_settings(provider, jwks_url="http://127.0.0.1:9/jwks"))
    with pytest.raises(StoreError) as raised:
        callers.authenticate(provider.token())
    assert raised.value.retryable


def test_a_discovery_document_of_another_issuer_is_refused(provider, monkeypatch):
    monkeypatch.setitem(provider.discovery, "issuer", "https://other.example")
    with pytest.raises(StoreError, match="another issuer"):
        OidcCallers(_settings(provider)).authenticate(provider.token())


def test_a_discovery_document_cannot_lead_to_an_open_address(provider, monkeypatch):
    monkeypatch.setitem(provider.discovery, "jwks_uri", "http://keys.example/jwks")
    with pytest.raises(ConfigError, match="https"):
        OidcCallers(_settings(provider)).authenticate(provider.token())


@pytest.mark.parametrize("url", ["http://idp.example", "ftp://127.0.0.1", "file:///etc/passwd", "idp.example", ""])
def test_a_provider_is_reached_over_https(url):
    with pytest.raises(ConfigError, match="https"):
        OidcSettings(issuer=url, audience=AUDIENCE, algorithms=("RS256",))


@pytest.mark.parametrize("algorithms", [("HS256",), ("none",), ("RS256", "HS512"), ()])
def test_an_algorithm_that_is_not_to_be_trusted_cannot_be_allowed(algorithms):
    with pytest.raises(ConfigError, match="not to be trusted"):
        OidcSettings(issuer="https://idp.example", audience=AUDIENCE, algorithms=algorithms)
