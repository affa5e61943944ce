"""policy generate: least-privilege policies and stacks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from auditseal.cli.options import Output, emit
from auditseal.cli.policy.files import need_extra
from auditseal.errors import InputError

if TYPE_CHECKING:
    from auditseal.access.generate.roles import Role

_FORMATS = ("json", "terraform", "cloudformation")
_PROFILES = ("strict", "guidance")
_PARTS = ("both", "iam", "key")


def generate(
    role: Annotated[
        str, typer.Option("--role", help="signer, verifier, exporter, ci, rotator, admin or witness.")
    ] = "signer",
    algorithm: Annotated[str, typer.Option("--algorithm", help="Such as ed25519 or rsa-sha256.")] = "",
    key_arn: Annotated[str, typer.Option("--key-arn", help="The key's ARN.")] = "",
    alias: Annotated[str | None, typer.Option("--alias", help="Requests must name the key by it.")] = None,
    account: Annotated[str | None, typer.Option("--account", help="The key's account, to be checked.")] = None,
    region: Annotated[str | None, typer.Option("--region", help="The key's Region, to be checked.")] = None,
    cross_account: Annotated[str | None, typer.Option("--cross-account", help="The account of the role.")] = None,
    role_arn: Annotated[str | None, typer.Option("--role-arn", help="The role that will use the key.")] = None,
    with_: Annotated[
        list[str] | None,
        typer.Option("--with", metavar="ROLE=ARN", help="Another for the key policy; may be repeated."),
    ] = None,
    format_: Annotated[str, typer.Option("--format", help="json, terraform or cloudformation.")] = "json",
    profile: Annotated[str, typer.Option("--profile", help="strict, or guidance for its own example.")] = "strict",
    part: Annotated[str, typer.Option("--part", help="Of JSON: both, iam or key.")] = "both",
    stack: Annotated[bool, typer.Option("--stack", help="Key, alias, roles, policies, trail and alarms.")] = False,
    out: Annotated[Path | None, typer.Option("--out", metavar="FILE", help="Where to; by default stdout.")] = None,
) -> None:
    """Generate IAM policies and the key policy for a role, or a complete stack."""
    need_extra()
    for name, value, known in (("format", format_, _FORMATS), ("profile", profile, _PROFILES), ("part", part, _PARTS)):
        if value not in known:
            raise InputError(f"--{name} {value[:20]} is not one of {', '.join(known)}")
    if out is not None and (out.is_dir() or not out.parent.is_dir()):
        raise InputError(f"--out {out} cannot be written: it is a folder, or its folder does not exist")
    given = [("--key-arn", key_arn), ("--role-arn", role_arn), ("--cross-account", cross_account), ("--with", with_)]
    if stack and (unused := next((name for name, value in given if value), None)):
        raise InputError(f"{unused} has no place in a --stack: it makes the key and the roles itself")
    if stack:
        text = _stack(algorithm, alias, format_)
    elif not key_arn and part == "key" and account is not None:
        text = _new_key(role, algorithm, account, alias, role_arn, with_ or [])
    elif not key_arn:
        raise InputError(
            "--key-arn is needed: the key that the policies are for (auditseal keys list); --stack goes without it, "
            "and so does --part key with --account, for a key not made yet"
        )
    else:
        text = _policies(
            role,
            algorithm,
            format_,
            part,
            profile,
            key_arn,
            alias,
            account,
            region,
            cross_account,
            role_arn,
            with_ or [],
        )
    emit([Output(format="text", path=out)], {"text": lambda: text})


def _stack(algorithm: str, alias: str | None, format_: str) -> str:
    from auditseal.access.generate.stack_cloudformation import cloudformation_stack
    from auditseal.access.generate.stack_terraform import terraform_stack
    from auditseal.core.algorithm import parse_algorithm

    chosen = parse_algorithm(algorithm)
    if format_ == "terraform":
        return terraform_stack(chosen, alias)
    return cloudformation_stack(chosen, alias, as_json=format_ == "json")


def _new_key(role: str, algorithm: str, account: str, alias: str | None, role_arn: str | None, with_: list[str]) -> str:
    """The policy to make a key with, which has no ARN yet."""
    from auditseal.access.generate.key_policy import key_policy
    from auditseal.access.generate.roles import parse_role
    from auditseal.core.algorithm import parse_algorithm

    if role_arn is None:
        raise InputError(f"--role-arn is needed: the {role} whom the key's policy is to name")
    chosen = parse_algorithm(algorithm)
    roles = {parse_role(role): role_arn, **dict(_other(text) for text in with_)}
    partition = role_arn.split(":")[1] if role_arn.startswith("arn:") else "aws"
    made = key_policy(roles, account=account, algorithm=chosen, alias=alias, partition=partition)
    return json.dumps(made, indent=2) + "\n"


def _policies(
    role: str,
    algorithm: str,
    format_: str,
    part: str,
    profile: str,
    key_arn: str,
    alias: str | None,
    account: str | None,
    region: str | None,
    cross_account: str | None,
    role_arn: str | None,
    with_: list[str],
) -> str:
    from auditseal.access.generate.guidance import guidance_example
    from auditseal.access.generate.policies import generate as make
    from auditseal.access.generate.render import RENDERERS
    from auditseal.access.generate.roles import parse_role
    from auditseal.core.algorithm import parse_algorithm

    if profile == "guidance":
        made = guidance_example(key_arn)
    else:
        made = make(
            parse_role(role),
            parse_algorithm(algorithm),
            key_arn=key_arn,
            alias=alias,
            account=account,
            region=region,
            cross_account=cross_account,
            role_arn=role_arn,
            also=dict(_other(text) for text in with_),
        )
    if part == "both":
        return RENDERERS[format_](made)
    if format_ != "json":
        raise InputError("--part is for --format json: the other formats are files of their own")
    return json.dumps(made.iam_policy if part == "iam" else made.key_policy, indent=2) + "\n"


def _other(text: str) -> tuple[Role, str]:
    """Somebody else who uses the key."""
    from auditseal.access.generate.roles import parse_role

    role, equals, arn = text.partition("=")
    if not equals or not arn:
        raise InputError(f"--with {text[:60]} is not ROLE=ARN, such as exporter=arn:aws:iam::111122223333:role/NAME")
    return parse_role(role), arn
