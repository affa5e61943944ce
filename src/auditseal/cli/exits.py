"""Exit codes: one table for all commands.

Source: `docs/cli.md`, "Exit codes".
"""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING

from auditseal.core.report import Report, Verdict
from auditseal.errors import (
    AccessError,
    AuditSealError,
    BacklogFullError,
    ConfigError,
    ConflictError,
    InputError,
    NotCheckedError,
    NotFoundError,
    OverloadedError,
    RejectedError,
    ServiceError,
    SignerError,
    StoreError,
)

if TYPE_CHECKING:
    from collections.abc import Iterable


class Exit(IntEnum):
    """What a command's exit code says."""

    GOOD = 0
    """All that was asked for was checked, at least one item, and is good."""
    BAD = 1
    """Proven bad."""
    USAGE = 2
    """Usage or configuration."""
    INCONCLUSIVE = 3
    """Nothing checked, or not enough to say."""
    REMOTE = 4
    """Something this program depends on failed; try again."""
    INTERNAL = 70
    """A fault of this program."""
    INTERRUPTED = 130
    """By the user."""


_BY_ERROR: tuple[tuple[type[AuditSealError], Exit], ...] = (
    (RejectedError, Exit.BAD),
    (NotCheckedError, Exit.INCONCLUSIVE),
    (InputError, Exit.USAGE),
    (ConfigError, Exit.USAGE),
    (NotFoundError, Exit.USAGE),
    (AccessError, Exit.USAGE),
    (ConflictError, Exit.REMOTE),
    (BacklogFullError, Exit.REMOTE),
    (SignerError, Exit.REMOTE),
    (StoreError, Exit.REMOTE),
    (OverloadedError, Exit.REMOTE),
    (ServiceError, Exit.REMOTE),
)
_STRONGEST_FIRST = (Exit.BAD, Exit.INTERNAL, Exit.REMOTE, Exit.USAGE, Exit.INCONCLUSIVE, Exit.GOOD)


def exit_of_error(error: AuditSealError) -> Exit:
    """The code of an error that ends a command."""
    if type(error) is SignerError and not error.retryable:
        return Exit.USAGE  # no key, no right, no such key: trying again changes nothing
    return next((code for kind, code in _BY_ERROR if isinstance(error, kind)), Exit.INTERNAL)


def exit_of_report(report: Report) -> Exit:
    """The code of a verification."""
    if report.verdict is Verdict.INVALID:
        return Exit.BAD
    if report.unreachable is not None:
        return Exit.REMOTE
    return Exit.GOOD if report.verdict is Verdict.VALID else Exit.INCONCLUSIVE


def strongest(codes: Iterable[Exit]) -> Exit:
    """The one code of several outcomes; without any, nothing was done, which is inconclusive."""
    present = set(codes)
    return next((code for code in _STRONGEST_FIRST if code in present), Exit.INCONCLUSIVE)
