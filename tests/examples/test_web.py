"""The Agent Manager over HTTP: who may order, what is answered, what an error says."""

from __future__ import annotations

import hashlib
from uuid import uuid4

import pytest
from fastapi.testclient import TestClient

from agent_manager.model import State
from agent_manager.users import add_user, load_users
from agent_manager.web import create_app
from auditseal.errors import ServiceError
from support.agents import AGENT, wait_until

_TOKEN = "alice's token"
_AWAY = ServiceError("no answer", retryable=True)


@pytest.fixture
def web(world):
    users = {"alice": hashlib.sha256(_TOKEN.encode()).hexdigest()}
    app = create_app(world.manager, users, look_every_s=0.05)
    with TestClient(app, headers={"Authorization": f"Bearer {_TOKEN}"}) as client:
        yield client


@pytest.fixture
def agent(web) -> str:
    assert web.post("/v1/templates", json={"name": "worker", "command": AGENT}).status_code == 201
    return web.post("/v1/agents", json={"template": "worker"}).json()["agent"]


def test_a_life_over_http(web, agent, world):
    for method, path, outcome in (
        ("POST", f"/v1/agents/{agent}/restart", "restarted"),
        ("POST", f"/v1/agents/{agent}/stop", "stopped"),
        ("POST", f"/v1/agents/{agent}/start", "started"),
        ("DELETE", f"/v1/agents/{agent}", "destroyed"),
    ):
        answer = web.request(method, path)
        assert (answer.status_code, answer.json()["outcome"], answer.json()["agent"]) == (200, outcome, agent)
        assert [where["type"] for where in answer.json()["audit"]][1] == f"agent.{outcome}"
    assert web.get(f"/v1/agents/{agent}").json()["state"] == "destroyed"
    assert [one["id"] for one in web.get("/v1/agents").json()] == [agent]
    assert [one["name"] for one in web.get("/v1/templates").json()] == ["worker"]
    assert {body.actor for body in world.audit.bodies() if body.type != "manager.started"} == {"user:alice"}
    world.check()


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer somebody else's"}, {"Authorization": _TOKEN[1:]}])
@pytest.mark.parametrize(
    "call",
    [
        ("GET", "/v1/agents"),
        ("GET", "/v1/templates"),
        ("POST", "/v1/agents/{}/stop"),
        ("POST", "/v1/agents/{}/heartbeat"),
        ("DELETE", "/v1/agents/{}"),
    ],
)
def test_who_has_no_token_learns_and_changes_nothing(web, agent, world, call, headers):
    method, path = call
    told = world.audit.types()
    answer = TestClient(web.app).request(method, path.format(agent), headers=headers)
    assert answer.status_code == (404 if path.endswith("heartbeat") else 401)
    assert answer.headers["content-type"] == "application/problem+json"
    assert (world.audit.types(), world.agent_state(agent)) == (told, State.STARTING)


def test_an_order_under_one_key_is_carried_out_once(web, agent, world):
    key = {"Idempotency-Key": str(uuid4())}
    first = web.post(f"/v1/agents/{agent}/restart", headers=key)
    assert web.post(f"/v1/agents/{agent}/restart", headers=key).json() == first.json()
    assert world.audit.types().count("agent.restarted") == 1
    other = web.post(f"/v1/agents/{agent}/stop", headers=key)
    assert (other.status_code, other.json()["title"]) == (409, "NotAllowed")


def test_a_refused_order_says_that_nothing_was_done_and_readiness_that_the_log_is_behind(web, agent, world):
    wait_until(lambda: web.get("/readyz").status_code == 200)
    world.audit.away(_AWAY)
    answer = web.post(f"/v1/agents/{agent}/stop")
    assert (answer.status_code, answer.json()["detail"].endswith("nothing was done")) == (503, True)
    assert answer.headers["retry-after"] == "2"
    assert web.get("/readyz").status_code == 503
    assert web.get("/healthz").status_code == 200
    world.audit.back()
    wait_until(lambda: web.get("/readyz").status_code == 200)
    assert world.audit.types()[-1] == "agent.stop.abandoned"


def test_an_order_whose_outcome_waits_does_not_say_that_nothing_was_done(web, agent, world):
    world.audit.away(_AWAY, takes=lambda event: event.type.endswith(".requested"))
    answer = web.post(f"/v1/agents/{agent}/stop")
    assert (answer.status_code, "nothing was done" in answer.json()["detail"]) == (503, False)
    assert world.agent_state(agent) is State.STOPPED
    world.audit.back()
    wait_until(lambda: world.audit.types()[-1] == "agent.stopped")


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/templates", {"name": "Upper", "command": ["x"]}),
        ("/v1/templates", {"name": "a", "command": []}),
        ("/v1/templates", {"name": "a", "command": ["x\0y"]}),
        ("/v1/templates", {"name": "a", "command": ["x"], "more": 1}),
        ("/v1/agents", {}),
        ("/v1/agents/../stop", None),
        ("/v1/agents/A%20B/stop", None),
    ],
)
def test_what_is_malformed_is_refused_and_not_recorded(web, world, path, body):
    assert web.post(path, json=body).status_code in {404, 405, 422}
    assert world.audit.types() == []


def test_what_is_not_there_and_what_does_not_work(web, agent):
    assert web.post("/v1/agents/a-none/stop").status_code == 404
    assert web.post("/v1/agents", json={"template": "none"}).status_code == 404
    assert web.post(f"/v1/agents/{agent}/start").status_code == 409
    assert web.post("/v1/templates", json={"name": "gone", "command": ["/no/such/program"]}).status_code == 201
    failed = web.post("/v1/agents", json={"template": "gone"})
    assert (failed.status_code, "there is no program" in failed.json()["detail"]) == (422, True)


def test_a_user_s_token_is_kept_as_a_hash_alone(tmp_path):
    path = tmp_path / "users.json"
    token, other = add_user(path, "alice"), add_user(path, "bob")
    assert token not in path.read_text()
    assert path.stat().st_mode & 0o077 == 0
    assert load_users(path) == {
        "alice": hashlib.sha256(token.encode()).hexdigest(),
        "bob": hashlib.sha256(other.encode()).hexdigest(),
    }
