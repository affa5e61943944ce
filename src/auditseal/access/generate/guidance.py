"""The operating guidance's own example, with what is wrong in it.

Source: `docs/kms-guidance.md`, "What changed against the original".
"""

from __future__ import annotations

from typing import Final

from auditseal.access.arn import parse_key_arn
from auditseal.access.documents.found import Documents
from auditseal.access.generate.key_policy import document
from auditseal.access.generate.policies import Generated
from auditseal.access.node import node_of
from auditseal.access.policy_reading import parse_policy
from auditseal.access.rules.lint import lint

_ACTIONS: Final = ("kms:Sign", "kms:Verify", "kms:GetPublicKey", "kms:DescribeKey", "kms:GenerateMac", "kms:VerifyMac")


def guidance_example(key_arn: str) -> Generated:
    """The policy that the guidance prints, for one key, with our findings as comments.

    Raises:
        InputError: not a key's ARN.
    """
    key = parse_key_arn(key_arn)
    made = [
        {
            "Sid": "AllowKmsSignVerifyGetPublicKey",
            "Effect": "Allow",
            "Action": list(_ACTIONS),
            "Resource": str(key),
        },
        {
            "Sid": "AllowListAliasesOptional",
            "Effect": "Allow",
            "Action": ["kms:ListAliases", "kms:ListKeys"],
            "Resource": "*",
        },
    ]
    policy = parse_policy(node_of(document(made)), name="the guidance's example")
    found = lint(Documents(policies=(policy,))).findings
    comments = [f"{finding.rule.id} ({finding.severity}) {finding.statement}: {finding.message}." for finding in found]
    root = f"arn:{key.partition}:iam::{key.account}:root"
    default = {"Sid": "Default", "Effect": "Allow", "Principal": {"AWS": root}, "Action": "kms:*", "Resource": "*"}
    return Generated(
        role=None,
        principal=f"arn:{key.partition}:iam::{key.account}:role/agent-manager",
        key=str(key),
        iam_policy=document(made),
        key_policy=document([default]),
        comments=(
            "The operating guidance's example, as it was given. Do not use it as it is:",
            *comments,
            "An alias ARN as Resource, which the guidance offers instead, would allow no use of the key at all.",
            "Use auditseal policy generate --role signer for the signer, and --role exporter for the public key.",
        ),
    )
