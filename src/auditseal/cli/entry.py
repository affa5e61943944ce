"""The `auditseal` command: the tree of commands, and the one place where errors become a line and an exit code."""

from __future__ import annotations

import os
import sys
from functools import lru_cache
from typing import Annotated, Any

import typer
from typer.exceptions import TyperException

from auditseal.cli.exits import Exit, exit_of_error
from auditseal.cli.options import drop_stdout
from auditseal.cli.printable import printable
from auditseal.cli.tree import CommandTree, new_app
from auditseal.errors import AuditSealError

app = new_app(
    name="auditseal",
    cls=CommandTree,
    help="A tamper-evident audit log, chained by hash and signed by AWS KMS, that anybody can verify offline.",
    no_args_is_help=True,
)


def _print_version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        print(f"auditseal {version('auditseal')}")
        raise typer.Exit


@app.callback()
def root(
    _version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """A tamper-evident audit log, chained by hash and signed by AWS KMS, that anybody can verify offline."""


@lru_cache(maxsize=1)
def _tree() -> Any:
    return typer.main.get_command(app)


def main() -> None:
    """Runs the command of this process's arguments and exits with its code."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Runs a command; its exit code. Nothing but the code and one line tells of an error."""
    try:
        result = _tree()(arguments, prog_name="auditseal", standalone_mode=False)
    except AuditSealError as error:
        return _say(str(error), exit_of_error(error))
    except typer.Exit as exit_:
        return exit_.exit_code
    except (typer.Abort, KeyboardInterrupt):
        return _say("interrupted", Exit.INTERRUPTED)
    except TyperException as error:
        return _say_usage(error.format_message())
    except BrokenPipeError:
        # The reader of our output went away (`| head`) before the command had its result, so it has none.
        drop_stdout()
        return Exit.INTERRUPTED
    except Exception as error:
        if os.environ.get("AUDITSEAL_TEST_TRACEBACK"):
            raise
        return _say(f"internal error ({type(error).__name__}); please report it with the command", Exit.INTERNAL)
    return int(result or 0)


def _say_usage(message: str) -> int:
    if message.startswith("Usage:"):
        print(message, file=sys.stderr)
        return Exit.USAGE
    return _say(f"{message.rstrip('.')}; see --help", Exit.USAGE)


def _say(message: str, code: Exit) -> int:
    line = printable(" ".join(message.split()))
    print(f"auditseal: {line}", file=sys.stderr)
    return int(code)
