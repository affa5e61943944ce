"""`policy check` against an emulator: a good key passes, and each planted violation is named by its own item."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import pytest
from emulator import Emulator

from auditseal.access.generate.policies import Generated, generate
from auditseal.access.generate.roles import Role
from auditseal.cli.entry import run
from auditseal.core.algorithm import ALGORITHMS, AlgorithmId
from support.iam import Cloud, document

ROW = ALGORITHMS[AlgorithmId.ED25519]
TAKEN_BY = {"Effect": "Allow", "Action": "sts:AssumeRole"}
WIDE = {"Effect": "Allow", "Action": "*", "Resource": "*"}


@pytest.fixture
def cloud(strict_emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cloud]:
    """The emulator, as the command will find it, with one good trail and no role of another test."""
    for name, value in strict_emulator.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("REQUIRE_KMS", "true")
    made = Cloud(strict_emulator)
    made.trail.create_trail(Name="good", S3BucketName="bucket")
    made.trail.start_logging(Name="good")
    yield made
    for trail in made.trail.describe_trails()["trailList"]:
        made.trail.delete_trail(Name=trail["Name"])
    for role in made.iam.list_roles()["Roles"]:
        for policy in made.iam.list_role_policies(RoleName=role["RoleName"])["PolicyNames"]:
            made.iam.delete_role_policy(RoleName=role["RoleName"], PolicyName=policy)
        for policy in made.iam.list_attached_role_policies(RoleName=role["RoleName"])["AttachedPolicies"]:
            made.iam.detach_role_policy(RoleName=role["RoleName"], PolicyArn=policy["PolicyArn"])
        made.iam.delete_role(RoleName=role["RoleName"])


@pytest.fixture
def good(cloud: Cloud) -> Generated:
    """A key and a signer as they should be."""
    name = f"arn:aws:iam::000000000000:role/signer-{uuid4().hex[:8]}"
    made = generate(Role.SIGNER, ROW, key_arn=cloud.key(), role_arn=name)
    cloud.role(name.rpartition("/")[2], json.dumps(made.iam_policy))
    cloud.put_key_policy(made.key, json.dumps(made.key_policy))
    return made


def check(made: Generated, capsys: pytest.CaptureFixture[str], *more: str, key: str | None = None) -> tuple[int, Any]:
    given = ["--key-id", key or made.key, "--role-arn", made.principal, "--algorithm", "ed25519", "-o", "json", *more]
    code = run(["policy", "check", *given])
    captured = capsys.readouterr()
    return code, (json.loads(captured.out) if captured.out else captured.err)


def failed(report: Any) -> set[str]:
    return {item["id"] for item in report["items"] if item["status"] == "fail"}


def role_name(made: Generated) -> str:
    return made.principal.rpartition("/")[2]


def test_a_good_key_passes_every_item(good: Generated, capsys: pytest.CaptureFixture[str]):
    code, report = check(good, capsys)
    assert {item["id"]: item["status"] for item in report["items"] if item["status"] != "pass"} == {}
    assert (code, report["verdict"]) == (0, "valid")


def _second_policy(statement: dict[str, Any]) -> Callable[[Cloud, Generated], None]:
    def plant(cloud: Cloud, made: Generated) -> None:
        cloud.iam.put_role_policy(RoleName=role_name(made), PolicyName="more", PolicyDocument=document(statement))

    return plant


def _key_policy(change: Callable[[list[Any]], list[Any]]) -> Callable[[Cloud, Generated], None]:
    def plant(cloud: Cloud, made: Generated) -> None:
        statements = change(json.loads(json.dumps(made.key_policy["Statement"])))
        cloud.put_key_policy(made.key, document(*statements))

    return plant


def _attached_version(cloud: Cloud, made: Generated) -> None:
    wide = document({"Effect": "Allow", "Action": "kms:*", "Resource": "*"})
    arn = cloud.iam.create_policy(PolicyName=f"p-{uuid4().hex[:8]}", PolicyDocument=wide)["Policy"]["Arn"]
    narrow = document({"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"})
    cloud.iam.create_policy_version(PolicyArn=arn, PolicyDocument=narrow, SetAsDefault=True)
    cloud.iam.attach_role_policy(RoleName=role_name(made), PolicyArn=arn)


def _grant(cloud: Cloud, made: Generated) -> None:
    cloud.kms.create_grant(KeyId=made.key, GranteePrincipal=cloud.role("batch"), Operations=["Sign"])


def _blind_trail(cloud: Cloud, _: Generated) -> None:
    selector = {"ReadWriteType": "WriteOnly", "IncludeManagementEvents": True}
    cloud.trail.put_event_selectors(TrailName="good", EventSelectors=[selector])


PLANTED = {
    "a signer that changes the key": (
        _key_policy(lambda statements: [one for one in statements if one["Sid"] != "WhoSignsChangesNothing"]),
        _second_policy({"Effect": "Allow", "Action": "kms:DisableKey", "Resource": "*"}),
        {"signer-changes-nothing", "rules"},
    ),
    "a signer that verifies": (
        _second_policy({"Effect": "Allow", "Action": "kms:Verify", "Resource": "*"}),
        None,
        {"signer-only-signs"},
    ),
    "a signer of any key": (
        _second_policy(
            {
                "Effect": "Allow",
                "Action": "kms:Sign",
                "Resource": "arn:aws:kms:*:*:key/*",
                "Condition": {
                    "StringEquals": {"kms:SigningAlgorithm": "ED25519_SHA_512", "kms:MessageType": "RAW"},
                },
            }
        ),
        None,
        {"signer-one-key", "rules"},
    ),
    "another algorithm": (
        _second_policy({"Effect": "Allow", "Action": "kms:Sign", "Resource": "*"}),
        None,
        {"signer-pinned", "signer-one-key", "rules"},
    ),
    "a key policy without Denies and a powerful role": (
        _key_policy(lambda statements: [one for one in statements if one["Effect"] == "Allow"]),
        lambda cloud, _: cloud.role("powerful", document(WIDE)),
        {"who-signs", "who-assumes"},
    ),
    "a role that anybody may take on": (
        lambda cloud, made: cloud.iam.update_assume_role_policy(
            RoleName=role_name(made), PolicyDocument=document(TAKEN_BY | {"Principal": {"AWS": "*"}})
        ),
        None,
        {"who-assumes"},
    ),
    "an administrator who may take on the role": (
        lambda cloud, _: cloud.role("powerful", document(WIDE)),
        None,
        {"who-assumes"},
    ),
    "everybody in the key policy": (
        _key_policy(
            lambda statements: [
                *statements,
                {"Effect": "Allow", "Principal": "*", "Action": "kms:PutKeyPolicy", "Resource": "*"},
            ]
        ),
        None,
        {"who-changes", "rules"},
    ),
    "a grant": (_grant, None, {"grants"}),
    "an inactive version": (_attached_version, None, {"inactive-versions"}),
    "a disabled key": (lambda cloud, made: cloud.kms.disable_key(KeyId=made.key), None, {"key-state"}),
    "a trail that sees no reads": (_blind_trail, None, {"trail"}),
    "no trail": (lambda cloud, _: cloud.trail.delete_trail(Name="good"), None, {"trail"}),
    "a signer that is denied": (
        _second_policy({"Effect": "Deny", "Action": "kms:Sign", "Resource": "*"}),
        None,
        {"signer-signs", "rules"},
    ),
}


@pytest.mark.parametrize("name", PLANTED)
def test_each_planted_violation_is_named(name: str, cloud: Cloud, good: Generated, capsys: pytest.CaptureFixture[str]):
    first, second, expected = PLANTED[name]
    for plant in (first, second):
        if plant is not None:
            plant(cloud, good)
    code, report = check(good, capsys)
    assert failed(report) == expected
    assert code == 1


def test_a_key_of_another_algorithm_is_named(good: Generated, cloud: Cloud, capsys: pytest.CaptureFixture[str]):
    _, report = check(good, capsys, key=cloud.key("RSA_2048"))
    assert {"key-fits", "signer-signs"} <= failed(report)


def test_a_key_may_be_named_by_its_alias(good: Generated, cloud: Cloud, capsys: pytest.CaptureFixture[str]):
    alias = f"alias/{uuid4()}"
    cloud.kms.create_alias(AliasName=alias, TargetKeyId=good.key)
    code, report = check(good, capsys, key=alias)
    assert (code, failed(report)) == (0, set())


def test_what_may_not_be_read_is_not_checked_and_never_a_pass(
    good: Generated, cloud: Cloud, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    session = cloud.session(cloud.role("reader", document({"Effect": "Allow", "Action": "s3:*", "Resource": "*"})))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", session["AccessKeyId"])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", session["SecretAccessKey"])
    monkeypatch.setenv("AWS_SESSION_TOKEN", session["SessionToken"])
    code, report = check(good, capsys)
    assert (code, report["verdict"]) == (3, "inconclusive")
    states = {item["id"]: item["status"] for item in report["items"]}
    passed = {id_ for id_, status in states.items() if status == "pass"}
    assert passed == {"alias", "require-kms"}
    details = " ".join(item["detail"] for item in report["items"])
    assert "no permission for kms:DescribeKey" in details
    assert "no permission for cloudtrail:DescribeTrails" in details


def test_without_a_role_the_signers_items_are_not_checked(good: Generated, capsys: pytest.CaptureFixture[str]):
    code = run(["policy", "check", "--key-id", good.key, "--no-account"])
    out = capsys.readouterr().out
    assert code == 3 or "FAIL" in out
    assert "not checked  the signer may sign: no role was named: give --role-arn" in out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "which key is not said"),
        (["--key-id", "alias/x", "--role-arn", "arn:aws:iam::000000000000:user/u"], "is no role"),
        (
            ["--key-id", "arn:aws:kms:us-east-1:000000000000:key/1234abcd-12ab-34cd-56ef-1234567890ab"],
            "AWS_REGION is eu-central-1, and ",
        ),
    ],
)
def test_bad_input_is_one_line(arguments: list[str], said: str, cloud: Cloud, capsys: pytest.CaptureFixture[str]):
    assert run(["policy", "check", *arguments]) == 2
    assert said in capsys.readouterr().err


def test_an_endpoint_that_does_not_answer_is_an_outage(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_REGION", "eu-central-1")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    assert run(["policy", "check", "--key-id", "alias/x"]) == 4
    assert "AWS cannot be reached" in capsys.readouterr().err
