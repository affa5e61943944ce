"""One signer of a registry: its key, the rule that checks its signatures, and where it is valid.

How it stands in signers.json is the matter of `auditseal.core.signer_members`.

Source: `docs/spec/signers-json.md` §2 and §4.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from auditseal.core.algorithm import offline_rule
from auditseal.core.canonical import MAX_DEPTH, canonicalize
from auditseal.core.event import check_name
from auditseal.core.key import fingerprint, key_spec, parse_public_key
from auditseal.core.private_key import ADVICE, holds_private_key
from auditseal.core.registry_formats import MAX_REGISTRY_BYTES, member_of
from auditseal.core.validity import check_order, why_outside
from auditseal.errors import InputError, SignerNotAllowedError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from auditseal.core.algorithm import Algorithm, PublicKey
    from auditseal.core.validity import Bound


class Status(StrEnum):
    """Where a signer stands in its life.

    `announced`: known and not in use yet, valid nowhere; `active`: in use; `retired`: not in use any more, valid within
    its range; `revoked`: its key is not its owner's alone any more, valid nowhere.
    """

    ANNOUNCED = "announced"
    ACTIVE = "active"
    RETIRED = "retired"
    REVOKED = "revoked"


def parse_status(text: str) -> Status:
    """The status of a name in any case.

    Raises:
        InputError: for any other name.
    """
    try:
        return Status(text.lower())
    except ValueError:
        raise InputError(f"status {text[:40]!r} is not one of {', '.join(Status)}") from None


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisteredSigner:
    """A signer that verifiers accept, checked on construction.

    Attributes:
        signer_id: 1 to 256 characters, the name under which entries know it.
        algorithm: what it signs with.
        public_key: None for a MAC only.
        secret: of a MAC, where its holder keeps the registry: UTF-8 text; else None. Not shown by repr.
        key_arn: the KMS key; what VerifyMac is asked with where there is no secret.
        key_spec: its KeySpec in KMS.
        status: see `Status`.
        valid_from: the first that is within, by stream and seq and by time; None: from the beginning.
        valid_until: the first that is not within any more; None: without end.
        description: for people.
        development: whether the key is a local one, which proves less than one in a KMS.
        extra: the members that we do not know, as they were. Not shown by repr.
        fingerprint: SHA-256 of the SubjectPublicKeyInfo in hex; None for a MAC.
        rule: checks (signature, digest) as `offline_rule` says, whatever the validity; None for a MAC without secret.
        signature_bytes: the only length that its signatures have; None where the encoding leaves it open (ECDSA).
        is_unlimited: whether `check_valid_at` allows everything, so that it need not be asked.

    Raises:
        InputError: the parts contradict one another; the text never shows a key.
    """

    signer_id: str
    algorithm: Algorithm
    public_key: PublicKey | None = None
    secret: bytes | None = field(default=None, repr=False)
    key_arn: str | None = None
    key_spec: str | None = None
    status: Status = Status.ACTIVE
    valid_from: Bound | None = None
    valid_until: Bound | None = None
    description: str | None = None
    development: bool = False
    extra: Mapping[str, Any] = field(default_factory=dict, repr=False)
    fingerprint: str | None = field(init=False)
    rule: Callable[[bytes, bytes], None] | None = field(init=False, repr=False, compare=False)
    signature_bytes: int | None = field(init=False, repr=False, compare=False)
    is_unlimited: bool = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        check_name("signerId", self.signer_id)
        status = parse_status(self.status)
        if self.key_arn is not None:
            check_name("keyArn", self.key_arn)
        check_order(self.valid_from, self.valid_until)
        if any(map(member_of, self.extra)):
            raise InputError("a member with a meaning of its own stands among the unknown ones")
        canonicalize(
            dict(self.extra) | {"description": self.description},
            max_depth=MAX_DEPTH - 2,  # the registry and its list stand around it
            max_bytes=MAX_REGISTRY_BYTES,
        )
        key = _check_mac_key(self) if self.algorithm.is_mac else _check_public_key(self)
        limited = self.valid_from or self.valid_until or status in _NOWHERE
        object.__setattr__(self, "status", status)
        object.__setattr__(self, "extra", MappingProxyType(dict(self.extra)))
        object.__setattr__(self, "fingerprint", None if self.public_key is None else fingerprint(self.public_key))
        object.__setattr__(self, "rule", None if key is None else offline_rule(self.algorithm, key))
        object.__setattr__(self, "signature_bytes", _signature_bytes(self))
        object.__setattr__(self, "is_unlimited", not limited)

    def check_valid_at(self, stream: str, seq: int, time: str | None) -> None:
        """Returns if signatures of this signer count at this place.

        Args:
            stream: the entry's stream.
            seq: its number, ≥0.
            time: its own time, RFC 3339 with any offset and fraction; None where it has none.

        Raises:
            SignerNotAllowedError: they do not; one line says why.
        """
        if self.is_unlimited:
            return
        reason = _NOWHERE.get(self.status) or why_outside(
            self.valid_from, self.valid_until, stream=stream, seq=seq, time=time
        )
        if reason:
            raise SignerNotAllowedError(f"signer {self.signer_id!r} {reason}")


def _signature_bytes(signer: RegisteredSigner) -> int | None:
    if isinstance(signer.public_key, RSAPublicKey):
        return -(-signer.public_key.key_size // 8)
    return signer.algorithm.signature_bytes


_NOWHERE: Final = {
    Status.ANNOUNCED: "is announced and not active yet",
    Status.REVOKED: "is revoked: its signatures prove nothing by themselves",
}


def _check_public_key(signer: RegisteredSigner) -> PublicKey:
    if signer.public_key is None or signer.secret is not None:
        raise InputError(f"{signer.algorithm.id} wants a public key and no secret")
    spec = key_spec(signer.public_key)
    if signer.key_spec is not None and signer.key_spec != spec:
        raise InputError(f"keySpec says {signer.key_spec[:40]!r}, and the key is {spec}")
    return signer.public_key


def _check_mac_key(signer: RegisteredSigner) -> bytes | None:
    if signer.public_key is not None:
        raise InputError(f"{signer.algorithm.id} has no public key")
    if signer.key_spec is not None and signer.key_spec not in signer.algorithm.kms_key_specs:
        raise InputError(f"keySpec says {signer.key_spec[:40]!r}, which does not fit {signer.algorithm.id}")
    if signer.secret is None:
        if signer.key_arn is None:
            raise InputError("neither a secret nor a keyArn: nobody could check a MAC of this signer")
        return None
    if holds_private_key(signer.secret):
        raise InputError(ADVICE)
    if not signer.secret or _is_public(signer.secret):
        # What everybody may know, taken as a secret, would let everybody sign.
        raise InputError(f"{signer.algorithm.id} wants a secret, and this key is empty or public: name its algorithm")
    try:
        signer.secret.decode("utf-8")
    except UnicodeDecodeError:
        raise InputError("a MAC's secret is UTF-8 text here: keep other bytes in KMS") from None
    return signer.secret


def _is_public(secret: bytes) -> bool:
    if b"-----BEGIN" in secret:
        return True
    try:
        parse_public_key(secret, raw=False)
    except InputError:
        return False
    return True
