"""Commands on a log: init, append, ingest, list, show, sign-pending."""

from __future__ import annotations

import sys
from collections import deque
from contextlib import closing
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, Any

import typer

from auditseal.cli import show as render
from auditseal.cli.exits import Exit, exit_of_error, strongest
from auditseal.cli.options import (
    LogOption,
    OutputOption,
    ProgressLine,
    StreamOption,
    emit,
    json_text,
    parse_outputs,
    remark,
)
from auditseal.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from auditseal.ports import Store

AckOption = Annotated[str, typer.Option("--ack", help="What to wait for: signed or durable.")]


def init(log: LogOption = None, output: OutputOption = None) -> None:
    """Create a log, or bring an older one up to date."""
    from auditseal.config import load_settings
    from auditseal.wiring.logs import init_log

    outputs = parse_outputs(output, ("text", "json"))

    made = init_log(load_settings({"log": log}).settings)
    text = [f"{'Created' if made.created else 'Ready:'} {made.address}"]
    if made.development_key is not None:
        text += [
            f"No signer is configured, so a development key was made: {made.development_key}",
            f"Its signatures are marked `development`; verifiers find it in {made.signers}.",
            "For production, create a key in AWS KMS: auditseal keys create --help",
        ]
    document = {
        "schema_version": 1,
        "log": made.address,
        "created": made.created,
        "development_key": None if made.development_key is None else str(made.development_key),
        "signers": None if made.signers is None else str(made.signers),
    }
    emit(outputs, {"text": lambda: "\n".join(text), "json": lambda: json_text(document)})


def append(
    type_: Annotated[str, typer.Option("--type", help="What happened, such as agent.spawned.")],
    payload: Annotated[str, typer.Option("--payload", help="A JSON object; - reads it from stdin.")] = "{}",
    actor: Annotated[str | None, typer.Option("--actor", help="Who did it, such as user:alice.")] = None,
    stream: StreamOption = "default",
    id_: Annotated[str | None, typer.Option("--id", help="A UUID that makes a retry safe.")] = None,
    context: Annotated[str | None, typer.Option("--context", help="A JSON object about the recording.")] = None,
    ack: AckOption = "signed",
    log: LogOption = None,
    output: OutputOption = None,
) -> int:
    """Append one event and print its receipt."""
    from auditseal.config import load_settings
    from auditseal.core.event import Event
    from auditseal.wiring.logs import open_configured

    outputs = parse_outputs(output, ("text", "json"))
    event = Event(
        type=type_,
        payload=_json_option("--payload", sys.stdin.read() if payload == "-" else payload),
        actor=actor,
        stream=stream,
        id=id_,
        context=None if context is None else _json_option("--context", context),
    )
    with open_configured(load_settings({"log": log}).settings) as opened:
        receipt = opened.append_event(event, ack=_ack(ack))
        if receipt.status == "pending" and ack == "signed":
            remark(f"auditseal: the event is in the log and its signature is due: {opened.outage or 'no signer'}")
    emit(
        outputs,
        {
            "text": lambda: render.receipt_text(receipt),
            "json": lambda: json_text({"schema_version": 1, **render.receipt_members(receipt)}),
        },
    )
    return Exit.REMOTE if receipt.status == "pending" and ack == "signed" else Exit.GOOD


def ingest(
    file: Annotated[str, typer.Argument(metavar="FILE|-", help="Events, one JSON object a line.")],
    stream: StreamOption = "default",
    ack: AckOption = "signed",
    log: LogOption = None,
    output: OutputOption = None,
) -> int:
    """Append many events from NDJSON: type, and optionally payload, actor, stream, id, context."""
    from auditseal.config import load_settings
    from auditseal.core.event import Receipt
    from auditseal.wiring.logs import open_configured

    outputs = parse_outputs(output, ("text", "json"))
    counts = {"signed": 0, "pending": 0, "repeated": 0, "refused": 0}
    codes: list[Exit] = []
    progress = ProgressLine("appended")
    with open_configured(load_settings({"log": log}).settings) as opened, _open_input(file) as lines:
        places: deque[int] = deque()
        for part in opened.append_stream(_events(lines, stream, places), ack=_ack(ack)):
            for outcome in part:
                number = places.popleft()
                if isinstance(outcome, Receipt):
                    counts["repeated" if outcome.repeated else outcome.status] += 1
                    codes.append(Exit.GOOD)
                else:
                    counts["refused"] += 1
                    codes.append(exit_of_error(outcome))
                    remark(f"auditseal: {file}:{number}: {outcome}")
            codes = [strongest(codes)]
            progress(sum(counts.values()), None)
        progress.clear()
        if counts["pending"] and ack == "signed":
            remark(f"auditseal: {counts['pending']} events are in the log, their signatures due: {opened.outage}")
            codes.append(Exit.REMOTE)
    said = ", ".join(f"{count} {name}" for name, count in counts.items() if count) or "no events"
    code = strongest(codes)
    emit(
        outputs,
        {
            "text": lambda: said,
            "json": lambda: json_text({"schema_version": 1, **counts, "exit_code": int(code)}),
        },
    )
    return code


