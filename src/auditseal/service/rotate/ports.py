"""What rotating asks of the world, beside the log: KMS's administration, the registry, and where it is published."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from auditseal.core.algorithm import Algorithm
from auditseal.core.registered_signer import RegisteredSigner
from auditseal.core.registry import Registry
from auditseal.ports import Signer


class KeyInfo(Protocol):
    """A key as KMS describes it."""

    @property
    def key_id(self) -> str:
        """Its id."""

    @property
    def arn(self) -> str:
        """Its ARN."""

    @property
    def spec(self) -> str:
        """KeySpec."""

    @property
    def state(self) -> str:
        """KeyState, such as `Enabled`."""

    @property
    def description(self) -> str:
        """Free text."""

    @property
    def created(self) -> datetime:
        """In UTC."""


class ExportedKey(Protocol):
    """A public key out of KMS."""

    @property
    def der(self) -> bytes:
        """DER SubjectPublicKeyInfo."""


class KeyListing(Protocol):
    """Keys that can sign."""

    @property
    def keys(self) -> Sequence[KeyInfo]:
        """Those that could be described."""


class Keys(Protocol):
    """Administers keys; every method raises ConfigError or SignerError where KMS cannot be asked or refuses."""

    def create_key(
        self,
        algorithm: Algorithm,
        *,
        alias: str | None = None,
        description: str = "",
        tags: Mapping[str, str] | None = None,
        policy: str | None = None,
        key_spec: str | None = None,
    ) -> KeyInfo:
        """Makes a key."""

    def find_alias(self, alias: str) -> KeyInfo | None:
        """The key behind an alias; None if there is no such alias."""

    def set_alias(self, alias: str, key_id: str) -> None:
        """Makes the alias mean the key."""

    def delete_alias(self, alias: str) -> None:
        """Removes the alias, if there is one."""

    def describe(self, key_id: str) -> KeyInfo:
        """The key's description."""

    def export_public_key(self, key_id: str) -> ExportedKey:
        """The public key."""

    def list_signing_keys(self) -> KeyListing:
        """All keys that an algorithm of ours could use."""

    def get_policy(self, key_id: str) -> str:
        """The key policy, as JSON."""

    def disable(self, key_id: str) -> None:
        """Stops all use of the key at once."""


class RegistryFile(Protocol):
    """The registry that is changed, and published from."""

    def load(self) -> Registry:
        """As it is.

        Raises:
            AuditSealError: it cannot be read.
        """

    def update(self, change: Callable[[Registry], Registry]) -> Registry:
        """Changes it while nobody else does, all at once or not at all.

        Raises:
            AuditSealError: as the change, or it cannot be written.
        """


class Location(Protocol):
    """Where verifiers get their registry."""

    @property
    def name(self) -> str:
        """For texts."""

    def fetch(self) -> Registry:
        """What is served there now.

        Raises:
            AuditSealError: nothing that can be relied on.
        """

    def publish(self, registry: Registry) -> None:
        """Puts the registry there, all at once or not at all.

        Raises:
            AuditSealError: it was not, or this sort of place cannot be written.
        """


class Signers(Protocol):
    """Opens signers of the registry."""

    def open(self, signer: RegisteredSigner) -> Signer:
        """A signer, by its key ARN; the caller closes it.

        Raises:
            ConfigError, SignerError: its key cannot be used.
        """
