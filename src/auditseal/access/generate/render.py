"""Generated policies as JSON, CloudFormation or Terraform text."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

import yaml

from auditseal.access.arn import parse_principal
from auditseal.access.generate.hcl import Encoded, hcl_block
from auditseal.access.generate.policies import Generated
from auditseal.access.node import CLOSE, OPEN, references


def render_json(made: Generated) -> str:
    """Both policies as one JSON object; `policy lint` reads it as it is."""
    value = {"comments": list(made.comments), "iam_policy": made.iam_policy, "key_policy": made.key_policy}
    return json.dumps(value, indent=2) + "\n"


def render_cloudformation(made: Generated) -> str:
    """A template with the managed policy, attached to the role; the key policy stands in its metadata.

    CloudFormation changes the policy of a key only where the key itself is in the template (`--stack`).
    """
    named = parse_principal(made.principal)
    template = {
        "AWSTemplateFormatVersion": "2010-09-09",
        "Description": f"auditseal: what {made.role or 'the operating guidance'} may do with one KMS key",
        "Metadata": {"KeyArn": made.key, "KeyPolicy": made.key_policy},
        "Resources": {
            "Policy": {
                "Type": "AWS::IAM::ManagedPolicy",
                "Properties": {
                    "Description": f"auditseal {made.role or 'guidance'}",
                    "PolicyDocument": made.iam_policy,
                    "Users" if named.kind == "user" else "Roles": [named.name],
                },
            }
        },
    }
    return _commented(made.comments) + yaml_text(template)


def render_terraform(made: Generated) -> str:
    """The role's or user's policy, and the key policy as a resource of the key's account."""
    named = parse_principal(made.principal)
    name = ("name", f"auditseal-{made.role or 'guidance'}")
    blocks = [
        hcl_block(
            "resource",
            (f"aws_iam_{named.kind}_policy", "audit"),
            [name, (named.kind, named.name), ("policy", Encoded(made.iam_policy))],
        ),
        hcl_block(
            "resource",
            ("aws_kms_key_policy", "audit"),
            [("key_id", made.key), ("policy", Encoded(made.key_policy))],
        ),
    ]
    if made.crosses_accounts:
        blocks[1] = "# With a provider of the key's account.\n" + blocks[1]
    return _commented(made.comments) + "\n\n".join(blocks) + "\n"


def _commented(comments: Iterable[str]) -> str:
    return "".join(f"# {comment}\n" for comment in comments)


RENDERERS: Final[dict[str, Callable[[Generated], str]]] = {
    "json": render_json,
    "terraform": render_terraform,
    "cloudformation": render_cloudformation,
}


class _Dumper(yaml.SafeDumper):
    """Writes lists indented, and never an alias for what stands twice."""

    def ignore_aliases(self, _data: Any) -> bool:
        return True

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: ARG002, FBT001, FBT002
        return super().increase_indent(flow, False)


def yaml_text(value: Any) -> str:
    """A value as YAML, members in their order."""
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False, width=116, allow_unicode=True)


def with_functions(value: Any) -> Any:
    """References as CloudFormation functions: a whole text as Ref or GetAtt, a part of one inside Sub."""
    if isinstance(value, Mapping):
        return {key: with_functions(member) for key, member in value.items()}
    if isinstance(value, list):
        return [with_functions(item) for item in value]
    if not isinstance(value, str) or OPEN not in value:
        return value
    names = references(value)
    if len(names) == 1 and value == f"{OPEN}{names[0]}{CLOSE}":
        logical, _, attribute = names[0].partition(".")
        return {"Fn::GetAtt": [logical, attribute]} if attribute and logical != "AWS" else {"Ref": _pseudo(names[0])}
    filled = value
    for name in names:
        filled = filled.replace(f"{OPEN}{name}{CLOSE}", f"${{{_pseudo(name)}}}")
    return {"Fn::Sub": filled}


def _pseudo(name: str) -> str:
    """`AWS.AccountId` in the form that CloudFormation writes."""
    return name.replace("AWS.", "AWS::", 1) if name.startswith("AWS.") else name
