"""The operations that use a key: Sign, Verify, GenerateMac, VerifyMac, GetPublicKey."""

from __future__ import annotations

import hashlib
import hmac
from typing import Any

from fakes.kms import cryptography_calls as crypto
from fakes.kms.context import Call
from fakes.kms.keystore import Key
from fakes.kms.refusal import RefusalError


def sign(call: Call, request: dict[str, Any]) -> dict[str, Any]:
    key, algorithm, message_type = _signing_key(call, request)
    _answer_dry_run(request)
    message = request["Message"]
    if call.has("hash-again"):
        message = _hashed_again(algorithm, message)
    signature = crypto.sign(key.material, algorithm, message_type, message)
    return {
        "KeyId": key.arn,
        "Signature": _spoilt(call, signature),
        "SigningAlgorithm": algorithm,
    }


def verify(call: Call, request: dict[str, Any]) -> dict[str, Any]:
    key, algorithm, message_type = _signing_key(call, request)
    _answer_dry_run(request)
    if not crypto.verify(key.material, algorithm, message_type, request["Message"], request["Signature"]):
        raise RefusalError("KMSInvalidSignatureException", "")
    return {"KeyId": key.arn, "SignatureValid": True, "SigningAlgorithm": algorithm}


def generate_mac(call: Call, request: dict[str, Any]) -> dict[str, Any]:
    key, algorithm = _mac_key(call, request)
    _answer_dry_run(request)
    message = hashlib.sha256(request["Message"]).digest() if call.has("hash-again") else request["Message"]
    mac = crypto.mac(key.material, algorithm, message)
    return {"KeyId": key.arn, "Mac": _spoilt(call, mac), "MacAlgorithm": algorithm}


def verify_mac(call: Call, request: dict[str, Any]) -> dict[str, Any]:
    key, algorithm = _mac_key(call, request)
    _answer_dry_run(request)
    if not hmac.compare_digest(crypto.mac(key.material, algorithm, request["Message"]), request["Mac"]):
        raise RefusalError("KMSInvalidMacException", "")
    return {"KeyId": key.arn, "MacValid": True, "MacAlgorithm": algorithm}


def get_public_key(call: Call, request: dict[str, Any]) -> dict[str, Any]:
    key = call.use(request["KeyId"])
    require_usable(key)
    if key.spec.kind != "asymmetric":
        raise RefusalError("UnsupportedOperationException", f"{key.arn} is not an asymmetric key.")
    metadata = key.metadata()
    return {
        "KeyId": key.arn,
        "PublicKey": key.public_der(),
        "KeySpec": key.spec_name,
        "KeyUsage": key.usage,
        **{name: metadata[name] for name in ("CustomerMasterKeySpec", "SigningAlgorithms") if name in metadata},
    }


def require_usable(key: Key) -> None:
    """Refuses a key that is disabled or on its way out."""
    if key.state == "Disabled":
        raise RefusalError("DisabledException", f"{key.arn} is disabled.")
    if key.state == "PendingDeletion":
        raise RefusalError("KMSInvalidStateException", f"{key.arn} is pending deletion.")
    if key.state == "Unavailable":
        raise RefusalError("KeyUnavailableException", f"{key.arn} is unavailable.", 500)
    if key.state != "Enabled":
        raise RefusalError("KMSInvalidStateException", f"{key.arn} is {key.state}.")


def _signing_key(call: Call, request: dict[str, Any]) -> tuple[Key, str, str]:
    key = _key_for(call, request, "SIGN_VERIFY")
    algorithm, message_type = request["SigningAlgorithm"], request.get("MessageType", "RAW")
    if algorithm not in key.spec.signing:
        raise RefusalError(
            "InvalidKeyUsageException", f"Algorithm {algorithm} is incompatible with key spec {key.spec_name}."
        )
    crypto.check_message(algorithm, message_type, request["Message"])
    return key, algorithm, message_type


def _mac_key(call: Call, request: dict[str, Any]) -> tuple[Key, str]:
    key = _key_for(call, request, "GENERATE_VERIFY_MAC")
    algorithm = request["MacAlgorithm"]
    if algorithm not in key.spec.mac:
        raise RefusalError(
            "InvalidKeyUsageException", f"Algorithm {algorithm} is incompatible with key spec {key.spec_name}."
        )
    return key, algorithm


def _key_for(call: Call, request: dict[str, Any], usage: str) -> Key:
    key = call.use(request["KeyId"])
    require_usable(key)
    if key.usage != usage:
        raise RefusalError(
            "InvalidKeyUsageException", f"{key.arn} key usage is {key.usage} which is not valid for {call.operation}."
        )
    return key


def _answer_dry_run(request: dict[str, Any]) -> None:
    if request.get("DryRun"):
        raise RefusalError(
            "DryRunOperationException", "The request would have succeeded, but the DryRun option is set."
        )


def _hashed_again(algorithm: str, message: bytes) -> bytes:
    size = algorithm.rsplit("_", 1)[1]
    return hashlib.new(f"sha{size}" if size in {"256", "384"} else "sha256", message).digest()


def _spoilt(call: Call, signature: bytes) -> bytes:
    if not call.has("wrong-signature"):
        return signature
    return signature[:-1] + bytes([signature[-1] ^ 1])
