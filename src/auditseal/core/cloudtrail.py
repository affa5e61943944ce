"""CloudTrail records: from a log file's JSON to the few facts that an account of signatures needs.

Only successful and failed calls of Sign and GenerateMac, changes to keys, and changes to trails are taken; every other
record counts for what it shows of the trail itself: that it saw this account and Region at this time.

Source: CloudTrail User Guide, "CloudTrail record contents"; AWS KMS Developer Guide, "Examples of AWS KMS log entries".
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Any, Final, NamedTuple

import msgspec

from auditseal.core.cloudtrail_changes import Change, change_from, is_watched
from auditseal.core.cloudtrail_record import alias_identity, key_arn_of, parse_event_time, principal_of, text_of
from auditseal.errors import InputError

SIGNING: Final = frozenset({"Sign", "GenerateMac"})
KMS: Final = "kms.amazonaws.com"
_ABSENT: Final = msgspec.Raw(b"null")


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
        return _part_of(_LOG_FILE.decode(content).records)
    except msgspec.DecodeError as error:
        raise InputError(f"{place} is not a CloudTrail log file: {error}") from None
    except (KeyError, TypeError, AttributeError, RecursionError, UnicodeDecodeError):
        raise InputError(f"{place} holds a record without the members of a CloudTrail record") from None


class _Record(msgspec.Struct, gc=False, rename="camel"):
    """A record: the members that count, those of which only some records' count as they stand in the file.

    Whatever else a record holds, most of its bytes, is passed over without making anything of it.
    """

    event_time: str
    event_source: str
    event_name: str
    aws_region: str
    recipient_account_id: str | None = None
    read_only: Any = None
    request_id: Any = msgspec.field(default=None, name="requestID")
    event_id: Any = msgspec.field(default=None, name="eventID")
    error_code: Any = None
    source_ip_address: Any = msgspec.field(default=None, name="sourceIPAddress")
    user_agent: Any = None
    user_identity: msgspec.Raw = _ABSENT
    request_parameters: msgspec.Raw = _ABSENT
    resources: msgspec.Raw = _ABSENT

    def members(self) -> dict[str, Any]:
        """The record as a dictionary, with what the file holds of its larger members.

        Raises:
            DecodeError: it is no JSON.
        """
        return {
            "eventName": self.event_name,
            "eventID": self.event_id,
            "awsRegion": self.aws_region,
            "recipientAccountId": self.recipient_account_id,
            "errorCode": self.error_code,
            "userIdentity": msgspec.json.decode(self.user_identity),
            "requestParameters": msgspec.json.decode(self.request_parameters),
            "resources": msgspec.json.decode(self.resources),
        }


class _LogFile(msgspec.Struct):
    records: list[_Record] = msgspec.field(name="Records")


_LOG_FILE: Final = msgspec.json.Decoder(_LogFile)


def _part_of(records: Iterable[_Record]) -> TrailPart:
    """What records hold for us; in one loop, since there are millions.

    Raises:
        DecodeError, KeyError, TypeError, AttributeError: a record is none.
    """
    calls: list[Call] = []
    changes: list[Change] = []
    seen: dict[tuple[str, str], list[str]] = {}
    read_only: dict[tuple[str, str], int] = {}
    count = 0
    for record in records:
        count += 1
        time, name, source = record.event_time, record.event_name, record.event_source
        where = (record.recipient_account_id or "", record.aws_region)
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
                calls.append(_call(record))
                continue
            if record.read_only is True:
                read_only[where] = read_only.get(where, 0) + 1
        if is_watched(source, name):
            changes.append(change_from(record.members(), parse_event_time(time)))
    return TrailPart(
        calls,
        changes,
        [
            Seen(*where, parse_event_time(first), parse_event_time(last), read_only.get(where, 0))
            for where, (first, last) in seen.items()
        ],
        count,
    )


class _Shared(NamedTuple):
    """What the facts of a call follow from, which a signer's calls have in common for as long as its session lasts.

    The last three are members as they stand in the file.
    """

    name: str
    region: str
    account: str | None
    error: Any
    address: Any
    agent: Any
    identity: bytes
    parameters: bytes
    resources: bytes


def _call(record: _Record) -> Call:
    request_id, event_id = text_of(record.request_id), text_of(record.event_id)
    shared = _Shared(
        record.event_name,
        record.aws_region,
        record.recipient_account_id,
        record.error_code,
        record.source_ip_address,
        record.user_agent,
        bytes(record.user_identity),
        bytes(record.request_parameters),
        bytes(record.resources),
    )
    return Call(request_id, event_id, parse_event_time(record.event_time), _facts(shared))


@lru_cache(maxsize=1024)
def _facts(shared: _Shared) -> Facts:
    identity = msgspec.json.decode(shared.identity) or {}
    parameters = msgspec.json.decode(shared.parameters) or {}
    record = {
        "awsRegion": shared.region,
        "recipientAccountId": shared.account,
        "userIdentity": identity,
        "resources": msgspec.json.decode(shared.resources),
    }
    algorithm = text_of(parameters.get("macAlgorithm" if shared.name == "GenerateMac" else "signingAlgorithm") or "")
    message_type = parameters.get("messageType")
    return Facts(
        shared.name,
        key_arn_of(record, parameters),
        algorithm,
        None if message_type is None else text_of(message_type),
        shared.region,
        principal_of(identity),
        f"{shared.address} {shared.agent}",
        None if shared.error is None else text_of(shared.error),
        alias_identity(record, parameters.get("keyId")),
    )
