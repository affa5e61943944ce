"""The whole policy of a signing key: its account's administrators, everybody who uses it, and the Denies.

A key policy's statements are about the key that it is put on, so that one can be made before its key is: CreateKey
takes it, and the key is never without it.

Source: KMS Developer Guide, "Key policies in AWS KMS"; API Reference, CreateKey.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from auditseal.access.arn import check_account, parse_alias, parse_principal
from auditseal.access.generate.roles import (
    SAME_ACCOUNT_ONLY,
    Role,
    Target,
    account_statement,
    guard_statements,
    key_statements,
)
from auditseal.access.policy import VERSIONS
from auditseal.core.algorithm import Algorithm
from auditseal.errors import InputError

Document = dict[str, Any]
SIGNERS: Final = frozenset({Role.SIGNER, Role.WITNESS})
"""The roles that make signatures."""
_THIS_KEY: Final = "*"


def document(made: list[dict[str, Any]]) -> Document:
    """A policy of statements."""
    return {"Version": VERSIONS[0], "Statement": made}


def key_policy(
    roles: Mapping[Role, str],
    *,
    account: str,
    algorithm: Algorithm,
    alias: str | None = None,
    partition: str = "aws",
) -> Document:
    """The policy for a new signing key, to be given to CreateKey.

    Args:
        roles: by role the ARN of who has it; a signer or a witness among them.
        account: the key's.
        algorithm: what the key will sign with.
        alias: requests must name it, as `alias/…`.
        partition: `aws`, `aws-cn`, …

    Raises:
        InputError: nobody signs, a role is of an account that cannot have it, or makes no sense for the algorithm.
    """
    check_account(account)
    if not SIGNERS & set(roles):
        raise InputError("a signing key needs somebody who signs: name the ARN of the role signer")
    for role, arn in roles.items():
        check_role(role, arn, account)
    target = Target(
        key=_THIS_KEY,
        account=account,
        algorithm=algorithm,
        partition=partition,
        alias=None if alias is None else parse_alias(alias),
    )
    return assemble(roles, target)


def check_role(role: Role, arn: str, account: str) -> None:
    """Whether a principal may have a role on a key of an account.

    Raises:
        InputError: it is no role and no user, or another account's that KMS never lets change a key.
    """
    named = parse_principal(arn)
    if named.kind not in {"role", "user"}:
        raise InputError(f"{arn[:120]} is no role and no user: give the one that will use the key")
    if named.account != account and role in SAME_ACCOUNT_ONLY:
        raise InputError(f"KMS lets no other account change a key: the {role} must be of account {account}")


def assemble(roles: Mapping[Role, str], target: Target) -> Document:
    """The hand-over to the account, each role's statements, and the Denies for those who sign.

    Args:
        roles: by role its ARN, or a template's reference to it.
        target: the key.

    Raises:
        InputError: a role makes no sense for the algorithm.
    """
    made = [account_statement(target)]
    for role, principal in roles.items():
        made += key_statements(role, target, principal)
    signers = [principal for role, principal in roles.items() if role in SIGNERS]
    return document([*made, *(guard_statements(target, signers) if signers else [])])
