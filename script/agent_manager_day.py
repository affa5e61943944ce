"""Drives the Agent Manager of `examples/` through a day against a running auditseal, and verifies the log in the end.

Everything is real: the services and the agents are processes, the key is in a KMS (an emulator of it), and what goes
wrong does go wrong. Exit codes: 0 all was as it should be, 1 something was not, 4 no emulator, 130 interrupted.
"""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from typing import Any, NoReturn

from emulator import EmulatorError, free_port, running_emulator

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "examples"))

import httpx2  # noqa: E402 - the example is not installed

from agent_manager.errors import CannotDoError  # noqa: E402
from agent_manager.processes import Processes  # noqa: E402
from agent_manager.story import read_story  # noqa: E402
from agent_manager.users import add_user  # noqa: E402
from auditseal.core.event import parse_body  # noqa: E402
from auditseal.wiring.sources import open_source  # noqa: E402

PATIENCE_S = 60.0
OK, DENIED, AWAY = 200, 401, 503
STREAM = "agents"
AUDITSEAL = str(Path(sys.executable).with_name("auditseal"))
AGENT = [sys.executable, str(ROOT / "examples" / "agent_manager" / "agent.py"), "--beat-s", "0.3", "--alone-s", "120"]
# The pipe at its standard input ends when its parent does, even by SIGKILL, and the program ends with it.
BOOT = """
import os, runpy, signal, sys, threading
def end_with_parent():
    sys.stdin.buffer.read()
    os.kill(os.getpid(), signal.SIGTERM)
threading.Thread(target=end_with_parent, daemon=True).start()
sys.argv = sys.argv[1:]
if sys.argv[0] == "auditseal":
    from auditseal.cli.entry import main
    main()
else:
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
"""


class DayError(Exception):
    """Something was not as it should be."""


def say(text: str = "") -> None:
    """A line of the story."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def expect(condition: object, what: str) -> None:
    """Goes on if it is so."""
    if not condition:
        raise DayError(what)


def wait_until(condition: Callable[[], Any], what: str) -> None:
    """Waits until it is so."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        expect(time.monotonic() < deadline, f"in {PATIENCE_S:g} s this did not come true: {what}")
        time.sleep(0.05)


class Program:
    """A service of ours as a process, which may be ended and started again."""

    def __init__(self, *command: str, url: str, environment: dict[str, str], output: Path) -> None:
        self.url = url
        self._command = [sys.executable, "-c", BOOT, *command]
        self._environment = environment
        self._output = output
        self._process: subprocess.Popen[bytes] | None = None
        self._http = httpx2.Client(base_url=url, timeout=PATIENCE_S, trust_env=False)

    def start(self) -> None:
        """Starts it; returns when it answers."""
        with self._output.open("ab") as output:
            self._process = subprocess.Popen(
                self._command, stdin=subprocess.PIPE, stdout=output, stderr=output, env=self._environment
            )
        wait_until(self._is_up, f"{self._command[3]} answers (see {self._output})")

    def end(self, how: signal.Signals = signal.SIGTERM) -> None:
        """Ends it. Idempotent."""
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(how)
        try:
            process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        assert process.stdin is not None
        process.stdin.close()

    def status(self, path: str, method: str = "GET") -> int | None:
        """The status of an answer to somebody without a token; None without an answer."""
        with suppress(httpx2.TransportError):
            return self._http.request(method, path).status_code
        return None

    def close(self) -> None:
        """Ends it and releases connections. Idempotent."""
        self.end()
        self._http.close()

    def _is_up(self) -> bool:
        assert self._process is not None
        expect(self._process.poll() is None, f"it ended:\n{self._output.read_text()[-2000:]}")
        return self.status("/healthz") == OK


class User:
    """Somebody who gives orders."""

    def __init__(self, name: str, url: str, token: str) -> None:
        self.name = name
        self._http = httpx2.Client(
            base_url=url, headers={"Authorization": f"Bearer {token}"}, timeout=PATIENCE_S, trust_env=False
        )

    def close(self) -> None:
        """Releases connections."""
        self._http.close()

    def ask(self, method: str, path: str, *, key: str | None = None, json: Any = None) -> httpx2.Response:
        """Gives an order; whatever the answer is."""
        headers = {} if key is None else {"Idempotency-Key": key}
        return self._http.request(method, path, headers=headers, json=json)

    def order(self, method: str, path: str, *, key: str | None = None, json: Any = None) -> dict[str, Any]:
        """Gives an order, which must be carried out and be in the log twice: as a request and as done."""
        answer = self.ask(method, path, key=key, json=json)
        expect(answer.is_success, f"{method} {path} was answered {answer.status_code}: {answer.text}")
        told: dict[str, Any] = answer.json()
        expect(len(told["audit"]) == len(("request", "outcome")), f"{method} {path} does not say where the log has it")
        first, last = (where["seq"] for where in told["audit"])
        subject = told.get("agent") or told.get("template")
        say(f"    {self.name:<6} {told['outcome']:<11} {subject:<16} audit #{first}, #{last}")
        return told

    def state_of(self, agent: str) -> str:
        """What the manager says of an agent."""
        return str(self._http.get(f"/v1/agents/{agent}").json()["state"])

    def wait_for(self, agent: str, state: str) -> None:
        """Waits until an agent is in a state."""
        wait_until(lambda: self.state_of(agent) == state, f"{agent} is {state}")
        say(f"           {state:<11} {agent}")


