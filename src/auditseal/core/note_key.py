"""Keys of notes: their types, ids and text form, what a signer signs for each type, and how it is checked.

Ed25519, ECDSA and the two cosignature types have a byte assigned by C2SP. For what else AWS KMS signs with, the type is
0xff and an identifier of ours: `auditseal/`, our algorithm id, and a newline, which ends the identifier as it ends the
name before it, so that no identifier is the beginning of another. It names this package and not a domain, which could
change hands.

Source: c2sp.org/signed-note, "Signature types"; `docs/spec/checkpoint.md`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Final

from auditseal.core.algorithm import ALGORITHMS, MAX_RAW_BYTES, AlgorithmId, PublicKey, message_rule
from auditseal.core.checkpoint import parse_checkpoint
from auditseal.core.cosignature import TimedSignature, ed25519_message, ml_dsa_44_message
from auditseal.core.event import check_name
from auditseal.core.note import KEY_ID_BYTES, NoteSignature, NoteVerifier, check_key_name
from auditseal.core.note_key_form import decode_public_key, encode_public_key
from auditseal.core.scalar import format_base64, parse_base64
from auditseal.errors import InputError, NotCheckedError, SignatureInvalidError

if TYPE_CHECKING:
    from typing import Literal

MacCheck = Callable[[bytes, bytes], None]
"""Called with (mac, digest): returns if the MAC is right, as the rule of `offline_rule` and as VerifyMac does."""


class NoteKeyType(Enum):
    """What a key of a note is, and how it signs; the value is the type's bytes."""

    ED25519 = b"\x01"
    ECDSA_P256 = b"\x02"
    COSIGNATURE_ED25519 = b"\x04"
    COSIGNATURE_ML_DSA_44 = b"\x06"
    RSA_SHA256 = b"\xffauditseal/rsa-sha256\n"
    RSA_PSS_SHA256 = b"\xffauditseal/rsa-pss-sha256\n"
    ML_DSA_44 = b"\xffauditseal/ml-dsa-44\n"
    ML_DSA_65 = b"\xffauditseal/ml-dsa-65\n"
    ML_DSA_87 = b"\xffauditseal/ml-dsa-87\n"
    HMAC_SHA256 = b"\xffauditseal/hmac-sha256\n"

    @property
    def algorithm(self) -> AlgorithmId:
        """The algorithm of the key."""
        return _ALGORITHMS[self]

    @property
    def is_cosignature(self) -> bool:
        """Whether its signatures carry a time."""
        return self in (NoteKeyType.COSIGNATURE_ED25519, NoteKeyType.COSIGNATURE_ML_DSA_44)


_ALGORITHMS: Final = {
    NoteKeyType.ED25519: AlgorithmId.ED25519,
    NoteKeyType.ECDSA_P256: AlgorithmId.ECDSA_P256_SHA256,
    NoteKeyType.COSIGNATURE_ED25519: AlgorithmId.ED25519,
    NoteKeyType.COSIGNATURE_ML_DSA_44: AlgorithmId.ML_DSA_44,
    NoteKeyType.RSA_SHA256: AlgorithmId.RSA_SHA256,
    NoteKeyType.RSA_PSS_SHA256: AlgorithmId.RSA_PSS_SHA256,
    NoteKeyType.ML_DSA_44: AlgorithmId.ML_DSA_44,
    NoteKeyType.ML_DSA_65: AlgorithmId.ML_DSA_65,
    NoteKeyType.ML_DSA_87: AlgorithmId.ML_DSA_87,
    NoteKeyType.HMAC_SHA256: AlgorithmId.HMAC_SHA256,
}

