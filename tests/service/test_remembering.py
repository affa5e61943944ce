"""The verifier that remembers: what it reads, what it writes, and when it does not."""

from __future__ import annotations

import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attack.evidence_world import STREAM, World, new_world
from auditseal.adapters.state_file import load_state, locked_state, save_state
from auditseal.core.grade import Grade, parse_grade, subtract, union
from auditseal.core.merkle import Frontier, leaf_hash, leaf_hashes, root_of
from auditseal.core.remembered import Remembered, format_state, parse_state
from auditseal.core.tree_fold import TreeFold
from auditseal.core.tree_part import TreePart
from auditseal.errors import InputError, NotFoundError, StoreError
from auditseal.wiring.evidence import Evidence
from auditseal.wiring.verifying import verify


def remembering(world: World, **how):
    return verify(
        f"sqlite:///{world.path}", world.registry, evidence=Evidence(state=world.folder / "state.json", **how)
    )


@pytest.fixture
def world(tmp_path) -> World:
    return new_world(tmp_path)


def test_only_what_is_new_is_read(world):
    assert remembering(world).checked["entries"] == 18
    first = load_state(world.folder / "state.json")
    assert first[STREAM].size == 18
    report = remembering(world)
    assert (report.verdict, report.checked["entries"], report.checked["remembered"]) == ("valid", 0, 1)
    world.append(world.path, [{"new": n} for n in range(3)])
    report = remembering(world)
    assert (report.verdict, report.checked["entries"]) == ("valid", 4)
    summary = report.streams[0]
    assert (summary.resumed_at, summary.first_seq, summary.last_seq, summary.checkpoint) == (18, 0, 21, 22)
    assert remembering(world, full=True).checked["entries"] == 22
    assert load_state(world.folder / "state.json")[STREAM].size == 22


def test_what_is_remembered_is_a_signed_checkpoint_that_others_can_check(world):
    remembering(world)
    known = load_state(world.folder / "state.json")[STREAM]
    assert known.checkpoint is not None
    assert known.checkpoint.startswith("example.com/audit/main\n18\n")
    assert known.next_by is not None


@pytest.mark.parametrize("attack", ["cut", "older", "rewrite", "damage"])
def test_the_state_stands_as_it_was_when_something_is_proven_wrong(world, attack):
    remembering(world)
    before = (world.folder / "state.json").read_bytes()
    if attack == "cut":
        world.cut(12)
    elif attack == "older":
        world.restore("after-6")
    elif attack == "rewrite":
        world.rewrite(8, [{"rewritten": n} for n in range(30)], key=world.key)
    else:
        world.append(world.path, [{"new": 1}, {"new": 2}])
        with world.database() as connection:
            connection.execute("UPDATE entries SET body = x'7b7d' WHERE seq = 18")
    for _ in range(2):
        assert remembering(world).verdict == "invalid"
        assert (world.folder / "state.json").read_bytes() == before


def test_damage_to_what_was_proven_is_found_by_a_full_verification(world):
    remembering(world)
    with world.database() as connection:
        connection.execute("UPDATE entries SET body = x'7b7d' WHERE seq = 3")
    assert remembering(world).verdict == "valid"
    report = remembering(world, full=True)
    assert report.verdict == "invalid"
    assert "hash-mismatch" in {str(finding.code) for finding in report.findings}


def test_what_is_not_proven_yet_is_not_remembered(world):
    remembering(world)
    world.append(world.path, [{"new": 1}], announce=False)
    report = remembering(world)
    assert report.verdict == "inconclusive"
    assert load_state(world.folder / "state.json")[STREAM].size == 18
    world.append(world.path, [{"new": 2}])
    assert remembering(world).verdict == "valid"
    assert load_state(world.folder / "state.json")[STREAM].size == 21


def test_a_stream_that_is_gone_is_rolled_back(world):
    remembering(world)
    world.cut(0)
    report = remembering(world)
    assert report.verdict == "invalid"
    assert "rolled-back" in {str(finding.code) for finding in report.findings}


