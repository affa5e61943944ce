"""The whole way, with records of the strict fake KMS: appending over HTTP, its CloudTrail, `reconcile`, `verify`."""

import json
import sqlite3
import time

import pytest

from auditseal.cli.entry import run
from auditseal.cli.reconcile import FORMS
from auditseal.core.algorithm import AlgorithmId
from auditseal.core.heads import HEADS_STREAM
from auditseal.wiring.logs import open_log

from .conftest import SIGNER_ROLE, codes


def wait_for_the_next_second():
    time.sleep(1.01 - time.time() % 1)


ENTRIES = 24


def test_what_the_signer_did_is_all_accounted_for(world):
    world.append()
    code, report = world.reconcile()
    assert (code, codes(report), report["checked"]["accounted"]) == (0, [], ENTRIES)


def test_a_signature_whose_answer_got_lost_is_known_for_a_retry_until_somebody_explains_it(world):
    world.kms.faults.add("reset-after", operation="Sign", times=1, skip=5)
    world.append()
    code, report = world.reconcile()
    assert (code, codes(report)) == (3, [("unaccounted-signature", "retry-beside")])
    code, report = world.reconcile("--explain", report["findings"][0]["request_id"])
    assert (code, [finding["kind"] for finding in report["findings"]]) == (0, ["explained", None])


def test_a_stranger_with_the_key_is_named_and_cannot_be_explained(world, monkeypatch):
    world.append()
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAINTRUDER00000001")
    world.sign_elsewhere(world.keys["audit-2026"])
    code, report = world.reconcile()
    assert (code, codes(report)) == (1, [("unaccounted-signature", "unexpected-principal")])
    assert report["findings"][0]["principal"].endswith("user/caller-000001")
    assert world.reconcile("--explain", report["findings"][0]["request_id"])[0] == 1


def test_a_call_cannot_be_hidden_behind_a_claim_of_a_local_key(world):
    """Whoever writes to the database can put the call's request id beside a signature of a key that is at hand."""
    world.append(3)
    world.sign_elsewhere(world.keys["audit-2026"])
    hidden = world.kms.records("Sign")[-1]["requestID"]
    signers = json.loads((world.folder / "signers.json").read_text())
    key = {"signerId": "laptop", "algorithm": "hmac-sha256", "development": True, "key": "00" * 32}
    signers["signers"].append(key)
    (world.folder / "signers.json").write_text(json.dumps(signers))
    database = sqlite3.connect(world.folder / "audit.db")
    row = database.execute("SELECT stream, seq, entry_hash, signed_at FROM signatures WHERE seq = 1").fetchone()
    values = (row[0], row[1], row[2], "laptop", "hmac-sha256", b"\x00" * 32, hidden, row[3])
    database.execute(
        "INSERT INTO signatures (stream, seq, entry_hash, signer, algorithm, signature, request_id, signed_at) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        values,
    )
    database.commit()
    database.close()
    code, report = world.reconcile()
    assert code == 1
    assert set(codes(report)) == {
        ("unaccounted-signature", "expected-principal"),
        ("unwitnessed-signature", "other-key"),
    }


def test_the_text_names_the_finding_and_its_request(world, monkeypatch):
    world.append(3)
    wait_for_the_next_second()  # a trail of files is taken to be complete up to its last record
    world.append(1)
    lost = world.kms.records("Sign")[1]
    left = [item for item in world.kms.records() if item != lost]
    monkeypatch.setattr(world.kms, "records", lambda *_: left)
    metrics = world.folder / "reconcile.prom"
    code, said = world.reconcile("--metrics", str(metrics), form="text")
    assert code == 1
    assert "unwitnessed-signature  default #1" in said
    assert lost["requestID"] in said
    assert 'findings{code="unwitnessed-signature",severity="error"} 1' in metrics.read_text()


