import hashlib
import json
import math
from enum import IntEnum, StrEnum

import orjson
import pytest
import rfc8785
from hypothesis import example, given
from hypothesis import strategies as st

from auditseal.core import canonical
from auditseal.core.canonical import DEEPEST, MAX_INTEGER, canonicalize, is_canonical, parse_json
from auditseal.errors import CanonicalError, InputError
from support.vectors import load_vectors

ORIGIN = load_vectors("canonical")["vectors"]
# Where the origin's canonicaliser departs from RFC 8785, loses a member or rounds a number: refused, and why.
DEPARTURES = {
    "duplicate_keys_nested": "duplicate-key",
    "duplicate_keys_escaped": "duplicate-key",
    "lone_surrogates_reversed": "lone-surrogate",
    "lone_surrogate_key": "lone-surrogate",
    "lone_surrogate_upper_hex": "lone-surrogate",
    "lone_high_then_pair": "lone-surrogate",
    "overflow_inf": "not-finite",
    "exp_123456789012345678901": "integer-out-of-range",
    "exp_999999999999999900000": "integer-out-of-range",
    "int_2_53_plus_1": "integer-out-of-range",
    "int_neg_2_53_minus_1": "integer-out-of-range",
    "int64_max": "integer-out-of-range",
}

texts = st.text(st.characters(exclude_categories=["Cs"]))
integers = st.integers(-MAX_INTEGER, MAX_INTEGER)
scalars = st.none() | st.booleans() | integers | st.floats(allow_nan=False, allow_infinity=False) | texts
values = st.recursive(scalars, lambda inner: st.lists(inner) | st.dictionaries(texts, inner), max_leaves=20)
# As JSON values, and with what must be refused anywhere in them.
wild = st.recursive(
    scalars | st.floats() | st.integers() | st.text(st.characters()) | st.binary() | st.just(()),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters()) | st.integers(), inner),
    max_leaves=12,
)


def _reason(value, **limits):
    with pytest.raises(CanonicalError) as caught:
        canonicalize(value, **limits)
    return caught.value.reason


def _nested(depth):
    value = []
    for _ in range(depth - 1):
        value = [value]
    return value


def _outcome(function, value):
    try:
        return function(value)
    except CanonicalError as error:
        return error.reason


def _careful(value):
    return canonical._carefully(value, canonical.MAX_DEPTH, canonical.MAX_BYTES)


@pytest.mark.parametrize("vector", [v for v in ORIGIN if v["name"] not in DEPARTURES], ids=lambda v: v["name"])
def test_the_form_is_the_origins_byte_for_byte(vector):
    form = canonicalize(parse_json(vector["json_text"]))
    assert form.decode() == vector["canonical"]
    assert hashlib.sha256(form).hexdigest() == vector["sha256_no_prev"]
    assert hashlib.sha256(form + bytes.fromhex(vector["prev_hash"])).hexdigest() == vector["sha256_with_prev"]


@pytest.mark.parametrize("vector", [v for v in ORIGIN if v["name"] in DEPARTURES], ids=lambda v: v["name"])
def test_what_the_origin_forms_otherwise_than_rfc_8785_is_refused_and_not_imitated(vector):
    with pytest.raises(CanonicalError) as caught:
        parse_json(vector["json_text"])
    assert caught.value.reason == DEPARTURES[vector["name"]]


def test_every_departure_of_the_list_stands_in_the_vectors():
    assert {v["name"] for v in ORIGIN} > set(DEPARTURES)


@given(values)
def test_the_form_is_rfc_8785(value):
    assert canonicalize(value) == rfc8785.dumps(value)


@given(values)
def test_the_form_reads_back_as_the_value(value):
    form = canonicalize(value)
    assert json.loads(form, parse_int=float) == value
    assert is_canonical(form, json.loads(form))
    assert is_canonical(form, orjson.loads(form))


@given(wild)
def test_both_paths_give_the_same_bytes_or_refuse_for_the_same_reason(value):
    assert _outcome(canonicalize, value) == _outcome(_careful, value)


@st.composite
def json_texts(draw):
    """JSON as anybody may write it: spaces, escapes, numbers of any form, and names that stand twice."""
    name = st.sampled_from(
        ['"a"', '"b"', r'"\u0061"', r'"\u0022"', r'"\""', r'"\\u0022"', '"é"', r'"\ud83d\ude00"', r'"\ud800"']
    )
    number = st.sampled_from(
        ["0", "-0", "1.0", "1e2", "0.25", "1e400", "9007199254740993", "99999999999999999999", "NaN"]
    )
    space = draw(st.sampled_from(["", " ", "\n "]))

    def joined(parts):
        return f"{space},{space}".join(parts)

    return draw(
        st.recursive(
            name | number | st.sampled_from(["null", "true"]),
            lambda inner: (
                st.lists(inner, max_size=3).map(lambda parts: f"[{space}{joined(parts)}{space}]")
                | st.lists(st.tuples(name, inner), max_size=3).map(
                    lambda parts: "{" + joined(f"{key}{space}:{space}{value}" for key, value in parts) + "}"
                )
            ),
            max_leaves=6,
        )
    )


