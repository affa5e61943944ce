"""config show: every setting, its value and where it came from."""

from __future__ import annotations

import os

import typer

from auditseal.cli.options import LogOption, OutputOption, SignersOption, emit, json_text, parse_outputs

app = typer.Typer(no_args_is_help=True, help="The settings in force.")


@app.callback()
def group() -> None:
    """The settings in force."""


@app.command()
def show(log: LogOption = None, signers: SignersOption = None, output: OutputOption = None) -> None:
    """Show every setting, its value and where it came from; secrets are masked."""
    from auditseal.config import ENVIRONMENT, SHOWN_AWS_NAMES, load_settings, masked, shown_value

    outputs = parse_outputs(output, ("text", "json"))
    loaded = load_settings({"log": log, "signers": signers})
    rows = [
        (name, ENVIRONMENT[name][0], shown_value(loaded.settings, name), loaded.origins.get(name, "default"))
        for name in ENVIRONMENT
    ]
    rows += [
        (name.lower(), name, masked(os.environ[name]), f"environment {name}")
        for name in SHOWN_AWS_NAMES
        if name in os.environ
    ]
    widths = [max(len(str(row[index] if row[index] is not None else "-")) for row in rows) for index in (1, 2)]
    emit(
        outputs,
        {
            "text": lambda: "\n".join(
                f"{variable:<{widths[0]}}  {'-' if value is None else str(value):<{widths[1]}}  {origin}"
                for _, variable, value, origin in rows
            ),
            "json": lambda: json_text(
                {
                    "schema_version": 1,
                    "settings": [
                        {"name": name, "variable": variable, "value": value, "origin": origin}
                        for name, variable, value, origin in rows
                    ],
                }
            ),
        },
    )
