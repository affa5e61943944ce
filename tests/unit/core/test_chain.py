import hashlib

from hypothesis import given
from hypothesis import strategies as st

from auditseal.core.chain import NO_HASH, Head, entry_hash, extend
from auditseal.core.draft import Limits, make_draft
from auditseal.core.event import Event, StreamName, parse_body
from auditseal.core.times import Micros, format_time
from support.chains import START, make_entries


def _drafts(count):
    return [make_draft(Event(type="t"), new_id=f"{number:036}", limits=Limits()) for number in range(count)]


@given(st.binary(), st.binary(max_size=32))
def test_the_hash_is_sha256_of_the_body_and_then_the_hash_before(body, prev_hash):
    digest = hashlib.sha256()
    digest.update(body)
    digest.update(prev_hash)
    assert entry_hash(body, prev_hash) == digest.digest()


def test_the_first_entry_has_seq_0_and_follows_nothing():
    (entry,) = extend(Head(stream=StreamName("default")), _drafts(1), START)
    assert (entry.seq, entry.prev_hash) == (0, NO_HASH)
    assert entry.hash == hashlib.sha256(entry.body).digest()


def test_entries_follow_the_head_and_one_another():
    head = Head(stream=StreamName("default"), seq=41, hash=b"\x07" * 32, time=format_time(START))
    entries = extend(head, _drafts(3), START)
    assert [entry.seq for entry in entries] == [42, 43, 44]
    assert [entry.prev_hash for entry in entries] == [head.hash, entries[0].hash, entries[1].hash]
    for entry in entries:
        assert entry.hash == hashlib.sha256(entry.body + entry.prev_hash).digest()


def test_no_drafts_make_no_entries():
    assert extend(Head(stream=StreamName("default")), [], START) == []


def test_what_stands_beside_the_body_says_what_the_body_says():
    for entry in make_entries(3, stream="a/b"):
        body = parse_body(entry.body)
        assert (body.stream, body.seq, body.id, body.time, body.type, body.actor) == (
            entry.stream,
            entry.seq,
            entry.id,
            entry.time,
            entry.type,
            entry.actor,
        )


def test_time_stands_still_while_the_clock_is_behind_the_head():
    later = format_time(Micros(START + 1))
    head = Head(stream=StreamName("default"), seq=0, hash=b"\x07" * 32, time=later)
    assert extend(head, _drafts(1), START)[0].time == later
    assert extend(head, _drafts(1), Micros(START + 2))[0].time == format_time(Micros(START + 2))
