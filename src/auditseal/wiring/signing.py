"""From the settings to the signer, and to KMS.

`REQUIRE_KMS` is enforced here for every path that leads to a signer: what is configured, what lies beside the log, and
what a caller passes in.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from auditseal.core.algorithm import parse_algorithm
from auditseal.core.registered_signer import Status
from auditseal.core.successor import follow_successors
from auditseal.errors import ConfigError, InputError, NotFoundError, SignatureInvalidError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from auditseal.adapters.signers.kms_calls import KmsCalls
    from auditseal.adapters.signers.kms_keys import ExportedKey, KeyInfo, KmsKeys
    from auditseal.config import Settings
    from auditseal.core.algorithm import Algorithm
    from auditseal.core.registry import RegisteredSigner, Registry
    from auditseal.ports import Signer

DEVELOPMENT_KEY: Final = "development-key.pem"
SIGNERS: Final = "signers.json"
DEVELOPMENT_ID: Final = "development"
_PROBE: Final = bytes(32)
"""What a local key signs to show which one it is; a KMS key signs nothing that no entry accounts for."""
_ARN_REGION: Final = re.compile(r"arn:[a-z0-9-]+:kms:([a-z0-9-]+):")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Identity:
    """Under which name and algorithm a key signs, and what signers.json knows of it."""

    signer_id: str
    algorithm: Algorithm | None
    registered: RegisteredSigner | None


def registry_path(settings: Settings, folder: Path) -> Path | None:
    """The signers.json that counts: the one configured, else the one beside the log, if there is one."""
    if settings.signers is not None:
        return settings.signers
    beside = folder / SIGNERS
    return beside if beside.exists() else None


def find_configured(settings: Settings) -> Signer | None:
    """The signer that the settings name, not started yet; None if they name none.

    Raises:
        AuditSealError: as `find_signer`.
    """
    if settings.kms_key_id is not None and settings.key_source in (None, "kms"):
        return _kms_signer(settings, settings.kms_key_id)
    if settings.require_kms:
        raise ConfigError("REQUIRE_KMS is true and no KMS key is configured: set AUDIT_SIGNING_KMS_KEY_ID")
    if settings.private_key is not None or settings.key_path is not None:
        return _local_signer(settings)
    if settings.signer_id is not None or settings.algorithm is not None:
        # Somebody meant to configure a signer: a development key in its place would weaken the log quietly.
        raise ConfigError("a signer is half configured: set AUDIT_SIGNING_KMS_KEY_ID too, or none of AUDIT_SIGN…")
    return None


def find_signer(settings: Settings, folder: Path) -> Signer | None:
    """The configured signer, not started yet; without any, the development key beside the log, if there is one.

    Args:
        settings: all of them.
        folder: of the development key.

    Raises:
        ConfigError: settings are missing or contradict each other, or REQUIRE_KMS refuses a local key.
        InputError, NotFoundError, StoreError: signers.json cannot be used.
        SignerError: KMS had to be asked for what the settings leave open, and gave no answer.
    """
    configured = find_configured(settings)
    if configured is not None:
        return configured
    key = folder / DEVELOPMENT_KEY
    if not key.exists():
        return None
    from auditseal.adapters.signers.local import LocalSigner

    signer = LocalSigner.from_file(key, signer_id=DEVELOPMENT_ID)
    path = registry_path(settings, folder)
    if path is None:
        raise ConfigError(f"{key} is in no signers.json, so nobody could verify what it signs: run auditseal init")
    return check_registered(signer, load_signers(path), path)


def check_allowed(signer: Signer, settings: Settings) -> Signer:
    """The signer, if the settings let it sign.

    Raises:
        ConfigError: it is a local one, and REQUIRE_KMS is true.
    """
    if settings.require_kms and signer.development:
        raise ConfigError(f"REQUIRE_KMS is true, and {signer.signer_id} signs with a local key: use a key in AWS KMS")
    return signer


def check_registered(signer: Signer, registry: Registry, path: Path) -> Signer:
    """The signer, if verifiers who have this registry can check what it signs.

    Raises:
        ConfigError: they do not know it, know another key or algorithm under its name, or it is not active.
    """
    registered = registry.find(signer.signer_id)
    if registered is None:
        raise _unregistered(signer.signer_id, path)
    _check_active(registered, path)
    if registered.algorithm.id is not signer.algorithm.id:
        raise ConfigError(
            f"{signer.signer_id!r} signs with {signer.algorithm.id}, and {path} has it with {registered.algorithm.id}: "
            "correct one of them"
        )
    if signer.development and registered.rule is not None:
        try:
            registered.rule(signer.sign(_PROBE).signature, _PROBE)
        except SignatureInvalidError:
            raise ConfigError(
                f"{path} has another key under {signer.signer_id!r}, so what this one signs would not verify: a new "
                "key needs a name of its own"
            ) from None
    return signer


def _check_active(registered: RegisteredSigner, path: Path) -> None:
    if registered.status is not Status.ACTIVE:
        when = "yet" if registered.status is Status.ANNOUNCED else "any more"
        raise ConfigError(f"{path} has {registered.signer_id!r} as {registered.status}: it may not sign {when}")


def _unregistered(signer_id: str, path: Path) -> ConfigError:
    return ConfigError(
        f"{path} has no signer {signer_id!r}, so nobody could verify what it signs: add it with auditseal keys export, "
        "or correct AUDIT_SIGNER_KID"
    )


def open_calls(settings: Settings, *, key_id: str | None = None) -> KmsCalls:
    """Calls to KMS, in the Region of the key's ARN where it has one.

    Raises:
        ConfigError, SignerError: as `open_kms`; also if the AWS library is not installed.
    """
    try:
        from auditseal.adapters.signers.kms_open import KmsSettings, open_kms
    except ImportError as error:
        raise ConfigError("AWS KMS needs the extra `aws`: pip install 'auditseal[aws]'") from error
    region = _ARN_REGION.match(key_id or "")
    return open_kms(
        KmsSettings(
            region=region[1] if region else None,
            concurrency=settings.kms_concurrency,
            deadline_s=settings.kms_deadline_s,
            attempt_timeout_s=min(3.0, settings.kms_deadline_s),
        )
    )


def open_keys(settings: Settings, *, key_id: str | None = None) -> KmsKeys:
    """The administrator's side of KMS; see `open_calls`."""
    calls = open_calls(settings, key_id=key_id)
    from auditseal.adapters.signers.kms_keys import KmsKeys

    return KmsKeys(calls)


