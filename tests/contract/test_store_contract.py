"""What every store does (`auditseal.ports.Store`, `PartedSource`), on real databases."""

from __future__ import annotations

import pytest

from auditseal.core.chain import NO_HASH, Head, extend
from auditseal.core.event import StreamName, parse_body
from auditseal.core.stored_rows import entries_of
from auditseal.core.times import Micros
from auditseal.errors import ConflictError, StoreError
from auditseal.ports import EntryFilter, Part, PartedSource, RowSource, Store
from contract.store_subjects import Subject, opened
from support.chains import START, make_entries
from support.postgres_server import PASSWORD
from support.store_events import append, check_chains, draft, event_id, fill, places, signature_for

_COLUMNS = "stream, seq, id, time, type, actor, body, prev_hash, hash"


def test_an_empty_log_has_nothing(store: Store):
    assert store.head("default") == Head(stream=StreamName("default"))
    assert (store.streams(), list(store.walk()), store.count(), store.count_pending()) == ([], [], 0, 0)
    assert (store.entry("default", 0), store.pending(limit=5), store.select(EntryFilter(), limit=5)) == (None, [], [])


def test_appended_entries_are_read_back_byte_for_byte(store: Store):
    made = append(store, [draft(1), draft(2, actor=None)]) + append(store, [draft(3)], at=1)
    read = list(store.walk())
    assert [(item.body, item.prev_hash, item.hash) for item in read] == [(e.body, e.prev_hash, e.hash) for e in made]
    columns = [(item.columns.id, item.columns.time, item.columns.type, item.columns.actor) for item in read]
    assert columns == [(entry.id, entry.time, entry.type, entry.actor) for entry in made]
    assert check_chains(read) == {"default": 3}


def test_an_append_spans_streams_and_each_takes_the_drafts_order(store: Store):
    made = append(store, [draft(0, stream="b"), draft(1, stream="a"), draft(2, stream="b"), draft(3, stream="a")])
    assert places(made) == [("b", 0), ("a", 0), ("b", 1), ("a", 1)]
    assert [parse_body(entry.body).payload["n"] for entry in store.walk(["b"])] == [0, 2]
    assert check_chains(store.walk()) == {"a": 2, "b": 2}


def test_an_empty_append_changes_nothing(store: Store):
    assert store.append([], lambda: START) == []
    store.insert([], [])
    store.add_signatures([])
    assert store.count() == 0


def test_time_never_runs_backwards_within_a_stream(store: Store):
    late = append(store, [draft(0)], at=100)[0]
    early = append(store, [draft(1)], at=50)[0]
    other = append(store, [draft(1, stream="other")], at=50)[0]
    assert early.time == late.time > other.time


def test_the_same_id_is_answered_with_the_entry_that_is_there(store: Store):
    first = append(store, [draft(1, id_=event_id(1))])[0]
    store.add_signatures([signature_for(first)])
    [again] = store.append([draft(1, id_=event_id(1))], lambda: START)
    assert again.new is None
    assert (again.found.seq, again.found.body, again.found.hash) == (0, first.body, first.hash)
    assert [item.signer for item in again.found.signatures] == ["signer-1"]
    assert store.count() == 1


def test_the_same_id_twice_in_one_append_is_one_entry(store: Store):
    appended = store.append([draft(1, id_=event_id(1)), draft(1, id_=event_id(1))], lambda: START)
    assert [item.new.seq for item in appended] == [0, 0]
    assert store.count() == 1


def test_known_and_new_ids_may_be_mixed(store: Store):
    append(store, [draft(1, id_=event_id(1)), draft(3, id_=event_id(3))])
    appended = store.append([draft(number, id_=event_id(number)) for number in range(5)], lambda: START)
    assert [(item.new or item.found).seq for item in appended] == [2, 0, 3, 1, 4]
    assert [item.new is not None for item in appended] == [True, False, True, False, True]
    assert check_chains(store.walk()) == {"default": 5}


def test_more_ids_than_one_look_up_takes_are_all_found(store: Store):
    drafts = [draft(number, id_=event_id(number)) for number in range(1100)]
    append(store, drafts)
    assert all(item.found is not None for item in store.append(drafts, lambda: START))


def test_an_id_belongs_to_its_stream(store: Store):
    append(store, [draft(1, id_=event_id(1), stream="a")])
    append(store, [draft(1, id_=event_id(1), stream="b")])
    assert places(store.walk()) == [("a", 0), ("b", 0)]


