"""Reading policy documents, strictly.

What IAM refuses at once (an unknown version or member, Action beside NotAction) is refused here with its place. What
AWS accepts although it cannot work, such as a key policy's statement without Action or Resource, is kept as it is:
finding that is the rules' part.

Source: IAM User Guide, "IAM JSON policy element reference" and "Grammar of the IAM JSON policy language".
"""

from __future__ import annotations

from typing import Any, Final

from auditseal.access.node import Node, fault, node_of
from auditseal.access.policy import VERSIONS, Condition, Effect, Item, Kind, Policy, Principal, Statement

_POLICY_MEMBERS: Final = frozenset({"Version", "Id", "Statement"})
_STATEMENT_MEMBERS: Final = frozenset(
    {
        "Sid",
        "Effect",
        "Principal",
        "NotPrincipal",
        "Action",
        "NotAction",
        "Resource",
        "NotResource",
        "Condition",
    }
)
_PRINCIPAL_TYPES: Final = frozenset({"AWS", "Service", "Federated", "CanonicalUser"})


def looks_like_policy(node: Node) -> bool:
    """Whether an object is meant as a policy: it has a Statement whose items have an Effect."""
    statements = node.get("Statement")
    return statements is not None and any(item.get("Effect") is not None for item in statements.items)


def parse_policy(
    node: Node,
    *,
    source: str = "",
    name: str = "",
    kind: Kind | None = None,
    owner: str | None = None,
    key: str | None = None,
) -> Policy:
    """The policy that a node holds.

    Args:
        node: the document.
        source: the file's name.
        name: where in the file, for a file with several.
        kind: what the policy is attached to; None to tell from its statements.
        owner: what an identity policy is attached to.
        key: the key of a key policy.

    Raises:
        InputError: not a policy, an unknown version, or an element of the wrong form; with its place.
    """
    reader = _Reader(source)
    if not isinstance(node.value, dict) or node.get("Statement") is None:
        raise fault(node.place, "this is not a policy: an object with a Statement is", source)
    reader.only(node, _POLICY_MEMBERS, "a policy")
    version = reader.text(node, "Version")
    if version is not None and version not in VERSIONS:
        raise fault(node.members["Version"].place, f"unknown policy version {version[:40]!r}: use 2012-10-17", source)
    statements = tuple(reader.statement(item, index) for index, item in enumerate(node.members["Statement"].items))
    if not statements:
        raise fault(node.members["Statement"].place, "the policy has no statement", source)
    return Policy(
        statements=statements,
        kind=kind or _guess_kind(statements),
        version=version,
        id=reader.text(node, "Id"),
        name=name,
        source=source,
        owner=owner,
        key=key,
        characters=_characters(node),
        place=node.place,
    )


def policy_of(document: Any, *, name: str = "", kind: Kind | None = None, owner: str | None = None) -> Policy:
    """The policy of a plain JSON value, such as one that AWS returned.

    Raises:
        InputError: as `parse_policy`.
    """
    return parse_policy(node_of(document), name=name, kind=kind, owner=owner)


def _guess_kind(statements: tuple[Statement, ...]) -> Kind:
    if all(statement.principals is None and statement.not_principals is None for statement in statements):
        return Kind.IDENTITY
    actions = [item.text.lower() for statement in statements for item in statement.actions or ()]
    about_kms = all(action == "*" or action.startswith("kms:") for action in actions)
    return Kind.KEY if about_kms else Kind.RESOURCE


def _characters(node: Node) -> int:
    """How long the document is in its shortest JSON form."""
    if isinstance(node.value, dict):
        return 2 + sum(len(key) + 4 + _characters(member) for key, member in node.value.items())
    if isinstance(node.value, list):
        return 2 + sum(1 + _characters(item) for item in node.value)
    return len(str(node.value)) + 2


class _Reader:
    """Reads elements, naming the file in every refusal."""

    def __init__(self, source: str) -> None:
        self._source = source

    def only(self, node: Node, allowed: frozenset[str], what: str) -> None:
        for member in node.members:
            if member not in allowed:
                raise fault(node.keys.get(member, node.place), f"{what} has no element {member[:60]!r}", self._source)

    def text(self, node: Node, member: str) -> str | None:
        found = node.get(member)
        if found is None:
            return None
        if found.text is None:
            raise fault(found.place, f"{member} must be a string", self._source)
        return found.text

    def statement(self, node: Node, index: int) -> Statement:
        if not isinstance(node.value, dict):
            raise fault(node.place, "a statement must be an object", self._source)
        self.only(node, _STATEMENT_MEMBERS, "a statement")
        effect = self.text(node, "Effect")
        if effect not in {"Allow", "Deny"}:
            said = "is missing" if effect is None else f"is {effect[:40]!r}"
            raise fault(node.place, f"the statement's Effect {said}: Allow or Deny is needed", self._source)
        for one in ("Principal", "Action", "Resource"):
            if node.get(one) is not None and node.get(f"Not{one}") is not None:
                raise fault(node.place, f"a statement has {one} or Not{one}, never both", self._source)
        return Statement(
            index=index,
            effect=Effect(effect),
            sid=self.text(node, "Sid"),
            principals=self.principals(node.get("Principal")),
            not_principals=self.principals(node.get("NotPrincipal")),
            actions=self.texts(node, "Action"),
            not_actions=self.texts(node, "NotAction"),
            resources=self.texts(node, "Resource"),
            not_resources=self.texts(node, "NotResource"),
            conditions=self.conditions(node.get("Condition")),
            place=node.place,
        )

    def texts(self, node: Node, member: str) -> tuple[Item, ...] | None:
        found = node.get(member)
        if found is None:
            return None
        return tuple(self.item(item, member) for item in found.items)

    def item(self, node: Node, member: str) -> Item:
        if node.text is None:
            raise fault(node.place, f"{member} must be a string or a list of strings", self._source)
        return Item(node.text, node.place)

    def principals(self, node: Node | None) -> tuple[Principal, ...] | None:
        if node is None:
            return None
        if node.text is not None:
            if node.text != "*":
                message = f'the principal {node.text[:60]!r} must be "*" or an object such as {{"AWS": …}}'
                raise fault(node.place, message, self._source)
            return (Principal(type="*", text="*", place=node.place),)
        self.only(node, _PRINCIPAL_TYPES, "a principal")
        if not isinstance(node.value, dict):
            raise fault(node.place, 'a principal must be "*" or an object such as {"AWS": …}', self._source)
        return tuple(
            Principal(type=type_, text=self.item(item, f"Principal {type_}").text, place=item.place)
            for type_, items in node.value.items()
            for item in items.items
        )

    def conditions(self, node: Node | None) -> tuple[Condition, ...]:
        if node is None:
            return ()
        if not isinstance(node.value, dict):
            raise fault(node.place, "a Condition must be an object of operators", self._source)
        found = []
        for operator, keys in node.value.items():
            if not isinstance(keys.value, dict):
                raise fault(keys.place, f"the operator {operator[:60]} must hold an object of keys", self._source)
            for key, values in keys.value.items():
                items = tuple(self.condition_value(item) for item in values.items)
                found.append(Condition(operator=operator, key=key, values=items, place=keys.keys.get(key, keys.place)))
        return tuple(found)

    def condition_value(self, node: Node) -> Item:
        value = node.value
        if isinstance(value, bool):
            return Item(str(value).lower(), node.place)
        if isinstance(value, int | float | str):
            return Item(str(value), node.place)
        raise fault(node.place, "a condition's value must be a string, a number, true or false", self._source)
