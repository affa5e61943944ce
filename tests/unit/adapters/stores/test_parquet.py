"""Archives: what is exported comes back to the byte, what is changed in one is found, and other files are refused."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from auditseal import Registry, verify
from auditseal.adapters.stores.export_file import LocalFile
from auditseal.adapters.stores.export_folder import ExportFolder
from auditseal.adapters.stores.jsonl import JsonlSource
from auditseal.adapters.stores.parquet import SCHEMA, ParquetSource
from auditseal.cli import entry
from auditseal.core.entry import StoredEntry
from auditseal.core.stored_checkpoint import StoredCheckpoint
from auditseal.errors import InputError, NotFoundError, StoreError
from auditseal.wiring.exports import is_export, open_export, write_export
from auditseal.wiring.sources import open_source

LOG = "sqlite:///audit.db"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log of two streams with checkpoints, and what it exports in both formats."""
    folder = tmp_path_factory.mktemp("made")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("AUDITSEAL_ORIGIN", "example.com/audit")
        assert entry.run(["init", "--log", LOG]) == 0
        lines = [f'{{"type":"t","actor":"user:a","payload":{{"n":{number},"s":"ü"}}}}\n' for number in range(12)]
        Path("events.ndjson").write_text("".join(lines))
        for stream in ("a", "b"):
            assert entry.run(["ingest", "events.ndjson", "--log", LOG, "--stream", stream]) == 0
            assert entry.run(["checkpoint", "create", "--log", LOG, "--stream", stream]) == 0
        for name in ("audit.parquet", "audit.jsonl"):
            assert entry.run(["export", "--log", LOG, "--to", name]) == 0
    return folder


@pytest.fixture(autouse=True)
def _here(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)


@contextmanager
def source(name: str = "audit.parquet") -> Iterator[ParquetSource]:
    with closing(ParquetSource(LocalFile(Path(name)))) as opened:
        yield opened


def entries(name: str = "audit.parquet") -> list[StoredEntry]:
    with source(name) as opened:
        return list(opened.walk())


def checkpoints(streams: list[str] | None = None) -> list[StoredCheckpoint]:
    with source() as opened:
        return list(opened.checkpoints(streams))


def change(at: int, **values: object) -> None:
    """Writes the archive anew with other values in one row."""
    rows = pq.read_table("audit.parquet").to_pylist()
    rows[at] |= values
    pq.write_table(pa.Table.from_pylist(rows, SCHEMA), "audit.parquet")


def report(address: str = "audit.parquet"):
    return verify(address, Registry.load(".auditseal/signers.json"))


def codes(address: str = "audit.parquet") -> set[tuple[str, int | None]]:
    return {(finding.code, finding.seq) for finding in report(address).findings}


def test_an_archive_gives_back_what_the_log_has():
    with closing(open_source(LOG)) as store, source() as archive:
        walked, stored = list(archive.walk()), list(store.walk())
        assert walked == list(map(_without_hash_copies, stored))
        assert list(archive.checkpoints()) == list(store.checkpoints())
        assert list(archive.checkpoints(["b"])) == list(store.checkpoints(["b"]))
        assert {each.stream for each in archive.walk(["b"])} == {"b"}
        assert archive.count() == len(walked) + len(checkpoints())
        assert archive.count(["b"]) is None


def _without_hash_copies(each: StoredEntry) -> StoredEntry:
    """The entry without the copies of its hash that only databases keep beside its signatures."""
    return replace(each, signatures=tuple(replace(signature, entry_hash=None) for signature in each.signatures))


def test_both_formats_and_a_folder_verify_alike_and_import(capsys: pytest.CaptureFixture[str]):
    reports = [report(address) for address in ("audit.parquet", "audit.jsonl")]
    assert [each.verdict for each in reports] == ["valid", "valid"]
    assert reports[0].checked == reports[1].checked
    assert reports[0].streams == reports[1].streams
    assert entry.run(["init", "--log", "sqlite:///copy.db"]) == 0
    assert entry.run(["import", "audit.parquet", "--log", "sqlite:///copy.db"]) == 0
    assert entry.run(["export", "--log", "sqlite:///copy.db", "--to", "again.jsonl"]) == 0
    assert Path("again.jsonl").read_bytes() == Path("audit.jsonl").read_bytes()


