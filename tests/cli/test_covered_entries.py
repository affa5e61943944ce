"""What the commands print of entries that have no signatures of their own, whole and tampered with."""

from __future__ import annotations

import json

import pytest

from auditseal.cli import entry
from support.covered import LONG, CoveredLog, covered_log
from support.evidence import Key
from support.logs import registered

BY_MAIN_3 = "the signed checkpoint of size 3 by audit-2026 has it at its place"


@pytest.fixture
def log(tmp_path, monkeypatch) -> CoveredLog:
    made = covered_log(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AUDITSEAL_LOG", made.address)
    monkeypatch.setenv("AUDITSEAL_SIGNERS", str(made.signers))
    return made


@pytest.fixture
def run(capsys):
    def run(*arguments: str, code: int = 0) -> str:
        assert entry.run(list(arguments)) == code, capsys.readouterr()
        return capsys.readouterr().out

    return run


@pytest.fixture
def explain(run):
    """(the checks by name, the meaning) of an entry."""

    def explain(place: str, *, source: str, code: int = 0):
        (said,) = json.loads(run("explain", source, place, "-o", "json", code=code))["entries"]
        return {check["name"]: (check["holds"], check["detail"]) for check in said["checks"]}, said["meaning"]

    return explain


def test_the_list_says_who_signed_the_checkpoint_over_each_entry(log, run):
    last = [line.rpartition("  ")[2] for line in run("list", "--stream", "main").splitlines()]
    assert last == ["audit-2026 by checkpoint"] * 6 + ["pending"] * 2
    last = [line.rpartition("  ")[2] for line in run("list", "--stream", "other").splitlines()]
    assert last == ["audit-2026 by checkpoint"] * 2


def test_the_list_as_json_has_status_and_checkpoint(log, run):
    rows = json.loads(run("list", "--stream", "main", "-o", "json"))["entries"]
    covered = [(row["status"], row["checkpoint"]) for row in rows]
    assert covered == [("signed", 3)] * 3 + [("signed", 6)] * 3 + [("pending", None)] * 2
    lines = [json.loads(line) for line in run("list", "--stream", "main", "-o", "jsonl").splitlines()]
    assert lines == rows


def test_a_page_in_the_middle_has_the_same_checkpoints(log, run):
    rows = json.loads(run("list", "--after", "main#1", "--limit", "3", "-o", "json"))["entries"]
    assert [(row["seq"], row["checkpoint"]) for row in rows] == [(2, 3), (3, 6), (4, 6)]


def test_show_says_by_which_checkpoint_an_entry_is_signed(log, run):
    assert "  signed by  audit-2026, by the checkpoint of size 3\n" in run("show", "main#1")
    assert "  signed by  audit-2026, by the checkpoint of size 2\n" in run("show", "other#0")
    assert "  signature  pending\n" in run("show", "main#7")
    said = json.loads(run("show", "main#4", "-o", "json"))
    assert (said["status"], said["checkpoint"], said["signatures"]) == ("signed", 6, [])
    said = json.loads(run("show", "main#6", "-o", "json"))
    assert (said["status"], said["checkpoint"]) == ("pending", None)


def test_an_entry_with_its_own_signature_names_no_checkpoint(tmp_path, monkeypatch, run):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AUDITSEAL_LOG", "sqlite:///own.db")
    monkeypatch.setenv("AUDITSEAL_ORIGIN", "example.com/log")
    run("init")
    run("append", "--type", "t")
    run("checkpoint", "create")
    assert run("list", "--to", "0").endswith("  development\n")
    said = json.loads(run("show", "0", "-o", "json"))
    assert (said["status"], said["checkpoint"], len(said["signatures"])) == ("signed", None, 1)
    assert "checkpoint" not in run("explain", "sqlite:///own.db", "0")


def test_explain_shows_the_checkpoint_that_proves_an_entry(log, run):
    said = run("explain", log.address, "main#1")
    assert f"  checkpoint  holds        {BY_MAIN_3}\n" in said
    assert said.endswith("Nothing is wrong with this entry.\nNothing to do.\n")
    assert "signature" not in said


SOURCES = ["log", "audit.jsonl", "audit.parquet", "folder"]


@pytest.fixture(params=SOURCES)
def source(request, log, run):
    """The address of the log, or of an export of it; called after the log was tampered with."""

    def address() -> str:
        if request.param == "log":
            return log.address
        if request.param == "folder":
            run("export", "--to", "whole.jsonl")
            lines = (log.folder / "whole.jsonl").read_bytes().splitlines(keepends=True)
            (log.folder / "parts").mkdir()
            for number, first in enumerate(range(0, len(lines), 100)):
                (log.folder / "parts" / f"{number}.jsonl").write_bytes(b"".join(lines[first : first + 100]))
            return "parts/"
        run("export", "--to", request.param)
        return request.param

    return address


def test_every_source_proves_what_its_checkpoints_cover(explain, source):
    address = source()
    assert explain("main#0", source=address)[0]["checkpoint"] == (True, BY_MAIN_3)
    through = "the signed checkpoint of size 6 by audit-2026 has it at its place, signed through entry 0 of"
    assert explain("main#3", source=address)[0]["checkpoint"][1] == f"{through} auditseal/heads"
    assert explain("other#0", source=address)[0]["checkpoint"][0] is True
    assert explain(f"long#{LONG}", source=address)[0]["checkpoint"][0] is True
    assert explain("auditseal/heads#0", source=address)[0]["checkpoint"][0] is True


def test_what_nothing_covers_is_inconclusive(explain, source):
    checks, meaning = explain("main#6", source=source(), code=3)
    assert checks["signature"] == (None, "there is none")
    assert "checkpoint" not in checks
    assert "no signature that can be checked here covers it" in meaning


@pytest.mark.parametrize("place", [("main", 1), ("main", 3), ("long", 17)])
def test_a_changed_body_is_told_by_the_checkpoint_that_still_has_its_hash(log, explain, source, place):
    log.change_body(*place)
    checks, meaning = explain("{}#{}".format(*place), source=source(), code=1)
    assert (checks["hash"][0], checks["checkpoint"][0]) == (False, True)
    assert "has the stored hash at its place" in checks["checkpoint"][1]
    assert "changed after it was signed" in meaning
    assert "checkpoint still has the hash of the body that was there" in meaning


@pytest.mark.parametrize("place", [("main", 1), ("main", 3), ("long", 17)])
def test_body_and_hash_written_anew_are_told_by_what_the_checkpoint_has(log, explain, source, place):
    signed = log.entry(*place).hash.hex()
    log.rewrite(*place)
    checks, meaning = explain("{}#{}".format(*place), source=source(), code=1)
    assert (checks["hash"][0], checks["link ahead"][0]) == (True, False)
    assert checks["checkpoint"][0] is False
    assert checks["checkpoint"][1].endswith(
        f"has the hash that the next entry follows, and not the stored one: {signed}"
    )
    assert meaning == "Body and hash were written anew, together and without the key."


@pytest.mark.parametrize("place", [("main", 1), ("main", 3), ("long", 280)])
def test_an_entry_rewritten_with_all_after_it_is_not_in_the_signed_tree(log, explain, source, place):
    log.rewrite_from(*place)
    checks, meaning = explain("{}#{}".format(*place), source=source(), code=1)
    assert {name for name, (holds, _) in checks.items() if holds is False} == {"checkpoint"}
    assert "another root than these entries" in checks["checkpoint"][1]
    assert "these entries are not those that were signed" in meaning


def test_a_changed_hash_is_told_by_the_body_that_the_checkpoint_has(log, explain, source):
    log.tamper("UPDATE entries SET hash = ? WHERE stream = 'main' AND seq = 1", b"\x01" * 32)
    checks, meaning = explain("main#1", source=source(), code=1)
    assert "has the hash of the body, and not the stored one" in checks["checkpoint"][1]
    assert "The stored hash was changed" in meaning


def test_where_nothing_agrees_nothing_is_claimed(log, explain, source):
    log.change_body("main", 1)
    log.tamper("UPDATE entries SET hash = ? WHERE stream = 'main' AND seq = 1", b"\x01" * 32)
    log.tamper("UPDATE entries SET prev_hash = ? WHERE stream = 'main' AND seq = 2", b"\x02" * 32)
    checks, meaning = explain("main#1", source=source(), code=1)
    assert checks["checkpoint"][0] is False
    assert "No two of body, hash and signature agree" in meaning


def test_a_node_of_the_tree_that_was_changed_accuses_no_entry(log, explain):
    log.tamper("UPDATE tree_nodes SET hash = ? WHERE stream = 'long' AND level = 8", bytes(32))
    checks, meaning = explain("long#290", source=log.address, code=1)
    assert checks["checkpoint"][0] is True
    assert checks["kept tree"][0] is False
    assert "stands as it was signed" in meaning
    log.tamper("UPDATE tree_nodes SET hash = x'00' WHERE stream = 'long' AND level = 8")
    assert explain("long#290", source=log.address, code=1)[0]["kept tree"][0] is False
    checks, meaning = explain("long#20", source=log.address)
    assert (checks["checkpoint"][0], "kept tree" in checks) == (True, False)


def test_a_log_whose_entries_are_gone_is_not_checked(log, explain):
    log.tamper("DELETE FROM entries WHERE stream = 'main' AND seq >= 4")
    checks, _ = explain("main#3", source=log.address, code=3)
    assert checks["checkpoint"][0] is None
    assert checks["checkpoint"][1].endswith("the source has no entry 4 of main, which is under it")
    assert explain("main#2", source=log.address)[0]["checkpoint"] == (True, BY_MAIN_3)


def test_a_checkpoint_by_a_signer_that_is_not_known_proves_nothing(log, explain, monkeypatch):
    monkeypatch.setenv("AUDITSEAL_SIGNERS", "others.json")
    (log.folder / "others.json").write_bytes(registered(Key("stranger")).to_json_bytes())
    checks, meaning = explain("main#1", source=log.address, code=3)
    assert checks["checkpoint"][0] is None
    assert "by no key that is known here" in checks["checkpoint"][1]
    assert "no signature that can be checked here covers it" in meaning
