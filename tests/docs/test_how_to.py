"""The how-to pages and the README cannot drift: their commands are run, and must print what the pages show.

`AUDITSEAL_WRITE_TRANSCRIPTS=1` corrects the pages instead. How a page is read stands in `tests/support/transcripts.py`.
A page whose commands need more than an emulator of KMS names the test that runs them: `<!-- run by tests/… -->`.
"""

from __future__ import annotations

import os
import re
import sys
import zlib
from pathlib import Path

import pytest
from emulator import Emulator

from support.transcripts import read_steps, run_steps, with_what_was_printed

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted(ROOT.glob("docs/how-to/*.md"))]
RUN_BY = re.compile(r"^<!-- run by (tests/\S+\.py) -->$", re.MULTILINE)
OF_THIS_TEST = [page for page in PAGES if not RUN_BY.search(page.read_text())]
# Read before the tests' own environment is made.
WRITE = bool(os.environ.get("AUDITSEAL_WRITE_TRANSCRIPTS"))
_PERSON = {"NAME": "Alice", "EMAIL": "alice@example.com"}


def _environment(folder: Path, emulator: Emulator, page: Path) -> dict[str, str]:
    """What a new user's shell has, with an AWS account of the page's own."""
    return {
        **emulator.environment(),
        "AWS_ACCESS_KEY_ID": f"{zlib.crc32(page.name.encode()):012d}",
        "AWS_CONFIG_FILE": str(folder / "no-such-file"),
        "AWS_SHARED_CREDENTIALS_FILE": str(folder / "no-such-file"),
        "HOME": str(folder),
        "LC_ALL": "C.UTF-8",
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        **{f"GIT_{who}_{part}": value for who in ("AUTHOR", "COMMITTER") for part, value in _PERSON.items()},
    }


@pytest.mark.parametrize("page", OF_THIS_TEST, ids=lambda page: page.stem)
def test_the_commands_of_a_page_do_what_it_says(page: Path, tmp_path: Path, emulator: Emulator):
    text = page.read_text()
    steps = read_steps(text)
    assert any(step.command.startswith("auditseal ") for step in steps)
    outcomes = run_steps(steps, tmp_path, _environment(tmp_path, emulator, page))
    for outcome in outcomes:
        said = "\n".join(outcome.printed)
        assert outcome.code == outcome.step.expects, f"$ {outcome.step.command}\n{said}"
    if WRITE:
        page.write_text(with_what_was_printed(text, outcomes))
        return
    for outcome in outcomes:
        assert outcome.agrees, "\n".join([f"$ {outcome.step.command}", *outcome.printed])


def test_a_page_with_a_test_of_its_own_has_it():
    for page in PAGES:
        if page not in OF_THIS_TEST:
            named = RUN_BY.findall(page.read_text())
            assert [page.name in (ROOT / test).read_text() for test in named] == [True], page.name


def test_a_page_that_is_not_true_is_noticed(tmp_path: Path):
    page = "```console\n$ printf 'one\\ntwo 0123456789ab\\n'\none\n{shown}\n$ false\n$ echo $?\n1\n```\n"
    agree = []
    for number, shown in enumerate(("two ffffffffff", "two", "…", "one\n…")):
        (tmp_path / str(number)).mkdir()
        first, last = run_steps(read_steps(page.format(shown=shown)), tmp_path / str(number), os.environ)
        assert (first.code, first.step.expects, last.code, last.step.expects) == (0, 0, 1, 1)
        agree.append(first.agrees)
    assert agree == [True, False, True, False]
