"""What is said to the service, without saying it: calls as generators that yield steps and are sent answers.

Retries, batches and pages are decided here, once, for the synchronous and the asynchronous client alike. An event gets
its id before its first attempt and keeps it, so that a retry never records it twice.

Source: `docs/http.md`.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from urllib.parse import quote

import orjson

from auditseal.client.problems import Answer, error_from, error_of, parse_object
from auditseal.core.canonical import canonicalize
from auditseal.core.event import check_id, check_name, check_stream
from auditseal.core.members import entry_from, receipt_from
from auditseal.errors import AuditSealError, InputError, ServiceError, SignaturePendingError

if TYPE_CHECKING:
    from auditseal.core.entry import StoredEntry
    from auditseal.core.event import Event
    from auditseal.core.receipt import Ack, Receipt
    from auditseal.ports import EntryFilter

BATCH_EVENTS: Final = 1000
BATCH_BYTES: Final = 8 * 1024 * 1024
_MOST_BYTES: Final = 64 * 1024 * 1024
_FIRST_PAUSE_S: Final = 0.1
_LONGEST_PAUSE_S: Final = 5.0
_LONGEST_RETRY_AFTER_S: Final = 60.0


class Send(NamedTuple):
    """A step: send this request, and answer with what came back, or with why nothing did."""

    method: str
    path: str
    params: dict[str, str]
    headers: dict[str, str]
    content: bytes | None = None


class Wait(NamedTuple):
    """A step: let so many seconds pass."""

    seconds: float


Step = Send | Wait
Reply = Answer | ServiceError | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long a call is repeated.

    Attributes:
        retry_for_s: no attempt begins later than this after the first; 0 for a single attempt.
        monotonic: a clock in seconds.
        random: gives a number from 0 to 1, so that clients do not come back all at once.
    """

    retry_for_s: float
    monotonic: Callable[[], float]
    random: Callable[[], float]


def encode(event: Event) -> bytes:
    """An event with an id as the service reads it.

    Raises:
        InputError: it is no event that the service would take.
    """
    check_stream(event.stream)
    check_name("type", event.type)
    if event.actor is not None:
        check_name("actor", event.actor)
    members: dict[str, Any] = {"type": event.type, "id": check_id(event.id)}
    for name in ("payload", "context"):
        value = getattr(event, name)
        if value is not None and type(value) is not dict:
            raise InputError(f"{name} must be a JSON object, not {type(value).__name__}")
        if value is not None:
            members[name] = value
    if event.actor is not None:
        members["actor"] = event.actor
    return canonicalize(members, max_bytes=_MOST_BYTES, max_depth=200)


def events_path(stream: str) -> str:
    """Where a stream's events are appended.

    Raises:
        InputError: it is no stream's name.
    """
    return f"/v1/streams/{quote(check_stream(stream), safe='')}/events"


def append_one(event: Event, ack: Ack, patience: Patience) -> Generator[Step, Reply, Receipt]:
    """Appends one event.

    Raises:
        AuditSealError: as `Log.append`; ServiceError where the service gave no answer.
    """
    headers = {"Content-Type": "application/json"}
    send = Send("POST", events_path(event.stream), {"ack": ack}, headers, encode(event))
    answer = yield from _answered(send, patience)
    return _receipt(parse_object(answer.body))


class BatchOutcome(NamedTuple):
    """What became of a batch's events.

    Attributes:
        outcomes: of the first events, in order: receipts, or why one alone was not appended.
        stopped: why the others have none; None where there are no others.
    """

    outcomes: list[Receipt | AuditSealError]
    stopped: AuditSealError | None


def append_batch(events: Sequence[Event], ack: Ack, patience: Patience) -> Generator[Step, Reply, BatchOutcome]:
    """Appends events of one stream, each with an outcome of its own; raises nothing that `stopped` can tell."""
    outcomes: list[Receipt | AuditSealError] = []
    lines = [_try_encode(event) for event in events]
    began = patience.monotonic()
    attempt = 0
    while len(outcomes) < len(lines):
        part = _fitting(lines[len(outcomes) :])
        try:
            told, error = yield from _send_lines(events[0].stream, part, ack, patience)
        except AuditSealError as failure:
            return BatchOutcome(outcomes, failure)
        before = len(outcomes)
        answers = iter(told)
        for line in part:
            outcome = line if isinstance(line, AuditSealError) else next(answers, None)
            if outcome is None:
                break
            outcomes.append(outcome)
        if len(outcomes) - before == len(part):
            continue
        attempt = 1 if len(outcomes) > before else attempt + 1
        pause_s = _pause(attempt, error, patience)
        if not error.retryable or patience.monotonic() - began + pause_s > patience.retry_for_s:
            return BatchOutcome(outcomes, error)
        yield Wait(pause_s)
    return BatchOutcome(outcomes, None)


