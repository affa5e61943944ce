"""The entry by which a stream goes over from one signer to the next, and the proofs that stand in it.

Both keys sign one statement before the entry is appended, so that whoever reads the entry, a writer in the midst of its
work among them, can check it by itself. The statement names the stream and its head, so that it can be used once only.

Source: `docs/spec/rotation.md` §2.
"""

from __future__ import annotations

import hashlib
from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from auditseal.core.canonical import canonicalize
from auditseal.core.registered_signer import Status
from auditseal.core.successor import SUCCESSOR
from auditseal.errors import InputError, SignerNotAllowedError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from auditseal.core.entry import StoredEntry
    from auditseal.core.registered_signer import RegisteredSigner
    from auditseal.core.registry import Registry

ROTATED: Final = "signer.rotated"
_DOMAIN: Final = b"auditseal signer.rotated v1\n"
_MEMBERS: Final = frozenset({"rotation", "old", "new", "after", "proofs"})


class KeyName(NamedTuple):
    """A signer as the entry names it; `fingerprint` None for a MAC, `key_arn` None for a local key."""

    signer_id: str
    algorithm: str
    fingerprint: str | None
    key_arn: str | None

    def members(self) -> dict[str, str | None]:
        """As JSON members."""
        return {
            "signerId": self.signer_id,
            "algorithm": self.algorithm,
            "fingerprint": self.fingerprint,
            "keyArn": self.key_arn,
        }


class Proof(NamedTuple):
    """One key's signature over the statement."""

    signer_id: str
    algorithm: str
    signature: bytes
    request_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Handover:
    """What both keys state: from the entry after this one on, `new` signs the stream.

    Attributes:
        rotation: id of the rotation, a UUID.
        stream: which.
        old, new: the two signers.
        after_seq, after_hash: the stream's head when the statement was made; the entry stands behind it.
    """

    rotation: str
    stream: str
    old: KeyName
    new: KeyName
    after_seq: int
    after_hash: bytes

    def digest(self) -> bytes:
        """What is signed: 32 bytes."""
        return hashlib.sha256(_DOMAIN + canonicalize({"stream": self.stream, **self.members()})).digest()

    def members(self) -> dict[str, Any]:
        """The payload's members but for the proofs."""
        return {
            "rotation": self.rotation,
            "old": self.old.members(),
            "new": self.new.members(),
            "after": {"seq": self.after_seq, "hash": self.after_hash.hex()},
        }

    def payload(self, proofs: Sequence[Proof]) -> dict[str, Any]:
        """The entry's payload."""
        listed = [
            {
                "signerId": proof.signer_id,
                "algorithm": proof.algorithm,
                "signature": b64encode(proof.signature).decode(),
                "requestId": proof.request_id,
            }
            for proof in proofs
        ]
        return {**self.members(), "proofs": listed}


def name_of(signer: RegisteredSigner) -> KeyName:
    """A registered signer as the entry names it."""
    return KeyName(signer.signer_id, str(signer.algorithm.id), signer.fingerprint, signer.key_arn)


def parse_handover(payload: Any, stream: str) -> tuple[Handover, list[Proof]]:
    """The statement and its proofs of a payload.

    Raises:
        InputError: not such a payload.
    """
    if not isinstance(payload, dict) or payload.keys() != _MEMBERS:
        raise InputError(f"the payload of {ROTATED} has not the members {', '.join(sorted(_MEMBERS))}")
    try:
        handover = Handover(
            rotation=payload["rotation"],
            stream=stream,
            old=_name(payload["old"]),
            new=_name(payload["new"]),
            after_seq=payload["after"]["seq"],
            after_hash=bytes.fromhex(payload["after"]["hash"]),
        )
        proofs = [
            Proof(
                proof["signerId"], proof["algorithm"], b64decode(proof["signature"], validate=True), proof["requestId"]
            )
            for proof in payload["proofs"]
        ]
    except (KeyError, TypeError, ValueError, AttributeError, Base64Error):
        raise InputError(f"the payload of {ROTATED} is not what the format asks for") from None
    if type(handover.after_seq) is not int:
        raise InputError(f"the payload of {ROTATED} names no seq")
    return handover, proofs


class Switch(NamedTuple):
    """Where a stream goes over: the old signer signs before `until`, the new one from `since` on."""

    until: int
    since: int


def switch_of(handover: Handover, proofs: Sequence[Proof], seq: int) -> Switch:
    """Where a stream goes over by the entry at `seq`, which both sign.

    An old key that gave no proof could not sign any more: then the new signer signs all that the old one left, which is
    what comes behind the entry that the statement names.
    """
    if is_proven_by(handover.old, proofs):
        return Switch(seq + 1, seq)
    return Switch(handover.after_seq + 1, handover.after_seq + 1)


def is_proven_by(name: KeyName, proofs: Sequence[Proof]) -> bool:
    """Whether a signer gave a proof at all."""
    return any(proof.signer_id == name.signer_id for proof in proofs)


def is_without_old(handover: Handover, registry: Registry) -> bool:
    """Whether the registry stands in for the old key's proof: that signer is revoked there, and the new one follows."""
    old = registry.find(handover.old.signer_id)
    return old is not None and old.status is Status.REVOKED and old.extra.get(SUCCESSOR) == handover.new.signer_id


def _name(members: dict[str, Any]) -> KeyName:
    return KeyName(members["signerId"], members["algorithm"], members["fingerprint"], members["keyArn"])


def is_rotation(entry: StoredEntry) -> bool:
    """Whether an entry is of this type, by its column where it has one, else by its body."""
    if entry.columns is not None:
        return entry.columns.type == ROTATED
    return b'"type":"signer.rotated"' in entry.body


def check_place(handover: Handover, seq: int) -> None:
    """Returns if the statement was made before this place: its head is an entry before it.

    Raises:
        InputError: it is not.
    """
    if handover.after_seq >= seq:
        raise InputError(f"its statement names entry {handover.after_seq}, which is not before it")


def check_handover(handover: Handover, proofs: Sequence[Proof], registry: Registry) -> None:
    """Returns if both keys, as the registry has them, signed the statement; their validity is not asked.

    Of a signer that the registry has as revoked, with the new one as its successor, no proof is needed: its key may be
    disabled, and the registry's own word is what verifiers believe.

    Raises:
        SignerNotAllowedError: a signer is not in the registry, or with another key; or a proof is missing.
        SignatureInvalidError: a proof does not verify.
    """
    digest = handover.digest()
    for name in (handover.old, handover.new):
        signer = registry.find(name.signer_id)
        if signer is None:
            raise SignerNotAllowedError(f"signer {name.signer_id!r} is not in the registry")
        if name_of(signer)[:3] != name[:3] or signer.key_arn != name.key_arn:
            raise SignerNotAllowedError(f"the registry has another key under {name.signer_id!r}")
        proof = next((proof for proof in proofs if proof.signer_id == name.signer_id), None)
        if proof is None and name is handover.old and is_without_old(handover, registry):
            continue
        if proof is None or proof.algorithm != name.algorithm:
            raise SignerNotAllowedError(f"there is no proof by {name.signer_id!r}")
        if signer.rule is not None:
            signer.rule(proof.signature, digest)
