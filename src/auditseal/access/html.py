"""The few pieces of HTML that the review is made of. Whatever comes from outside is escaped."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from html import escape
from typing import Final

_BREAKS: Final = re.compile(r"(?<=/)(?=\S)|(?<=::)(?=\S)")


def code(text: str) -> str:
    """A text in the words of a machine; a long one may be broken between the parts of its ARN."""
    return "<code>" + "<wbr>".join(map(escape, _BREAKS.split(text))) + "</code>"


def anchor(kind: str, name: str) -> str:
    """The id of a place on the page."""
    return f"{kind}-{re.sub('[^A-Za-z0-9_-]+', '-', name)}"


def link(to: str, text: str) -> str:
    """A link to a place on the page."""
    return f'<a href="#{to}">{escape(text)}</a>'


def table(heads: Sequence[tuple[str, str]], rows: Iterable[Sequence[str]]) -> str:
    """A table.

    Args:
        heads: (class, text) for each column.
        rows: cells, HTML already.
    """
    head = "".join(f'<th class="{kind}">{escape(text)}</th>' for kind, text in heads)
    body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