@given(json_texts())
@example(r'{"a":0,"a":"\u0022\u0022"}')  # with as many quotes as what is left of it
def test_a_text_is_read_alike_on_both_paths_or_refused_for_the_same_reason(text):
    # What is a string already goes the careful way.
    fast, careful = _outcome(parse_json, text.encode()), _outcome(parse_json, text)
    assert repr(fast) == repr(careful)


@given(values)
def test_a_text_in_bytes_is_read_as_the_value(value):
    text = json.dumps({"value": value}, ensure_ascii=False)
    assert repr(_outcome(parse_json, text.encode())) == repr(_outcome(parse_json, text))


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (1e-5, "0.00001"),
        (9.9e-6, "0.0000099"),
        (1.5e-6, "0.0000015"),
        (1e-6, "0.000001"),
        (9.9e-7, "9.9e-7"),
        (5e-324, "5e-324"),
        (0.1, "0.1"),
        (1.0, "1"),
        (-0.0, "0"),
        (999999999999999.9, "999999999999999.9"),
        (1e15, "1000000000000000"),
        (2.0**53, "9007199254740992"),
        (1e16, "10000000000000000"),
        (1e20, "100000000000000000000"),
        (1e21, "1e+21"),
        (1.5e300, "1.5e+300"),
    ],
)
def test_numbers_are_written_as_ecmascript_writes_them(number, text):
    assert canonicalize(number).decode() == text
    assert canonicalize([number]).decode() == f"[{text}]"
    if number:
        assert canonicalize({"n": -number}).decode() == f'{{"n":-{text}}}'


@given(values, st.randoms())
def test_the_order_of_members_makes_no_difference(value, random):
    def shuffled(part):
        if isinstance(part, dict):
            items = [(key, shuffled(member)) for key, member in part.items()]
            random.shuffle(items)
            return dict(items)
        return [shuffled(member) for member in part] if isinstance(part, list) else part

    assert canonicalize(shuffled(value)) == canonicalize(value)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (math.nan, "not-finite"),
        (math.inf, "not-finite"),
        (-math.inf, "not-finite"),
        (MAX_INTEGER + 1, "integer-out-of-range"),
        (-MAX_INTEGER - 1, "integer-out-of-range"),
        (10**5000, "integer-out-of-range"),
        ("\ud800", "lone-surrogate"),
        ("\udc00\ud800", "lone-surrogate"),
        ({"\ud800": 1}, "lone-surrogate"),
        ({1: "a"}, "key-not-string"),
        ({None: "a"}, "key-not-string"),
        ({StrEnum("E", ["A"]).A: 1}, "key-not-string"),
        (b"bytes", "unsupported-type"),
        ((1, 2), "unsupported-type"),
        ({1, 2}, "unsupported-type"),
        (StrEnum("E", ["A"]).A, "unsupported-type"),
        (IntEnum("I", ["A"]).A, "unsupported-type"),
        (object(), "unsupported-type"),
    ],
    ids=lambda value: value if type(value) is str and value.isascii() else type(value).__name__,
)
@pytest.mark.parametrize(
    "wrap", [lambda v: v, lambda v: [v], lambda v: {"a": {"b": [1, v]}}], ids=["bare", "list", "deep"]
)
def test_a_value_without_an_agreed_form_is_refused_wherever_it_stands(value, reason, wrap):
    assert _reason(wrap(value)) == reason


@pytest.mark.parametrize("number", [MAX_INTEGER, -MAX_INTEGER])
def test_the_largest_integers_are_written_in_full(number):
    assert canonicalize([number]) == f"[{number}]".encode()


def test_a_refusal_never_shows_the_value():
    for value in ({"secret-key": {1, 2}}, ["secret-key", b"secret-key"], {"secret-key\ud800": 1}):
        with pytest.raises(InputError) as caught:
            canonicalize(value)
        assert "secret" not in str(caught.value)


@pytest.mark.parametrize("leaf", [1, 1.0, "\U0001f600"], ids=["fast", "careful", "careful text"])
def test_containers_may_stand_in_one_another_up_to_the_limit(leaf):
    value = leaf
    for _ in range(5):
        value = {"a": value}
    assert canonicalize(value, max_depth=5)
    assert _reason(value, max_depth=4) == "too-deep"
    assert _reason({}, max_depth=0) == "too-deep"
    assert canonicalize(leaf, max_depth=0)


