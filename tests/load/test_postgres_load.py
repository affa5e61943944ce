"""PostgreSQL under load, with counts: two processes of eight writers each, and a server that restarts beneath them."""

from __future__ import annotations

import signal
import subprocess
import threading
import time
from contextlib import ExitStack, closing

from auditseal.adapters.stores.postgres import PostgresStore
from auditseal.core.report import Verdict
from auditseal.wiring.verifying import verify
from support.agent_manager import REGISTRY
from support.postgres_server import PostgresServer, running_postgres
from support.processes import finish, start
from support.store_events import check_chains

PROCESSES, THREADS, EVENTS, BATCH = 2, 8, 1250, 25
RESTARTS, BETWEEN = 10, 200


def _check_all_there_once(address: str, acknowledged: list[list[str]]) -> int:
    """How many entries there are; fails unless they are just the acknowledged ones, chained without a fork."""
    with closing(PostgresStore(address, read_only=True)) as store:
        stored = [[str(entry.seq), entry.columns.id, entry.hash.hex()] for entry in store.walk()]
        assert check_chains(store.walk()) == {"load": len(stored)}
    assert sorted(acknowledged) == sorted(stored)
    return len(stored)


def test_writers_in_two_processes_fork_nothing_lose_nothing_and_repeat_nothing(postgres: PostgresServer):
    address = postgres.url(postgres.create_log_database())
    command = ("support.store_writer", address, "load", THREADS, EVENTS, BATCH, "signed")
    writers = [start(*command) for _ in range(PROCESSES)]
    acknowledged = [line.split() for writer in writers for line in finish(writer)]
    assert _check_all_there_once(address, acknowledged) == PROCESSES * THREADS * EVENTS == 20_000
    report = verify(address, REGISTRY, processes=2)
    assert (report.verdict, report.checked["signatures"]) == (Verdict.VALID, 20_000)


class _Reading:
    """What a writer prints, counted while it prints."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.lines: list[str] = []
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def _read(self) -> None:
        for line in self.process.stdout:
            self.lines.append(line)

    def wait_for(self, count: int) -> None:
        deadline = time.monotonic() + 60
        while len(self.lines) < count:
            assert self.process.poll() is None, self.process.stderr.read()
            assert time.monotonic() < deadline, "the writer does not go on"
            time.sleep(0.01)

    def kill(self) -> None:
        """Ends it if it still runs: a test that has failed leaves no process behind."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self._thread.join()

    def finish(self) -> list[list[str]]:
        self.process.stdin.close()
        self._thread.join(60)
        errors = self.process.stderr.read()
        assert self.process.wait(60) == 0, errors
        self.process.stderr.close()
        self.process.stdout.close()
        return [line.split() for line in self.lines]


def test_restarts_of_the_server_under_load_lose_nothing_and_repeat_nothing():
    with running_postgres() as server, ExitStack() as undo:
        address = server.url(server.create_log_database())
        writers = [_Reading(start("support.store_writer", address, "load", 4, 0, 10, "signed")) for _ in range(2)]
        for writer in writers:
            undo.callback(writer.kill)
        for number in range(RESTARTS):
            for writer in writers:
                writer.wait_for(len(writer.lines) + BETWEEN)
            server.restart(signal.SIGQUIT if number % 2 else signal.SIGINT)
        for writer in writers:
            writer.wait_for(len(writer.lines) + BETWEEN)
        acknowledged = [line for writer in writers for line in writer.finish()]
        assert len(acknowledged) > 2 * RESTARTS * BETWEEN
        _check_all_there_once(address, acknowledged)
        assert verify(address, REGISTRY).verdict is Verdict.VALID
