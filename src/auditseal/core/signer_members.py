"""A signer as members of signers.json: reading what `registry_formats` found, and writing the design's form.

Source: `docs/spec/signers-json.md` §2 and §3.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any, Literal

from auditseal.core.algorithm import infer_algorithm, key_kind
from auditseal.core.key import fingerprint, parse_public_key, spki_der, to_pem
from auditseal.core.registered_signer import RegisteredSigner, Status, parse_status
from auditseal.core.validity import format_bound, parse_bound
from auditseal.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from auditseal.core.algorithm import PublicKey
    from auditseal.core.registry_formats import RawSigner
    from auditseal.core.validity import Bound

KeyForm = Literal["pem", "der"]
"""How a public key is written: as PEM, or as DER in base64."""


def parse_signer(raw: RawSigner) -> RegisteredSigner:
    """The signer of what was found in a registry.

    Raises:
        InputError: ambiguous, contradictory or malformed; the text names the place and shows no key.
    """
    try:
        return _parse(raw)
    except InputError as error:
        raise InputError(f"{raw.place}: {error}") from None


def _parse(raw: RawSigner) -> RegisteredSigner:
    members = raw.members
    if raw.algorithm and raw.algorithm.is_mac:
        algorithm, key, secret = raw.algorithm, None, _secret(raw)
    else:
        key, secret = _public_key(raw), None
        algorithm = raw.algorithm or infer_algorithm(key)
    signer = RegisteredSigner(
        signer_id=raw.signer_id,
        algorithm=algorithm,
        public_key=key,
        secret=secret,
        key_arn=_text(members, "keyArn"),
        key_spec=_text(members, "keySpec"),
        status=parse_status(str(members.get("status", Status.ACTIVE))),
        valid_from=_bound(members, "validFrom"),
        valid_until=_bound(members, "validUntil"),
        description=_text(members, "description"),
        development=_flag(members, "development"),
        extra=raw.extra,
    )
    stated = _text(members, "fingerprint")
    if stated is not None and _plain_hex(stated) != signer.fingerprint:
        raise InputError(
            "fingerprint is not the SHA-256 of the key's SubjectPublicKeyInfo: "
            "find out which of the two is right, then mend or remove the other"
        )
    return signer


def _public_key(raw: RawSigner) -> PublicKey:
    keys = [parse_public_key(text, algorithm=raw.algorithm) for text in raw.public_keys]
    # A member `key` holds secrets as well: 32 bytes there are a public key only if the algorithm says so.
    keys += [parse_public_key(text, algorithm=raw.algorithm, raw=raw.algorithm is not None) for text in raw.keys]
    if not keys:
        raise InputError("no public key: export it from KMS, and put it into publicKey")
    if any(fingerprint(key) != fingerprint(keys[0]) for key in keys):
        raise InputError(f"two members hold different keys ({', '.join(map(key_kind, keys))}): keep one")
    return keys[0]


def _secret(raw: RawSigner) -> bytes | None:
    if raw.public_keys:
        raise InputError("a MAC has no public key: put its secret into key, or leave it in KMS and name its keyArn")
    if any(text != raw.keys[0] for text in raw.keys):
        raise InputError("two members hold different secrets: keep one")
    return raw.keys[0].encode() if raw.keys else None


def _text(members: Mapping[str, Any], name: str) -> str | None:
    value = members.get(name)
    if not isinstance(value, str | None):
        raise InputError(f"{name} is not a text")
    return value


def _flag(members: Mapping[str, Any], name: str) -> bool:
    value = members.get(name, False)
    if not isinstance(value, bool):
        raise InputError(f"{name} is neither true nor false")
    return value


def _bound(members: Mapping[str, Any], name: str) -> Bound | None:
    if name not in members:
        return None
    try:
        return parse_bound(members[name])
    except InputError as error:
        raise InputError(f"{name}: {error}") from None


def _plain_hex(text: str) -> str:
    return text.lower().removeprefix("sha256:").replace(":", "")


def format_signer(signer: RegisteredSigner, key_form: KeyForm) -> dict[str, Any]:
    """The signer's members in the design's form and order; what is not known comes last, as it was."""
    members: dict[str, Any] = {"signerId": signer.signer_id, "algorithm": str(signer.algorithm.id)}
    if signer.public_key is not None:
        der = key_form == "der"
        key = signer.public_key
        members["publicKey"] = base64.b64encode(spki_der(key)).decode() if der else to_pem(key)
    if signer.secret is not None:
        members["key"] = signer.secret.decode()
    optional = {
        "keyArn": signer.key_arn,
        "keySpec": signer.key_spec,
        "fingerprint": signer.fingerprint,
        "status": str(signer.status),
        "validFrom": signer.valid_from and format_bound(signer.valid_from),
        "validUntil": signer.valid_until and format_bound(signer.valid_until),
        "development": signer.development or None,
        "description": signer.description,
    }
    return members | {name: value for name, value in optional.items() if value is not None} | dict(signer.extra)
