"""What every store of checkpoints does (`auditseal.ports.CheckpointStore`, `RangeSource`), on real databases."""

from __future__ import annotations

import itertools
import threading
from dataclasses import replace

import pytest

from auditseal.core.event import parse_body
from auditseal.core.heads import HEADS_STREAM, Cover
from auditseal.core.merkle import leaf_hashes, root_of
from auditseal.core.note import NoteSignature
from auditseal.core.promise import CHECKPOINT_TYPE, Promise
from auditseal.core.stored_checkpoint import StoredCheckpoint
from auditseal.core.times import Micros
from auditseal.errors import ConflictError, StoreError
from auditseal.ports import CheckpointStore, EntryFilter
from auditseal.service.anchor import publish
from auditseal.service.audit import audit, resumable
from auditseal.service.checkpoint import Checkpointer, Pace
from auditseal.service.coverage import covered_by
from auditseal.service.explaining import explain_place
from auditseal.service.lookup import Place
from auditseal.service.prove import Prover
from auditseal.service.tree import StreamTree
from contract.store_subjects import Subject, opened
from support.chains import START
from support.evidence import LOG, Key
from support.logs import registered, signer_of
from support.store_events import append, check_chains, draft, fill, places

KEY = Key("audit-2026")


def _line(number: int, *, length: int = 68) -> NoteSignature:
    return NoteSignature(name=f"witness.example/{number}", key_id=bytes(4), signature=bytes([number]) * length)


def _checkpoint(size: int, *, stream: str = "default", lines: int = 1, **members) -> StoredCheckpoint:
    return StoredCheckpoint(
        stream=stream,
        size=size,
        text=f"{LOG}/{stream}\n{size}\n{'A' * 43}=\n",
        signatures=tuple(_line(number) for number in range(1, lines + 1)),
        **{"signer": "audit-2026", "request_id": "r-1", "signed_at": "2026-07-01T00:00:00.000000Z", **members},
    )


def _checkpointer(store: CheckpointStore) -> Checkpointer:
    return Checkpointer(store, signer_of(KEY), origin=LOG, pace=Pace(), clock=lambda: Micros(START))


def test_a_log_without_checkpoints_has_none(store: CheckpointStore):
    fill(store, 1)
    assert list(store.checkpoints()) == []
    assert (store.last_checkpoint("default"), store.checkpoint_over("default", 0)) == (None, None)
    assert (store.nodes("default", 8, 0, 9), store.count_nodes("default", 8)) == ([], 0)


def test_hashes_of_entries_are_read_by_range(store: CheckpointStore):
    entries = fill(store, 5)
    fill(store, 1, stream="other")
    assert store.entry_hashes("default", 1, 4) == [entry.hash for entry in entries[1:4]]
    assert store.entry_hashes("default", 3, 99) == [entry.hash for entry in entries[3:]]
    assert store.entry_hashes("default", 4, 4) == store.entry_hashes("nobody", 0, 4) == []


def test_nodes_are_kept_once_and_read_up_to_the_first_that_is_missing(store: CheckpointStore):
    store.add_nodes("default", [(8, place, bytes([place]) * 32) for place in (0, 1, 3)] + [(16, 0, bytes(32))])
    store.add_nodes("default", [(8, 1, bytes(32)), (8, 4, bytes([4]) * 32)])
    store.add_nodes("default", [])
    assert store.nodes("default", 8, 0, 9) == [bytes(32), bytes([1]) * 32]
    assert store.nodes("default", 8, 3, 5) == [bytes([3]) * 32, bytes([4]) * 32]
    assert store.nodes("default", 8, 2, 5) == store.nodes("other", 8, 0, 5) == []
    assert (store.count_nodes("default", 8), store.count_nodes("default", 16)) == (5, 1)


def test_checkpoints_are_read_back_as_they_were_kept_in_order(store: CheckpointStore):
    covered = StoredCheckpoint(
        stream="b", size=4, text="b\n4\nx\n", cover=Cover(seq=2, index=1, count=3, path=(bytes(32),) * 2)
    )
    kept = [_checkpoint(3), _checkpoint(7, lines=3), _checkpoint(12, request_id=None), covered]
    store.add_checkpoints([kept[1], kept[3]], settle=False)
    store.add_checkpoints([kept[2], kept[0]], settle=False)
    assert list(store.checkpoints()) == [covered, *kept[:3]]
    assert list(store.checkpoints(["b"])) == [covered]
    assert list(store.checkpoints([])) == []
    assert (store.last_checkpoint("default"), store.checkpoint_over("default", 4)) == (kept[2], kept[1])
    assert store.checkpoint_over("default", 7) == kept[1]
    assert store.checkpoint_over("default", 13) is None


