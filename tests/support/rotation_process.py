"""A process that rotates or writes, made to be killed. It imports once and forks, so that a killed child costs little.

    python -m support.rotation_process write FOLDER URL REGION WRITERS             append until FOLDER/stop is there
    python -m support.rotation_process kill FOLDER URL REGION WRITERS [ALGORITHM…] beneath them a rotation, or one to
                                                                  each algorithm, killed at each thing that it reaches

It ends with a line of JSON.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from auditseal.adapters.signers.aws_kms import KmsMacVerifier
from auditseal.core.rotation import Step
from auditseal.service.rotate.activate import activate
from auditseal.service.rotate.finish import disable, retire, verify
from auditseal.service.rotate.start import Wish, start
from support.kms import open_calls_to, shared_calls_to
from support.rotating import Deployment

MOST_ATTEMPTS = 60
PAUSE_S = 0.05
GRACE_S = 0.05
"""How long a rotation leaves to writers what they are just signing: each death before a signature costs as much."""


def rotate(deployment: Deployment, reached: Callable[[str], None], algorithm: str | None = None) -> None:
    """All of a rotation, from wherever it stands; to an algorithm, unless the last one went there."""
    desk = deployment.desk(reached=reached, grace_s=GRACE_S)
    macs = KmsMacVerifier(shared_calls_to(deployment.url, deployment.region)) if algorithm == "hmac-sha256" else None
    last = next(reversed(desk.rotations("default")), None)
    if last is None or last.is_under_way or (last.next_action is None and algorithm not in (None, last.algorithm)):
        last = start(desk, Wish(overlap_s=0, alias=deployment.alias, algorithm=algorithm))
    rotation = activate(desk, last)
    if not rotation.reached(Step.VERIFIED):  # it may be done again, and verifies all of the log each time
        rotation = verify(desk, rotation, mac_verifier=macs)
    disable(desk, retire(desk, rotation), mac_verifier=macs)


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
            self._known.append(point)
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


def kill(deployment: Deployment, algorithms: list[str]) -> dict[str, object]:
    """A rotation killed at everything it reaches; or one after another to each algorithm."""
    killed = 0
    points: list[str] = []
    for number, algorithm in enumerate(algorithms or [None]):
        path = deployment.folder / f"points-{number}"
        for _ in range(MOST_ATTEMPTS):
            killer = Killer(path)
            work = in_child(lambda killer=killer, algorithm=algorithm: rotate(deployment, killer, algorithm))
            status = os.waitpid(work, 0)[1]
            if not os.WIFSIGNALED(status) or os.WTERMSIG(status) != signal.SIGKILL:
                break
            killed += 1
        points += path.read_text().splitlines()
        if os.waitstatus_to_exitcode(status):
            return {"killed": killed, "exit": os.waitstatus_to_exitcode(status), "algorithm": algorithm}
    return {"killed": killed, "exit": 0, "points": points}


def start_writers(deployment: Deployment, count: int) -> list[int]:
    """Processes that append until a file says stop; their ids."""

    def work(number: int) -> None:
        acknowledged = []
        with deployment.open_log(background=True) as log:
            (deployment.folder / f"ready-{number}").touch()
            while not (deployment.folder / "stop").exists():
                receipt = log.append("agent.spawned", {"writer": number, "n": len(acknowledged)})
                acknowledged.append([receipt.seq, receipt.id, receipt.status, receipt.signer])
                time.sleep(PAUSE_S)
        (deployment.folder / f"written-{number}.json").write_text(json.dumps(acknowledged))

    return [in_child(lambda number=number: work(number)) for number in range(count)]


def warm_up(url: str, region: str) -> None:
    """Does once, before forking, what each child would do anew: all that is imported and made for a first call."""
    with closing(open_calls_to(url, region)) as calls:
        calls.call("ListKeys", {})
    shared_calls_to(url, region)


def main() -> None:
    mode, folder, url, region, *rest = sys.argv[1:]
    deployment = Deployment(Path(folder), url, region)
    warm_up(url, region)
    writers = start_writers(deployment, int(rest[0]))
    outcome: dict[str, object] = {}
    if mode == "kill":
        outcome = kill(deployment, rest[1:])
        (deployment.folder / "stop").touch()
    exits = [os.waitstatus_to_exitcode(os.waitpid(writer, 0)[1]) for writer in writers]
    sys.stdout.write(json.dumps({**outcome, "exits": exits}) + "\n")


if __name__ == "__main__":
    main()
