"""The policies of one role on one key: the role's IAM policy and the key policy that goes with it.

Source: KMS Developer Guide, "Allowing users in other accounts to use a KMS key".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from auditseal.access.arn import check_account, parse_alias, parse_key_arn, parse_principal, split_arn
from auditseal.access.generate.roles import (
    SAME_ACCOUNT_ONLY,
    Role,
    Target,
    account_statement,
    guard_statements,
    key_statements,
    statements,
)
from auditseal.access.policy import VERSIONS
from auditseal.core.algorithm import Algorithm
from auditseal.errors import InputError

Document = dict[str, Any]


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


def document(made: list[dict[str, Any]], id_: str | None = None) -> Document:
    """A policy of statements."""
    head: Document = {"Version": VERSIONS[0]}
    return {**head, **({"Id": id_} if id_ else {}), "Statement": made}


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
    if home != key.account and role in SAME_ACCOUNT_ONLY:
        raise InputError(f"KMS lets no other account change a key: a {role} must be of account {key.account}")
    target = Target(
        key=str(key),
        account=key.account,
        algorithm=algorithm,
        partition=key.partition,
        alias=name,
        alias_arn=None if name is None else f"arn:{key.partition}:kms:{key.region}:{key.account}:{name}",
    )
    guards = guard_statements(target, principal) if role in {Role.SIGNER, Role.WITNESS} else []
    return Generated(
        role=role,
        principal=principal,
        key=str(key),
        iam_policy=document(statements(role, target)),
        key_policy=document([account_statement(target), *key_statements(role, target, principal), *guards]),
        comments=_comments(role, target, principal, crosses=home != key.account),
    )


def _comments(role: Role, target: Target, principal: str, *, crosses: bool) -> tuple[str, ...]:
    made = [f"For the {role} with {target.algorithm.id} on {target.key}."]
    where = f" in account {parse_principal(principal).account}" if crosses else ""
    made.append(f"The IAM policy goes to {principal}{where}.")
    if role in {Role.SIGNER, Role.WITNESS}:
        made.append("The key policy is whole: put it on the key, then add the statements of the other roles.")
    else:
        made.append(f"Of the key policy, add the statements that name the {role} to the signer's.")
    if crosses:
        made.append(f"Both sides are needed: without the IAM policy{where} every call is denied.")
    if role in {Role.SIGNER, Role.WITNESS}:
        made.append(
            "The key policy's Denies hold against every other policy: change them first when the signer changes."
        )
    if target.alias is not None and role in {Role.SIGNER, Role.WITNESS, Role.VERIFIER}:
        made.append(f"Requests must name the key as {target.alias}; who may move that alias decides which key is used.")
    return tuple(made)
