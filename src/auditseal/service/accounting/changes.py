"""Judging what was done to the keys and to the trails.

Source: `docs/spec/reconciliation.md` §5.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from auditseal.core.account import AccountCode, AccountFinding
from auditseal.core.cloudtrail_changes import TRAIL_CHANGES, diff_policies
from auditseal.core.cloudtrail_record import format_instant, key_identity
from auditseal.core.report import Severity

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from auditseal.core.cloudtrail_changes import Change
    from auditseal.core.expectation import Expectation
    from auditseal.core.reconcile import Window

_WORDS: Final = {
    "PutKeyPolicy": "the key policy was replaced",
    "DisableKey": "the key was disabled",
    "EnableKey": "the key was enabled",
    "ScheduleKeyDeletion": "the key was scheduled for deletion",
    "CancelKeyDeletion": "the key's deletion was cancelled",
    "CreateGrant": "a grant on the key was made",
    "CreateAlias": "an alias was given to the key",
    "UpdateAlias": "an alias was moved to the key",
    "DeleteAlias": "an alias of the key was deleted",
    "StopLogging": "a trail was stopped",
    "DeleteTrail": "a trail was deleted",
    "UpdateTrail": "a trail was changed",
    "PutEventSelectors": "what a trail records was changed",
}
_SHOWN: Final = ("aliasName", "granteePrincipal", "operations", "pendingWindowInDays", "name")
_HARMLESS: Final = frozenset({"StartLogging", "CreateTrail"})


def judge_changes(changes: Iterable[Change], expectation: Expectation, window: Window) -> Iterator[AccountFinding]:
    """A `key-changed` for each change within the window to an expected key or to a trail.

    Args:
        changes: in order of time, those before the window too: a policy is compared with the one before it.
        expectation: the keys, and who may change them.
        window: what is judged.
    """
    policies: dict[tuple[str, str], str] = {}
    for change in changes:
        details: tuple[str, ...] = ()
        identity = key_identity(change.key_arn)
        if change.error is not None:
            continue
        if change.name == "PutKeyPolicy":
            policy = str(change.parameters.get("policy") or "")
            details = tuple(diff_policies(policies.get(identity), policy))
            policies[identity] = policy
        is_ours = identity in expectation.keys or (change.name in TRAIL_CHANGES - _HARMLESS)
        if is_ours and change.at in window:
            yield _finding(change, expectation, details)


def _finding(change: Change, expectation: Expectation, details: tuple[str, ...]) -> AccountFinding:
    if expectation.is_administrator(change.principal):
        severity, by = Severity.NOTE, "an administrator"
    elif expectation.administrators:
        severity, by = Severity.ERROR, "somebody who is no administrator"
    else:
        severity, by = Severity.GAP, "somebody; name the administrators to tell them apart"
    shown = [f"{name}: {change.parameters[name]}" for name in _SHOWN if change.parameters.get(name)]
    return AccountFinding(
        code=AccountCode.KEY_CHANGED,
        severity=severity,
        message=f"{_WORDS.get(change.name, change.name)} by {by} ({change.name})",
        key_arn=change.key_arn or None,
        principal=change.principal,
        event_id=change.event_id,
        at=format_instant(change.at),
        actual=change.name,
        details=(*shown, *details),
    )
