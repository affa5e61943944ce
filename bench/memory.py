"""Peak memory of verification: 1,000,000 entries against 20,000, each in a process of its own."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from common import Result, print_results, run_isolated
from logs import make_log, make_signer

SMALL, LARGE = 20_000, 1_000_000
_CODE = """
import json, resource, sys
import auditseal
report = auditseal.verify(sys.argv[1], sys.argv[2])
assert report.verdict == "valid" and report.checked["entries"] == int(sys.argv[3])
print(json.dumps({"peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}))
"""


def peak_mb(folder: Path, count: int) -> float:
    path = folder / f"{count}.db"
    signers = make_log(path, count, make_signer("ed25519"))
    figure = run_isolated(_CODE, f"sqlite:///{path}", str(signers), str(count))["peak_mb"]
    path.unlink()
    return figure


def measure() -> list[Result]:
    with tempfile.TemporaryDirectory(dir=".") as name:
        small, large = (peak_mb(Path(name).resolve(), count) for count in (SMALL, LARGE))
    return [
        Result(
            what="peak memory of verify, 1,000,000 entries against 20,000",
            ours=f"{large:.0f} MB",
            theirs=f"{small:.0f} MB",
            ratio=large / small,
            goal="at most 1.2",
            met=large / small <= 1.2,
        )
    ]


if __name__ == "__main__":
    sys.exit(print_results(measure()))
