"""tokens create, list, revoke."""

from __future__ import annotations

import json

import pytest

from auditseal.cli.entry import run


@pytest.fixture
def tokens(tmp_path, monkeypatch):
    path = tmp_path / "tokens.json"
    monkeypatch.setenv("AUDITSEAL_TOKENS", str(path))
    monkeypatch.chdir(tmp_path)
    return path


def _create(*options):
    return run(["tokens", "create", "agent-manager", "--role", "producer", "--stream", "agents/*", *options])


def test_a_token_is_printed_once_and_only_its_hash_kept(tokens, capsys):
    assert _create() == 0
    text = capsys.readouterr().out.strip()
    assert text.startswith("auditseal_")
    assert text.split("_", 2)[2] not in tokens.read_text()
    assert run(["tokens", "list"]) == 0
    listed = capsys.readouterr().out
    assert "agent-manager" in listed
    assert text not in listed


def test_a_list_says_what_each_is_for(tokens, capsys):
    _create("--days", "30")
    capsys.readouterr()
    run(["tokens", "list", "-o", "json"])
    row = json.loads(capsys.readouterr().out)["tokens"][0]
    assert (row["name"], row["roles"], row["streams"], row["status"]) == (
        "agent-manager",
        ["producer"],
        ["agents/*"],
        "active",
    )
    assert row["expires"] > row["created"]


def test_a_revoked_token_is_listed_as_such(tokens, capsys):
    _create("-o", "json")
    id_ = json.loads(capsys.readouterr().out)["id"]
    assert run(["tokens", "revoke", id_]) == 0
    capsys.readouterr()
    run(["tokens", "list", "-o", "json"])
    assert json.loads(capsys.readouterr().out)["tokens"][0]["status"] == "revoked"


def test_revoking_what_is_not_there_is_an_error(tokens, capsys):
    _create()
    assert run(["tokens", "revoke", "aaaaaaaaaaaa"]) == 2
    assert "tokens list" in capsys.readouterr().err


@pytest.mark.parametrize(
    "options", [["--role", "root", "--stream", "*"], ["--role", "producer", "--stream", "A"], ["--role", "producer"]]
)
def test_a_token_for_nothing_is_not_made(tokens, options):
    assert run(["tokens", "create", "n", *options]) == 2
    assert not tokens.exists()


def test_which_file_must_be_said(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert run(["tokens", "list"]) == 2
    assert "AUDITSEAL_TOKENS" in capsys.readouterr().err
