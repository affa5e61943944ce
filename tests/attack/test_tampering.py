"""Everything that somebody with the database and without the key can do to a log has a finding code of its own.

Each case goes through SQLite itself; verification must find exactly the codes of the case, at the entry of the case.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing, suppress

import pytest

import auditseal
from auditseal.cli.demo.agents import lives
from auditseal.cli.demo.tampering import LEAST_ENTRIES, TAMPERINGS, copy_and_tamper
from auditseal.core.report import Code, Severity, Verdict
from auditseal.core.validity import Bound

STREAM = "agents"
COUNT = LEAST_ENTRIES + 40
# What needs a checkpoint, a proof or another format is attacked in the tests of those.
ELSEWHERE = {
    Code.TRUNCATED,
    Code.ROLLED_BACK,
    Code.SPLIT_VIEW,
    Code.OVERDUE,
    Code.BAD_CHECKPOINT,
    Code.MISSING_CHECKPOINT,
    Code.MISDATED,
    Code.NOT_COSIGNED,
    Code.NOT_ANCHORED,
    Code.BELOW_GRADE,
    Code.BAD_PROOF,
    Code.BAD_ROTATION,
    Code.CONTINUES,
    Code.NOT_COVERED,
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("attack")
    with auditseal.open_log(f"sqlite:///{folder / 'audit.db'}", create=True) as log:
        log.append_many(lives(STREAM, COUNT))
    return folder


@pytest.fixture(scope="module")
def registry(folder):
    return auditseal.Registry.load(folder / ".auditseal" / "signers.json")


def _found(report):
    return {finding.code for finding in report.findings}


def test_the_log_that_is_attacked_is_valid(folder, registry):
    report = auditseal.verify(f"sqlite:///{folder / 'audit.db'}", registry)
    assert (report.verdict, report.findings, report.checked["signatures"]) == (Verdict.VALID, (), COUNT)


@pytest.mark.parametrize("tampering", TAMPERINGS, ids=lambda case: case.what.format(stream="x").replace(" ", "-"))
def test_each_tampering_is_named_for_what_it_is(folder, registry, tmp_path, tampering):
    copy = tmp_path / "copy.db"
    copy_and_tamper(folder / "audit.db", copy, tampering, STREAM)
    report = auditseal.verify(f"sqlite:///{copy}", registry, streams=[STREAM])
    assert _found(report) == set(tampering.codes)
    first = next(finding for finding in report.findings if finding.code is tampering.codes[0])
    assert (first.seq, first.stream) == (tampering.seq, STREAM)
    worst = Verdict.INVALID if any(f.severity is Severity.ERROR for f in report.findings) else Verdict.INCONCLUSIVE
    assert report.verdict is worst


@pytest.mark.parametrize("tampering", TAMPERINGS, ids=lambda case: case.what.format(stream="x").replace(" ", "-"))
def test_each_tampering_is_named_in_an_export_too(folder, registry, tmp_path, tampering):
    from auditseal.adapters.stores.jsonl import write_lines
    from auditseal.adapters.stores.sqlite.store import SqliteStore

    copy, export = tmp_path / "copy.db", tmp_path / "copy.jsonl"
    copy_and_tamper(folder / "audit.db", copy, tampering, STREAM)
    with closing(SqliteStore(f"sqlite:///{copy}", read_only=True)) as store:
        write_lines(export, store.walk())
    report = auditseal.verify(str(export), registry, streams=[STREAM])
    # An export has no columns beside the body; what stands in them does not travel.
    assert _found(report) == set(tampering.codes) - {Code.COLUMN_MISMATCH}


def test_a_key_that_is_used_after_its_time_is_named(folder, registry):
    ended = registry.with_changed("development", valid_until=Bound(seq={STREAM: 120}))
    (finding,) = auditseal.verify(f"sqlite:///{folder / 'audit.db'}", ended).findings
    assert (finding.code, finding.seq, finding.last_seq) == (Code.SIGNER_NOT_VALID_HERE, 120, COUNT - 1)


def test_every_code_that_needs_no_checkpoint_has_an_attack():
    attacked = {code for tampering in TAMPERINGS for code in tampering.codes} | {Code.SIGNER_NOT_VALID_HERE}
    assert attacked == set(Code) - ELSEWHERE


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE entries SET actor = 'x'",
        "DELETE FROM entries WHERE seq = 3",
        "UPDATE signatures SET signature = x'00'",
        "DELETE FROM signatures",
        "INSERT OR REPLACE INTO entries SELECT stream, seq, id, time, 'x', actor, body, prev_hash, hash FROM entries",
        "INSERT INTO entries SELECT stream, 999, id, time, type, actor, body, prev_hash, hash FROM entries LIMIT 1",
        "REPLACE INTO signatures SELECT stream, seq, entry_hash, signer, 'x', signature, NULL, NULL FROM signatures",
    ],
)
def test_the_database_itself_refuses_to_change_what_was_recorded(folder, registry, statement):
    with closing(sqlite3.connect(folder / "audit.db", isolation_level=None)) as database:
        before = database.execute("SELECT * FROM entries, signatures USING (stream, seq)").fetchall()
        with suppress(sqlite3.Error):
            database.execute(statement)
        assert database.execute("SELECT * FROM entries, signatures USING (stream, seq)").fetchall() == before
    assert auditseal.verify(f"sqlite:///{folder / 'audit.db'}", registry).verdict is Verdict.VALID
