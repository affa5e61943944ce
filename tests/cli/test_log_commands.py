"""The commands on a log: what they print, their JSON, their exit codes."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from auditseal.cli import entry
from support.vectors import load_vectors

LOG = "sqlite:///audit.db"


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)

    def run(*arguments, code=0):
        assert entry.run([str(argument) for argument in arguments]) == code, capsys.readouterr().err
        return capsys.readouterr().out

    return run


@pytest.fixture
def log(run):
    run("init", "--log", LOG)
    return LOG


def _append(run, log, *options, **members):
    return json.loads(run("append", "--log", log, "--type", "agent.spawned", "-o", "json", *options, **members))


def test_init_refuses_a_log_of_checkpoints_without_an_origin_before_it_makes_anything(run, tmp_path, monkeypatch):
    monkeypatch.setenv("AUDITSEAL_SIGNING_MODE", "checkpoint")
    run("init", "--log", "sqlite:///new.db", code=2)
    assert not (tmp_path / "new.db").exists()
    monkeypatch.setenv("AUDITSEAL_ORIGIN", "log.example/audit")
    run("init", "--log", "sqlite:///new.db")
    run("append", "--log", "sqlite:///new.db", "--type", "a")
    monkeypatch.delenv("AUDITSEAL_ORIGIN")
    run("init", "--log", "sqlite:///new.db")
    run("append", "--log", "sqlite:///new.db", "--type", "a")


def test_init_makes_a_development_key_that_only_its_owner_may_read(run, tmp_path):
    said = json.loads(run("init", "--log", LOG, "-o", "json"))
    assert (said["created"], said["log"]) == (True, LOG)
    for name in ("development-key.pem", "signers.json"):
        assert stat.S_IMODE((tmp_path / ".auditseal" / name).stat().st_mode) == 0o600
    (signer,) = json.loads((tmp_path / ".auditseal" / "signers.json").read_text())["signers"]
    assert (signer["signerId"], signer["development"]) == ("development", True)
    assert json.loads(run("init", "--log", LOG, "-o", "json"))["created"] is False


def test_append_prints_the_receipt(run, log):
    receipt = _append(run, log, "--actor", "user:alice", "--payload", '{"agent_id":"a-1"}')
    assert (receipt["stream"], receipt["seq"], receipt["status"]) == ("default", 0, "signed")
    assert (receipt["signer"], receipt["algorithm"], receipt["development"]) == ("development", "ed25519", True)
    assert receipt["prev_hash"] == ""
    assert _append(run, log)["prev_hash"] == receipt["hash"]


def test_a_repeated_id_gives_the_first_receipt_and_another_event_under_it_is_refused(run, log):
    id_ = "019f1af9-bfb8-7000-8000-000000000002"
    first = _append(run, log, "--id", id_)
    again = _append(run, log, "--id", id_)
    assert again == first | {"repeated": True}
    run("append", "--log", log, "--type", "other", "--id", id_, code=4)


def test_a_pending_entry_is_listed_as_such_and_inconclusive_until_it_is_signed(run, log):
    assert _append(run, log, "--ack", "durable")["status"] == "pending"
    (listed,) = json.loads(run("list", "--log", log, "-o", "json"))["entries"]
    assert listed["status"] == "pending"
    report = json.loads(run("verify", log, "-o", "json", code=3))
    assert [finding["code"] for finding in report["findings"]] == ["unsigned"]
    assert json.loads(run("sign-pending", "--log", log, "-o", "json")) == {
        "schema_version": 1,
        "signed": 1,
        "left": 0,
        "error": None,
    }
    run("verify", log)


def test_ingest_appends_the_good_lines_and_names_the_others(run, log, tmp_path, capsys):
    (tmp_path / "events.ndjson").write_text('{"type":"a"}\n{"type":1}\n\nnot json\n{"type":"b","stream":"s"}\n')
    assert entry.run(["ingest", "events.ndjson", "--log", log, "-o", "json"]) == 2
    said = capsys.readouterr()
    counts = json.loads(said.out)
    assert (counts["signed"], counts["refused"], counts["exit_code"]) == (2, 2, 2)
    assert [line.split(":")[2] for line in said.err.splitlines()] == ["2", "4"]
    assert json.loads(run("verify", log, "-o", "json"))["checked"]["entries"] == 2


def test_verify_says_what_was_checked(run, log):
    for _ in range(3):
        _append(run, log)
    report = json.loads(run("verify", log, "-o", "json"))
    assert (report["schema_version"], report["verdict"], report["exit_code"], report["findings"]) == (1, "valid", 0, [])
    assert report["checked"] == {"streams": 1, "entries": 3, "signatures": 3}
    text = run("verify", log)
    assert "VALID" in text
    assert "development key" in text


def test_an_empty_log_is_never_valid(run, log):
    report = json.loads(run("verify", log, "-o", "json", code=3))
    assert (report["verdict"], report["exit_code"]) == ("inconclusive", 3)
    assert [finding["code"] for finding in report["findings"]] == ["nothing-to-check"]


def test_a_stream_that_is_not_there_is_never_valid(run, log):
    _append(run, log)
    run("verify", log, "--stream", "default", "--stream", "nowhere", code=3)


def test_an_export_verifies_and_imports_byte_for_byte(run, log):
    for number in range(5):
        _append(run, log, "--stream", f"s/{number % 2}")
    run("export", "--log", log, "--to", "copy.jsonl")
    run("verify", "copy.jsonl")
    run("init", "--log", "sqlite:///other.db")
    run("import", "copy.jsonl", "--log", "sqlite:///other.db")
    run("verify", "sqlite:///other.db")
    run("export", "--log", "sqlite:///other.db", "--to", "again.jsonl")
    assert run("import", "copy.jsonl", "--log", "sqlite:///other.db", code=3)
    assert Path("copy.jsonl").read_bytes() == Path("again.jsonl").read_bytes()


def test_explain_compares_with_a_copy(run, log, tmp_path):
    _append(run, log, "--payload", '{"agent_id":"a-1"}')
    _append(run, log)
    run("export", "--log", log, "--to", "copy.jsonl")
    text = (tmp_path / "copy.jsonl").read_text()
    (tmp_path / "edited.jsonl").write_text(text.replace("a-1", "a-2"))
    said = json.loads(run("explain", "edited.jsonl", "0", "--against", "copy.jsonl", "-o", "json", code=1))
    assert said["differences"] == [{"path": "/payload/agent_id", "here": '"a-2"', "copy": '"a-1"'}]
    assert "changed after it was signed" in said["entries"][0]["meaning"]
    run("explain", log, "default#1")


def test_list_pages_and_filters(run, log):
    for number in range(7):
        _append(run, log, "--actor", f"user:{number % 2}")
    page = json.loads(run("list", "--log", log, "--limit", "3", "-o", "json"))
    assert [each["seq"] for each in page["entries"]] == [0, 1, 2]
    page = json.loads(run("list", "--log", log, "--after", page["next"], "-o", "json"))
    assert ([each["seq"] for each in page["entries"]], page["next"]) == ([3, 4, 5, 6], None)
    page = json.loads(run("list", "--log", log, "--actor", "user:1", "--from", "2", "-o", "json"))
    assert [each["seq"] for each in page["entries"]] == [3, 5]
    run("list", "--log", log, "--type", "none", code=3)


def test_config_shows_where_each_value_came_from_and_no_secret(run, log, monkeypatch):
    monkeypatch.setenv("AUDIT_SIGNING_PRIVATE_KEY", "-----BEGIN PRIVATE KEY-----s3cret")
    monkeypatch.setenv("AUDIT_SIGNER_KID", "me")
    said = run("config", "show", "--log", log, "-o", "json")
    rows = {row["name"]: row for row in json.loads(said)["settings"]}
    assert rows["log"] | {"variable": "x"} == {"name": "log", "variable": "x", "value": log, "origin": "flag --log"}
    assert rows["signer_id"]["origin"] == "environment AUDIT_SIGNER_KID"
    assert rows["private_key"]["value"] == "********"
    assert "s3cret" not in said


def test_what_is_asked_for_twice_is_written_twice(run, log, tmp_path):
    _append(run, log)
    assert "VALID" in run("verify", log, "-o", "text", "-o", "json=report.json")
    assert json.loads((tmp_path / "report.json").read_text())["verdict"] == "valid"


def test_verify_reports_in_the_forms_of_ci_systems(run, log, tmp_path):
    _append(run, log, "--payload", '{"agent_id":"a-1"}')
    _append(run, log, "--ack", "durable")
    run("export", "--log", log, "--to", "copy.jsonl")
    (tmp_path / "edited.jsonl").write_text((tmp_path / "copy.jsonl").read_text().replace("a-1", "a-2"))
    forms = ("github", "sarif=r.sarif", "junit=r.xml", "md=r.md")
    said = run("verify", "edited.jsonl", *(part for form in forms for part in ("-o", form)), code=1).splitlines()
    assert said[0].startswith("::error file=edited.jsonl,title=hash-mismatch (error)::default#0: the body does not")
    assert said[1].startswith("::warning file=edited.jsonl,title=unsigned (gap)::default#1: ")
    assert said[2].endswith("[exit 1]")
    (sarif,) = json.loads((tmp_path / "r.sarif").read_text())["runs"]
    assert [result["ruleId"] for result in sarif["results"]] == ["hash-mismatch", "unsigned"]
    assert sarif["invocations"][0]["exitCode"] == 1
    assert 'failures="1"' in (tmp_path / "r.xml").read_text()
    assert "| error | hash-mismatch | `edited.jsonl` |" in (tmp_path / "r.md").read_text()
    assert "exit 3" in run("verify", log, "-o", "github", code=3)


def test_a_signature_over_another_body_proves_nothing(run, log, tmp_path):
    for _ in range(2):
        _append(run, log, "--payload", '{"agent_id":"a-1"}')
    run("export", "--log", log, "--to", "copy.jsonl")
    text = (tmp_path / "copy.jsonl").read_text()
    (tmp_path / "edited.jsonl").write_text(text.replace("a-1", "a-2", 1))
    assert "G1 signed, only 1 of 2" in run("verify", "edited.jsonl", code=1)


def test_rows_of_the_existing_deployment_are_proven_as_far_as_they_are_signed(run, tmp_path):
    golden = load_vectors("golden_rsa2048_pkcs1v15")
    members = ("id", "actor_id", "event_type", "payload", "signature", "signer_kid", "prev_hash", "created_at")
    rows = [{name: row[name] for name in members} for row in golden["rows"]]
    (tmp_path / "rows.json").write_text(json.dumps(rows))
    (tmp_path / "signers.json").write_text(json.dumps(golden["signers"]))
    asked = ("verify", "rows.json", "--signers", "signers.json")
    assert "G1 signed, all 25 of 25" in run(*asked, "--format", "agent-manager")
    run(*asked, code=2)


@pytest.mark.parametrize(
    ("command", "member"),
    [
        (("list",), "seq"),
        (("signers", "list", ".auditseal/signers.json"), "signerId"),
        (("checkpoint", "list"), "size"),
        (("anchor", "list", "file:anchors.txt", "--origin", "example.com/log"), "where"),
    ],
)
def test_what_is_a_list_is_printed_as_lines_of_json(run, log, monkeypatch, command, member):
    monkeypatch.setenv("AUDITSEAL_LOG", log)
    monkeypatch.setenv("AUDITSEAL_ORIGIN", "example.com/log")
    _append(run, log)
    run("anchor", "publish", "file:anchors.txt")
    lines = run(*command, "-o", "jsonl").splitlines()
    assert lines
    assert all(member in json.loads(line) for line in lines)
