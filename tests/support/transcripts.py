"""Pages whose transcripts are run: what they hold, what happened, and whether both agree.

In a page, each `console` block is a transcript. A line that starts with `$ ` is a command of one bash session that
lasts for the whole page, `> ` goes on with it, and what follows is what it printed; a command that shows nothing may
print anything, and a line `…` stands for any lines. A command must succeed, unless `$ echo $?` after it says otherwise.
A block in another language whose first line is a comment with nothing but a file's name is that file. All else is not
run.
"""

from __future__ import annotations

import itertools
import re
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

_FENCE: Final = re.compile(r"^```(\w*)$")
_FILE_NAME: Final = re.compile(r"^(?:#|//|--) ([\w.-]+(?:/[\w.-]+)*\.\w+)$")
_ANY: Final = "…"
_TIMEOUT_S: Final = 300.0
# What differs from run to run, and the word that stands for it.
_VOLATILE: Final = (
    (re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?Z?"), "TIME"),
    (re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"), "ID"),
    (re.compile(r"\b[0-9a-f]{8,}(?:…[0-9a-f]+)?"), "HEX"),
    (re.compile(r"[A-Za-z0-9+/]{32,}={0,2}"), "BASE64"),
    (re.compile(r"127\.0\.0\.1:\d+"), "ADDRESS"),
    (re.compile(r"\b\d+(?:\.\d+)? ?(?:s|ms)\b"), "DURATION"),
    (re.compile(r"\b\d{12}\b"), "ACCOUNT"),
    (re.compile(r"\s+"), " "),
)


@dataclass(kw_only=True)
class Step:
    """One command, or one file to write; `line` is where its shown output begins in the page, from 0."""

    command: str = ""
    file: str = ""
    text: list[str] = field(default_factory=list)
    line: int = 0
    expects: int = 0


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a command did."""

    step: Step
    code: int
    printed: list[str]

    @property
    def agrees(self) -> bool:
        """Whether it printed what the page shows, apart from times, ids, hashes and the like."""
        shown = self.step.text
        return not shown or _matches([_settled(line) for line in shown], [_settled(line) for line in self.printed])


def read_steps(page: str) -> list[Step]:
    """The commands and files of a page, in order."""
    steps: list[Step] = []
    for language, number, lines in _blocks(page):
        if language == "console":
            steps += _commands(number, lines)
        elif lines and (name := _FILE_NAME.match(lines[0])):
            steps.append(Step(file=name[1], text=lines))
    return steps


def _blocks(page: str) -> Iterator[tuple[str, int, list[str]]]:
    """Language, number of the first line (from 0) and lines of each fenced block."""
    language: str | None = None
    start, lines = 0, list[str]()
    for number, line in enumerate(page.splitlines()):
        if language is not None and line == "```":
            yield language, start, lines
            language = None
        elif language is not None:
            lines.append(line)
        elif fence := _FENCE.match(line):
            language, start, lines = fence[1], number + 1, []


def _commands(start: int, lines: list[str]) -> list[Step]:
    steps: list[Step] = []
    in_command = False
    for number, line in enumerate(lines, start):
        if line.startswith("$ "):
            steps.append(Step(command=line[2:], line=number + 1))
            in_command = True
        elif in_command and line.startswith("> "):
            steps[-1].command += f"\n{line[2:]}"
            steps[-1].line = number + 1
        else:
            steps[-1].text.append(line)
            in_command = False
    for before, after in itertools.pairwise(steps):
        if after.command == "echo $?":
            before.expects = int(after.text[0])
    return [step for step in steps if step.command != "echo $?"]


def run_steps(steps: list[Step], folder: Path, environment: Mapping[str, str]) -> list[Outcome]:
    """Runs the steps in one bash session in the folder, and ends what it left running."""
    kept = folder / ".transcript"
    kept.mkdir()
    script = ["trap 'kill $(jobs -p) 2>/dev/null' EXIT"]
    for number, step in enumerate(steps):
        if step.file:
            (kept / f"{number}.file").write_text("\n".join([*step.text, ""]))
            script.append(f"mkdir -p \"$(dirname '{step.file}')\" && cp .transcript/{number}.file '{step.file}'")
        else:
            script += [f"exec >'{kept}/{number}' 2>&1", step.command, f"echo $? >'{kept}/{number}.code'"]
    (kept / "script").write_text("\n".join([*script, "exit 0"]))
    subprocess.run(
        ["bash", str(kept / "script")],
        cwd=folder,
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        timeout=_TIMEOUT_S,
        check=True,
    )
    return [
        Outcome(
            step=step,
            code=int((kept / f"{number}.code").read_text()),
            printed=(kept / str(number)).read_text().splitlines(),
        )
        for number, step in enumerate(steps)
        if not step.file
    ]


def with_what_was_printed(page: str, outcomes: list[Outcome]) -> str:
    """The page with the true output wherever it shows another, but for outputs that leave lines out."""
    lines = page.splitlines()
    for outcome in reversed(outcomes):
        step = outcome.step
        if not outcome.agrees and _ANY not in step.text:
            lines[step.line : step.line + len(step.text)] = outcome.printed
    return "\n".join([*lines, ""])


def _settled(line: str) -> str:
    for pattern, word in _VOLATILE:
        line = pattern.sub(word, line)
    return line.strip()


def _matches(shown: list[str], printed: list[str]) -> bool:
    if not shown:
        return not printed
    if shown[0] == _ANY:
        return any(_matches(shown[1:], printed[skipped:]) for skipped in range(len(printed) + 1))
    return bool(printed) and shown[0] == printed[0] and _matches(shown[1:], printed[1:])