def test_a_value_deeper_than_the_interpreter_can_walk_is_refused():
    assert _reason(_nested(100_000)) == "too-deep"
    cyclic = []
    cyclic.append(cyclic)
    assert _reason(cyclic) == "too-deep"


@pytest.mark.parametrize("text", ["aaaa", "\U0001f600"], ids=["fast", "careful"])
def test_the_size_limit_counts_bytes_of_the_form(text):
    assert len(canonicalize(text, max_bytes=6)) == 6
    assert _reason(text, max_bytes=5) == "too-large"


def test_a_list_of_more_members_than_bytes_is_refused_before_it_is_formed():
    assert _reason([1.0] * 1000, max_bytes=500) == "too-large"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (b' { "a" : [ 1 , 2.5 , "\xc3\xa9" ] } ', {"a": [1, 2.5, "é"]}),
        ("-0", 0),
        ('"\\ud83d\\ude00"', "\U0001f600"),
        ('"\\u0000"', "\0"),
        ("1E2", 100.0),
    ],
)
def test_json_text_is_read(text, value):
    assert parse_json(text) == value


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "not-json"),
        ("{", "not-json"),
        ("{} {}", "not-json"),
        ("{'a': 1}", "not-json"),
        ("[1,]", "not-json"),
        ("01", "not-json"),
        ('"\x01"', "not-json"),
        ("\ufeff{}", "not-json"),
        (b"\xff", "not-json"),
        (b'"\xed\xa0\x80"', "not-json"),
        ("NaN", "not-finite"),
        ("[Infinity]", "not-finite"),
        ("-Infinity", "not-finite"),
        ("1e309", "not-finite"),
        ('{"a":1,"a":1}', "duplicate-key"),
        ('[{"b":{"a":1,"\\u0061":2}}]', "duplicate-key"),
        ("9007199254740992", "integer-out-of-range"),
        ("[-9007199254740992]", "integer-out-of-range"),
        ("1" * 5000, "integer-out-of-range"),
        ('{"a":"\\ud800"}', "lone-surrogate"),
        ('{"\\udfff":1}', "lone-surrogate"),
        ("[" * 65 + "]" * 65, "too-deep"),
        ("[" * 200_000, "too-deep"),
    ],
    ids=lambda text: repr(text)[:30],
)
def test_json_text_that_parsers_could_take_differently_is_refused(text, reason):
    assert _outcome(parse_json, text) == reason


def test_json_text_above_the_limit_is_not_parsed():
    assert parse_json("[1]", max_bytes=3) == [1]
    with pytest.raises(CanonicalError, match="at most 2") as caught:
        parse_json("[1]", max_bytes=2)
    assert caught.value.reason == "too-large"


def test_what_is_wrong_with_json_text_is_told_with_its_place():
    with pytest.raises(CanonicalError, match="line 2, column 1"):
        parse_json('{"a":\n}')
    with pytest.raises(CanonicalError, match="not UTF-8 at byte 1"):
        parse_json(b'"\xff"')


@pytest.mark.parametrize(
    "form",
    [b'{"b":1,"a":2}', b'{"a": 1}', b"1.0", b'"\\u00e9"', b'{"a":1,"a":1}', b"-0", b"[1] ", b'"\\/"'],
)
def test_another_form_of_the_same_value_is_not_canonical(form):
    assert not is_canonical(form, orjson.loads(form))


@pytest.mark.parametrize("number", [2.0**53, -(2.0**53), 1e17, 2.0**63, 2.0**64, -1e19, 123456789012345680000.0])
def test_a_whole_float_beyond_the_exact_integers_is_canonical_when_it_is_read_back(number):
    form = canonicalize({"n": [number]})
    assert b"." not in form
    assert is_canonical(form, orjson.loads(form))
    assert is_canonical(form, json.loads(form))


@pytest.mark.parametrize(
    "digits", [b"9007199254740993", b"-9007199254740993", b"18446744073709551615", b"1" + b"0" * 400], ids=len
)
def test_an_integer_that_is_no_floats_form_is_not_canonical(digits):
    assert not is_canonical(digits, int(digits))


def test_a_form_is_canonical_whatever_limit_its_writer_had():
    big = json.dumps("x" * (2 * canonical.MAX_BYTES)).encode()
    assert is_canonical(big, orjson.loads(big))
    deep = b"[" * DEEPEST + b"]" * DEEPEST
    assert is_canonical(deep, orjson.loads(deep))
    deeper = b"[" + deep + b"]"
    assert not is_canonical(deeper, orjson.loads(deeper))
