"""The simplest agent: it says that it lives, and ends when it is told to. Standard library alone.

    python agent.py [--beat-s S] [--alone-s S] [--exit-after-s S --exit-code N]

An agent whose manager does not come back ends by itself after `--alone-s`.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
import urllib.error
import urllib.request
from http import HTTPStatus


def main() -> int:
    """The agent's life; its exit code."""
    options = argparse.ArgumentParser()
    options.add_argument("--beat-s", type=float, default=1.0)
    options.add_argument("--alone-s", type=float, default=60.0)
    options.add_argument("--exit-after-s", type=float, default=float("inf"))
    options.add_argument("--exit-code", type=int, default=0)
    wanted = options.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    began = heard_at = time.monotonic()
    while time.monotonic() - began < wanted.exit_after_s:
        if beat():
            heard_at = time.monotonic()
        elif time.monotonic() - heard_at > wanted.alone_s:
            return 4
        time.sleep(wanted.beat_s)
    return int(wanted.exit_code)


def beat() -> bool:
    """Sends a heartbeat; whether there is a manager that knows this agent, though it may not take heartbeats now."""
    request = urllib.request.Request(  # noqa: S310 - the manager's own address
        f"{os.environ['AGENT_MANAGER_URL']}/v1/agents/{os.environ['AGENT_ID']}/heartbeat",
        headers={"Authorization": f"Bearer {os.environ['AGENT_SECRET']}"},
        method="POST",
    )
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=5):
            return True
    except urllib.error.HTTPError as error:
        with error:
            return error.code != HTTPStatus.NOT_FOUND
    except (OSError, urllib.error.URLError):
        return False


if __name__ == "__main__":
    sys.exit(main())