def test_other_programs_read_its_columns():
    table = pq.read_table("audit.parquet", filters=[("stream", "=", "a"), ("type", "=", "t")])
    assert table.column("actor").to_pylist() == ["user:a"] * 12
    assert table.column("seq").to_pylist() == list(range(12))


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"body": b"{}"}, {("not-canonical", 4), ("hash-mismatch", 4)}),
        ({"actor": "user:b"}, {("column-mismatch", 4)}),
        ({"actor": None}, {("column-mismatch", 4)}),
        ({"hash": bytes(32)}, {("hash-mismatch", 4), ("bad-signature", 4), ("broken-link", 5), ("split-view", 12)}),
        ({"prev_hash": b""}, {("hash-mismatch", 4), ("broken-link", 4)}),
        ({"seq": -5}, {("not-canonical", None), ("missing-entry", 4)}),
        ({"body": None}, {("not-canonical", None), ("missing-entry", 4)}),
        ({"checkpoint": "{}"}, {("bad-checkpoint", 0), ("missing-entry", 4)}),
    ],
)
def test_what_is_changed_in_an_archive_is_found(values: dict[str, object], expected: set[tuple[str, int | None]]):
    change(4, **values)
    assert expected <= codes()


def test_a_signature_taken_away_leaves_what_the_checkpoint_proves():
    change(4, signatures=[])
    assert report().verdict == "valid"
    assert report().checked["signatures"] == report("audit.jsonl").checked["signatures"] - 1


def test_rows_taken_away_are_found():
    rows = pq.read_table("audit.parquet").to_pylist()
    pq.write_table(pa.Table.from_pylist(rows[:4] + rows[6:], SCHEMA), "audit.parquet")
    assert ("missing-entry", 4) in codes()
    pq.write_table(pa.Table.from_pylist([], SCHEMA), "audit.parquet")
    assert codes() == {("nothing-to-check", None)}


def test_an_archive_in_wider_types_is_read_as_well():
    wider = {pa.string(): pa.large_string(), pa.binary(): pa.large_binary()}
    wide = pa.schema([pa.field(field.name, wider.get(field.type, field.type)) for field in SCHEMA])
    pq.write_table(pq.read_table("audit.parquet").cast(wide), "wide.parquet")
    assert report("wide.parquet").streams == report().streams


def test_a_file_that_is_none_is_refused(capsys: pytest.CaptureFixture[str]):
    whole = Path("audit.parquet").read_bytes()
    for content in (b"", b"PAR1", whole[:-1], whole[:500], Path("audit.db").read_bytes()):
        Path("cut.parquet").write_bytes(content)
        assert entry.run(["verify", "cut.parquet"]) == 2
        assert capsys.readouterr().err.startswith("auditseal: cut.parquet is not a Parquet file, or was cut: ")
    pq.write_table(pa.table({"stream": ["a"], "seq": ["0"]}), "other.parquet")
    with pytest.raises(InputError, match=r"other\.parquet is no archive: its column seq is not int64"):
        entries("other.parquet")
    pq.write_table(pq.read_table("audit.parquet").drop_columns(["signatures"]), "other.parquet")
    with pytest.raises(InputError, match="its column signatures is not list"):
        entries("other.parquet")
    assert entry.run(["verify", "nowhere.parquet"]) == 2
    assert capsys.readouterr().err == "auditseal: there is no file nowhere.parquet\n"


