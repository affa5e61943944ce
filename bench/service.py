"""The HTTP service on PostgreSQL with a local signer, under the load of wrk (which is installed where it is missing).

Single events: 64 connections, each event acknowledged when it is signed, against an endpoint of the same process that
reads the same body and answers. Batches: two replicas, NDJSON, acknowledged when durable; a batch's events count when
its answer has come. Their signatures follow: in a log of checkpoints one for many, in a log of signed events each its
own, of which so many as are named were stored when the load ended. Everything shares the machine: PostgreSQL (with
fsync), the replicas and wrk.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from common import ROOT, Result, in_turns, print_results

sys.path.insert(0, str(ROOT / "tests"))
sys.path.insert(0, str(ROOT / "script"))
from auditseal.config import load_settings
from auditseal.wiring.logs import init_log
from auditseal.wiring.sources import open_store
from support.postgres_server import running_postgres
from support.service import Replica, Replicas, make_token, service_environment

CLIENTS, ROUNDS, SECONDS = 64, 5, 4
LINES, SENDERS, BATCH_SECONDS, GOAL = 1000, 4, 10, 20_000
_MODES = {"checkpoint": "a signature for each checkpoint", "event": "a signature for each event"}
_EVENT = {
    "type": "agent.heartbeat",
    "actor": "agent:a-1",
    "payload": {"agent_id": "a-1", "state": "running", "cpu": 0.25, "note": "x" * 60},
}


def need_wrk() -> str:
    """The path of wrk, from Debian's package if need be."""
    if shutil.which("wrk") is None:
        if os.geteuid() != 0 or shutil.which("apt-get") is None:
            sys.exit("this benchmark needs wrk: install the package wrk, and run it again")
        for command in (["apt-get", "update", "-qq"], ["apt-get", "install", "-y", "-qq", "wrk"]):
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return str(shutil.which("wrk"))


class Load:
    """One body, sent by wrk."""

    def __init__(self, folder: Path, token: str, body: bytes, media_type: str) -> None:
        with tempfile.NamedTemporaryFile(dir=folder, delete=False) as file:
            file.write(body)
        self._environment = os.environ | {"BENCH_BODY": file.name, "BENCH_TYPE": media_type, "BENCH_TOKEN": token}

    def start(self, url: str, *, connections: int, seconds: float) -> subprocess.Popen[str]:
        command = [need_wrk(), "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "30s"]
        script = str(ROOT / "bench" / "load.lua")
        return subprocess.Popen([*command, "-s", script, url], env=self._environment, stdout=subprocess.PIPE, text=True)


def counted(process: subprocess.Popen[str]) -> dict[str, float]:
    """What wrk counted; ends the benchmark if a request failed."""
    out, _ = process.communicate()
    figures: dict[str, float] = json.loads(out.splitlines()[-1])
    if process.returncode or figures["failed"] or not figures["requests"]:
        sys.exit(f"the load failed: {figures}")
    return figures


@contextlib.contextmanager
def serving(**further: str) -> Iterator[tuple[Replicas, str, str, Path]]:
    """Replicas on a new PostgreSQL log, its address, a token, and a folder; `further` settings are the replicas'."""
    with running_postgres() as server, tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        address = server.url(server.create_database())
        os.chdir(folder)  # where a log without a folder of its own has its development key
        init_log(load_settings({"log": address}, environment={}, folder=folder).settings)
        token = make_token(folder / "tokens.json")
        environment = service_environment(
            AUDITSEAL_LOG=address,
            AUDITSEAL_TOKENS=str(folder / "tokens.json"),
            AUDITSEAL_RATE_LIMIT_PER_S="0",
            **further,
        )
        replicas = Replicas(folder, environment)
        try:
            yield replicas, address, token, folder
        finally:
            replicas.close()
            os.chdir(ROOT)


def single() -> Result:
    with serving() as (replicas, _, token, folder):
        replica = replicas.start(program=ROOT / "bench" / "noop_server.py")
        load = Load(folder, token, json.dumps(_EVENT).encode(), "application/json")

        def per_second(path: str) -> float:
            figures = counted(load.start(replica.url + path, connections=CLIENTS, seconds=SECONDS))
            return figures["requests"] / figures["seconds"]

        per_second("/noop"), per_second("/v1/streams/bench/events")  # both sides warm
        mine, theirs = in_turns(ROUNDS, lambda: per_second("/v1/streams/bench/events"), lambda: per_second("/noop"))
    return Result(
        what=f"single events over HTTP, {CLIENTS} clients, signed",
        ours=f"{mine:,.0f} events/s",
        theirs=f"no-op endpoint {theirs:,.0f} requests/s",
        ratio=mine / theirs,
        goal="at least 0.5",
        met=mine / theirs >= 0.5,
    )


def batches(mode: str) -> Result:
    settings = {"AUDITSEAL_SIGNING_MODE": mode}
    if mode == "checkpoint":
        settings["AUDITSEAL_ORIGIN"] = "example.com/bench"
    with serving(**settings) as (replicas, address, token, folder):
        running: list[Replica] = [replicas.start(ready=True) for _ in range(2)]
        body = (json.dumps(_EVENT) + "\n").encode() * LINES
        load = Load(folder, token, body, "application/x-ndjson")
        query = "events:batch?ack=durable"
        senders = [
            load.start(f"{replica.url}/v1/streams/bench-{number}/{query}", connections=SENDERS, seconds=BATCH_SECONDS)
            for number, replica in enumerate(running)
        ]
        figures = [counted(sender) for sender in senders]
        rate = sum(LINES * one["requests"] / one["seconds"] for one in figures)
        with closing(open_store(address, read_only=True)) as store:
            stored = sum(head.seq + 1 for head in store.streams())
            signed = stored - store.count_pending()
        told = LINES * sum(one["requests"] for one in figures)
        assert stored >= told, f"{told:,.0f} events were acknowledged, and {stored:,} are in the log"
    return Result(
        what=f"events over HTTP in NDJSON batches of {LINES:,}, two replicas, durable, {_MODES[mode]}",
        ours=f"{rate:,.0f} events/s, {signed / stored:.0%} signed by the end",
        theirs=f"the goal, {GOAL:,} events/s on two cores",
        ratio=rate / GOAL,
        goal="at least 1",
        met=rate >= GOAL,
    )


def measure() -> list[Result]:
    need_wrk()
    return [single(), *map(batches, _MODES)]


if __name__ == "__main__":
    sys.exit(print_results(measure()))
