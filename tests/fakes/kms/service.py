"""The service without its transport: a signed request becomes an answer, a record, and what a fault makes of them."""

from __future__ import annotations

import base64
import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any
from uuid import uuid4

from fakes.kms import administration, aliases, policies, usage
from fakes.kms.context import Call
from fakes.kms.faults import Fault, Faults
from fakes.kms.keystore import KeyStore
from fakes.kms.principals import ACCOUNT, Principal, Principals
from fakes.kms.refusal import RefusalError
from fakes.kms.sigv4 import authenticate
from fakes.kms.trail import build_record
from fakes.kms.validation import check_request

TARGET = "TrentService."
OPERATIONS: dict[str, Callable[[Call, dict[str, Any]], dict[str, Any] | None]] = {
    "CancelKeyDeletion": administration.cancel_key_deletion,
    "CreateAlias": aliases.create_alias,
    "CreateGrant": policies.create_grant,
    "CreateKey": administration.create_key,
    "DeleteAlias": aliases.delete_alias,
    "DescribeKey": administration.describe_key,
    "DisableKey": administration.disable_key,
    "EnableKey": administration.enable_key,
    "GenerateMac": usage.generate_mac,
    "GetKeyLastUsage": administration.get_key_last_usage,
    "GetKeyPolicy": policies.get_key_policy,
    "GetPublicKey": usage.get_public_key,
    "ListAliases": aliases.list_aliases,
    "ListGrants": policies.list_grants,
    "ListKeyPolicies": policies.list_key_policies,
    "ListKeys": administration.list_keys,
    "ListResourceTags": administration.list_resource_tags,
    "PutKeyPolicy": policies.put_key_policy,
    "ScheduleKeyDeletion": administration.schedule_key_deletion,
    "Sign": usage.sign,
    "TagResource": administration.tag_resource,
    "UpdateAlias": aliases.update_alias,
    "Verify": usage.verify,
    "VerifyMac": usage.verify_mac,
}
CRYPTOGRAPHIC = frozenset({"Sign", "Verify", "GenerateMac", "VerifyMac"})
_OTHER_KEY = "00000000-0000-4000-8000-000000000000"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What the transport is to send: an answer, or what a fault makes of it.

    Attributes:
        behaviour: "" to answer, or the kind of fault that the transport plays (`hang`, `reset`, …).
    """

    request_id: str
    status: int
    body: bytes
    behaviour: str = ""


class Service:
    """One account and Region. Calls come from one thread; records and faults are safe to use from others."""

    def __init__(self, *, region: str, account: str = ACCOUNT, strict_credentials: bool = False) -> None:
        self.store = KeyStore(region=region, account=account)
        self.faults = Faults()
        self.principals = Principals(account=account, strict=strict_credentials)
        # Built when they are asked for: at 1,500 calls a second that time is better spent on answers.
        self._records: list[Callable[[], dict[str, Any]]] = []
        self._lock = threading.Lock()

    def records(self, *names: str) -> list[dict[str, Any]]:
        """The CloudTrail records so far, oldest first; of these operations alone if any is named."""
        with self._lock:
            built = [record() for record in self._records]
        return [record for record in built if not names or record["eventName"] in names]

    def forget_records(self) -> None:
        with self._lock:
            self._records.clear()

    def handle(self, headers: dict[str, str], body: bytes) -> Outcome:
        """One request: header names in lower case, body as sent."""
        request_id = str(uuid4())
        try:
            principal = authenticate(headers, body, self.store.region, self.principals)
        except RefusalError as refusal:
            return _refused(request_id, refusal)
        operation = headers.get("x-amz-target", "").removeprefix(TARGET)
        if operation not in OPERATIONS:
            return _refused(request_id, RefusalError("UnknownOperationException"))
        call = Call(
            operation=operation,
            request_id=request_id,
            principal=principal,
            store=self.store,
            faults=self.faults.take(operation, principal.access_key),
        )
        return self._perform(call, body, headers.get("user-agent", ""))

    def call(self, operation: str, principal: Principal | None = None, **request: Any) -> dict[str, Any]:
        """Performs an operation without HTTP, signature, faults or record; blobs are bytes."""
        call = Call(operation=operation, request_id=str(uuid4()), principal=principal, store=self.store)
        return OPERATIONS[operation](call, check_request(operation, _encode(request))) or {}

    def _perform(self, call: Call, body: bytes, agent: str) -> Outcome:
        answer, refusal = None, None
        behaviour = next((fault.kind for fault in call.faults if fault.kind in _PLAYED), "")
        if behaviour in _INSTEAD:
            fault = next(fault for fault in call.faults if fault.kind == behaviour)
            return Outcome(request_id=call.request_id, status=fault.status, body=b"<html>", behaviour=behaviour)
        try:
            call.parameters = check_request(call.operation, _parse(body))
            _strike(call)
            answer = OPERATIONS[call.operation](call, call.parameters) or {}
            if call.has("other-key"):
                answer["KeyId"] = self.store.arn(f"key/{_OTHER_KEY}")
        except RefusalError as error:
            refusal = error
        self._note(call, answer, refusal, agent)
        if refusal is not None:
            return _refused(call.request_id, refusal, behaviour)
        return Outcome(
            request_id=call.request_id, status=200, body=json.dumps(_encode(answer)).encode(), behaviour=behaviour
        )

    def _note(self, call: Call, answer: dict | None, refusal: RefusalError | None, agent: str) -> None:
        at = time.time()
        event_id = str(uuid4())
        record = partial(build_record, call, event_id=event_id, answer=answer, refusal=refusal, at=at, agent=agent)
        if refusal is None and call.key is not None and call.operation in CRYPTOGRAPHIC:
            call.key.last_usage = {
                "Operation": call.operation,
                "Timestamp": at,
                "CloudTrailEventId": event_id,
                "KmsRequestId": call.request_id,
            }
        with self._lock:
            self._records.append(record)


_INSTEAD = frozenset({"hang", "reset", "garbage"})
_PLAYED = _INSTEAD | {"hang-after", "reset-after", "close-after"}


def _strike(call: Call) -> None:
    """Raises what the call's faults answer instead of doing the work."""
    for fault in call.faults:
        if fault.kind == "error":
            raise RefusalError(fault.type, fault.message, fault.status)
        if fault.kind == "throttled":
            raise RefusalError(
                "ThrottlingException", "You have exceeded the rate at which you may call KMS. Reduce the frequency."
            )
        if fault.kind == "denied":
            raise _denial(call, fault)


def _denial(call: Call, fault: Fault) -> RefusalError:
    del fault
    name = call.parameters.get("KeyId") or call.parameters.get("TargetKeyId")
    resource = call.use(name).arn if name else "*"
    who = call.principal.arn if call.principal else "anonymous"
    return RefusalError(
        "AccessDeniedException",
        f"User: {who} is not authorized to perform: kms:{call.operation} on resource: {resource} "
        f"because no resource-based policy allows the kms:{call.operation} action",
    )


def _parse(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        raise RefusalError("SerializationException", "the request is not JSON") from None


def _encode(value: Any) -> Any:
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, dict):
        return {name: _encode(item) for name, item in value.items()}
    return [_encode(item) for item in value] if isinstance(value, list | tuple) else value


def _refused(request_id: str, refusal: RefusalError, behaviour: str = "") -> Outcome:
    body = json.dumps({"__type": refusal.type, **({"message": refusal.message} if refusal.message else {})})
    return Outcome(request_id=request_id, status=refusal.status, body=body.encode(), behaviour=behaviour)
