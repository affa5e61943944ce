"""Agents as processes that outlive their manager.

Each run has a file. The process holds a lock on it that it inherits, so that the lock goes when the last of its
processes goes, however they end, and a manager that comes back after a crash sees who still runs. The file holds the
process id, written by the process itself before it becomes the agent: no crash can come between.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import signal
import subprocess
import time
from typing import TYPE_CHECKING, Final

from agent_manager.errors import CannotDoError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

_BECOME: Final = 'echo $$ >"$0" && exec "$@"'
_LOOK_S: Final = 0.02
_PID_S: Final = 5.0
_INHERITED: Final = ("PATH", "LANG", "LC_ALL", "TZ")
"""What agents see of the manager's environment: none of its credentials."""


class Processes:
    """The processes of one manager's agents."""

    def __init__(self, folder: Path) -> None:
        """Args: folder: for a file and an output of each run."""
        self._folder = folder
        self._children: dict[str, subprocess.Popen[bytes]] = {}
        folder.mkdir(mode=0o700, exist_ok=True)

    def start(self, run: str, command: Sequence[str], environment: Mapping[str, str]) -> int:
        """Starts a run; its process id.

        Raises:
            CannotDoError: there is no such program, or the system starts no more processes.
        """
        inherited = {name: os.environ[name] for name in _INHERITED if name in os.environ}
        if shutil.which(command[0], path=inherited.get("PATH")) is None:
            raise CannotDoError(f"there is no program {command[0]!r}")
        path = self._folder / run
        held = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            with path.with_suffix(".out").open("ab") as output:
                child = subprocess.Popen(
                    ["/bin/sh", "-c", _BECOME, str(path), *command],
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    env={**inherited, **environment},
                    pass_fds=(held,),
                    start_new_session=True,
                )
        except OSError as error:
            raise CannotDoError(f"{command[0]!r} could not be started: {error.strerror}") from error
        finally:
            os.close(held)
        self._children[run] = child
        return child.pid

    def is_alive(self, run: str) -> bool:
        """Whether a process of this run lives."""
        try:
            look = os.open(self._folder / run, os.O_RDONLY)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(look, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(look)
        return False

    def pid(self, run: str) -> int | None:
        """The process id of a run that lives; None if it does not."""
        deadline = time.monotonic() + _PID_S
        while self.is_alive(run) and time.monotonic() < deadline:
            if (text := (self._folder / run).read_text().strip()).isdecimal():
                return int(text)
            time.sleep(_LOOK_S)
        return None

    def exit_code(self, run: str) -> int | None:
        """How a run that does not live any more ended; None where this manager is not its parent."""
        child = self._children.pop(run, None)
        return None if child is None else child.wait(_PID_S)

    def stop(self, run: str, *, grace_s: float) -> tuple[int | None, bool]:
        """Ends a run: asks it to end, and after some time does not ask any more.

        Returns:
            (its exit code, as `exit_code` gives it; whether it had to be killed).

        Raises:
            CannotDoError: it lives on.
        """
        killed = False
        for how, patience_s in ((signal.SIGTERM, grace_s), (signal.SIGKILL, _PID_S)):
            pid = self.pid(run)
            if pid is None:
                break
            killed = how is signal.SIGKILL
            with contextlib.suppress(ProcessLookupError):
                os.killpg(pid, how)
                os.killpg(pid, signal.SIGCONT)
            self._wait(run, patience_s)
        if self.is_alive(run):
            raise CannotDoError("its processes do not end")
        return self.exit_code(run), killed

    def _wait(self, run: str, patience_s: float) -> None:
        deadline = time.monotonic() + patience_s
        while self.is_alive(run) and time.monotonic() < deadline:
            time.sleep(_LOOK_S)
