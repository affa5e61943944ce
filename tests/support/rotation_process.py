"""A process that rotates or writes, made to be killed. It imports once and forks, so that a killed child costs little.

    python -m support.rotation_process kill FOLDER URL REGION         a rotation, killed at each thing it reaches
    python -m support.rotation_process write FOLDER URL REGION COUNT  writers that append until FOLDER/stop is there

Both end with a line of JSON.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

from auditseal.service.rotate.activate import activate
from auditseal.service.rotate.finish import disable, retire, verify
from auditseal.service.rotate.start import Wish, start
from support.rotating import ALIAS, Deployment

MOST_ATTEMPTS = 60


def rotate(deployment: Deployment, reached: Callable[[str], None]) -> None:
    """All of a rotation, from wherever it stands."""
    desk = deployment.desk(reached=reached)
    rotation = desk.rotations("default")[-1:] or [start(desk, Wish(overlap_s=0, alias=ALIAS))]
    rotation = start(desk, Wish(overlap_s=0, alias=ALIAS)) if rotation[0].is_under_way else rotation[0]
    disable(desk, retire(desk, verify(desk, activate(desk, rotation))))


class Killer:
    """Kills the process at the first thing it reaches that no process before it reached."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known = path.read_text().splitlines() if path.exists() else []
        self._counts: dict[str, int] = {}

    def __call__(self, what: str) -> None:
        self._counts[what] = self._counts.get(what, 0) + 1
        point = f"{what} {self._counts[what]}"
        if point not in self._known:
            with self._path.open("a") as file:
                file.write(f"{point}\n")
                file.flush()
                os.fsync(file.fileno())
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


def kill(deployment: Deployment) -> dict[str, object]:
    points = deployment.folder / "points"
    killed = 0
    for _ in range(MOST_ATTEMPTS):
        _, status = os.waitpid(in_child(lambda: rotate(deployment, Killer(points))), 0)
        if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL:
            killed += 1
            continue
        return {"killed": killed, "exit": os.waitstatus_to_exitcode(status), "points": points.read_text().splitlines()}
    return {"killed": killed, "exit": None}


def write(deployment: Deployment, count: int) -> dict[str, object]:
    def work(number: int) -> None:
        acknowledged = []
        with deployment.open_log(background=True) as log:
            (deployment.folder / f"ready-{number}").touch()
            while not (deployment.folder / "stop").exists():
                receipt = log.append("agent.spawned", {"writer": number, "n": len(acknowledged)})
                acknowledged.append([receipt.seq, receipt.id, receipt.status, receipt.signer])
        (deployment.folder / f"written-{number}.json").write_text(json.dumps(acknowledged))

    children = [in_child(lambda number=number: work(number)) for number in range(count)]
    return {"exits": [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]}


def main() -> None:
    mode, folder, url, region, *rest = sys.argv[1:]
    deployment = Deployment(Path(folder), url, region)
    outcome = kill(deployment) if mode == "kill" else write(deployment, int(rest[0]))
    sys.stdout.write(json.dumps(outcome) + "\n")


if __name__ == "__main__":
    main()
