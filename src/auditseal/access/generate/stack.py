"""A complete stack in abstract: the key's policy and who has which role, with the names that a format gives to things.

Key, alias, roles and policies, a CloudTrail trail that records KMS's read events, and alarms on key changes. Each role
trusts one principal, which whoever deploys the stack names.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from auditseal.access.arn import parse_alias
from auditseal.access.generate.key_policy import Document, assemble, document
from auditseal.access.generate.roles import Role, Target, statements
from auditseal.core.algorithm import Algorithm

DEFAULT_ALIAS: Final = "alias/auditseal"
WATCHED: Final[dict[str, tuple[str, ...]]] = {
    "kms.amazonaws.com": (
        "CancelKeyDeletion",
        "CreateAlias",
        "CreateGrant",
        "DeleteAlias",
        "DisableKey",
        "EnableKey",
        "PutKeyPolicy",
        "ScheduleKeyDeletion",
        "UpdateAlias",
    ),
    "cloudtrail.amazonaws.com": ("DeleteTrail", "PutEventSelectors", "StopLogging", "UpdateTrail"),
}
"""The calls that raise an alarm, by event source."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """What a format calls the things that policies refer to, each as a reference."""

    key: str
    account: str
    partition: str
    region: str
    bucket: str
    topic: str
    rule: str
    roles: dict[Role, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stack:
    """The parts of a stack that do not depend on the format.

    Attributes:
        alias: of the key.
        roles: each role's policy.
        trail_name: of the trail; the bucket's policy names it.
    """

    algorithm: Algorithm
    alias: str
    key_policy: Document
    roles: dict[Role, Document]
    bucket_policy: Document
    topic_policy: Document
    trail_name: str

    @property
    def key_spec(self) -> str:
        """The usual KeySpec of the algorithm."""
        return self.algorithm.kms_key_specs[0]

    @property
    def event_pattern(self) -> dict[str, Any]:
        """What EventBridge matches."""
        return {
            "detail-type": ["AWS API Call via CloudTrail"],
            "detail": {
                "eventSource": list(WATCHED),
                "eventName": sorted(name for watched in WATCHED.values() for name in watched),
            },
        }


def roles_of(algorithm: Algorithm) -> tuple[Role, ...]:
    """The roles of a stack: an HMAC key has no public key to export, and so somebody must verify through KMS."""
    reader = Role.VERIFIER if algorithm.is_mac else Role.EXPORTER
    return (Role.SIGNER, reader, Role.CI, Role.ADMIN)


def make_stack(algorithm: Algorithm, names: Names, alias: str | None = None) -> Stack:
    """A stack for an algorithm.

    Raises:
        InputError: the alias is none.
    """
    name = parse_alias(alias or DEFAULT_ALIAS)
    trail = name.removeprefix("alias/").replace("/", "-") + "-trail"
    target = Target(key=names.key, account=names.account, algorithm=algorithm, partition=names.partition)
    trail_arn = f"arn:{names.partition}:cloudtrail:{names.region}:{names.account}:trail/{trail}"
    return Stack(
        algorithm=algorithm,
        alias=name,
        key_policy=assemble({role: names.roles[role] for role in roles_of(algorithm)}, target),
        roles={role: document(statements(role, target)) for role in roles_of(algorithm)},
        bucket_policy=_bucket_policy(names, trail_arn),
        topic_policy=_topic_policy(names),
        trail_name=trail,
    )


def trust_policy(principal: str) -> Document:
    """Who may take on a role: the one principal that the deployment names."""
    return document([{"Effect": "Allow", "Principal": {"AWS": principal}, "Action": "sts:AssumeRole"}])


def _bucket_policy(names: Names, trail_arn: str) -> Document:
    service = {"Service": "cloudtrail.amazonaws.com"}
    source = {"aws:SourceArn": trail_arn}
    return document(
        [
            {
                "Sid": "TrailLooksAtBucket",
                "Effect": "Allow",
                "Principal": service,
                "Action": "s3:GetBucketAcl",
                "Resource": names.bucket,
                "Condition": {"StringEquals": source},
            },
            {
                "Sid": "TrailWrites",
                "Effect": "Allow",
                "Principal": service,
                "Action": "s3:PutObject",
                "Resource": f"{names.bucket}/AWSLogs/{names.account}/*",
                "Condition": {"StringEquals": {"s3:x-amz-acl": "bucket-owner-full-control", **source}},
            },
            {
                "Sid": "OnlyEncrypted",
                "Effect": "Deny",
                "Principal": "*",
                "Action": "s3:*",
                "Resource": [names.bucket, f"{names.bucket}/*"],
                "Condition": {"Bool": {"aws:SecureTransport": "false"}},
            },
        ]
    )


def _topic_policy(names: Names) -> Document:
    return document(
        [
            {
                "Sid": "AlarmPublishes",
                "Effect": "Allow",
                "Principal": {"Service": "events.amazonaws.com"},
                "Action": "sns:Publish",
                "Resource": names.topic,
                "Condition": {"ArnEquals": {"aws:SourceArn": names.rule}},
            }
        ]
    )
