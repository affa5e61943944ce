"""Reads every role and user of an account, with the policies that are in force for each.

Source: IAM API Reference, GetAccountAuthorizationDetails.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import unquote

from auditseal.access.checked import Reading
from auditseal.access.facts import Identity
from auditseal.access.node import node_of
from auditseal.access.policy import Kind, Policy
from auditseal.access.policy_reading import parse_policy
from auditseal.adapters.aws_access.calls import AwsCalls
from auditseal.errors import InputError

_OPERATION = "get_account_authorization_details"


def read_account(calls: AwsCalls) -> Reading[tuple[Identity, ...]]:
    """All roles and users; nothing if a single policy could not be read, since it might be the one that counts.

    Raises:
        ConfigError, SignerError: as `AwsCalls.call`.
    """
    parts = {
        member: calls.pages("iam", _OPERATION, member)
        for member in ("RoleDetailList", "UserDetailList", "GroupDetailList", "Policies")
    }
    for part in parts.values():
        if not part.known:
            return Reading(why=part.why)
    documents = _Documents(parts["Policies"].value or [])
    groups = {group["GroupName"]: group for group in parts["GroupDetailList"].value or []}
    try:
        roles = [documents.identity(one, "RolePolicyList", []) for one in parts["RoleDetailList"].value or []]
        users = [
            documents.identity(
                one, "UserPolicyList", [groups[name] for name in one.get("GroupList", []) if name in groups]
            )
            for one in parts["UserDetailList"].value or []
        ]
    except (InputError, KeyError, ValueError) as error:
        return Reading(why=f"iam:GetAccountAuthorizationDetails holds what cannot be read: {error}")
    return Reading((*roles, *users))


class _Documents:
    """The managed policies by ARN."""

    def __init__(self, policies: Sequence[Mapping[str, Any]]) -> None:
        self._by_arn = {
            policy["Arn"]: next(
                version["Document"] for version in policy["PolicyVersionList"] if version["IsDefaultVersion"]
            )
            for policy in policies
        }

    def identity(self, found: Mapping[str, Any], inline: str, groups: Sequence[Mapping[str, Any]]) -> Identity:
        """A role or a user, with its groups' policies."""
        arn = found["Arn"]
        policies = [*self._own(found, inline, arn)]
        for group in groups:
            policies += self._own(group, "GroupPolicyList", arn)
        boundary = found.get("PermissionsBoundary", {}).get("PermissionsBoundaryArn")
        limits = () if boundary is None else (_policy(self._by_arn[boundary], boundary, arn, Kind.BOUNDARY),)
        trust = found.get("AssumeRolePolicyDocument")
        return Identity(
            arn=arn,
            policies=tuple(policies),
            boundary=limits,
            trust=None if trust is None else _policy(trust, f"the trust policy of {arn}", arn, Kind.TRUST),
        )

    def _own(self, found: Mapping[str, Any], inline: str, owner: str) -> Iterator[Policy]:
        for item in found.get(inline, []):
            yield _policy(item["PolicyDocument"], f"inline {item['PolicyName']}", owner)
        for item in found.get("AttachedManagedPolicies", []):
            yield _policy(self._by_arn[item["PolicyArn"]], item["PolicyArn"], owner)


def _policy(document: Any, name: str, owner: str, kind: Kind = Kind.IDENTITY) -> Policy:
    value = json.loads(unquote(document)) if isinstance(document, str) else document
    return parse_policy(node_of(value), name=name, kind=kind, owner=owner)