def test_a_checkpoint_that_is_there_stays_as_it_is(store: CheckpointStore):
    store.add_checkpoints([_checkpoint(3)], settle=False)
    store.add_checkpoints([replace(_checkpoint(3), text="another\n", signed_at=None)], settle=False)
    assert list(store.checkpoints()) == [_checkpoint(3)]


def test_cosignatures_are_added_once_behind_the_log_s_own(store: CheckpointStore):
    store.add_checkpoints([_checkpoint(3)], settle=False)
    long = _line(9, length=4700)  # an ML-DSA-87 signature, and more than a B-tree takes
    store.add_cosignatures("default", 3, [_line(7), long])
    store.add_cosignatures("default", 3, [_line(7), _line(8)])
    last = store.last_checkpoint("default")
    assert last.signatures == (_line(1), _line(7), long, _line(8))
    assert (last.signer, last.request_id) == ("audit-2026", "r-1")


def test_what_a_checkpoint_covers_is_not_pending_where_it_settles(store: CheckpointStore):
    fill(store, 5)
    fill(store, 2, stream="other")
    store.add_checkpoints([_checkpoint(2)], settle=False)
    assert store.count_pending() == 7
    store.add_checkpoints([_checkpoint(4), _checkpoint(2, stream="other")], settle=True)
    assert places(store.pending(limit=9)) == [("default", 4)]
    assert store.count_pending() == 1
    store.add_checkpoints([_checkpoint(3)], settle=True)
    assert store.count_pending() == 1


def test_an_announcement_is_told_its_place_and_the_one_before_it(store: CheckpointStore):
    told = []

    def draft_at(seq, before):
        told.append((seq, before, store.head("default").seq))
        return draft(seq, type_=CHECKPOINT_TYPE)

    fill(store, 2)
    fill(store, 1, stream="other")
    first = store.announce("default", draft_at, lambda: Micros(START))
    append(store, [draft(3)])
    second = store.announce("default", draft_at, lambda: Micros(START))
    assert told == [(2, None, 1), (4, 2, 3)]
    assert places([first, second]) == [("default", 2), ("default", 4)]
    assert store.entry("default", 4).hash == second.hash
    assert check_chains(store.walk()) == {"default": 5, "other": 1}


def test_an_announcement_may_begin_a_stream_and_one_that_fails_appends_nothing(store: CheckpointStore):
    def refuse(seq, before):
        raise ConflictError("not now")

    with pytest.raises(ConflictError, match="not now"):
        store.announce("default", refuse, lambda: Micros(START))
    assert store.count() == 0
    entry = store.announce("default", lambda seq, _: draft(seq, type_=CHECKPOINT_TYPE), lambda: Micros(START))
    assert (entry.seq, entry.prev_hash) == (0, b"")


