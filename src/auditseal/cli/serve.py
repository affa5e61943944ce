"""serve: run the log as an HTTP service."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from auditseal.cli.options import LogOption, SignersOption
from auditseal.errors import ConfigError

_FILE = "FILE"


def serve(
    log: LogOption = None,
    signers: SignersOption = None,
    listen: Annotated[
        str | None, typer.Option("--listen", metavar="HOST:PORT", help="By default 127.0.0.1:8420. [AUDITSEAL_LISTEN]")
    ] = None,
    tokens: Annotated[
        Path | None, typer.Option("--tokens", metavar=_FILE, help="The API tokens. [AUDITSEAL_TOKENS]")
    ] = None,
    tls_cert: Annotated[
        Path | None, typer.Option("--tls-cert", metavar=_FILE, help="Certificate chain, PEM. [AUDITSEAL_TLS_CERT]")
    ] = None,
    tls_key: Annotated[
        Path | None, typer.Option("--tls-key", metavar=_FILE, help="Its key, PEM. [AUDITSEAL_TLS_KEY]")
    ] = None,
    tls_client_ca: Annotated[
        Path | None,
        typer.Option("--tls-client-ca", metavar=_FILE, help="Require client certificates. [AUDITSEAL_TLS_CLIENT_CA]"),
    ] = None,
    insecure_no_auth: Annotated[
        bool, typer.Option("--insecure-no-auth", help="Let anybody call. Works on loopback only; for trying things.")
    ] = False,
) -> None:
    """Run the log as an HTTP service, until SIGTERM or Ctrl-C; all other settings come from the environment."""
    from auditseal.config import load_settings

    settings = load_settings(
        {
            "log": log,
            "signers": signers,
            "listen": listen,
            "tokens": tokens,
            "tls_cert": tls_cert,
            "tls_key": tls_key,
            "tls_client_ca": tls_client_ca,
        }
    ).settings
    try:
        from auditseal.http.server import run
    except ImportError as error:
        raise ConfigError("the service needs the extra `server`: pip install 'auditseal[server]'") from error
    run(settings, without_authentication=insecure_no_auth)
