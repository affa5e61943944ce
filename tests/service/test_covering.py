"""An entry held against the checkpoints over it: which one counts, and in which ways it may not."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest

from auditseal.adapters.stores.export_file import LocalFile
from auditseal.adapters.stores.jsonl import JsonlSource, write_lines
from auditseal.adapters.stores.sqlite import SqliteStore
from auditseal.core.covering import Outcome
from auditseal.core.heads import HEADS_STREAM
from auditseal.core.registered_signer import Status
from auditseal.core.registry import Registry
from auditseal.core.scalar import format_base64
from auditseal.core.validity import Bound
from auditseal.service.covering import CoveringCheck
from auditseal.service.explaining import explain_place
from auditseal.service.lookup import Place
from support.covered import KEY, CoveredLog, append, covered_log
from support.evidence import LOG, Key
from support.logs import opened_log, registered

NEXT = Key("audit-2027")


@pytest.fixture
def log(tmp_path) -> CoveredLog:
    return covered_log(tmp_path)


def _over(log, stream, seq, registry=None):
    with closing(SqliteStore(log.address, read_only=True)) as store:
        check = CoveringCheck(store, log.registry if registry is None else registry)
        return check.over(store.entry(stream, seq), store.entry(stream, seq + 1))


def test_the_smallest_checkpoint_over_the_entry_counts(log):
    found = _over(log, "main", 2)
    assert (found.size, found.outcome, found.signer, found.heads_seq) == (3, Outcome.HOLDS, "audit-2026", None)
    found = _over(log, "main", 3)
    assert (found.size, found.outcome, found.signer, found.heads_seq) == (6, Outcome.HOLDS, "audit-2026", 0)
    assert _over(log, "main", 7) is None


def test_where_its_signer_is_not_known_the_next_one_counts(log):
    with opened_log(log.path, NEXT, background=False) as opened:
        append(opened, "main", 1)
        opened.checkpointer.create(["main"])
    found = _over(log, "main", 1, registered(NEXT))
    assert (found.size, found.outcome, found.signer) == (10, Outcome.HOLDS, "audit-2027")
    assert _over(log, "main", 1, registered(NEXT, KEY)).size == 3
    assert _over(log, "main", 1, Registry()).outcome is Outcome.NOT_CHECKED


def test_a_signature_that_does_not_verify_is_named(log):
    signed = "SELECT line FROM checkpoint_signatures WHERE stream = 'long'"
    log.tamper(f"UPDATE checkpoint_signatures SET line = ({signed}) WHERE stream = 'main' AND size = 3")
    assert _over(log, "main", 1).outcome is Outcome.HOLDS  # by the next one: what is left of this has no known signer
    root = format_base64(bytes(32)) + "\n"
    kept = "substr(note_text, 1, length(note_text) - length(?1))"
    log.tamper(f"UPDATE checkpoints SET note_text = {kept} || ?1 WHERE stream = 'long'", root)
    found = _over(log, "long", 1)
    assert (found.outcome, found.holds) == (Outcome.BAD_CHECKPOINT, False)
    assert f"signature by '{LOG}/long' is wrong" in found.problem
    (explanation,) = _explain(log, "long", 1)
    assert "none that the log signed" in explanation.meaning
    assert not explanation.is_sound


def _explain(log, stream, seq, registry=None):
    with closing(SqliteStore(log.address, read_only=True)) as store:
        return explain_place(store, Place(stream=stream, seq=seq), registry or log.registry)


def test_a_checkpoint_that_is_none_does_not_count(log):
    log.tamper("UPDATE checkpoints SET note_text = 'x' WHERE stream = 'long'")
    assert _over(log, "long", 1).outcome is Outcome.BAD_CHECKPOINT
    log.tamper("UPDATE checkpoint_signatures SET line = 'x' WHERE stream = 'main' AND size = 3")
    assert _over(log, "main", 1).size == 6


def test_the_text_of_another_size_or_stream_does_not_count(log):
    other = "(SELECT note_text FROM checkpoints WHERE stream = 'main' AND size = 3)"
    log.tamper(f"UPDATE checkpoints SET note_text = {other} WHERE stream = 'long'")
    assert _over(log, "long", 1).outcome is Outcome.BAD_CHECKPOINT
    log.tamper(f"UPDATE checkpoints SET note_text = {other} WHERE stream = 'main' AND size = 6")
    assert "3 entries" in _over(log, "main", 4).problem


def test_a_signer_that_was_not_valid_there_proves_nothing(log):
    ended = log.registry.with_changed("audit-2026", valid_until=Bound(seq={"main": 3}))
    assert {_over(log, "main", seq, ended).outcome for seq in range(3)} == {Outcome.HOLDS}
    assert (_over(log, "main", 3, ended).size, _over(log, "main", 3, ended).outcome) == (6, Outcome.NOT_VALID)
    begun = log.registry.with_changed("audit-2026", valid_from=Bound(seq={"main": 2}))
    found = _over(log, "main", 1, begun)
    assert (found.size, found.outcome, found.holds) == (3, Outcome.NOT_VALID, False)
    (explanation,) = _explain(log, "main", 1, begun)
    assert "not valid at this place" in explanation.meaning
    revoked = log.registry.with_changed("audit-2026", status=Status.REVOKED)
    assert _over(log, "main", 0, revoked).outcome is Outcome.NOT_VALID


def test_a_key_whose_time_was_over_when_it_signed_does_not_speak_for_what_came_before(log):
    ended = log.registry.with_changed("audit-2026", valid_until=Bound(seq={"main": 1}))
    found = _over(log, "main", 0, ended)
    assert found.outcome is Outcome.NOT_VALID
    assert found.problem.endswith("only before seq 1, and this is seq 2")
    source = _export(log)
    assert _over_in(source, log, "main", 0, ended).outcome is Outcome.NOT_VALID


def test_a_signer_that_is_announced_is_not_known_yet(log):
    announced = log.registry.with_changed("audit-2026", status=Status.ANNOUNCED)
    found = _over(log, "main", 0, announced)
    assert (found.outcome, found.holds) == (Outcome.NOT_CHECKED, None)
    assert "published now" in found.problem


def test_a_limit_by_time_is_held_against_the_time_of_the_entry(log):
    late = log.registry.with_changed("audit-2026", valid_from=Bound(time="2099-01-01T00:00:00Z"))
    assert _over(log, "main", 0, late).outcome is Outcome.NOT_VALID
    log.tamper("UPDATE entries SET body = x'00' WHERE stream = 'main' AND seq = 0")
    assert "no time that can be read" in _over(log, "main", 0, late).problem


def test_the_signer_of_the_heads_must_be_valid_there(log):
    ended = log.registry.with_changed("audit-2026", valid_until=Bound(seq={HEADS_STREAM: 1}))
    assert _over(log, "main", 0, ended).outcome is Outcome.HOLDS
    assert _over(log, "main", 3, ended).outcome is Outcome.NOT_VALID


def test_an_entry_of_the_heads_that_was_changed_covers_nothing(log):
    log.change_body(HEADS_STREAM, 0)
    found = _over(log, "other", 0)
    assert (found.outcome, found.heads_seq) == (Outcome.BAD_CHECKPOINT, 0)
    assert "is not what the checkpoint of size 2 there was signed over" in found.problem
    log.rewrite(HEADS_STREAM, 0)
    assert _over(log, "other", 0).outcome is Outcome.BAD_CHECKPOINT


def test_a_checkpoint_that_the_heads_do_not_have_is_not_covered(log):
    text = "(SELECT note_text FROM checkpoints WHERE stream = 'long')"
    log.tamper(f"UPDATE checkpoints SET note_text = {text}, size = 301 WHERE stream = 'main' AND size = 6")
    assert _over(log, "main", 4).outcome is Outcome.BAD_CHECKPOINT
    cover = "(SELECT cover FROM checkpoints WHERE stream = 'other')"
    log.tamper(f"UPDATE checkpoints SET cover = {cover}, note_text = note_text WHERE stream = 'long'")
    found = _over(log, "long", 4)
    assert (found.outcome, found.heads_seq) == (Outcome.BAD_CHECKPOINT, 0)


def test_the_heads_of_another_log_cover_nothing(log, tmp_path):
    other = tmp_path / "other.db"
    with opened_log(other, KEY, background=False, origin="example.com/other") as opened:
        append(opened, "main", 1)
        append(opened, "other", 1)
        opened.checkpointer.create(["main", "other"])
    with closing(sqlite3.connect(log.path, isolation_level=None)) as database:
        log.tamper("DELETE FROM entries WHERE stream = ?", HEADS_STREAM)
        database.execute("ATTACH ? AS theirs", (str(other),))
        for table in ("checkpoint_signatures", "checkpoints", "entries"):
            database.execute(f"DELETE FROM {table} WHERE stream = ?", (HEADS_STREAM,))
            database.execute(f"INSERT INTO {table} SELECT * FROM theirs.{table} WHERE stream = ?", (HEADS_STREAM,))
    found = _over(log, "main", 3)
    assert (found.outcome, found.problem.endswith("is another log's")) == (Outcome.BAD_CHECKPOINT, True)


def test_the_heads_are_not_covered_by_themselves(log):
    cover = "(SELECT cover FROM checkpoints WHERE stream = 'other')"
    log.tamper(f"UPDATE checkpoints SET cover = {cover} WHERE stream = ?", HEADS_STREAM)
    assert _over(log, HEADS_STREAM, 0).outcome is Outcome.BAD_CHECKPOINT


def test_heads_that_are_not_there_are_not_checked(log):
    log.tamper("DELETE FROM checkpoints WHERE stream = ?", HEADS_STREAM)
    found = _over(log, "main", 4)
    assert (found.outcome, found.problem.endswith("is under no checkpoint here")) == (Outcome.NOT_CHECKED, True)


class _CountingSource(JsonlSource):
    """Counts how often it is read through."""

    reads = 0

    def walk(self, streams=None):
        self.reads += 1
        return super().walk(streams)

    def checkpoints(self, streams=None):
        self.reads += 1
        return super().checkpoints(streams)


def _export(log, *, without=lambda entry: False) -> _CountingSource:
    path = log.folder / "log.jsonl"
    with closing(SqliteStore(log.address, read_only=True)) as store:
        write_lines(path, (entry for entry in store.walk() if not without(entry)), store.checkpoints())
    return _CountingSource(LocalFile(path))


def _over_in(source, log, stream, seq, registry=None):
    here = next(each for each in JsonlSource.walk(source, [stream]) if (each.stream, each.seq) == (stream, seq))
    return CoveringCheck(source, registry or log.registry).over(here, None)


def test_in_an_export_the_tree_is_computed_in_few_readings(log):
    source = _export(log)
    assert _over_in(source, log, "main", 3).outcome is Outcome.HOLDS
    assert source.reads == 5  # checkpoints, those of the heads, the entry of the heads, its tree, the entry's tree
    assert not _over_in(source, log, "main", 3).kept_differs


def test_an_export_without_the_heads_is_read_no_more_for_each_checkpoint(log):
    with opened_log(log.path, KEY, background=False) as opened:
        for _ in range(5):
            append(opened, "main", 1)
            append(opened, "other", 1)
            opened.checkpointer.create(["main", "other"])
    source = _export(log, without=lambda entry: entry.stream == HEADS_STREAM)
    found = _over_in(source, log, "main", 4)
    assert (found.size, found.outcome) == (6, Outcome.NOT_CHECKED)
    assert "the source has no entry 0 of auditseal/heads" in found.problem
    assert source.reads == 3
    assert _over_in(source, log, "main", 1).outcome is Outcome.HOLDS


def test_an_export_of_a_part_is_not_checked(log):
    found = _over_in(_export(log, without=lambda entry: entry.stream == "main" and entry.seq < 2), log, "main", 2)
    assert (found.size, found.outcome) == (3, Outcome.NOT_CHECKED)
    assert found.problem == "the source has no entry 0 of main, which is under it"


def test_an_entry_that_stands_there_twice_is_taken_once(log):
    source = _export(log)
    path = log.folder / "log.jsonl"
    path.write_bytes(b"".join(line * 2 for line in path.read_bytes().splitlines(keepends=True)))
    assert _over_in(source, log, "main", 1).outcome is Outcome.HOLDS


def test_a_good_checkpoint_tells_that_a_signature_beside_the_entry_was_replaced(tmp_path):
    with opened_log(tmp_path / "audit.db", KEY, mode="event", background=False) as opened:
        opened.log.append("test.event", stream="main")
        opened.log.append("test.event", stream="main")
        opened.checkpointer.create(["main"])
    log = CoveredLog(tmp_path)
    log.tamper("UPDATE signatures SET signature = zeroblob(64) WHERE seq = 1")
    (explanation,) = _explain(log, "main", 1)
    assert "or was replaced" in explanation.meaning
    assert [(check.name, check.holds) for check in explanation.checks[-2:]] == [
        ("signature by audit-2026", False),
        ("checkpoint", True),
    ]
    (explanation,) = _explain(log, "main", 0)
    assert (explanation.is_sound, explanation.is_conclusive) == (True, True)
    assert explanation.checks[-1].name == "signature by audit-2026"


def test_without_a_known_signer_of_its_own_an_entry_stays_inconclusive_though_a_checkpoint_has_it(tmp_path):
    with opened_log(tmp_path / "audit.db", KEY, mode="event", background=False) as opened:
        opened.log.append("test.event", stream="main")
    with opened_log(tmp_path / "audit.db", NEXT, background=False) as opened:
        opened.checkpointer.create(["main"])
    (explanation,) = _explain(CoveredLog(tmp_path), "main", 0, registered(NEXT))
    assert (explanation.is_sound, explanation.is_conclusive) == (True, False)
    assert explanation.checks[-1].holds is True
