from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from auditseal.core.canonical import MAX_INTEGER
from auditseal.core.validity import Bound, check_order, format_bound, parse_bound, parse_instant, why_outside
from auditseal.errors import InputError

STREAMS = ("a", "b/c")
offsets = st.integers(-1439, 1439).map(lambda minutes: timezone(timedelta(minutes=minutes)))
moments = st.datetimes(datetime(1970, 1, 2), datetime(9999, 12, 30), timezones=offsets)  # noqa: DTZ001 bounds are naive by hypothesis's rule
times = moments.map(datetime.isoformat)
seqs = st.dictionaries(st.sampled_from(STREAMS), st.integers(0, 20))
bounds = st.builds(Bound, time=times, seq=seqs) | st.builds(
    Bound, seq=st.dictionaries(st.sampled_from(STREAMS), st.integers(0, 20), min_size=1)
)
ends = st.none() | bounds


def _is_within(first, end, **place):
    return why_outside(first, end, **place) is None


@given(moments)
def test_an_instant_is_the_moment_whatever_its_offset(moment):
    same = parse_instant(moment.isoformat())
    assert parse_instant(moment.astimezone(UTC).isoformat()) == same
    assert parse_instant(moment.astimezone(UTC).isoformat().replace("+00:00", "Z")) == same
    assert same[0] == (moment.replace(microsecond=0) - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(seconds=1)


@given(moments, moments)
def test_instants_compare_as_the_moments_do(one, other):
    assert (parse_instant(one.isoformat()) < parse_instant(other.isoformat())) == (one < other)
    assert (parse_instant(one.isoformat()) == parse_instant(other.isoformat())) == (one == other)


def test_fractions_of_any_length_compare_as_numbers():
    texts = ["00Z", "00.000000001Z", "00.09Z", "00.1Z", "00.100000000000000000000000000001Z", "00.11Z", "01Z"]
    instants = [parse_instant(f"2026-07-01T00:00:{text}") for text in texts]
    assert instants == sorted(instants)
    assert len(set(instants)) == len(instants)
    assert parse_instant("2026-07-01T00:00:00.1Z") == parse_instant("2026-07-01T00:00:00.100Z")


@pytest.mark.parametrize("text", ["2026-07-01T00:00:00Z", "2026-07-01t00:00:00z", "2026-07-01T02:00:00+02:00"])
def test_the_forms_of_rfc_3339_are_read(text):
    assert parse_instant(text) == parse_instant("2026-07-01T00:00:00Z")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2026-07-01",
        "2026-07-01 00:00:00Z",
        "2026-07-01T00:00:00",
        "2026-07-01T24:00:00Z",
        "2026-07-01T23:59:60Z",
        "2026-02-29T00:00:00Z",
        "2026-07-01T00:00:00.Z",
        "2026-07-01T00:00:00+24:00",
        "2026-07-01T00:00:00+0200",
        "20260701T000000Z",
        "2026-07-01T00:00:00Z\n",
        " 2026-07-01T00:00:00Z",
        "٢٠٢٦-07-01T00:00:00Z",
        "2026-07-01T00:00:00." + "1" * 31 + "Z",
    ],
)
def test_other_forms_are_refused(text):
    with pytest.raises(InputError, match="not a time"):
        parse_instant(text)


@given(bounds)
def test_a_bound_reads_back(bound):
    assert parse_bound(format_bound(bound)) == bound


def test_a_time_alone_is_a_bound():
    assert parse_bound("2026-07-01T00:00:00Z") == Bound(time="2026-07-01T00:00:00Z")


@pytest.mark.parametrize(
    "value",
    [
        {},
        {"time": None},
        {"seq": {}},
        {"seq": {"a": -1}},
        {"seq": {"a": 1.0}},
        {"seq": {"a": True}},
        {"seq": {"a": "1"}},
        {"seq": {"a": MAX_INTEGER + 1}},
        {"seq": {"A": 1}},
        {"seq": [1]},
        {"seq": 1},
        {"time": 1},
        {"time": "soon"},
        {"time": "2026-07-01T00:00:00Z", "before": 1},
        "soon",
        7,
        None,
        [],
    ],
    ids=repr,
)
def test_another_bound_is_refused_since_it_may_be_meant_to_limit(value):
    with pytest.raises(InputError):
        parse_bound(value)


