"""Policies, keys, aliases and trails of Terraform files.

Files of one call belong together: a resource may use a policy document, a local or a variable's default of another
file. Modules, `file()` and `templatefile()` are not followed; a policy that comes from one is reported as not read.

Source: Terraform Registry, provider hashicorp/aws: aws_iam_policy_document, aws_iam_policy,
aws_kms_key, aws_cloudtrail.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from auditseal.access.documents.found import Finds, FoundAlias, FoundKey, FoundTrail, group
from auditseal.access.documents.hcl_text import Block, parse_hcl_text
from auditseal.access.documents.json_text import parse_json_text
from auditseal.access.documents.trail import advanced_selection, classic_selection
from auditseal.access.node import Node, fault, reference, references
from auditseal.access.policy import Kind, Policy
from auditseal.access.policy_reading import parse_policy

_DOCUMENT: Final = re.compile(r"data\.aws_iam_policy_document\.([A-Za-z0-9_-]+)(?:\[[^\]]*\])?\.(?:minified_)?json")


def read_terraform(files: Sequence[tuple[str, str]]) -> list[Finds]:
    """All that a set of Terraform files holds, one result for each file.

    Args:
        files: (name, text) each.

    Raises:
        InputError: not HCL, or a policy in it is none; with its place.
    """
    known: dict[str, Node] = {}
    for source, text in files:
        known |= _values(parse_hcl_text(text, source))
    roots = [(source, parse_hcl_text(text, source, known.get)) for source, text in files]
    documents = {
        block.labels[1]: (source, block)
        for source, root in roots
        for block in root.all("data")
        if block.labels[:1] == ("aws_iam_policy_document",) and len(block.labels) == 2  # noqa: PLR2004 - type, name
    }
    used: set[str] = set()
    results = []
    for source, root in roots:
        reading = _Reading(Finds(source), documents, used)
        for block in root.all("resource"):
            reader = _READERS.get(block.labels[0]) if len(block.labels) == 2 else None  # noqa: PLR2004 - type, name
            if reader is not None:
                reader(reading, block, ".".join(block.labels))
        results.append(reading.finds)
    for name, (source, _) in documents.items():
        if name not in used:
            finds = next(finds for finds in results if finds.source == source)
            what = f"data.aws_iam_policy_document.{name}"
            finds.policies.append(
                parse_policy(_Reading(finds, documents, used).document(name), source=source, name=what)
            )
    return results


def _values(root: Block) -> dict[str, Node]:
    """What the text tells of locals and of variables' defaults, where no other value is needed for it."""
    values: dict[str, Node] = {}
    for block in root.blocks:
        if block.type == "locals":
            values |= {f"local.{name}": node for name, node in block.attributes.items() if not _is_open(node)}
        elif block.type == "variable" and block.labels and "default" in block.attributes:
            default = block.attributes["default"]
            if default.value is not None and not _is_open(default):
                values[f"var.{block.labels[0]}"] = default
    return values


def _is_open(node: Node) -> bool:
    return any(part.text is not None and references(part.text) for part in node.walk())


class _Reading:
    """One file being read, with the policy documents of all."""

    def __init__(self, finds: Finds, documents: Mapping[str, tuple[str, Block]], used: set[str]) -> None:
        self.finds = finds
        self._documents = documents
        self._used = used

    def policy(self, what: str, node: Node | None, kind: Kind, owner: str | None = None) -> None:
        """Keeps the policy of an attribute, or that it could not be read."""
        if node is None:
            return
        source = self.finds.source
        text = node.text
        if text is not None:
            name = _document_name(text)
            if name in self._documents:
                source = self._documents[name][0]
                node = self.document(name)
            elif text.lstrip().startswith("{"):
                node = _moved(parse_json_text(text, source), node)
        if not isinstance(node.value, dict):
            self.finds.not_read(what, f"its policy is {_wording(node)}, which is not in these files", node.place)
            return
        key = what if kind is Kind.KEY else None
        made: Policy = parse_policy(node, source=source, name=what, kind=kind, owner=owner, key=key)
        self.finds.policies.append(made)

    def document(self, name: str, above: tuple[str, ...] = ()) -> Node:
        """An `aws_iam_policy_document` as the JSON that Terraform makes of it.

        Raises:
            InputError: it takes statements from itself.
        """
        self._used.add(name)
        source, block = self._documents[name]
        if name in above:
            raise fault(block.place, f"aws_iam_policy_document.{name} takes statements from itself", source)
        statements: list[Node] = []
        for attribute in ("source_policy_documents", "override_policy_documents"):
            given = block.attributes.get(attribute)
            for item in [] if given is None else given.items:
                taken = _document_name(item.text or "")
                if taken in self._documents:
                    statements += self.document(taken, (*above, name)).members["Statement"].items
                else:
                    self.finds.not_read(f"data.aws_iam_policy_document.{name}", f"{attribute} is not here", item.place)
        statements += [_statement(part) for part in block.all("statement")]
        version = block.attributes.get("version") or Node(value="2012-10-17", place=block.place)
        members = {"Version": version, "Statement": Node(value=statements, place=block.place)}
        return Node(value=members, place=block.place)


