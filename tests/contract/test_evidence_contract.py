"""What stores with trees and checkpoints do: `CheckpointStore`, `RangeSource`, `SignatureSource`, `Exclusive`."""

from __future__ import annotations

import subprocess
import sys

import pytest

from auditseal.core.event import Micros
from auditseal.core.heads import Cover
from auditseal.core.note import NoteSignature
from auditseal.core.promise import CHECKPOINT_TYPE
from auditseal.core.stored_checkpoint import StoredCheckpoint
from auditseal.errors import StoreError
from auditseal.ports import CheckpointStore, Exclusive, SignatureRow, SignatureSource
from contract.store_subjects import Subject, opened
from support.chains import START
from support.store_events import append, check_chains, draft, event_id, fill, places, signature_for

HASHES = [bytes([number]) * 32 for number in range(40)]
LINE = NoteSignature(name="log.example/a", key_id=b"\x01\x02\x03\x04", signature=b"s" * 64)
OTHER = NoteSignature(name="witness.example", key_id=b"\x05\x06\x07\x08", signature=b"t" * 5000)


def _checkpoint(size: int, *, stream: str = "a", signatures=(LINE,), **members) -> StoredCheckpoint:
    return StoredCheckpoint(
        stream=stream,
        size=size,
        text=f"log.example/{stream}\n{size}\nAAAA\n",
        signatures=signatures,
        signer="signer-1",
        request_id=f"request-{size}",
        signed_at="2026-07-01T00:00:00.000000Z",
        **members,
    )


def test_the_hashes_of_a_range_are_those_of_its_entries(store: CheckpointStore):
    made = [entry.hash for entry in fill(store, 5)]
    assert store.entry_hashes("default", 0, 5) == made
    assert store.entry_hashes("default", 1, 3) == made[1:3]
    assert store.entry_hashes("default", 3, 99) == made[3:]
    assert (store.entry_hashes("default", 3, 3), store.entry_hashes("none", 0, 9)) == ([], [])


def test_nodes_are_kept_by_level_and_given_up_to_the_first_that_is_missing(store: CheckpointStore):
    store.add_nodes("a", [(8, number, HASHES[number]) for number in (0, 1, 2, 4)])
    store.add_nodes("a", [(16, 0, HASHES[9])])
    store.add_nodes("b", [])
    assert store.nodes("a", 8, 0, 9) == HASHES[:3]
    assert store.nodes("a", 8, 1, 2) == HASHES[1:2]
    assert (store.nodes("a", 8, 3, 9), store.nodes("a", 16, 0, 1), store.nodes("b", 8, 0, 9)) == ([], HASHES[9:10], [])
    assert (store.count_nodes("a", 8), store.count_nodes("a", 16), store.count_nodes("b", 8)) == (5, 1, 0)


def test_a_node_that_is_there_is_left_as_it_is(store: CheckpointStore):
    store.add_nodes("a", [(8, 0, HASHES[0])])
    store.add_nodes("a", [(8, 0, HASHES[1]), (8, 1, HASHES[2])])
    assert store.nodes("a", 8, 0, 9) == [HASHES[0], HASHES[2]]


def test_checkpoints_are_given_by_stream_and_size_as_they_were_kept(store: CheckpointStore):
    cover = _checkpoint(4, stream="b", signatures=(), cover=Cover(seq=0, index=1, count=2, path=(HASHES[0],)))
    kept = [_checkpoint(9), _checkpoint(10), cover]
    store.add_checkpoints([cover, kept[1], kept[0]], settle=False)
    read = list(store.checkpoints())
    assert [(each.stream, each.size, each.text, each.signatures, each.cover) for each in read] == [
        (each.stream, each.size, each.text, each.signatures, each.cover) for each in kept
    ]
    assert (read[0].signer, read[0].request_id, read[0].signed_at, read[0].malformed) == (
        *("signer-1", "request-9", "2026-07-01T00:00:00.000000Z", None),
    )
    assert [each.size for each in store.checkpoints(["a", "none"])] == [9, 10]
    assert list(store.checkpoints([])) == []


