"""HCL text into blocks and nodes with places, over the parse tree of `python-hcl2`.

An expression whose value stands in the text is read; any other stands as a reference with its own words, so that
`aws_kms_key.audit.arn` can still be told from `aws_kms_alias.audit.arn`.

Source: the HCL native syntax specification; Terraform Language, "Expressions".
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from auditseal.access.documents.json_text import MAX_DEPTH, parse_json_text
from auditseal.access.node import Node, Place, fault, reference
from auditseal.errors import InputError

_ESCAPE: Final = re.compile(r'\\(?:([nrt"\\])|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8}))')
_ESCAPED: Final = {"n": "\n", "r": "\r", "t": "\t", '"': '"', "\\": "\\"}
_TEMPLATE: Final = re.compile(r"\$(\$?)\{((?:[^{}\"]|\"(?:[^\"\\]|\\.)*\")*)\}")
_SAME: Final = frozenset({"tolist", "toset", "tostring", "trimspace", "nonsensitive", "sensitive"})


@dataclass(slots=True, kw_only=True)
class Block:
    """One block: `resource "aws_kms_key" "audit" { … }` has the type `resource` and two labels."""

    type: str
    labels: tuple[str, ...]
    place: Place
    attributes: dict[str, Node] = field(default_factory=dict)
    blocks: list[Block] = field(default_factory=list)

    def all(self, type_: str) -> list[Block]:
        """The blocks of a type in it, those that a `dynamic` block makes among them."""
        found = []
        for block in self.blocks:
            if block.type == type_:
                found.append(block)
            elif block.type == "dynamic" and block.labels == (type_,):
                found += block.all("content")
        return found

    def text(self, name: str) -> str | None:
        """An attribute that is text."""
        node = self.attributes.get(name)
        return None if node is None else node.text


Lookup = Callable[[str], Node | None]
"""The value of `local.x` or `var.x`; None where the text does not tell."""


def parse_hcl_text(text: str, source: str, lookup: Lookup | None = None) -> Block:
    """The blocks of a text, as one nameless block that holds them.

    Args:
        text: the whole file.
        source: its name, for error texts.
        lookup: gives values for locals and variables.

    Raises:
        InputError: not HCL; with file, line and column.
    """
    import hcl2
    from lark.exceptions import LarkError, UnexpectedInput

    try:
        tree = hcl2.parses_to_tree(text)
    except UnexpectedInput as error:
        place = Place(max(getattr(error, "line", 1), 1), max(getattr(error, "column", 1), 1))
        raise fault(place, "not HCL: the text makes no sense from here on", source) from None
    except (LarkError, RecursionError):
        raise InputError(f"{source}: not HCL, or nested too deep") from None
    reader = _Reader(text, source, lookup or (lambda _: None))
    return reader.block("", (), tree.children[0], Place(1, 1), 0)


def _named(tree: Any) -> str:
    """The rule's name of a tree, the terminal's of a token."""
    return str(tree.data) if hasattr(tree, "data") else str(tree.type)


def _parts(tree: Any) -> list[Any]:
    """The subtrees that carry meaning."""
    return [part for part in tree.children if hasattr(part, "data") and part.data != "new_line_or_comment"]


def _text_of(tree: Any) -> str:
    """The plain text of a name or a string without templates."""
    return "".join(str(token) for token in tree.scan_values(lambda token: token.type != "DBLQUOTE"))


class _Reader:
    """Reads one tree."""

    def __init__(self, text: str, source: str, lookup: Lookup) -> None:
        self._text = text
        self._source = source
        self._lookup = lookup

    def block(self, type_: str, labels: tuple[str, ...], body: Any, place: Place, depth: int) -> Block:
        if depth > MAX_DEPTH:
            raise fault(place, f"nested deeper than {MAX_DEPTH} levels", self._source)
        made = Block(type=type_, labels=labels, place=place)
        for part in _parts(body):
            inner = _parts(part)
            if part.data == "attribute":
                made.attributes[_text_of(inner[0])] = self.value(inner[-1], depth + 1)
            elif part.data == "block":
                *names, inside = inner
                first, *rest = (_text_of(name) for name in names)
                made.blocks.append(self.block(first, tuple(rest), inside, _place(part), depth + 1))
        return made

    def value(self, tree: Any, depth: int) -> Node:
        if depth > MAX_DEPTH:
            raise fault(_place(tree), f"nested deeper than {MAX_DEPTH} levels", self._source)
        reader = getattr(self, f"_read_{_named(tree)}", None)
        return self._unknown(tree) if reader is None else reader(tree, depth)

    def _unknown(self, tree: Any) -> Node:
        text = " ".join(self._text[tree.meta.start_pos : tree.meta.end_pos].split())
        known = self._lookup(text)
        return Node(value=reference(text), place=_place(tree)) if known is None else known

    def _read_expr_term(self, tree: Any, depth: int) -> Node:
        inner = _parts(tree)
        return self.value(inner[0], depth + 1) if len(inner) == 1 else self._unknown(tree)

    def _read_conditional(self, tree: Any, depth: int) -> Node:
        branches = [self.value(part, depth + 1) for part in _parts(tree)[1:]]
        return Node(value=[item for branch in branches for item in branch.items], place=_place(tree))

    def _read_string(self, tree: Any, depth: int) -> Node:
        parts = _parts(tree)
        values = [self._string_part(part, depth) for part in parts]
        if len(values) == 1 and isinstance(values[0], Node):
            return values[0]
        joined = "".join(str(value.value) if isinstance(value, Node) else value for value in values)
        return Node(value=joined, place=_place(tree))

    def _string_part(self, part: Any, depth: int) -> str | Node:
        inner = part.children[0]
        if _named(inner) == "interpolation":
            return self.value(_parts(inner)[0], depth + 1)
        if _named(inner) == "ESCAPED_INTERPOLATION":
            return str(inner)[1:]
        if hasattr(inner, "data"):
            return reference("template")
        return _ESCAPE.sub(_unescape, str(inner))

    def _read_int_lit(self, tree: Any, _depth: int) -> Node:
        return Node(value=int(_text_of(tree)), place=_place(tree))

    def _read_float_lit(self, tree: Any, _depth: int) -> Node:
        return Node(value=float(_text_of(tree)), place=_place(tree))

    def _read_literal_value(self, tree: Any, _depth: int) -> Node:
        return Node(value={"true": True, "false": False}.get(_text_of(tree)), place=_place(tree))

    def _read_tuple(self, tree: Any, depth: int) -> Node:
        return Node(value=[self.value(part, depth + 1) for part in _parts(tree)], place=_place(tree))

    def _read_object(self, tree: Any, depth: int) -> Node:
        members: dict[str, Node] = {}
        keys: dict[str, Place] = {}
        for element in _parts(tree):
            key, value = _parts(element)
            name = _text_of(key)
            if name in members:
                raise fault(_place(key), f"the key {name[:60]!r} stands twice", self._source)
            keys[name] = _place(key)
            members[name] = self.value(value, depth + 1)
        return Node(value=members, place=_place(tree), keys=keys)

    def _read_function_call(self, tree: Any, depth: int) -> Node:
        name, *rest = _parts(tree)
        arguments = [self.value(part, depth + 1) for part in (_parts(rest[0]) if rest else [])]
        function = _text_of(name)
        if function == "jsonencode" and len(arguments) == 1:
            return arguments[0]
        if function == "concat" and arguments:
            return Node(value=[item for argument in arguments for item in argument.items], place=_place(tree))
        return arguments[0] if function in _SAME and len(arguments) == 1 else self._unknown(tree)

    def _read_heredoc_template(self, tree: Any, _depth: int) -> Node:
        """A here-document that holds JSON is read as JSON, in its own lines; any other is text."""
        token = tree.children[0]
        lines = str(token).splitlines(keepends=True)
        body = "".join(lines[1:-1])
        filled = "\n" * token.line + _fill(body)
        if body.lstrip().startswith("{"):
            return parse_json_text(filled, self._source)
        return Node(value=_fill(body), place=_place(tree))

    _read_heredoc_template_trim = _read_heredoc_template


def _place(tree: Any) -> Place:
    return Place(tree.meta.line, tree.meta.column)


def _unescape(found: re.Match[str]) -> str:
    return _ESCAPED[found[1]] if found[1] else chr(int(found[2] or found[3], 16))


def _fill(body: str) -> str:
    """The text with a reference for each template, in quotes where JSON needs them."""
    made: list[str] = []
    at = 0
    for hole in _TEMPLATE.finditer(body):
        made.append(body[at : hole.start()])
        at = hole.end()
        if hole[1]:
            made.append(hole.group()[1:])
            continue
        line = "".join(made).rpartition("\n")[2]
        name = reference(hole[2].strip().replace('"', "'"))
        made.append(name if _in_string(line) else f'"{name}"')
    return "".join([*made, body[at:]])


def _in_string(line: str) -> bool:
    return len(re.findall(r'(?<!\\)"', line)) % 2 == 1
