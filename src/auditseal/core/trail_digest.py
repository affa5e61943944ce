"""CloudTrail's digest files: each lists an hour's log files with their hashes, is signed, and names the one before.

A walk through them proves which log files AWS delivered, and where nothing is proven: a digest that is missing, a chain
that began anew, an end that lies too early. A signature stands in the object's metadata, and again in the digest that
follows, so that a plain copy of a bucket can be checked up to the last but one.

Source: CloudTrail User Guide, "CloudTrail digest file structure" and "Custom implementations of CloudTrail log file
integrity validation".
"""

from __future__ import annotations

import hashlib
from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import orjson
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from auditseal.core.cloudtrail_record import parse_event_time, text_of
from auditseal.errors import InputError

_SIGNATURE_ALGORITHM: Final = "SHA256withRSA"
_HASH_ALGORITHM: Final = "SHA-256"


class ListedFile(NamedTuple):
    """A log file as a digest lists it: `name` is bucket/key, `sha256` the hex hash of its uncompressed content."""

    name: str
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Digest:
    """One digest file.

    Attributes:
        name: bucket/key, as it says of itself.
        account, region: whose it is; the Region stands in its name alone.
        backfill: whether it lists what an earlier one of the same time left out.
        start, end: seconds since the epoch.
        end_text: the end as written, which is signed.
        key: fingerprint of the public key that checks it.
        sha256: hex, of its own uncompressed content.
        previous: bucket/key of the one before; None for the first of a chain.
        previous_sha256, previous_signature: of the one before, in hex; None likewise.
        files: the log files that it lists.
    """

    name: str
    account: str
    region: str
    backfill: bool
    start: int
    end: int
    end_text: str
    key: str
    sha256: str
    previous: str | None
    previous_sha256: str | None
    previous_signature: str | None
    files: tuple[ListedFile, ...]

    @property
    def chain(self) -> tuple[str, str, str]:
        """What it shares with those before and after it: account, Region, and the trail with its sort of digest."""
        name = self.name.rsplit("/", 1)[-1].split("_")
        trail = "_".join(name[3 : -3 if self.backfill else -2])
        return self.account, self.region, f"{trail}{' backfill' if self.backfill else ''}"

    def signed_text(self) -> bytes:
        """What the signature is over."""
        return f"{self.end_text}\n{self.name}\n{self.sha256}\n{self.previous_signature or 'null'}".encode()


def parse_digest(content: bytes, place: str) -> Digest:
    """A digest file.

    Args:
        content: the JSON, uncompressed.
        place: where it lies, for the texts.

    Raises:
        InputError: not a digest file, or of algorithms that are not known.
    """
    try:
        members = orjson.loads(content)
        key = members["digestS3Object"]
        previous = members["previousDigestS3Object"]
        if members["digestSignatureAlgorithm"] != _SIGNATURE_ALGORITHM or any(
            file["hashAlgorithm"] != _HASH_ALGORITHM for file in members["logFiles"]
        ):
            raise InputError(f"{place} uses other algorithms than {_SIGNATURE_ALGORITHM} and {_HASH_ALGORITHM}")
        return Digest(
            name=f"{members['digestS3Bucket']}/{key}",
            account=text_of(members["awsAccountId"]),
            region=_region(key),
            backfill=key.endswith("_backfill.json.gz"),
            start=parse_event_time(members["digestStartTime"]),
            end=parse_event_time(members["digestEndTime"]),
            end_text=members["digestEndTime"],
            key=text_of(members["digestPublicKeyFingerprint"]),
            sha256=hashlib.sha256(content).hexdigest(),
            previous=f"{members['previousDigestS3Bucket']}/{previous}" if previous else None,
            previous_sha256=previous and text_of(members["previousDigestHashValue"]).lower(),
            previous_signature=previous and text_of(members["previousDigestSignature"]),
            files=tuple(
                ListedFile(f"{file['s3Bucket']}/{file['s3Object']}", file["hashValue"].lower())
                for file in members["logFiles"]
            ),
        )
    except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError):
        raise InputError(f"{place} is not a CloudTrail digest file") from None


def _region(key: str) -> str:
    folders = key.split("/")
    if "CloudTrail-Digest" not in folders[:-2]:
        return ""
    return folders[folders.index("CloudTrail-Digest") + 1]


PublicKeys = Mapping[str, rsa.RSAPublicKey]
"""CloudTrail's public keys by fingerprint; one under "" is tried for digests of any."""


def parse_public_keys(content: bytes, place: str) -> PublicKeys:
    """CloudTrail's public keys, as `aws cloudtrail list-public-keys` prints them, or one PEM.

    Raises:
        InputError: neither.
    """
    try:
        if content.lstrip().startswith(b"-----"):
            return {"": _rsa(serialization.load_pem_public_key(content))}
        listed: Any = orjson.loads(content)["PublicKeyList"]
        return {entry["Fingerprint"]: parse_rsa_key(b64decode(entry["Value"], validate=True)) for entry in listed}
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError, Base64Error, UnsupportedAlgorithm):
        raise InputError(
            f"{place} holds no public keys of CloudTrail: save the output of aws cloudtrail list-public-keys there"
        ) from None


def parse_rsa_key(der: bytes) -> rsa.RSAPublicKey:
    """The key of DER, as CloudTrail gives it (PKCS #1) or as SubjectPublicKeyInfo.

    Raises:
        ValueError: neither.
    """
    return _rsa(serialization.load_der_public_key(der))


def _rsa(key: object) -> rsa.RSAPublicKey:
    if not isinstance(key, rsa.RSAPublicKey):
        raise ValueError("not an RSA key")  # noqa: TRY004 - one sort of error for all that is not a key
    return key


def is_signed(digest: Digest, signature: str, keys: PublicKeys) -> bool | None:
    """Whether a signature is CloudTrail's over this digest; None where its key is not at hand.

    Args:
        digest: the digest.
        signature: hex.
        keys: CloudTrail's.
    """
    key = keys.get(digest.key) or keys.get("")
    if key is None:
        return None
    try:
        key.verify(bytes.fromhex(signature), digest.signed_text(), padding.PKCS1v15(), hashes.SHA256())
    except (InvalidSignature, ValueError):
        return False
    return True