def test_a_bound_does_not_change_with_what_it_was_made_of():
    seq = {"a": 1}
    bound = Bound(seq=seq)
    seq["a"] = 2
    assert bound.seq["a"] == 1
    with pytest.raises(TypeError):
        bound.seq["a"] = 2


@given(st.sampled_from(STREAMS), st.integers(0, 20), st.integers(0, 20))
def test_by_seq_the_validity_is_half_open(stream, first, seq):
    bound = Bound(seq={stream: first})
    assert _is_within(bound, None, stream=stream, seq=seq, time=None) == (seq >= first)
    assert _is_within(None, bound, stream=stream, seq=seq, time=None) == (seq < first)


@given(moments, moments)
def test_by_time_the_validity_is_half_open(at, limit):
    bound = Bound(time=limit.isoformat())
    assert _is_within(bound, None, stream="a", seq=0, time=at.isoformat()) == (at >= limit)
    assert _is_within(None, bound, stream="a", seq=0, time=at.isoformat()) == (at < limit)


@given(bounds, st.sampled_from(STREAMS), st.integers(0, 20), times)
def test_every_place_lies_in_exactly_one_of_two_validities_that_meet(bound, stream, seq, time):
    """So a rotation at a bound leaves no gap and no overlap, as long as the bound limits in one way."""
    assume(bound.time is None or stream not in bound.seq)
    before = _is_within(None, bound, stream=stream, seq=seq, time=time)
    after = _is_within(bound, None, stream=stream, seq=seq, time=time)
    limits = bound.time is not None or stream in bound.seq
    assert before != after if limits else (before and after)


@given(ends, ends, st.sampled_from(STREAMS), st.integers(0, 20), times)
def test_a_place_must_lie_within_every_bound_that_applies(first, end, stream, seq, time):
    expected = True
    for bound, holds in ((first, lambda at, limit: at >= limit), (end, lambda at, limit: at < limit)):
        if bound is None:
            continue
        if stream in bound.seq:
            expected &= holds(seq, bound.seq[stream])
        if bound.time is not None:
            expected &= holds(datetime.fromisoformat(time), datetime.fromisoformat(bound.time))
    assert _is_within(first, end, stream=stream, seq=seq, time=time) == expected


def test_a_stream_that_a_bound_does_not_name_is_not_limited_by_seq():
    assert _is_within(Bound(seq={"a": 5}), Bound(seq={"a": 6}), stream="b/c", seq=0, time=None)


@pytest.mark.parametrize("time", [None, "", "soon"])
def test_without_a_time_that_can_be_read_an_entry_lies_outside_of_any_limit_by_time(time):
    bound = Bound(time="2026-07-01T00:00:00Z")
    for first, end in ((bound, None), (None, bound)):
        assert "no time that can be read" in why_outside(first, end, stream="a", seq=0, time=time)
    assert _is_within(None, None, stream="a", seq=0, time=time)


def test_the_reason_names_the_bound_and_the_place():
    began, ended = "2026-07-01T00:00:00Z", "2026-07-02T00:00:00Z"
    first, end = Bound(time=began, seq={"a": 5}), Bound(time=ended, seq={"a": 9})
    reasons = {
        (4, "2026-07-01T12:00:00Z"): "is valid in a from seq 5 on, and this is seq 4",
        (9, "2026-07-01T12:00:00Z"): "is valid in a only before seq 9, and this is seq 9",
        (5, "2026-06-30T12:00:00Z"): f"is valid from {began} on, and the entry says 2026-06-30T12:00:00Z",
        (5, ended): f"is valid only before {ended}, and the entry says {ended}",
    }
    for (seq, time), reason in reasons.items():
        assert why_outside(first, end, stream="a", seq=seq, time=time) == reason


@given(bounds, bounds)
def test_a_validity_must_end_after_it_begins(first, end):
    expected = not (
        (first.instant and end.instant and first.instant >= end.instant)
        or any(first.seq[stream] >= end.seq[stream] for stream in first.seq.keys() & end.seq.keys())
    )
    if expected:
        check_order(first, end)
        return
    with pytest.raises(InputError, match="validUntil is not after validFrom"):
        check_order(first, end)


@given(bounds)
def test_a_validity_that_is_open_at_one_end_is_in_order(bound):
    check_order(bound, None)
    check_order(None, bound)
    check_order(None, None)
