"""Verification of whatever an address names, against a registry from a file."""

from __future__ import annotations

import os
import threading
from functools import partial
from typing import TYPE_CHECKING, Self

from auditseal.core import registry as core
from auditseal.errors import ConfigError
from auditseal.wiring import signing
from auditseal.wiring.evidence import Evidence, verify_against
from auditseal.wiring.sources import local_folder, open_source, read_agent_manager

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from auditseal.adapters.signers.aws_kms import KmsMacVerifier
    from auditseal.config import Settings
    from auditseal.core.report import Report
    from auditseal.ports import Progress, Source


class Registry(core.Registry):
    """The signers that a verifier accepts; `Registry.load` reads a signers.json."""

    __slots__ = ()

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """The registry of a file.

        Raises:
            NotFoundError: there is no such file.
            ConfigError: it may not be read.
            InputError: it is no registry that can be relied on.
            StoreError: the disk failed.
        """
        from auditseal.adapters.registry_file import load_registry

        loaded = load_registry(path)
        return cls(signers=loaded.signers, extra=loaded.extra)


def registry_for(settings: Settings, address: str) -> tuple[Path, Registry]:
    """The registry to verify against: configured, or beside the log.

    Raises:
        ConfigError: there is none.
        AuditSealError: as `Registry.load`.
    """
    path = signing.registry_path(settings, local_folder(address))
    if path is None:
        raise ConfigError("no signers.json to verify against: give --signers PATH, or set AUDITSEAL_SIGNERS")
    return path, Registry.load(path)


def verify_agent_manager(address: str, registry: core.Registry, *, ask_kms: bool = False) -> Report:
    """Verifies the existing deployment's rows under their own rule.

    Args:
        address: `agent-manager+postgresql://…`, or the path of a JSON array of rows.
        registry: the accepted signers.
        ask_kms: as `verify`.

    Raises:
        InputError, NotFoundError, ConfigError, StoreError: as `verify`.
    """
    from auditseal.config import load_settings
    from auditseal.core.agent_manager.verify import verify_rows
    from auditseal.service.audit import trust_in

    source, rows, unreadable = read_agent_manager(address)
    macs = MacVerifiers(load_settings().settings) if ask_kms else None
    try:
        return verify_rows(source, rows, trust_in(registry, macs), unreadable=unreadable)
    finally:
        if macs is not None:
            macs.close()


def verify(
    source: str | os.PathLike[str] | Source,
    registry: core.Registry | str | os.PathLike[str],
    *,
    streams: Sequence[str] | None = None,
    ask_kms: bool = False,
    evidence: Evidence | None = None,
    processes: int = 1,
    progress: Progress | None = None,
) -> Report:
    """Verifies a log, an export or a copy. Offline, unless `ask_kms` is set.

    Args:
        source: an address such as `sqlite:///audit.db` or `audit.jsonl`, or something open already.
        registry: the accepted signers, or the path of their signers.json.
        streams: only these, each of which must have entries; None: all.
        ask_kms: let KMS verify the MACs of HMAC keys that it holds (VerifyMac).
        evidence: a verifier's memory, witnesses and anchors that the log is held against.
        processes: how many verify a large log; with more than 1, the calling program's main module must be one that
            can be imported (`if __name__ == "__main__":`).
        progress: told how far the walk is.

    Returns:
        The report; `report.require_ok()` raises unless its verdict is valid.

    Raises:
        InputError, NotFoundError, ConfigError, StoreError: source or registry cannot be used.
    """
    from auditseal.config import load_settings
    from auditseal.service.audit import audit

    if not isinstance(registry, core.Registry):
        registry = Registry.load(registry)
    if isinstance(source, str | os.PathLike):
        address = os.fspath(source)
        opened = open_source(address)
    else:
        address, opened = source.address, source
    macs = MacVerifiers(load_settings().settings) if ask_kms else None
    run = partial(
        audit,
        opened,
        registry,
        streams=streams,
        mac_verifier=macs,
        reopen=partial(open_source, address),
        processes=processes,
        progress=progress,
    )
    try:
        return verify_against(opened, evidence or Evidence(), streams, lambda outside: run(outside=outside))
    finally:
        if macs is not None:
            macs.close()
        if opened is not source:
            opened.close()


class MacVerifiers:
    """VerifyMac in each key's own Region; implements `MacVerifier`."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._by_region: dict[str, KmsMacVerifier] = {}
        self._opening = threading.Lock()

    def verify_mac(self, key_id: str, digest: bytes, mac: bytes) -> None:
        """See `MacVerifier.verify_mac`."""
        region = key_id.split(":")[3] if key_id.startswith("arn:") else ""
        with self._opening:
            verifier = self._by_region.get(region)
            if verifier is None:
                verifier = self._by_region[region] = self._open(key_id)
        verifier.verify_mac(key_id, digest, mac)

    def close(self) -> None:
        """Releases connections. Idempotent."""
        while self._by_region:
            self._by_region.popitem()[1].close()

    def _open(self, key_id: str) -> KmsMacVerifier:
        calls = signing.open_calls(self._settings, key_id=key_id)
        from auditseal.adapters.signers.aws_kms import KmsMacVerifier

        return KmsMacVerifier(calls)
