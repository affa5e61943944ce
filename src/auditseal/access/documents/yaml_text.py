"""YAML text into nodes with places, with CloudFormation's short tags in their long form.

Only what CloudFormation and policies need: numbers, booleans and null are told as in JSON, everything else is text. A
policy's `Version: 2012-10-17` is text therefore and no date, and an account id keeps its leading zeros.

Source: YAML 1.1; CloudFormation User Guide, "Intrinsic function reference".
"""

from __future__ import annotations

import json
import re
from typing import Final

import yaml

from auditseal.access.documents.json_text import MAX_DEPTH
from auditseal.access.node import Node, Place, fault
from auditseal.errors import InputError

MAX_NODES: Final = 200_000
"""Aliases let a short text stand for an endless one: this is where reading stops."""
_NUMBER: Final = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?")
_WORDS: Final[dict[str, bool | None]] = {
    "true": True,
    "True": True,
    "TRUE": True,
    "yes": True,
    "false": False,
    "False": False,
    "FALSE": False,
    "no": False,
    "null": None,
    "~": None,
    "": None,
}
_PLAIN_TAGS: Final = ("tag:yaml.org,2002:", "!!")


def parse_yaml_text(text: str, source: str = "") -> Node:
    """The one document of a YAML text.

    Args:
        text: the whole file.
        source: its name, for error texts.

    Raises:
        InputError: not YAML, several documents, a duplicate key, a key that is no text, or nested too deep; with
            file, line and column.
    """
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        place = Place(1, 1) if error.problem_mark is None else _place_of(error.problem_mark)
        raise fault(place, f"not YAML: {error.problem}", source) from None
    except (yaml.YAMLError, RecursionError) as error:
        raise InputError(f"{source + ': ' if source else ''}not YAML: {str(error).splitlines()[0]}") from None
    if root is None:
        raise fault(Place(1, 1), "there is nothing in it", source)
    return _Reader(source).node(root, 0)


def _place_of(mark: yaml.Mark) -> Place:
    return Place(mark.line + 1, mark.column + 1)


class _Reader:
    """Turns PyYAML's nodes into ours."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._made = 0

    def node(self, found: yaml.Node, depth: int) -> Node:
        place = _place_of(found.start_mark)
        self._made += 1
        if depth > MAX_DEPTH or self._made > MAX_NODES:
            raise fault(place, f"nested deeper than {MAX_DEPTH} levels, or its aliases never end", self._source)
        if isinstance(found, yaml.MappingNode):
            inner = self._mapping(found, place, depth)
        elif isinstance(found, yaml.SequenceNode):
            inner = Node(value=[self.node(item, depth + 1) for item in found.value], place=place)
        else:
            inner = Node(value=_scalar(found), place=place)
        return inner if found.tag.startswith(_PLAIN_TAGS) else self._function(found.tag, inner)

    def _mapping(self, found: yaml.MappingNode, place: Place, depth: int) -> Node:
        members: dict[str, Node] = {}
        keys: dict[str, Place] = {}
        for key_node, value_node in found.value:
            key_place = _place_of(key_node.start_mark)
            if not isinstance(key_node, yaml.ScalarNode):
                raise fault(key_place, "a key must be text", self._source)
            key = str(key_node.value)
            if key == "<<":
                raise fault(
                    key_place, "merge keys (<<) are not read: CloudFormation refuses them as well", self._source
                )
            if key in members:
                message = f"the key {key[:60]!r} stands twice; it stood first at {keys[key]}"
                raise fault(key_place, message, self._source)
            keys[key] = key_place
            members[key] = self.node(value_node, depth + 1)
        return Node(value=members, place=place, keys=keys)

    def _function(self, tag: str, inner: Node) -> Node:
        """The long form of a short tag: `!Ref x` is {"Ref": x}, `!Sub x` is {"Fn::Sub": x}."""
        name = tag.removeprefix("!")
        name = name if name in {"Ref", "Condition"} else f"Fn::{name}"
        if name == "Fn::GetAtt" and inner.text is not None:
            logical, _, attribute = inner.text.partition(".")
            parts: list[Node] = [Node(value=part, place=inner.place) for part in (logical, attribute)]
            inner = Node(value=parts, place=inner.place)
        return Node(value={name: inner}, place=inner.place, keys={name: inner.place})


def _scalar(found: yaml.Node) -> str | int | float | bool | None:
    text = str(found.value)
    if getattr(found, "style", None) is not None:
        return text
    if text in _WORDS:
        return _WORDS[text]
    return json.loads(text) if _NUMBER.fullmatch(text) else text
