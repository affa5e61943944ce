"""Attacks on the evidence, each through the log's own file, against the table in docs/threat-model.md."""

from __future__ import annotations

import dataclasses
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from attack.evidence_world import BATCH, HOUR, STREAM, World, new_world
from auditseal.core.chain import entry_hash
from auditseal.core.validity import Bound
from support.evidence import Key

TABLE = Path(__file__).parents[2] / "docs" / "threat-model.md"
EVIDENCE = ("alone", "state", "witness", "anchor")
ATTACKS: dict[str, Callable[[World], World | None]] = {}


def attack(name: str):
    def register(function):
        ATTACKS[name] = function
        return function

    return register


@attack("cut off the end, leave the checkpoints")
def cut_the_tail(world: World) -> None:
    world.cut(15, checkpoints_too=False)


@attack("cut off the end to the last checkpoint but one, with its checkpoint")
def cut_to_a_checkpoint(world: World) -> None:
    world.cut(2 * BATCH)


@attack("roll back to an older copy")
def roll_back(world: World) -> None:
    world.restore("after-12")


@attack("the older copy, after the next checkpoint was promised")
def roll_back_and_wait(world: World) -> None:
    world.restore("after-12")
    world.clock.now += 2 * HOUR


@attack("the older copy, kept alive by new checkpoints, signed with the log's key")
def roll_back_and_go_on(world: World) -> None:
    world.restore("after-12")
    world.clock.now += HOUR // 2
    world.append(world.path, [])


@attack("silence: the log stops after its last checkpoint")
def fall_silent(world: World) -> None:
    world.clock.now += 2 * HOUR


@attack("two copies that go on differently, signed with the log's key")
def diverge(world: World) -> None:
    world.restore("after-12")
    world.append(world.path, [{"another": n} for n in range(5)])


@attack("two copies that go on differently, without the key")
def diverge_without_key(world: World) -> None:
    world.restore("after-12")
    world.append(world.path, [{"another": n} for n in range(5)], announce=False)


@attack("rewrite the end without the key")
def rewrite_without_key(world: World) -> None:
    world.rewrite(2 * BATCH, [{"rewritten": n} for n in range(6)], key=None)


@attack("rewrite the end and sign it with the log's key")
def rewrite_with_key(world: World) -> None:
    world.rewrite(8, [{"rewritten": n} for n in range(9)], key=world.key)


@attack("replay an old checkpoint in the place of the last")
def replay(world: World) -> None:
    with world.database() as connection:
        old = connection.execute("SELECT note_text FROM checkpoints WHERE size = ?", (BATCH,)).fetchone()[0]
        connection.execute("UPDATE checkpoints SET note_text = ? WHERE size = ?", (old, 3 * BATCH))
        connection.execute("DELETE FROM checkpoint_signatures WHERE size = ?", (3 * BATCH,))
        connection.execute(
            "INSERT INTO checkpoint_signatures SELECT stream, ?, line, signer, request_id, signed_at "
            "FROM checkpoint_signatures WHERE size = ?",
            (3 * BATCH, BATCH),
        )


@attack("replay an old root under the last size, signed with the log's key")
def replay_with_key(world: World) -> None:
    with world.database() as connection:
        old, last = (
            connection.execute("SELECT note_text FROM checkpoints WHERE size = ?", (size,)).fetchone()[0]
            for size in (BATCH, 3 * BATCH)
        )
        origin, size, _ = last.split("\n", 2)
        text = "\n".join([origin, size, old.split("\n", 2)[2]])
        connection.execute("UPDATE checkpoints SET note_text = ? WHERE size = ?", (text, 3 * BATCH))
        connection.execute(
            "UPDATE checkpoint_signatures SET line = ? WHERE size = ? AND signer IS NOT NULL",
            (world.key.sign(text, origin).line(), 3 * BATCH),
        )


@attack("strip the signatures of the checkpoints")
def strip_signatures(world: World) -> None:
    with world.database() as connection:
        connection.execute("DELETE FROM checkpoint_signatures")


@attack("strip the checkpoints")
def strip_checkpoints(world: World) -> None:
    with world.database() as connection:
        connection.execute("DELETE FROM checkpoint_signatures")
        connection.execute("DELETE FROM checkpoints")


@attack("strip the cosignatures")
def strip_cosignatures(world: World) -> None:
    with world.database() as connection:
        connection.execute("DELETE FROM checkpoint_signatures WHERE signer IS NULL")


@attack("sign the past anew with a newer key")
def resign_with_newer_key(world: World) -> None:
    newer = Key("audit-2027")
    world.registry = world.registry.with_signer(
        dataclasses.replace(newer.registered, valid_from=Bound(seq={STREAM: 3 * BATCH}))
    )
    world.cut(3)
    world.append(world.path, [{"anew": n} for n in range(20)], key=newer)


@attack("entries in a gap between the ranges of two signers")
def gap_between_signers(world: World) -> None:
    newer = Key("audit-2027")
    old = dataclasses.replace(world.key.registered, valid_until=Bound(seq={STREAM: 3 * BATCH}))
    world.registry = dataclasses.replace(
        world.registry,
        signers=(old, dataclasses.replace(newer.registered, valid_from=Bound(seq={STREAM: 3 * BATCH + 2}))),
    )
    world.append(world.path, [{"in the gap": n} for n in range(5)], key=newer)


@attack("entries in a gap between the ranges of two signers, without a key")
def gap_without_key(world: World) -> None:
    gap_between_signers(world)
    with world.database() as connection:
        connection.execute("DELETE FROM checkpoint_signatures WHERE size > ?", (3 * BATCH,))
        connection.execute("DELETE FROM checkpoints WHERE size > ?", (3 * BATCH,))


