"""A JSON-like value that knows where each of its parts stands in the file it was read from.

JSON, CloudFormation and Terraform are all read into this one form; what only the cloud will know (a reference to
another resource, a parameter without a default) stands in it as text between the two marks of `reference`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from auditseal.errors import InputError

OPEN: Final = "\u27e6"
"""Begins a reference that is resolved elsewhere."""
CLOSE: Final = "\u27e7"
"""Ends it."""
_REFERENCE: Final = re.compile(f"{OPEN}([^{OPEN}{CLOSE}]*){CLOSE}")


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """A place in a text; both count from 1."""

    line: int
    column: int

    def __str__(self) -> str:
        return f"line {self.line}, column {self.column}"


START: Final = Place(1, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """One value and its place.

    Attributes:
        value: a dict of nodes, a list of nodes, or a scalar.
        place: where it begins.
        keys: for a dict, where each key stands.
    """

    value: dict[str, Node] | list[Node] | str | int | float | bool | None
    place: Place
    keys: Mapping[str, Place] = field(default_factory=dict)

    def get(self, key: str) -> Node | None:
        """A member of an object; None where there is none, or this is no object."""
        return self.value.get(key) if isinstance(self.value, dict) else None

    @property
    def items(self) -> list[Node]:
        """The elements of a list; a single value is a list of itself, as in policies."""
        return self.value if isinstance(self.value, list) else [self]

    @property
    def elements(self) -> list[Node]:
        """The elements of a list; none for any other value."""
        return self.value if isinstance(self.value, list) else []

    @property
    def members(self) -> dict[str, Node]:
        """The members of an object; none for any other value."""
        return self.value if isinstance(self.value, dict) else {}

    @property
    def text(self) -> str | None:
        """The text of a string; None for any other value."""
        return self.value if isinstance(self.value, str) else None

    def plain(self) -> Any:
        """The value without places."""
        if isinstance(self.value, dict):
            return {key: member.plain() for key, member in self.value.items()}
        if isinstance(self.value, list):
            return [item.plain() for item in self.value]
        return self.value

    def walk(self) -> Iterator[Node]:
        """This node and all below it, in order."""
        yield self
        for node in self.members.values() if isinstance(self.value, dict) else self.elements:
            yield from node.walk()


def node_of(value: Any, place: Place = START) -> Node:
    """A node for a plain value that has no file; every part has the one place."""
    if isinstance(value, Mapping):
        members = {str(key): node_of(member, place) for key, member in value.items()}
        return Node(value=members, place=place, keys=dict.fromkeys(members, place))
    if isinstance(value, list | tuple):
        return Node(value=[node_of(item, place) for item in value], place=place)
    return Node(value=value, place=place)


def reference(name: str) -> str:
    """The text that stands for a value that is not known here; without colons, which would divide an ARN."""
    return f"{OPEN}{name.translate({ord(OPEN): None, ord(CLOSE): None}).replace('::', '.').replace(':', '.')}{CLOSE}"


def references(text: str) -> list[str]:
    """The names of all references in a text."""
    return _REFERENCE.findall(text)


def without_references(text: str, put: str = "") -> str:
    """The text with every reference replaced."""
    return _REFERENCE.sub(lambda _: put, text)


def fault(place: Place, message: str, source: str = "") -> InputError:
    """One line for a person: file, place, what is wrong."""
    return InputError(f"{source + ': ' if source else ''}{place}: {message}")
