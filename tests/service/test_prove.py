"""Proofs made from a real log, exports that carry checkpoints, and what is reported on proof files."""

from __future__ import annotations

import json

import pytest

from attack.evidence_world import STREAM, new_world
from auditseal.adapters.stores.export_file import LocalFile
from auditseal.adapters.stores.jsonl import JsonlSource, write_lines
from auditseal.core.bundle import format_bundle, parse_bundle
from auditseal.core.consistency import format_consistency, parse_consistency
from auditseal.core.entry import StoredEntry
from auditseal.core.evidence import Outside
from auditseal.core.grade import Grade
from auditseal.core.heads import HEADS_STREAM
from auditseal.core.merkle import leaf_hash
from auditseal.core.merkle_proof import verify_inclusion
from auditseal.core.tlog_proof import format_tlog_proof, parse_tlog_proof
from auditseal.core.validity import Bound
from auditseal.errors import InputError, NotCheckedError, NotFoundError, PolicyNotMetError, RejectedError
from auditseal.service.audit import audit
from auditseal.service.proof_report import report_on_proof
from auditseal.service.prove import Prover
from auditseal.service.transfer import import_entries
from support.evidence import Key
from support.logs import create_store, opened_log, registered

OLD, NEW = Key("audit-2025"), Key("audit-2026")
REGISTRY = registered(OLD, NEW)


