"""CloudTrail records: from a log file's JSON to the few facts that an account of signatures needs.

Only successful and failed calls of Sign and GenerateMac, changes to keys, and changes to trails are taken; every other
record counts for what it shows of the trail itself: that it saw this account and Region at this time.

Source: CloudTrail User Guide, "CloudTrail record contents"; AWS KMS Developer Guide, "Examples of AWS KMS log entries".
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final, NamedTuple

import orjson

from auditseal.core.cloudtrail_changes import Change, change_from, is_watched
from auditseal.core.cloudtrail_record import alias_identity, key_arn_of, parse_event_time, principal_of
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
        alias: the alias that the caller used, as `alias_identity` has it; "" for a key id.
    """

    operation: str
    key_arn: str
    algorithm: str
    message_type: str | None
    region: str
    principal: str
    source: str
    error: str | None
    alias: str


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
    """When a trail saw anything of one account and Region: seconds since the epoch, both ends included.

    `read_only` is how many read-only calls to KMS were among it; a trail without any cannot have seen a signature.
    """

    account: str
    region: str
    first: int
    last: int
    read_only: int


class TrailPart(NamedTuple):
    """What one log file holds for us.

    Attributes:
        calls: of Sign and GenerateMac, whatever their outcome.
        changes: to keys, aliases and trails.
        seen: one for each account and Region that has a record here.
        records: how many records there were.
    """

    calls: list[Call]
    changes: list[Change]
    seen: list[Seen]
    records: int


def parse_log_file(content: bytes, place: str) -> TrailPart:
    """The facts of a CloudTrail log file.

    Args:
        content: the JSON, uncompressed: `{"Records": […]}`.
        place: the file, for the texts.

    Raises:
        InputError: not such a file, or a record of KMS that lacks what every record has.
    """
    try:
        try:
            return _part_of(map(orjson.loads, _texts_of(content)))
        except orjson.JSONDecodeError:
            return _part_of(_records_of(content, place))
    except (KeyError, TypeError, AttributeError):
        raise InputError(f"{place} holds a record without the members of a CloudTrail record") from None


def _records_of(content: bytes, place: str) -> list[Any]:
    try:
        records = orjson.loads(content)["Records"]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        records = None
    if type(records) is not list:
        raise InputError(f"{place} is not a CloudTrail log file: it has no list of Records")
    return records


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


def _part_of(records: Iterable[Any]) -> TrailPart:
    """What records hold for us; in one loop, since there are millions.

    Raises:
        JSONDecodeError: from the records themselves.
        KeyError, TypeError, AttributeError: a record is none.
    """
    calls: list[Call] = []
    changes: list[Change] = []
    seen: dict[tuple[str, str], list[str]] = {}
    read_only: dict[tuple[str, str], int] = {}
    count = 0
    for record in records:
        count += 1
        time, name, source = record["eventTime"], record["eventName"], record["eventSource"]
        where = (record.get("recipientAccountId") or "", record["awsRegion"])
        ends = seen.get(where)
        if ends is None:
            seen[where] = [time, time]
        elif time > ends[1]:
            ends[1] = time
        elif time < ends[0]:
            ends[0] = time
        if source == KMS:
            if name in SIGNING:
                read_only[where] = read_only.get(where, 0) + 1
                calls.append(_call(record, name, parse_event_time(time)))
                continue
            if record.get("readOnly") is True:
                read_only[where] = read_only.get(where, 0) + 1
        if is_watched(source, name):
            changes.append(change_from(record, parse_event_time(time)))
    return TrailPart(
        calls,
        changes,
        [
            Seen(*where, parse_event_time(first), parse_event_time(last), read_only.get(where, 0))
            for where, (first, last) in seen.items()
        ],
        count,
    )


_OPENING: Final = b'{"Records":['
_BETWEEN: Final = b'},{"eventVersion"'
_CLOSING: Final = b"]}"


def _call(record: dict[str, Any], name: str, at: int) -> Call:
    parameters = record.get("requestParameters") or {}
    request_id, event_id, region = record["requestID"], record["eventID"], record["awsRegion"]
    algorithm = parameters.get("macAlgorithm" if name == "GenerateMac" else "signingAlgorithm") or ""
    message_type, error = parameters.get("messageType"), record.get("errorCode")
    for text in (request_id, event_id, region, algorithm, message_type or "", error or ""):
        if type(text) is not str:
            raise TypeError
    return Call(
        request_id,
        event_id,
        at,
        Facts(
            name,
            key_arn_of(record, parameters),
            algorithm,
            message_type,
            region,
            principal_of(record.get("userIdentity") or {}),
            f"{record.get('sourceIPAddress')} {record.get('userAgent')}",
            error,
            alias_identity(record, parameters.get("keyId")),
        ),
    )