def test_announcements_of_several_writers_follow_each_other(store: CheckpointStore, subject: Subject):
    fill(store, 1)
    failed = []

    def write() -> None:
        try:
            with opened(subject) as own:
                checkpointer = _checkpointer(own)
                for number in range(4):
                    append(own, [draft(number)])
                    checkpointer.create(["default"])
        except Exception as error:  # noqa: BLE001 - whatever it is, the test says so
            failed.append(error)

    threads = [threading.Thread(target=write) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    announced = [entry.seq + 1 for entry in store.walk() if entry.columns.type == CHECKPOINT_TYPE]
    tree = StreamTree(store, "default")
    for before, size in itertools.pairwise(announced):
        promise = Promise.from_payload(parse_body(store.entry("default", size - 1).body).payload)
        assert promise.previous == (before, tree.root(before))
    assert len({each.size for each in store.checkpoints()}) == len(list(store.checkpoints()))
    assert audit(store, registered(KEY)).verdict == "valid"


def test_streams_are_walked_from_any_entry_on(store: CheckpointStore):
    fill(store, 4)
    fill(store, 3, stream="other")
    assert store.stream_names() == ["default", "other"]
    assert places(store.walk_from({"other": 1, "default": 3})) == [("default", 3), ("other", 1), ("other", 2)]
    assert places(store.walk_from({"other": 3, "nobody": 0})) == []


def test_a_log_is_checkpointed_proven_remembered_and_verified(store: CheckpointStore, subject: Subject):
    """The whole path, with trees of more than one kept node and a signature over several streams."""
    append(store, [draft(number) for number in range(600)])
    fill(store, 3, stream="other")
    checkpointer = _checkpointer(store)
    made = checkpointer.create(["default", "other"])
    assert [each.stream for each in made] == ["default", "other", HEADS_STREAM]
    hashes = leaf_hashes(store.entry_hashes("default", 0, 601))
    assert store.count_nodes("default", 8) == 2
    assert StreamTree(store, "default").root(601) == root_of(hashes)
    assert store.count_pending() == 0
    with opened(subject, read_only=True) as reader:
        report = audit(reader, registered(KEY))
        assert (report.verdict, report.findings) == ("valid", ())
        assert {stream.stream: stream.signed for stream in report.streams}["default"] == 601
        for seq in (0, 255, 256, 600):
            _, proof = Prover(reader, registered(KEY)).prove("default", seq)
            assert (proof.body.seq, proof.checkpoint.origin) == (seq, f"{LOG}/{HEADS_STREAM}")
        assert resumable(reader, report.remembered) == {"default", "other", HEADS_STREAM}


def test_a_log_opened_for_reading_takes_no_checkpoints(store: CheckpointStore, subject: Subject):
    store.add_checkpoints([_checkpoint(3)], settle=False)
    store.add_nodes("default", [(8, 0, bytes(32))])
    with opened(subject, read_only=True) as reader:
        assert (list(reader.checkpoints()), reader.count_nodes("default", 8)) == ([_checkpoint(3)], 1)
        for write in (
            lambda: reader.add_checkpoints([_checkpoint(4)], settle=True),
            lambda: reader.add_cosignatures("default", 3, [_line(2)]),
            lambda: reader.add_nodes("default", [(8, 1, bytes(32))]),
            lambda: reader.announce("default", lambda seq, _: draft(seq), lambda: Micros(START)),
        ):
            with pytest.raises(StoreError, match="reading only"):
                write()


@pytest.mark.parametrize("table", ["tree_nodes", "checkpoints", "checkpoint_signatures"])
@pytest.mark.parametrize("change", ["UPDATE {} SET stream = 'changed'", "DELETE FROM {}"])
def test_the_database_itself_refuses_to_change_evidence(store, subject: Subject, table: str, change: str):
    store.add_checkpoints([_checkpoint(3)], settle=True)
    store.add_nodes("default", [(8, 0, bytes(32))])
    with pytest.raises(subject.refusal, match=f"auditseal: {table} are append-only"):
        subject.execute(change.format(table))
    assert (list(store.checkpoints()), store.count_nodes("default", 8)) == ([_checkpoint(3)], 1)


def test_a_damaged_checkpoint_is_read_and_said_to_be(store: CheckpointStore, subject: Subject):
    subject.execute("INSERT INTO checkpoints (stream, size, note_text, cover) VALUES ('default', 3, 'x', '{')")
    subject.execute("INSERT INTO checkpoint_signatures (stream, size, line) VALUES ('default', 3, 'no line')")
    [found] = store.checkpoints()
    assert (found.text, found.signatures) == ("x", ())
    assert "not a signature line" in found.malformed or "newline" in found.malformed


def test_a_checkpoint_is_anchored_from_any_store(store: CheckpointStore, tmp_path):
    from auditseal.adapters.anchors.file import FileAnchor

    fill(store, 2)
    anchor = FileAnchor(tmp_path / "anchor.jsonl")
    [(checkpoint, kept)] = publish(
        store, anchor, ["default"], checkpointer=_checkpointer(store), now=Micros(START + 2_000_000)
    )
    assert [each.note for each in anchor.find(f"{LOG}/default")] == [kept.note]
    assert checkpoint.size == 3


def test_any_store_tells_which_checkpoint_covers_an_entry_and_explains_it(store: CheckpointStore, subject: Subject):
    fill(store, 300)
    fill(store, 2, stream="other")
    _checkpointer(store).create(["default", "other"])
    fill(store, 1, stream="other")
    with opened(subject, read_only=True) as reader:
        page = reader.select(EntryFilter(first_seq=1), limit=400)
        told = [(entry.stream, entry.seq, by and (by.size, by.signer)) for entry, by in _covered(reader, page)]
        assert [each for each in told if each[0] == "other"] == [
            ("other", 1, (3, "audit-2026")),
            ("other", 2, (3, "audit-2026")),
            ("other", 3, None),
        ]
        assert {by for stream, _, by in told if stream == "default"} == {(301, "audit-2026")}
        for stream, seq in (("default", 0), ("default", 299), ("other", 2), (HEADS_STREAM, 0)):
            [explanation] = explain_place(reader, Place(stream=stream, seq=seq), registered(KEY))
            assert (explanation.is_sound, explanation.is_conclusive) == (True, True)
            assert (explanation.checks[-1].name, explanation.checks[-1].holds) == ("checkpoint", True)
        [explanation] = explain_place(reader, Place(stream="other", seq=3), registered(KEY))
        assert not explanation.is_conclusive


def _covered(store, page):
    return zip(page, covered_by(store, page), strict=True)
