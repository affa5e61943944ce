"""An anchor that is a git repository: a commit for each checkpoint, pushed to where others fetch it.

It holds what its clones hold: whoever rewrites the history has to rewrite theirs. A checkpoint that a later commit
removes is found all the same. Times are not believed, since whoever commits sets them.

Source: git-log(1), git-commit(1); it runs the `git` program.
"""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Final

from auditseal.adapters.anchors.noted import checked_note, file_name, folder_name, of_origin
from auditseal.adapters.whole_file import write_whole
from auditseal.errors import ConfigError, NotFoundError, StoreError
from auditseal.ports import Anchored

_ROOT: Final = "checkpoints"
_TIMEOUT_S: Final = 60.0
_AUTHOR: Final = ("-c", "user.name=auditseal", "-c", "user.email=auditseal@localhost", "-c", "commit.gpgsign=false")


class GitAnchor:
    """A working copy of a repository (`auditseal.ports.Anchor`)."""

    def __init__(self, path: Path, *, push: str | None = None) -> None:
        """Looks at the repository.

        Args:
            path: its working copy.
            push: the remote to push to after each commit; None pushes nowhere.

        Raises:
            NotFoundError: there is no repository.
            ConfigError: there is no git program.
        """
        self._path = path
        self._push = push
        if not path.is_dir() or self._run("rev-parse", "--git-dir", check=False) is None:
            raise NotFoundError(f"{path} is no git repository: make one with git init {path}")

    @property
    def address(self) -> str:
        """`git:PATH`."""
        return f"git:{self._path}"

    def publish(self, note: bytes) -> Anchored:
        """Commits a checkpoint, and pushes it where that is asked for (`Anchor.publish`)."""
        checkpoint = checked_note(note)
        name = f"{_ROOT}/{folder_name(checkpoint.origin)}/{file_name(checkpoint)}"
        target = self._path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if not target.exists():
            write_whole(target, note)
        self._run("add", "--", name)
        if self._run("diff", "--cached", "--quiet", "--", name, check=False) is None:
            message = f"Anchor {checkpoint.origin} at {checkpoint.size}"
            self._run(*_AUTHOR, "commit", "--quiet", "--no-verify", "-m", message, "--", name)
        if self._push is not None:
            self._run("push", "--quiet", "--", self._push, "HEAD")
        commit = (self._run("log", "-1", "--format=%H", "--", name) or b"").decode().strip()
        return Anchored(note=note, time=None, where=f"{self._path}@{commit[:12]}")

    def find(self, origin: str) -> list[Anchored]:
        """The checkpoints of an origin that any commit of any branch ever added (`Anchor.find`)."""
        listed = self._run(
            "log", "--all", "--diff-filter=AM", "--format=commit %H", "--name-only", "--no-renames", "--",
            f"{_ROOT}/{folder_name(origin)}",
        )  # fmt: skip
        found: dict[bytes, Anchored] = {}
        commit = ""
        for line in (listed or b"").decode().splitlines():
            if line.startswith("commit "):
                commit = line.removeprefix("commit ")
            elif line:
                note = self._run("show", f"{commit}:{line}") or b""
                found.setdefault(note, Anchored(note=note, time=None, where=f"{self._path}@{commit[:12]}"))
        return of_origin(found.values(), origin)

    def close(self) -> None:
        """Nothing stays open."""

    def _run(self, *arguments: str, check: bool = True) -> bytes | None:
        """What git prints; None if it fails and `check` is false.

        Raises:
            ConfigError: there is no git program.
            StoreError: it fails.
        """
        try:
            done = subprocess.run(  # noqa: S603 - a fixed program, and arguments that are no options
                ["git", "-C", str(self._path), *arguments],  # noqa: S607 - found on the operator's own path
                capture_output=True,
                timeout=_TIMEOUT_S,
                check=False,
            )
        except FileNotFoundError as error:
            raise ConfigError("the git program is not installed") from error
        except subprocess.TimeoutExpired as error:
            raise StoreError(f"git in {self._path} takes more than {_TIMEOUT_S:.0f} s", retryable=True) from error
        if done.returncode == 0:
            return done.stdout
        if check:
            said = " ".join(done.stderr.decode("utf-8", "replace").split())[:300]
            raise StoreError(f"git {arguments[0]} in {self._path} failed: {said}")
        return None
