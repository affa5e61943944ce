"""Texts of any of the forms into what they hold: policy JSON or YAML, CloudFormation, Terraform, and AWS's answers.

Nothing is opened here: the caller brings names and texts.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from auditseal.access.documents.cloudformation import is_template, read_template
from auditseal.access.documents.found import Documents, Finds, FoundKey, FoundTrail, joined
from auditseal.access.documents.json_text import parse_json_text
from auditseal.access.documents.trail import advanced_selection, classic_selection
from auditseal.access.node import Node, fault
from auditseal.access.policy import Kind
from auditseal.access.policy_reading import looks_like_policy, parse_policy
from auditseal.errors import InputError

MAX_BYTES: Final = 1024 * 1024
"""AWS's own limits are far below: 32 KiB for a key policy, 1 MB for a template."""
_HCL: Final = re.compile(
    r'^\s*(?:resource|data|module|locals|variable|provider|terraform|output)\b[\s"A-Za-z0-9_-]*\{', re.MULTILINE
)
_WRAPPERS: Final = ("Policy", "PolicyDocument", "Document", "PolicyVersion", "AssumeRolePolicyDocument")


def load_documents(files: Sequence[tuple[str, bytes]], kind: Kind | None = None) -> Documents:
    """All that a set of files holds.

    Args:
        files: (name, bytes) each; the name is shown in findings, and its ending tells the form where there is one.
        kind: what a bare policy is attached to; None to tell from its statements.

    Raises:
        InputError: a file is too large, no text, of no known form, or holds no policy; with its place.
    """
    texts = [(name, _text(name, content)) for name, content in files]
    terraform = [(name, text) for name, text in texts if _is_terraform(name, text)]
    by_name: dict[str, Documents] = {}
    if terraform:
        from auditseal.access.documents.terraform import read_terraform

        by_name = {finds.source: finds.done() for finds in read_terraform(terraform)}
    return joined(by_name[name] if name in by_name else _read(name, text, kind).done() for name, text in texts)


def _text(name: str, content: bytes) -> str:
    if len(content) > MAX_BYTES:
        raise InputError(f"{name} has {len(content):,} bytes: no policy or template is larger than {MAX_BYTES:,}")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise InputError(f"{name}: line {line}: not UTF-8 text") from None
    if not text.strip():
        raise InputError(f"{name} is empty: a policy is an object with a Statement")
    return text


def _is_terraform(name: str, text: str) -> bool:
    if name.endswith((".tf", ".hcl", ".tofu")):
        return True
    if name.endswith((".json", ".yaml", ".yml", ".template")) or text.lstrip()[:1] in {"{", "["}:
        return False
    return _HCL.search(text) is not None


def _read(name: str, text: str, kind: Kind | None) -> Finds:
    if text.lstrip()[:1] in {"{", "["} or name.endswith(".json"):
        root = parse_json_text(text, name)
    else:
        from auditseal.access.documents.yaml_text import parse_yaml_text

        root = parse_yaml_text(text, name)
    if is_template(root):
        return read_template(root, name)
    finds = Finds(name)
    roots = root.items
    for index, part in enumerate(roots):
        _read_part(finds, part, kind, f"[{index}]" if len(roots) > 1 else "")
    return finds


def _read_part(finds: Finds, root: Node, kind: Kind | None, label: str) -> None:
    if root.get("EventSelectors") is not None or root.get("AdvancedEventSelectors") is not None:
        finds.trails.append(_trail(finds.source, root))
    elif (metadata := root.get("KeyMetadata")) is not None:
        finds.keys.append(_key(finds.source, metadata))
    elif (grants := root.get("Grants")) is not None:
        finds.grants.extend(grants.items)
    elif root.get("iam_policy") is not None or root.get("key_policy") is not None:
        for member, of in (("iam_policy", Kind.IDENTITY), ("key_policy", Kind.KEY)):
            if (part := root.get(member)) is not None:
                finds.policies.append(parse_policy(part, source=finds.source, name=member, kind=of))
    else:
        document, known = _unwrapped(root, finds.source)
        found = parse_policy(document, source=finds.source, name=label, kind=kind or known)
        finds.policies.append(found)


def _unwrapped(root: Node, source: str) -> tuple[Node, Kind | None]:
    """The policy in an answer of GetKeyPolicy, GetRolePolicy or GetPolicyVersion; any other text as it is."""
    for member in _WRAPPERS:
        inner = root.get(member)
        if inner is None:
            continue
        if inner.text is not None:
            inner = parse_json_text(inner.text, f"{source}: {inner.place}: {member}")
        if inner.get("Statement") is None:
            return _unwrapped(inner, source)
        return inner, Kind.TRUST if member == "AssumeRolePolicyDocument" else None
    if root.get("Statement") is not None and not looks_like_policy(root):
        raise fault(root.place, "its Statement holds no statement with an Effect: this is no policy", source)
    return root, None


def _key(source: str, metadata: Node) -> FoundKey:
    values = {name: node.text for name, node in metadata.members.items()}
    return FoundKey(
        name=values.get("Arn") or values.get("KeyId") or "",
        spec=values.get("KeySpec") or values.get("CustomerMasterKeySpec"),
        usage=values.get("KeyUsage"),
        source=source,
        place=metadata.place,
    )


def _trail(source: str, root: Node) -> FoundTrail:
    advanced, classic, name = root.get("AdvancedEventSelectors"), root.get("EventSelectors"), root.get("TrailARN")
    if advanced is not None and advanced.items:
        selection = advanced_selection(advanced.items, root.place)
    else:
        selection = classic_selection([] if classic is None else classic.items, root.place)
    return FoundTrail(
        name="trail" if name is None else name.text or "trail",
        reads=selection.reads,
        kms=selection.kms,
        source=source,
        place=root.place,
        problem=selection.place,
    )


def named_key(documents: Documents, spec: str | None) -> Documents:
    """The same documents with a key's spec given from outside, for files that do not tell it."""
    if spec is None:
        return documents
    usage = "GENERATE_VERIFY_MAC" if spec.startswith("HMAC_") else "SIGN_VERIFY"
    keys = [replace(key, spec=key.spec or spec, usage=key.usage or usage) for key in documents.keys]
    return replace(documents, keys=tuple(keys) or (FoundKey(name="", spec=spec, usage=usage),))
