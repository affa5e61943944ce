"""JWTs over HTTP: what they let through, and that each refusal is answered alike and logged with its reason alone."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from structlog.testing import capture_logs

from auditseal.adapters.callers import oidc
from support.openid import AUDIENCE, Provider
from support.service import running_app


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    running = Provider()
    yield running
    running.close()


@pytest.fixture
def app(tmp_path, provider):
    with running_app(tmp_path, oidc_issuer=provider.issuer, oidc_audience=AUDIENCE) as running:
        yield running


def _append(app, token: str, stream: str = "ci/build"):
    headers = {"Authorization": f"Bearer {token}"}
    return app.client.post(f"/v1/streams/{stream}/events", json={"type": "ci.built"}, headers=headers)


def test_a_jwt_lets_its_subject_in_and_the_event_names_it(app, provider):
    assert _append(app, provider.token()).status_code == 201
    entry = app.get("/v1/streams/ci/build/entries/0").json()
    assert entry["event"]["context"] == {"caller": f"oidc:{provider.issuer}#ci-job"}


def test_its_claims_say_which_streams_and_roles_it_has(app, provider):
    assert _append(app, provider.token(), "billing").status_code == 403
    assert _append(app, provider.token(roles=["auditor"])).status_code == 403
    assert _append(app, provider.token(roles=None)).status_code == 403
    assert _append(app, provider.token(auditseal_streams=None)).status_code == 403
    assert app.serving.log.store.streams() == []


FORGED = {
    "expired-jwt": lambda provider: provider.token(exp=int(time.time()) - 60),
    "jwt-not-yet-valid": lambda provider: provider.token(nbf=int(time.time()) + 600),
    "wrong-audience": lambda provider: provider.token(aud="another-service"),
    "wrong-issuer": lambda provider: provider.token(iss="https://idp.example"),
    "missing-claim": lambda provider: provider.token(sub=None),
    "forged-jwt": lambda provider: provider.token(key=rsa.generate_private_key(65537, 2048)),
    "unknown-key": lambda provider: provider.token(kid="not-ours"),
}


@pytest.mark.parametrize("reason", FORGED)
def test_a_jwt_that_is_not_good_is_refused_and_only_the_log_says_why(app, provider, reason):
    token = FORGED[reason](provider)
    with capture_logs() as records:
        answer = _append(app, token)
    assert (answer.status_code, answer.json()["type"]) == (401, "urn:auditseal:problem:unauthenticated")
    assert reason not in answer.text
    (record,) = [record for record in records if record["event"] == "refused"]
    assert record["reason"] == reason
    assert not any(part in repr(records) for part in token.split("."))
    assert app.serving.log.store.streams() == []


def test_while_the_provider_is_away_nobody_is_let_in_and_the_answer_says_try_again(tmp_path, provider):
    nowhere = "http://127.0.0.1:9/jwks"
    with running_app(tmp_path, oidc_issuer=provider.issuer, oidc_audience=AUDIENCE, oidc_jwks_url=nowhere) as app:
        answer = _append(app, provider.token())
        assert (answer.status_code, answer.json()["retryable"]) == (503, True)
        assert answer.headers["Retry-After"]
        assert app.append().status_code == 201, "API tokens go on"


def test_an_endless_jwt_is_refused_before_it_is_looked_at(app):
    assert _append(app, "a.b." + "c" * oidc.MAX_TOKEN_CHARACTERS).status_code == 401
