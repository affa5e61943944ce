"""Rules on which actions go together and on what pins them."""

from __future__ import annotations

from collections.abc import Iterator

from auditseal.access.policy import Kind, Statement
from auditseal.access.rules.catalog import (
    BOTH_FAMILIES,
    LIST_NOT_NEEDED,
    MORE_THAN_SIGNING,
    UNPINNED_ALGORITHM,
    WRONG_FAMILY,
)
from auditseal.access.rules.resources import signs
from auditseal.access.rules.rule import Finding, listed
from auditseal.access.rules.subject import Subject, home_account, is_mac_key, key_of, kms_actions, pinned
from auditseal.access.vocabulary import (
    CHECKING,
    LISTING,
    MAC_ACTIONS,
    MAC_FAMILY,
    SIGN_ACTIONS,
    SIGN_FAMILY,
    SIGNING,
    names,
)

_NEEDED = {"kms:Sign": ("kms:SigningAlgorithm", "kms:MessageType"), "kms:GenerateMac": ("kms:MacAlgorithm",)}


def _is_wide(statement: Statement) -> bool:
    """Whether it allows everything about keys: that is the other rules' matter."""
    return kms_actions(statement) == frozenset(names())


def check_wrong_family(subject: Subject) -> Iterator[Finding]:
    """Sign or Verify on an HMAC key, GenerateMac or VerifyMac on any other, where the key is known."""
    home = home_account(subject.policy)
    for statement in subject.allows:
        if _is_wide(statement) or (subject.is_key_policy and not signs(subject, statement, home)):
            continue
        for key in key_of(subject, statement.resources or ()):
            mac = is_mac_key(key)
            if mac is None:
                continue
            wrong = kms_actions(statement) & (SIGN_FAMILY if mac else MAC_FAMILY)
            right = kms_actions(statement) & (MAC_FAMILY if mac else SIGN_FAMILY)
            if wrong and not right:
                what = f"the {key.spec or key.usage} key {key.name}".rstrip()
                message = f"{listed(wrong)} cannot be done with {what}"
                yield subject.finding(WRONG_FAMILY, message, statement=statement)


def check_both_families(subject: Subject) -> Iterator[Finding]:
    """Sign beside GenerateMac."""
    home = home_account(subject.policy)
    for statement in subject.allows:
        signing = signs(subject, statement, home)
        if signing == SIGN_ACTIONS | MAC_ACTIONS and not _is_wide(statement):
            yield subject.finding(BOTH_FAMILIES, "Sign and GenerateMac are both allowed", statement=statement)


def check_unpinned(subject: Subject) -> Iterator[Finding]:
    """Signing without a condition on the algorithm and the message type."""
    home = home_account(subject.policy)
    for statement in subject.allows:
        signing = frozenset() if _is_wide(statement) else signs(subject, statement, home)
        missing = sorted({key for action in signing for key in _NEEDED[action] if not pinned(statement, key)})
        if missing:
            message = f"{listed(signing)} without a condition on {' and '.join(missing)}"
            yield subject.finding(UNPINNED_ALGORITHM, message, statement=statement)


def check_more_than_signing(subject: Subject) -> Iterator[Finding]:
    """An identity policy that signs and verifies, exports or lists."""
    if subject.policy.kind is not Kind.IDENTITY:
        return
    signer = any(kms_actions(statement) & SIGNING for statement in subject.allows)
    for statement in subject.allows:
        if _is_wide(statement):
            continue
        more = kms_actions(statement) & (CHECKING | {"kms:GetPublicKey"})
        if signer and more:
            message = f"{listed(more)} beside {listed(SIGNING & _all(subject))}"
            yield subject.finding(MORE_THAN_SIGNING, message, statement=statement)
        if listing := kms_actions(statement) & LISTING:
            yield subject.finding(LIST_NOT_NEEDED, f"{listed(listing)} allowed", statement=statement)


def _all(subject: Subject) -> frozenset[str]:
    return frozenset[str]().union(*(kms_actions(statement) for statement in subject.allows))
