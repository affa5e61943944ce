"""Text of unknown origin, made safe to show.

What stands in a log was written by others, and whoever tampers with one writes what they like: escape sequences that
clear a terminal, line breaks that forge a verdict, marks that turn the direction of writing. They are shown as
escapes. JSON output needs none of this: its writer escapes control characters.
"""

from __future__ import annotations


def printable(text: object) -> str:
    """The text on one line, with everything escaped that does not print as itself."""
    shown = str(text)
    if shown.isprintable():
        return shown
    return "".join(mark if mark.isprintable() else _escaped(mark) for mark in shown)


def _escaped(mark: str) -> str:
    return mark.encode("unicode_escape").decode("ascii")