def test_an_append_that_fails_stores_nothing(store: Store):
    fill(store, 1)

    def broken_clock() -> Micros:
        raise RuntimeError("the clock broke")

    with pytest.raises(RuntimeError, match="the clock broke"):
        store.append([draft(1), draft(2, stream="other")], broken_clock)
    assert places(store.walk()) == [("default", 0)]
    append(store, [draft(1)])
    assert check_chains(store.walk()) == {"default": 2}


def test_ready_entries_are_inserted_with_their_signatures(store: Store):
    entries = make_entries(5)
    store.insert(entries[:3], [signature_for(entry) for entry in entries[:2]])
    store.insert(entries[3:], [])
    read = list(store.walk())
    assert [item.hash for item in read] == [entry.hash for entry in entries]
    assert [len(item.signatures) for item in read] == [1, 1, 0, 0, 0]
    assert store.head("default").hash == entries[4].hash
    following = append(store, [draft(5)], at=100)[0]
    assert following.prev_hash == entries[4].hash


def test_what_does_not_follow_the_head_is_a_conflict_and_nothing_of_it_is_stored(store: Store):
    entries = make_entries(4)
    store.insert(entries[:2], [])
    fork = extend(Head(stream=StreamName("default")), [draft(99)], START)
    elsewhere = make_entries(2, stream="other")
    not_ours = [entries[3:], entries[:1], entries[1:3], fork, [elsewhere[1]]]
    for wrong in not_ours:
        with pytest.raises(ConflictError, match="does not follow"):
            store.insert([*make_entries(1, stream="good"), *wrong], [signature_for(wrong[0])])
    assert places(store.walk()) == [("default", 0), ("default", 1)]
    assert store.count_pending() == 2
    store.insert(entries[2:], [])


def test_an_entry_under_an_id_that_is_there_is_a_conflict(store: Store):
    first = append(store, [draft(0, id_=event_id(7))])[0]
    head = Head(stream=first.stream, seq=0, hash=first.hash, time=first.time)
    with pytest.raises(ConflictError):
        store.insert(extend(head, [draft(1, id_=event_id(7))], START), [])
    assert store.count() == 1


def test_a_signature_is_stored_once_for_each_signer(store: Store):
    entry = fill(store, 1)[0]
    store.add_signatures([signature_for(entry, text=b"the first")])
    store.add_signatures([signature_for(entry, text=b"another"), signature_for(entry, signer="signer-2")])
    stored = store.entry("default", 0).signatures
    assert {item.signer: item.signature for item in stored} == {"signer-1": b"the first", "signer-2": b"signature"}
    first = stored[0]
    assert (first.algorithm, first.entry_hash, first.request_id) == ("ed25519", entry.hash, "request-0")
    assert first.signed_at == "2026-07-01T00:00:00.000000Z"


def test_heads_and_streams_are_those_of_the_last_entries(store: Store):
    fill(store, 3, stream="b/2")
    last = fill(store, 2, stream="a.1")[-1]
    assert [(head.stream, head.seq) for head in store.streams()] == [("a.1", 1), ("b/2", 2)]
    assert store.head("a.1") == Head(stream=StreamName("a.1"), seq=1, hash=last.hash, time=last.time)
    assert store.head("none").hash == NO_HASH
    assert store.entry("a.1", 1).hash == last.hash
    assert store.entry("a.1", 2) is None


def test_streams_are_ordered_by_their_bytes(store: Store):
    names = ["a", "a-b", "a/b", "a.b", "a_b", "ab", "a0", "b"]
    append(store, [draft(0, stream=name) for name in names])
    assert [head.stream for head in store.streams()] == sorted(names)
    assert [entry.stream for entry in store.walk()] == sorted(names)
    assert [entry.stream for entry in store.select(EntryFilter(), limit=50)] == sorted(names)


def test_walk_goes_by_stream_and_seq_and_takes_only_the_streams_asked_for(store: Store):
    for number in range(12):
        append(store, [draft(number, stream=f"s{number % 3}")])
    assert places(store.walk()) == [(f"s{stream}", seq) for stream in range(3) for seq in range(4)]
    assert places(store.walk(["s2", "s0", "none"])) == [(f"s{stream}", seq) for stream in (0, 2) for seq in range(4)]
    assert (store.count(), store.count(["s1", "none"]), store.count([])) == (12, 4, 0)
    assert list(store.walk([])) == []


def test_a_walk_shows_one_moment_and_does_not_hinder_writers(store: Store):
    fill(store, 600)
    walk = store.walk()
    assert next(walk).seq == 0
    append(store, [draft(600)], at=700)
    assert sum(1 for _ in walk) == 599
    assert store.count() == 601


def test_a_walk_may_be_given_up(store: Store):
    fill(store, 3)
    for _ in range(40):
        walk = store.walk()
        assert next(walk).seq == 0
        walk.close()
    append(store, [draft(3)], at=9)


