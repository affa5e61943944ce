"""The tree of commands. Each is imported when it is asked for, since importing them all takes longer than most run."""

from __future__ import annotations

from importlib import import_module
from typing import Any, Final, cast

import typer
from typer.core import TyperGroup

COMMANDS: Final = {
    "init": "log:init",
    "append": "log:append",
    "ingest": "log:ingest",
    "list": "log:list_entries",
    "show": "log:show",
    "verify": "verify:verify",
    "explain": "verify:explain",
    "prove": "prove:prove",
    "export": "transfer:export",
    "import": "transfer:import_",
    "adopt": "adopt:adopt",
    "sign-pending": "log:sign_pending",
    "doctor": "doctor:doctor",
    "guard": "guard:guard",
    "review": "review:review",
    "reconcile": "reconcile:reconcile",
    "serve": "serve:serve",
    "demo": "demo.command:demo",
    "checkpoint": "checkpoint:app",
    "anchor": "anchor:app",
    "witness": "witness:app",
    "keys": "keys:app",
    "signers": "signers:app",
    "rotate": "rotate:app",
    "policy": "policy.app:app",
    "tokens": "tokens:app",
    "config": "settings:app",
}
"""By name, where below `auditseal.cli` its function is, or the group of its commands."""


class CommandTree(TyperGroup):
    """The root, whose commands are those of `COMMANDS`."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002 - the base class's
        """The names, in the order in which they are shown."""
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002 - the base class's
        """The command of a name; None if there is none."""
        if cmd_name in COMMANDS and cmd_name not in self.commands:
            self.commands[cmd_name] = _load(cmd_name)
        return self.commands.get(cmd_name)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The command that the arguments begin with; for one that does not exist, all are looked at for a like one."""
        if args[0] not in COMMANDS:
            for name in COMMANDS:
                self.get_command(ctx, name)
        return super().resolve_command(ctx, args)


def new_app(**settings: Any) -> typer.Typer:
    """A Typer as all of ours are."""
    return typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False, **settings)


def _load(name: str) -> Any:
    module, _, attribute = COMMANDS[name].partition(":")
    found = getattr(import_module(f"auditseal.cli.{module}"), attribute)
    around = new_app()
    around.callback()(_nothing)
    if isinstance(found, typer.Typer):
        around.add_typer(found, name=name)
    else:
        around.command(name)(found)
    return cast("TyperGroup", typer.main.get_command(around)).commands[name]


def _nothing() -> None:
    """Makes a group of what would else be one command."""
