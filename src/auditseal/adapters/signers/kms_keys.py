"""Keys in KMS from the administrator's side: make, name, describe, export, list, disable, schedule for deletion.

None of this is needed to sign, and a signer must not be allowed any of it but to describe and to export.

Source: AWS KMS API Reference, the operations of the same names.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from auditseal.adapters.signers import kms_causes as causes
from auditseal.adapters.signers.aws_kms import check_key_id
from auditseal.adapters.signers.kms_calls import KmsCalls
from auditseal.adapters.signers.kms_errors import from_cause
from auditseal.core.algorithm import ALGORITHMS, Algorithm
from auditseal.errors import AuditSealError, ConflictError, InputError, SignerError

DELETION_DAYS: Final = range(7, 31)
"""How long a deletion may be scheduled ahead; the service model would allow 1 to 365, the service does not."""

_ALIAS: Final = re.compile(r"alias/(?!aws/)[a-zA-Z0-9/_-]{1,250}", re.ASCII)
_PAGE: Final = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyInfo:
    """A key as KMS describes it.

    Attributes:
        key_id: its id.
        arn: its ARN.
        spec: KeySpec, such as `RSA_2048`.
        usage: KeyUsage.
        state: KeyState, such as `Enabled`.
        description: free text.
        created: in UTC.
        deletion: when it will be deleted, in UTC; None unless that is scheduled.
        algorithms: those of KMS that it offers.
        customer_managed: false for a key that an AWS service made.
    """

    key_id: str
    arn: str
    spec: str
    usage: str
    state: str
    description: str
    created: datetime
    deletion: datetime | None
    algorithms: tuple[str, ...]
    customer_managed: bool

    @property
    def fitting(self) -> tuple[Algorithm, ...]:
        """The algorithms of ours that it can serve."""
        return tuple(
            row
            for row in ALGORITHMS.values()
            if self.spec in row.kms_key_specs
            and self.usage == row.kms_key_usage
            and row.kms_signing_algorithm in self.algorithms
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportedKey:
    """A public key out of KMS.

    Attributes:
        arn: of the key.
        spec: KeySpec.
        der: DER SubjectPublicKeyInfo.
    """

    arn: str
    spec: str
    der: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyListing:
    """The keys of an account and Region that can sign for us.

    Attributes:
        keys: those that could be described.
        aliases: alias names by key id.
        not_described: ARNs of keys that the caller may not describe: they may sign or not.
    """

    keys: tuple[KeyInfo, ...]
    aliases: Mapping[str, tuple[str, ...]]
    not_described: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LastUsage:
    """When a key was last used with success; `at` None: not since `tracked_since`. Both in UTC."""

    at: datetime | None
    operation: str | None
    request_id: str | None
    tracked_since: datetime


class KmsKeys:
    """Administers keys. Every method raises ConfigError or SignerError where KMS cannot be asked or refuses."""

    def __init__(self, calls: KmsCalls) -> None:
        """Prepares; nothing is sent yet.

        Args:
            calls: to KMS; closed with this.
        """
        self._calls = calls

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
        """Makes a key for an algorithm.

        Args:
            algorithm: what it is to sign with.
            alias: a name for it, `alias/…`, that must be free.
            description: free text.
            tags: names and values.
            policy: the key policy as JSON; None takes AWS's default one.
            key_spec: one of the algorithm's; None takes the usual one.

        Raises:
            InputError: the alias or the spec is not acceptable.
            ConflictError: there is such an alias already; no key was made.
            SignerError: refused; if only the alias failed, the text names the key that was made.
        """
        spec = key_spec or algorithm.kms_key_specs[0]
        if spec not in algorithm.kms_key_specs:
            raise InputError(f"{algorithm.id} needs a key of {' or '.join(algorithm.kms_key_specs)}, not {spec[:40]}")
        if alias is not None and self._target(check_alias(alias)) is not None:
            raise ConflictError(f"{alias} exists already: choose another name, or move it with set_alias")
        request: dict[str, Any] = {"KeySpec": spec, "KeyUsage": algorithm.kms_key_usage, "Description": description}
        if tags:
            request["Tags"] = [{"TagKey": name, "TagValue": value} for name, value in tags.items()]
        if policy is not None:
            request["Policy"] = policy
        # Doing this twice would leave a second key behind, which costs money every month.
        info = _info(self._calls.call("CreateKey", request, repeatable=False).values)
        if alias is not None:
            self._name_new_key(alias, info)
        return info

    def set_alias(self, alias: str, key_id: str) -> None:
        """Makes the alias mean the key: a new alias, or one that is moved.

        Raises:
            InputError: the alias is not acceptable.
        """
        request = {"AliasName": alias, "TargetKeyId": check_key_id(key_id)}
        if self._target(check_alias(alias)) is None:
            try:
                self._calls.call("CreateAlias", request)
            except SignerError:
                if self._target(alias) is None:
                    raise
            else:
                return
        self._calls.call("UpdateAlias", request)

    def delete_alias(self, alias: str) -> None:
        """Removes the alias; the key behind it stays as it is. One that does not exist is no error.

        Raises:
            InputError: the alias is not acceptable.
        """
        if self._target(check_alias(alias)) is not None:
            try:
                self._calls.call("DeleteAlias", {"AliasName": alias})
            except SignerError:
                if self._target(alias) is not None:
                    raise

    def find_alias(self, alias: str) -> KeyInfo | None:
        """The key behind an alias; None if there is no such alias.

        Raises:
            InputError: the alias is not acceptable.
        """
        target = self._target(check_alias(alias))
        return None if target is None else self.describe(target)

    def describe(self, key_id: str) -> KeyInfo:
        """The key of a key id, key ARN, alias name or alias ARN."""
        return _info(self._calls.call("DescribeKey", {"KeyId": check_key_id(key_id)}).values)

    def export_public_key(self, key_id: str) -> ExportedKey:
        """The public key; an HMAC key has none, and a disabled key does not give it."""
        values = self._calls.call("GetPublicKey", {"KeyId": check_key_id(key_id)}).values
        return ExportedKey(
            arn=values["KeyId"],
            spec=values.get("KeySpec") or values["CustomerMasterKeySpec"],
            der=values["PublicKey"],
        )

    def get_policy(self, key_id: str) -> str:
        """The key policy, as JSON; KMS asks for the key itself, not for an alias."""
        policy: str = self._calls.call("GetKeyPolicy", {"KeyId": self._plain_id(key_id)}).values["Policy"]
        return policy

    def last_usage(self, key_id: str) -> LastUsage:
        """When the key was last used, as far as KMS keeps track."""
        values = self._calls.call("GetKeyLastUsage", {"KeyId": self._plain_id(key_id)}).values
        return _last_usage(values)

    def list_signing_keys(self) -> KeyListing:
        """All keys that an algorithm of ours could use, in whatever state."""
        keys, hidden = [], []
        for entry in self._pages("ListKeys", "Keys"):
            try:
                info = self.describe(entry["KeyId"])
            except SignerError as error:
                if error.reason != causes.DENIED.reason:
                    raise
                hidden.append(entry["KeyArn"])
            else:
                keys.append(info)
        signing = tuple(info for info in keys if info.fitting and info.customer_managed)
        return KeyListing(keys=signing, aliases=self._aliases(), not_described=tuple(hidden))

    def disable(self, key_id: str) -> None:
        """Stops all use of the key at once. Export its public key first: a disabled key does not give it."""
        self._calls.call("DisableKey", {"KeyId": self._plain_id(key_id)})

    def enable(self, key_id: str) -> None:
        """Lets the key be used again."""
        self._calls.call("EnableKey", {"KeyId": self._plain_id(key_id)})

    def schedule_deletion(self, key_id: str, *, days: int = DELETION_DAYS[-1]) -> datetime:
        """Lets the key be deleted after a waiting time, in which it cannot be used; the time of the deletion, in UTC.

        Raises:
            InputError: the days are not 7 to 30.
        """
        if days not in DELETION_DAYS:
            raise InputError(f"a key can be deleted after {DELETION_DAYS[0]} to {DELETION_DAYS[-1]} days, not {days}")
        request = {"KeyId": self._plain_id(key_id), "PendingWindowInDays": days}
        deletion: datetime = self._calls.call("ScheduleKeyDeletion", request).values["DeletionDate"]
        return deletion.astimezone(UTC)

    def cancel_deletion(self, key_id: str) -> None:
        """Keeps the key; it is disabled afterwards."""
        self._calls.call("CancelKeyDeletion", {"KeyId": self._plain_id(key_id)})

    def close(self) -> None:
        """Releases connections. Idempotent."""
        self._calls.close()

    def _name_new_key(self, alias: str, info: KeyInfo) -> None:
        try:
            self._calls.call("CreateAlias", {"AliasName": alias, "TargetKeyId": info.key_id})
        except AuditSealError as error:
            reason = error.reason if isinstance(error, SignerError) else causes.CONFIGURATION
            raise SignerError(
                f"the key {info.arn} was made, and {alias} could not be: name it with set_alias, or schedule its "
                f"deletion ({error})",
                reason=reason,
            ) from error

    def _target(self, alias: str) -> str | None:
        """The id of the key behind an alias; None if there is no such alias."""
        try:
            return self.describe(alias).key_id
        except SignerError as error:
            if error.reason == causes.NOT_FOUND.reason:
                return None
            raise

    def _plain_id(self, key_id: str) -> str:
        """A key id or key ARN: what changes a key takes no alias, and an alias could move in between."""
        if "alias/" in check_key_id(key_id):
            raise InputError(f"{key_id} is an alias: name the key itself, by its id or ARN")
        return key_id

    def _aliases(self) -> dict[str, tuple[str, ...]]:
        names: dict[str, tuple[str, ...]] = {}
        for entry in self._pages("ListAliases", "Aliases"):
            target = entry.get("TargetKeyId")
            if target is not None:
                names[target] = (*names.get(target, ()), entry["AliasName"])
        return names

    def _pages(self, operation: str, member: str) -> Iterator[dict[str, Any]]:
        request: dict[str, Any] = {"Limit": _PAGE if operation == "ListKeys" else 100}
        while True:
            values = self._calls.call(operation, request).values
            yield from values[member]
            if not values.get("Truncated"):
                return
            request["Marker"] = values["NextMarker"]


def check_alias(alias: str) -> str:
    """The alias name, if a key may be given it.

    Raises:
        InputError: it may not.
    """
    if not _ALIAS.fullmatch(alias):
        raise InputError(f"{alias[:80]!r} is not an alias name: use alias/ and 1 to 250 of a-z A-Z 0-9 / _ -")
    return alias


def _last_usage(values: dict[str, Any]) -> LastUsage:
    used = values.get("KeyLastUsage") or {}
    at: datetime | None = used.get("Timestamp")
    try:
        since: datetime = values["TrackingStartDate"]
    except KeyError as error:
        raise from_cause("GetKeyLastUsage", causes.MALFORMED) from error
    return LastUsage(
        at=at.astimezone(UTC) if at else None,
        operation=used.get("Operation"),
        request_id=used.get("KmsRequestId"),
        tracked_since=since.astimezone(UTC),
    )


def _info(values: dict[str, Any]) -> KeyInfo:
    metadata = values["KeyMetadata"]
    deletion: datetime | None = metadata.get("DeletionDate")
    try:
        return KeyInfo(
            key_id=metadata["KeyId"],
            arn=metadata["Arn"],
            spec=metadata.get("KeySpec") or metadata["CustomerMasterKeySpec"],
            usage=metadata["KeyUsage"],
            state=metadata["KeyState"],
            description=metadata.get("Description", ""),
            created=metadata["CreationDate"].astimezone(UTC),
            deletion=deletion.astimezone(UTC) if deletion else None,
            algorithms=tuple(metadata.get("SigningAlgorithms") or metadata.get("MacAlgorithms") or ()),
            customer_managed=metadata.get("KeyManager", "CUSTOMER") == "CUSTOMER",
        )
    except KeyError as error:
        raise from_cause("DescribeKey", causes.MALFORMED) from error
