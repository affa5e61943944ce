"""Every error that auditseal raises, in one tree.

A caller that must fail closed catches `VerificationError`; one that retries looks at `retryable`. Facts are
attributes, the text is one line for a person: what is wrong, where, and what to do. Exit codes and HTTP status
are not decided here but once for each edge (`auditseal.cli.exits`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from auditseal.core.receipt import Receipt


class AuditSealError(Exception):
    """The root: `except AuditSealError` catches all that this package raises on purpose."""

    retryable = False
    """Whether the same call may succeed later, unchanged."""


class InputError(AuditSealError):
    """The caller's bytes or arguments are not acceptable."""


class CanonicalError(InputError):
    """A value has no canonical JSON form that every reader would agree on.

    Attributes:
        reason: a stable name of what is wrong, such as `duplicate-key` or `integer-out-of-range`.
    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class VerificationError(AuditSealError):
    """Not verified. Catch this to fail closed."""


class RejectedError(VerificationError):
    """Checked, and false."""


class ChainBrokenError(RejectedError):
    """An entry does not hash to what it claims, or does not follow the entry before it."""


class SignatureInvalidError(RejectedError):
    """A signature does not verify under its signer's key."""


class SignerNotAllowedError(RejectedError):
    """The signer is known, and was not valid for this entry."""


class ProofInvalidError(RejectedError):
    """A Merkle proof does not lead from what it should prove to the root that it should prove it of."""


class PolicyNotMetError(RejectedError):
    """Too few of the witnesses that a policy asks for have cosigned.

    Attributes:
        missing: the names, in the policy's words, of those whose cosignature would count and is not there.
    """

    def __init__(self, message: str, *, missing: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.missing = tuple(missing)


class NotCheckedError(VerificationError):
    """No verdict: the key, the algorithm or the evidence is not to be had here."""


class ConflictError(AuditSealError):
    """The same id was used for other content, or the head moved under a writer."""


class NotFoundError(AuditSealError):
    """What was asked for does not exist."""


class ConfigError(AuditSealError):
    """A setting is missing, misspelt or contradicts another."""


class StoreError(AuditSealError):
    """The log's storage failed.

    Attributes:
        retryable: true where the cause passes by itself (a lock, a lost connection).
    """

    def __init__(self, message: str, *, retryable: bool = False) -> None:
        super().__init__(message)
        self.retryable = retryable


class SignerError(AuditSealError):
    """A signer did not sign.

    Attributes:
        retryable: true where the cause passes by itself (throttling, an outage), false where somebody must act.
        reason: a stable name of the cause, such as `throttled`, `disabled`, `denied`, `unreachable`.
        request_id: the KMS request id, where there was an answer.
    """

    def __init__(self, message: str, *, reason: str, retryable: bool = False, request_id: str | None = None) -> None:
        super().__init__(message)
        self.reason = reason
        self.retryable = retryable
        self.request_id = request_id


class SignaturePendingError(SignerError):
    """The events are in the log, durable and chained, and their signatures are still due.

    Do not send them again under another id: they are signed as soon as the signer answers.

    Attributes:
        receipts: one for each event of the call, in its order; `status` says which are signed.
    """

    def __init__(self, message: str, *, receipts: Sequence[Receipt], cause: SignerError) -> None:
        super().__init__(message, reason=cause.reason, retryable=cause.retryable, request_id=cause.request_id)
        self.receipts = tuple(receipts)


class BacklogFullError(SignerError):
    """Too many entries wait for a signature: nothing new is accepted until the signer answers.

    Attributes:
        pending: how many entries wait.
        limit: how many may.
    """

    retryable = True

    def __init__(self, *, pending: int, limit: int) -> None:
        super().__init__(
            f"{pending} entries wait for a signature and {limit} may: nothing was appended; "
            "see why with auditseal sign-pending, then try again",
            reason="backlog-full",
            retryable=True,
        )
        self.pending = pending
        self.limit = limit


class AccessError(AuditSealError):
    """A caller may not do what it asked for."""


class UnauthenticatedError(AccessError):
    """The caller did not show who it is, or showed what is not accepted.

    Attributes:
        reason: a stable name of the cause for the operator's log, such as `expired`. Callers are not told.
    """

    def __init__(self, message: str, *, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


class ForbiddenError(AccessError):
    """The caller is known, and lacks the role, or the stream is not one of its own."""


class TooLargeError(InputError):
    """A request is larger than the service reads."""


class OverloadedError(AuditSealError):
    """Too much at once: nothing was done, and the same call may succeed later.

    Attributes:
        reason: `rate-limit` where the caller was too fast, `busy` where the service as a whole is, `draining` where
            it is about to stop.
        retry_after_s: how long to wait before the next attempt.
    """

    retryable = True

    def __init__(self, message: str, *, reason: str, retry_after_s: float = 1.0) -> None:
        super().__init__(message)
        self.reason = reason
        self.retry_after_s = retry_after_s


class ServiceError(AuditSealError):
    """A client got no answer from the service, or one it cannot rely on.

    The events of the call may be in the log: send them again under the same id.

    Attributes:
        retryable: whether the same call may succeed later.
        status: the HTTP status, where there was an answer.
    """

    def __init__(self, message: str, *, retryable: bool, status: int | None = None) -> None:
        super().__init__(message)
        self.retryable = retryable
        self.status = status
