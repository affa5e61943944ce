"""What single members of a CloudTrail record mean: who called, on which key, when.

Source: CloudTrail User Guide, "CloudTrail userIdentity element"; AWS KMS Developer Guide, "Examples of AWS KMS log
entries".
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final

from auditseal.errors import InputError

_ARN_FIELDS: Final = 6


@lru_cache(maxsize=4096)
def parse_event_time(text: str) -> int:
    """Seconds since the epoch of an `eventTime`, such as `2026-07-01T00:00:03Z`.

    Raises:
        InputError: another form.
    """
    try:
        moment = datetime.fromisoformat(text)
    except (ValueError, TypeError):
        raise InputError(f"{str(text)[:40]!r} is not a time of a CloudTrail record") from None
    if moment.tzinfo is None:
        raise InputError(f"{text[:40]!r} is not a time of a CloudTrail record: it names no time zone")
    return int(moment.timestamp())


def format_instant(at: int) -> str:
    """RFC 3339 with seconds, as CloudTrail writes it."""
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%dT%H:%M:%SZ}"


def key_arn_of(record: dict[str, Any], parameters: dict[str, Any]) -> str:
    """The ARN of the key that a record concerns; "" where it names none.

    `resources` counts. Where it is missing, a key id or key ARN of the request does; an alias is no key.
    """
    for resource in record.get("resources") or ():
        arn = resource.get("ARN") or ""
        if ":key/" in arn:
            return str(arn)
    named = parameters.get("keyId") or parameters.get("targetKeyId") or ""
    if not isinstance(named, str) or "alias/" in named:
        return ""
    if named.startswith("arn:"):
        return named
    account = record.get("recipientAccountId") or ""
    return f"arn:aws:kms:{record['awsRegion']}:{account}:key/{named}" if named else ""


def alias_identity(record: dict[str, Any], name: object) -> str:
    """An alias with the account and Region that it is of, `ACCOUNT REGION alias/NAME`; "" for what is none.

    Args:
        record: in which it was used; an alias without an ARN is one of the caller's account and Region.
        name: an alias, its ARN, or something else.
    """
    if not isinstance(name, str) or "alias/" not in name:
        return ""
    parts = name.split(":", _ARN_FIELDS - 1)
    if len(parts) == _ARN_FIELDS:
        return f"{parts[4]} {parts[3]} {parts[5]}"
    account = (record.get("userIdentity") or {}).get("accountId") or record.get("recipientAccountId") or ""
    return f"{account} {record['awsRegion']} {name}"


def text_of(value: object) -> str:
    """The text itself.

    Raises:
        TypeError: it is no text.
    """
    if type(value) is not str:
        raise TypeError("not a text")
    return value


@lru_cache(maxsize=4096)
def key_identity(arn: str) -> tuple[str, str]:
    """What all ARNs of one key have in common, (account, `key/ID`): replicas of it lie in other Regions."""
    parts = arn.split(":", _ARN_FIELDS - 1)
    return (parts[4], parts[5]) if len(parts) == _ARN_FIELDS else ("", arn)


def key_place(arn: str) -> tuple[str, str]:
    """(account, Region) of a key's ARN; empty texts for what is no ARN."""
    parts = arn.split(":", _ARN_FIELDS - 1)
    return (parts[4], parts[3]) if len(parts) == _ARN_FIELDS else ("", "")


def principal_of(identity: dict[str, Any]) -> str:
    """Who called: of a session the role behind it, else the caller's ARN, else what there is."""
    issuer = (identity.get("sessionContext") or {}).get("sessionIssuer") or {}
    for found in (issuer.get("arn"), identity.get("arn"), identity.get("invokedBy")):
        if found:
            return str(found)
    account = identity.get("accountId")
    kind = identity.get("type") or "unknown"
    return f"{kind} {identity.get('principalId') or ''} of account {account}" if account else str(kind)
