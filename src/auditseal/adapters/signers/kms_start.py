"""What is asked of a KMS key before it signs: whether usage, spec, state and algorithm are those of the settings.

Each disagreement is a ConfigError that names the fix.
"""

from __future__ import annotations

from typing import Any, Final, cast

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_der_public_key

from auditseal.adapters.signers import kms_causes as causes
from auditseal.adapters.signers.kms_calls import KmsCalls
from auditseal.core.algorithm import ALGORITHMS, Algorithm, PublicKey, offline_rule
from auditseal.errors import ConfigError, InputError, SignerError

_STATE_FIXES: Final = {
    "Disabled": "enable it (aws kms enable-key), or name another key",
    "PendingDeletion": "cancel its deletion and enable it (aws kms cancel-key-deletion, enable-key), or name another",
    "PendingImport": "import its key material, or name another key",
    "Unavailable": "bring its custom key store back, or name another key",
}


def check_description(calls: KmsCalls, key_id: str, algorithm: Algorithm) -> str | None:
    """The ARN of the key, if DescribeKey agrees that it can sign with the algorithm.

    Returns:
        None if the caller may not call DescribeKey: the first signature has to prove the key then.

    Raises:
        ConfigError: there is no such key, or its usage, spec, state or algorithms do not fit.
        SignerError: KMS could not be asked.
    """
    try:
        answer = calls.call("DescribeKey", {"KeyId": key_id})
    except SignerError as error:
        if error.reason == causes.DENIED.reason:
            return None
        raise _as_setting(error, key_id, calls.region) from error
    metadata = answer.values.get("KeyMetadata", {})
    check_metadata(metadata, key_id, algorithm)
    arn: str = metadata["Arn"]
    return arn


def check_metadata(metadata: dict[str, Any], key_id: str, algorithm: Algorithm) -> None:
    """Whether a key of this description can sign with the algorithm.

    Args:
        metadata: KeyMetadata, as DescribeKey answers it.
        key_id: as the settings name it; for the texts.
        algorithm: as the settings name it.

    Raises:
        ConfigError: usage, spec, state or algorithms do not fit.
    """
    _check_kind(metadata, key_id, algorithm)
    state = metadata.get("KeyState")
    if state != "Enabled":
        fix = _STATE_FIXES.get(str(state), "wait until it is Enabled, or name another key")
        raise ConfigError(f"the key {key_id} is {state} and cannot sign: {fix}")


def fetch_public_key(calls: KmsCalls, key_id: str, algorithm: Algorithm) -> tuple[str, PublicKey]:
    """ARN and public key, if GetPublicKey agrees that the key can sign with the algorithm.

    Raises:
        ConfigError: GetPublicKey is not allowed, or usage, spec or algorithms do not fit.
        SignerError: KMS could not be asked.
    """
    try:
        answer = calls.call("GetPublicKey", {"KeyId": key_id})
    except SignerError as error:
        if error.reason == causes.DENIED.reason:
            raise ConfigError(
                f"the first signature of {key_id} could not be checked, since kms:GetPublicKey is denied: "
                "give signers.json with its public key, or allow kms:GetPublicKey to the signer"
            ) from error
        raise _as_setting(error, key_id, calls.region) from error
    _check_kind(answer.values, key_id, algorithm)
    return answer.values["KeyId"], parse_public_key(answer.values["PublicKey"], key_id, algorithm)


def parse_public_key(der: bytes, key_id: str, algorithm: Algorithm) -> PublicKey:
    """The key of a DER SubjectPublicKeyInfo, if it serves the algorithm.

    Raises:
        ConfigError: it does not, or is none.
    """
    try:
        key = cast("PublicKey", load_der_public_key(der))
    except (ValueError, UnsupportedAlgorithm) as error:
        raise ConfigError(f"the public key that KMS gives for {key_id} cannot be read here") from error
    check_public_key(key, key_id, algorithm)
    return key


def check_public_key(key: PublicKey, key_id: str, algorithm: Algorithm) -> None:
    """Whether the key is of the algorithm's type.

    Raises:
        ConfigError: it is not.
    """
    try:
        offline_rule(algorithm, key)
    except InputError as error:
        raise ConfigError(f"{error}: correct the public key of {key_id} in signers.json, or the algorithm") from error


def _check_kind(facts: dict[str, Any], key_id: str, algorithm: Algorithm) -> None:
    """Usage, spec and algorithms: in both KeyMetadata and the answer of GetPublicKey."""
    usage, spec = facts.get("KeyUsage"), facts.get("KeySpec") or facts.get("CustomerMasterKeySpec")
    usual_spec = algorithm.kms_key_specs[0]
    if usage != algorithm.kms_key_usage:
        raise ConfigError(
            f"the key {key_id} is for {usage}, and {algorithm.id} needs {algorithm.kms_key_usage}: a key's usage "
            f"cannot be changed, so name another key or make one (--key-usage {algorithm.kms_key_usage} "
            f"--key-spec {usual_spec})"
        )
    if spec not in algorithm.kms_key_specs:
        fitting = [str(row.id) for row in ALGORITHMS.values() if spec in row.kms_key_specs]
        other = f"set the algorithm to {' or '.join(fitting)}, or " if fitting else ""
        raise ConfigError(
            f"the key {key_id} is {spec}, and {algorithm.id} needs {' or '.join(algorithm.kms_key_specs)}: "
            f"{other}name another key"
        )
    offered = facts.get("MacAlgorithms") if algorithm.is_mac else facts.get("SigningAlgorithms")
    if algorithm.kms_signing_algorithm not in (offered or ()):
        raise ConfigError(
            f"the key {key_id} does not offer {algorithm.kms_signing_algorithm}, which {algorithm.id} needs: "
            f"it offers {', '.join(offered or ()) or 'none'}; set the algorithm or name another key"
        )


def _as_setting(error: SignerError, key_id: str, region: str) -> SignerError | ConfigError:
    """What at start is a wrong setting and not a fault of KMS."""
    if error.reason == causes.NOT_FOUND.reason:
        return ConfigError(
            f"there is no key {key_id} in Region {region} of this account: check AUDIT_SIGNING_KMS_KEY_ID and "
            "AWS_REGION, and use the key's ARN if it belongs to another account"
        )
    if error.reason in {causes.DISABLED.reason, causes.BAD_STATE.reason, causes.UNSUPPORTED.reason}:
        return ConfigError(f"the key {key_id} cannot be used: {error}")
    return error