def test_parts_give_what_walk_gives(store: Store):
    assert isinstance(store, PartedSource)
    fill(store, 10, stream="a")
    fill(store, 3, stream="b")
    store.add_signatures([signature_for(entry) for entry in store.walk(["a"])])
    for streams in (None, ["b", "a"], ["a"], ["none"], []):
        walked = list(store.walk(streams))
        for size in (1, 4, 100):
            parts = list(store.parts(streams, size))
            read = [entry for part in parts for entry in store.read_part(part)]
            assert sorted(read, key=lambda entry: (entry.stream, entry.seq)) == walked
            assert all(len(list(store.read_part(part))) <= size for part in parts)


def test_rows_make_the_entries_of_their_part(store: RowSource):
    entries = append(store, [draft(number) for number in range(1100)])
    parts = list(store.parts(None, 600))
    for signed in ([], entries[700:], entries[:300]):
        store.add_signatures([signature_for(entry) for entry in signed])
        given = [[row for rows in store.rows(part) for row in rows] for part in parts]
        assert [len(rows) for rows in given] == [600, 500]
        assert [entry for rows in given for entry in entries_of(rows)] == list(store.walk())
    store.add_signatures([signature_for(entry, signer="another") for entry in entries])
    for part in parts:
        lists = list(store.rows(part))
        assert [entry for rows in lists for entry in entries_of(rows)] == list(store.read_part(part))
        places_of = [{row[1] for row in rows} for rows in lists]
        assert sum(map(len, places_of)) == len(set().union(*places_of))
    assert list(store.rows(Part("nobody", 0, 9))) in ([], [[]])


def test_pending_entries_are_the_unsigned_ones_oldest_first(store: Store):
    old = append(store, [draft(0, stream="z")], at=0)
    new = append(store, [draft(0, stream="a"), draft(1, stream="a")], at=10)
    newest = append(store, [draft(1, stream="z")], at=20)
    assert places(store.pending(limit=10)) == [("z", 0), ("a", 0), ("a", 1), ("z", 1)]
    assert places(store.pending(limit=2)) == [("z", 0), ("a", 0)]
    assert places(store.pending(limit=10, stream="z")) == [("z", 0), ("z", 1)]
    assert places(store.pending(limit=10, before=newest[0].time)) == [("z", 0), ("a", 0), ("a", 1)]
    assert places(store.pending(limit=10, stream="z", before=newest[0].time)) == [("z", 0)]
    store.add_signatures([signature_for(entry) for entry in [*old, new[1]]])
    assert places(store.pending(limit=10)) == [("a", 0), ("z", 1)]
    assert store.count_pending() == 2


def test_counting_what_is_pending_hides_nothing_that_comes_later(store: Store):
    first, second, third = fill(store, 3)
    store.add_signatures([signature_for(second)])
    assert store.count_pending() == 2
    store.add_signatures([signature_for(first)])
    assert store.count_pending() == 1
    assert places(store.pending(limit=9)) == [("default", 2)]
    store.add_signatures([signature_for(third)])
    assert store.count_pending() == 0
    append(store, [draft(3), draft(0, stream="new")], at=9)
    assert places(store.pending(limit=9)) == [("default", 3), ("new", 0)]
    assert store.count_pending() == 2


def test_entries_are_selected_by_each_member_and_by_several(store: Store):
    append(store, [draft(0, stream="a", type_="agent.spawned", actor="ann", id_=event_id(5))], at=0)
    append(store, [draft(1, stream="a", type_="agent.stopped", actor=None)], at=10)
    append(store, [draft(2, stream="b", type_="agent.spawned", actor="bob")], at=20)
    times = {(entry.stream, entry.seq): entry.columns.time for entry in store.walk()}

    def selected(**which: object) -> list[tuple[str, int]]:
        return places(store.select(EntryFilter(**which), limit=10))

    assert selected() == [("a", 0), ("a", 1), ("b", 0)]
    assert selected(stream="a") == [("a", 0), ("a", 1)]
    assert selected(type="agent.spawned") == [("a", 0), ("b", 0)]
    assert selected(actor="bob") == [("b", 0)]
    assert selected(since=times["a", 1]) == [("a", 1), ("b", 0)]
    assert selected(until=times["a", 1]) == [("a", 0)]
    assert selected(first_seq=1) == [("a", 1)]
    assert selected(last_seq=0) == [("a", 0), ("b", 0)]
    assert selected(id=event_id(5)) == [("a", 0)]
    assert selected(id="no id at all") == []
    assert selected(type="agent.spawned", stream="b", actor="bob", since=times["b", 0]) == [("b", 0)]


