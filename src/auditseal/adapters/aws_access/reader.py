"""Reads the facts that the checklist asks for.

Source: API References of KMS, IAM, STS and CloudTrail, the operations of the same names.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import unquote

from auditseal.access.checked import Reading
from auditseal.access.documents.found import FoundTrail
from auditseal.access.documents.trail import advanced_selection, classic_selection
from auditseal.access.facts import Facts, Identity, KeyFacts
from auditseal.access.grant import Grant, parse_grant
from auditseal.access.node import START, node_of
from auditseal.access.policy import Kind, Policy
from auditseal.access.policy_reading import parse_policy
from auditseal.adapters.aws_access.calls import AwsCalls
from auditseal.errors import InputError

_DEFAULT: Final = "default"


class AwsReader:
    """Reads one key, one role, and who else there is in the account."""

    def __init__(self, calls: AwsCalls) -> None:
        """Prepares; nothing is sent yet."""
        self._calls = calls

    def facts(self, key_id: str, role_arn: str | None = None, *, account: bool = False, trails: bool = True) -> Facts:
        """All that can be read.

        Args:
            key_id: key id, ARN, alias or alias ARN.
            role_arn: the signer's role.
            account: whether to read every role and user of the account.
            trails: whether to read CloudTrail.

        Raises:
            ConfigError: no Region, or AWS does not accept the credentials.
            SignerError: AWS could not be reached.
        """
        key = self.key(key_id)
        known = key.value.arn if key.value is not None else key_id
        given: dict[str, Any] = {}
        if role_arn is not None:
            given["role"] = self.role(role_arn)
        if account:
            given["others"] = self.others(role_arn)
        if trails:
            given["trails"] = self.trails()
        return Facts(
            key=key,
            key_policy=self.key_policy(known),
            other_policies=self.other_policies(known),
            grants=self.grants(known),
            aliases=self.aliases(known),
            **given,
        )

    def caller(self) -> Reading[dict[str, Any]]:
        """Who asks: `Arn`, `Account`, and the answer's headers."""
        return self._calls.attempt("sts", "get_caller_identity")

    def key(self, key_id: str) -> Reading[KeyFacts]:
        """The key as DescribeKey tells it."""
        answer = self._calls.attempt("kms", "describe_key", KeyId=key_id)
        if answer.value is None:
            return Reading(why=answer.why)
        data = answer.value["KeyMetadata"]
        algorithms = [*data.get("SigningAlgorithms", ()), *data.get("MacAlgorithms", ())]
        return Reading(
            KeyFacts(
                arn=data["Arn"],
                spec=data.get("KeySpec", ""),
                usage=data.get("KeyUsage", ""),
                state=data.get("KeyState", ""),
                algorithms=tuple(algorithms),
                origin=data.get("Origin", ""),
                created=f"{data['CreationDate']:%Y-%m-%d}" if "CreationDate" in data else "",
            )
        )

    def key_policy(self, key: str) -> Reading[Policy]:
        """The policy named `default`."""
        answer = self._calls.attempt("kms", "get_key_policy", KeyId=key, PolicyName=_DEFAULT)
        if answer.value is None:
            return Reading(why=answer.why)
        return _parsed(answer.value["Policy"], name="the key policy", kind=Kind.KEY, key=key)

    def other_policies(self, key: str) -> Reading[tuple[str, ...]]:
        """Names of further key policies."""
        found = self._calls.pages("kms", "list_key_policies", "PolicyNames", KeyId=key)
        return _mapped(found, lambda names: tuple(name for name in names if name != _DEFAULT))

    def grants(self, key: str) -> Reading[tuple[Grant, ...]]:
        """All grants on the key."""
        found = self._calls.pages("kms", "list_grants", "Grants", KeyId=key)
        return _mapped(found, lambda grants: tuple(parse_grant(node_of(_without_times(one))) for one in grants))

    def aliases(self, key: str) -> Reading[tuple[str, ...]]:
        """The aliases that point to the key."""
        found = self._calls.pages("kms", "list_aliases", "Aliases", KeyId=key)
        return _mapped(found, lambda aliases: tuple(one["AliasName"] for one in aliases))

    def role(self, arn: str) -> Reading[Identity]:
        """A role with all its policies; if one of them cannot be read, the role is not known."""
        name = arn.rpartition("/")[2]
        role = self._calls.attempt("iam", "get_role", RoleName=name)
        inline = self._calls.pages("iam", "list_role_policies", "PolicyNames", RoleName=name)
        attached = self._calls.pages("iam", "list_attached_role_policies", "AttachedPolicies", RoleName=name)
        for reading in (role, inline, attached):
            if not reading.known:
                return Reading(why=reading.why)
        assert role.value is not None
        policies: list[Policy] = []
        inactive: list[Policy] = []
        for policy_name in inline.value or []:
            answer = self._calls.attempt("iam", "get_role_policy", RoleName=name, PolicyName=policy_name)
            if answer.value is None:
                return Reading(why=answer.why)
            document = answer.value["PolicyDocument"]
            policies.append(_policy(document, name=f"inline {policy_name}", owner=arn))
        for item in attached.value or []:
            why = self._versions(item["PolicyArn"], arn, policies, inactive)
            if why is not None:
                return Reading(why=why)
        boundary = role.value["Role"].get("PermissionsBoundary", {}).get("PermissionsBoundaryArn")
        limits: list[Policy] = []
        if boundary is not None:
            why = self._versions(boundary, arn, limits, [], Kind.BOUNDARY)
            if why is not None:
                return Reading(why=why)
        trust = role.value["Role"].get("AssumeRolePolicyDocument")
        return Reading(
            Identity(
                arn=role.value["Role"]["Arn"],
                policies=tuple(policies),
                boundary=tuple(limits),
                inactive=tuple(inactive),
                trust=None if trust is None else _policy(trust, name="the trust policy", owner=arn, kind=Kind.TRUST),
            )
        )

    def _versions(
        self,
        policy: str,
        owner: str,
        active: list[Policy],
        inactive: list[Policy],
        kind: Kind = Kind.IDENTITY,
    ) -> str | None:
        """Reads every version of an attached policy; why it could not be read, if so."""
        versions = self._calls.pages("iam", "list_policy_versions", "Versions", PolicyArn=policy)
        if versions.value is None:
            return versions.why
        for version in versions.value:
            number = version["VersionId"]
            answer = self._calls.attempt("iam", "get_policy_version", PolicyArn=policy, VersionId=number)
            if answer.value is None:
                return answer.why
            made = _policy(answer.value["PolicyVersion"]["Document"], name=f"{policy} {number}", owner=owner, kind=kind)
            (active if version["IsDefaultVersion"] else inactive).append(made)
        return None

    def others(self, without: str | None) -> Reading[tuple[Identity, ...]]:
        """Every role and user of the account but one, with the policies in force."""
        from auditseal.adapters.aws_access.account import read_account

        return _mapped(read_account(self._calls), lambda found: tuple(one for one in found if one.arn != without))

    def trails(self) -> Reading[tuple[FoundTrail, ...]]:
        """The Region's trails, with what they record."""
        listed = self._calls.attempt("cloudtrail", "describe_trails")
        if listed.value is None:
            return Reading(why=listed.why)
        found = []
        for trail in listed.value.get("trailList", []):
            name = trail.get("TrailARN") or trail["Name"]
            selectors = self._calls.attempt("cloudtrail", "get_event_selectors", TrailName=name)
            status = self._calls.attempt("cloudtrail", "get_trail_status", Name=name)
            if selectors.value is None or status.value is None:
                return Reading(why=selectors.why or status.why)
            found.append(_trail(name, selectors.value, bool(status.value.get("IsLogging"))))
        return Reading(tuple(found))