def test_a_bundle_is_made_with_the_first_checkpoint_over_the_entry(tmp_path):
    with opened_log(tmp_path / "a.db", OLD, background=False) as opened:
        for _ in range(3):
            opened.events(4, ack="durable")
            opened.checkpointer.create(["main"])
        opened.events(1, ack="durable")
        prover = Prover(opened.store, REGISTRY)
        for seq in range(15):
            bundle, proof = prover.prove("main", seq)
            assert proof.checkpoint.size == 5 * (seq // 5 + 1)
            assert parse_bundle(format_bundle(bundle)) == bundle
            others = [entry for entry in opened.store.walk() if entry.seq != seq]
            text = format_bundle(bundle).decode()
            assert not any(json.dumps(entry.body.decode())[1:-1] in text for entry in others)
        with pytest.raises(NotCheckedError):
            prover.prove("main", 15)
        with pytest.raises(NotFoundError):
            prover.prove("main", 16)


def test_an_entry_of_one_of_many_streams_is_proven_through_the_stream_of_heads(tmp_path):
    with opened_log(tmp_path / "a.db", NEW, background=False) as opened:
        for stream in ("a", "b", "secret-tenant"):
            opened.events(4, stream=stream, ack="durable")
        opened.checkpointer.create(["a", "b", "secret-tenant"])
        prover = Prover(opened.store, REGISTRY)
        bundle, proof = prover.prove("b", 2)
        assert proof.checkpoint.origin.endswith(HEADS_STREAM)
        assert b"secret-tenant" not in format_bundle(bundle)
        with pytest.raises(InputError):
            prover.tlog_proof(bundle, proof)
        (alone,) = opened.checkpointer.create(["b"])
        assert alone.signatures
        seq = alone.size - 1
        bundle, proof = prover.prove("b", seq)
        text = parse_tlog_proof(format_tlog_proof(prover.tlog_proof(bundle, proof)))
        verify_inclusion(leaf_hash(proof.hash), text.index, alone.size, text.path, proof.checkpoint.root)


def test_the_signer_of_the_checkpoint_must_have_been_valid_at_the_entry(tmp_path):
    with opened_log(tmp_path / "a.db", OLD, background=False) as opened:
        opened.events(4, ack="durable")
        opened.checkpointer.create(["main"])
    with opened_log(tmp_path / "a.db", NEW, background=False) as opened:
        opened.events(4, ack="durable")
        opened.checkpointer.create(["main"])
        registry = REGISTRY.with_changed(NEW.signer_id, valid_from=Bound(seq={"main": 5}))
        prover = Prover(opened.store, registry)
        assert prover.prove("main", 4)[1].signer.signer_id == OLD.signer_id
        assert prover.prove("main", 5)[1].signer.signer_id == NEW.signer_id


def test_a_later_checkpoint_serves_where_the_first_lacks_the_cosignatures(tmp_path):
    world = new_world(tmp_path)
    with world.database() as connection:
        connection.execute("DELETE FROM checkpoint_signatures WHERE signer IS NULL AND size < 18")
    with opened_log(world.path, world.key, background=False) as opened:
        prover = Prover(opened.store, world.registry, policy=world.policy("all"))
        assert prover.prove(STREAM, 2)[1].checkpoint.size == 18
        opened.events(1, ack="durable")
        opened.checkpointer.create([STREAM])
        with pytest.raises(PolicyNotMetError):
            prover.prove(STREAM, 18)


def test_nothing_is_proven_from_a_log_that_contradicts_its_checkpoint(tmp_path):
    world = new_world(tmp_path)
    with world.database() as connection:
        connection.execute("UPDATE entries SET hash = zeroblob(32) WHERE seq = 3")
    with opened_log(world.path, world.key, background=False) as opened:
        prover = Prover(opened.store, world.registry)
        with pytest.raises(RejectedError):
            prover.prove(STREAM, 2)  # its path leads over the hash that was changed
        assert prover.prove(STREAM, 3)[1].body.seq == 3  # which its own entry still has


def test_one_checkpoint_is_proven_to_continue_another(tmp_path):
    with opened_log(tmp_path / "a.db", OLD, background=False) as opened:
        for _ in range(2):
            opened.events(4, ack="durable")
            opened.checkpointer.create(["main"])
        prover = Prover(opened.store, REGISTRY)
        consistency = prover.consistency("main", 5, 10)
        octets = format_consistency(consistency)
        assert parse_consistency(octets) == consistency
        assert report_on_proof(octets, "it", REGISTRY).verdict == "valid"
        assert report_on_proof(octets, "it", registered(NEW)).verdict == "inconclusive"
        members = json.loads(octets)
        for change in (
            {"path": members["path"][:-1]},
            {"old": members["new"], "new": members["old"]},
            {"old": members["new"]},
        ):
            changed = json.dumps(members | change).encode()
            report = report_on_proof(changed, "it", REGISTRY)
            assert report.verdict == "invalid"
            assert report.findings[0].code == "split-view"
        numbers = ({"old": 5}, {"more": 1}, {"consistency": 2}, {"consistency": True})
        for bad in (*numbers, {"path": "x"}, {"path": ["x"] * 64}, {"path": ["QQ=="]}):
            with pytest.raises(InputError):
                parse_consistency(json.dumps(members | bad).encode())
        with pytest.raises(NotFoundError):
            prover.consistency("main", 4, 10)


def test_the_report_on_a_bundle_says_what_is_proven_and_what_not(tmp_path):
    world = new_world(tmp_path)
    with opened_log(world.path, world.key, background=False) as opened:
        octets = format_bundle(Prover(opened.store, world.registry).prove(STREAM, 2)[0])
    report = report_on_proof(octets, "it", world.registry)
    assert report.verdict == "valid"
    assert report.not_checked == (Grade.COSIGNED, Grade.RECONCILED, Grade.ANCHORED)
    both = report_on_proof(octets, "it", world.registry, policy=world.policy("all"), require=Grade.COSIGNED)
    assert both.verdict == "valid"
    assert {each.grade for each in both.streams[0].grades} == {Grade.SIGNED, Grade.COSIGNED}
    for verdict, code, how in (
        ("inconclusive", "below-grade", {"require": Grade.ANCHORED}),
        ("inconclusive", "unknown-signer", {"registry": registered(Key("stranger"))}),
    ):
        asked = {"registry": world.registry} | how
        report = report_on_proof(octets, "it", asked.pop("registry"), **asked)
        assert (report.verdict, [str(each.code) for each in report.findings]) == (verdict, [code])
    for old, new, code in (
        (b'\\"n\\":2', b'\\"n\\":3', "bad-proof"),
        (b"example.com/audit/main\\n6", b"example.com/audit/main\\n7", "bad-signature"),
        (b"example.com/audit/main\\n6", b"example.com/audit/main\\n99", "bad-proof"),
    ):
        assert old in octets
        report = report_on_proof(octets.replace(old, new), "it", world.registry)
        assert (report.verdict, report.findings[0].code) == ("invalid", code)
    with pytest.raises(InputError):
        report_on_proof(b"{}", "it", world.registry)


def test_an_export_verifies_by_its_checkpoints_and_imports_again(tmp_path):
    with opened_log(tmp_path / "a.db", NEW, background=False) as opened:
        for stream in ("a", "b"):
            opened.events(4, stream=stream, ack="durable")
        opened.checkpointer.create(["a", "b"])
        path = tmp_path / "export.jsonl"
        write_lines(path, opened.store.walk(), opened.store.checkpoints())
        report = audit(JsonlSource(LocalFile(path)), REGISTRY)
        assert report.verdict == "valid"
        assert report == audit(opened.store, REGISTRY).__class__(**{
            **{name: getattr(audit(opened.store, REGISTRY), name) for name in report.__dataclass_fields__},
            "source": str(path),
        })  # fmt: skip
        assert audit(JsonlSource(LocalFile(path)), REGISTRY, streams=["a"]).verdict == "valid"
        copy = create_store(tmp_path / "copy.db")
        import_entries(JsonlSource(LocalFile(path)), copy)
        assert list(copy.checkpoints()) == list(opened.store.checkpoints())
        assert copy.count_pending() == 0
        assert audit(copy, REGISTRY).verdict == "valid"
        copy.close()


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda line: line[:40], "bad-checkpoint"),
        (lambda line: line.replace('"size":', '"Size":'), "bad-checkpoint"),
        (lambda line: line.replace('"cover":null', '"cover":{}'), "bad-checkpoint"),
        (lambda line: line.replace("\\n5\\n", "\\n6\\n"), "bad-checkpoint"),
        (lambda line: line.replace("\u2014 ", "- "), "bad-checkpoint"),
    ],
)
def test_a_damaged_checkpoint_in_an_export_is_a_finding(tmp_path, change, code):
    with opened_log(tmp_path / "a.db", NEW, background=False) as opened:
        opened.events(4, ack="durable")
        opened.checkpointer.create(["main"])
        path = tmp_path / "export.jsonl"
        write_lines(path, opened.store.walk(), opened.store.checkpoints())
    lines = path.read_text().splitlines()
    damaged = change(lines[-1])
    assert damaged != lines[-1]
    path.write_text("\n".join([*lines[:-1], damaged]) + "\n")
    report = audit(JsonlSource(LocalFile(path)), REGISTRY)
    assert report.verdict == "invalid"
    assert code in {str(finding.code) for finding in report.findings}
    with pytest.raises((InputError, RejectedError)):
        import_entries(JsonlSource(LocalFile(path)), create_store(tmp_path / "copy.db"))