def test_pages_of_a_selection_meet_without_a_gap(store: Store):
    for stream in ("a", "b"):
        for entry in fill(store, 5, stream=stream):
            store.add_signatures([signature_for(entry), signature_for(entry, signer="signer-2")])
    seen, after = [], None
    while page := store.select(EntryFilter(), limit=3, after=after):
        assert all(len(entry.signatures) == 2 for entry in page)
        seen += places(page)
        after = seen[-1]
    assert seen == [(stream, seq) for stream in "ab" for seq in range(5)]


def test_zero_characters_and_every_other_text_survive_in_a_payload(store: Store):
    payload = {"zero\0key": "a\0b", "text": "\u001f\u007f\ud7ff\ue000\U0001f512 é", "numbers": [1e21, 0.1, 2**53 - 1]}
    append(store, [draft(payload=payload)])
    assert parse_body(store.entry("default", 0).body).payload == payload


def test_types_and_actors_of_every_script_survive(store: Store):
    append(store, [draft(type_="тип 種類 \U0001f512 '\"\\", actor="x" * 256)])
    [entry] = store.select(EntryFilter(type="тип 種類 \U0001f512 '\"\\"), limit=2)
    assert entry.columns.actor == "x" * 256


def test_a_body_of_a_mebibyte_survives(store: Store):
    entry = append(store, [draft(payload={"text": "x" * 1_000_000})])[0]
    assert store.entry("default", 0).body == entry.body


@pytest.mark.parametrize("table", ["entries", "signatures"])
@pytest.mark.parametrize("change", ["UPDATE {} SET stream = 'changed'", "DELETE FROM {}"])
def test_the_database_itself_refuses_to_change_what_is_written(store: Store, subject: Subject, table: str, change: str):
    store.add_signatures([signature_for(entry) for entry in fill(store, 2)])
    before = list(store.walk())
    with pytest.raises(subject.refusal, match=f"auditseal: {table} are append-only"):
        subject.execute(change.format(table))
    assert list(store.walk()) == before


@pytest.mark.parametrize(
    "row",
    {
        "a second entry at one place": "stream, seq, 'another', time, type, actor, body, prev_hash, hash",
        "a second that follows the same one": "stream, seq + 1, 'another', time, type, actor, body, prev_hash, hash",
        "an entry behind a gap": "stream, seq + 7, 'another', time, type, actor, body, hash, hash",
        "a second entry with one id": "stream, seq + 1, id, time, type, actor, body, hash, prev_hash",
        "a first entry that follows something": "'new', 0, id, time, type, actor, body, hash, hash",
        "a new stream that does not start at 0": "'new', 1, id, time, type, actor, body, prev_hash, hash",
    }.items(),
    ids=lambda row: row[0].replace(" ", "-"),
)
def test_the_database_itself_refuses_an_entry_that_would_break_the_chain(store, subject: Subject, row):
    fill(store, 2)
    with pytest.raises(subject.refusal):
        subject.execute(f"INSERT INTO entries ({_COLUMNS}) SELECT {row[1]} FROM entries WHERE seq = 1")
    assert check_chains(store.walk()) == {"default": 2}


def test_the_database_itself_refuses_a_second_signature_of_one_signer(store: Store, subject: Subject):
    store.add_signatures([signature_for(fill(store, 1)[0])])
    with pytest.raises(subject.refusal):
        subject.execute("UPDATE signatures SET signature = entry_hash")
    assert len(store.entry("default", 0).signatures) == 1


def test_a_log_is_closed_once_or_often_and_then_takes_nothing(subject: Subject):
    with opened(subject) as store:
        fill(store, 1)
        store.close()
        store.close()
        with pytest.raises(StoreError, match="closed"):
            append(store, [draft(1)])
    with opened(subject) as store:
        assert store.count() == 1


def test_a_log_opened_for_reading_reads_all_and_takes_nothing(store: Store, subject: Subject):
    store.add_signatures([signature_for(entry) for entry in fill(store, 3)])
    with opened(subject, read_only=True) as reader:
        assert list(reader.walk()) == list(store.walk())
        assert (reader.count(), reader.count_pending(), reader.head("default").seq) == (3, 0, 2)
        with pytest.raises(StoreError, match="reading only"):
            append(reader, [draft(3)])
        with pytest.raises(StoreError, match="reading only"):
            reader.add_signatures([])


def test_an_address_opens_the_log_again_and_shows_no_password(store: Store, subject: Subject):
    fill(store, 1)
    assert store.address == subject.shown_address
    assert PASSWORD not in store.address
