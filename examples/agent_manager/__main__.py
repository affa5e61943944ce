"""python -m agent_manager serve | add-user NAME; see the README beside."""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path

import uvicorn

from agent_manager.errors import ManagerError
from agent_manager.manager import Manager, Settings
from agent_manager.processes import Processes
from agent_manager.state import StateStore
from agent_manager.trail import Trail
from agent_manager.users import add_user, load_users
from agent_manager.web import create_app
from auditseal.client import Client
from auditseal.config import load_settings
from auditseal.errors import AuditSealError

_RETRY_FOR_S = 3.0
"""How long an order waits for an audit log that is away, before it is refused."""


def main() -> int:
    """The exit code."""
    parser = argparse.ArgumentParser(prog="agent_manager")
    parser.add_argument("--folder", type=Path, default=Path("agent-manager"), help="of its state")
    commands = parser.add_subparsers(dest="command", required=True)
    serving = commands.add_parser("serve", help="run it; AUDITSEAL_LOG and AUDITSEAL_TOKEN say where it records")
    serving.add_argument("--port", type=int, default=8430)
    serving.add_argument("--stream", default="agents")
    serving.add_argument("--silent-after-s", type=float, default=15.0)
    serving.add_argument("--stop-grace-s", type=float, default=5.0)
    commands.add_parser("add-user", help="make a token and print it, this once").add_argument("name")
    wanted = parser.parse_args()
    wanted.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if wanted.command == "add-user":
        sys.stdout.write(add_user(wanted.folder / "users.json", wanted.name) + "\n")
        return 0
    try:
        return serve(wanted)
    except (ManagerError, AuditSealError) as error:
        sys.stderr.write(f"agent_manager: {error}\n")
    except FileNotFoundError:
        sys.stderr.write(
            f"agent_manager: nobody could call: python -m agent_manager --folder {wanted.folder} add-user NAME\n"
        )
    return 2


def serve(wanted: argparse.Namespace) -> int:
    """Runs the service until SIGTERM; agents run on without it."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    logging.getLogger("httpx2").setLevel(logging.WARNING)
    users = load_users(wanted.folder / "users.json")
    audit = load_settings({}).settings
    if audit.log is None:
        sys.stderr.write("agent_manager: no audit log: set AUDITSEAL_LOG and AUDITSEAL_TOKEN\n")
        return 2
    token = None if audit.token is None else audit.token.get_secret_value()
    state = StateStore(wanted.folder / "state.db")
    try:
        with Client(audit.log, token=token, retry_for_s=_RETRY_FOR_S) as client:
            manager = Manager(
                state,
                Processes(wanted.folder / "runs"),
                Trail(client, stream=wanted.stream),
                Settings(
                    url=f"http://127.0.0.1:{wanted.port}",
                    silent_after_s=wanted.silent_after_s,
                    stop_grace_s=wanted.stop_grace_s,
                ),
            )
            uvicorn.run(create_app(manager, users), host="127.0.0.1", port=wanted.port, log_level="warning")
    finally:
        state.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