def run_command(environment: dict[str, str], *command: str) -> str:
    """Runs an auditseal command that must succeed; what it said."""
    done = subprocess.run([AUDITSEAL, *command], env=environment, capture_output=True, text=True, check=False)
    expect(
        done.returncode == 0, f"auditseal {' '.join(command)} ended with {done.returncode}:\n{done.stderr}{done.stdout}"
    )
    return done.stdout


class Day:
    """One day in one folder."""

    def __init__(self, folder: Path, aws: dict[str, str]) -> None:
        self.folder = folder
        self.address = f"sqlite:///{folder / 'audit.db'}"
        self.signers = folder / "signers.json"
        ours = ("AUDIT", "REQUIRE_KMS", "DATABASE_URL", "AWS_")
        self.plain = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
        self.plain["PYTHONPATH"] = str(ROOT / "examples")
        self.signing = {
            **self.plain,
            **aws,
            "AUDIT_SIGNING_KMS_KEY_ID": "alias/agent-manager",
            "AUDIT_SIGNER_KID": "agent-manager-2026",
            "AUDITSEAL_SIGNERS": str(self.signers),
            "AUDITSEAL_LOG": self.address,
            "AUDITSEAL_TOKENS": str(folder / "tokens.json"),
            "REQUIRE_KMS": "true",
        }

    def set_up(self) -> tuple[Program, Program]:
        """A key in KMS, a log, a token; the service and the manager, not started yet."""
        named = ("--signer-id", "agent-manager-2026", "--signers", str(self.signers))
        run_command(
            {**self.signing, "AUDIT_SIGNING_KMS_KEY_ID": "", "AUDIT_SIGNER_KID": ""},
            *("keys", "create", "--algorithm", "ed25519", "--alias", "alias/agent-manager", *named),
        )
        run_command(self.signing, "init")
        caller = ("agent-manager", "--role", "producer", "--stream", STREAM)
        token = run_command(self.signing, "tokens", "create", *caller).strip()
        (self.folder / "manager").mkdir(mode=0o700)
        ports = free_port(), free_port()
        url, own_url = (f"http://127.0.0.1:{port}" for port in ports)
        audit = Program(
            *("auditseal", "serve", "--listen", f"127.0.0.1:{ports[0]}"),
            url=url,
            environment=self.signing,
            output=self.folder / "auditseal.log",
        )
        options = ("--port", str(ports[1]), "--stream", STREAM, "--silent-after-s", "4", "--stop-grace-s", "5")
        manager = Program(
            *("agent_manager", "--folder", str(self.folder / "manager"), "serve", *options),
            url=own_url,
            environment={**self.plain, "AUDITSEAL_LOG": url, "AUDITSEAL_TOKEN": token},
            output=self.folder / "manager.log",
        )
        return audit, manager

    def user(self, name: str, url: str) -> User:
        """A user with a token of the manager's."""
        return User(name, url, add_user(self.folder / "manager" / "users.json", name))

    def live(self, audit: Program, manager: Program, alice: User, bob: User) -> None:
        """The day."""
        say("\n  Morning: templates and agents")
        alice.order("POST", "/v1/templates", json={"name": "indexer", "command": AGENT})
        fragile = [*AGENT, "--exit-after-s", "1.5", "--exit-code", "3"]
        alice.order("POST", "/v1/templates", json={"name": "fragile", "command": fragile})
        first, second = (alice.order("POST", "/v1/agents", json={"template": "indexer"})["agent"] for _ in range(2))
        short = alice.order("POST", "/v1/agents", json={"template": "fragile"})["agent"]
        for agent in (first, second):
            alice.wait_for(agent, "running")
        alice.wait_for(short, "failed")

        say("\n  Who has no token orders nothing; an order that is sent twice is carried out once")
        expect(manager.status(f"/v1/agents/{first}/stop", "POST") == DENIED, "a stop without a token was not refused")
        key = "019b1c50-0000-7000-8000-000000000001"
        once = bob.order("POST", f"/v1/agents/{first}/restart", key=key)
        again = bob.order("POST", f"/v1/agents/{first}/restart", key=key)
        expect(once == again, "a repeated order was answered in another way")
        bob.wait_for(first, "running")

        say("\n  An agent hangs, and goes on")
        os.kill(once["pid"], signal.SIGSTOP)
        bob.wait_for(first, "silent")
        os.kill(once["pid"], signal.SIGCONT)
        bob.wait_for(first, "running")

        say("\n  The audit log is away: what is ordered is refused, and nothing changes")
        audit.end()
        before = bob.state_of(second)
        refusal = bob.ask("POST", f"/v1/agents/{second}/stop")
        expect(refusal.status_code == AWAY, f"the stop was answered {refusal.status_code}: {refusal.text}")
        expect(bob.state_of(second) == before, "the agent changed although the log was away")
        say(f"    bob    503         {second:<16} {refusal.json()['detail']}")
        expect(manager.status("/readyz") == AWAY, "the manager claims that the log knows all")
        audit.start()
        wait_until(lambda: manager.status("/readyz") == OK, "the manager is ready")
        say("           the log is back, and has the order as abandoned")

        say("\n  The manager is killed: its agents run on, one of them ends, and it finds out")
        manager.end(signal.SIGKILL)
        self._kill_behind_its_back(second)
        manager.start()
        alice.wait_for(first, "running")
        alice.wait_for(second, "failed")
        alice.order("POST", f"/v1/agents/{second}/start")
        alice.wait_for(second, "running")

        say("\n  Evening")
        bob.order("POST", f"/v1/agents/{first}/stop")
        for agent in (first, second, short):
            bob.order("DELETE", f"/v1/agents/{agent}")

    def _kill_behind_its_back(self, agent: str) -> None:
        """Kills an agent while there is no manager."""
        processes = Processes(self.folder / "manager" / "runs")
        with closing(sqlite3.connect(self.folder / "manager" / "state.db")) as state:
            (run,) = state.execute("SELECT run FROM agents WHERE id = ?", (agent,)).fetchone()
        pid = processes.pid(run)
        expect(pid is not None, "an agent ended with its manager")
        assert pid is not None
        os.killpg(pid, signal.SIGKILL)
        wait_until(lambda: not processes.is_alive(run), "the killed agent is gone")

    def check(self) -> None:
        """The log verifies offline, tells what the manager's state says, and every order in it has an end."""
        say("\n  Night: everything is stopped, KMS too. The log by itself:\n")
        for line in run_command(self.plain, "verify", self.address, "--signers", str(self.signers)).splitlines():
            say(f"    {line}")
        with closing(open_source(self.address)) as source:
            entries = list(source.walk([STREAM]))
        expect(all(entry.signatures and entry.signatures[0].request_id for entry in entries), "KMS did not sign all")
        bodies = [parse_body(entry.body) for entry in entries]
        story = read_story((body.type, body.payload) for body in bodies)
        expect(not story.faults, f"the log tells what cannot be: {story.faults}")
        expect(not story.unfinished, f"orders without an end: {story.unfinished}")
        with closing(sqlite3.connect(self.folder / "manager" / "state.db")) as state:
            states = dict(state.execute("SELECT id, state FROM agents").fetchall())
        expect(states == story.states, f"the manager has {states}, the log tells {story.states}")
        for wanted in ("agent.silent", "agent.heard", "agent.stop.abandoned", "agent.exited"):
            expect(any(body.type == wanted for body in bodies), f"the log does not tell of {wanted}")
        context = [body.context or {} for body in bodies]
        expect(all(each.get("caller") == "token:agent-manager" for each in context), "an event is not the manager's")
        ends = sum(body.type.endswith(".requested") for body in bodies)
        say(f"\n  {len(bodies)} events, {ends} orders, each with its end; the manager's state is what the log tells.")


