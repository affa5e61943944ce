"""One request as IAM sees it: who, what, on which resource, with which context.

Context keys that follow from the principal and the resource are filled in; all others must be given. Nothing is taken
from a clock: a policy about time needs `aws:CurrentTime` in the context.

Source: IAM User Guide, "The request context" and "AWS global condition context keys"; KMS Developer Guide, "Condition
keys for AWS KMS".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from auditseal.access.arn import PrincipalArn, parse_principal, split_arn
from auditseal.access.policy import Principal
from auditseal.errors import InputError

Context = Mapping[str, tuple[str, ...]]
"""By lower-case key, its values; one that the request does not have is not in it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A request to be decided.

    Attributes:
        principal: who calls.
        action: such as `kms:Sign`.
        resource: the ARN, or `*` for an action that has no resource.
        account: the account that owns the resource.
        context: by lower-case key.
        role: of a session the ARN of its role, where that is known; else its path is unknown.
        multivalued: the lower-case keys that hold a list, even of one value.
    """

    principal: PrincipalArn
    action: str
    resource: str
    account: str
    context: Context = field(default_factory=dict)
    role: str | None = None
    multivalued: frozenset[str] = frozenset()

    @property
    def crosses_accounts(self) -> bool:
        """Whether the caller's account is not the resource's."""
        return self.principal.account != self.account

    @property
    def is_on_key(self) -> bool:
        """Whether the resource is a KMS key, which always has a policy of its own."""
        arn = split_arn(self.resource)
        return arn is not None and arn.service == "kms" and arn.resource.startswith("key/")

    @property
    def has_own_policy(self) -> bool:
        """Whether the resource's own policy decides too: a key's, or a role's trust policy when it is taken on."""
        arn = split_arn(self.resource)
        is_role = arn is not None and arn.service == "iam" and arn.resource.startswith("role/")
        return self.is_on_key or (is_role and self.action.lower().startswith("sts:assumerole"))

    @property
    def variables(self) -> dict[str, str]:
        """What policy variables stand for: keys with one value."""
        return {
            key: values[0] for key, values in self.context.items() if len(values) == 1 and key not in self.multivalued
        }


def make_request(
    *,
    principal: str,
    action: str,
    resource: str,
    account: str | None = None,
    context: Mapping[str, str | Iterable[str]] | None = None,
    role: str | None = None,
) -> Request:
    """A request with the context keys that follow from it.

    Args:
        principal: the caller's ARN.
        action: `service:Name`.
        resource: the ARN, or `*`.
        account: the resource's owner; taken from the ARN, or else the caller's own.
        context: further keys; a list makes a key multivalued.
        role: of a role's session, the role's ARN.

    Raises:
        InputError: the principal or the action is none.
    """
    caller = parse_principal(principal)
    service, _, name = action.partition(":")
    if not service or not name or "*" in action or "?" in action:
        raise InputError(f"{action[:60]!r} is not one action: service:Name is, such as kms:Sign")
    arn = split_arn(resource)
    owner = account or (arn.account if arn is not None else "") or caller.account
    given = {key.lower(): value for key, value in (context or {}).items()}
    values = _derived(caller, role, service, owner) | {
        key: (value,) if isinstance(value, str) else tuple(value) for key, value in given.items()
    }
    lists = frozenset(key for key, value in given.items() if not isinstance(value, str))
    return Request(
        principal=caller,
        action=action,
        resource=resource,
        account=owner,
        context=values,
        role=role,
        multivalued=lists,
    )


def _derived(caller: PrincipalArn, role: str | None, service: str, owner: str) -> dict[str, tuple[str, ...]]:
    kinds = {"root": "Account", "user": "User", "federated-user": "FederatedUser"}
    arn = caller.arn
    if caller.kind == "assumed-role":
        arn = role or f"arn:{caller.partition}:iam::{caller.account}:role/{caller.name}"
    values = {
        "aws:principalarn": arn,
        "aws:principalaccount": caller.account,
        "aws:principaltype": kinds.get(caller.kind, "AssumedRole"),
        "aws:resourceaccount": owner,
    }
    if caller.kind == "user":
        values["aws:username"] = caller.name
    if service.lower() == "kms":
        values["kms:calleraccount"] = caller.account
    return {key: (value,) for key, value in values.items()}


@dataclass(frozen=True, slots=True)
class Reach:
    """How a Principal element means the caller.

    Attributes:
        account: as the whole account, so that the account's own policies decide.
        direct: as a user, a session or everybody, beyond the reach of boundaries' silence.
        role: as the role behind the session.
    """

    account: bool = False
    direct: bool = False
    role: bool = False

    @property
    def any(self) -> bool:
        """Whether the caller is meant at all."""
        return self.account or self.direct or self.role


def reach_of(principals: Iterable[Principal], request: Request) -> Reach:
    """How the principals of a statement mean the caller."""
    account = direct = role = False
    caller = request.principal
    for principal in principals:
        text = principal.text
        if principal.is_everyone:
            direct = True
        elif principal.type == "AWS":
            root = text in {caller.account, caller.root}
            account = account or (root and caller.kind != "root")
            direct = direct or (root and caller.kind == "root") or (text == caller.arn and caller.kind != "role")
            role = role or (text == caller.arn and caller.kind == "role") or _is_role_behind(request, text)
    return Reach(account=account, direct=direct, role=role)


def _is_role_behind(request: Request, text: str) -> bool:
    if request.principal.kind != "assumed-role":
        return False
    return text == request.role if request.role is not None else request.principal.is_session_of(text)


def names_caller(principals: Iterable[Principal], request: Request) -> bool:
    """Whether a NotPrincipal element leaves the caller out.

    Source: IAM User Guide, "NotPrincipal": a session is left out only if its role and its account are named too, which
    is not asked for here; a Deny is taken to hold where that is in doubt.
    """
    caller = request.principal
    texts = {principal.text for principal in principals if principal.type in {"AWS", "*"}}
    if "*" in texts:
        return True
    if caller.kind == "assumed-role":
        behind = any(_is_role_behind(request, text) for text in texts)
        return behind and (caller.arn in texts or caller.root in texts or caller.account in texts)
    return caller.arn in texts or (caller.kind == "root" and caller.account in texts)
