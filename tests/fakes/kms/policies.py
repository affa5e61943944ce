"""The operations on key policies and grants. They are stored and checked for form; nothing is evaluated."""

from __future__ import annotations

import json
import time
from secrets import token_hex, token_urlsafe
from typing import Any

from fakes.kms.context import Call
from fakes.kms.refusal import RefusalError

POLICY_NAME = "default"


def get_key_policy(call: Call, request: dict[str, Any]) -> dict[str, Any]:
    _check_name(request)
    key = call.use(request["KeyId"], alias_allowed=False)
    return {"Policy": key.policy, "PolicyName": POLICY_NAME}


def put_key_policy(call: Call, request: dict[str, Any]) -> None:
    _check_name(request)
    key = call.use(request["KeyId"], alias_allowed=False)
    check_policy(request["Policy"], call, bypass=request.get("BypassPolicyLockoutSafetyCheck", False))
    key.policy = request["Policy"]


def list_key_policies(call: Call, request: dict[str, Any]) -> dict[str, Any]:
    call.use(request["KeyId"], alias_allowed=False)
    return {"PolicyNames": [POLICY_NAME], "Truncated": False}


def create_grant(call: Call, request: dict[str, Any]) -> dict[str, Any]:
    key = call.use(request["KeyId"], alias_allowed=False)
    if key.state == "Disabled":
        raise RefusalError("DisabledException", f"{key.arn} is disabled.")
    if key.state == "PendingDeletion":
        raise RefusalError("KMSInvalidStateException", f"{key.arn} is pending deletion.")
    if "GranteePrincipal" not in request and "GranteeServicePrincipal" not in request:
        raise RefusalError("ValidationException", "a grant needs a grantee")
    if request.get("DryRun"):
        raise RefusalError(
            "DryRunOperationException", "The request would have succeeded, but the DryRun option is set."
        )
    grant = {
        "KeyId": key.arn,
        "GrantId": token_hex(32),
        "Name": request.get("Name", ""),
        "CreationDate": time.time(),
        "IssuingAccount": f"arn:aws:iam::{key.account}:root",
        **{
            name: request[name]
            for name in ("GranteePrincipal", "RetiringPrincipal", "Operations", "Constraints")
            if name in request
        },
    }
    key.grants.append(grant)
    return {"GrantId": grant["GrantId"], "GrantToken": token_urlsafe(96)}


def list_grants(call: Call, request: dict[str, Any]) -> dict[str, Any]:
    key = call.use(request["KeyId"], alias_allowed=False)
    wanted = {name: request[name] for name in ("GrantId", "GranteePrincipal") if name in request}
    grants = [grant for grant in key.grants if all(grant.get(name) == value for name, value in wanted.items())]
    return {"Grants": grants, "Truncated": False}


def check_policy(text: str, call: Call, *, bypass: bool) -> None:
    """Refuses what is no policy, and what would lock everybody out (unless that check is bypassed)."""
    try:
        policy = json.loads(text)
        statements = policy["Statement"] if isinstance(policy["Statement"], list) else [policy["Statement"]]
        effects = {statement["Effect"] for statement in statements}
    except (ValueError, TypeError, KeyError):
        raise RefusalError("MalformedPolicyDocumentException", "Syntax errors in policy.") from None
    if not effects <= {"Allow", "Deny"} or not all("Principal" in statement for statement in statements):
        raise RefusalError("MalformedPolicyDocumentException", "Policy contains a statement with invalid elements.")
    if not bypass and not any(_keeps_control(statement, call) for statement in statements):
        raise RefusalError(
            "MalformedPolicyDocumentException",
            "The new key policy will not allow you to update the key policy in the future.",
        )


def _keeps_control(statement: dict[str, Any], call: Call) -> bool:
    actions = _listed(statement.get("Action"))
    principal = statement["Principal"]
    named = _listed(principal.get("AWS") if isinstance(principal, dict) else principal)
    caller = call.principal
    account = call.store.account
    mine = {"*", account, f"arn:aws:iam::{account}:root", *((caller.arn, caller.issuer_arn) if caller else ())}
    allows = {action.lower() for action in actions} & {"kms:*", "kms:put*", "kms:putkeypolicy", "*"}
    return statement["Effect"] == "Allow" and bool(allows) and bool(mine.intersection(named))


def _listed(value: Any) -> list[str]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _check_name(request: dict[str, Any]) -> None:
    if request.get("PolicyName", POLICY_NAME) != POLICY_NAME:
        raise RefusalError("NotFoundException", "No such policy exists")
