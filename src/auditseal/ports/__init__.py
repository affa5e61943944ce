"""What the services ask of the world, as Protocols whose docstrings are the contract.

Every implementation passes one contract suite (`tests/contract/`). Errors of vendors never pass: an implementation
raises those of `auditseal.errors`, with the cause attached.
"""

from auditseal.ports.callers import Authenticator
from auditseal.ports.clock import Clock
from auditseal.ports.outside import Anchor, Anchored, WitnessClient, WitnessStore
from auditseal.ports.signing import MacVerifier, NoteSigner, Signed, Signer
from auditseal.ports.source import (
    CheckpointSource,
    Part,
    PartedSource,
    Progress,
    RangeSource,
    RowSource,
    SignatureRow,
    SignatureSource,
    Source,
)
from auditseal.ports.store import Appended, CheckpointStore, EntryFilter, Exclusive, NewSignature, Store

__all__ = [
    "Anchor",
    "Anchored",
    "Appended",
    "Authenticator",
    "CheckpointSource",
    "CheckpointStore",
    "Clock",
    "EntryFilter",
    "Exclusive",
    "MacVerifier",
    "NewSignature",
    "NoteSigner",
    "Part",
    "PartedSource",
    "Progress",
    "RangeSource",
    "RowSource",
    "SignatureRow",
    "SignatureSource",
    "Signed",
    "Signer",
    "Source",
    "Store",
    "WitnessClient",
    "WitnessStore",
]
