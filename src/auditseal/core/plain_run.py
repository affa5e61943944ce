"""Runs of ordinary entries, checked together at a fraction of the cost of one by one.

What a run's check passes, the steps for single entries pass; what it does not pass may be right or wrong, and is for
those steps to tell. So it says nothing but yes, and whatever is unusual is a no.

Source: `docs/spec/verification.md`; RFC 8785 §3.2.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import orjson
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from auditseal.core.canonical import DEEPEST, PLAIN_OPTIONS, has_plain_order, is_plain
from auditseal.core.event import BODY_VERSION
from auditseal.core.stored_rows import HASH, REQUEST_ID
from auditseal.core.times import is_time
from auditseal.errors import VerificationError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from auditseal.core.registered_signer import RegisteredSigner
    from auditseal.core.stored_rows import StoredRow


def is_plain_run(stream: str, rows: Sequence[StoredRow]) -> bool:
    """Whether steps 1 to 4 of verification are sure to pass for these entries, the link of the first left open.

    Args:
        stream: of all of them.
        rows: one or more, none with a signature of its own.
    """
    try:
        return _is_plain_run(stream, rows)
    except (KeyError, TypeError, ValueError):  # orjson's errors are among these
        return False


def _is_plain_run(stream: str, rows: Sequence[StoredRow]) -> bool:
    loads, dumps, sha256 = orjson.loads, orjson.dumps, hashlib.sha256
    first, last_time, last_hash = rows[0][1], "", rows[0][7]
    if first < 0:
        return False
    for expected_seq, row in enumerate(rows, first):
        in_stream, seq, id_, time, type_, actor, body, prev_hash, hash_, *_ = row
        if in_stream != stream or seq != expected_seq or prev_hash != last_hash:
            return False
        members = loads(body)
        payload = members["payload"]
        # What the columns say, written in the one form, must be the body: then they agree, and that is its form.
        expected = {
            "actor": actor,
            "id": id_,
            "payload": payload,
            "seq": seq,
            "stream": stream,
            "time": time,
            "type": type_,
            "v": BODY_VERSION,
        }
        if "context" in members:
            context = expected["context"] = members["context"]
            if type(context) is not dict or not is_plain(context, DEEPEST - 1):
                return False
        if not (
            type(seq) is int
            and type(id_) is type(type_) is type(time) is str
            and (actor is None or type(actor) is str)
            and type(payload) is dict
            and is_plain(payload, DEEPEST - 1)
            and dumps(expected, option=PLAIN_OPTIONS) == body
            and has_plain_order(body)
        ):
            return False
        if time != last_time:
            if time < last_time or not is_time(time):
                return False
            last_time = time
        if sha256(body + prev_hash).digest() != hash_:
            return False
        last_hash = hash_
    return True


def is_signed_run(rows: Sequence[StoredRow], signer: RegisteredSigner) -> bool:
    """Whether step 5 is sure to pass for these entries, of which each has one signature, by this signer.

    Args:
        rows: for which `is_plain_run` holds: seq and time run forwards, so that between two places at which a signer is
            valid it is valid everywhere.
        signer: by whom the first says that it is signed.
    """
    rule, algorithm, length = signer.rule, signer.algorithm.id, signer.signature_bytes
    if rule is None:
        return False
    try:
        for stream, seq, _, time, *_ in (rows[0], rows[-1]):
            signer.check_valid_at(stream, seq, time)
        for row in rows:
            hash_, signer_id, stored_algorithm, signature, signed_hash = row[HASH:REQUEST_ID]
            if (
                signer_id != signer.signer_id
                or stored_algorithm != algorithm
                or signed_hash != hash_
                or len(signature) != (length or len(signature))
            ):
                return False
            if length is None:
                decode_dss_signature(signature)
            rule(signature, hash_)
    except (VerificationError, TypeError, ValueError):
        return False
    return True