def test_damage_within_is_said_with_its_row(capsys: pytest.CaptureFixture[str]):
    whole = bytearray(Path("audit.parquet").read_bytes())
    whole[300:900] = bytes(600)
    Path("audit.parquet").write_bytes(whole)
    with pytest.raises(StoreError, match=r"audit\.parquet is damaged after row 0"):
        entries()
    assert entry.run(["verify", "audit.parquet"]) == 4
    assert "Traceback" not in capsys.readouterr().err


def test_a_failed_export_leaves_what_was_there():
    before = Path("audit.parquet").read_bytes()

    def some() -> Iterator[StoredEntry]:
        yield from entries()
        raise StoreError("the log went away")

    with pytest.raises(StoreError, match="the log went away"):
        ParquetSource.write(Path("audit.parquet"), some())
    assert Path("audit.parquet").read_bytes() == before
    assert not list(Path().glob(".audit.parquet*"))


def test_large_bodies_end_a_row_group(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("auditseal.adapters.stores.parquet._GROUP_BYTES", 1000)
    ParquetSource.write(Path("small.parquet"), entries())
    assert pq.read_metadata("small.parquet").num_row_groups > 4
    assert entries("small.parquet") == entries()


def split_into(*names: str) -> None:
    """The log's entries in several exports in one folder, each with a part, the checkpoints in the last."""
    whole = entries()
    size = -(-len(whole) // len(names))
    for number, name in enumerate(names):
        Path("all", name).parent.mkdir(parents=True, exist_ok=True)
        part = whole[number * size : (number + 1) * size]
        write_export(Path("all", name), part, checkpoints() if name == names[-1] else [])


def test_a_folder_of_exports_is_one_log():
    split_into("part-1.parquet", "part-2.jsonl", "part-10.parquet", "part-11/more.jsonl")
    Path("all/signers.json").write_text("{}")
    Path("all/.part-3.jsonl").write_text("left behind by a writer that was killed")
    assert [each.hash for each in open_export("all").walk()] == [each.hash for each in entries()]
    assert report("all").verdict == "valid"
    assert (report("all").streams, report("all").checked) == (report().streams, report().checked)
    assert entry.run(["verify", "all", "--signers", ".auditseal/signers.json"]) == 0
    Path("all/part-10.parquet").unlink()
    assert "missing-entry" in {code for code, _ in codes("all")}


def test_a_checkpoint_in_two_files_is_one_and_an_entry_in_two_is_a_finding():
    file = LocalFile(Path("audit.jsonl"))
    twice = ExportFolder("all", [file, file], JsonlSource)
    assert list(twice.checkpoints()) == checkpoints()
    assert twice.count() == 2 * JsonlSource(file).count()
    assert twice.count(["a"]) is None
    split_into("1.jsonl", "2.jsonl")
    shutil.copy("audit.parquet", "all/3.parquet")
    assert "duplicate-seq" in {code for code, _ in codes("all")}


def test_a_folder_without_exports_is_said(capsys: pytest.CaptureFixture[str]):
    Path("empty").mkdir()
    with pytest.raises(NotFoundError, match="empty holds no export"):
        open_export("empty")
    assert entry.run(["verify", "empty"]) == 2


@pytest.mark.parametrize(
    ("address", "is_one"),
    [
        ("a.jsonl", True),
        ("a.ndjson", True),
        ("a.parquet", True),
        (".", True),
        ("s3://bucket/a.parquet", True),
        ("s3://bucket/2026/", True),
        ("s3://bucket/a.txt", False),
        ("a.txt", False),
        ("nowhere", False),
        ("sqlite:///a.jsonl", False),
    ],
)
def test_what_is_an_export_is_seen_by_its_address(address: str, is_one: bool):
    assert is_export(address) == is_one


@pytest.mark.parametrize("name", ["audit.txt", "audit", "nowhere/audit.parquet", "s3://bucket/audit.parquet"])
def test_an_export_needs_a_name_by_which_it_is_found_again(name: str, capsys: pytest.CaptureFixture[str]):
    assert entry.run(["export", "--log", LOG, "--to", name]) == 2
    assert capsys.readouterr().err.startswith("auditseal: ")
