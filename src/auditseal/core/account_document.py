"""The account as a document: which ranges of a log's entries a reconciliation found to be signed by witnessed calls.

It is bound to each range's last entry by that entry's hash, which the chain makes a binding to all before it. Nobody
signs it: it is worth what whoever made it is worth, and its checksum shows damage, not forgery.

Source: `docs/spec/account.md`.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from auditseal.core.account import AccountedRange, AccountReport, TrailProof
from auditseal.core.canonical import canonicalize, parse_json
from auditseal.core.event import check_stream
from auditseal.core.report import Code, Finding, Verdict
from auditseal.core.scalar import HASH_BYTES
from auditseal.errors import CanonicalError, InputError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from auditseal.core.grade import Span
    from auditseal.core.tree_fold import TreeFold

VERSION: Final = 1
MAX_ACCOUNT_BYTES: Final = 64 * 1024 * 1024
_MEMBERS: Final = frozenset(
    {"account", "log", "trail", "trail_proof", "since", "until", "keys", "principals", "checked", "ranges", "sha256"}
)
_RANGE: Final = frozenset({"stream", "first_seq", "last_seq", "head"})


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountDocument:
    """An account that found nothing wrong and nothing missing.

    Attributes:
        log, trail: the addresses that were joined.
        trail_proof: what showed that the trail is what AWS recorded.
        since, until: the window; `since` None for all that the trail has.
        keys: the ARNs of the keys that were accounted for.
        principals: who was expected to sign.
        checked: how many of each kind were checked.
        ranges: the entries that it speaks for, each range with its head.
    """

    log: str
    trail: str
    trail_proof: TrailProof
    since: str | None
    until: str | None
    keys: tuple[str, ...]
    principals: tuple[str, ...]
    checked: dict[str, int]
    ranges: tuple[AccountedRange, ...]


def document_of(report: AccountReport, *, keys: Sequence[str], principals: Sequence[str]) -> AccountDocument | None:
    """The document of a report; None for one that is not valid, since whatever is open may touch any entry."""
    if report.verdict is not Verdict.VALID:
        return None
    return AccountDocument(
        log=report.source,
        trail=report.trail,
        trail_proof=report.trail_proof,
        since=report.since,
        until=report.until,
        keys=tuple(sorted(keys)),
        principals=tuple(principals),
        checked=dict(report.checked),
        ranges=tuple(each for each in report.accounted if each.head is not None),
    )


def format_account(document: AccountDocument) -> bytes:
    """The document as JSON with a newline."""
    members: dict[str, Any] = {
        "account": VERSION,
        "log": document.log,
        "trail": document.trail,
        "trail_proof": str(document.trail_proof),
        "since": document.since,
        "until": document.until,
        "keys": list(document.keys),
        "principals": list(document.principals),
        "checked": document.checked,
        "ranges": [
            {
                "stream": each.stream,
                "first_seq": each.first_seq,
                "last_seq": each.last_seq,
                "head": (each.head or b"").hex(),
            }
            for each in document.ranges
        ],
    }
    return canonicalize({**members, "sha256": _checksum(members)}, max_bytes=MAX_ACCOUNT_BYTES) + b"\n"


def parse_account(octets: bytes) -> AccountDocument:
    """The inverse of `format_account`.

    Raises:
        InputError: not JSON, of another version, damaged, or of ranges that cannot be.
    """
    try:
        members = parse_json(octets, max_bytes=MAX_ACCOUNT_BYTES)
    except CanonicalError as error:
        raise InputError(f"not an account: {error}") from None
    if type(members) is not dict or set(members) != _MEMBERS or members["account"] != VERSION:
        raise InputError(f"not an account of version {VERSION}")
    if members.pop("sha256") != _checksum(members):
        raise InputError("the account is damaged or was edited: its checksum does not fit")
    try:
        document = AccountDocument(
            log=members["log"],
            trail=members["trail"],
            trail_proof=TrailProof(members["trail_proof"]),
            since=members["since"],
            until=members["until"],
            keys=tuple(members["keys"]),
            principals=tuple(members["principals"]),
            checked=dict(members["checked"]),
            ranges=tuple(map(_parse_range, members["ranges"])),
        )
    except (TypeError, ValueError, KeyError):
        raise InputError("the account is not what the format asks for") from None
    return document


def check_account(fold: TreeFold, ranges: Sequence[AccountedRange]) -> tuple[list[Finding], list[Span]]:
    """(what contradicts the ranges of a stream, the stretches that they prove).

    Args:
        fold: the stream, with marks where the ranges end.
        ranges: of this stream.
    """
    contradictions = list(_contradictions(fold, ranges))
    agreed = [
        (each.first_seq, each.last_seq + 1)
        for each in ranges
        if (mark := fold.marks.get(each.last_seq + 1)) is not None and mark.head == each.head
    ]
    return contradictions, agreed


def _contradictions(fold: TreeFold, ranges: Sequence[AccountedRange]) -> Iterator[Finding]:
    for each in ranges:
        size = each.last_seq + 1
        mark = fold.marks.get(size)
        if size > fold.size and not fold.is_broken:
            yield Finding(
                code=Code.TRUNCATED,
                stream=fold.stream,
                seq=fold.size,
                last_seq=each.last_seq,
                expected=f"{size} entries",
                actual=f"{fold.size}",
                message="an account of signatures has seen more entries: the end of the log was cut off",
            )
        elif mark is not None and mark.head != each.head:
            yield Finding(
                code=Code.SPLIT_VIEW,
                stream=fold.stream,
                seq=each.last_seq,
                expected=(each.head or b"").hex(),
                actual=mark.head.hex(),
                message="an account of signatures has seen another entry here: the log was rewritten since",
            )


def _parse_range(members: Any) -> AccountedRange:
    if type(members) is not dict or set(members) != _RANGE:
        raise ValueError
    first, last, head = members["first_seq"], members["last_seq"], bytes.fromhex(members["head"])
    if type(first) is not int or type(last) is not int or not 0 <= first <= last or len(head) != HASH_BYTES:
        raise ValueError
    return AccountedRange(stream=check_stream(members["stream"]), first_seq=first, last_seq=last, head=head)


def _checksum(members: dict[str, Any]) -> str:
    return hashlib.sha256(canonicalize(members, max_bytes=MAX_ACCOUNT_BYTES)).hexdigest()
