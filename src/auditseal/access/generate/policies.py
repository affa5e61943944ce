"""The policies of one role on one key: the role's IAM policy and the key policy that goes with it.

Source: KMS Developer Guide, "Allowing users in other accounts to use a KMS key".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from auditseal.access.arn import check_account, parse_alias, parse_key_arn, parse_principal, split_arn
from auditseal.access.generate.key_policy import SIGNERS, Document, assemble, check_role, document
from auditseal.access.generate.roles import Role, Target, statements
from auditseal.core.algorithm import Algorithm
from auditseal.errors import InputError


@dataclass(frozen=True, slots=True, kw_only=True)
class Generated:
    """Two documents that belong together.

    Attributes:
        role: whom they are for.
        principal: the ARN of the role that is named in the key policy.
        key: the key's ARN.
        iam_policy: to be attached to that role, in its account.
        key_policy: to be put on the key, in the key's account.
        comments: what a person should know of them.
    """

    role: Role | None
    principal: str
    key: str
    iam_policy: Document
    key_policy: Document
    comments: tuple[str, ...] = ()

    @property
    def crosses_accounts(self) -> bool:
        """Whether the role is not of the key's account."""
        key = split_arn(self.key)
        return key is not None and parse_principal(self.principal).account != key.account


def generate(
    role: Role,
    algorithm: Algorithm,
    *,
    key_arn: str,
    alias: str | None = None,
    account: str | None = None,
    region: str | None = None,
    cross_account: str | None = None,
    role_arn: str | None = None,
    also: Mapping[Role, str] | None = None,
) -> Generated:
    """The policies for a role.

    Args:
        role: whom for.
        algorithm: what the key signs with.
        key_arn: the key.
        alias: requests must name it; a name or an ARN.
        account: if given, the account that the key must be in.
        region: if given, the Region that the key must be in.
        cross_account: the account of the role, if it is not the key's.
        role_arn: the role; by default `role/auditseal-ROLE` of its account.
        also: by role the ARN of others who use the key, for the key policy.

    Raises:
        InputError: the parts do not fit together.
    """
    key = parse_key_arn(key_arn, account=account, region=region)
    name = None if alias is None else parse_alias(alias, key=key)
    home = key.account if cross_account is None else check_account(cross_account)
    if cross_account == key.account:
        raise InputError(f"--cross-account {cross_account} is the key's own account: leave it out")
    principal = role_arn or f"arn:{key.partition}:iam::{home}:role/auditseal-{role}"
    named = parse_principal(principal)
    if named.kind not in {"role", "user"} or named.account != home:
        raise InputError(f"{principal[:120]} is no role of account {home}: give the one that will use the key")
    others = dict(also or {})
    if role in others:
        raise InputError(f"{role} is named twice: once is enough")
    for each, arn in {role: principal, **others}.items():
        check_role(each, arn, key.account)
    target = Target(
        key=str(key),
        account=key.account,
        algorithm=algorithm,
        partition=key.partition,
        alias=name,
        alias_arn=None if name is None else f"arn:{key.partition}:kms:{key.region}:{key.account}:{name}",
    )
    return Generated(
        role=role,
        principal=principal,
        key=str(key),
        iam_policy=document(statements(role, target)),
        key_policy=assemble({role: principal, **others}, target),
        comments=_comments(role, target, principal, others, crosses=home != key.account),
    )


def _comments(
    role: Role, target: Target, principal: str, others: Mapping[Role, str], *, crosses: bool
) -> tuple[str, ...]:
    made = [f"For the {role} with {target.algorithm.id} on {target.key}."]
    where = f" in account {parse_principal(principal).account}" if crosses else ""
    made.append(f"The IAM policy goes to {principal}{where}.")
    if SIGNERS & {role, *others}:
        made.append("The key policy is whole, for those who are named in it (--with adds more): put it on the key.")
        made.append(
            "The key policy's Denies hold against every other policy: change them first when the signer changes."
        )
    else:
        made.append(f"Of the key policy, add the statements that name the {role} to the signer's (--with does that).")
    if crosses:
        made.append(f"Both sides are needed: without the IAM policy{where} every call is denied.")
    if target.alias is not None and role in SIGNERS | {Role.VERIFIER}:
        made.append(f"Requests must name the key as {target.alias}; who may move that alias decides which key is used.")
    return tuple(made)
