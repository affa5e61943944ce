"""Proof files: which they are, and verifying one without a log."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

from auditseal.core.tlog_proof import HEADER as TLOG_HEADER
from auditseal.errors import InputError, NotFoundError

if TYPE_CHECKING:
    from auditseal.core.registry import Registry
    from auditseal.core.report import Report
    from auditseal.errors import AuditSealError
    from auditseal.wiring.evidence import Evidence

_PROOF: Final = re.compile(rb'\s*\{\s*"(?:bundle|consistency)"\s*:')
_FIRST_BYTES: Final = 4096


def is_proof(address: str) -> bool:
    """Whether an address names a file that begins as a proof does."""
    path = Path(address)
    return "://" not in address and path.is_file() and _PROOF.match(_first_bytes(path)) is not None


def _first_bytes(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_FIRST_BYTES)
    except OSError:
        return b""


def unknown_file(address: str) -> AuditSealError | None:
    """What to say of a file that is neither an export nor a proof; None where the address is of another kind."""
    path = Path(address)
    if "://" in address:
        return None
    if not path.exists():
        return NotFoundError(f"there is no file {address}, and this is no address of a log such as sqlite:///audit.db")
    if path.is_file() and _first_bytes(path).startswith(TLOG_HEADER.encode()):
        return InputError(
            f"{address} is a C2SP proof text, which other programs verify: write a bundle for this one "
            "(auditseal prove ENTRY --to PATH, without .tlog-proof)"
        )
    if path.is_file() and path.suffix != ".parquet":
        return InputError(
            f"{address} is neither a proof of auditseal nor an export, whose name ends with .jsonl: it is damaged, in "
            "another encoding than UTF-8, or another program's"
        )
    return None


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
