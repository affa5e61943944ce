"""A stack as a CloudFormation template.

Source: CloudFormation User Guide, "Template reference": AWS::KMS, AWS::IAM, AWS::CloudTrail, AWS::Events, AWS::SNS.
"""

from __future__ import annotations

import json
from typing import Any, Final

from auditseal.access.generate.render import with_functions, yaml_text
from auditseal.access.generate.roles import Role
from auditseal.access.generate.stack import Names, Stack, make_stack, roles_of, trust_policy
from auditseal.access.node import reference
from auditseal.core.algorithm import Algorithm

_RETENTION_DAYS: Final = 3653
_KEEP: Final = {"DeletionPolicy": "Retain", "UpdateReplacePolicy": "Retain"}


def _role_name(role: Role) -> str:
    return f"{role.upper() if role is Role.CI else role.title()}Role"


def cloudformation_stack(algorithm: Algorithm, alias: str | None = None, *, as_json: bool = False) -> str:
    """The template, as YAML or JSON.

    Args:
        algorithm: what the key signs with.
        alias: the key's; by default `alias/auditseal`.
        as_json: JSON in place of YAML.

    Raises:
        InputError: the alias is none.
    """
    names = Names(
        key=reference("AuditKey.Arn"),
        account=reference("AWS.AccountId"),
        partition=reference("AWS.Partition"),
        region=reference("AWS.Region"),
        bucket=reference("TrailBucket.Arn"),
        topic=reference("AlarmTopic"),
        rule=reference("KeyChangeRule.Arn"),
        roles={role: reference(f"{_role_name(role)}.Arn") for role in roles_of(algorithm)},
    )
    stack = make_stack(algorithm, names, alias)
    template = {
        "AWSTemplateFormatVersion": "2010-09-09",
        "Description": f"auditseal: an {algorithm.id} signing key, who may use it, and the record of its use",
        "Parameters": _parameters(stack),
        "Resources": with_functions(_key(stack) | _roles(stack) | _trail(stack) | _alarm(stack)),
        "Outputs": with_functions(_outputs(stack)),
    }
    return json.dumps(template, indent=2) + "\n" if as_json else yaml_text(template)


def _parameters(stack: Stack) -> dict[str, Any]:
    made: dict[str, Any] = {
        f"{_role_name(role)}TrustedArn": {
            "Type": "String",
            "Description": f"ARN of the one principal that may take on the {role} role",
            "AllowedPattern": "arn:aws[a-z-]*:iam::[0-9]{12}:(role|user|root).*",
        }
        for role in stack.roles
    }
    made["AlarmEmail"] = {"Type": "String", "Description": "Who is told when the key or the trail is changed"}
    return made


def _key(stack: Stack) -> dict[str, Any]:
    return {
        "AuditKey": {
            "Type": "AWS::KMS::Key",
            **_KEEP,
            "Properties": {
                "Description": f"auditseal {stack.algorithm.id} signing key",
                "KeySpec": stack.key_spec,
                "KeyUsage": stack.algorithm.kms_key_usage,
                "PendingWindowInDays": 30,
                "KeyPolicy": stack.key_policy,
            },
        },
        "AuditAlias": {
            "Type": "AWS::KMS::Alias",
            "Properties": {"AliasName": stack.alias, "TargetKeyId": reference("AuditKey")},
        },
    }


def _roles(stack: Stack) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for role, policy in stack.roles.items():
        name = _role_name(role)
        trust = trust_policy(reference(f"{name}TrustedArn"))
        made[name] = {"Type": "AWS::IAM::Role", "Properties": {"AssumeRolePolicyDocument": trust}}
        made[f"{name}Policy"] = {
            "Type": "AWS::IAM::RolePolicy",
            "Properties": {
                "PolicyName": f"auditseal-{role}",
                "RoleName": reference(name),
                "PolicyDocument": policy,
            },
        }
    return made


def _trail(stack: Stack) -> dict[str, Any]:
    return {
        "TrailBucket": {
            "Type": "AWS::S3::Bucket",
            **_KEEP,
            "Properties": {
                "VersioningConfiguration": {"Status": "Enabled"},
                "PublicAccessBlockConfiguration": {
                    "BlockPublicAcls": True,
                    "BlockPublicPolicy": True,
                    "IgnorePublicAcls": True,
                    "RestrictPublicBuckets": True,
                },
                "LifecycleConfiguration": {
                    "Rules": [{"Id": "retention", "Status": "Enabled", "ExpirationInDays": _RETENTION_DAYS}]
                },
            },
        },
        "TrailBucketPolicy": {
            "Type": "AWS::S3::BucketPolicy",
            "Properties": {"Bucket": reference("TrailBucket"), "PolicyDocument": stack.bucket_policy},
        },
        "Trail": {
            "Type": "AWS::CloudTrail::Trail",
            "DependsOn": "TrailBucketPolicy",
            "Properties": {
                "TrailName": stack.trail_name,
                "S3BucketName": reference("TrailBucket"),
                "IsLogging": True,
                "IsMultiRegionTrail": True,
                "IncludeGlobalServiceEvents": True,
                "EnableLogFileValidation": True,
                "EventSelectors": [{"ReadWriteType": "All", "IncludeManagementEvents": True}],
            },
        },
    }


def _alarm(stack: Stack) -> dict[str, Any]:
    return {
        "AlarmTopic": {
            "Type": "AWS::SNS::Topic",
            "Properties": {"Subscription": [{"Protocol": "email", "Endpoint": reference("AlarmEmail")}]},
        },
        "AlarmTopicPolicy": {
            "Type": "AWS::SNS::TopicPolicy",
            "Properties": {"Topics": [reference("AlarmTopic")], "PolicyDocument": stack.topic_policy},
        },
        "KeyChangeRule": {
            "Type": "AWS::Events::Rule",
            "Properties": {
                "Description": "A KMS key, an alias or the trail was changed",
                "EventPattern": stack.event_pattern,
                "Targets": [{"Id": "alarm", "Arn": reference("AlarmTopic")}],
            },
        },
    }


def _outputs(stack: Stack) -> dict[str, Any]:
    made = {"KeyArn": {"Description": "AUDIT_SIGNING_KMS_KEY_ID", "Value": reference("AuditKey.Arn")}}
    for role in stack.roles:
        made[f"{_role_name(role)}Arn"] = {
            "Description": f"The {role} role",
            "Value": reference(f"{_role_name(role)}.Arn"),
        }
    return made
