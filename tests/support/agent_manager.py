"""Rows as the existing deployment writes them, made from its description and with nothing of ours but for the tests."""

from __future__ import annotations

import base64
import hashlib
import json
import uuid

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from auditseal.core.algorithm import ALGORITHMS, AlgorithmId
from auditseal.core.registry import RegisteredSigner, Registry

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
REGISTRY = Registry(
    signers=(
        RegisteredSigner(signer_id="node-1", algorithm=ALGORITHMS[AlgorithmId.ED25519], public_key=KEY.public_key()),
    )
)


def canonical(value):
    """Sorted keys and JSON.stringify, for values on which Python's json agrees with it."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def make_row(payload, prev, number, *, branch=0):
    digest = hashlib.sha256(canonical(payload) + bytes.fromhex(prev or "")).digest()
    row = {
        "id": str(uuid.UUID(int=1000 * branch + number + 1)),
        "actor_id": "actor-1",
        "event_type": "agent.started",
        "payload": payload,
        "signature": base64.b64encode(KEY.sign(digest)).decode(),
        "signer_kid": "node-1",
        "prev_hash": prev,
        "created_at": f"2026-11-23T17:22:{number % 60:02d}Z",
    }
    return row, digest.hex()


def make_rows(count, *, prev=None, start=0, branch=0):
    rows = []
    for number in range(start, start + count):
        row, prev = make_row({"agent_id": f"a-{number}", "branch": branch, "score": 0.1}, prev, number, branch=branch)
        rows.append(row)
    return rows


def head_of(row):
    return hashlib.sha256(canonical(row["payload"]) + bytes.fromhex(row["prev_hash"] or "")).hexdigest()
