"""Policies of a template made concrete, so that they can be evaluated: each reference becomes a name of its own.

What a reference stands for is not known. A whole Resource that is one is taken to be the key that is asked about, so
that a question of who may do something never leaves somebody out; a principal that is one becomes a role of its own.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from copy import copy
from dataclasses import replace
from typing import Final

from auditseal.access.arn import is_account, split_arn
from auditseal.access.node import CLOSE, OPEN, without_references
from auditseal.access.policy import Condition, Item, Policy, Principal, Statement

UNKNOWN_ACCOUNT: Final = "000000000000"
_ROLE_NAME: Final = re.compile(r"[A-Za-z0-9_+=,.@-]{1,64}")


class Concrete:
    """Gives names to references, the same name to the same reference.

    Attributes:
        key: the ARN of the key that is asked about.
        account: its account.
    """

    def __init__(self, key: str) -> None:
        self.key = key
        arn = split_arn(key)
        self.account = UNKNOWN_ACCOUNT if arn is None else arn.account
        self._region = "us-east-1" if arn is None else arn.region
        self._roles: dict[str, str] = {}
        self._shown: dict[str, str] = {}

    def about(self, resource: str) -> Concrete:
        """The same names, where another resource than the key is asked about."""
        other = copy(self)
        other.key = resource
        return other

    def policy(self, policy: Policy) -> Policy:
        """A policy without references."""
        return replace(policy, statements=tuple(map(self._statement, policy.statements)))

    def principal(self, text: str) -> str:
        """An ARN for a principal; a name without an ARN is a role of the key's account."""
        if is_account(text):
            return f"arn:aws:iam::{text}:root"
        if OPEN not in text and (text == "*" or split_arn(text) is not None):
            return text
        arn = split_arn(text)
        if arn is not None:
            return self._filled(text)
        # A role's name and its ARN are the same role.
        plain = re.sub(r"\.(?:Arn|arn|name|id)$", "", text.strip(OPEN + CLOSE)) if OPEN in text else text
        if plain not in self._roles:
            name = text if _ROLE_NAME.fullmatch(text) else f"reference-{len(self._roles)}"
            self._roles[plain] = f"arn:aws:iam::{self.account}:role/{name}"
            self._shown[self._roles[plain]] = text if OPEN not in text else f"{plain} (known at deployment)"
        return self._roles[plain]

    def shown(self, arn: str) -> str:
        """A principal in the words of its file."""
        return self._shown.get(arn, arn).replace(f"arn:aws:iam::{UNKNOWN_ACCOUNT}:root", "the account's root")

    def _filled(self, text: str) -> str:
        """An ARN or a pattern whose account and Region are the key's where they are references."""
        arn = split_arn(text)
        if arn is None:
            return without_references(text, "reference")
        return str(
            replace(
                arn,
                partition="aws" if OPEN in arn.partition else arn.partition,
                region=self._region if OPEN in arn.region else arn.region,
                account=self.account if OPEN in arn.account else arn.account,
                resource=without_references(arn.resource, "reference"),
            )
        )

    def _statement(self, statement: Statement) -> Statement:
        return replace(
            statement,
            principals=self._principals(statement.principals),
            not_principals=self._principals(statement.not_principals),
            resources=self._resources(statement.resources),
            not_resources=self._resources(statement.not_resources),
            conditions=tuple(map(self._condition, statement.conditions)),
        )

    def _principals(self, principals: Sequence[Principal] | None) -> tuple[Principal, ...] | None:
        if principals is None:
            return None
        return tuple(replace(one, text=self.principal(one.text)) if one.type == "AWS" else one for one in principals)

    def _resources(self, items: Sequence[Item] | None) -> tuple[Item, ...] | None:
        if items is None:
            return None
        return tuple(Item(self._resource(item.text), item.place) for item in items)

    def _resource(self, text: str) -> str:
        if OPEN not in text:
            return text
        if text.startswith(OPEN) and text.endswith(CLOSE):
            return text if "aws_kms_alias." in text else self.key
        return self._filled(text)

    def _condition(self, condition: Condition) -> Condition:
        values = tuple(
            Item(self.principal(item.text) if condition.key.lower() == "aws:principalarn" else item.text, item.place)
            for item in condition.values
        )
        return replace(condition, values=values)
