import pytest

from auditseal.core.body_diff import Difference, diff_bodies


def _rows(here, there):
    return [(item.path, item.here, item.there) for item in diff_bodies(here, there)]


def test_equal_bodies_differ_nowhere():
    assert diff_bodies(b'{"a":1}', b'{"a":1}') == []


def test_members_are_compared_by_path_in_order():
    assert _rows(b'{"b":{"c":1},"a":true}', b'{"b":{"c":2},"a":null}') == [("/a", "true", "null"), ("/b/c", "1", "2")]


def test_a_member_on_one_side_alone_is_absent_on_the_other_and_not_null():
    assert _rows(b'{"a":null}', b'{"b":0}') == [("/a", "null", None), ("/b", None, "0")]


@pytest.mark.parametrize(
    ("here", "there"), [(b"1", b"true"), (b"0", b"false"), (b'""', b"null"), (b"1", b'"1"'), (b"[]", b"{}")]
)
def test_values_of_different_types_differ(here, there):
    assert _rows(b'{"a":' + here + b"}", b'{"a":' + there + b"}") == [("/a", here.decode(), there.decode())]


def test_lists_of_one_length_are_compared_by_place_and_others_as_a_whole():
    assert _rows(b'{"a":[1,2,3]}', b'{"a":[1,5,3]}') == [("/a/1", "2", "5")]
    assert _rows(b'{"a":[1,2]}', b'{"a":[1]}') == [("/a", "[1,2]", "[1]")]


def test_paths_are_escaped_as_json_pointers():
    assert _rows(b'{"a/b~c":1}', b'{"a/b~c":2}') == [("/a~1b~0c", "1", "2")]


def test_the_same_values_in_another_form_differ_as_a_whole():
    assert _rows(b'{"a":1}', b'{"a": 1}') == [("", '{"a":1}', '{"a": 1}')]


def test_what_is_not_json_is_compared_as_text():
    assert diff_bodies(b"\xff", b"\xff") == []
    assert diff_bodies(b"\xff{", b"{}") == [Difference(path="", here="\ufffd{", there="{}")]