def test_two_checkpoints_of_one_size_in_an_export_show_a_split_view(tmp_path):
    paths = []
    for name in ("one", "two"):
        with opened_log(tmp_path / f"{name}.db", NEW, background=False) as opened:
            opened.log.append("test.event", {"in": name}, stream="main", ack="durable")
            opened.checkpointer.create(["main"])
            paths.append((list(opened.store.walk()), list(opened.store.checkpoints())))
    both = tmp_path / "both.jsonl"
    write_lines(both, paths[0][0], [*paths[0][1], *paths[1][1]])
    report = audit(JsonlSource(LocalFile(both)), REGISTRY)
    assert [str(finding.code) for finding in report.findings] == ["split-view"]


def test_without_checkpoints_a_log_of_signed_events_is_verified_as_before(tmp_path):
    with opened_log(tmp_path / "a.db", NEW, mode="event", background=False) as opened:
        opened.events(4)
        report = audit(opened.store, REGISTRY, outside=Outside(require=Grade.SIGNED))
        assert report.verdict == "valid"
        assert report.streams[0].checkpoint == 0
        assert report.streams[0].next_by is None


def test_in_a_log_of_signed_events_a_checkpoint_stands_in_for_lost_signatures(tmp_path):
    with opened_log(tmp_path / "a.db", NEW, mode="event", background=False) as opened:
        opened.events(4)
        opened.checkpointer.create(["main"])
        entries = [StoredEntry(**{**_members(entry), "signatures": ()}) for entry in opened.store.walk()]
        checkpoints = list(opened.store.checkpoints())
    stripped, bare = tmp_path / "stripped.jsonl", tmp_path / "bare.jsonl"
    write_lines(stripped, entries, checkpoints)
    write_lines(bare, entries)
    assert audit(JsonlSource(LocalFile(stripped)), REGISTRY).verdict == "valid"
    report = audit(JsonlSource(LocalFile(bare)), REGISTRY)
    assert report.verdict == "inconclusive"
    assert {str(finding.code) for finding in report.findings} == {"unsigned", "missing-checkpoint"}


def _members(entry: StoredEntry) -> dict:
    return {name: getattr(entry, name) for name in StoredEntry.__dataclass_fields__}