def get_page(
    stream: str, which: EntryFilter, cursor: str | None, limit: int, patience: Patience
) -> Generator[Step, Reply, tuple[list[StoredEntry], str | None]]:
    """A page of a stream's entries, and the cursor of the next."""
    asked = {
        "type": which.type,
        "actor": which.actor,
        "since": which.since,
        "until": which.until,
        "first_seq": which.first_seq,
        "last_seq": which.last_seq,
        "limit": limit,
        "cursor": cursor,
    }
    params = {name: str(value) for name, value in asked.items() if value is not None}
    path = f"/v1/streams/{quote(check_stream(stream), safe='')}/entries"
    answer = yield from _answered(Send("GET", path, params, {}), patience)
    members = parse_object(answer.body)
    try:
        entries = [entry_from(entry) for entry in members["entries"]]
        after = members["next_cursor"]
    except (InputError, KeyError, TypeError):
        raise ServiceError("the service answered something that is no page of entries", retryable=False) from None
    return entries, after if isinstance(after, str) else None


def get_streams(patience: Patience) -> Generator[Step, Reply, list[str]]:
    """The names of the streams that the caller may see."""
    answer = yield from _answered(Send("GET", "/v1/streams", {}, {}), patience)
    try:
        return [str(row["stream"]) for row in parse_object(answer.body)["streams"]]
    except (KeyError, TypeError):
        raise ServiceError("the service answered something that is no list of streams", retryable=False) from None


def chunks(events: Iterable[Event]) -> Iterator[list[Event]]:
    """Events in parts that fit into a batch each: of one stream, in order."""
    source = iter(events)
    while part := list(islice(source, BATCH_EVENTS)):
        run: list[Event] = []
        for event in part:
            if run and event.stream != run[0].stream:
                yield run
                run = []
            run.append(event)
        yield run


def with_id(event: Event, make_id: Callable[[], str]) -> Event:
    """The event with an id, if it has none yet."""
    return event if event.id is not None else replace(event, id=make_id())


def _try_encode(event: Event) -> bytes | AuditSealError:
    try:
        return encode(event)
    except InputError as error:
        return error


def _fitting(lines: Sequence[bytes | AuditSealError]) -> list[bytes | AuditSealError]:
    """As many of the first lines as one request should carry; at least one."""
    size = 0
    part: list[bytes | AuditSealError] = []
    for line in lines:
        size += len(line) if isinstance(line, bytes) else 0
        if part and size > BATCH_BYTES:
            break
        part.append(line)
    return part


def _send_lines(
    stream: str, lines: Sequence[bytes | AuditSealError], ack: Ack, patience: Patience
) -> Generator[Step, Reply, tuple[list[Receipt | AuditSealError], AuditSealError]]:
    """The outcomes of the lines that are events, and why there are no more, if there should be."""
    sent = [line for line in lines if isinstance(line, bytes)]
    if not sent:
        return [], _broken_off()
    headers = {"Content-Type": "application/x-ndjson"}
    send = Send("POST", f"{events_path(stream)}:batch", {"ack": ack}, headers, b"\n".join(sent))
    answer = yield from _answered(send, patience)
    told = [_outcome(line) for line in answer.body.splitlines() if line]
    last = told[-1] if told else None
    if isinstance(last, AuditSealError) and (last.retryable or len(told) < len(sent)):
        # The service could not go on: this speaks of all lines from here.
        return told[:-1], last
    return told, _broken_off()


def _outcome(line: bytes) -> Receipt | AuditSealError:
    try:
        members = orjson.loads(line)
        if "problem" in members:
            return error_from(members["problem"])
        return _receipt(members["receipt"])
    except (orjson.JSONDecodeError, KeyError, TypeError):
        raise ServiceError("the service answered a line that is no outcome", retryable=False) from None


def _receipt(members: dict[str, Any]) -> Receipt:
    try:
        return receipt_from(members)
    except InputError as error:
        raise ServiceError(f"the service answered something else: {error}", retryable=False) from None


def _answered(send: Send, patience: Patience) -> Generator[Step, Reply, Answer]:
    """The answer to a request, which is repeated while that may help.

    Raises:
        AuditSealError: the last error, when it may not, or not any more.
    """
    began = patience.monotonic()
    attempt = 0
    while True:
        reply = yield send
        attempt += 1
        if isinstance(reply, Answer) and reply.status < 400:  # noqa: PLR2004 - no error
            return reply
        error = reply if isinstance(reply, ServiceError) else _error(reply)
        # What is in the log already, and waits for its signature, is not to be sent again.
        if not error.retryable or isinstance(error, SignaturePendingError):
            raise error
        pause_s = _pause(attempt, error, patience)
        if patience.monotonic() - began + pause_s > patience.retry_for_s:
            raise error
        yield Wait(pause_s)


def _error(reply: Reply) -> AuditSealError:
    assert isinstance(reply, Answer)
    return error_of(reply)


def _pause(attempt: int, error: AuditSealError, patience: Patience) -> float:
    """Between half and all of a time that doubles, and never less than the service asks for."""
    longest = min(_LONGEST_PAUSE_S, _FIRST_PAUSE_S * 2 ** min(attempt, 10))
    pause_s = longest * (0.5 + patience.random() / 2)
    asked = getattr(error, "retry_after_s", 0.0)
    return float(max(pause_s, min(asked, _LONGEST_RETRY_AFTER_S)))


def _broken_off() -> ServiceError:
    return ServiceError("the service's answer broke off before the last event's outcome", retryable=True)
