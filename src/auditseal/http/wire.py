"""What goes over the wire, for the OpenAPI document: models, examples, and the problems that each route can answer.

Requests are not parsed by these models but by `core.event_text`, which is stricter about JSON; answers are rendered by
`core.members`. A test holds the two together.

Source: OpenAPI 3.1, RFC 9457.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from fastapi import Path, Query
from pydantic import BaseModel, ConfigDict, Field

from auditseal.http.errors import MEDIA_TYPE

STREAM_PATTERN: Final = "^[a-z0-9._/-]{1,128}$"
_HASH: Final = "7c02b3f1d0a94d6e8f35c1b2a7e40918d6c3f5a2b1e0f9c8d7a6b5c4d3e2f1a0"
_ID: Final = "01936f5e-7a10-7cc3-98c4-dc0c0c07398f"
_TIME: Final = "2026-07-01T00:00:03.000120Z"

StreamPath = Annotated[
    str,
    Path(description="The stream's name; a slash in it is written `%2F` or `/`.", pattern=STREAM_PATTERN, min_length=1),
]
AckQuery = Annotated[
    Literal["signed", "durable"], Query(description="What to wait for: the signature, or only the disk.")
]

BEARER: Final[list[dict[str, list[str]]]] = [{"HTTPBearer": []}]


def append_parameters() -> list[dict[str, Any]]:
    """The parameters of the route that appends one event, which reads them itself."""
    return [
        {
            "name": "stream",
            "in": "path",
            "required": True,
            "description": "The stream's name; a slash in it is written `%2F` or `/`.",
            "schema": {"type": "string", "pattern": STREAM_PATTERN, "minLength": 1},
            "example": "agents",
        },
        {
            "name": "ack",
            "in": "query",
            "required": False,
            "description": "What to wait for: the signature, or only the disk.",
            "schema": {"type": "string", "enum": ["signed", "durable"], "default": "signed"},
        },
        {
            "name": "Idempotency-Key",
            "in": "header",
            "required": False,
            "description": "Makes a retry safe, in place of the event's `id`; a UUID is taken as the id.",
            "schema": {"type": "string", "minLength": 1, "maxLength": 256},
            "example": "order-4711",
        },
    ]


EVENT_EXAMPLES: Final = {
    "event": {
        "summary": "An event",
        "value": {"type": "agent.spawned", "actor": "user:alice", "payload": {"agent_id": "a-1"}},
    },
    "with an id": {
        "summary": "An event whose retry is safe",
        "value": {"type": "agent.stopped", "id": _ID, "payload": {"agent_id": "a-1"}, "context": {"trace_id": "4bf9"}},
    },
}


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid")


class EventIn(_Model):
    """An event as a producer sends it."""

    type: str = Field(min_length=1, max_length=256, description="What happened.", examples=["agent.spawned"])
    payload: dict[str, Any] = Field(default={}, description="Any JSON object.", examples=[{"agent_id": "a-1"}])
    actor: str | None = Field(
        default=None, min_length=1, max_length=256, description="Who did it.", examples=["user:alice"]
    )
    id: str | None = Field(
        default=None,
        description="A UUID that makes a retry safe.",
        pattern="^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$",
        examples=[_ID],
    )
    stream: str | None = Field(default=None, description="If given, the stream of the path.", pattern=STREAM_PATTERN)
    context: dict[str, Any] | None = Field(
        default=None,
        description="About the recording: trace id and the like. `caller` is the service's to set.",
        examples=[{"trace_id": "4bf92f3577b34da6"}],
    )


class Receipt(_Model):
    """What is true of an event when the answer is sent."""

    stream: str = Field(examples=["agents"])
    seq: int = Field(ge=0, examples=[41])
    id: str = Field(examples=[_ID])
    time: str = Field(examples=[_TIME])
    hash: str = Field(description="SHA-256 in hex.", examples=[_HASH])
    prev_hash: str = Field(description="Of the entry before; empty at seq 0.", examples=[_HASH])
    status: Literal["signed", "pending"]
    signer: str | None = Field(examples=["audit-2026"])
    algorithm: str | None = Field(examples=["ed25519"])
    signature: str | None = Field(description="Base64.", examples=["MEUCIQDx…"])
    development: bool = Field(description="Whether a local key signed.")
    repeated: bool = Field(description="Whether the event was in the log already.")


class Signature(_Model):
    """A signature over an entry's hash."""

    signer: str
    algorithm: str
    signature: str
    request_id: str | None
    signed_at: str | None


