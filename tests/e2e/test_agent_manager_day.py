"""`script/agent-manager`: the day succeeds, its check notices what is off, and nothing of it stays behind."""

from __future__ import annotations

import contextlib
import shutil
import signal
import sqlite3
import subprocess
from pathlib import Path

import pytest
from agent_manager_day import Day, DayError

from support.service import wait_until

ROOT = Path(__file__).resolve().parents[2]


def _processes_of(folder: Path) -> list[str]:
    """The command lines of what runs for this folder, of the agents' too: their output lies in it."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            said = process.joinpath("cmdline").read_text().replace("\0", " ")
            if str(folder) in said or str(folder) in str(process.joinpath("fd", "1").readlink()):
                found.append(said)
    return found


def _day(folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen([ROOT / "script" / "agent-manager", folder], stdout=subprocess.PIPE, text=True)


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """(the folder that a day left, its story)."""
    folder = tmp_path_factory.mktemp("agent-manager") / "day"
    with _day(folder) as day:
        said = day.communicate()[0]
    assert day.returncode == 0, said
    return folder, said


@pytest.fixture
def copy(lived: tuple[Path, str], tmp_path: Path) -> Path:
    shutil.copytree(lived[0], tmp_path / "day")
    return tmp_path / "day"


def test_a_day_is_told_and_verified(lived):
    folder, said = lived
    assert "VALID" in said
    assert "each with its end; the manager's state is what the log tells." in said
    assert "nothing was done" in said
    assert _processes_of(folder) == []


def test_the_check_of_the_day_is_passed_by_an_intact_copy(copy):
    Day(copy, {}).check()


@pytest.mark.parametrize(
    ("database", "change", "complaint"),
    [
        ("manager/state.db", "UPDATE agents SET state = 'running'", "the log tells"),
        ("audit.db", "DELETE FROM entries WHERE seq > 30", "orders without an end|the log tells"),
        ("audit.db", "UPDATE entries SET body = CAST('{}' AS BLOB) WHERE seq = 15", "ended with 1"),
        ("audit.db", "DELETE FROM signatures WHERE seq = 3", "ended with 3"),
    ],
    ids=["state", "tail", "body", "signature"],
)
def test_the_check_of_the_day_notices_what_is_off(copy, database, change, complaint):
    with contextlib.closing(sqlite3.connect(copy / database)) as connection, connection:
        for (trigger,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'trigger'").fetchall():
            connection.execute(f"DROP TRIGGER {trigger}")
        connection.execute(change)
    with pytest.raises(DayError, match=complaint):
        Day(copy, {}).check()


def test_a_day_that_is_interrupted_leaves_nothing_running(tmp_path):
    folder = tmp_path / "day"
    with _day(folder) as day:
        for line in day.stdout:
            if "spawned" in line:
                break
        assert len(_processes_of(folder)) > 2
        day.send_signal(signal.SIGTERM)
        day.stdout.read()
    assert day.returncode == 130
    wait_until(lambda: _processes_of(folder) == [], "everything has ended")


def test_a_folder_with_something_in_it_is_left_alone(tmp_path, capfd):
    (tmp_path / "mine").touch()
    with _day(tmp_path) as day:
        day.communicate()
    assert day.returncode == 2
    assert "is not empty" in capfd.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]
