from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditseal.core.times import Micros, format_time, instant, parse_time
from auditseal.errors import InputError

_MAX_MICROS = 253_402_300_799_999_999


@given(st.integers(0, _MAX_MICROS))
def test_a_time_reads_back_and_sorts_as_text(micros):
    text = format_time(Micros(micros))
    assert parse_time(text) == micros
    assert datetime.fromisoformat(text) - datetime(1970, 1, 1, tzinfo=UTC) == timedelta(microseconds=micros)
    assert format_time(Micros(max(micros - 1, 0))) <= text


@pytest.mark.parametrize("micros", [-1, -62_135_596_800_000_000, _MAX_MICROS + 1, 10**30])
def test_a_time_outside_of_the_years_1970_to_9999_is_refused(micros):
    with pytest.raises(InputError, match="no time between"):
        format_time(Micros(micros))


@pytest.mark.parametrize("text", ["", "now", "2026-07-01", "2026-07-01T00:00:03Z", "2026-13-01T00:00:00.000000Z"])
def test_only_the_form_of_bodies_is_parsed_as_a_time(text):
    with pytest.raises(InputError, match="not a time"):
        parse_time(text)


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("2026-07-01", "2026-07-01T00:00:00.000000Z"),
        ("2026-07-01T02:00:03.00012+02:00", "2026-07-01T00:00:03.000120Z"),
        ("2026-07-01T00:00:03Z", "2026-07-01T00:00:03.000000Z"),
    ],
)
def test_a_time_as_people_write_it_is_brought_into_the_form_of_bodies(text, form):
    assert instant(text) == form


@pytest.mark.parametrize("text", ["", "yesterday", "2026-02-30", "1969-12-31"])
def test_what_is_no_time_is_refused(text):
    with pytest.raises(InputError):
        instant(text)
