"""The demonstration tells the truth: it succeeds on a sound program, and fails on one that misses a tampering."""

from __future__ import annotations

import pytest

from auditseal.cli import entry
from auditseal.cli.demo import story
from auditseal.core.report import Report


@pytest.fixture
def emulated(emulator, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, value in emulator.environment().items():
        monkeypatch.setenv(name, value)
    suffix = tmp_path.name.replace("_", "-")
    streams = tuple(
        story.Stream(name=s.name, algorithm=s.algorithm, alias=f"{s.alias}-{suffix}", events=s.events)
        for s in story.STREAMS
    )
    monkeypatch.setattr(story, "STREAMS", streams)
    return tmp_path


def test_the_demo_catches_everything_and_leaves_a_log_that_verifies(emulated, capsys):
    assert entry.run(["demo"]) == 0
    said = capsys.readouterr().out
    assert "18 of 18 caught" in said
    assert "openssl agrees on ed25519 #17 and rsa #17" in said
    signers = ["--signers", "auditseal-demo/signers.json"]
    assert entry.run(["verify", "sqlite:///auditseal-demo/audit.db", "--ask-kms", *signers]) == 0
    assert entry.run(["verify", "sqlite:///auditseal-demo/audit.db", *signers]) == 3


def test_the_demo_fails_if_a_tampering_is_missed(emulated, capsys, monkeypatch):
    real = story.verify

    def blind(source, *arguments, **options):
        report = real(source, *arguments, **options)
        kept = tuple(finding for finding in report.findings if finding.code != "column-mismatch")
        return Report(source=report.source, streams=report.streams, findings=kept, checked=report.checked)

    monkeypatch.setattr(story, "verify", blind)
    assert entry.run(["demo"]) == 1
    assert "MISSED" in capsys.readouterr().out


def test_the_demo_makes_no_keys_in_aws(monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    assert entry.run(["demo"]) == 2
    monkeypatch.setenv("AWS_ENDPOINT_URL", "https://kms.eu-central-1.amazonaws.com")
    assert entry.run(["demo"]) == 2
    assert "only in an emulator" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_the_demo_does_not_empty_somebody_s_folder(emulated, capsys):
    (emulated / "auditseal-demo").mkdir()
    (emulated / "auditseal-demo" / "mine").touch()
    assert entry.run(["demo"]) == 2
    assert (emulated / "auditseal-demo" / "mine").exists()
