"""Options that several commands share, and where results go.

Results go to stdout, progress and remarks to stderr. `-o FORMAT[=PATH]` may be repeated.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from auditseal.cli.printable import printable
from auditseal.errors import InputError, StoreError

LogOption = Annotated[
    str | None,
    typer.Option("--log", metavar="ADDRESS", help="The log, such as sqlite:///audit.db. [AUDITSEAL_LOG, DATABASE_URL]"),
]
SignersOption = Annotated[
    Path | None,
    typer.Option("--signers", metavar="PATH", help="The accepted signers: signers.json. [AUDITSEAL_SIGNERS]"),
]
OutputOption = Annotated[
    list[str] | None,
    typer.Option("--output", "-o", metavar="FORMAT[=PATH]", help="How to print the result; may be repeated."),
]
StreamOption = Annotated[str, typer.Option("--stream", help="The stream.")]
StreamsOption = Annotated[list[str] | None, typer.Option("--stream", help="Only this stream; may be repeated.")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """One asked-for form of the result; `path` None is stdout."""

    format: str
    path: Path | None = None


def parse_outputs(texts: Sequence[str] | None, allowed: Sequence[str]) -> list[Output]:
    """The `-o` options; without any, the first allowed format on stdout.

    Raises:
        InputError: a format this command does not have, or a file that cannot be.
    """
    outputs = []
    for text in texts or [allowed[0]]:
        format_, _, path = text.partition("=")
        if format_ not in allowed:
            raise InputError(f"-o {format_[:30]} is not a format of this command: use {', '.join(allowed)}")
        outputs.append(Output(format=format_, path=_writable(Path(path)) if path else None))
    return outputs


def _writable(path: Path) -> Path:
    """Refuses, before anything is done, a file that could not take the result afterwards."""
    if path.is_dir() or not path.parent.is_dir():
        raise InputError(f"-o …={path} cannot be written: it is a folder, or its folder does not exist")
    return path


def emit(outputs: Sequence[Output], renderers: Mapping[str, Callable[[], str]]) -> None:
    """Renders the result once for each output.

    Raises:
        StoreError: a file cannot be written.
    """
    for output in outputs:
        text = renderers[output.format]()
        text += "" if text.endswith("\n") or not text else "\n"
        if output.path is None:
            _write_stdout(text)
            continue
        try:
            output.path.write_text(text, encoding="utf-8")
        except OSError as error:
            raise StoreError(f"{output.path} cannot be written: {error.strerror}") from error


def _write_stdout(text: str) -> None:
    """Writes now, so that a failure is noticed; a reader that went away (`| head`) changes no exit code.

    Raises:
        StoreError: what stdout leads to cannot be written.
    """
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        drop_stdout()
    except OSError as error:
        drop_stdout()
        raise StoreError(f"the result cannot be written to stdout: {error.strerror}") from error


def drop_stdout() -> None:
    """Lets whatever is still written to stdout go nowhere, so that nothing fails on it at the end."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


def remark(text: str) -> None:
    """One line on stderr: what a person should know and a program may ignore."""
    print(printable(text), file=sys.stderr)


def json_text(value: Any) -> str:
    """A result as indented JSON."""
    import orjson

    return orjson.dumps(value, option=orjson.OPT_INDENT_2).decode()


def json_lines(rows: Iterable[Mapping[str, Any]]) -> str:
    """A list as JSON, one item a line."""
    import orjson

    return b"".join(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE) for row in rows).decode()


_WHITE: Final = {"bold": "1", "red": "31", "green": "32", "yellow": "33", "dim": "2"}


def paint(text: str, style: str) -> str:
    """The text in a colour, on a terminal that wants one; colour never carries meaning alone."""
    if not sys.stdout.isatty() or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return text
    return f"\x1b[{_WHITE[style]}m{text}\x1b[0m"


class ProgressLine:
    """How far a long walk is, on one line of stderr, if that is a terminal."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._shown = sys.stderr.isatty()
        self._last = 0

    def __call__(self, done: int, total: int | None) -> None:
        """Shows the state; now and then, since writing takes time as well."""
        if not self._shown or done - self._last < 2000:  # noqa: PLR2004 - a few times a second
            return
        self._last = done
        of = f" of {total:,}" if total else ""
        print(f"\r{self._what} {done:,}{of} ", end="", file=sys.stderr, flush=True)

    def clear(self) -> None:
        """Takes the line away."""
        if self._shown and self._last:
            print("\r" + " " * 60 + "\r", end="", file=sys.stderr, flush=True)
