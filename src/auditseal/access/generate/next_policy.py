"""The key policy of the key that comes after another: what the old key's policy grants.

Carrying the old policy over keeps who may sign and who may administer; only what speaks of the old key or its algorithm
is changed to the new one.

Source: KMS Developer Guide, "Key policies in AWS KMS" and "Condition keys for AWS KMS".
"""

from __future__ import annotations

import json
from typing import Any, Final

from auditseal.core.algorithm import Algorithm
from auditseal.errors import InputError

_SIGN: Final = {False: "kms:Sign", True: "kms:GenerateMac"}
_VERIFY: Final = {False: "kms:Verify", True: "kms:VerifyMac"}
_PINS: Final = ("kms:SigningAlgorithm", "kms:MessageType", "kms:MacAlgorithm")


def carry_over(policy: str, *, old: Algorithm, new: Algorithm, old_arn: str) -> str:
    """The old key's policy for the new key.

    Args:
        policy: the old key's, as JSON.
        old: what the old key signs with.
        new: what the new one signs with.
        old_arn: the old key, where a statement names it in place of `*`.

    Raises:
        InputError: it is no policy, or wants requests to name an alias: writers go over by the key, before it moves.
    """
    if "kms:RequestAlias" in policy:
        raise InputError(
            "the old key's policy lets only requests through that name an alias, and running writers go over to the "
            "new key before the alias moves: give one without kms:RequestAlias (--policy FILE or --signer-role ARN)"
        )
    try:
        document = json.loads(policy)
        statements = document["Statement"]
        statements = statements if isinstance(statements, list) else [statements]
        document["Statement"] = [_carried(statement, old, new, old_arn) for statement in statements]
    except (json.JSONDecodeError, KeyError, TypeError, AttributeError):
        raise InputError("the old key's policy cannot be read: give the new one's with --policy") from None
    return json.dumps(document)


def _carried(statement: dict[str, Any], old: Algorithm, new: Algorithm, old_arn: str) -> dict[str, Any]:
    made = dict(statement)
    if made.get("Resource") == old_arn:
        made["Resource"] = "*"
    renamed = {_SIGN[old.is_mac]: _SIGN[new.is_mac], _VERIFY[old.is_mac]: _VERIFY[new.is_mac]}
    for member in ("Action", "NotAction"):
        if member in made:
            made[member] = _each(made[member], renamed)
    if "Condition" in made and old.id is not new.id:
        made["Condition"] = {operator: _pinned(pins, old, new) for operator, pins in made["Condition"].items()}
        made["Condition"] = {operator: pins for operator, pins in made["Condition"].items() if pins}
        if not made["Condition"]:
            del made["Condition"]
    return made


def _pinned(pins: dict[str, Any], old: Algorithm, new: Algorithm) -> dict[str, Any]:
    """One operator's conditions; what pins the old algorithm pins the new one."""
    changed: dict[str, Any] = {}
    for key, value in pins.items():
        if key not in _PINS:
            changed[key] = value
        elif key == "kms:MessageType":
            if not new.is_mac:
                changed[key] = _each(value, {old.kms_message_type: new.kms_message_type})
        else:
            name = "kms:MacAlgorithm" if new.is_mac else "kms:SigningAlgorithm"
            taken, given = old.kms_signing_algorithm, new.kms_signing_algorithm
            changed[name] = _each(value, {taken: given})
    if old.is_mac and not new.is_mac and "kms:MacAlgorithm" in pins:
        changed["kms:MessageType"] = new.kms_message_type
    return changed


def _each(value: Any, renamed: dict[Any, Any]) -> Any:
    return [renamed.get(one, one) for one in value] if isinstance(value, list) else renamed.get(value, value)
