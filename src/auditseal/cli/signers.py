"""signers: what signers.json holds, checked, converted and added to."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from auditseal.cli.exits import Exit
from auditseal.cli.options import (
    OutputOption,
    SignersOption,
    StreamsOption,
    emit,
    json_lines,
    json_text,
    parse_outputs,
)
from auditseal.errors import ConfigError, InputError

if TYPE_CHECKING:
    from auditseal.core.registry import KeyForm, RegisteredSigner, Registry
    from auditseal.service.registry_check import RegistryReport

app = typer.Typer(no_args_is_help=True, help="The accepted signers: signers.json.")

FileArgument = Annotated[Path | None, typer.Argument(metavar="SIGNERS.JSON", help="[AUDITSEAL_SIGNERS]")]


@app.command("list")
def list_signers(file: FileArgument = None, signers: SignersOption = None, output: OutputOption = None) -> int:
    """List the signers with their keys' fingerprints and where they are valid."""
    outputs = parse_outputs(output, ("text", "json", "jsonl"))
    registry = _load(file or signers)[1]
    emit(
        outputs,
        {
            "text": lambda: signers_table(registry),
            "json": lambda: json_text(
                {"schema_version": 1, "signers": [signer_members(signer) for signer in registry]}
            ),
            "jsonl": lambda: json_lines(map(signer_members, registry)),
        },
    )
    return Exit.GOOD if len(registry) else Exit.INCONCLUSIVE


@app.command()
def check(
    file: FileArgument = None,
    signers: SignersOption = None,
    log: Annotated[
        str | None, typer.Option("--log", metavar="ADDRESS", help="Compare it with what this log says of its signers.")
    ] = None,
    stream: StreamsOption = None,
    output: OutputOption = None,
) -> int:
    """Check that a signers.json can be relied on; with --log, that it agrees with the chain."""
    outputs = parse_outputs(output, ("text", "json"))
    path, registry = _load(file or signers)
    warnings = registry.warnings()
    report = None if log is None else _against(log, registry, stream)
    lines = [f"{path}: {len(registry)} signer{'' if len(registry) == 1 else 's'}"]
    lines += [f"  worth a look: {warning}" for warning in warnings]
    if report is not None:
        lines += [f"  {finding.code}  {finding.signer_id}: {finding.message}" for finding in report.findings]
        lines.append(
            f"  {report.checked} entries about signers, {len(report.findings) or 'no'} disagreement"
            f"{'' if len(report.findings) == 1 else 's'}; whether the log itself holds: auditseal verify"
        )
    emit(
        outputs,
        {
            "text": lambda: "\n".join(lines),
            "json": lambda: json_text(
                {
                    "schema_version": 1,
                    "path": str(path),
                    "signers": len(registry),
                    "warnings": warnings,
                    "checked": None if report is None else report.checked,
                    "findings": [
                        {
                            "code": str(finding.code),
                            "signerId": finding.signer_id,
                            "stream": finding.stream,
                            "seq": finding.seq,
                            "message": finding.message,
                        }
                        for finding in (report.findings if report is not None else ())
                    ],
                }
            ),
        },
    )
    if report is not None and report.findings:
        return Exit.BAD
    return Exit.GOOD if len(registry) and (report is None or report.checked) else Exit.INCONCLUSIVE


@app.command()
def publish(
    to: Annotated[
        list[str] | None,
        typer.Option("--to", metavar="PATH|s3://…|git+PATH", help="Where verifiers get it; repeatable."),
    ] = None,
    file: FileArgument = None,
    signers: SignersOption = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say where it differs, and write nothing.")] = False,
    output: OutputOption = None,
) -> int:
    """Publish signers.json: whole or not at all, to a file, a bucket that keeps versions, or a work tree of git."""
    from auditseal.config import load_settings
    from auditseal.wiring.publishing import publish_registry

    outputs = parse_outputs(output, ("text", "json"))
    path, registry = _load(file or signers)
    places = [*(to or ()), *load_settings().settings.signers_locations]
    if not places:
        raise InputError("no place to publish to: give --to, or set AUDITSEAL_SIGNERS_LOCATIONS")
    outcomes = publish_registry(registry, places, dry_run=dry_run)
    emit(
        outputs,
        {
            "text": lambda: "\n".join(f"{item.name}  {item.state}" + _why(item.why_not) for item in outcomes),
            "json": lambda: json_text(
                {
                    "schema_version": 1,
                    "path": str(path),
                    "locations": [
                        {"name": item.name, "state": item.state, "why_not": item.why_not} for item in outcomes
                    ],
                }
            ),
        },
    )
    return Exit.REMOTE if any(item.why_not for item in outcomes) else Exit.GOOD


def _why(why_not: str | None) -> str:
    return f": {why_not}" if why_not else ""


def _against(log: str, registry: Registry, streams: list[str] | None) -> RegistryReport:
    from auditseal.service.registry_check import check_registry
    from auditseal.wiring.sources import open_store

    store = open_store(log, read_only=True)
    try:
        return check_registry(registry, store, streams)
    finally:
        store.close()