class Entry(_Model):
    """An entry as it stands in the log."""

    stream: str = Field(examples=["agents"])
    seq: int = Field(examples=[41])
    event: Any = Field(description="The body, parsed.")
    prev_hash: str = Field(examples=[_HASH])
    hash: str = Field(examples=[_HASH])
    status: Literal["signed", "pending"] = Field(description="By a signature of its own, or by a checkpoint over it.")
    checkpoint: int | None = Field(
        description="The size of the smallest checkpoint over an entry without a signature of its own; null with one, "
        "and where none is over it yet.",
        examples=[None],
    )
    signatures: list[Signature]
    body: str = Field(description="The exact bytes that were hashed, as text.")


class Page(_Model):
    """A page of entries."""

    entries: list[Entry]
    next_cursor: str | None = Field(description="Of the next page; null on the last.", examples=["NDE"])


class StreamHead(_Model):
    """A stream and its last entry."""

    stream: str = Field(examples=["agents"])
    seq: int = Field(description="Of its last entry.", examples=[41])
    hash: str = Field(examples=[_HASH])
    time: str = Field(examples=[_TIME])


class Streams(_Model):
    """The streams that the caller may see."""

    streams: list[StreamHead]


class Problem(BaseModel):
    """A problem (RFC 9457); some kinds have further members."""

    type: str = Field(examples=["urn:auditseal:problem:forbidden"])
    title: str = Field(examples=["The caller may not do this"])
    status: int = Field(examples=[403])
    detail: str = Field(examples=["'billing' is not a stream of token:agent-manager"])
    retryable: bool = Field(default=False, description="Whether the same request may succeed later.")
    request_id: str | None = Field(default=None, examples=[_ID])
    reason: str | None = Field(default=None, description="Of the signer's failure, or of JSON that is not canonical.")
    pending: int | None = Field(default=None, description="How many entries wait for a signature.")
    limit: int | None = Field(default=None, description="How many may.")
    receipts: list[Receipt] | None = Field(default=None, description="Of what is in the log and not signed yet.")


class VerificationIn(_Model):
    """What to verify."""

    streams: list[Annotated[str, Field(pattern=STREAM_PATTERN)]] | None = Field(
        default=None, max_length=1000, description="By default, all that the caller may see.", examples=[["agents"]]
    )


class Progress(_Model):
    """How far a verification is."""

    done: int
    total: int | None


class Verification(_Model):
    """A verification on demand."""

    id: str = Field(examples=[_ID])
    state: Literal["running", "done", "failed", "stopped"]
    streams: list[str]
    progress: Progress
    report: dict[str, Any] | None = Field(description="As `auditseal verify -o json` prints it.")
    problem: dict[str, Any] | None


class Check(_Model):
    """One thing that readiness depends on."""

    name: Literal["database", "signer", "backlog", "disk", "running"]
    status: Literal["pass", "warn", "fail"]
    detail: str


class Health(_Model):
    """Whether the process lives."""

    status: Literal["ok"]


class Readiness(_Model):
    """Whether the service takes events."""

    ready: bool
    checks: list[Check]


_PROBLEMS: Final = {
    400: "The request is not acceptable: `invalid-input` or `not-canonical`.",
    401: "Who calls is not known: `unauthenticated`.",
    403: "The caller lacks the role, or the stream is not one of its own: `forbidden`.",
    404: "There is no such thing: `not-found`.",
    408: "The body did not come in time: `too-slow`. The connection ends.",
    409: "The id stands for another event: `conflict`.",
    413: "Larger than the service reads: `too-large`.",
    415: "The body is of another type: `unsupported-media-type`.",
    429: "Too many requests of this caller: `too-fast`. Wait for as long as `Retry-After` says.",
    500: "The service is at fault: `internal`.",
    503: "Not now: `busy`, `draining`, `backlog-full`, `signer`, `signature-pending` or `store`.",
}
_ALWAYS: Final = (401, 403, 429, 500, 503)


def problems(*statuses: int, **others: Any) -> dict[int | str, dict[str, Any]]:
    """The problems of a route: those given, and those that every route has."""
    schema = {"schema": {"$ref": "#/components/schemas/Problem"}}
    answers: dict[int | str, dict[str, Any]] = {
        status: {"description": _PROBLEMS[status], "content": {MEDIA_TYPE: schema}}
        for status in sorted({*statuses, *_ALWAYS})
    }
    for status in (429, 503):
        answers[status]["headers"] = {"Retry-After": {"description": "Seconds.", "schema": {"type": "integer"}}}
    return answers | others
