"""A generated stack is a template that its own tool accepts and in which no rule finds anything."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import hcl2
import pytest

from auditseal.access.documents.load import load_documents
from auditseal.access.generate.hcl import hcl_string, hcl_value
from auditseal.access.generate.policies import generate
from auditseal.access.generate.render import RENDERERS
from auditseal.access.generate.roles import Role
from auditseal.access.generate.stack_cloudformation import cloudformation_stack
from auditseal.access.generate.stack_terraform import terraform_stack
from auditseal.access.policy import Kind
from auditseal.access.rules.lint import lint
from auditseal.access.who_can import who_can
from auditseal.core.algorithm import ALGORITHMS, Algorithm, AlgorithmId

KEY = "arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"


def test_cfn_lint_finds_nothing(tmp_path: Path):
    files = []
    for algorithm in ALGORITHMS.values():
        files += [tmp_path / f"{algorithm.id}.yaml", tmp_path / f"{algorithm.id}.json"]
        files[-2].write_text(cloudformation_stack(algorithm))
        files[-1].write_text(cloudformation_stack(algorithm, "alias/audit/signing", as_json=True))
    policy = tmp_path / "policy.yaml"
    made = generate(Role.SIGNER, ALGORITHMS[AlgorithmId.ED25519], key_arn=KEY, alias="alias/audit")
    policy.write_text(RENDERERS["cloudformation"](made))
    done = subprocess.run(
        [str(Path(sys.executable).with_name("cfn-lint")), *map(str, files), str(policy)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.parametrize("algorithm", ALGORITHMS.values(), ids=lambda algorithm: str(algorithm.id))
@pytest.mark.parametrize("form", ["yaml", "json", "tf"])
def test_no_rule_finds_anything_in_a_stack(algorithm: Algorithm, form: str):
    text = terraform_stack(algorithm) if form == "tf" else cloudformation_stack(algorithm, as_json=form == "json")
    documents = load_documents([(f"stack.{form}", text.encode())])
    report = lint(documents)
    assert report.findings == ()
    assert report.unread == ()
    assert (report.trails, len(documents.keys)) == (1, 1)
    assert documents.keys[0].spec == algorithm.kms_key_specs[0]
    assert sum(policy.kind is Kind.IDENTITY for policy in documents.policies) == 4


@pytest.mark.parametrize("form", ["yaml", "tf"])
def test_one_role_of_a_stack_signs_and_the_administrator_does_not(form: str):
    algorithm = ALGORITHMS[AlgorithmId.ED25519]
    text = terraform_stack(algorithm) if form == "tf" else cloudformation_stack(algorithm)
    policies = load_documents([(f"stack.{form}", text.encode())]).policies
    signer, taker = who_can("kms:Sign", KEY, policies)
    assert "trusted" in taker.principal.lower()
    assert not taker.is_direct
    assert "igner" in signer.principal
    assert len(who_can("kms:PutKeyPolicy", KEY, policies)) >= 1


def test_terraform_is_read_by_the_parser_as_it_was_meant():
    parsed = hcl2.loads(terraform_stack(ALGORITHMS[AlgorithmId.RSA_SHA256], "alias/a/b"))
    kinds = [name.strip('"') for block in parsed["resource"] for name in block]
    assert kinds.count("aws_iam_role") == 4
    assert {"aws_kms_key", "aws_kms_alias", "aws_cloudtrail", "aws_cloudwatch_event_rule"} <= set(kinds)


def test_a_stack_watches_changes_of_the_key_and_of_the_trail():
    template = json.loads(cloudformation_stack(ALGORITHMS[AlgorithmId.ED25519], as_json=True))
    pattern = template["Resources"]["KeyChangeRule"]["Properties"]["EventPattern"]
    assert {"PutKeyPolicy", "ScheduleKeyDeletion", "StopLogging"} <= set(pattern["detail"]["eventName"])
    trail = template["Resources"]["Trail"]["Properties"]
    assert trail["EventSelectors"] == [{"ReadWriteType": "All", "IncludeManagementEvents": True}]


def test_hcl_escapes_what_would_be_a_template():
    assert hcl_string('a "b" ${x} %{y}') == '"a \\"b\\" $${x} %%{y}"'
    assert (
        hcl_value({"a b": [1, True, {"c": []}]})
        == '{\n  "a b" = [\n    1,\n    true,\n    {\n      c = []\n    },\n  ]\n}'
    )
