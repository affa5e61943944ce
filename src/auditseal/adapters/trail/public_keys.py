"""CloudTrail's public keys, asked for: each Region signs its digests with keys of its own.

Permission: cloudtrail:ListPublicKeys.

Source: AWS CloudTrail API Reference, "ListPublicKeys".
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from auditseal.adapters.trail.aws import aws_errors, client_of
from auditseal.core.trail_digest import parse_rsa_key
from auditseal.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from auditseal.core.trail_digest import PublicKeys


def fetch_public_keys(
    regions: Sequence[str],
    since: int | None,
    until: int | None,
    *,
    make_client: Callable[[str], Any] = lambda region: client_of("cloudtrail", region=region),
) -> PublicKeys:
    """The keys that signed digests of these Regions.

    Args:
        regions: which.
        since: seconds since the epoch; None for all that are known.
        until: likewise.
        make_client: gives a botocore client for a Region.

    Raises:
        ConfigError: credentials are missing or refused.
        StoreError: AWS cannot be reached, or gave something that is no key.
    """
    keys = {}
    for region in regions:
        client = make_client(region)
        request: dict[str, Any] = {"StartTime": datetime.fromtimestamp(since or 0, UTC)}
        if until is not None:
            request["EndTime"] = datetime.fromtimestamp(until, UTC)
        while True:
            with aws_errors("cloudtrail:ListPublicKeys"):
                answer = client.list_public_keys(**request)
            for listed in answer.get("PublicKeyList", ()):
                try:
                    keys[listed["Fingerprint"]] = parse_rsa_key(listed["Value"])
                except ValueError as error:
                    raise StoreError(f"cloudtrail:ListPublicKeys gave something in {region} that is no key") from error
            if not answer.get("NextToken"):
                break
            request["NextToken"] = answer["NextToken"]
        client.close()
    return keys
