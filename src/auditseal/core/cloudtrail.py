"""CloudTrail records: from a log file's JSON to the few facts that an account of signatures needs.

Only successful and failed calls of Sign and GenerateMac, changes to keys, and changes to trails are taken; every other
record counts for what it shows of the trail itself: that it saw this account and Region at this time.

Source: CloudTrail User Guide, "CloudTrail record contents"; AWS KMS Developer Guide, "Examples of AWS KMS log entries".
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import orjson

from auditseal.core.cloudtrail_changes import Change, change_from, is_watched
from auditseal.core.cloudtrail_record import key_arn_of, parse_event_time, principal_of
from auditseal.errors import InputError

SIGNING: Final = frozenset({"Sign", "GenerateMac"})
KMS: Final = "kms.amazonaws.com"


class Facts(NamedTuple):
    """What many calls of one signer have in common.

    Attributes:
        operation: `Sign` or `GenerateMac`.
        key_arn: the key behind whatever name the caller used; "" where the record does not say.
        algorithm: KMS's name of it.
        message_type: `RAW`, `DIGEST` or `EXTERNAL_MU`; None for a MAC, and where the caller left it out.
        region: where the call was made.
        principal: ARN of the user, or of the role behind a session; see `principal_of`.
        source: address and user agent, as evidence that two calls came from one client.
        error: why the call failed, `DryRunOperationException` among them; None for one that signed.
    """

    operation: str
    key_arn: str
    algorithm: str
    message_type: str | None
    region: str
    principal: str
    source: str
    error: str | None


class Call(NamedTuple):
    """One call of Sign or GenerateMac.

    Attributes:
        request_id: what KMS answered the caller with.
        event_id: CloudTrail's own id of the record.
        at: seconds since the epoch.
        facts: what it shares with other calls.
    """

    request_id: str
    event_id: str
    at: int
    facts: Facts


class Seen(NamedTuple):
    """When a trail saw anything of one account and Region: seconds since the epoch, both ends included."""

    account: str
    region: str
    first: int
    last: int


class TrailPart(NamedTuple):
    """What one log file holds for us.

    Attributes:
        calls: of Sign and GenerateMac, whatever their outcome.
        changes: to keys, aliases and trails.
        seen: one for each account and Region that has a record here.
        records: how many records there were.
        read_only: how many of them are read-only calls to KMS; a trail without any cannot have seen a signature.
    """

    calls: list[Call]
    changes: list[Change]
    seen: list[Seen]
    records: int
    read_only: int


def parse_log_file(content: bytes, place: str) -> TrailPart:
    """The facts of a CloudTrail log file.

    Args:
        content: the JSON, uncompressed: `{"Records": […]}`.
        place: the file, for the texts.

    Raises:
        InputError: not such a file, or a record of KMS that lacks what every record has.
    """
    part = _Part()
    try:
        for text in _texts_of(content):
            part.take(orjson.loads(text))
    except orjson.JSONDecodeError:
        return _parse_whole(content, place)
    except (KeyError, TypeError, AttributeError):
        raise InputError(f"{place} holds a record without the members of a CloudTrail record") from None
    return part.finish()


def _parse_whole(content: bytes, place: str) -> TrailPart:
    part = _Part()
    try:
        records = orjson.loads(content)["Records"]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        records = None
    if type(records) is not list:
        raise InputError(f"{place} is not a CloudTrail log file: it has no list of Records")
    try:
        for record in records:
            part.take(record)
    except (KeyError, TypeError, AttributeError):
        raise InputError(f"{place} holds a record without the members of a CloudTrail record") from None
    return part.finish()


def _texts_of(content: bytes) -> Iterator[bytes]:
    """The JSON of each record, where the file is written as CloudTrail writes it.

    Parsing record by record takes half the time of parsing the whole, since memory stays near. What opens a record
    cannot stand in a string unescaped; where it stands within a record, the part before it is not JSON, so that nothing
    nested is ever taken for a record: the whole is read then.

    Raises:
        JSONDecodeError: written in another way.
    """
    if not content.startswith(_OPENING) or not content.endswith(_CLOSING):
        raise orjson.JSONDecodeError("not as CloudTrail writes", "", 0)
    first, *rest = content[len(_OPENING) : -len(_CLOSING)].split(_BETWEEN)
    last = rest.pop() if rest else None
    if not rest and last is None:
        yield first
        return
    yield first + b"}"
    for text in rest:
        yield b'{"eventVersion"%b}' % text
    assert last is not None
    yield b'{"eventVersion"%b' % last


class _Part:
    """What is being gathered of one file."""

    def __init__(self) -> None:
        self._calls: list[Call] = []
        self._changes: list[Change] = []
        self._ends: dict[tuple[str, str], tuple[str, str]] = {}
        self._records = self._read_only = 0

    def take(self, record: Any) -> None:
        """Takes one record.

        Raises:
            KeyError, TypeError, AttributeError: it is none.
        """
        time, source, name = record["eventTime"], record["eventSource"], record["eventName"]
        self._note(time, record["awsRegion"], record.get("recipientAccountId") or "")
        if source == KMS:
            self._read_only += record.get("readOnly") is True or name in SIGNING
            if name in SIGNING:
                self._calls.append(_call(record, name, parse_event_time(time)))
                return
        if is_watched(source, name):
            self._changes.append(change_from(record, parse_event_time(time)))

    def _note(self, time: str, region: str, account: str) -> None:
        self._records += 1
        where = (account, region)
        ends = self._ends.get(where)
        if ends is None:
            self._ends[where] = (time, time)
        elif not ends[0] <= time <= ends[1]:
            self._ends[where] = (min(time, ends[0]), max(time, ends[1]))

    def finish(self) -> TrailPart:
        """All of it."""
        seen = [
            Seen(account, region, parse_event_time(first), parse_event_time(last))
            for (account, region), (first, last) in self._ends.items()
        ]
        return TrailPart(self._calls, self._changes, seen, self._records, self._read_only)


_OPENING: Final = b'{"Records":['
_BETWEEN: Final = b'},{"eventVersion"'
_CLOSING: Final = b"]}"


def _call(record: dict[str, Any], name: str, at: int) -> Call:
    parameters = record.get("requestParameters") or {}
    return Call(
        record["requestID"],
        record["eventID"],
        at,
        Facts(
            name,
            key_arn_of(record, parameters),
            parameters.get("macAlgorithm" if name == "GenerateMac" else "signingAlgorithm") or "",
            parameters.get("messageType"),
            record["awsRegion"],
            principal_of(record.get("userIdentity") or {}),
            f"{record.get('sourceIPAddress')} {record.get('userAgent')}",
            record.get("errorCode"),
        ),
    )