@pytest.mark.parametrize("mode", ["checkpoint", "event"])
def test_signatures_of_checkpoints_are_accounted_for(world, monkeypatch, mode):
    monkeypatch.setenv("AUDITSEAL_SIGNING_MODE", mode)
    monkeypatch.setenv("AUDITSEAL_ORIGIN", "example.com/audit")
    world.append(ack="durable" if mode == "checkpoint" else "signed")
    code, report = world.reconcile()
    assert (code, codes(report)) == (0, [])
    assert len(world.kms.records("Sign")) == report["checked"]["accounted"]
    assert (report["checked"]["accounted"] < ENTRIES) is (mode == "checkpoint")
    (accounted,) = report["accounted"]
    assert accounted["first_seq"] == 0
    assert accounted["last_seq"] >= ENTRIES  # the entry that announces the checkpoint is under it


def test_one_checkpoint_over_many_streams_accounts_for_all_of_them(world, monkeypatch):
    monkeypatch.setenv("AUDITSEAL_SIGNING_MODE", "checkpoint")
    monkeypatch.setenv("AUDITSEAL_ORIGIN", "example.com/audit")
    streams = ["a", "b", "c"]
    with open_log(world.log, signer=world.signer(), create=True) as log:
        for stream in streams:
            log.append("agent.spawned", {}, stream=stream, ack="durable")
    code, report = world.reconcile()
    assert (code, codes(report)) == (0, [])
    assert {part["stream"] for part in report["accounted"] if part["first_seq"] == 0} == {*streams, HEADS_STREAM}


def test_a_forged_checkpoint_is_unwitnessed(world, monkeypatch):
    monkeypatch.setenv("AUDITSEAL_SIGNING_MODE", "checkpoint")
    monkeypatch.setenv("AUDITSEAL_ORIGIN", "example.com/audit")
    world.append(3)
    wait_for_the_next_second()
    world.append(3)
    left = world.kms.records()
    left.remove(next(item for item in left if item["eventName"] == "Sign"))
    monkeypatch.setattr(world.kms, "records", lambda *_: left)
    code, report = world.reconcile()
    assert (code, codes(report)) == (1, [("unwitnessed-signature", "no-call")])
    assert "the checkpoint of size" in report["findings"][0]["message"]
    assert all(part["first_seq"] > 0 for part in report["accounted"])


def test_several_keys_of_several_kinds_in_one_log(world):
    world.add_key("macs", AlgorithmId.HMAC_SHA256)
    world.add_key("p256", AlgorithmId.ECDSA_P256_SHA256)
    for signer_id in ("audit-2026", "macs", "p256"):
        world.append(4, signer_id=signer_id, stream=signer_id)
    code, report = world.reconcile()
    assert (code, codes(report), report["checked"]["accounted"]) == (0, [], 12)


def test_an_export_is_reconciled_as_its_log_is(world, monkeypatch):
    monkeypatch.setenv("AUDITSEAL_ORIGIN", "example.com/audit")
    world.append()
    path = str(world.folder / "audit.jsonl")
    assert run(["export", "--log", world.log, "--to", path]) == 0
    (_, of_log), (code, of_export) = world.reconcile(), world.reconcile(log=path)
    assert (code, of_export["accounted"], of_export["checked"]) == (0, of_log["accounted"], of_log["checked"])


