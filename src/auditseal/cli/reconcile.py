"""reconcile: the log joined with CloudTrail."""

from __future__ import annotations

import os
import re
import sys
import tempfile
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from auditseal.cli.options import (
    LogOption,
    OutputOption,
    ProgressLine,
    SignersOption,
    StreamsOption,
    emit,
    json_text,
    parse_outputs,
    remark,
)
from auditseal.errors import InputError, StoreError

if TYPE_CHECKING:
    from auditseal.config import Settings
    from auditseal.core.account import AccountFinding, AccountReport
    from auditseal.service.accounting.follow import Listener
    from auditseal.wiring.accounting import Reconciling

_DURATION: Final = re.compile(r"(\d{1,6})([smhd])", re.ASCII)
_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


def reconcile(
    trail: Annotated[str, typer.Option("--trail", metavar="PATH|s3://…|lookup", help="CloudTrail's records.")],
    log: LogOption = None,
    signers: SignersOption = None,
    since: Annotated[str | None, typer.Option("--since", metavar="TIME", help="Judge from this time on.")] = None,
    until: Annotated[str | None, typer.Option("--until", metavar="TIME", help="Judge up to this time.")] = None,
    settle: Annotated[str, typer.Option("--settle", metavar="DURATION", help="How late a record may come.")] = "15m",
    stream: StreamsOption = None,
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
    digest_keys: Annotated[
        str | None,
        typer.Option("--digest-keys", metavar="FILE|aws", help="CloudTrail's public keys (list-public-keys)."),
    ] = None,
    without_digests: Annotated[
        bool, typer.Option("--without-digests", help="Believe the trail's files without a digest.")
    ] = False,
    ledger: Annotated[
        Path | None, typer.Option("--ledger", metavar="FILE", help="Keep what was read, and resume from it.")
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
    from auditseal.cli.account_report import account_members, account_text, exit_of_account
    from auditseal.config import load_settings
    from auditseal.wiring import accounting

    asked = accounting.Reconciling(
        trail=trail,
        since=None if since is None else parse_moment(since),
        until=None if until is None else parse_moment(until),
        settle_s=parse_duration(settle),
        streams=stream,
        principals=principal or (),
        administrators=administrator or (),
        regions=region or (),
        key_arns=_keys(key or ()),
        digest_keys=digest_keys,
        without_digests=without_digests,
        ledger=ledger,
    )
    settings = load_settings({"log": log, "signers": signers}).settings
    if follow:
        parse_outputs(output, ("jsonl",))
        return _follow(settings, asked, parse_duration(interval), webhook, metrics, record)
    if webhook or record:
        raise InputError("--webhook and --record tell what is new: they go with --follow")
    outputs = parse_outputs(output, ("text", "json"))
    progress = ProgressLine("read")
    try:
        report = accounting.run(settings, asked, progress=progress)
    finally:
        progress.clear()
    if metrics is not None:
        _write_metrics(metrics, report)
    emit(outputs, {"text": lambda: account_text(report), "json": lambda: json_text(account_members(report))})
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
        if not mark or not signer_id or ":key/" not in arn:
            raise InputError(f"--key {text[:120]} is not SIGNER=ARN, with the ARN of a key")
        keys[signer_id] = arn
    return keys


def _follow(
    settings: Settings,
    asked: Reconciling,
    interval_s: int,
    webhook: str | None,
    metrics: Path | None,
    record: str | None,
) -> int:
    from auditseal.service.accounting.follow import follow
    from auditseal.wiring import accounting

    listeners: list[Listener] = [_print_new]
    if metrics is not None:
        listeners.append(lambda report, _: _write_metrics(metrics, report))
    if webhook is not None:
        listeners.append(_webhook_listener(webhook))
    if record is not None:
        listeners.append(_recorder(settings, record))
    follow(
        lambda: accounting.run(settings, asked),
        listeners,
        interval_s=interval_s,
        stop=threading.Event(),
        on_error=lambda error: remark(f"auditseal: {error}"),
    )
    return 0


def _print_new(report: AccountReport, new: Sequence[AccountFinding]) -> None:
    from auditseal.cli.account_report import finding_members
    from auditseal.cli.show import json_line

    for finding in new:
        sys.stdout.write(json_line({"schema_version": 1, "trail": report.trail, **finding_members(finding)}))
    sys.stdout.flush()


def _webhook_listener(url: str) -> Callable[[AccountReport, Sequence[AccountFinding]], None]:
    from auditseal.adapters.webhook import Webhook
    from auditseal.cli.account_report import finding_members

    endpoint = Webhook(url)

    def post(report: AccountReport, new: Sequence[AccountFinding]) -> None:
        if new:
            document = {"source": report.source, "trail": report.trail, "verdict": str(report.verdict)}
            endpoint.post({"schema_version": 1, **document, "findings": [finding_members(item) for item in new]})

    return post


def _recorder(settings: Settings, stream: str) -> Callable[[AccountReport, Sequence[AccountFinding]], None]:
    from auditseal.cli.account_report import finding_members
    from auditseal.core.event import Event
    from auditseal.wiring.logs import open_configured

    def append(_: AccountReport, new: Sequence[AccountFinding]) -> None:
        if not new:
            return
        events = [
            Event(type="auditseal.account-finding", payload=finding_members(finding), stream=stream) for finding in new
        ]
        with open_configured(settings, background=False) as opened:
            opened.append_many(events)

    return append


def _write_metrics(path: Path, report: AccountReport) -> None:
    """Replaces the file at once, so that a collector never reads half of it."""
    from auditseal.cli.account_report import account_metrics

    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(account_metrics(report))
        Path(name).chmod(0o644)
        Path(name).replace(path)
    except OSError as error:
        raise StoreError(f"{path} cannot be written: {error.strerror}") from error
