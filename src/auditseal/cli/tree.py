"""The tree of commands. Each is imported when it is asked for, since importing them all takes longer than most run."""

from __future__ import annotations

from importlib import import_module
from typing import Any, Final, NamedTuple, cast

import typer
from typer.core import TyperGroup


class Place(NamedTuple):
    """A command that is not imported yet.

    Attributes:
        where: below `auditseal.cli`, its function, or the group of its commands.
        short: what it does, in a line of the root's help.
    """

    where: str
    short: str


COMMANDS: Final = {
    "init": Place("log:init", "Create a log, or bring an older one up to date."),
    "append": Place("log:append", "Append one event and print its receipt."),
    "ingest": Place("log:ingest", "Append many events from NDJSON."),
    "list": Place("log:list_entries", "List entries by stream and seq, a page at a time."),
    "show": Place("log:show", "Show one entry with all its parts."),
    "verify": Place("verify:verify", "Verify a log, an export or a proof, offline."),
    "explain": Place("verify:explain", "Explain one entry: what was expected, and what is there."),
    "prove": Place("prove:prove", "Write a file that proves one entry without the log."),
    "export": Place("transfer:export", "Write a log's entries to a file that verifies by itself."),
    "import": Place("transfer:import_", "Add another log's entries where they follow this log's."),
    "adopt": Place("adopt:adopt", "Start a stream with a statement of an Agent Manager's rows."),
    "sign-pending": Place("log:sign_pending", "Sign the entries whose signature is due."),
    "doctor": Place("doctor:doctor", "Check credentials, key, registry, settings and database."),
    "guard": Place("guard:guard", "Fail unless the KMS key alone can sign, in CI."),
    "review": Place("review:review", "Write the security review of a key: who can sign, and how."),
    "reconcile": Place("reconcile:reconcile", "Join the log's signatures with the calls that AWS recorded."),
    "serve": Place("serve:serve", "Run the log as an HTTP service."),
    "demo": Place("demo.command:demo", "Show the whole story: sign, verify, tamper, be caught."),
    "checkpoint": Place("checkpoint:app", "Checkpoints: signed statements of a stream's size and root."),
    "anchor": Place("anchor:app", "Anchors: checkpoints that the operator cannot rewrite."),
    "witness": Place("witness:app", "Be a witness of other logs."),
    "keys": Place("keys:app", "Keys in AWS KMS."),
    "signers": Place("signers:app", "The accepted signers: signers.json."),
    "rotate": Place("rotate:app", "Rotate keys: plan, start, activate, verify, retire, disable."),
    "policy": Place("policy.app:app", "IAM and key policies: generate, lint, simulate, check."),
    "tokens": Place("tokens:app", "API tokens of the service."),
    "config": Place("settings:app", "The settings in force."),
}


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

    def format_commands(self, ctx: Any, formatter: Any) -> None:  # noqa: ARG002 - the base class's
        """Writes what each command does, of which none is imported for that."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, place.short) for name, place in COMMANDS.items()])

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
    module, _, attribute = COMMANDS[name].where.partition(":")
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