def test_of_a_log_that_stays_silent_a_verifier_that_has_nothing_new_to_read_says_so(world):
    remembering(world)
    report = remembering(world, now=world.clock.now + 2 * 3_600_000_000)
    assert [str(finding.code) for finding in report.findings] == ["overdue"]


def test_a_clock_far_behind_the_log_is_said_to_be(world):
    report = remembering(world, now=world.clock.now - 3_600_000_000)
    assert [str(finding.code) for finding in report.findings] == ["overdue"]
    assert "clock is behind" in report.findings[0].message


def test_a_damaged_state_is_refused_and_left_alone(world):
    path = world.folder / "state.json"
    remembering(world)
    good = path.read_bytes()
    members = json.loads(good)
    stream = members["streams"][STREAM]
    for bad in (
        b"",
        b"rubbish",
        b"[]",
        good[:-30],
        json.dumps({**members, "state": 2}).encode(),
        json.dumps({**members, "more": 1}).encode(),
        json.dumps({"state": 1, "streams": []}).encode(),
        json.dumps({"state": 1, "streams": {"No Stream": stream}}).encode(),
        *(
            json.dumps({"state": 1, "streams": {STREAM: {**stream, **change}}}).encode()
            for change in ({"head": "QQ=="}, {"frontier": "QQ=="}, {"head": 5}, {"more": 1}, {"next_by": "soon"})
        ),
    ):
        path.write_bytes(bad)
        with pytest.raises(InputError):
            remembering(world)
        assert path.read_bytes() == bad
    assert format_state(parse_state(good)) == good


def test_one_verifier_at_a_time_uses_a_state(tmp_path):
    path = tmp_path / "state.json"
    with locked_state(path), pytest.raises(StoreError) as refused, locked_state(path):
        raise AssertionError
    assert refused.value.retryable
    with pytest.raises(NotFoundError):
        load_state(tmp_path / "no" / "state.json")
    with pytest.raises(NotFoundError), locked_state(tmp_path / "no" / "state.json"):
        raise AssertionError
    assert load_state(path) == {}
    known = Remembered(frontier=Frontier().append(bytes(32)), head=bytes(32), time="")
    save_state(path, {"s": known})
    assert load_state(path) == {"s": known}
    with pytest.raises(InputError):
        Remembered(frontier=Frontier(), head=bytes(32), time="")


@given(st.data(), st.integers(1, 80))
def test_parts_of_a_tree_join_to_the_tree_whatever_their_cuts(data: st.DataObject, size: int):
    hashes = [leaf_hash(str(n).encode()) for n in range(size)]
    cuts = sorted(data.draw(st.sets(st.integers(0, size), max_size=6)) | {0, size})
    asked = frozenset(data.draw(st.sets(st.integers(1, size), max_size=4)))
    parts = []
    for first, end in itertools.pairwise(cuts):
        part = TreePart(asked)
        for seq in range(first, end):
            part.add(seq, hashes[seq], str(seq))
        part.close()
        parts.append(part)
    if data.draw(st.booleans()):
        parts.reverse()
    whole = TreePart(asked)
    for part in parts:
        whole.join(part)
    fold = TreeFold("s", whole)
    assert fold.size == size
    for at in {*asked, size}:
        assert fold.root(at) == root_of(leaf_hashes(hashes[:at]))
        assert fold.marks[at].head == hashes[at - 1]
        assert fold.marks[at].time == str(at - 1)


def test_a_tree_with_a_hole_ends_before_it():
    part = TreePart()
    for seq in (0, 1, 3):
        part.add(seq, bytes(32), "")
    fold = TreeFold("s", part)
    assert fold.is_broken
    assert fold.size == 2


def test_stretches_are_joined_and_taken_from_each_other():
    assert union([(3, 5), (0, 2), (2, 3), (9, 9), (7, 8)]) == [(0, 5), (7, 8)]
    assert subtract((0, 10), [(2, 3), (5, 20), (-5, 1)]) == [(1, 2), (3, 5)]
    assert subtract((0, 3), []) == [(0, 3)]
    assert subtract((0, 3), [(0, 3)]) == []
    assert parse_grade("g2") is Grade.COSIGNED
    with pytest.raises(InputError):
        parse_grade("G9")