def _document_name(text: str) -> str:
    """The policy document that a text is a reference to; empty for any other text."""
    names = references(text)
    found = _DOCUMENT.fullmatch(names[0]) if names else None
    return found[1] if found else ""


def _wording(node: Node) -> str:
    """A reference in the words of its file."""
    names = references(node.text or "")
    return names[0][:80] if names else "not an object"


def _moved(node: Node, to: Node) -> Node:
    """JSON out of one quoted string: every part stands where the string does."""
    value = node.value
    if isinstance(value, dict):
        value = {key: _moved(member, to) for key, member in value.items()}
    elif isinstance(value, list):
        value = [_moved(item, to) for item in value]
    return Node(value=value, place=to.place, keys=dict.fromkeys(node.keys, to.place))


def _statement(block: Block) -> Node:
    names = {
        "sid": "Sid",
        "actions": "Action",
        "not_actions": "NotAction",
        "resources": "Resource",
        "not_resources": "NotResource",
    }
    members = {ours: _as_written(block.attributes[name]) for name, ours in names.items() if name in block.attributes}
    members["Effect"] = block.attributes.get("effect") or Node(value="Allow", place=block.place)
    for name, ours in (("principals", "Principal"), ("not_principals", "NotPrincipal")):
        if parts := block.all(name):
            members[ours] = _principals(parts, block)
    conditions: dict[str, Node] = {}
    for part in block.all("condition"):
        operator = part.text("test") or "?"
        keys = conditions.setdefault(operator, Node(value={}, place=part.place)).members
        keys[part.text("variable") or "?"] = _as_written(
            part.attributes.get("values") or Node(value=[], place=part.place)
        )
    if conditions:
        members["Condition"] = Node(value=conditions, place=block.all("condition")[0].place)
    return Node(value=members, place=block.place, keys={name: node.place for name, node in members.items()})


def _principals(parts: Sequence[Block], block: Block) -> Node:
    by_type: dict[str, Node] = {}
    for part in parts:
        type_ = part.text("type") or "AWS"
        identifiers = part.attributes.get("identifiers") or Node(value=[], place=part.place)
        before = by_type[type_].items if type_ in by_type else []
        by_type[type_] = Node(value=[*before, *_as_written(identifiers).items], place=identifiers.place)
    if set(by_type) == {"*"}:
        return Node(value="*", place=by_type["*"].place)
    return Node(value=by_type, place=block.place)


def _as_written(node: Node) -> Node:
    """`&{…}` is how this data source writes a policy variable."""
    if isinstance(node.value, list):
        return Node(value=[_as_written(item) for item in node.value], place=node.place)
    if node.text is not None:
        return Node(value=node.text.replace("&{", "${"), place=node.place)
    return node


def _owners(block: Block) -> list[str]:
    """Whom a policy or an attachment names: a role made here by its name, groups as such."""
    found = [
        name.replace(".id\u27e7", ".name\u27e7") for one in ("role", "user") if (name := block.text(one)) is not None
    ]
    found += [group(name) for name in [block.text("group")] if name is not None]
    for member in ("roles", "users", "groups"):
        given = block.attributes.get(member)
        names = [str(item.value) for item in ([] if given is None else given.items)]
        found += map(group, names) if member == "groups" else names
    return found