class TestGrade:
    """A valid account raises the grade of what it speaks for, in `verify`."""

    @pytest.fixture
    def account(self, world):
        world.append()
        path = world.folder / "account.json"
        assert world.reconcile("--account", str(path))[0] == 0
        return path

    def verify(self, world, *arguments, log=None):
        world.capsys.readouterr()
        signers = str(world.folder / "signers.json")
        code = run(["verify", log or world.log, "--signers", signers, "-o", "json", *arguments])
        return code, json.loads(world.capsys.readouterr().out)

    def grades(self, report):
        (stream,) = report["streams"]
        return {each["grade"]: (each["first_seq"], each["last_seq"]) for each in stream["grades"]}

    def test_what_it_speaks_for_is_reconciled(self, world, account):
        code, report = self.verify(world, "--reconciled", str(account), "--require", "G3")
        assert (code, self.grades(report)["G3"]) == (0, (0, ENTRIES - 1))
        assert "G3" not in report["not_checked"]

    def test_without_it_g3_is_not_checked_and_cannot_be_had(self, world, account):
        code, report = self.verify(world, "--require", "G3")
        assert (code, "G3" in self.grades(report), "G3" in report["not_checked"]) == (3, False, True)

    def test_what_came_after_it_is_not(self, world, account):
        world.append(2)
        code, report = self.verify(world, "--reconciled", str(account), "--require", "G3")
        assert (code, self.grades(report)["G3"]) == (3, (0, ENTRIES - 1))
        assert [(f["code"], f["seq"], f["last_seq"]) for f in report["findings"]] == [("below-grade", 24, 25)]

    def test_a_log_that_lost_entries_since_is_truncated(self, world, account):
        path = world.folder / "audit.jsonl"
        run(["export", "--log", world.log, "--to", str(path)])
        path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-3]))
        code, report = self.verify(world, "--reconciled", str(account), log=str(path))
        assert (code, [f["code"] for f in report["findings"]]) == (1, ["truncated"])

    def test_the_account_of_another_history_is_a_split_view(self, world, account):
        (world.folder / "audit.db").rename(world.folder / "first.db")
        world.append()
        code, report = self.verify(world, "--reconciled", str(account))
        assert (code, [f["code"] for f in report["findings"]]) == (1, ["split-view"])
        assert "G3" not in self.grades(report)

    def test_an_account_that_is_not_valid_is_not_written_and_the_old_one_stays(self, world, account):
        before = account.read_bytes()
        world.sign_elsewhere(world.keys["audit-2026"])
        code, report = world.reconcile("--account", str(account))
        assert (code, codes(report)) == (1, [("unaccounted-signature", "expected-principal")])
        assert account.read_bytes() == before

    def test_an_edited_account_is_refused(self, world, account):
        account.write_bytes(account.read_bytes().replace(b'"last_seq":23', b'"last_seq":99'))
        assert (
            run(["verify", world.log, "--signers", str(world.folder / "signers.json"), "--reconciled", str(account)])
            == 2
        )
        assert "checksum" in world.capsys.readouterr().err


def test_every_form_names_what_was_found(world):
    world.append(3)
    world.sign_elsewhere(world.keys["audit-2026"])
    request = world.kms.records("Sign")[-1]["requestID"]
    files = {form: world.folder / f"out.{form}" for form in FORMS}
    code, _ = world.reconcile(*(part for form, path in files.items() for part in ("-o", f"{form}={path}")))
    assert code == 1
    for form, path in files.items():
        assert "unaccounted-signature" in path.read_text(), form
        assert request in path.read_text(), form


@pytest.mark.parametrize(
    "arguments",
    [
        ["--settle", "soon"],
        ["--since", "yesterday"],
        ["--since", "2026-08-01", "--until", "2026-07-01"],
        ["--key", "audit"],
        ["--key", "audit=arn:aws:kms:key/x"],
        ["--webhook", "https://example.org/"],
        ["--record", "findings"],
        ["--follow", "--webhook", "http://example.org/"],
        ["--follow", "--webhook", "https://["],
        ["--follow", "--record", "NOT A STREAM"],
        ["--digest-keys", "no-such-file"],
        ["--digest-keys", "keys", "--without-digests"],
        ["--ledger", "."],
        ["--account", "nowhere/account.json"],
        ["--metrics", "nowhere/reconcile.prom"],
        ["-o", "xml"],
    ],
)
def test_a_wrong_option_is_a_usage_error(world, arguments):
    (world.folder / "trail.json").write_text('{"Records":[]}')
    signers = str(world.folder / "signers.json")
    usual = ["--log", world.log, "--signers", signers, "--trail", str(world.folder), "--principal", SIGNER_ROLE]
    assert run(["reconcile", *usual, *arguments]) == 2
    assert len(world.capsys.readouterr().err.splitlines()) == 1