@contextmanager
def agents_ended(folder: Path) -> Iterator[None]:
    """Ends the agents that are still there, whatever happened."""
    try:
        yield
    finally:
        runs = folder / "manager" / "runs"
        for run in runs.glob("*.out"):
            with suppress(CannotDoError):
                Processes(runs).stop(run.stem, grace_s=0.5)


def spend(folder: Path) -> None:
    """The day, from nothing to a verified log."""
    with ExitStack() as stack:
        emulator = stack.enter_context(running_emulator())
        day = Day(folder, emulator.environment())
        stack.enter_context(agents_ended(folder))
        audit, manager = day.set_up()
        stack.callback(audit.close)
        stack.callback(manager.close)
        audit.start()
        alice, bob = (day.user(name, manager.url) for name in ("alice", "bob"))
        stack.callback(alice.close)
        stack.callback(bob.close)
        manager.start()
        say("A day in the life of an Agent Manager")
        say(f"  KMS on {emulator.url}, auditseal on {audit.url}, the manager on {manager.url}")
        day.live(audit, manager, alice, bob)
    day.check()
    say(f"  Left for you: auditseal list --log {day.address} --stream {STREAM}")


def main() -> int:
    """The exit code."""
    signal.signal(signal.SIGTERM, _end)
    folder = Path(sys.argv[1] if sys.argv[1:] else "auditseal-agent-manager").absolute()
    if folder.exists() and any(folder.iterdir()):
        sys.stderr.write(f"script/agent-manager: {folder} is not empty: name another folder, or remove it\n")
        return 2
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        spend(folder)
    except DayError as error:
        sys.stderr.write(f"script/agent-manager: {error}\n")
        return 1
    except EmulatorError as error:
        sys.stderr.write(f"script/agent-manager: {error}\n")
        return 4
    except KeyboardInterrupt:
        return 130
    return 0


def _end(*_: object) -> NoReturn:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
