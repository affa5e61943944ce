"""The token file: only hashes, atomic changes, and what a running service sees of them."""

from __future__ import annotations

import json
import threading

import pytest

from auditseal.adapters.callers.token_file import TokenFile, load_tokens, update_tokens
from auditseal.core.api_token import mint, read_token
from auditseal.errors import ConfigError, InputError, NotFoundError, UnauthenticatedError
from support.service import make_token

CREATED = "2026-07-01T00:00:00.000000Z"


@pytest.fixture
def path(tmp_path):
    return tmp_path / "tokens.json"


def test_the_file_holds_no_secret_and_is_its_owners_alone(path):
    text = make_token(path)
    secret = text.split("_", 2)[2]
    assert secret not in path.read_text()
    assert len(secret) >= 32
    assert path.stat().st_mode & 0o777 == 0o600


def test_what_is_kept_is_read_again(path):
    make_token(path, "one", roles=("producer", "auditor"), streams=("a/*", "b"))
    token = load_tokens(path)[0]
    assert (token.name, token.roles, token.streams) == ("one", {"producer", "auditor"}, ("a/*", "b"))


def test_a_holder_is_known_by_the_whole_token_alone(path):
    text = make_token(path, "one")
    callers = TokenFile(path)
    assert callers.authenticate(text).name == "token:one"
    other_id = text[:10] + ("a" if text[10] != "a" else "b") + text[11:]
    for wrong in (text[:-1] + ("A" if text[-1] != "A" else "B"), other_id):
        with pytest.raises(UnauthenticatedError):
            callers.authenticate(wrong)


@pytest.mark.parametrize("text", ["", "auditseal_", "auditseal_abc_def", "a.b.c"])
def test_what_is_no_token_is_left_to_others(path, text):
    make_token(path)
    assert TokenFile(path).authenticate(text) is None


def test_a_change_is_seen_after_a_second_and_not_before(path):
    now = [100.0]
    first = make_token(path, "one")
    callers = TokenFile(path, monotonic=lambda: now[0])
    second = make_token(path, "two")
    now[0] += 0.5
    with pytest.raises(UnauthenticatedError):
        callers.authenticate(second)
    now[0] += 0.6
    assert callers.authenticate(second).name == "token:two"
    assert callers.authenticate(first).name == "token:one"


def test_a_token_ends_when_it_expires(path):
    text, token = mint(b"x" * 40, name="n", roles=["producer"], streams=["*"], created=CREATED, expires="2026-07-02")
    update_tokens(path, lambda kept: [*kept, token])
    day = 86_400_000_000
    start = 1782864000_000_000
    assert TokenFile(path, clock=lambda: start).authenticate(text)
    with pytest.raises(UnauthenticatedError) as raised:
        TokenFile(path, clock=lambda: start + 2 * day).authenticate(text)
    assert raised.value.reason == "expired-token"


def test_writers_at_once_lose_nothing(path):
    threads = [threading.Thread(target=make_token, args=[path, f"t{number}"]) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {token.name for token in load_tokens(path)} == {f"t{number}" for number in range(12)}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"tokens": [{}]}',
        '{"tokens": 7}',
        '{"tokens": [{"id":"a","name":"n","secret_sha256":"00","roles":["producer"],"streams":["*"],"created":"x"}]}',
    ],
)
def test_a_file_that_is_none_is_refused(path, text):
    path.write_text(text)
    with pytest.raises(ConfigError, match="no token file"):
        load_tokens(path)


def test_a_role_that_does_not_exist_is_not_read_as_another(path):
    make_token(path)
    document = json.loads(path.read_text())
    document["tokens"][0]["roles"] = ["root"]
    path.write_text(json.dumps(document))
    with pytest.raises(ConfigError):
        load_tokens(path)


def test_a_missing_file_is_named(path):
    with pytest.raises(NotFoundError, match="tokens create"):
        TokenFile(path)


@pytest.mark.parametrize(
    "members",
    [
        {"roles": []},
        {"roles": ["root"]},
        {"streams": []},
        {"streams": ["A"]},
        {"name": ""},
        {"expires": "2026-06-30T00:00:00.000000Z"},
    ],
)
def test_a_token_for_nothing_is_not_made(members):
    given = {"name": "n", "roles": ["producer"], "streams": ["*"], "created": CREATED} | members
    with pytest.raises(InputError):
        mint(b"x" * 40, **given)


def test_a_token_needs_all_its_randomness():
    with pytest.raises(InputError):
        mint(b"x" * 39, name="n", roles=["producer"], streams=["*"], created=CREATED)


def test_two_tokens_differ_in_every_part():
    one, two = (mint(bytes([n]) * 40, name="n", roles=["producer"], streams=["*"], created=CREATED)[0] for n in (1, 2))
    assert read_token(one).id != read_token(two).id
    assert read_token(one).secret_hash != read_token(two).secret_hash