class RegionalKeys:
    """Keys of several Regions, each asked for in its own; implements `service.key_check.Keys`."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._by_region: dict[str, KmsKeys] = {}

    def describe(self, key_id: str) -> KeyInfo:
        """See `KmsKeys.describe`."""
        return self._of(key_id).describe(key_id)

    def export_public_key(self, key_id: str) -> ExportedKey:
        """See `KmsKeys.export_public_key`."""
        return self._of(key_id).export_public_key(key_id)

    def close(self) -> None:
        """Releases connections. Idempotent."""
        while self._by_region:
            self._by_region.popitem()[1].close()

    def _of(self, key_id: str) -> KmsKeys:
        match = _ARN_REGION.match(key_id)
        region = match[1] if match else ""
        if region not in self._by_region:
            self._by_region[region] = open_keys(self._settings, key_id=key_id)
        return self._by_region[region]


def open_registered(settings: Settings, registered: RegisteredSigner) -> Signer:
    """A signer for a key of the registry, by its ARN.

    Raises:
        ConfigError: the registry names no key, or KMS cannot be used.
    """
    if registered.key_arn is None:
        raise ConfigError(f"{registered.signer_id} has no keyArn in signers.json, so that its key cannot be asked")
    calls = open_calls(settings, key_id=registered.key_arn)
    from auditseal.adapters.signers.aws_kms import KmsSigner

    return KmsSigner(
        signer_id=registered.signer_id,
        algorithm=registered.algorithm,
        key_id=registered.key_arn,
        calls=calls,
        public_key=registered.public_key,
    )


def _successor(settings: Settings) -> RegisteredSigner | None:
    """Who signs in place of the configured signer, since a rotation; None if it signs itself.

    A rotation moves the alias and not the settings of every writer: one that starts later must not sign under the old
    name with what is another key by now.
    """
    registry = _registry(settings)
    named = registry.find(settings.signer_id) if registry is not None and settings.signer_id is not None else None
    if registry is None or named is None:
        return None
    follower = follow_successors(registry, named)
    return None if follower is named else follower


def _kms_signer(settings: Settings, key_id: str) -> Signer:
    successor = _successor(settings)
    if successor is not None:
        return open_registered(settings, successor)
    calls = open_calls(settings, key_id=key_id)
    from auditseal.adapters.signers.aws_kms import KmsSigner

    try:
        identity = _identity(settings, _registry(settings), key_id, calls)
        return KmsSigner(
            signer_id=identity.signer_id,
            algorithm=_needed(identity.algorithm),
            key_id=key_id,
            calls=calls,
            public_key=None if identity.registered is None else identity.registered.public_key,
        )
    except BaseException:
        calls.close()
        raise


def _needed(algorithm: Algorithm | None) -> Algorithm:
    if algorithm is None:
        raise ConfigError("which algorithm signs is not said: set AUDIT_SIGNING_ALG, such as rsa-sha256")
    return algorithm


def _local_signer(settings: Settings) -> Signer:
    registry = _registry(settings)
    identity = _identity(settings, registry, None, None)
    signer = _local_signer_of(settings, identity)
    if registry is None or settings.signers is None:
        return signer
    return check_registered(signer, registry, settings.signers)


def _local_signer_of(settings: Settings, identity: _Identity) -> Signer:
    from auditseal.adapters.signers.local import LocalSigner

    if settings.key_path is not None and settings.key_source != "env":
        return LocalSigner.from_file(settings.key_path, signer_id=identity.signer_id, algorithm=identity.algorithm)
    assert settings.private_key is not None
    text = settings.private_key.get_secret_value().encode()
    if identity.algorithm is not None and identity.algorithm.is_mac:
        return LocalSigner(signer_id=identity.signer_id, key=text, algorithm=identity.algorithm)
    return LocalSigner.from_pem(
        text, signer_id=identity.signer_id, where="AUDIT_SIGNING_PRIVATE_KEY", algorithm=identity.algorithm
    )


def _registry(settings: Settings) -> Registry | None:
    return None if settings.signers is None else load_signers(settings.signers)


def load_signers(path: Path) -> Registry:
    """The registry that a signer is checked against.

    Raises:
        ConfigError: there is none.
        AuditSealError: as `load_registry`.
    """
    from auditseal.adapters.registry_file import load_registry

    return named_registry(lambda: load_registry(path))


def named_registry(load: Callable[[], Registry]) -> Registry:
    """The registry that a setting names, as `load` reads it.

    Raises:
        ConfigError: there is none.
        AuditSealError: as `load`.
    """
    try:
        return load()
    except NotFoundError as error:
        raise ConfigError(f"{error}; name the signers.json that verifiers use, or leave it out") from None


def _identity(settings: Settings, registry: Registry | None, key_id: str | None, calls: KmsCalls | None) -> _Identity:
    """Name and algorithm: what is set counts, then what signers.json says of the key.

    Raises:
        ConfigError: the name is not known, or settings and signers.json contradict each other.
    """
    registered = _registered(settings, registry, key_id, calls)
    signer_id = settings.signer_id or (registered.signer_id if registered else None)
    if signer_id is None:
        raise ConfigError("the signer has no name: set AUDIT_SIGNER_KID to its signerId in signers.json")
    if registry is not None and registered is None:
        assert settings.signers is not None
        raise _unregistered(signer_id, settings.signers)
    try:
        algorithm = parse_algorithm(settings.algorithm) if settings.algorithm is not None else None
    except InputError as error:
        raise ConfigError(f"AUDIT_SIGNING_ALG: {error}") from None
    if registered is not None:
        if algorithm is not None and algorithm.id is not registered.algorithm.id:
            raise ConfigError(
                f"AUDIT_SIGNING_ALG is {algorithm.id}, and {settings.signers} has {signer_id!r} with "
                f"{registered.algorithm.id}: correct one of them"
            )
        assert settings.signers is not None
        _check_active(registered, settings.signers)
        algorithm = registered.algorithm
    return _Identity(signer_id=signer_id, algorithm=algorithm, registered=registered)


def _registered(
    settings: Settings, registry: Registry | None, key_id: str | None, calls: KmsCalls | None
) -> RegisteredSigner | None:
    if registry is None:
        return None
    if settings.signer_id is not None:
        return registry.find(settings.signer_id)
    if key_id is None or calls is None:
        return None
    arn = key_id
    if "alias/" in key_id or ":" not in key_id:
        from auditseal.adapters.signers.kms_keys import KmsKeys

        arn = KmsKeys(calls).describe(key_id).arn
    of_key = [signer for signer in registry if signer.key_arn == arn and signer.status is not Status.REVOKED]
    if len(of_key) > 1:
        names = ", ".join(repr(signer.signer_id) for signer in of_key)
        raise ConfigError(f"{settings.signers} has {names} for one key: say which signs with AUDIT_SIGNER_KID")
    return of_key[0] if of_key else None
