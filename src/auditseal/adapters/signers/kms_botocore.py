"""The transport for everything: botocore's own client, one attempt at a time, under a timeout that holds.

botocore's timeouts are for single reads and for connecting, and its credentials may be fetched over the network too,
so each attempt runs in a thread of its own that is left behind when its time is up.
"""

from __future__ import annotations

from typing import Any

from botocore import xform_name

from auditseal.adapters.signers.kms_calls import Answer
from auditseal.adapters.signers.kms_deadline import within
from auditseal.adapters.signers.kms_errors import from_exception


class BotocoreTransport:
    """Sends through a botocore client that was made without retries of its own."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def send(self, operation: str, parameters: dict[str, Any], timeout_s: float) -> Answer:
        """One attempt; see `Transport.send`."""
        method = getattr(self._client, xform_name(operation))
        try:
            values = within(timeout_s, lambda: method(**parameters))
        except Exception as error:
            raise from_exception(operation, error) from error
        metadata = values.pop("ResponseMetadata", {})
        return Answer(values=values, request_id=metadata.get("RequestId"))

    def close(self) -> None:
        """Closes the client's connections. Idempotent."""
        self._client.close()