@app.command()
def convert(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A registry in any shape found in the wild.")],
    to: Annotated[Path | None, typer.Option("--to", metavar="PATH", help="Where to; stdout by default.")] = None,
    key_form: Annotated[str, typer.Option("--key-form", help="Keys as pem, or as der in base64.")] = "pem",
) -> None:
    """Write a registry of any shape in the one form of signers.json."""
    from auditseal.adapters.registry_file import save_registry

    form = _key_form(key_form)
    _, registry = _load(file)
    if to is not None:
        save_registry(to, registry, key_form=form)
    elif registry.has_secrets:
        raise InputError(f"{file} holds a MAC's secret, which is not printed: write it to a file with --to")
    else:
        sys.stdout.write(registry.to_json_bytes(key_form=form).decode())


@app.command()
def add(
    public_key: Annotated[Path, typer.Option("--public-key", metavar="FILE", help="PEM or DER.")],
    signer_id: Annotated[str, typer.Option("--signer-id", help="The name that entries know it by.")],
    algorithm: Annotated[str | None, typer.Option("--algorithm", help="What it signs with.")] = None,
    key_arn: Annotated[str | None, typer.Option("--key-arn", help="Its key in KMS.")] = None,
    description: Annotated[str | None, typer.Option("--description", help="For people.")] = None,
    development: Annotated[
        bool, typer.Option("--development", help="A local key: its signatures are marked as such.")
    ] = False,
    signers: SignersOption = None,
    output: OutputOption = None,
) -> None:
    """Add a public key to signers.json, which is made if it is not there."""
    from auditseal.adapters.registry_file import update_registry
    from auditseal.core.algorithm import infer_algorithm, parse_algorithm
    from auditseal.core.key import parse_public_key
    from auditseal.core.private_key import ADVICE, holds_private_key
    from auditseal.core.registry import RegisteredSigner

    outputs = parse_outputs(output, ("text", "json"))
    chosen = parse_algorithm(algorithm) if algorithm is not None else None
    try:
        data = public_key.read_bytes()
    except OSError as error:
        raise InputError(f"{public_key} cannot be read: {error.strerror}") from None
    if holds_private_key(data):
        raise InputError(f"{public_key}: {ADVICE}")
    key = parse_public_key(data, algorithm=chosen)
    signer = RegisteredSigner(
        signer_id=signer_id,
        algorithm=chosen or infer_algorithm(key),
        public_key=key,
        key_arn=key_arn,
        description=description,
        development=development,
    )
    path = _path(signers)
    update_registry(path, lambda registry: registry.with_signer(signer), create=True)
    emit(
        outputs,
        {
            "text": lambda: f"{path} has {signer_id} ({signer.algorithm.id}), fingerprint {signer.fingerprint}",
            "json": lambda: json_text({"schema_version": 1, **signer_members(signer)}),
        },
    )


def signer_members(signer: RegisteredSigner) -> dict[str, Any]:
    """A signer as JSON members, without its key."""
    from auditseal.core.validity import format_bound

    return {
        "signerId": signer.signer_id,
        "algorithm": str(signer.algorithm.id),
        "status": str(signer.status),
        "fingerprint": signer.fingerprint,
        "keyArn": signer.key_arn,
        "validFrom": None if signer.valid_from is None else format_bound(signer.valid_from),
        "validUntil": None if signer.valid_until is None else format_bound(signer.valid_until),
        "development": signer.development,
        "description": signer.description,
    }


def signers_table(registry: Registry) -> str:
    """Signers, two lines each."""
    lines = []
    for signer in registry:
        limits = [
            f"{word} {_bound_text(bound)}"
            for word, bound in (("from", signer.valid_from), ("before", signer.valid_until))
            if bound is not None
        ]
        mark = "  (development key)" if signer.development else ""
        lines.append(
            f"{signer.signer_id}  {signer.algorithm.id}  {signer.status}  "
            f"{', '.join(limits) or 'valid everywhere'}{mark}"
        )
        lines.append(f"  {signer.fingerprint or signer.key_arn or 'a secret'}")
    return "\n".join(lines) or "no signers"


def _bound_text(bound: Any) -> str:
    parts = [] if bound.time is None else [bound.time]
    return ", ".join(parts + [f"{stream} #{seq}" for stream, seq in bound.seq.items()])


def _path(path: Path | None) -> Path:
    from auditseal.config import load_settings

    chosen = load_settings({"signers": path}).settings.signers
    if chosen is None:
        raise ConfigError("no signers.json is named: give its path, or set AUDITSEAL_SIGNERS")
    return chosen


def _load(path: Path | None) -> tuple[Path, Registry]:
    from auditseal.adapters.registry_file import load_registry

    chosen = _path(path)
    return chosen, load_registry(chosen)


def _key_form(text: str) -> KeyForm:
    if text == "pem":
        return "pem"
    if text == "der":
        return "der"
    raise InputError(f"--key-form {text[:20]} is neither pem nor der")
