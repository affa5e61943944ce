"""Changes to keys and trails as CloudTrail records them: which calls are watched, and what they mean.

Source: AWS KMS API Reference and CloudTrail API Reference, the operations of the same names.
"""

from __future__ import annotations

import json
from typing import Any, Final, NamedTuple

from auditseal.core.cloudtrail_record import alias_identity, key_arn_of, principal_of, text_of

KEY_CHANGES: Final = frozenset(
    {
        "PutKeyPolicy",
        "DisableKey",
        "EnableKey",
        "ScheduleKeyDeletion",
        "CancelKeyDeletion",
        "CreateGrant",
        "RetireGrant",
        "RevokeGrant",
        "CreateAlias",
        "UpdateAlias",
        "DeleteAlias",
        "ReplicateKey",
        "UpdatePrimaryRegion",
        "ImportKeyMaterial",
        "DeleteImportedKeyMaterial",
        "TagResource",
        "UntagResource",
    }
)
TRAIL_CHANGES: Final = frozenset(
    {"StopLogging", "StartLogging", "DeleteTrail", "UpdateTrail", "PutEventSelectors", "CreateTrail"}
)
_WATCHED: Final = {"kms.amazonaws.com": KEY_CHANGES, "cloudtrail.amazonaws.com": TRAIL_CHANGES}


class Change(NamedTuple):
    """One watched call.

    Attributes:
        event_id: CloudTrail's id of the record.
        at: seconds since the epoch.
        name: the operation.
        key_arn: the key it concerns; "" for a trail, and where the record does not say.
        alias: the alias it concerns, as `alias_identity` has it; "" for none.
        region, principal: where and by whom.
        error: why the call failed, so that nothing changed; None if it did change something.
        parameters: of the request, as recorded.
    """

    event_id: str
    at: int
    name: str
    key_arn: str
    alias: str
    region: str
    principal: str
    error: str | None
    parameters: dict[str, Any]


def is_watched(source: str, name: str) -> bool:
    """Whether this call of this service is one to look at."""
    return name in _WATCHED.get(source, ())


def change_from(record: dict[str, Any], at: int) -> Change:
    """The change of a record.

    Raises:
        KeyError, TypeError, AttributeError: the record lacks a member that every record has.
    """
    parameters = record.get("requestParameters") or {}
    if type(parameters) is not dict:
        raise TypeError("the parameters of a request are an object")
    return Change(
        event_id=text_of(record["eventID"]),
        at=at,
        name=record["eventName"],
        key_arn=key_arn_of(record, parameters),
        alias=alias_identity(record, parameters.get("aliasName")),
        region=text_of(record["awsRegion"]),
        principal=principal_of(record.get("userIdentity") or {}),
        error=record.get("errorCode"),
        parameters=parameters,
    )


def why_blinding(change: Change) -> str | None:
    """Why a trail does not see signatures after this change; None if it may.

    Sign and GenerateMac are read-only management events, so that write-only selectors and the exclusion of KMS hide
    them, as stopping does.
    """
    parameters = change.parameters
    if change.name in ("StopLogging", "DeleteTrail"):
        return f"{change.name} ended the trail {trail_name(parameters)}"
    if change.name != "PutEventSelectors":
        return None
    try:
        reasons = [_why_basic(selector) for selector in parameters.get("eventSelectors") or ()]
        reasons += [_why_advanced(selector) for selector in parameters.get("advancedEventSelectors") or ()]
    except (AttributeError, TypeError):
        reasons = ["cannot be read"]
    if not reasons or not all(reasons):
        return None
    return f"the event selectors of {trail_name(parameters)} {reasons[0]}"


def _why_basic(selector: dict[str, Any]) -> str | None:
    if selector.get("includeManagementEvents") is False:
        return "leave out management events"
    if selector.get("readWriteType") == "WriteOnly":
        return "take write events only, and Sign is a read event"
    if "kms.amazonaws.com" in (selector.get("excludeManagementEventSources") or ()):
        return "exclude KMS"
    return None


_OF_SIGNING: Final = {
    "eventCategory": (("Management",), "leave out management events"),
    "readOnly": (("true",), "take write events only, and Sign is a read event"),
    "eventSource": (("kms.amazonaws.com",), "exclude KMS"),
    "eventName": (("Sign", "GenerateMac"), "leave out Sign or GenerateMac"),
    "eventType": (("AwsApiCall",), "leave out calls"),
}
"""What the fields of a record of Sign and GenerateMac are, and what is said of selectors that do not take them."""


def _why_advanced(selector: dict[str, Any]) -> str | None:
    """Why an advanced selector does not take every signature: all conditions on all of its fields must hold."""
    for field in selector.get("fieldSelectors") or ():
        values, why = _OF_SIGNING.get(field.get("field"), ((), "take some callers or keys only"))
        if not values or not all(_is_taken(field, value) for value in values):
            return why
    return None


def _is_taken(field: dict[str, Any], value: str) -> bool:
    for wanted, refused, holds in (
        ("equals", "notEquals", value.__eq__),
        ("startsWith", "notStartsWith", value.startswith),
        ("endsWith", "notEndsWith", value.endswith),
    ):
        if field.get(wanted) and not any(map(holds, field[wanted])):
            return False
        if any(map(holds, field.get(refused) or ())):
            return False
    return True


def trail_name(parameters: dict[str, Any]) -> str:
    """The trail of a request, which names it by name or by ARN; "?" where it does not."""
    return str(parameters.get("name") or parameters.get("trailName") or "?").rsplit("/", 1)[-1][:200]


def diff_policies(before: str | None, after: str) -> list[str]:
    """What changed between two key policies, a line for each statement; `+` came, `-` went, `?` cannot be read.

    Args:
        before: the policy before, as JSON; None where it is not known, so that all statements count as new.
        after: the policy that was put.
    """
    try:
        old, new = _statements(before), _statements(after)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return ["? a policy that is not JSON"]
    lines = [f"- {statement}" for statement in old if statement not in new]
    return lines + [f"+ {statement}" for statement in new if statement not in old]


def _statements(policy: str | None) -> list[str]:
    if policy is None:
        return []
    statements = json.loads(policy)["Statement"]
    return [
        json.dumps(_plain(statement), sort_keys=True, ensure_ascii=False)
        for statement in (statements if isinstance(statements, list) else [statements])
    ]


def _plain(value: Any) -> Any:
    """The statement with one-element lists as their element, and lists in order: what AWS itself may rewrite."""
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, list):
        plain = sorted((_plain(item) for item in value), key=str)
        return plain[0] if len(plain) == 1 else plain
    return value