def list_entries(
    stream: Annotated[str | None, typer.Option("--stream", help="Only this stream.")] = None,
    type_: Annotated[str | None, typer.Option("--type", help="Only this type.")] = None,
    actor: Annotated[str | None, typer.Option("--actor", help="Only this actor.")] = None,
    since: Annotated[str | None, typer.Option("--since", help="From this time on (RFC 3339).")] = None,
    until: Annotated[str | None, typer.Option("--until", help="Before this time (RFC 3339).")] = None,
    first: Annotated[int | None, typer.Option("--from", help="From this seq on.")] = None,
    last: Annotated[int | None, typer.Option("--to", help="Up to this seq.")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=10_000, help="At most so many.")] = 50,
    after: Annotated[
        str | None, typer.Option("--after", metavar="STREAM#SEQ", help="The next page: after this entry.")
    ] = None,
    log: LogOption = None,
    output: OutputOption = None,
) -> int:
    """List entries by stream and seq, a page at a time."""
    from auditseal.core.event import instant
    from auditseal.ports import EntryFilter

    outputs = parse_outputs(output, ("text", "json", "jsonl"))
    which = EntryFilter(
        stream=stream,
        type=type_,
        actor=actor,
        since=None if since is None else instant(since),
        until=None if until is None else instant(until),
        first_seq=first,
        last_seq=last,
    )
    with closing(_open_for_reading(log)) as store:
        entries = store.select(which, limit=limit + 1, after=None if after is None else _page_start(after))
    more = len(entries) > limit
    entries = entries[:limit]
    following = f"{entries[-1].stream}#{entries[-1].seq}" if more else None
    if following is not None and "text" in {asked.format for asked in outputs}:
        remark(f"more: --after {following}")
    rows = [render.entry_members(entry) for entry in entries]
    emit(
        outputs,
        {
            "text": lambda: render.entries_table(entries),
            "json": lambda: json_text({"schema_version": 1, "entries": rows, "next": following}),
            "jsonl": lambda: "".join(map(render.json_line, rows)),
        },
    )
    return Exit.GOOD if entries else Exit.INCONCLUSIVE


def show(
    entry: Annotated[str, typer.Argument(metavar="SEQ|STREAM#SEQ|ID", help="Which entry.")],
    stream: StreamOption = "default",
    log: LogOption = None,
    output: OutputOption = None,
) -> None:
    """Show one entry with all its parts."""
    from auditseal.service.lookup import find_entry, parse_place

    outputs = parse_outputs(output, ("text", "json"))
    with closing(_open_for_reading(log)) as store:
        found = find_entry(store, parse_place(entry, stream))
    emit(
        outputs,
        {
            "text": lambda: render.entry_text(found),
            "json": lambda: json_text({"schema_version": 1, **render.entry_members(found, whole=True)}),
        },
    )


def sign_pending(log: LogOption = None, output: OutputOption = None) -> int:
    """Sign the entries whose signature is due."""
    from auditseal.config import load_settings
    from auditseal.wiring.logs import open_configured

    outputs = parse_outputs(output, ("text", "json"))
    with open_configured(load_settings({"log": log}).settings, background=False) as opened:
        backlog = opened.sign_pending()
    why = None if backlog.error is None else str(backlog.error)
    document = {"schema_version": 1, "signed": backlog.signed, "left": backlog.left, "error": why}
    said = f"{backlog.signed} signed, {backlog.left} left" + (f": {why}" if why else "")
    emit(outputs, {"text": lambda: said, "json": lambda: json_text(document)})
    return Exit.REMOTE if backlog.error is not None else Exit.GOOD


def _open_for_reading(log: str | None) -> Store:
    from auditseal.config import load_settings
    from auditseal.wiring.sources import log_address, open_store

    return open_store(log_address(load_settings({"log": log}).settings), read_only=True)


def _page_start(text: str) -> tuple[str, int]:
    from auditseal.service.lookup import parse_place

    place = parse_place(text, "default")
    if place.seq is None:
        raise InputError(f"--after {text[:60]} is an id: write STREAM#SEQ, as the page before said")
    return place.stream, place.seq


def _ack(text: str) -> Any:
    if text not in ("signed", "durable"):
        raise InputError(f"--ack {text[:20]} is neither signed nor durable")
    return text


def _json_option(option: str, text: str) -> dict[str, Any]:
    from auditseal.core.canonical import parse_json
    from auditseal.errors import CanonicalError

    try:
        value = parse_json(text)
    except CanonicalError as error:
        raise CanonicalError(error.reason, f"{option}: {error}") from None
    if type(value) is not dict:
        raise InputError(f'{option} must be a JSON object, such as \'{{"agent_id":"a-1"}}\'')
    return value


def _open_input(file: str) -> IO[bytes]:
    if file == "-":
        return open(sys.stdin.fileno(), "rb", closefd=False)
    try:
        return Path(file).open("rb")
    except OSError as error:
        raise InputError(f"{file} cannot be read: {error.strerror}") from None


def _events(lines: IO[bytes], stream: str, places: deque[int]) -> Iterator[Any]:
    """The events of the lines, or why a line is none; `places` takes the line number of each."""
    from auditseal.core.event_text import MAX_LINE_BYTES, parse_event

    number = 0
    while line := lines.readline(MAX_LINE_BYTES):
        number += 1
        if not line.strip():
            continue
        places.append(number)
        try:
            yield parse_event(line, stream)
        except InputError as error:
            yield error
