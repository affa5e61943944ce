"""JSON text into nodes with places, refusing what two readers could take differently (a key that stands twice).

Source: RFC 8259.
"""

from __future__ import annotations

import json
import re
from typing import Final, NoReturn

from auditseal.access.node import Node, Place, fault

MAX_DEPTH: Final = 64
_SPACE: Final = re.compile(r"[ \t\r\n]*")
_NUMBER: Final = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_STRING: Final = re.compile(r'"(?:[^"\\\x00-\x1f]|\\.)*"')
_WORDS: Final[dict[str, bool | None]] = {"true": True, "false": False, "null": None}


def parse_json_text(text: str, source: str = "") -> Node:
    """The value of a JSON text.

    Args:
        text: the whole file.
        source: its name, for error texts.

    Raises:
        InputError: not JSON, a duplicate key, or nested too deep; with file, line and column.
    """
    return _Reader(text, source).read()


class _Reader:
    """A recursive descent over one text."""

    def __init__(self, text: str, source: str) -> None:
        self._text = text
        self._source = source
        self._at = 0
        self._lines = [0]
        self._lines.extend(found.end() for found in re.finditer("\n", text))
        self._line = 0

    def read(self) -> Node:
        """The one value of the text."""
        self._skip()
        node = self._value(0)
        self._skip()
        if self._at < len(self._text):
            self._refuse("there is text after the end of the JSON value")
        return node

    def _place(self) -> Place:
        # Reading only moves on, so the line is found from where the last one was.
        while self._line + 1 < len(self._lines) and self._lines[self._line + 1] <= self._at:
            self._line += 1
        return Place(self._line + 1, self._at - self._lines[self._line] + 1)

    def _refuse(self, message: str, place: Place | None = None) -> NoReturn:
        raise fault(place or self._place(), message, self._source)

    def _skip(self) -> None:
        found = _SPACE.match(self._text, self._at)
        self._at = found.end() if found else self._at

    def _value(self, depth: int) -> Node:
        if depth > MAX_DEPTH:
            self._refuse(f"nested deeper than {MAX_DEPTH} levels")
        start = self._text[self._at : self._at + 1]
        if start == "{":
            return self._object(depth)
        if start == "[":
            return self._array(depth)
        place = self._place()
        if start == '"':
            return Node(value=self._string(), place=place)
        for word, value in _WORDS.items():
            if self._text.startswith(word, self._at):
                self._at += len(word)
                return Node(value=value, place=place)
        number = _NUMBER.match(self._text, self._at)
        if number is None:
            self._refuse("not JSON: the text ends here" if not start else f"not JSON: {start!r} starts no value")
        self._at = number.end()
        return Node(value=json.loads(number.group()), place=place)

    def _string(self) -> str:
        found = _STRING.match(self._text, self._at)
        if found is None:
            self._refuse("not JSON: a string does not end")
        try:
            value: str = json.loads(found.group())
        except ValueError:
            self._refuse("not JSON: a string holds an escape that does not exist")
        self._at = found.end()
        return value

    def _object(self, depth: int) -> Node:
        place = self._place()
        members: dict[str, Node] = {}
        keys: dict[str, Place] = {}
        self._at += 1
        self._skip()
        while not self._take("}"):
            if members and not self._take(","):
                self._refuse("not JSON: a comma or } is missing")
            self._skip()
            key_place = self._place()
            if self._text[self._at : self._at + 1] != '"':
                self._refuse("not JSON: a member's name in double quotes is missing")
            key = self._string()
            if key in members:
                self._refuse(f"the key {key[:60]!r} stands twice; it stood first at {keys[key]}", key_place)
            self._skip()
            if not self._take(":"):
                self._refuse("not JSON: a colon is missing")
            self._skip()
            keys[key] = key_place
            members[key] = self._value(depth + 1)
            self._skip()
        return Node(value=members, place=place, keys=keys)

    def _array(self, depth: int) -> Node:
        place = self._place()
        items: list[Node] = []
        self._at += 1
        self._skip()
        while not self._take("]"):
            if items and not self._take(","):
                self._refuse("not JSON: a comma or ] is missing")
            self._skip()
            items.append(self._value(depth + 1))
            self._skip()
        return Node(value=items, place=place)

    def _take(self, character: str) -> bool:
        if self._text[self._at : self._at + 1] != character:
            return False
        self._at += 1
        return True
