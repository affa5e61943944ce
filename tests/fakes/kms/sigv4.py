"""Signature Version 4 as the server sees it: every request must carry it, and for a known secret it must be right.

Source: AWS Signature Version 4, "Create a signed AWS API request".
"""

from __future__ import annotations

import hashlib
import hmac
import re
import time
from datetime import UTC, datetime
from functools import lru_cache

from fakes.kms.principals import Principal, Principals
from fakes.kms.refusal import RefusalError

_AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256 Credential=([^/,\s]+)/(\d{8})/([^/,]+)/([^/,]+)/aws4_request, ?"
    r"SignedHeaders=([a-z0-9;-]+), ?Signature=([0-9a-f]{64})"
)
_SKEW_S = 300


def authenticate(headers: dict[str, str], body: bytes, region: str, principals: Principals) -> Principal:
    """The caller.

    Args:
        headers: names in lower case.
        body: as it was sent.
        region: this service's own.
        principals: who is known.
    """
    authorization = headers.get("authorization")
    if not authorization:
        raise RefusalError("MissingAuthenticationTokenException", "Missing Authentication Token")
    match = _AUTHORIZATION.fullmatch(authorization)
    if not match:
        raise RefusalError("IncompleteSignatureException", "Authorization header is not a Signature Version 4 one")
    access_key, date, scope_region, service, signed, signature = match.groups()
    _check_scope(scope_region, service, region)
    names = signed.split(";")
    must = {"host", "x-amz-date"} | {name for name in headers if name.startswith("x-amz-")}
    if missing := must.difference(names):
        raise RefusalError("InvalidSignatureException", f"header must be signed: {', '.join(sorted(missing))}")
    moment = headers.get("x-amz-date", "")
    _check_date(moment, date)
    principal = principals.find(access_key)
    if principal is None or (principal.secret and principal.token != headers.get("x-amz-security-token")):
        raise RefusalError("UnrecognizedClientException", "The security token included in the request is invalid.")
    if principal.secret:
        canonical = "\n".join(
            ("POST", "/", "", *(f"{name}:{headers[name]}" for name in names), "", signed, _sha256(body))
        )
        scope = f"{date}/{region}/kms/aws4_request"
        text = f"AWS4-HMAC-SHA256\n{moment}\n{scope}\n{_sha256(canonical.encode())}"
        expected = hmac.new(_signing_key(principal.secret, date, region), text.encode(), "sha256").hexdigest()
        if not hmac.compare_digest(expected, signature):
            raise RefusalError(
                "InvalidSignatureException",
                "The request signature we calculated does not match the signature you provided.",
            )
    return principal


def _check_scope(scope_region: str, service: str, region: str) -> None:
    if service != "kms":
        raise RefusalError("InvalidSignatureException", "Credential should be scoped to correct service: 'kms'.")
    if scope_region != region:
        raise RefusalError("InvalidSignatureException", f"Credential should be scoped to a valid region: {region}.")


def _check_date(moment: str, date: str) -> None:
    signed_at = _parse_date(moment)
    if signed_at is None:
        raise RefusalError("IncompleteSignatureException", "X-Amz-Date is not a time")
    if moment[:8] != date:
        raise RefusalError("InvalidSignatureException", "Date in Credential scope does not match X-Amz-Date.")
    if abs(time.time() - signed_at) > _SKEW_S:
        raise RefusalError("InvalidSignatureException", f"Signature expired: {moment}.")


@lru_cache(maxsize=16)
def _parse_date(moment: str) -> float | None:
    try:
        return datetime.strptime(moment, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC).timestamp()
    except ValueError:
        return None


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@lru_cache(maxsize=64)
def _signing_key(secret: str, date: str, region: str) -> bytes:
    key = f"AWS4{secret}".encode()
    for part in (date, region, "kms", "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return key
