"""The transport for everything: botocore's own client, one attempt at a time, under a timeout that holds.

botocore's timeouts are for single reads and for connecting, and its credentials may be fetched over the network too,
so each attempt runs in a thread of its own that is left behind when its time is up.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any, NoReturn, TypeVar

from botocore import xform_name

from auditseal.adapters.signers.kms_calls import Answer
from auditseal.adapters.signers.kms_errors import from_exception

T = TypeVar("T")


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


def within(timeout_s: float, work: Callable[[], T]) -> T:
    """What `work` returns or raises, if it ends in time.

    Raises:
        TimeoutError: it did not; its thread is left to end by itself.
    """
    outcome: SimpleQueue[Callable[[], T]] = SimpleQueue()

    def run() -> None:
        try:
            result = work()
        except BaseException as error:  # noqa: BLE001 - it is raised again where it is waited for
            outcome.put(partial(_raise, error))
        else:
            outcome.put(lambda: result)

    threading.Thread(target=run, name="auditseal-kms", daemon=True).start()
    try:
        ended = outcome.get(timeout=timeout_s)
    except Empty:
        raise TimeoutError from None
    return ended()


def _raise(error: BaseException) -> NoReturn:
    raise error
