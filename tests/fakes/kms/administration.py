"""The operations that make keys and change their state."""

from __future__ import annotations

import time
from typing import Any

from fakes.kms.context import Call
from fakes.kms.keystore import Key
from fakes.kms.policies import check_policy
from fakes.kms.refusal import RefusalError
from fakes.kms.specs import SPECS

DAY_S = 86_400
_WINDOW_DAYS = range(7, 31)


def create_key(call: Call, request: dict[str, Any]) -> dict[str, Any]:
    spec_name = request.get("KeySpec") or request.get("CustomerMasterKeySpec") or "SYMMETRIC_DEFAULT"
    usage = request.get("KeyUsage", "ENCRYPT_DECRYPT")
    if "KeySpec" in request and "CustomerMasterKeySpec" in request:
        raise RefusalError("ValidationException", "You cannot specify KeySpec and CustomerMasterKeySpec together.")
    if spec_name not in SPECS:
        raise RefusalError("UnsupportedOperationException", f"this stand-in has no {spec_name} keys")
    if usage not in SPECS[spec_name].usages:
        raise RefusalError("ValidationException", f"KeyUsage {usage} is not compatible with KeySpec {spec_name}")
    if request.get("Origin", "AWS_KMS") != "AWS_KMS" or request.get("MultiRegion"):
        raise RefusalError("UnsupportedOperationException", "this stand-in makes single-Region keys of its own only")
    policy = request.get("Policy")
    if policy is not None:
        check_policy(policy, call, bypass=request.get("BypassPolicyLockoutSafetyCheck", False))
    call.key = call.store.add(
        spec_name=spec_name,
        usage=usage,
        description=request.get("Description", ""),
        policy=policy,
        tags=_tags(request.get("Tags", [])),
    )
    return {"KeyMetadata": call.key.metadata()}


def describe_key(call: Call, request: dict[str, Any]) -> dict[str, Any]:
    return {"KeyMetadata": call.use(request["KeyId"]).metadata()}


def list_keys(call: Call, request: dict[str, Any]) -> dict[str, Any]:
    entries = [{"KeyId": key.id, "KeyArn": key.arn} for key in call.store.keys.values()]
    return page("Keys", entries, request, default=100)


def disable_key(call: Call, request: dict[str, Any]) -> None:
    _changeable(call, request).state = "Disabled"


def enable_key(call: Call, request: dict[str, Any]) -> None:
    _changeable(call, request).state = "Enabled"


def schedule_key_deletion(call: Call, request: dict[str, Any]) -> dict[str, Any]:
    days = request.get("PendingWindowInDays", 30)
    if days not in _WINDOW_DAYS:
        raise RefusalError("ValidationException", "PendingWindowInDays must be between 7 and 30, inclusive")
    key = _changeable(call, request)
    key.state = "PendingDeletion"
    key.deletion_date = time.time() + days * DAY_S
    return {
        "KeyId": key.arn,
        "DeletionDate": key.deletion_date,
        "KeyState": key.state,
        "PendingWindowInDays": days,
    }


def cancel_key_deletion(call: Call, request: dict[str, Any]) -> dict[str, Any]:
    key = call.use(request["KeyId"], alias_allowed=False)
    if key.state != "PendingDeletion":
        raise RefusalError("KMSInvalidStateException", f"{key.arn} is not pending deletion.")
    key.state, key.deletion_date = "Disabled", None
    return {"KeyId": key.arn}


def tag_resource(call: Call, request: dict[str, Any]) -> None:
    _changeable(call, request).tags.update(_tags(request["Tags"]))


def list_resource_tags(call: Call, request: dict[str, Any]) -> dict[str, Any]:
    key = call.use(request["KeyId"], alias_allowed=False)
    tags = [{"TagKey": name, "TagValue": value} for name, value in key.tags.items()]
    return page("Tags", tags, request, default=50)


def get_key_last_usage(call: Call, request: dict[str, Any]) -> dict[str, Any]:
    key = call.use(request["KeyId"], alias_allowed=False)
    return {
        "KeyId": key.arn,
        "KeyLastUsage": key.last_usage or {},
        "TrackingStartDate": key.created,
        "KeyCreationDate": key.created,
    }


def page(member: str, entries: list, request: dict[str, Any], *, default: int) -> dict[str, Any]:
    """One page of a list; the marker is the place of the next entry."""
    try:
        start = int(request.get("Marker", "0"))
    except ValueError:
        raise RefusalError("InvalidMarkerException", "Could not deserialize marker") from None
    end = start + request.get("Limit", default)
    rest = {"Truncated": True, "NextMarker": str(end)} if end < len(entries) else {"Truncated": False}
    return {member: entries[start:end], **rest}


def _changeable(call: Call, request: dict[str, Any]) -> Key:
    key = call.use(request["KeyId"], alias_allowed=False)
    if key.state == "PendingDeletion":
        raise RefusalError("KMSInvalidStateException", f"{key.arn} is pending deletion.")
    return key


def _tags(tags: list[dict[str, str]]) -> dict[str, str]:
    names = [tag["TagKey"] for tag in tags]
    if len(set(names)) != len(names) or any(name.startswith("aws:") for name in names):
        raise RefusalError("TagException", "tag keys are not unique, or begin with aws:")
    return {tag["TagKey"]: tag["TagValue"] for tag in tags}
