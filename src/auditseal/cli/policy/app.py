"""The policy commands in one place."""

from __future__ import annotations

import typer

from auditseal.cli.policy.check import check, cost
from auditseal.cli.policy.generate import generate
from auditseal.cli.policy.lint import lint
from auditseal.cli.policy.simulate import simulate, who_can

app = typer.Typer(no_args_is_help=True, help="IAM and key policies: generate, lint, simulate, check.")
app.command()(generate)
app.command()(lint)
app.command()(simulate)
app.command("who-can")(who_can)
app.command()(check)
app.command()(cost)
