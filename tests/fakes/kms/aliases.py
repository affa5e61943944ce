"""The operations on aliases."""

from __future__ import annotations

import time
from typing import Any

from fakes.kms.administration import page
from fakes.kms.context import Call
from fakes.kms.keystore import Key
from fakes.kms.refusal import RefusalError


def create_alias(call: Call, request: dict[str, Any]) -> None:
    name = _name(request)
    key = _target(call, request)
    if name in call.store.aliases:
        raise RefusalError("AlreadyExistsException", f"An alias with the name {call.store.arn(name)} already exists")
    now = time.time()
    call.store.aliases[name] = {"TargetKeyId": key.id, "CreationDate": now, "LastUpdatedDate": now}


def update_alias(call: Call, request: dict[str, Any]) -> None:
    name = _name(request)
    alias = _existing(call, name)
    key, before = _target(call, request), call.store.keys[alias["TargetKeyId"]]
    if key.spec.kind != before.spec.kind or key.usage != before.usage:
        raise RefusalError("ValidationException", "The new key must have the same type and usage as the current key.")
    alias.update(TargetKeyId=key.id, LastUpdatedDate=time.time())


def delete_alias(call: Call, request: dict[str, Any]) -> None:
    name = _name(request)
    call.key = call.store.keys[_existing(call, name)["TargetKeyId"]]
    del call.store.aliases[name]


def list_aliases(call: Call, request: dict[str, Any]) -> dict[str, Any]:
    wanted = call.use(request["KeyId"], alias_allowed=False).id if "KeyId" in request else None
    entries = [
        {"AliasName": name, "AliasArn": call.store.arn(name), **alias}
        for name, alias in call.store.aliases.items()
        if wanted in {None, alias["TargetKeyId"]}
    ]
    return page("Aliases", entries, request, default=50)


def _name(request: dict[str, Any]) -> str:
    name = request["AliasName"]
    if not name.startswith("alias/") or name.startswith("alias/aws/") or name == "alias/":
        raise RefusalError("InvalidAliasNameException", f"{name} is not a permitted alias name")
    return name


def _existing(call: Call, name: str) -> dict[str, Any]:
    if name not in call.store.aliases:
        raise RefusalError("NotFoundException", f"Alias {call.store.arn(name)} is not found.")
    return call.store.aliases[name]


def _target(call: Call, request: dict[str, Any]) -> Key:
    target = request["TargetKeyId"]
    if "alias/" in target:
        raise RefusalError("ValidationException", "Aliases must refer to keys. Not aliases")
    key = call.use(target, alias_allowed=False)
    if key.state == "PendingDeletion":
        raise RefusalError("KMSInvalidStateException", f"{key.arn} is pending deletion.")
    return key
