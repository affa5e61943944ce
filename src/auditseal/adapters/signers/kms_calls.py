"""One call to KMS: an operation with its parameters becomes an answer, within a deadline, a bound and the retries.

Two transports carry calls: botocore's client for everything, and a lean one for the few operations that are called
for each entry. Neither retries; that is done here, the same for both.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any, Final, Protocol
from urllib.parse import urlsplit

from auditseal.adapters.signers import kms_causes as causes
from auditseal.adapters.signers.kms_errors import from_cause
from auditseal.adapters.signers.kms_retry import SUCCESS_REFUND, RetryQuota, RetryRules, cost_of
from auditseal.errors import SignerError

HOT_OPERATIONS: Final = frozenset({"Sign", "GenerateMac", "VerifyMac"})
"""Called for each entry: these take the lean transport."""
_MUST_HAVE: Final = {
    "CreateKey": "KeyMetadata",
    "DescribeKey": "KeyMetadata",
    "GenerateMac": "Mac",
    "GetPublicKey": "PublicKey",
    "ListAliases": "Aliases",
    "ListKeys": "Keys",
    "ScheduleKeyDeletion": "DeletionDate",
    "Sign": "Signature",
    "VerifyMac": "MacValid",
}
"""Without this member an answer is not KMS's: botocore takes whatever has status 200."""
_NEVER_ARRIVED: Final = frozenset({"throttled", "unreachable"})
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What KMS answered.

    Attributes:
        values: the members, blobs as bytes.
        request_id: by which CloudTrail knows the call.
    """

    values: dict[str, Any]
    request_id: str | None


class Transport(Protocol):
    """Carries single attempts. Safe to call from many threads."""

    def send(self, operation: str, parameters: dict[str, Any], timeout_s: float) -> Answer:
        """One attempt.

        Args:
            operation: such as `Sign`.
            parameters: members of the request, blobs as bytes.
            timeout_s: for the whole attempt.

        Raises:
            SignerError: KMS refused, or there was no answer.
            ConfigError: credentials, Region or endpoint are missing or malformed.
        """

    def close(self) -> None:
        """Releases connections. Idempotent."""


class KmsCalls:
    """Calls to one KMS endpoint. Safe to use from many threads.

    Args:
        endpoint: its URL.
        region: its Region.
        rare: carries every operation.
        hot: carries `HOT_OPERATIONS`; None leaves them to `rare`.
        concurrency: how many calls are in flight at once; further ones wait, within their deadline.
        rules: retries and deadline.
    """

    def __init__(
        self,
        *,
        endpoint: str,
        region: str,
        rare: Transport,
        hot: Transport | None = None,
        concurrency: int = 50,
        rules: RetryRules | None = None,
    ) -> None:
        self.endpoint = endpoint
        self.region = region
        self.concurrency = concurrency
        self.rules = rules or RetryRules()
        self._rare = rare
        self._hot = hot or rare
        self._places = threading.BoundedSemaphore(concurrency)
        self._quota = RetryQuota()
        self._closed = False

    @property
    def is_loopback(self) -> bool:
        """Whether the endpoint is this machine: an emulator, never AWS."""
        return urlsplit(self.endpoint).hostname in _LOOPBACK

    def call(self, operation: str, parameters: dict[str, Any], *, repeatable: bool = True) -> Answer:
        """The answer to one call.

        Args:
            operation: such as `Sign`.
            parameters: members of the request, blobs as bytes.
            repeatable: whether doing it twice does no harm; if not, it is tried again only where it surely did
                not arrive.

        Raises:
            SignerError: as the last attempt ended; `reason` `busy` if no place came free, `closed` after `close`.
            ConfigError: credentials, Region or endpoint are missing or malformed.
        """
        deadline = self.rules.clock() + self.rules.deadline_s
        if self._closed:
            raise SignerError(f"KMS {operation}: the connection was closed", reason="closed")
        if not self._places.acquire(timeout=self.rules.deadline_s):
            raise SignerError(
                f"KMS {operation}: {self.concurrency} calls are in flight and none ended in {self.rules.deadline_s} s",
                reason="busy",
                retryable=True,
            )
        try:
            return self._try(operation, parameters, deadline, repeatable=repeatable)
        finally:
            self._places.release()

    def close(self) -> None:
        """Releases connections. Idempotent; afterwards every call fails."""
        self._closed = True
        self._hot.close()
        self._rare.close()

    def _try(self, operation: str, parameters: dict[str, Any], deadline: float, *, repeatable: bool) -> Answer:
        transport = self._hot if operation in HOT_OPERATIONS else self._rare
        rules, attempt, paid = self.rules, 0, 0
        while True:
            attempt += 1
            left_s = deadline - rules.clock()
            if left_s <= 0:
                raise from_cause(operation, causes.TIMEOUT)
            try:
                answer = transport.send(operation, parameters, min(rules.attempt_timeout_s, left_s))
                _check_answer(operation, answer)
            except SignerError as error:
                if not error.retryable or not (repeatable or error.reason in _NEVER_ARRIVED):
                    raise
                throttled = error.reason == causes.THROTTLED.reason
                pause_s = rules.pause_s(attempt, throttled=throttled)
                if attempt >= rules.max_attempts or rules.clock() + pause_s >= deadline:
                    raise
                paid = cost_of(throttled=throttled)
                if not self._quota.take(paid):
                    raise
                rules.sleep(pause_s)
            else:
                self._quota.give_back(paid or SUCCESS_REFUND)
                return answer


def _check_answer(operation: str, answer: Answer) -> None:
    member = _MUST_HAVE.get(operation)
    if member is not None and member not in answer.values:
        raise from_cause(operation, causes.MALFORMED, request_id=answer.request_id)
