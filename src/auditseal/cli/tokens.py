"""tokens: create, list and revoke the API tokens of the service."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from auditseal.cli.exits import Exit
from auditseal.cli.options import OutputOption, emit, json_lines, json_text, parse_outputs
from auditseal.errors import InputError, NotFoundError

if TYPE_CHECKING:
    from auditseal.core.api_token import ApiToken

app = typer.Typer(no_args_is_help=True, help="API tokens of the service.")
TokensOption = Annotated[
    Path | None, typer.Option("--tokens", metavar="FILE", help="The file with their hashes. [AUDITSEAL_TOKENS]")
]


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="Of the caller, as it is recorded in events: agent-manager.")],
    role: Annotated[list[str], typer.Option("--role", help="producer, auditor or operator; may be repeated.")],
    stream: Annotated[
        list[str],
        typer.Option("--stream", metavar="PATTERN", help="Its streams, such as agents/*; may be repeated."),
    ],
    days: Annotated[int | None, typer.Option("--days", min=1, max=36500, help="How long it is good for.")] = None,
    tokens: TokensOption = None,
    output: OutputOption = None,
) -> None:
    """Make a token and print it, this once: only its hash is kept."""
    from auditseal.adapters.callers.token_file import update_tokens
    from auditseal.core.api_token import RANDOM_BYTES, mint
    from auditseal.core.times import Micros, format_time
    from auditseal.service.ids import now_micros

    outputs = parse_outputs(output, ("text", "json"))
    now = now_micros()
    lasts = None if days is None else timedelta(days=days) // timedelta(microseconds=1)
    text, token = mint(
        os.urandom(RANDOM_BYTES),
        name=name,
        roles=role,
        streams=stream,
        created=format_time(now),
        expires=None if lasts is None else format_time(Micros(now + lasts)),
    )
    update_tokens(_path(tokens), lambda kept: [*kept, token])
    emit(
        outputs,
        {
            "text": lambda: text,
            "json": lambda: json_text({"schema_version": 1, "token": text, **_members(token)}),
        },
    )


@app.command("list")
def list_tokens(tokens: TokensOption = None, output: OutputOption = None) -> int:
    """List the tokens: who holds them, what for, and whether they are still good."""
    from auditseal.adapters.callers.token_file import load_tokens

    outputs = parse_outputs(output, ("text", "json", "jsonl"))
    rows = [_members(token) for token in load_tokens(_path(tokens))]
    emit(
        outputs,
        {
            "text": lambda: (
                "\n".join(
                    f"{row['id']}  {row['status']:<7}  {row['name']}  {','.join(row['roles'])}  "
                    f"{' '.join(row['streams'])}  {row['expires'] or 'does not expire'}"
                    for row in rows
                )
                or "no tokens"
            ),
            "json": lambda: json_text({"schema_version": 1, "tokens": rows}),
            "jsonl": lambda: json_lines(rows),
        },
    )
    return Exit.GOOD if rows else Exit.INCONCLUSIVE


@app.command()
def revoke(
    id_: Annotated[str, typer.Argument(metavar="ID", help="As tokens list shows it: 12 characters.")],
    tokens: TokensOption = None,
    output: OutputOption = None,
) -> None:
    """Revoke a token; running services refuse it within seconds."""
    from dataclasses import replace

    from auditseal.adapters.callers.token_file import update_tokens
    from auditseal.core.times import format_time
    from auditseal.service.ids import now_micros

    outputs = parse_outputs(output, ("text", "json"))
    path = _path(tokens)

    def change(kept: list[ApiToken]) -> list[ApiToken]:
        if not any(token.id == id_ for token in kept):
            raise NotFoundError(f"{path} has no token {id_[:40]!r}: auditseal tokens list shows them")
        now = format_time(now_micros())
        return [replace(token, revoked=token.revoked or now) if token.id == id_ else token for token in kept]

    update_tokens(path, change)
    emit(
        outputs,
        {"text": lambda: f"Revoked {id_}", "json": lambda: json_text({"schema_version": 1, "revoked": id_})},
    )


def _path(given: Path | None) -> Path:
    from auditseal.config import load_settings

    path = load_settings({"tokens": given}).settings.tokens
    if path is None:
        raise InputError("which token file is not said: give --tokens FILE, or set AUDITSEAL_TOKENS")
    return path


def _members(token: ApiToken) -> dict[str, Any]:
    from auditseal.core.times import format_time
    from auditseal.service.ids import now_micros

    return {
        "id": token.id,
        "name": token.name,
        "roles": sorted(token.roles),
        "streams": list(token.streams),
        "created": token.created,
        "expires": token.expires,
        "status": token.status_at(format_time(now_micros())),
    }
