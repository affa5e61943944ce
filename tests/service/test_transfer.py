from dataclasses import replace

import pytest

from auditseal.adapters.stores.export_file import LocalFile
from auditseal.adapters.stores.jsonl import JsonlSource, format_line, write_lines
from auditseal.adapters.stores.sqlite.store import SqliteStore
from auditseal.core.event import Event
from auditseal.errors import ChainBrokenError, ConflictError, InputError
from auditseal.service.audit import audit
from auditseal.service.transfer import import_entries


@pytest.fixture
def filled(log, store):
    log.append_many(
        Event(type="test.event", stream=stream, actor="user:ä", payload={"n": number, "text": "𝄞"})
        for number in range(6)
        for stream in ("a", "b")
    )
    return store


@pytest.fixture
def other(tmp_path):
    address = f"sqlite:///{tmp_path}/other.db"
    SqliteStore.create(address)
    opened = SqliteStore(address)
    yield opened
    opened.close()


def _export(store, path):
    write_lines(path, store.walk())
    return JsonlSource(LocalFile(path))


class Entries:
    """A source of entries as given."""

    def __init__(self, entries):
        self.entries = list(entries)

    def walk(self, streams=None):
        return iter(self.entries)


def test_an_export_verifies_where_it_lies(filled, signer, tmp_path):
    source = _export(filled, tmp_path / "log.jsonl")
    report = audit(source, signer.registry())
    assert (report.verdict, report.checked["entries"]) == ("valid", 12)


def test_what_was_exported_and_imported_is_the_same_byte_for_byte(filled, other, signer, tmp_path):
    source = _export(filled, tmp_path / "log.jsonl")
    assert import_entries(source, other) == {"a": 6, "b": 6}
    assert list(other.walk()) == list(filled.walk())
    _export(other, tmp_path / "again.jsonl")
    assert (tmp_path / "again.jsonl").read_bytes() == (tmp_path / "log.jsonl").read_bytes()
    assert audit(other, signer.registry()).verdict == "valid"


def test_a_log_is_imported_from_another_log_as_well(filled, other):
    assert import_entries(filled, other) == {"a": 6, "b": 6}


def test_importing_again_adds_nothing(filled, other):
    import_entries(filled, other)
    assert import_entries(filled, other) == {}


def test_only_what_is_new_is_added(filled, other, log):
    import_entries(filled, other)
    log.append("test.event", stream="a")
    log.append("test.event", stream="c")
    assert import_entries(filled, other) == {"a": 1, "c": 1}


def test_an_imported_log_is_appended_to_as_its_own(filled, other, make, signer):
    import_entries(filled, other)
    entry = other.head("a")
    assert entry == filled.head("a")


def test_pending_entries_come_as_pending(log, store, other):
    log.append("test.event", ack="durable")
    import_entries(store, other)
    assert other.count_pending() == 1


def test_a_part_in_the_middle_is_refused(filled, other):
    with pytest.raises(ChainBrokenError, match="a #2 does not follow #-1"):
        import_entries(Entries(entry for entry in filled.walk(["a"]) if entry.seq >= 2), other)
    assert other.count() == 0


def test_a_gap_is_refused_and_nothing_of_that_part_added(filled, other):
    with pytest.raises(ChainBrokenError, match="a #4 does not follow #2"):
        import_entries(Entries(entry for entry in filled.walk(["a"]) if entry.seq != 3), other)
    assert other.count() == 0


def test_the_parts_before_one_that_is_refused_stay(log, store, other):
    log.append_many([Event(type="test.event")] * 1200)
    with pytest.raises(ChainBrokenError, match="#1100"):
        import_entries(Entries(entry for entry in store.walk() if entry.seq != 1099), other)
    assert other.count() == 1000
    assert import_entries(store, other) == {"default": 200}


def test_the_same_entry_twice_is_refused(filled, other):
    entries = list(filled.walk(["a"]))
    with pytest.raises(ChainBrokenError, match="does not follow"):
        import_entries(Entries([entries[0], entries[0]]), other)


def test_another_history_is_refused(filled, other, log, make, signer):
    import_entries(Entries(list(filled.walk(["a"]))[:1]), other)
    changed = replace(next(filled.walk(["a"])), hash=bytes(32))
    with pytest.raises(ChainBrokenError, match="stands in the log with another hash"):
        import_entries(Entries([changed]), other)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda entry: {"body": entry.body.replace(b"user:", b"root:"), "columns": None}, "does not hash"),
        (lambda entry: {"hash": bytes(32)}, "does not hash"),
        (lambda entry: {"prev_hash": bytes(32)}, "does not hash"),
        (lambda entry: {"body": b"{}"}, "version"),
        (lambda entry: {"body": b"{"}, "not JSON"),
        (lambda entry: {"stream": "c"}, "stream"),
    ],
)
def test_an_entry_that_is_not_whole_is_refused(filled, other, change, text):
    entry = next(filled.walk())
    with pytest.raises(ChainBrokenError, match=text):
        import_entries(Entries([replace(entry, **change(entry))]), other)
    assert other.count() == 0


def test_a_stream_name_that_is_none_is_refused(filled, other):
    entry = next(filled.walk())
    with pytest.raises(InputError, match="not a stream name"):
        import_entries(Entries([replace(entry, stream="A B")]), other)


def test_a_line_that_is_none_is_refused_with_its_place(filled, other, tmp_path):
    path = tmp_path / "log.jsonl"
    lines = [format_line(entry) for entry in filled.walk()]
    path.write_bytes(lines[0] + b"no entry\n" + lines[1])
    with pytest.raises(InputError, match=r"log\.jsonl:2"):
        import_entries(JsonlSource(LocalFile(path)), other)
    assert other.count() == 0


def test_a_signature_that_cannot_be_read_is_refused(filled, other, tmp_path):
    path = tmp_path / "log.jsonl"
    line = format_line(next(filled.walk()))
    path.write_bytes(line.replace(b'"signature":"', b'"signature":"*'))
    with pytest.raises(InputError, match="a #0: the signature is not base64"):
        import_entries(JsonlSource(LocalFile(path)), other)


def test_one_id_at_two_places_is_refused(filled, other):
    from auditseal.core.chain import entry_hash

    first, second = list(filled.walk(["a"]))[:2]
    body = second.body.replace(second.columns.id.encode(), first.columns.id.encode())
    twice = replace(second, body=body, hash=entry_hash(body, second.prev_hash), columns=None, signatures=())
    with pytest.raises(ConflictError):
        import_entries(Entries([first, twice]), other)
    assert other.count() == 0


def test_signatures_are_carried_over_as_they_are(filled, other, signer):
    from auditseal.core.report import Code

    entry = next(filled.walk())
    wrong = replace(entry, signatures=(replace(entry.signatures[0], signature=bytes(64)),))
    import_entries(Entries([wrong]), other)
    (finding,) = audit(other, signer.registry()).findings
    assert finding.code is Code.BAD_SIGNATURE


def test_progress_is_told(filled, other):
    told = []
    import_entries(filled, other, progress=lambda done, total: told.append((done, total)))
    assert told == [(12, None)]
