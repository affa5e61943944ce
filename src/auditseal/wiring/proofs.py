"""Proof files: which they are, and verifying one without a log."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

from auditseal.errors import InputError

if TYPE_CHECKING:
    from auditseal.core.registry import Registry
    from auditseal.core.report import Report
    from auditseal.wiring.evidence import Evidence

_PROOF: Final = re.compile(rb'\s*\{\s*"(?:bundle|consistency)"\s*:')
_FIRST_BYTES: Final = 4096


def is_proof(address: str) -> bool:
    """Whether an address names a file that begins as a proof does."""
    path = Path(address)
    if "://" in address or not path.is_file():
        return False
    try:
        with path.open("rb") as file:
            return _PROOF.match(file.read(_FIRST_BYTES)) is not None
    except OSError:
        return False


def verify_proof(path: str, registry: Registry, evidence: Evidence, *, ask_kms: bool = False) -> Report:
    """The report on a proof file.

    Args:
        path: of the file.
        registry: the accepted signers.
        evidence: policy and grade count; a memory and anchors are for logs.
        ask_kms: let KMS verify a MAC.

    Raises:
        InputError: no proof, or evidence that a proof cannot be held against.
        ConfigError, StoreError: the file or the policy cannot be read.
    """
    from auditseal.adapters.whole_file import read_whole
    from auditseal.config import load_settings
    from auditseal.core.bundle import MAX_BUNDLE_BYTES
    from auditseal.service.audit import trust_in
    from auditseal.service.proof_report import report_on_proof
    from auditseal.wiring.checkpoints import load_policy
    from auditseal.wiring.verifying import MacVerifiers

    if evidence.state is not None or evidence.anchors or evidence.accounts:
        raise InputError("--state and --anchor are for logs: a proof is verified by itself")
    macs = MacVerifiers(load_settings().settings) if ask_kms else None
    try:
        return report_on_proof(
            read_whole(Path(path), max_bytes=MAX_BUNDLE_BYTES),
            path,
            registry,
            policy=load_policy(evidence.witness_policy) if evidence.witness_policy is not None else None,
            require=evidence.require,
            mac_rules=trust_in(registry, macs).mac_rules,
        )
    finally:
        if macs is not None:
            macs.close()
