"""What rules ask of a statement: which KMS actions it means, on which resources, for whom.

Source: IAM User Guide and KMS Developer Guide, as the rules' pages cite them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from auditseal.access.arn import is_account, split_arn
from auditseal.access.condition import parse_operator
from auditseal.access.documents.found import Documents, FoundKey
from auditseal.access.node import CLOSE, OPEN, Place
from auditseal.access.policy import Condition, Item, Kind, Policy, Principal, Statement
from auditseal.access.rules.rule import Finding, Rule
from auditseal.access.vocabulary import meant, names


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """One policy among the documents it came with.

    Attributes:
        account: the account that identity policies belong to, where the caller told.
    """

    policy: Policy
    documents: Documents
    account: str | None = None

    def finding(
        self, rule: Rule, message: str, *, place: Place | None = None, statement: Statement | None = None
    ) -> Finding:
        """A finding in this policy."""
        where = place or (statement.place if statement is not None else self.policy.place)
        return Finding(
            rule=rule,
            message=message.replace(OPEN, "${").replace(CLOSE, "}"),
            source=self.policy.source,
            policy=self.policy.name,
            statement=None if statement is None else statement.label,
            place=where,
        )

    @property
    def is_key_policy(self) -> bool:
        """Whether it is a key's own policy."""
        return self.policy.kind is Kind.KEY

    @property
    def allows(self) -> list[Statement]:
        """Its Allow statements."""
        return [statement for statement in self.policy.statements if statement.is_allow]


def kms_actions(statement: Statement) -> frozenset[str]:
    """The KMS actions that a statement means."""
    if statement.not_actions is not None:
        spared = frozenset[str]().union(*(meant(item.text) for item in statement.not_actions))
        return frozenset(names()) - spared
    return frozenset[str]().union(*(meant(item.text) for item in statement.actions or ()))


def is_reference(text: str) -> bool:
    """Whether a text holds a value that only the deployment knows."""
    return OPEN in text


def account_of(principal: Principal) -> str | None:
    """The account that an AWS principal belongs to, as written; None where the text does not tell."""
    if is_account(principal.text):
        return principal.text
    arn = split_arn(principal.text)
    return arn.account if arn is not None and arn.account not in {"", "*"} else None


def is_root(principal: Principal) -> bool:
    """Whether a principal is a whole account."""
    arn = split_arn(principal.text)
    return is_account(principal.text) or (arn is not None and arn.service == "iam" and arn.resource == "root")


def home_account(policy: Policy) -> str | None:
    """The account of the key that a key policy belongs to, as written: by the key's ARN, or by who may change it."""
    arn = split_arn(policy.key or "")
    if arn is not None:
        return arn.account
    for statement in policy.statements:
        if statement.is_allow and "kms:PutKeyPolicy" in kms_actions(statement):
            for principal in statement.principals or ():
                if account_of(principal) is not None:
                    return account_of(principal)
    return None


def is_handover(statement: Statement, home: str | None) -> bool:
    """Whether a key policy's statement hands over to its account's IAM policies, and so names nobody itself."""
    principals = statement.principals or ()
    return bool(principals) and all(is_root(one) and account_of(one) == home for one in principals)


def key_of(subject: Subject, items: Iterable[Item]) -> list[FoundKey]:
    """The keys that resources name, as far as their spec is known; one given from outside counts for all."""
    known = [key for key in subject.documents.keys if key.spec or key.usage]
    texts = [subject.policy.key or ""] if subject.is_key_policy else [item.text for item in items]
    named = [key for key in known if key.name and any(_names(text, key.name) for text in texts)]
    return named or [key for key in known if not key.name]


def _names(text: str, key: str) -> bool:
    inner = text.strip("\u27e6\u27e7")
    return key in {text, inner} or inner in {f"{key}.Arn", f"{key}.arn", f"{key}.id", f"{key}.key_id"}


def is_mac_key(key: FoundKey) -> bool | None:
    """Whether it is an HMAC key; None where nothing tells."""
    if key.usage is not None and not is_reference(key.usage):
        return key.usage == "GENERATE_VERIFY_MAC"
    return None if key.spec is None or is_reference(key.spec) else key.spec.startswith("HMAC_")


def requires(condition: Condition) -> bool:
    """Whether a request without the key fails the condition."""
    operator = parse_operator(condition.operator)
    if operator is None or operator.if_exists or operator.negated:
        return False
    if operator.name == "Null":
        return any(item.text.lower() == "false" for item in condition.values)
    return operator.quantifier != "ForAllValues"


def pinned(statement: Statement, key: str) -> bool:
    """Whether a statement asks for a value of a condition key."""
    return any(condition.key.lower() == key.lower() and requires(condition) for condition in statement.conditions)