def _trail(name: str, selectors: Mapping[str, Any], logging: bool) -> FoundTrail:  # noqa: FBT001 - one of its facts
    advanced = selectors.get("AdvancedEventSelectors")
    if advanced:
        selection = advanced_selection(node_of(advanced).items, START)
    else:
        selection = classic_selection(node_of(selectors.get("EventSelectors") or []).items, START)
    return FoundTrail(name=name, logging=logging, reads=selection.reads, kms=selection.kms)


def _mapped(reading: Reading[Any], change: Callable[[Any], Any]) -> Reading[Any]:
    return reading if reading.value is None else Reading(change(reading.value))


def _without_times(grant: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in grant.items() if name != "CreationDate"}


def _parsed(text: str, *, name: str, kind: Kind, key: str) -> Reading[Policy]:
    try:
        return Reading(parse_policy(node_of(json.loads(text)), name=name, kind=kind, key=key))
    except (InputError, ValueError) as error:
        return Reading(why=f"{name} cannot be read: {error}")


def _policy(document: Any, *, name: str, owner: str | None = None, kind: Kind = Kind.IDENTITY) -> Policy:
    """A document as IAM answers it: botocore has decoded it, or it is still percent-encoded JSON."""
    value = json.loads(unquote(document)) if isinstance(document, str) else document
    return parse_policy(node_of(value), name=name, kind=kind, owner=owner)
