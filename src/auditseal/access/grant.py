"""KMS grants: permissions that stand beside all policies.

Source: KMS Developer Guide, "Grants in AWS KMS"; API Reference, CreateGrant, GrantListEntry.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from auditseal.access.node import Node, fault
from auditseal.access.request import Request

OPERATIONS_THAT_ADMINISTER: Final = frozenset({"CreateGrant", "RetireGrant"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """A grant on a key.

    Attributes:
        id: its GrantId.
        key: the key's ARN or id.
        grantee: the ARN that may act.
        operations: such as `Sign`.
        encryption_context: whether it asks for an encryption context, which no signing request has.
    """

    id: str
    key: str
    grantee: str
    operations: frozenset[str]
    name: str = ""
    encryption_context: bool = False

    @property
    def label(self) -> str:
        """What a person finds it by."""
        return f"grant {self.name or self.id}"

    def allows(self, request: Request) -> bool:
        """Whether it allows a request."""
        service, _, operation = request.action.partition(":")
        wanted = {name.lower() for name in self.operations}
        return (
            service.lower() == "kms"
            and operation.lower() in wanted
            and not self.encryption_context
            and self._is_for(request)
            and (not self.key or self.key == request.resource or request.resource.endswith(f":key/{self.key}"))
        )

    def _is_for(self, request: Request) -> bool:
        caller = request.principal
        if self.grantee in {caller.arn, caller.root, caller.account, request.role}:
            return True
        return request.role is None and caller.is_session_of(self.grantee)


def parse_grant(node: Node, source: str = "") -> Grant:
    """A grant as ListGrants returns it.

    Raises:
        InputError: a member is missing; with its place.
    """
    values = {name: member.text or "" for name, member in node.members.items()}
    operations = node.get("Operations")
    if not values.get("GranteePrincipal") or operations is None:
        raise fault(node.place, "this is no grant: GranteePrincipal and Operations are needed", source)
    constraints = node.get("Constraints")
    return Grant(
        id=values.get("GrantId", ""),
        key=values.get("KeyId", ""),
        grantee=values["GranteePrincipal"],
        operations=frozenset(item.text or "" for item in operations.items),
        name=values.get("Name", ""),
        encryption_context=constraints is not None and bool(constraints.members),
    )