def test_the_last_checkpoint_and_the_first_over_a_size_are_found(store: CheckpointStore):
    assert (store.last_checkpoint("a"), store.checkpoint_over("a", 0)) == (None, None)
    store.add_checkpoints([_checkpoint(size) for size in (3, 7, 20)], settle=False)
    store.add_checkpoints([_checkpoint(99, stream="b")], settle=False)
    assert store.last_checkpoint("a").size == 20
    assert [store.checkpoint_over("a", size).size for size in (1, 3, 4, 20)] == [3, 3, 7, 20]
    assert store.checkpoint_over("a", 21) is None


def test_a_checkpoint_that_is_there_stays_and_takes_cosignatures_once(store: CheckpointStore):
    store.add_checkpoints([_checkpoint(3)], settle=False)
    store.add_checkpoints([_checkpoint(3)], settle=False)
    store.add_cosignatures("a", 3, [OTHER, LINE])
    store.add_cosignatures("a", 3, [OTHER])
    store.add_cosignatures("a", 3, [])
    [kept] = store.checkpoints()
    assert kept.signatures == (LINE, OTHER)
    assert kept.signer == "signer-1"


def test_a_checkpoint_settles_what_is_under_it_and_nothing_else(store: CheckpointStore):
    fill(store, 5, stream="a")
    fill(store, 2, stream="b")
    store.add_checkpoints([_checkpoint(2)], settle=False)
    assert store.count_pending() == 7
    store.add_checkpoints([_checkpoint(3)], settle=True)
    assert places(store.pending(limit=9, stream="a")) == [("a", 3), ("a", 4)]
    store.add_checkpoints([_checkpoint(2)], settle=True)
    assert store.count_pending() == 4
    append(store, [draft(9, stream="a")], at=9)
    assert store.count_pending() == 5


def test_an_announcement_is_told_where_it_will_stand_and_what_was_announced_before(store: CheckpointStore):
    fill(store, 3, stream="a")
    told: list[tuple[int, int | None]] = []

    def draft_at(seq: int, before: int | None):
        told.append((seq, before))
        assert store.entry("a", seq) is None
        assert len(store.entry_hashes("a", 0, 99)) == seq
        return draft(seq, stream="a", type_=CHECKPOINT_TYPE)

    first = store.announce("a", draft_at, lambda: Micros(START + 10))
    append(store, [draft(9, stream="a")], at=20)
    second = store.announce("a", draft_at, lambda: Micros(START + 30))
    assert told == [(3, None), (5, 3)]
    assert (first.seq, second.seq, store.head("a").hash) == (3, 5, second.hash)
    assert check_chains(store.walk()) == {"a": 6}


def test_an_announcement_may_be_the_first_entry(store: CheckpointStore):
    made = store.announce("new", lambda seq, _: draft(seq, stream="new", type_=CHECKPOINT_TYPE), lambda: START)
    assert (made.seq, made.prev_hash) == (0, b"")


def test_an_announcement_that_fails_announces_nothing(store: CheckpointStore):
    fill(store, 1, stream="a")

    def broken(*_: object):
        raise RuntimeError("no draft")

    with pytest.raises(RuntimeError, match="no draft"):
        store.announce("a", broken, lambda: START)
    assert store.head("a").seq == 0
    append(store, [draft(1, stream="a")], at=5)


@pytest.mark.parametrize("table", ["tree_nodes", "checkpoints", "checkpoint_signatures"])
@pytest.mark.parametrize("change", ["UPDATE {} SET stream = 'changed'", "DELETE FROM {}"])
def test_the_database_itself_refuses_to_change_them(store: CheckpointStore, subject: Subject, table: str, change: str):
    store.add_nodes("a", [(8, 0, HASHES[0])])
    store.add_checkpoints([_checkpoint(3)], settle=False)
    with pytest.raises(subject.refusal, match=f"auditseal: {table} are append-only"):
        subject.execute(change.format(table))
    assert (len(list(store.checkpoints())), store.count_nodes("a", 8)) == (1, 1)


