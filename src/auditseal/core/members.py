"""Receipts and entries as JSON members, wherever they leave the program, and back: hex and base64 at the edge.

Source: `docs/spec/export.md`, `docs/http.md`.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from typing import TYPE_CHECKING, Any

import orjson

from auditseal.core.entry import StoredEntry, StoredSignature
from auditseal.core.receipt import Receipt
from auditseal.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from auditseal.core.stored_checkpoint import CoveredBy


def receipt_members(receipt: Receipt) -> dict[str, Any]:
    """A receipt as JSON members; hashes in hex, the signature in base64."""
    stream, seq, id_, time, hash_, prev_hash, status, signer, algorithm, signature, development, repeated = receipt
    return {
        "stream": stream,
        "seq": seq,
        "id": id_,
        "time": time,
        "hash": hash_.hex(),
        "prev_hash": prev_hash.hex(),
        "status": status,
        "signer": signer,
        "algorithm": algorithm,
        "signature": None if signature is None else b64encode(signature).decode(),
        "development": development,
        "repeated": repeated,
    }


def body_value(entry: StoredEntry) -> Any:
    """The body as JSON, or as text where it is none."""
    try:
        return orjson.loads(entry.body)
    except orjson.JSONDecodeError:
        return entry.body.decode("utf-8", "replace")


def entry_members(entry: StoredEntry, *, covered_by: CoveredBy | None = None, whole: bool = False) -> dict[str, Any]:
    """An entry as JSON members.

    Args:
        entry: as it stands in the log.
        covered_by: the checkpoint that stands in for its own signature, if it has none.
        whole: adds the exact bytes.
    """
    body = body_value(entry)
    members: dict[str, Any] = {
        "stream": entry.stream,
        "seq": entry.seq,
        "event": body,
        "prev_hash": entry.prev_hash.hex(),
        "hash": entry.hash.hex(),
        "status": "signed" if entry.signatures or covered_by is not None else "pending",
        "checkpoint": None if covered_by is None else covered_by.size,
        "signatures": [
            {
                "signer": signature.signer,
                "algorithm": signature.algorithm,
                "signature": b64encode(signature.signature).decode(),
                "request_id": signature.request_id,
                "signed_at": signature.signed_at,
            }
            for signature in entry.signatures
        ],
    }
    if whole:
        members["body"] = entry.body.decode("utf-8", "replace")
    return members


def receipt_from(members: Mapping[str, Any]) -> Receipt:
    """The receipt of `receipt_members`.

    Raises:
        InputError: a member is missing or malformed.
    """
    try:
        signature, signer = members["signature"], members["signer"]
        # Where a checkpoint covers the entry, its signer is named, and there is no signature.
        is_signed = members["status"] == "signed" and (signature is not None or signer is not None)
        return Receipt(
            stream=_text(members["stream"]),
            seq=int(members["seq"]),
            id=_text(members["id"]),
            time=_text(members["time"]),
            hash=bytes.fromhex(members["hash"]),
            prev_hash=bytes.fromhex(members["prev_hash"]),
            status="signed" if is_signed else "pending",
            signer=signer,
            algorithm=members["algorithm"],
            signature=None if signature is None else b64decode(signature, validate=True),
            development=members["development"] is True,
            repeated=members["repeated"] is True,
        )
    except (KeyError, TypeError, ValueError):
        raise InputError("what should be a receipt has not the members of one") from None


def entry_from(members: Mapping[str, Any]) -> StoredEntry:
    """The entry of `entry_members` with its exact bytes.

    Raises:
        InputError: a member is missing or malformed.
    """
    try:
        return StoredEntry(
            stream=_text(members["stream"]),
            seq=int(members["seq"]),
            body=_text(members["body"]).encode(),
            prev_hash=bytes.fromhex(members["prev_hash"]),
            hash=bytes.fromhex(members["hash"]),
            signatures=tuple(
                StoredSignature(
                    signer=_text(signature["signer"]),
                    algorithm=_text(signature["algorithm"]),
                    signature=b64decode(signature["signature"], validate=True),
                    request_id=signature.get("request_id"),
                    signed_at=signature.get("signed_at"),
                )
                for signature in members["signatures"]
            ),
        )
    except (KeyError, TypeError, ValueError, AttributeError):
        raise InputError("what should be an entry has not the members of one") from None


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value
