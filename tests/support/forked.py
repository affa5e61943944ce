"""Processes forked from one that has imported the service: as real as any other, and up in a fraction of the time.

The process that forks has one thread, and has opened nothing.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from subprocess import TimeoutExpired

_FORKING = multiprocessing.get_context("forkserver")
_FORKING.set_forkserver_preload(
    [
        "auditseal.adapters.callers.token_file",
        "auditseal.adapters.signers.local",
        "auditseal.adapters.stores.postgres",
        "auditseal.cli.entry",
        "auditseal.cli.serve",
        "auditseal.http.server",
        "auditseal.service.log",
        "auditseal.service.metered",
        "auditseal.wiring.rotating",
        "uvicorn.loops.uvloop",
        "uvicorn.protocols.http.httptools_impl",
    ]
)


class ForkedProcess:
    """`auditseal ARGUMENTS` in a forked process; as much of `subprocess.Popen` as replicas need."""

    def __init__(self, arguments: Sequence[str], *, cwd: Path, env: Mapping[str, str], output: Path) -> None:
        self._process: ForkServerProcess = _FORKING.Process(
            target=_run, args=(list(arguments), str(cwd), dict(env), str(output)), daemon=True
        )
        self._process.start()

    @property
    def returncode(self) -> int | None:
        return self._process.exitcode

    def poll(self) -> int | None:
        return self._process.exitcode

    def send_signal(self, number: int) -> None:
        assert self._process.pid is not None
        if self._process.is_alive():
            os.kill(self._process.pid, number)

    def wait(self, timeout: float | None = None) -> int:
        self._process.join(timeout)
        code = self._process.exitcode
        if code is None:
            raise TimeoutExpired("auditseal", timeout or 0)
        return code


def _run(arguments: list[str], cwd: str, env: dict[str, str], output: str) -> None:
    """In the child: becomes what `auditseal ARGUMENTS` would be."""
    from auditseal.cli.entry import main

    os.environ.clear()
    os.environ.update(env)
    os.chdir(cwd)
    descriptor = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # the process that forks ignores it
    sys.argv = ["auditseal", *arguments]
    main()
