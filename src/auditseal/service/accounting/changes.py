"""Judging what was done to the keys, to the aliases by which they are called, and to the trails.

Source: `docs/spec/reconciliation.md` §5.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from auditseal.core.account import AccountCode, AccountFinding
from auditseal.core.cloudtrail_changes import TRAIL_CHANGES, diff_policies, trail_name
from auditseal.core.cloudtrail_record import format_instant, key_identity
from auditseal.core.report import Severity

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from auditseal.core.cloudtrail import Facts
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
    "UpdateAlias": "an alias was moved to or from the key",
    "DeleteAlias": "an alias of the key was deleted",
    "TagResource": "the key was tagged, which policies may go by",
    "UntagResource": "a tag was taken from the key, which policies may go by",
    "ReplicateKey": "the key was replicated to another Region",
    "StopLogging": "a trail was stopped",
    "DeleteTrail": "a trail was deleted",
    "UpdateTrail": "a trail was changed",
    "PutEventSelectors": "what a trail records was changed",
}
_SHOWN: Final = (
    "aliasName",
    "targetKeyId",
    "granteePrincipal",
    "retiringPrincipal",
    "operations",
    "pendingWindowInDays",
    "bypassPolicyLockoutSafetyCheck",
    "replicaRegion",
    "tags",
    "tagKeys",
    "name",
    "trailName",
)
_MOST_CHARACTERS: Final = 500
_HARMLESS: Final = frozenset({"StartLogging", "CreateTrail"})


def aliases_of(facts: Iterable[Facts], expectation: Expectation) -> frozenset[str]:
    """The aliases by which expected keys were called to sign."""
    return frozenset(each.alias for each in facts if each.alias and expectation.key_of(each) is not None)


def judge_changes(
    changes: Iterable[Change],
    expectation: Expectation,
    window: Window,
    *,
    aliases: frozenset[str] = frozenset(),
    trails: frozenset[str] = frozenset(),
) -> Iterator[AccountFinding]:
    """A `key-changed` for each change within the window to an expected key, its aliases or a trail.

    Args:
        changes: in order of time, those before the window too: a policy is compared with the one before it, and an
            alias that once led to a key is watched from then on.
        expectation: the keys, and who may change them.
        window: what is judged.
        aliases: that are known to lead to an expected key.
        trails: the names of the trails that are read; empty where they are not known. Others' changes are notes.
    """
    policies: dict[tuple[str, str], str] = {}
    watched = set(aliases)
    for change in changes:
        if change.error is not None:
            continue
        details: tuple[str, ...] = ()
        identity = key_identity(change.key_arn)
        is_ours = identity in expectation.keys or change.alias in watched
        if is_ours and change.alias:
            watched.add(change.alias)
        if change.name == "PutKeyPolicy" and is_ours:
            policy = str(change.parameters.get("policy") or "")
            details = tuple(diff_policies(policies.get(identity), policy))
            policies[identity] = policy
        is_trail = change.name in TRAIL_CHANGES - _HARMLESS
        if (is_ours or is_trail) and change.at in window:
            known = not is_trail or not trails or trail_name(change.parameters) in trails
            yield _finding(change, expectation, details, ours=known)


def _finding(change: Change, expectation: Expectation, details: tuple[str, ...], *, ours: bool) -> AccountFinding:
    if expectation.is_administrator(change.principal):
        severity, by = Severity.NOTE, "an administrator"
    elif not ours:
        severity, by = Severity.NOTE, "somebody; it is not the trail that is read"
    elif expectation.administrators:
        severity, by = Severity.ERROR, "somebody who is no administrator"
    else:
        severity, by = Severity.GAP, "somebody; name the administrators to tell them apart"
    shown = [f"{name}: {change.parameters[name]}"[:_MOST_CHARACTERS] for name in _SHOWN if change.parameters.get(name)]
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