@attack("backdate: the time of an entry set back, without the key")
def backdate_without_key(world: World) -> None:
    rechain(world, 13, lambda body, time: (body.replace(time, _EARLIER), _EARLIER))


@attack("backdate: a clock set back, signed with the log's key")
def backdate(world: World) -> None:
    # The anchors' clocks went on; the log's stood still since the second batch.
    world.anchors = [
        dataclasses.replace(each, time=each.time + number * HOUR) for number, each in enumerate(world.anchors)
    ]


@attack("postdate: a clock set forward, signed with the log's key")
def postdate(world: World) -> None:
    world.anchors = [dataclasses.replace(each, time=each.time - HOUR) for each in world.anchors]


_EARLIER = b"2020-01-01T00:00:00.000000Z"


def rechain(world: World, first: int, change) -> None:
    """Changes the body of an entry and its time, and makes the chain right from there on."""
    entries = world.entries()
    prev_hash = entries[first - 1].hash
    with world.database() as connection:
        for entry in entries[first:]:
            assert entry.columns is not None
            body, time = entry.body, (entry.columns.time or "").encode()
            if entry.seq == first:
                body, time = change(body, time)
            hash_ = entry_hash(body, prev_hash)
            connection.execute(
                "UPDATE entries SET time = ?, body = ?, prev_hash = ?, hash = ? WHERE seq = ?",
                (time.decode(), body, prev_hash, hash_, entry.seq),
            )
            prev_hash = hash_


def swap_two(world: World) -> None:
    """Entries 13 and 14 change places, each with the number and the links of its new one; the chain is right."""
    entries = world.entries()
    order = {13: entries[14], 14: entries[13]}
    prev_hash = entries[12].hash
    with world.database() as connection:
        connection.execute("UPDATE entries SET id = 'moved-' || seq WHERE seq IN (13, 14)")
        for seq in range(13, len(entries)):
            old, new = entries[seq], order.get(seq, entries[seq])
            assert old.columns is not None
            assert new.columns is not None
            body = new.body.replace(b'"seq":%d,' % new.seq, b'"seq":%d,' % seq)
            body = body.replace((new.columns.time or "").encode(), (old.columns.time or "").encode())
            hash_ = entry_hash(body, prev_hash)
            connection.execute(
                "UPDATE entries SET id = ?, body = ?, prev_hash = ?, hash = ? WHERE seq = ?",
                (new.columns.id, body, prev_hash, hash_, seq),
            )
            prev_hash = hash_


@attack("reorder entries under a checkpoint, without the key")
def reorder(world: World) -> None:
    swap_two(world)


@attack("reorder entries under a checkpoint, signed with the log's key")
def reorder_with_key(world: World) -> None:
    swap_two(world)
    world.cut(3 * BATCH - 1)
    world.append(world.path, [])


@attack("one of two witnesses signs two views")
def faithless_witness(world: World) -> None:
    world.faithless.reset()
    world.rewrite(8, [{"rewritten": n} for n in range(9)], key=world.key)


@attack("all witnesses sign two views")
def faithless_witnesses(world: World) -> None:
    world.faithless.reset()
    world.honest.reset()
    world.rewrite(8, [{"rewritten": n} for n in range(9)], key=world.key)


def rows() -> dict[str, dict[str, str]]:
    """The table: by attack, what a verifier finds with each kind of evidence."""
    found = {}
    for line in TABLE.read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) == len(EVIDENCE) + 1 and cells[0] in ATTACKS:
            found[cells[0]] = dict(zip(EVIDENCE, cells[1:], strict=True))
    return found


def said(report) -> str:
    """A report as the table has it."""
    codes = sorted({str(finding.code) for finding in report.findings})
    return f"{report.verdict}: {', '.join(codes)}" if codes else str(report.verdict)


def test_the_table_has_every_attack():
    assert set(rows()) == set(ATTACKS)


def test_nothing_is_found_before_the_attack(tmp_path):
    world = new_world(tmp_path)
    for evidence in EVIDENCE:
        report = world.verify(evidence)
        assert report.verdict == "valid", (evidence, report.findings)
    grades = {(each.grade, each.first_seq, each.last_seq) for each in world.verify("witness").streams[0].grades}
    assert {("G0", 0, 17), ("G1", 0, 17), ("G2", 0, 17)} == grades
    grades = {(each.grade, each.first_seq, each.last_seq) for each in world.verify("anchor").streams[0].grades}
    assert {("G0", 0, 17), ("G1", 0, 17), ("G4", 0, 17)} == grades


@pytest.mark.parametrize("name", list(ATTACKS))
def test_each_attack_is_found_as_the_table_says(name: str, tmp_path):
    world = new_world(tmp_path)
    ATTACKS[name](world)
    found = {evidence: said(world.verify(evidence)) for evidence in EVIDENCE}
    assert found == rows().get(name)


def test_one_witness_that_signs_two_views_is_enough_for_a_policy_that_asks_for_one(tmp_path):
    world = new_world(tmp_path)
    ATTACKS["one of two witnesses signs two views"](world)
    assert world.verify("one witness").verdict == "valid"
    assert world.verify("witness").verdict == "inconclusive"


def test_the_database_itself_refuses_to_cut_the_log(tmp_path):
    world = new_world(tmp_path)
    connection = sqlite3.connect(world.path)
    for table in ("entries", "checkpoints", "checkpoint_signatures"):
        with pytest.raises(sqlite3.IntegrityError):
            connection.execute(f"DELETE FROM {table}")
    connection.close()
