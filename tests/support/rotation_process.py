"""A process that rotates or writes, made to be killed. It imports once and forks, so that a killed child costs little.

    python -m support.rotation_process kill FOLDER URL REGION         a rotation, killed at each thing it reaches
    python -m support.rotation_process kill FOLDER URL REGION ALGORITHM…    one to each, killed at a part of it
    python -m support.rotation_process write FOLDER URL REGION COUNT  writers that append until FOLDER/stop is there

Both end with a line of JSON.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path

from auditseal.adapters.signers.aws_kms import KmsMacVerifier
from auditseal.service.rotate.activate import activate
from auditseal.service.rotate.finish import disable, retire, verify
from auditseal.service.rotate.start import Wish, start
from support.kms import shared_calls_to
from support.rotating import Deployment

MOST_ATTEMPTS = 60
PAUSE_S = 0.01
PARTS = 9
"""Of several rotations each is killed at every so many of the things it reaches, each at others."""


def rotate(deployment: Deployment, reached: Callable[[str], None], algorithm: str | None = None) -> None:
    """All of a rotation, from wherever it stands; to an algorithm, unless the last one went there."""
    desk = deployment.desk(reached=reached)
    macs = KmsMacVerifier(shared_calls_to(deployment.url, deployment.region)) if algorithm == "hmac-sha256" else None
    last = next(reversed(desk.rotations("default")), None)
    if last is None or last.is_under_way or (last.next_action is None and algorithm not in (None, last.algorithm)):
        last = start(desk, Wish(overlap_s=0, alias=deployment.alias, algorithm=algorithm))
    rotation = retire(desk, verify(desk, activate(desk, last), mac_verifier=macs))
    disable(desk, rotation, mac_verifier=macs)


class Killer:
    """Kills the process at the first thing it reaches that no process before it reached, or at every so many such."""

    def __init__(self, path: Path, *, every: int = 1, offset: int = 0) -> None:
        self._path = path
        self._known = path.read_text().splitlines() if path.exists() else []
        self._counts: dict[str, int] = {}
        self._every, self._offset = every, offset

    def __call__(self, what: str) -> None:
        self._counts[what] = self._counts.get(what, 0) + 1
        point = f"{what} {self._counts[what]}"
        if point not in self._known:
            self._known.append(point)
            with self._path.open("a") as file:
                file.write(f"{point}\n")
                file.flush()
                os.fsync(file.fileno())
            if len(self._known) % self._every == self._offset:
                os.kill(os.getpid(), signal.SIGKILL)


def in_child(work: Callable[[], None]) -> int:
    """Does work in a forked process; the process's id."""
    pid = os.fork()
    if pid:
        return pid
    try:
        work()
    except BaseException:  # noqa: BLE001 - a forked child must end here, whatever happens
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def kill(deployment: Deployment, algorithms: list[str]) -> dict[str, object]:
    """One rotation killed at everything it reaches; or one after another to each algorithm, each at a part of it."""
    killed = 0
    points: list[str] = []
    for number, algorithm in enumerate(algorithms or [None]):
        path = deployment.folder / f"points-{number}"
        every = PARTS if algorithms else 1
        for _ in range(MOST_ATTEMPTS):
            killer = Killer(path, every=every, offset=number % every)
            work = in_child(lambda killer=killer, algorithm=algorithm: rotate(deployment, killer, algorithm))
            status = os.waitpid(work, 0)[1]
            if not os.WIFSIGNALED(status) or os.WTERMSIG(status) != signal.SIGKILL:
                break
            killed += 1
        points += path.read_text().splitlines()
        if os.waitstatus_to_exitcode(status):
            return {"killed": killed, "exit": os.waitstatus_to_exitcode(status), "algorithm": algorithm}
    return {"killed": killed, "exit": 0, "points": points}


def write(deployment: Deployment, count: int) -> dict[str, object]:
    def work(number: int) -> None:
        acknowledged = []
        with deployment.open_log(background=True) as log:
            (deployment.folder / f"ready-{number}").touch()
            while not (deployment.folder / "stop").exists():
                receipt = log.append("agent.spawned", {"writer": number, "n": len(acknowledged)})
                acknowledged.append([receipt.seq, receipt.id, receipt.status, receipt.signer])
                time.sleep(PAUSE_S)
        (deployment.folder / f"written-{number}.json").write_text(json.dumps(acknowledged))

    children = [in_child(lambda number=number: work(number)) for number in range(count)]
    return {"exits": [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]}


def main() -> None:
    mode, folder, url, region, *rest = sys.argv[1:]
    deployment = Deployment(Path(folder), url, region)
    outcome = kill(deployment, rest) if mode == "kill" else write(deployment, int(rest[0]))
    sys.stdout.write(json.dumps(outcome) + "\n")


if __name__ == "__main__":
    main()
