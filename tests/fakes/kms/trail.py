"""Records in the shape that CloudTrail documents for KMS: no message, no signature, no MAC.

Source: AWS KMS Developer Guide, "Examples of AWS KMS log entries"; CloudTrail User Guide, "Record contents".
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from fakes.kms.context import Call
from fakes.kms.refusal import RefusalError

READ_ONLY = frozenset(
    {
        "DescribeKey",
        "GenerateMac",
        "GetKeyLastUsage",
        "GetKeyPolicy",
        "GetPublicKey",
        "ListAliases",
        "ListGrants",
        "ListKeyPolicies",
        "ListKeys",
        "ListResourceTags",
        "Sign",
        "Verify",
        "VerifyMac",
    }
)
_SECRET = frozenset({"Message", "Signature", "Mac", "GrantTokens", "GrantToken"})
_ANSWERED = frozenset({"CreateKey", "CreateGrant", "ScheduleKeyDeletion"})


def build_record(
    call: Call, *, event_id: str, answer: dict[str, Any] | None, refusal: RefusalError | None, at: float, agent: str
) -> dict:
    """The record of one call.

    Args:
        call: who called what on which key.
        event_id: of the record.
        answer: what was answered; None for a refusal.
        refusal: the error; None for an answer.
        at: seconds since the epoch.
        agent: the caller's User-Agent.
    """
    key = call.key
    failure = {}
    if refusal is not None:
        code = "AccessDenied" if refusal.type == "AccessDeniedException" else refusal.type
        failure = {"errorCode": code, **({"errorMessage": refusal.message} if refusal.message else {})}
    return {
        "eventVersion": "1.08",
        "userIdentity": call.principal.identity() if call.principal else {"type": "Unknown"},
        "eventTime": f"{datetime.fromtimestamp(at, UTC):%Y-%m-%dT%H:%M:%SZ}",
        "eventSource": "kms.amazonaws.com",
        "eventName": call.operation,
        "awsRegion": call.store.region,
        "sourceIPAddress": "192.0.2.0",
        "userAgent": agent,
        **failure,
        "requestParameters": _public(call.parameters) or None,
        "responseElements": _public(answer) if answer and call.operation in _ANSWERED else None,
        "requestID": call.request_id,
        "eventID": event_id,
        "readOnly": call.operation in READ_ONLY,
        "resources": [{"accountId": key.account, "type": "AWS::KMS::Key", "ARN": key.arn}] if key else [],
        "eventType": "AwsApiCall",
        "managementEvent": True,
        "recipientAccountId": call.store.account,
        "eventCategory": "Management",
    }


def _public(members: dict[str, Any]) -> dict[str, Any]:
    return {_camel(name): _plain(value) for name, value in members.items() if name not in _SECRET}


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return _public(value)
    return [_plain(item) for item in value] if isinstance(value, list) else value


def _camel(name: str) -> str:
    return name[:1].lower() + name[1:]
