"""A rotation that is killed wherever it can be, and one under the load of four writers in processes of their own."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from uuid import uuid4

import pytest

from auditseal.core.report import Verdict
from auditseal.core.rotation import Step
from auditseal.service.registry_check import check_registry
from auditseal.service.rotate.activate import activate
from auditseal.service.rotate.finish import verify
from auditseal.service.rotate.start import Wish, start
from support.rotating import ALIAS, NEW, OLD, Deployment

TESTS = Path(__file__).resolve().parents[3]
WRITERS = 4


@pytest.fixture
def deployment(kms, tmp_path):
    made = Deployment(tmp_path, kms.url, kms.region)
    made.create()
    made.append()
    return made


def process(mode, deployment, *arguments):
    command = [sys.executable, "-m", "support.rotation_process", mode]
    return subprocess.Popen(
        [*command, str(deployment.folder), deployment.url, deployment.region, *arguments],
        cwd=TESTS,
        env={**os.environ, "PYTHONPATH": str(TESTS)},
        stdout=subprocess.PIPE,
        text=True,
    )


def test_a_rotation_that_is_killed_at_everything_it_does_comes_to_its_end(kms, deployment):
    with process("kill", deployment, "0") as child:
        outcome = json.loads(child.communicate(timeout=120)[0])
    assert outcome["exit"] == 0
    assert outcome["killed"] == len(outcome["points"]) >= 20
    desk = deployment.desk()
    (rotation,) = desk.rotations("default")
    assert rotation.step is Step.DISABLED
    assert {key.state for key in kms.service.store.keys.values()} == {"Enabled", "Disabled"}
    assert len(kms.service.store.keys) == 2
    assert desk.keys.describe(ALIAS).arn == rotation.new.key_arn
    deployment.sign_pending()
    assert deployment.audit().verdict is Verdict.VALID
    assert check_registry(deployment.registry(), desk.store).findings == ()
    handovers = [signers for signers in deployment.signers_of() if len(signers) == 2]
    assert handovers == [(OLD, NEW)]


def test_four_writers_go_over_without_a_restart_and_lose_nothing(kms, deployment):
    with process("write", deployment, str(WRITERS)) as child:
        try:
            wait_until(lambda: all((deployment.folder / f"ready-{number}").exists() for number in range(WRITERS)))
            desk = deployment.desk()
            before = desk.store.head("default").seq
            wait_until(lambda: desk.store.head("default").seq > before + 20)
            rotation = activate(desk, start(desk, Wish(overlap_s=0, alias=ALIAS)))
            (switched,) = rotation.switched.values()
            wait_until(lambda: desk.store.head("default").seq > switched + 40)
            verify(desk, rotation)
        finally:
            (deployment.folder / "stop").touch()
        assert json.loads(child.communicate(timeout=60)[0]) == {"exits": [0] * WRITERS}
    written = [json.loads((deployment.folder / f"written-{number}.json").read_text()) for number in range(WRITERS)]
    entries = {entry.seq: entry for entry in desk.store.walk()}
    for acknowledged in written:
        assert acknowledged[-1][0] > switched
        for seq, event_id, status, signer in acknowledged:
            assert entries[seq].columns.id == event_id
            assert (status, signer) == ("signed", OLD if seq <= switched else NEW)
    by_place = {seq: {made.signer for made in entry.signatures} for seq, entry in entries.items()}
    assert {frozenset(by) for seq, by in by_place.items() if seq < switched} == {frozenset({OLD})}
    assert {frozenset(by) for seq, by in by_place.items() if seq > switched} == {frozenset({NEW})}
    assert by_place[switched] == {OLD, NEW}
    assert deployment.audit().verdict is Verdict.VALID


@pytest.mark.parametrize(
    ("backend", "algorithms"),
    [
        ("emulator", ["rsa-sha256", "ed25519", "ecdsa-p256-sha256", "hmac-sha256"]),
        ("fake", ["rsa-pss-sha256", "ml-dsa-44", "ed25519"]),
    ],
    ids=["emulator", "fake"],
)
def test_each_algorithm_follows_another_under_load_killed_and_carried_on(request, tmp_path, backend, algorithms):
    kms = request.getfixturevalue("emulator" if backend == "emulator" else "kms")
    first, *rest = algorithms
    deployment = Deployment(tmp_path, kms.url, kms.region)
    (tmp_path / "alias").write_text(f"alias/{uuid4()}")
    deployment.create(first)
    deployment.append(2)
    with process("kill", deployment, "2", *rest) as child:
        outcome = json.loads(child.communicate(timeout=400)[0])
    assert (outcome["exit"], outcome["exits"]) == (0, [0, 0])
    assert outcome["killed"] == len(outcome["points"]) >= len(rest) * 20
    deployment.sign_pending()
    registry = deployment.registry()
    assert [str(signer.algorithm.id) for signer in registry] == algorithms
    report = deployment.audit(registry, ask_kms="hmac-sha256" in algorithms)
    assert (report.verdict, report.findings) == (Verdict.VALID, ())
    assert report.streams[0].first_seq == 0
    entries = {entry.seq: entry for entry in deployment.desk().store.walk()}
    for number in range(2):
        for seq, event_id, _, _ in json.loads((deployment.folder / f"written-{number}.json").read_text()):
            assert entries[seq].columns.id == event_id
    assert check_registry(registry, deployment.desk().store).findings == ()


def wait_until(holds, timeout_s=60.0):
    until = time.monotonic() + timeout_s
    while not holds():
        assert time.monotonic() < until
        time.sleep(0.02)
