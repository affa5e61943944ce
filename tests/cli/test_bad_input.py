"""What bad input gets: one line that says what, where and what to do, the contract's exit code, and an unharmed log."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
from pathlib import Path

import pytest

from auditseal.cli import entry
from fakes.kms import FakeKms

LOG = "sqlite:///audit.db"
APPEND = ("append", "--log", LOG, "--type", "t")


@pytest.fixture
def refused(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert entry.run(["init", "--log", LOG]) == 0
    assert entry.run(list(APPEND)) == 0
    shutil.copytree(".auditseal", "kept")
    capsys.readouterr()

    def refused(*arguments, code):
        found = entry.run([str(argument) for argument in arguments])
        said = capsys.readouterr()
        (line,) = said.err.strip().splitlines()
        assert line.startswith("auditseal: ")
        assert "Traceback" not in said.err + said.out
        assert found == code, line
        return line

    yield refused
    for name in list(os.environ):
        if name.startswith(("AUDIT", "REQ")):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    if (tmp_path / "audit.db").is_file() and (tmp_path / "audit.db").stat().st_size > 100:
        assert entry.run(["verify", LOG, "--signers", "kept/signers.json"]) == 0


@pytest.mark.parametrize(
    ("payload", "part"),
    [
        ("{", "not JSON"),
        ("[1]", "must be a JSON object"),
        ('{"a":1,"a":2}', "same key twice"),
        ('{"a":9007199254740993}', "2^53-1"),
        ('{"a":NaN}', "NaN"),
        ('{"a":"\\ud800"}', "surrogate"),
        ('{"a":' * 80 + "1" + "}" * 80, "nested deeper"),
    ],
)
def test_a_payload_that_is_not_acceptable(refused, payload, part):
    assert part in refused(*APPEND, "--payload", payload, code=2)


def test_a_payload_that_is_too_large(refused, tmp_path):
    (tmp_path / "big.ndjson").write_text(json.dumps({"type": "t", "payload": {"a": "x" * 2_000_000}}) + "\n")
    assert "too large" in refused("ingest", "big.ndjson", "--log", LOG, code=2)


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (("append", "--log", LOG), "--type"),
        (("nonsense",), "nonsense"),
        ((*APPEND, "--stream", "No Such"), "stream"),
        ((*APPEND, "--id", "x"), "UUID"),
        ((*APPEND, "--ack", "maybe"), "--ack"),
        ((*APPEND, "-o", "xml"), "xml"),
        (("append", "--type", "t", "--log", "audit.db"), "sqlite:///"),
        (("append", "--type", "t", "--log", "sqlite:///none/audit.db"), "no log"),
        (("verify", "none.jsonl"), "none.jsonl"),
        (("verify", LOG, "--signers", "none.json"), "none.json"),
        (("show", "99", "--log", LOG), "no entry"),
        (("export", "--log", LOG, "--to", "copy.txt"), ".jsonl"),
        (("list", "--log", LOG, "--since", "yesterday"), "yesterday"),
        (("init", "--log", "sqlite:///no/such/folder/audit.db"), "folder"),
    ],
)
def test_arguments_that_mean_nothing(refused, arguments, part):
    assert part in refused(*arguments, code=2 if "folder/" not in str(arguments) else 4)


def test_a_log_that_is_corrupt(refused, tmp_path):
    shutil.copy("audit.db", "hurt.db")
    data = bytearray((tmp_path / "hurt.db").read_bytes())
    data[4096:12288] = os.urandom(8192)
    (tmp_path / "hurt.db").write_bytes(data)
    assert "damaged" in refused("verify", "sqlite:///hurt.db", "--signers", "kept/signers.json", code=4)


def test_a_file_that_is_no_database(refused, tmp_path):
    (tmp_path / "text.db").write_text("not a database, and longer than a header of one, by far " * 3)
    assert "not a SQLite database" in refused("verify", "sqlite:///text.db", code=4)


def test_a_log_of_a_newer_version(refused, tmp_path):
    shutil.copy("audit.db", "new.db")
    database = sqlite3.connect("new.db")
    database.execute("UPDATE alembic_version SET version_num = '9999'")
    database.commit()
    database.close()
    assert "update auditseal" in refused("append", "--log", "sqlite:///new.db", "--type", "t", code=2)


def test_a_locked_log(refused, monkeypatch):
    monkeypatch.setattr("auditseal.adapters.stores.sqlite.connection._BUSY_TIMEOUT_MS", 50)
    holder = sqlite3.connect("audit.db", isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    assert "locked" in refused(*APPEND, code=4)
    holder.execute("ROLLBACK")
    holder.close()


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("{", "JSON"),
        ('{"signers": 7}', "signers"),
        ('{"signers": [{"signerId": "a", "algorithm": "ed25519", "publicKey": "AAAA"}]}', "public key"),
        ('[{"signerId": "a", "alg": "hmac", "key": "k1"}, {"signerId": "a", "alg": "hmac", "key": "k2"}]', "same id"),
    ],
)
def test_a_registry_that_cannot_be_relied_on(refused, tmp_path, text, part):
    (tmp_path / "bad.json").write_text(text)
    assert "bad.json" in refused("verify", LOG, "--signers", "bad.json", code=2)
    assert part.lower() in refused("signers", "check", "bad.json", code=2).lower()


def test_a_private_key_in_a_registry_is_refused_loudly_and_not_shown(refused, tmp_path):
    key = (tmp_path / ".auditseal" / "development-key.pem").read_text()
    (tmp_path / "bad.json").write_text(json.dumps({"signers": [{"signerId": "a", "publicKey": key}]}))
    line = refused("verify", LOG, "--signers", "bad.json", code=2)
    assert "private key" in line
    assert key.splitlines()[1] not in line


class TestLocalKeysUnderRequireKms:
    @pytest.mark.parametrize("value", ["true", "TRUE", "1", "yes", "on", " True "])
    def test_a_development_key_beside_the_log(self, refused, monkeypatch, value):
        monkeypatch.setenv("REQUIRE_KMS", value)
        assert "REQUIRE_KMS" in refused(*APPEND, code=2)

    @pytest.mark.parametrize("value", ["ture", "2", "enabled"])
    def test_a_value_that_means_nothing(self, refused, monkeypatch, value):
        monkeypatch.setenv("REQUIRE_KMS", value)
        assert "REQUIRE_KMS" in refused(*APPEND, code=2)

    @pytest.mark.parametrize("name", ["AUDIT_SIGNING_PRIVATE_KEY", "AUDIT_SIGNING_KEY_PATH"])
    def test_a_configured_local_key(self, refused, monkeypatch, name):
        monkeypatch.setenv("REQUIRE_KMS", "true")
        monkeypatch.setenv(name, ".auditseal/development-key.pem")
        monkeypatch.setenv("AUDIT_SIGNER_KID", "me")
        line = refused(*APPEND, code=2)
        assert name in line
        assert "development-key" not in line

    @pytest.mark.parametrize("name", ["REQIRE_KMS", "REQUIRE_KMSS", "AUDIT_SIGNING_KMS_KEYID", "AUDITSEAL_REQUIRE_KMS"])
    def test_a_misspelt_setting(self, refused, monkeypatch, name):
        monkeypatch.setenv(name, "true")
        assert name in refused(*APPEND, code=2)

    def test_a_half_configured_signer_does_not_fall_back_to_the_development_key(self, refused, monkeypatch):
        monkeypatch.setenv("AUDIT_SIGNER_KID", "audit-2026")
        assert "AUDIT_SIGNING_KMS_KEY_ID" in refused(*APPEND, code=2)

    def test_a_signer_that_a_program_passes_in(self, refused, monkeypatch):
        import auditseal
        from auditseal.adapters.signers.local import LocalSigner
        from auditseal.core.algorithm import AlgorithmId
        from auditseal.errors import ConfigError
        from support.keys import private_key

        monkeypatch.setenv("REQUIRE_KMS", "true")
        with pytest.raises(ConfigError, match="REQUIRE_KMS"):
            auditseal.open_log(LOG, signer=LocalSigner(signer_id="a", key=private_key(AlgorithmId.ED25519)))


class TestKms:
    @pytest.fixture
    def kms_log(self, refused, kms: FakeKms, monkeypatch):
        key = kms.create("ECC_NIST_EDWARDS25519")
        monkeypatch.setenv("AWS_ENDPOINT_URL_KMS", kms.url)
        monkeypatch.setenv("AWS_REGION", kms.region)
        monkeypatch.setenv("AUDIT_SIGNING_KMS_KEY_ID", key.id)
        monkeypatch.setenv("AUDIT_SIGNER_KID", "audit-2026")
        monkeypatch.setenv("AUDIT_SIGNING_ALG", "ed25519")
        monkeypatch.setenv("REQUIRE_KMS", "true")
        return key

    @pytest.mark.usefixtures("kms_log")
    def test_a_key_of_another_type(self, refused, monkeypatch):
        monkeypatch.setenv("AUDIT_SIGNING_ALG", "rsa-sha256")
        assert "ECC_NIST_EDWARDS25519" in refused(*APPEND, code=2)

    @pytest.mark.parametrize("state", ["Disabled", "PendingDeletion"])
    def test_a_key_that_cannot_be_used(self, refused, kms_log, state):
        kms_log.state = state
        assert state.lower()[:7] in refused(*APPEND, code=2).lower()

    @pytest.mark.usefixtures("kms_log")
    def test_a_key_that_is_not_there(self, refused, monkeypatch):
        monkeypatch.setenv("AUDIT_SIGNING_KMS_KEY_ID", "alias/none")
        assert "alias/none" in refused(*APPEND, code=2)

    @pytest.mark.usefixtures("kms_log")
    def test_a_key_that_is_not_there_to_be_exported(self, refused):
        arguments = ("keys", "export", "alias/none", "--signer-id", "a", "--signers", "s.json")
        assert "NotFoundException" in refused(*arguments, code=2)
        assert not Path("s.json").exists()

    @pytest.mark.usefixtures("kms_log")
    def test_no_credentials(self, refused, monkeypatch):
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            monkeypatch.delenv(name)
        assert "credentials" in refused(*APPEND, code=2)

    @pytest.mark.usefixtures("kms_log")
    def test_no_region(self, refused, monkeypatch):
        monkeypatch.delenv("AWS_REGION")
        assert "AWS_REGION" in refused(*APPEND, code=2)

    @pytest.mark.usefixtures("kms_log")
    def test_an_endpoint_that_cannot_be_reached_at_init(self, refused, monkeypatch):
        monkeypatch.setenv("AWS_ENDPOINT_URL_KMS", "http://127.0.0.1:9")
        monkeypatch.setenv("AUDITSEAL_KMS_DEADLINE_S", "1")
        refused("init", "--log", "sqlite:///new.db", code=4)
        assert not Path("new.db").exists()
