"""The steps of verification that look at one entry by itself: its body, its hash, its signatures.

Source: `docs/spec/verification.md`, steps 1 to 3 and 5.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple

import orjson
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from auditseal.core.algorithm import AlgorithmId
from auditseal.core.canonical import is_canonical
from auditseal.core.chain import entry_hash
from auditseal.core.event import Body, body_from
from auditseal.core.registered_signer import Status
from auditseal.core.report import Code, Finding
from auditseal.errors import InputError, SignatureInvalidError, SignerError, SignerNotAllowedError

if TYPE_CHECKING:
    from auditseal.core.entry import StoredEntry, StoredSignature
    from auditseal.core.registry import RegisteredSigner, Registry

Rule = Callable[[bytes, bytes], None]
"""(signature, digest) -> None; raises SignatureInvalidError, or SignerError where a remote key was not to be asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trust:
    """What a verification believes.

    Attributes:
        registry: the accepted signers.
        mac_rules: by signer id, the checks of signers whose key is not at hand but can be asked (VerifyMac).
    """

    registry: Registry
    mac_rules: Mapping[str, Rule] = field(default_factory=dict)


class Checked(NamedTuple):
    """What became of one signature; exactly one is set. A tuple for speed, since one is made for every signature.

    Attributes:
        signer: it verifies, and its signer was valid there.
        finding: it does not, or cannot be checked (`unknown-signer`).
        unreachable: why its remote key could not be asked.
    """

    signer: RegisteredSigner | None = None
    finding: Finding | None = None
    unreachable: str | None = None


def check_body(entry: StoredEntry) -> tuple[Body | None, list[Finding]]:
    """Steps 1 to 3 for one entry: (the parsed body if there is one, what was found)."""
    found: list[Finding] = []
    body: Body | None = None
    try:
        members = orjson.loads(entry.body)
        body = body_from(members)
    except orjson.JSONDecodeError:
        found.append(_finding(Code.NOT_CANONICAL, entry, None, entry.malformed or "the body is not JSON"))
    except InputError as error:
        found.append(_finding(Code.NOT_CANONICAL, entry, None, str(error)))
    else:
        if not is_canonical(entry.body, members):
            found.append(_finding(Code.NOT_CANONICAL, entry, body, "the body is not in canonical form (RFC 8785)"))
        found += _compare_columns(entry, body)
    if entry_hash(entry.body, entry.prev_hash) != entry.hash:
        actual = entry_hash(entry.body, entry.prev_hash).hex()
        found.append(
            _finding(
                Code.HASH_MISMATCH,
                entry,
                body,
                "the body does not hash to what the chain holds: one of them was changed",
                expected=entry.hash.hex() or "none",
                actual=actual,
            )
        )
    found += [
        _finding(
            Code.COLUMN_MISMATCH,
            entry,
            body,
            f"the signature by {signature.signer[:80]} was stored for another hash",
            expected=f"entry_hash {entry.hash.hex() or 'none'}",
            actual=f"entry_hash {signature.entry_hash.hex() or 'none'}",
        )
        for signature in entry.signatures
        if signature.entry_hash is not None and signature.entry_hash != entry.hash
    ]
    return body, found


def _compare_columns(entry: StoredEntry, body: Body) -> list[Finding]:
    columns = entry.columns
    if body.seq == entry.seq and body.stream == entry.stream:
        if columns is None:
            return []
        if (
            columns.id == body.id
            and columns.time == body.time
            and columns.type == body.type
            and columns.actor == body.actor
        ):
            return []
    claims: list[tuple[str, object, object]] = [("stream", body.stream, entry.stream), ("seq", body.seq, entry.seq)]
    if columns is not None:
        claims += [(name, getattr(body, name), getattr(columns, name)) for name in ("id", "time", "type", "actor")]
    return [
        _finding(
            Code.COLUMN_MISMATCH,
            entry,
            body,
            f"the column {name} does not say what the body says",
            expected=f"{name} {_shown(inside)}",
            actual=f"{name} {_shown(beside)}",
        )
        for name, inside, beside in claims
        if inside != beside
    ]


