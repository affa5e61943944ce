"""Commands on a log: init, append, ingest, list, show, sign-pending."""

from __future__ import annotations

import sys
from collections import deque
from contextlib import closing
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, Any, Final

import typer

from auditseal.cli import show as render
from auditseal.cli.exits import Exit
from auditseal.cli.ingesting import Tally, read_events
from auditseal.cli.options import (
    LogOption,
    OutputOption,
    ProgressLine,
    StreamOption,
    emit,
    json_lines,
    json_text,
    parse_outputs,
    remark,
)
from auditseal.errors import AuditSealError, InputError, SignaturePendingError

if TYPE_CHECKING:
    from auditseal.ports import Store

_MOST_SEQ: Final = 2**53 - 1
_MOST_DEPTH: Final = 200
"""The deepest that a setting may allow; the setting itself is applied to the event."""

AckOption = Annotated[str, typer.Option("--ack", help="What to wait for: signed or durable.")]


def init(log: LogOption = None, output: OutputOption = None) -> None:
    """Create a log, or bring an older one up to date."""
    from auditseal.config import load_settings
    from auditseal.wiring.logs import init_log

    outputs = parse_outputs(output, ("text", "json"))

    made = init_log(load_settings({"log": log}).settings)
    name, algorithm = made.signer
    text = [f"{'Created' if made.created else 'Ready:'} {made.address}"]
    if made.development_key is None:
        text.append(f"Signed by {name} ({algorithm}){render.MARK if made.development else ''}.")
    else:
        what = "was made" if made.key_made else "signs"
        text += [
            f"No signer is configured, so a development key {what}: {made.development_key}",
            f"Its signatures are marked `development`; verifiers find it in {made.signers}.",
            "For production, create a key in AWS KMS: auditseal keys create --help",
        ]
    document = {
        "schema_version": 1,
        "log": made.address,
        "created": made.created,
        "signer": name,
        "algorithm": algorithm,
        "development": made.development,
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
        payload=_json_option("--payload", _stdin_bytes() if payload == "-" else payload),
        actor=actor,
        stream=stream,
        id=id_,
        context=None if context is None else _json_option("--context", context),
    )
    asked = _ack(ack)
    # Who asks for the disk alone is not kept waiting for the signer when the command ends.
    with open_configured(load_settings({"log": log}).settings, background=asked == "signed") as opened:
        try:
            receipt = opened.append_event(event, ack=asked)
        except SignaturePendingError as error:
            # The event is in the log, and its receipt is what proves it; the exit code tells the rest.
            (receipt,) = error.receipts
            remark(f"auditseal: {error}")
        else:
            if receipt.status == "pending" and ack == "signed":
                remark(f"auditseal: the event is in the log and its signature is due: {opened.outage or 'no answer'}")
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
    from auditseal.wiring.logs import open_configured

    outputs = parse_outputs(output, ("text", "json"))
    asked = _ack(ack)
    tally = Tally(file)
    progress = ProgressLine("appended")
    with _open_input(file) as lines, open_configured(load_settings({"log": log}).settings) as opened:
        places: deque[int] = deque()
        try:
            for part in opened.append_stream(read_events(lines, stream, places), ack=asked):
                for outcome in part:
                    tally.add(outcome, places.popleft())
                progress(tally.total, None)
        except AuditSealError as error:
            tally.end_early(error)
        progress.clear()
        if asked == "signed":
            tally.note_pending(opened.outage)
    emit(
        outputs,
        {
            "text": lambda: tally.text,
            "json": lambda: json_text({"schema_version": 1, **tally.counts, "exit_code": int(tally.code)}),
        },
    )
    return tally.code


def list_entries(
    stream: Annotated[str | None, typer.Option("--stream", help="Only this stream.")] = None,
    type_: Annotated[str | None, typer.Option("--type", help="Only this type.")] = None,
    actor: Annotated[str | None, typer.Option("--actor", help="Only this actor.")] = None,
    since: Annotated[str | None, typer.Option("--since", help="From this time on (RFC 3339).")] = None,
    until: Annotated[str | None, typer.Option("--until", help="Before this time (RFC 3339).")] = None,
    first: Annotated[int | None, typer.Option("--from", min=0, max=_MOST_SEQ, help="From this seq on.")] = None,
    last: Annotated[int | None, typer.Option("--to", min=0, max=_MOST_SEQ, help="Up to this seq.")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=10_000, help="At most so many.")] = 50,
    after: Annotated[
        str | None, typer.Option("--after", metavar="STREAM#SEQ", help="The next page: after this entry.")
    ] = None,
    log: LogOption = None,
    output: OutputOption = None,
) -> int:
    """List entries by stream and seq, a page at a time."""
    from auditseal.core.times import instant
    from auditseal.ports import EntryFilter
    from auditseal.service.coverage import covered_by

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
        found = store.select(which, limit=limit + 1, after=None if after is None else _page_start(after))
        entries = found[:limit]
        covered = covered_by(store, entries)
    more = len(found) > limit
    following = f"{entries[-1].stream}#{entries[-1].seq}" if more else None
    if following is not None and "text" in {asked.format for asked in outputs}:
        remark(f"more: --after {following}")
    rows = [render.entry_members(entry, covered_by=by) for entry, by in zip(entries, covered, strict=True)]
    emit(
        outputs,
        {
            "text": lambda: render.entries_table(entries, covered),
            "json": lambda: json_text({"schema_version": 1, "entries": rows, "next": following}),
            "jsonl": lambda: json_lines(rows),
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
    from auditseal.service.coverage import covered_by
    from auditseal.service.lookup import find_entry, parse_place

    outputs = parse_outputs(output, ("text", "json"))
    with closing(_open_for_reading(log)) as store:
        found = find_entry(store, parse_place(entry, stream))
        (covered,) = covered_by(store, [found])
    members = render.entry_members(found, covered_by=covered, whole=True)
    emit(
        outputs,
        {
            "text": lambda: render.entry_text(found, covered),
            "json": lambda: json_text({"schema_version": 1, **members}),
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


def _stdin_bytes() -> bytes:
    """What stdin holds, or as much of it as shows that it is too large."""
    from auditseal.core.event_text import MAX_LINE_BYTES

    return sys.stdin.buffer.read(MAX_LINE_BYTES)


def _json_option(option: str, text: str | bytes) -> dict[str, Any]:
    from auditseal.core.canonical import parse_json
    from auditseal.core.event_text import MAX_LINE_BYTES
    from auditseal.errors import CanonicalError

    try:
        value = parse_json(text, max_depth=_MOST_DEPTH, max_bytes=MAX_LINE_BYTES)
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
