"""Policies, keys, aliases and trails of a CloudFormation template.

Parameters stand with their defaults; what only the deployment knows stands as a reference. Both branches of an `Fn::If`
count, since either may be deployed.

Source: CloudFormation User Guide, "Template reference".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Final

from auditseal.access.documents.found import Finds, FoundAlias, FoundKey, FoundTrail, group
from auditseal.access.documents.trail import advanced_selection, classic_selection
from auditseal.access.node import Node, reference
from auditseal.access.policy import Kind
from auditseal.access.policy_reading import parse_policy

_HOLE: Final = re.compile(r"\$\{(!?)([^${}]+)\}")
_NOTHING: Final = "AWS::NoValue"


def is_template(root: Node) -> bool:
    """Whether an object is a CloudFormation template: it has Resources, each with a Type."""
    resources = root.get("Resources")
    return resources is not None and any(item.get("Type") is not None for item in resources.members.values())


def read_template(root: Node, source: str) -> Finds:
    """All that a template holds.

    Args:
        root: the template.
        source: the file's name.

    Raises:
        InputError: a policy in it is none; with its place.
    """
    finds = Finds(source)
    resolve = _Resolver(root).resolve
    resources = root.get("Resources")
    assert resources is not None
    for name, resource in resources.members.items():
        kind = resource.get("Type")
        reader = _READERS.get("" if kind is None else kind.text or "")
        properties = resource.get("Properties")
        if reader is not None and properties is not None:
            resolved = resolve(properties)
            if resolved is not None:
                reader(finds, name, resolved)
    return finds


class _Resolver:
    """Puts values for intrinsic functions, as far as the template tells them."""

    def __init__(self, root: Node) -> None:
        parameters = root.get("Parameters")
        self._defaults: Mapping[str, Node] = {
            name: default
            for name, parameter in ({} if parameters is None else parameters.members).items()
            if (default := parameter.get("Default")) is not None
        }

    def resolve(self, node: Node) -> Node | None:
        """The node without functions; None for AWS::NoValue."""
        if isinstance(node.value, list):
            return Node(value=[item for part in node.value for item in self._spread(part)], place=node.place)
        if not isinstance(node.value, dict):
            return node
        if len(node.value) == 1:
            ((name, argument),) = node.value.items()
            if name == "Ref" or name.startswith("Fn::"):
                return self._function(name, argument, node)
        members = {key: done for key, member in node.value.items() if (done := self.resolve(member)) is not None}
        return Node(value=members, place=node.place, keys=node.keys)

    def _spread(self, part: Node) -> list[Node]:
        done = self.resolve(part)
        if done is None:
            return []
        is_choice = set(part.members) == {"Fn::If"}
        return done.items if is_choice else [done]

    def _function(self, name: str, argument: Node, node: Node) -> Node | None:
        if name == "Ref":
            return self._ref(argument.text or "", node)
        if name == "Fn::GetAtt":
            text = reference(".".join(str(item.value) for item in argument.items))
        elif name == "Fn::Sub":
            text = self._sub(argument)
        elif name == "Fn::Join":
            text = self._join(argument)
        elif name == "Fn::If":
            return self._choice(argument, node)
        else:
            text = reference(name)
        return Node(value=text, place=node.place)

    def _ref(self, name: str, node: Node) -> Node | None:
        if name == _NOTHING:
            return None
        if name == "AWS::Partition":
            return Node(value="aws", place=node.place)
        default = self._defaults.get(name)
        return Node(value=reference(name) if default is None else default.value, place=node.place)

    def _sub(self, argument: Node) -> str:
        template, own = (argument.items[0], argument.items[1]) if len(argument.items) > 1 else (argument.items[0], None)

        def put(hole: re.Match[str]) -> str:
            if hole[1]:
                return f"${{{hole[2]}}}"
            given = None if own is None else own.get(hole[2])
            found = self._ref(hole[2], argument) if given is None else self.resolve(given)
            return "" if found is None else str(found.value)

        return _HOLE.sub(put, template.text or "")

    def _join(self, argument: Node) -> str:
        if len(argument.items) != 2:  # noqa: PLR2004 - the delimiter and the list
            return reference("Fn::Join")
        parts = self.resolve(argument.items[1])
        if parts is None or any(isinstance(part.value, dict | list) for part in parts.items):
            return reference("Fn::Join")
        return (argument.items[0].text or "").join(str(part.value) for part in parts.items)

    def _choice(self, argument: Node, node: Node) -> Node | None:
        branches = [done for part in argument.items[1:] if (done := self.resolve(part)) is not None]
        flat = [item for branch in branches for item in branch.items]
        if len(flat) <= 1:
            return flat[0] if flat else None
        return Node(value=flat, place=node.place)


def _document(finds: Finds, what: str, node: Node | None, kind: Kind, owner: str | None = None) -> None:
    if node is None:
        return
    if not isinstance(node.value, dict):
        finds.not_read(what, "the policy is put in at deployment", node.place)
        return
    key = what if kind is Kind.KEY else None
    finds.policies.append(parse_policy(node, source=finds.source, name=what, kind=kind, owner=owner, key=key))


def _names(node: Node | None) -> list[str]:
    return [str(item.value) for item in node.items] if node is not None else []


def _text(node: Node, member: str) -> str | None:
    found = node.get(member)
    return None if found is None else found.text


def _read_attached(finds: Finds, name: str, properties: Node) -> None:
    for member in ("Roles", "Users", "RoleName", "UserName"):
        finds.attach([name], _names(properties.get(member)))
    for member in ("Groups", "GroupName"):
        finds.attach([name], map(group, _names(properties.get(member))))
    _document(finds, name, properties.get("PolicyDocument"), Kind.IDENTITY)


def _read_identity(finds: Finds, name: str, properties: Node) -> None:
    owner = reference(name)
    inline = properties.get("Policies")
    for index, item in enumerate([] if inline is None else inline.items):
        label = f"{name}.Policies[{_text(item, 'PolicyName') or index}]"
        _document(finds, label, item.get("PolicyDocument"), Kind.IDENTITY, owner)
    finds.attach(_names(properties.get("ManagedPolicyArns")), [owner])
    trust = properties.get("AssumeRolePolicyDocument")
    _document(finds, f"{name}.AssumeRolePolicyDocument", trust, Kind.TRUST, owner)


def _read_key(finds: Finds, name: str, properties: Node) -> None:
    spec = _text(properties, "KeySpec")
    usage = _text(properties, "KeyUsage")
    finds.keys.append(FoundKey(name=name, spec=spec, usage=usage, source=finds.source, place=properties.place))
    _document(finds, name, properties.get("KeyPolicy"), Kind.KEY)


def _read_alias(finds: Finds, _name: str, properties: Node) -> None:
    alias = _text(properties, "AliasName") or ""
    target = _text(properties, "TargetKeyId") or ""
    finds.aliases.append(FoundAlias(name=alias, target=target, source=finds.source, place=properties.place))


def _read_trail(finds: Finds, name: str, properties: Node) -> None:
    advanced = properties.get("AdvancedEventSelectors")
    classic = properties.get("EventSelectors")
    if advanced is not None:
        selection = advanced_selection(advanced.items, properties.place)
    else:
        selection = classic_selection([] if classic is None else classic.items, properties.place)
    logging = properties.get("IsLogging")
    finds.trails.append(
        FoundTrail(
            name=name,
            logging=logging is None or str(logging.value).lower() != "false",
            reads=selection.reads,
            kms=selection.kms,
            source=finds.source,
            place=properties.place,
            problem=selection.place,
        )
    )


def _read_scp(finds: Finds, name: str, properties: Node) -> None:
    if _text(properties, "Type") == "SERVICE_CONTROL_POLICY":
        _document(finds, name, properties.get("Content"), Kind.SCP)


_READERS: Final[dict[str, Callable[[Finds, str, Node], None]]] = {
    "AWS::IAM::Policy": _read_attached,
    "AWS::IAM::ManagedPolicy": _read_attached,
    "AWS::IAM::RolePolicy": _read_attached,
    "AWS::IAM::UserPolicy": _read_attached,
    "AWS::IAM::GroupPolicy": _read_attached,
    "AWS::IAM::Role": _read_identity,
    "AWS::IAM::User": _read_identity,
    "AWS::IAM::Group": _read_identity,
    "AWS::KMS::Key": _read_key,
    "AWS::KMS::ReplicaKey": _read_key,
    "AWS::KMS::Alias": _read_alias,
    "AWS::CloudTrail::Trail": _read_trail,
    "AWS::Organizations::Policy": _read_scp,
}