LOG_KEY_TYPES: Final = {
    AlgorithmId.ED25519: NoteKeyType.ED25519,
    AlgorithmId.ECDSA_P256_SHA256: NoteKeyType.ECDSA_P256,
    # c2sp.org/tlog-checkpoint asks logs with such a key to sign in the cosignature's form.
    AlgorithmId.ML_DSA_44: NoteKeyType.COSIGNATURE_ML_DSA_44,
    AlgorithmId.ML_DSA_65: NoteKeyType.ML_DSA_65,
    AlgorithmId.ML_DSA_87: NoteKeyType.ML_DSA_87,
    AlgorithmId.RSA_SHA256: NoteKeyType.RSA_SHA256,
    AlgorithmId.RSA_PSS_SHA256: NoteKeyType.RSA_PSS_SHA256,
    AlgorithmId.HMAC_SHA256: NoteKeyType.HMAC_SHA256,
}
"""The type with which a log signs its own checkpoints, by its key's algorithm."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NoteKey:
    """A key that signs notes, as others know it.

    Attributes:
        name: of the key; for a log the origin of its checkpoints.
        type: what it is.
        material: the public key: raw bytes for Ed25519 and ML-DSA, DER SubjectPublicKeyInfo for RSA and ECDSA. Of a
            secret nothing may be shown: for HMAC it is the signerId in UTF-8.
    """

    name: str
    type: NoteKeyType
    material: bytes

    def __post_init__(self) -> None:
        """Refuses what is no such key.

        Raises:
            InputError: the name is no key name, or the material is not the one form of a key of this type.
        """
        check_key_name(self.name)
        if self.type is NoteKeyType.HMAC_SHA256:
            try:
                check_name("signerId", self.material.decode("utf-8"))
            except UnicodeDecodeError:
                raise InputError("the signerId of an HMAC note key is not UTF-8") from None
        else:
            decode_public_key(self.type.algorithm, self.material)

    @property
    def key_id(self) -> bytes:
        """The 4 bytes that stand before its signatures."""
        if self.type is NoteKeyType.ECDSA_P256:
            return hashlib.sha256(self.material).digest()[:KEY_ID_BYTES]
        named = self.name.encode() + b"\n" + self.type.value + self.material
        return hashlib.sha256(named).digest()[:KEY_ID_BYTES]

    def vkey(self) -> str:
        """The key as text, to be handed to others."""
        return f"{self.name}+{self.key_id.hex()}+{format_base64(self.type.value + self.material)}"


def log_key(name: str, algorithm: AlgorithmId, key: PublicKey | str) -> NoteKey:
    """The key with which a log signs its own checkpoints.

    Args:
        name: the origin of the checkpoints.
        algorithm: with which the key signs.
        key: the public key; the signerId for HMAC.

    Raises:
        InputError: the name is no key name, or the key does not serve the algorithm.
    """
    material = key.encode() if isinstance(key, str) else encode_public_key(algorithm, key)
    return NoteKey(name=name, type=LOG_KEY_TYPES[algorithm], material=material)


def parse_vkey(text: str) -> NoteKey:
    """Reads a verifier key.

    Args:
        text: `name+hex id+base64`, without space around it.

    Raises:
        InputError: another form, a type that is not known here, or an id that is not the key's.
    """
    name, _, rest = text.partition("+")
    key_id, plus, encoded = rest.partition("+")
    if not plus:
        raise InputError(f"{text[:60]!a} is not a verifier key: name, key id and base64 with '+' between them")
    octets = parse_base64(encoded, f"the verifier key of {name[:60]!a}")
    type_ = next((each for each in NoteKeyType if octets.startswith(each.value)), None)
    if type_ is None:
        raise InputError(f"the verifier key of {name[:60]!a} is of a type that is not known here")
    key = NoteKey(name=name, type=type_, material=octets[len(type_.value) :])
    if key.key_id.hex() != key_id:
        raise InputError(f"the verifier key of {name[:60]!a} has the id {key.key_id.hex()}, not {key_id[:20]!a}")
    return key


@dataclass(frozen=True, slots=True, kw_only=True)
class ToSign:
    """What a signer is to sign for a note.

    Attributes:
        message: RAW: the message itself, at most 4,096 bytes. DIGEST: the 32 bytes of its SHA-256, not to be hashed
            again. MAC: 32 bytes to be authenticated.
        message_type: as AWS KMS calls it; MAC where GenerateMac takes no type.
    """

    message: bytes
    message_type: Literal["RAW", "DIGEST", "MAC"]


def to_sign(key: NoteKey, text: str, *, time_s: int = 0) -> ToSign:
    """What the holder of a key signs for a text.

    Args:
        key: the key.
        text: the note's.
        time_s: for a cosignature, seconds since the epoch; 0 where a log signs for itself with no word on time.

    Raises:
        InputError: the text is longer than KMS takes, or, for an ML-DSA-44 cosignature, is no checkpoint.
    """
    algorithm = ALGORITHMS[key.type.algorithm]
    message = _message(key, text, time_s)
    if algorithm.kms_message_type == "RAW":
        if len(message) > MAX_RAW_BYTES:
            raise InputError(f"{len(message)} bytes are to be signed; AWS KMS takes {MAX_RAW_BYTES} for {algorithm.id}")
        return ToSign(message=message, message_type="RAW")
    return ToSign(message=message, message_type="MAC" if algorithm.is_mac else "DIGEST")


def signed_by(key: NoteKey, signature: bytes, *, time_s: int = 0) -> NoteSignature:
    """The signature line of what a signer gave for `to_sign` of the same key and time."""
    if key.type.is_cosignature:
        signature = TimedSignature(time_s=time_s, signature=signature).to_bytes()
    return NoteSignature(name=key.name, key_id=key.key_id, signature=signature)


def verifier_for(key: NoteKey, *, check_mac: MacCheck | None = None) -> NoteVerifier:
    """The check of a trusted key.

    Args:
        key: the key.
        check_mac: for HMAC, what only its holder has: `offline_rule` over the secret, or VerifyMac.

    Raises:
        NotCheckedError: an HMAC key without `check_mac`.
    """
    if key.type is not NoteKeyType.HMAC_SHA256:
        public_key = decode_public_key(key.type.algorithm, key.material)
        rule = message_rule(ALGORITHMS[key.type.algorithm], public_key)
    elif check_mac is not None:
        rule = check_mac
    else:
        raise NotCheckedError(f"{key.name!a} signs by HMAC: only the holder of its key can check, with VerifyMac")

    def check(text: str, signature: bytes) -> None:
        time_s = 0
        try:
            if key.type.is_cosignature:
                timed = TimedSignature.from_bytes(signature)
                time_s, signature = timed.time_s, timed.signature
            message = _message(key, text, time_s)
        except InputError as error:
            raise SignatureInvalidError(f"it cannot be a signature of this key: {error}") from None
        rule(signature, message)

    return NoteVerifier(name=key.name, key_id=key.key_id, check=check)


def _message(key: NoteKey, text: str, time_s: int) -> bytes:
    """What the rule of the key's algorithm takes: the message, or its digest where that is what is signed."""
    match key.type:
        case NoteKeyType.COSIGNATURE_ED25519:
            return ed25519_message(text, time_s)
        case NoteKeyType.COSIGNATURE_ML_DSA_44:
            return ml_dsa_44_message(key.name, parse_checkpoint(text), time_s)
        case NoteKeyType.ED25519 | NoteKeyType.ML_DSA_44 | NoteKeyType.ML_DSA_65 | NoteKeyType.ML_DSA_87:
            return text.encode()
        case _:
            return hashlib.sha256(text.encode()).digest()
