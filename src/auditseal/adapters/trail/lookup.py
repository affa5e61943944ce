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
from auditseal.errors import NotFoundError
from auditseal.service.accounting.ports import DigestFile, Live, TrailFile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

DAYS: Final = 90
LATE_S: Final = 24 * 3600
"""How late an event may come to be known."""
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
        known: tuple[int, int] | None = None,
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
            known: (since, through), for which the answers are at hand; what came late is asked for again.
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
        self._since = max(since or 0, int(now()) - DAYS * 86_400)
        self._until = until
        self._ask_since = self._since
        if known is not None and known[0] <= self._since:
            self._ask_since = max(self._since, known[1] - LATE_S)
        self.live = Live(account, self._client.meta.region_name, self._since)
        self.address = f"lookup {account} {self.live.region}"
        self._page: tuple[str, bytes] | None = None

    def digests(self) -> Iterator[TrailFile]:
        """None: AWS itself answers (`Trail.digests`)."""
        return iter(())

    def read_digest(self, file: TrailFile) -> DigestFile:
        """There is none (`Trail.read_digest`)."""
        raise NotFoundError(f"{self.address} has no digest {file.name}")

    def files(self) -> Iterator[TrailFile]:
        """A file for each page of each kind of event (`Trail.files`)."""
        for name in sorted(SIGNING | KEY_CHANGES | TRAIL_CHANGES):
            request: dict[str, Any] = {
                "LookupAttributes": [{"AttributeKey": "EventName", "AttributeValue": name}],
                "StartTime": datetime.fromtimestamp(self._ask_since, UTC),
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
