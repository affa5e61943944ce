"""The pages on keys and policies are true: kms-guidance.md, generate-policies.md and security-review.md are run.

Their `aws` commands are AWS's own command line, against the emulator; what the emulator does not have is run against
the strict fake of KMS.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from emulator import Emulator

from auditseal.access.checked import Reading
from auditseal.access.checklist import Checklist
from auditseal.access.facts import Facts
from auditseal.cli.entry import run
from auditseal.core.algorithm import ALGORITHMS
from fakes.kms import FakeKms
from support import transcripts
from support.transcripts import read_steps, run_steps

ROOT = Path(__file__).resolve().parents[2]
GUIDANCE = ROOT / "docs" / "kms-guidance.md"
PAGES = [GUIDANCE, ROOT / "docs" / "how-to" / "generate-policies.md", ROOT / "docs" / "how-to" / "security-review.md"]
AWS = ROOT / ".tools" / "awscli" / "bin"


def environment(folder: Path, account: str) -> dict[str, str]:
    """What a shell of the page's reader has; ministack takes a key id of twelve digits as the account."""
    return {
        "AWS_ACCESS_KEY_ID": account,
        "AWS_SECRET_ACCESS_KEY": "of-the-emulator",
        "AWS_CONFIG_FILE": str(folder / "no-such-file"),
        "AWS_SHARED_CREDENTIALS_FILE": str(folder / "no-such-file"),
        "HOME": str(folder),
        "LC_ALL": "C.UTF-8",
        "PATH": f"{Path(sys.executable).parent}:{AWS}:{os.environ['PATH']}",
    }


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_commands_of_a_page_do_what_it_says(
    page: Path, tmp_path: Path, emulator: Emulator, monkeypatch: pytest.MonkeyPatch
):
    # Some sixty programs are started one after the other: a busy machine may take its time.
    monkeypatch.setattr(transcripts, "_TIMEOUT_S", 1200.0)
    account = f"{111122223333 + PAGES.index(page):012d}"
    text = page.read_text().replace("111122223333", account)
    outcomes = run_steps(read_steps(text), tmp_path, {**emulator.environment(), **environment(tmp_path, account)})
    for outcome in outcomes:
        said = "\n".join([f"$ {outcome.step.command}", *outcome.printed])
        assert (outcome.code, outcome.agrees) == (outcome.step.expects, True), said


def test_what_the_emulator_lacks_is_accepted_by_the_strict_fake(tmp_path: Path, kms: FakeKms):
    (block,) = re.findall(r"^```sh\n(.*?)^```", GUIDANCE.read_text(), re.DOTALL | re.MULTILINE)
    given = {**environment(tmp_path, "111122223333"), "AWS_ENDPOINT_URL_KMS": kms.url, "AWS_DEFAULT_REGION": kms.region}
    done = subprocess.run(shlex.split(block), env=given, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert '"KeySpec": "ML_DSA_65"' in done.stdout


def test_the_table_of_algorithms_is_that_of_the_code():
    table = GUIDANCE.read_text().partition("## Which key")[2].partition("\n## ")[0]
    for algorithm in ALGORITHMS.values():
        wanted = [algorithm.kms_signing_algorithm, algorithm.kms_key_usage]
        if not str(algorithm.id).startswith("ml-dsa"):
            wanted += [str(algorithm.id), algorithm.kms_key_specs[0]]
        assert [name for name in wanted if f"`{name}`" not in table] == []


def test_every_item_of_the_checklist_stands_in_the_guidance():
    why = Reading(why="not read")
    facts = Facts(key=why, key_policy=why, other_policies=why, grants=why, aliases=why)
    ids = {item.id for item in Checklist(facts=facts).items()}
    part = GUIDANCE.read_text().partition("## Least-privilege checklist")[2].partition("\n## ")[0]
    named = set(re.findall(r"`([a-z-]+)`", part.partition("```")[0])) - {"not checked"}
    assert ids - named == set()


def test_every_command_of_auditseal_that_the_guidance_names_exists(capsys: pytest.CaptureFixture[str]):
    for command in sorted(set(re.findall(r"`auditseal ((?:[a-z][a-z-]* ?)+)", GUIDANCE.read_text()))):
        assert run([*command.split(), "--help"]) == 0, command
    capsys.readouterr()


def test_the_github_workflow_passes_where_all_is_well_and_fails_on_a_local_key(
    tmp_path: Path, emulator: Emulator, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    workflow = yaml.safe_load((ROOT / "docs" / "examples" / "github-signing-guard.yml").read_text())
    account = "111122223399"
    for name, value in {**emulator.environment(), "AWS_ACCESS_KEY_ID": account, **workflow["env"]}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "policies").mkdir()
    (tmp_path / "deploy").mkdir()
    (tmp_path / "deploy" / "env.yaml").write_text("env:\n  REQUIRE_KMS: 'true'\n")
    role = f"arn:aws:iam::{account}:role/agent-manager"
    key = f"arn:aws:kms:eu-central-1:{account}:key/1234abcd-12ab-34cd-56ef-1234567890ab"
    make = ["policy", "generate", "--algorithm", "ed25519", "--key-arn", key, "--role-arn", role]
    assert run([*make, "--part", "key", "--out", "policies/key-policy.json"]) == 0
    assert run([*make, "--part", "iam", "--out", "policies/signer.json"]) == 0
    create = ["keys", "create", "--algorithm", "ed25519", "--alias", "alias/audit", "--signer-id", "audit-2026"]
    assert run([*create, "--signers", "signers.json"]) == 0
    steps = [step["run"] for step in workflow["jobs"]["guard"]["steps"] if "run" in step]
    lint, guard = [shlex.split(step)[1:] for step in steps if step.startswith("auditseal ")]
    assert (run(lint), run(guard)) == (0, 0)
    assert '"version": "2.1.0"' in (tmp_path / "lint.sarif").read_text()
    capsys.readouterr()
    (tmp_path / "deploy" / "env.yaml").write_text("env:\n  AUDIT_SIGNING_PRIVATE_KEY: x\n")
    assert run(guard) == 1
    assert capsys.readouterr().out.startswith("::error file=deploy/env.yaml,line=2,")
