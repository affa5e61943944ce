import pytest

from auditseal.core.event import Event
from auditseal.errors import InputError, NotFoundError
from auditseal.service.lookup import Place, find_entry, find_surroundings, parse_place

ID = "01936f5e-0000-7000-8000-000000000001"


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("41", Place(stream="default", seq=41)),
        ("agents#0", Place(stream="agents", seq=0)),
        ("a/b.c-d_e#007", Place(stream="a/b.c-d_e", seq=7)),
        (ID, Place(stream="default", id=ID)),
        (ID.upper(), Place(stream="default", id=ID)),
        (ID.replace("-", ""), Place(stream="default", id=ID)),
        ("12345678123456781234567812345678", Place(stream="default", id="12345678-1234-5678-1234-567812345678")),
    ],
)
def test_a_place_is_a_seq_a_stream_and_seq_or_an_id(text, place):
    assert parse_place(text, "default") == place


@pytest.mark.parametrize("text", ["", "-1", "1.5", "a#", "#", "a#-1", "x", "٣", "9" * 19, "a#" + "9" * 5000])
def test_what_names_no_place_is_refused(text):
    with pytest.raises(InputError, match="names no entry"):
        parse_place(text, "default")


@pytest.mark.parametrize("text", ["A#1", "a b#1", "#1"])
def test_what_is_no_stream_is_refused(text):
    with pytest.raises(InputError, match="not a stream name"):
        parse_place(text, "default")


@pytest.fixture
def filled(log, store):
    log.append_many([Event(type="test.event", stream="a") for _ in range(4)])
    log.append("test.event", stream="b", id=ID)
    return store


def test_an_entry_is_found_by_place_or_id(filled):
    assert find_entry(filled, Place(stream="a", seq=2)).seq == 2
    assert find_entry(filled, Place(stream="a", id=ID)).stream == "b"


@pytest.mark.parametrize(
    "place", [Place(stream="a", seq=4), Place(stream="c", seq=0), Place(stream="a", id=ID[:-1] + "2")]
)
def test_what_is_not_there_is_not_found(filled, place):
    for find in (find_entry, find_surroundings):
        with pytest.raises(NotFoundError, match="has no entry"):
            find(filled, place)


def test_an_entry_is_found_with_its_neighbours(filled):
    found = find_surroundings(filled, Place(stream="a", seq=1))
    assert (found.before.seq, [entry.seq for entry in found.here], found.after.seq) == (0, [1], 2)


def test_the_ends_have_one_neighbour(filled):
    assert find_surroundings(filled, Place(stream="a", seq=0)).before is None
    assert find_surroundings(filled, Place(stream="a", seq=3)).after is None


def test_by_id_the_neighbours_are_those_of_its_stream(filled):
    found = find_surroundings(filled, Place(stream="a", id=ID))
    assert (found.before, found.here[0].stream, found.after) == (None, "b", None)


def test_in_an_export_an_id_is_found_in_the_body(filled, tmp_path):
    from auditseal.adapters.stores.export_file import LocalFile
    from auditseal.adapters.stores.jsonl import JsonlSource, write_lines

    write_lines(tmp_path / "log.jsonl", filled.walk())
    with (tmp_path / "log.jsonl").open("ab") as file:
        file.write(b'{"stream":"b","seq":1,"body":"none","prev_hash":"","hash":"' + b"0" * 64 + b'","signatures":[]}\n')
    source = JsonlSource(LocalFile(tmp_path / "log.jsonl"))
    assert find_surroundings(source, Place(stream="a", id=ID)).here[0].stream == "b"
    with pytest.raises(NotFoundError):
        find_surroundings(source, Place(stream="a", id=ID[:-1] + "2"))


def test_all_entries_that_stand_at_one_place_are_found(filled):
    from auditseal.cli.demo.tampering import _disarm

    _disarm(filled._writer)
    filled._writer.execute("INSERT INTO entries SELECT * FROM entries WHERE stream = 'a' AND seq = 1")
    assert len(find_surroundings(filled, Place(stream="a", seq=1)).here) == 2
