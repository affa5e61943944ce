"""A stack as Terraform.

Source: Terraform Registry, provider hashicorp/aws.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from auditseal.access.generate.hcl import Encoded, Nested, hcl_block
from auditseal.access.generate.stack import Names, Stack, make_stack, roles_of, trust_policy
from auditseal.access.node import reference
from auditseal.core.algorithm import Algorithm

_RETENTION_DAYS: Final = 3653
_PROVIDER: Final = ">= 6.0"
_KEEP: Final = ("lifecycle", Nested(("prevent_destroy", True)))


def terraform_stack(algorithm: Algorithm, alias: str | None = None) -> str:
    """The resources, variables and outputs.

    Args:
        algorithm: what the key signs with.
        alias: the key's; by default `alias/auditseal`.

    Raises:
        InputError: the alias is none.
    """
    names = Names(
        key=reference("aws_kms_key.audit.arn"),
        account=reference("data.aws_caller_identity.current.account_id"),
        partition=reference("data.aws_partition.current.partition"),
        region=reference("data.aws_region.current.region"),
        bucket=reference("aws_s3_bucket.trail.arn"),
        topic=reference("aws_sns_topic.alarm.arn"),
        rule=reference("aws_cloudwatch_event_rule.key_change.arn"),
        roles={role: reference(f"aws_iam_role.{role}.arn") for role in roles_of(algorithm)},
    )
    stack = make_stack(algorithm, names, alias)
    head = f"# auditseal: an {algorithm.id} signing key, who may use it, and the record of its use.\n\n"
    return head + "\n\n".join([*_inputs(stack), *_key(stack), *_roles(stack), *_trail(stack), *_alarm(stack)]) + "\n"


def _inputs(stack: Stack) -> Iterator[str]:
    aws = {"source": "hashicorp/aws", "version": _PROVIDER}
    yield hcl_block("terraform", (), [("required_providers", Nested(("aws", aws)))])
    for name in ("aws_caller_identity", "aws_partition", "aws_region"):
        yield f'data "{name}" "current" {{}}'
    for role in stack.roles:
        text = f"ARN of the one principal that may take on the {role} role"
        yield _variable(f"{role}_trusted_arn", text)
    yield _variable("alarm_email", "Who is told when the key or the trail is changed")


def _variable(name: str, description: str) -> str:
    return hcl_block("variable", (name,), [("type", reference("string")), ("description", description)])


def _key(stack: Stack) -> Iterator[str]:
    yield hcl_block(
        "resource",
        ("aws_kms_key", "audit"),
        [
            ("description", f"auditseal {stack.algorithm.id} signing key"),
            ("customer_master_key_spec", stack.key_spec),
            ("key_usage", stack.algorithm.kms_key_usage),
            ("deletion_window_in_days", 30),
            ("policy", Encoded(stack.key_policy)),
            _KEEP,
        ],
    )
    yield hcl_block(
        "resource",
        ("aws_kms_alias", "audit"),
        [("name", stack.alias), ("target_key_id", reference("aws_kms_key.audit.key_id"))],
    )


def _roles(stack: Stack) -> Iterator[str]:
    for role, policy in stack.roles.items():
        trust = trust_policy(reference(f"var.{role}_trusted_arn"))
        yield hcl_block(
            "resource",
            ("aws_iam_role", role),
            [("name", f"auditseal-{role}"), ("assume_role_policy", Encoded(trust))],
        )
        yield hcl_block(
            "resource",
            ("aws_iam_role_policy", role),
            [
                ("name", f"auditseal-{role}"),
                ("role", reference(f"aws_iam_role.{role}.name")),
                ("policy", Encoded(policy)),
            ],
        )


def _trail(stack: Stack) -> Iterator[str]:
    bucket = ("bucket", reference("aws_s3_bucket.trail.id"))
    yield hcl_block("resource", ("aws_s3_bucket", "trail"), [("bucket_prefix", f"{stack.trail_name}-"), _KEEP])
    yield hcl_block(
        "resource",
        ("aws_s3_bucket_versioning", "trail"),
        [bucket, ("versioning_configuration", Nested(("status", "Enabled")))],
    )
    blocked = ("block_public_acls", "block_public_policy", "ignore_public_acls", "restrict_public_buckets")
    yield hcl_block(
        "resource", ("aws_s3_bucket_public_access_block", "trail"), [bucket, *((name, True) for name in blocked)]
    )
    retention = Nested(
        ("id", "retention"),
        ("status", "Enabled"),
        ("filter", Nested()),
        ("expiration", Nested(("days", _RETENTION_DAYS))),
    )
    yield hcl_block("resource", ("aws_s3_bucket_lifecycle_configuration", "trail"), [bucket, ("rule", retention)])
    yield hcl_block("resource", ("aws_s3_bucket_policy", "trail"), [bucket, ("policy", Encoded(stack.bucket_policy))])
    yield hcl_block(
        "resource",
        ("aws_cloudtrail", "audit"),
        [
            ("name", stack.trail_name),
            ("s3_bucket_name", reference("aws_s3_bucket.trail.id")),
            ("is_multi_region_trail", True),
            ("include_global_service_events", True),
            ("enable_log_file_validation", True),
            ("event_selector", Nested(("read_write_type", "All"), ("include_management_events", True))),
            ("depends_on", [reference("aws_s3_bucket_policy.trail")]),
        ],
    )


def _alarm(stack: Stack) -> Iterator[str]:
    topic = reference("aws_sns_topic.alarm.arn")
    yield hcl_block("resource", ("aws_sns_topic", "alarm"), [("name", f"{stack.trail_name}-alarm")])
    yield hcl_block(
        "resource", ("aws_sns_topic_policy", "alarm"), [("arn", topic), ("policy", Encoded(stack.topic_policy))]
    )
    yield hcl_block(
        "resource",
        ("aws_sns_topic_subscription", "alarm"),
        [("topic_arn", topic), ("protocol", "email"), ("endpoint", reference("var.alarm_email"))],
    )
    yield hcl_block(
        "resource",
        ("aws_cloudwatch_event_rule", "key_change"),
        [
            ("description", "A KMS key, an alias or the trail was changed"),
            ("event_pattern", Encoded(stack.event_pattern)),
        ],
    )
    yield hcl_block(
        "resource",
        ("aws_cloudwatch_event_target", "alarm"),
        [
            ("rule", reference("aws_cloudwatch_event_rule.key_change.name")),
            ("target_id", "alarm"),
            ("arn", topic),
        ],
    )
    yield hcl_block("output", ("key_arn",), [("value", reference("aws_kms_key.audit.arn"))])