def _shown(value: object) -> str:
    return "null" if value is None else str(value)[:300]


def check_signature(entry: StoredEntry, signature: StoredSignature, time: str, trust: Trust) -> Checked:
    """Step 5 for one signature of an entry.

    Args:
        entry: whose stored hash is signed.
        signature: one of its signatures.
        time: what its body claims; "" where that cannot be read.
        trust: the accepted signers.
    """
    signer = trust.registry.find(signature.signer)
    if signer is None:
        return Checked(finding=_unknown(entry, signature, "no such signer in the registry"))
    fault = _malformation(signature, signer)
    if fault is not None:
        return Checked(finding=_finding(Code.MALFORMED_SIGNATURE, entry, None, fault, expected=signer.signer_id))
    rule = signer.rule or trust.mac_rules.get(signer.signer_id)
    if rule is None:
        return Checked(finding=_unknown(entry, signature, _MAC_ADVICE))
    try:
        rule(signature.signature, entry.hash)
        if not signer.is_unlimited:
            signer.check_valid_at(entry.stream, entry.seq, time)
    except SignatureInvalidError:
        return Checked(finding=_bad_signature(entry, signer))
    except SignerNotAllowedError as error:
        if signer.status is Status.ANNOUNCED:
            # A registry from before the activation: the verifier's is old, and the entry not wrong for it.
            return Checked(finding=_unknown(entry, signature, f"{error}: get the registry that is published now"))
        return Checked(finding=_finding(Code.SIGNER_NOT_VALID_HERE, entry, None, str(error), actual=signer.signer_id))
    except SignerError as error:
        return Checked(unreachable=str(error))
    return Checked(signer)


def _bad_signature(entry: StoredEntry, signer: RegisteredSigner) -> Finding:
    return _finding(
        Code.BAD_SIGNATURE,
        entry,
        None,
        f"the signature by {signer.signer_id} does not verify over the stored hash",
        expected=f"a signature by {signer.signer_id} ({signer.algorithm.id})",
        actual="one that does not verify",
    )


_MAC_ADVICE: Final = "only the holder of its HMAC key can verify: give the secret, or let KMS verify (--ask-kms)"


def _malformation(signature: StoredSignature, signer: RegisteredSigner) -> str | None:
    """Why the stored bytes cannot be a signature by this signer, if so."""
    if signature.malformed is not None:
        return signature.malformed
    algorithm = signer.algorithm
    if signature.algorithm != algorithm.id:
        return f"labelled {signature.algorithm[:40]}, and {signer.signer_id} is registered for {algorithm.id}"
    length = signer.signature_bytes
    if length is not None and len(signature.signature) != length:
        return f"{len(signature.signature)} bytes, and a signature by {signer.signer_id} has {length}"
    if algorithm.id is AlgorithmId.ECDSA_P256_SHA256:
        try:
            decode_dss_signature(signature.signature)  # strict: nothing but the one DER form
        except ValueError:
            return "not the DER form of an ECDSA signature"
    return None


def _unknown(entry: StoredEntry, signature: StoredSignature, why: str) -> Finding:
    return _finding(
        Code.UNKNOWN_SIGNER, entry, None, f"signed by {signature.signer[:80]}: {why}", actual=signature.signer[:80]
    )


def _finding(
    code: Code,
    entry: StoredEntry,
    body: Body | None,
    message: str,
    *,
    expected: str | None = None,
    actual: str | None = None,
) -> Finding:
    entry_id = body.id if body is not None else entry.columns.id if entry.columns is not None else None
    return Finding(
        code=code,
        stream=entry.stream,
        seq=entry.seq,
        entry_id=entry_id,
        expected=expected,
        actual=actual,
        message=message,
    )
