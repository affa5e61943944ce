"""A trail that is asked: CloudTrail's LookupEvents, which knows 90 days of management events without any trail.

It answers two calls a second with fifty events each, so that it suits thousands of signatures and not millions; and one
Region of the caller's own account only.

Permissions: cloudtrail:LookupEvents; sts:GetCallerIdentity needs none.

Source: AWS CloudTrail API Reference, "LookupEvents".
"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

from auditseal.adapters.trail.aws import aws_errors, client_of
from auditseal.core.cloudtrail import SIGNING
from auditseal.core.cloudtrail_changes import KEY_CHANGES, TRAIL_CHANGES
from auditseal.service.accounting.ports import DigestFile, Live, TrailFile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

DAYS: Final = 90
_PER_PAGE: Final = 50
_PAUSE_S: Final = 0.5
"""Two calls a second are allowed."""


class LookupTrail:
    """A trail by LookupEvents (`auditseal.service.accounting.ports.Trail`)."""

    def __init__(
        self,
        *,
        region: str | None = None,
        since: int | None = None,
        until: int | None = None,
        cloudtrail: Any = None,
        sts: Any = None,
        now: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Asks who the caller is.

        Args:
            region: which; None takes AWS's own configuration.
            since: seconds since the epoch; None for all there is.
            until: likewise.
            cloudtrail: a client of botocore; None makes one.
            sts: likewise.
            now: seconds since the epoch.
            sleep: waits for so many seconds.

        Raises:
            ConfigError: AWS's configuration is incomplete, or refuses the caller.
            StoreError: AWS cannot be reached.
        """
        self._client = cloudtrail or client_of("cloudtrail", region=region)
        self._sleep = sleep
        identity = sts or client_of("sts", region=region)
        with aws_errors("sts:GetCallerIdentity"):
            account = identity.get_caller_identity()["Account"]
        oldest = int(now()) - DAYS * 86_400
        self._since = max(since or 0, oldest)
        self._until = until
        self.live = Live(account, self._client.meta.region_name, self._since)
        self.address = f"lookup {account} {self.live.region}"
        self._page: tuple[str, bytes] | None = None

    def digests(self) -> Iterator[DigestFile]:
        """None: AWS itself answers (`Trail.digests`)."""
        return iter(())

    def files(self) -> Iterator[TrailFile]:
        """A file for each page of each kind of event (`Trail.files`)."""
        for name in sorted(SIGNING | KEY_CHANGES | TRAIL_CHANGES):
            request: dict[str, Any] = {
                "LookupAttributes": [{"AttributeKey": "EventName", "AttributeValue": name}],
                "StartTime": datetime.fromtimestamp(self._since, UTC),
                "MaxResults": _PER_PAGE,
            }
            if self._until is not None:
                request["EndTime"] = datetime.fromtimestamp(self._until, UTC)
            while True:
                with aws_errors("cloudtrail:LookupEvents"):
                    answer = self._client.lookup_events(**request)
                events = [event["CloudTrailEvent"] for event in answer.get("Events", ())]
                content = f'{{"Records":[{",".join(events)}]}}'.encode()
                mark = sha256(content).hexdigest()
                self._page = (mark, content)
                if events:
                    yield TrailFile(f"lookup/{self.live.account}/{self.live.region}/{name}/{mark}", mark)
                self._sleep(_PAUSE_S)
                if not answer.get("NextToken"):
                    break
                request["NextToken"] = answer["NextToken"]

    def read(self, file: TrailFile) -> bytes:
        """The page that was asked for last (`Trail.read`)."""
        assert self._page is not None
        assert self._page[0] == file.mark
        return self._page[1]

    def close(self) -> None:
        """Releases connections."""
        self._client.close()
