"""reconcile: the log joined with CloudTrail."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from auditseal.cli.options import (
    LogOption,
    OutputOption,
    ProgressLine,
    SignersOption,
    parse_outputs,
    remark,
)
from auditseal.errors import InputError

if TYPE_CHECKING:
    from auditseal.cli.options import Output
    from auditseal.core.account import AccountReport
    from auditseal.wiring.accounting import Reconciling

_DURATION: Final = re.compile(r"(\d{1,6})([smhd])", re.ASCII)
_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
FORMS: Final = ("text", "json", "jsonl", "sarif", "junit", "github", "md")


def reconcile(
    trail: Annotated[str, typer.Option("--trail", metavar="PATH|s3://…|lookup", help="CloudTrail's records.")],
    log: LogOption = None,
    signers: SignersOption = None,
    since: Annotated[
        str | None, typer.Option("--since", metavar="TIME|DURATION", help="Judge from then on, or from so long ago.")
    ] = None,
    until: Annotated[str | None, typer.Option("--until", metavar="TIME", help="Judge up to this time.")] = None,
    settle: Annotated[str, typer.Option("--settle", metavar="DURATION", help="How late a record may come.")] = "15m",
    principal: Annotated[
        list[str] | None, typer.Option("--principal", metavar="ARN", help="Who may sign; * and ?; may be repeated.")
    ] = None,
    administrator: Annotated[
        list[str] | None, typer.Option("--administrator", metavar="ARN", help="Who may change keys; may be repeated.")
    ] = None,
    region: Annotated[
        list[str] | None, typer.Option("--region", help="A Region to expect besides the keys' own; may be repeated.")
    ] = None,
    key: Annotated[
        list[str] | None,
        typer.Option("--key", metavar="SIGNER=ARN", help="A signer's key, where signers.json has none."),
    ] = None,
    explain: Annotated[
        list[str] | None,
        typer.Option("--explain", metavar="REQUEST", help="A call that you account for, such as doctor's."),
    ] = None,
    digest_keys: Annotated[
        str | None,
        typer.Option("--digest-keys", metavar="FILE|aws", help="CloudTrail's public keys (list-public-keys)."),
    ] = None,
    without_digests: Annotated[
        bool, typer.Option("--without-digests", help="Believe the trail's files without a digest.")
    ] = False,
    ledger: Annotated[
        Path | None, typer.Option("--ledger", metavar="FILE", help="Keep what was read of the trail, and resume.")
    ] = None,
    account: Annotated[
        Path | None,
        typer.Option("--account", metavar="FILE", help="Where a valid account goes; see verify --reconciled."),
    ] = None,
    follow: Annotated[bool, typer.Option("--follow", help="Go on, and tell what is new.")] = False,
    interval: Annotated[str, typer.Option("--interval", metavar="DURATION", help="How often, with --follow.")] = "5m",
    webhook: Annotated[
        str | None, typer.Option("--webhook", metavar="URL", help="Where to post new findings, with --follow.")
    ] = None,
    metrics: Annotated[
        Path | None, typer.Option("--metrics", metavar="FILE", help="Prometheus metrics, as a text file.")
    ] = None,
    record: Annotated[
        str | None, typer.Option("--record", metavar="STREAM", help="Append new findings to the log, with --follow.")
    ] = None,
    output: OutputOption = None,
) -> int:
    """Join the log's signatures with the calls that AWS recorded, both ways."""
    from auditseal.config import load_settings
    from auditseal.wiring import accounting

    if digest_keys is not None and without_digests:
        raise InputError("--digest-keys checks digests, and --without-digests does not: give one of them")
    for option, path in (("--ledger", ledger), ("--account", account), ("--metrics", metrics)):
        if path is not None and (path.is_dir() or not path.parent.is_dir()):
            raise InputError(f"{option} {path} cannot be written: it is a folder, or its folder does not exist")
    asked = accounting.Reconciling(
        trail=trail,
        since=None if since is None else parse_since(since),
        until=None if until is None else parse_moment(until),
        settle_s=parse_duration(settle),
        principals=principal or (),
        administrators=administrator or (),
        regions=region or (),
        key_arns=_keys(key or ()),
        explained=explain or (),
        digest_keys=digest_keys,
        without_digests=without_digests,
        ledger=ledger,
        account=account,
    )
    settings = load_settings({"log": log, "signers": signers}).settings
    if follow:
        from auditseal.cli.reconcile_follow import Telling, follow_account

        parse_outputs(output, ("jsonl",))
        telling = Telling(webhook=webhook, metrics=metrics, record=record)
        again = (lambda: asked) if since is None else (lambda: replace(asked, since=parse_since(since)))
        return follow_account(settings, again, parse_duration(interval), telling)
    if webhook or record:
        raise InputError("--webhook and --record tell what is new: they go with --follow")
    outputs = parse_outputs(output, FORMS)
    progress = ProgressLine("read")
    try:
        report = accounting.run(settings, asked, progress=progress)
    finally:
        progress.clear()
    return _show(asked, report, outputs, metrics)


def _show(asked: Reconciling, report: AccountReport, outputs: list[Output], metrics: Path | None) -> int:
    from auditseal.cli.account_report import emit_account, exit_of_account, write_metrics
    from auditseal.core.report import Verdict

    emit_account(outputs, report)
    if metrics is not None:
        write_metrics(metrics, report)
    if asked.account is not None and report.verdict is not Verdict.VALID:
        remark(f"auditseal: the account is {report.verdict}, so that nothing was written to {asked.account}")
    return exit_of_account(report)


def parse_duration(text: str) -> int:
    """Seconds of a duration such as `15m`.

    Raises:
        InputError: another form.
    """
    parts = _DURATION.fullmatch(text)
    if not parts:
        raise InputError(f"{text[:20]!r} is not a duration such as 90s, 15m, 12h or 7d")
    return int(parts[1]) * _SECONDS[parts[2]]


def parse_since(text: str) -> int:
    """Seconds since the epoch of a moment, or of so long ago.

    Raises:
        InputError: another form.
    """
    if _DURATION.fullmatch(text):
        return max(int(time.time()) - parse_duration(text), 0)
    return parse_moment(text)


def parse_moment(text: str) -> int:
    """Seconds since the epoch of an RFC 3339 time, or of a date at midnight UTC.

    Raises:
        InputError: another form.
    """
    from auditseal.core.validity import parse_instant

    return parse_instant(f"{text}T00:00:00Z" if "T" not in text.upper() else text)[0]


def _keys(texts: Sequence[str]) -> dict[str, str]:
    keys = {}
    for text in texts:
        signer_id, mark, arn = text.rpartition("=")
        if not mark or not signer_id or not _KEY_ARN.fullmatch(arn):
            raise InputError(f"--key {text[:120]} is not SIGNER=ARN, with the ARN of a key")
        keys[signer_id] = arn
    return keys


_KEY_ARN: Final = re.compile(r"arn:[a-z0-9-]+:kms:[a-z0-9-]+:\d{12}:key/[A-Za-z0-9-]+", re.ASCII)