def test_a_line_that_is_no_signature_is_said_to_be_malformed(store: CheckpointStore, subject: Subject):
    store.add_checkpoints([_checkpoint(3), _checkpoint(4)], settle=False)
    subject.execute("INSERT INTO checkpoint_signatures (stream, size, line) VALUES ('a', 3, 'no line at all')")
    broken, sound = store.checkpoints()
    assert broken.malformed is not None
    assert (sound.malformed, sound.signatures) == (None, (LINE,))


def test_a_walk_goes_on_from_where_it_is_told(store: CheckpointStore):
    for stream in ("b", "a"):
        fill(store, 4, stream=stream)
    assert store.stream_names() == ["a", "b"]
    assert places(store.walk_from({"b": 1, "a": 3, "none": 0})) == [("a", 3), ("b", 1), ("b", 2), ("b", 3)]
    assert list(store.walk_from({})) == []


def test_signatures_are_told_with_their_places_and_without_bodies(store: CheckpointStore):
    assert isinstance(store, SignatureSource)
    signed, unsigned = append(store, [draft(0, id_=event_id(1)), draft(1, id_=event_id(2))])
    append(store, [draft(0, stream="other")])
    store.add_signatures([signature_for(signed), signature_for(signed, signer="signer-2")])
    rows = list(store.signature_rows(["default"]))
    assert sorted(rows[:2]) == [
        SignatureRow(
            *("default", 0, event_id(1), signed.time, "test.event", signer, "request-0", "2026-07-01T00:00:00.000000Z")
        )
        for signer in ("signer-1", "signer-2")
    ]
    assert rows[2:] == [SignatureRow("default", 1, event_id(2), unsigned.time, "test.event", None, None, None)]
    assert [(row.stream, row.seq) for row in store.signature_rows()] == [
        *[("default", 0)] * 2,
        ("default", 1),
        ("other", 0),
    ]


def test_a_log_opened_for_reading_gives_them_and_takes_none(store: CheckpointStore, subject: Subject):
    store.add_checkpoints([_checkpoint(3)], settle=False)
    store.add_nodes("a", [(8, 0, HASHES[0])])
    with opened(subject, read_only=True) as reader:
        assert (len(list(reader.checkpoints())), reader.count_nodes("a", 8)) == (1, 1)
        for write in (
            lambda: reader.add_nodes("a", [(8, 1, HASHES[1])]),
            lambda: reader.add_checkpoints([_checkpoint(4)], settle=True),
            lambda: reader.add_cosignatures("a", 3, [OTHER]),
            lambda: reader.announce("a", lambda *_: draft(0, stream="a"), lambda: START),
        ):
            with pytest.raises(StoreError, match="reading only"):
                write()


def test_one_process_at_a_time_does_a_thing_exclusively(store: CheckpointStore, subject: Subject):
    assert isinstance(store, Exclusive)
    with opened(subject) as second:
        with store.exclusively("reseal") as mine, second.exclusively("reseal") as theirs:
            assert (mine, theirs) == (True, False)
            with second.exclusively("else") as other:
                assert other is True
        with second.exclusively("reseal") as theirs:
            assert theirs is True


def test_what_a_killed_process_held_is_free(store: CheckpointStore, subject: Subject):
    code = (
        "import sys, time; from auditseal.wiring.sources import open_store\n"
        "with open_store(sys.argv[1]).exclusively('reseal') as held: print(held, flush=True); time.sleep(60)"
    )
    holder = subprocess.Popen([sys.executable, "-c", code, subject.address], stdout=subprocess.PIPE, text=True)
    with holder:
        assert holder.stdout.readline() == "True\n"
        with store.exclusively("reseal") as held:
            assert held is False
        holder.kill()
        holder.wait()
        for _ in range(200):
            with store.exclusively("reseal") as held:
                if held:
                    break
        assert held is True