def _read_identity(reading: _Reading, block: Block, address: str) -> None:
    reading.finds.attach([address], _owners(block))
    reading.policy(address, block.attributes.get("policy"), Kind.IDENTITY)


def _read_attachment(reading: _Reading, block: Block, _address: str) -> None:
    reading.finds.attach([block.text("policy_arn") or ""], _owners(block))


def _read_role(reading: _Reading, block: Block, address: str) -> None:
    owner = reference(f"{address}.name")
    for inline in block.all("inline_policy"):
        label = f"{address}.inline_policy[{inline.text('name') or ''}]"
        reading.policy(label, inline.attributes.get("policy"), Kind.IDENTITY, owner)
    managed = block.attributes.get("managed_policy_arns")
    reading.finds.attach([str(item.value) for item in ([] if managed is None else managed.items)], [owner])
    trust = block.attributes.get("assume_role_policy")
    reading.policy(f"{address}.assume_role_policy", trust, Kind.TRUST, owner)


def _read_key(reading: _Reading, block: Block, address: str) -> None:
    spec = block.text("customer_master_key_spec")
    usage = block.text("key_usage")
    key = FoundKey(name=address, spec=spec, usage=usage, source=reading.finds.source, place=block.place)
    reading.finds.keys.append(key)
    reading.policy(address, block.attributes.get("policy"), Kind.KEY)


def _read_alias(reading: _Reading, block: Block, address: str) -> None:
    name, target = block.text("name") or address, block.text("target_key_id") or ""
    alias = FoundAlias(name=name, target=target, source=reading.finds.source, place=block.place)
    reading.finds.aliases.append(alias)


def _renamed(block: Block, names: Mapping[str, str]) -> Node:
    members = {ours: block.attributes[name] for name, ours in names.items() if name in block.attributes}
    return Node(value=members, place=block.place)


def _read_trail(reading: _Reading, block: Block, address: str) -> None:
    classic = {
        "read_write_type": "ReadWriteType",
        "include_management_events": "IncludeManagementEvents",
        "exclude_management_event_sources": "ExcludeManagementEventSources",
    }
    fields = {"field": "Field", "equals": "Equals", "not_equals": "NotEquals"}
    advanced = [
        Node(
            value={
                "FieldSelectors": Node(
                    value=[_renamed(part, fields) for part in selector.all("field_selector")], place=selector.place
                )
            },
            place=selector.place,
        )
        for selector in block.all("advanced_event_selector")
    ]
    if advanced:
        selection = advanced_selection(advanced, block.place)
    else:
        selection = classic_selection([_renamed(part, classic) for part in block.all("event_selector")], block.place)
    logging = block.attributes.get("enable_logging")
    reading.finds.trails.append(
        FoundTrail(
            name=address,
            logging=logging is None or logging.value is not False,
            reads=selection.reads,
            kms=selection.kms,
            source=reading.finds.source,
            place=block.place,
            problem=selection.place,
        )
    )


def _read_scp(reading: _Reading, block: Block, address: str) -> None:
    if block.text("type") in {None, "SERVICE_CONTROL_POLICY"}:
        reading.policy(address, block.attributes.get("content"), Kind.SCP)


def _read_key_policy(reading: _Reading, block: Block, address: str) -> None:
    reading.policy(address, block.attributes.get("policy"), Kind.KEY)


_READERS: Final[dict[str, Callable[[_Reading, Block, str], None]]] = {
    "aws_iam_policy": _read_identity,
    "aws_iam_role_policy": _read_identity,
    "aws_iam_user_policy": _read_identity,
    "aws_iam_group_policy": _read_identity,
    "aws_iam_role_policy_attachment": _read_attachment,
    "aws_iam_user_policy_attachment": _read_attachment,
    "aws_iam_group_policy_attachment": _read_attachment,
    "aws_iam_policy_attachment": _read_attachment,
    "aws_iam_role": _read_role,
    "aws_kms_key": _read_key,
    "aws_kms_replica_key": _read_key,
    "aws_kms_key_policy": _read_key_policy,
    "aws_kms_alias": _read_alias,
    "aws_cloudtrail": _read_trail,
    "aws_organizations_policy": _read_scp,
}
