"""One row of the existing deployment's table, in either of its two shapes, and what can be read from it.

Source: `docs/spec/agent-manager.md` §1.
"""

from __future__ import annotations

import hashlib
import re
from base64 import b64decode, b64encode
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, Literal
from uuid import UUID

from auditseal.core.agent_manager.payload import canonical_text
from auditseal.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping

COVERED: Final = frozenset({"payload", "prev_hash", "signature", "signer_kid", "signer_id", "hash"})
"""The columns that hash and signature tie together."""
_KNOWN: Final = COVERED | {"id", "actor_id", "event_type", "created_at", "ts"}
_HEX_HASH: Final = re.compile(r"[0-9a-f]{64}", re.ASCII)
_ANY_HEX: Final = re.compile(r"(?:[0-9a-fA-F]{2})+", re.ASCII)

Encoding = Literal["base64", "hex"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A row as it stands.

    Attributes:
        id: as text; None where there is none.
        time: `created_at` or `ts`, as text; "" where there is none.
        prev_hash: 32 bytes, or empty where the column is null or empty; else whatever `broken_prev` decodes to.
        stored_hash: the text of the column `hash`, where the table has one.
        canonical: the payload's canonical bytes; None where it has none.
        hash: SHA-256(canonical || prev_hash); None where that cannot be made.
        signer: the text of `signer_kid` or `signer_id`; None without either.
        signature: its text; None where there is none.
        broken_prev: what stands in prev_hash if that is no hash; the writer's decoder takes it for `prev_hash`.
        faults: what of the row cannot be read as the format wants it, each a sentence.
        uncovered: numbers of the payload that say more than the hash covers, as written.
        columns: the names of its columns that nothing ties together.
    """

    id: str | None
    time: str
    prev_hash: bytes
    stored_hash: str | None
    canonical: bytes | None
    hash: bytes | None
    signer: str | None
    signature: str | None
    broken_prev: str | None
    faults: tuple[str, ...]
    uncovered: tuple[str, ...]
    columns: frozenset[str]


def parse_row(members: Any) -> Row:
    """The row of a JSON object or a database record.

    Raises:
        InputError: not an object, or without the columns that make a row of this format.
    """
    if not isinstance(members, dict) or not {"payload", "prev_hash", "signature"} <= members.keys():
        raise InputError("not a row of audit_events: payload, prev_hash and signature are its least columns")
    faults: list[str] = []
    prev_hash, broken_prev = _prev_hash(members["prev_hash"], faults)
    canonical: bytes | None = None
    uncovered: list[str] = []
    try:
        canonical, uncovered = canonical_text(members["payload"])
    except InputError as error:
        faults.append(str(error))
    time = _text(members, "created_at") or _text(members, "ts") or ""
    _check_plain_columns(_text(members, "id"), time, faults)
    return Row(
        id=_text(members, "id"),
        time=time,
        prev_hash=prev_hash,
        stored_hash=_text(members, "hash"),
        canonical=canonical,
        hash=None if canonical is None else hashlib.sha256(canonical + prev_hash).digest(),
        signer=_text(members, "signer_kid") or _text(members, "signer_id"),
        signature=_text(members, "signature"),
        broken_prev=broken_prev,
        faults=tuple(faults),
        uncovered=tuple(uncovered),
        columns=frozenset(members) - COVERED,
    )


def _text(members: Mapping[str, Any], name: str) -> str | None:
    value = members.get(name)
    return None if value is None else str(value)


def _check_plain_columns(id_: str | None, time: str, faults: list[str]) -> None:
    """Names what the table's own types would not have let in."""
    try:
        if id_ is not None:
            UUID(id_)
    except ValueError:
        faults.append("id is not a UUID")
    try:
        if time:
            datetime.fromisoformat(time)
    except ValueError:
        faults.append("the time is not one")


def _prev_hash(value: Any, faults: list[str]) -> tuple[bytes, str | None]:
    """(the bytes that the writer's decoder makes of it, what stands there if that is no hash)."""
    if value is None or value == "":
        return b"", None
    text = str(value)
    if _HEX_HASH.fullmatch(text):
        return bytes.fromhex(text), None
    if _HEX_HASH.fullmatch(text.lower()):
        faults.append("prev_hash is not written in lower case, as the format writes it")
        return bytes.fromhex(text), None
    # Node's decoder stops at the first character that is no hex digit: that is how garbage passes there.
    whole = _ANY_HEX.match(text)
    return (bytes.fromhex(whole[0]) if whole else b""), text


def decode_signature(text: str, length: int | None) -> tuple[bytes, Encoding] | None:
    """(the bytes, how they were written), or None where it is neither the one form of base64 nor of hex.

    Args:
        text: as it stands.
        length: how many bytes a signature of this signer has, where that is fixed; it tells the two forms apart.
    """
    if _ANY_HEX.fullmatch(text) and text == text.lower() and length in (None, len(text) // 2):
        return bytes.fromhex(text), "hex"
    try:
        raw = b64decode(text, validate=True)
    except ValueError:
        return None
    return (raw, "base64") if b64encode(raw).decode() == text else None


def unknown_columns(columns: frozenset[str]) -> list[str]:
    """Those of the columns that the format does not have."""
    return sorted(columns - _KNOWN)
