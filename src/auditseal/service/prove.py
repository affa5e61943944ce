"""Proving: gathers what proves one entry, or that one checkpoint continues another, and checks it before giving it out.

Source: `docs/spec/bundle.md`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from auditseal.core.bundle import Bundle, ProvenEntry, bundled_signer
from auditseal.core.bundle_proof import BundleProof, verify_bundle
from auditseal.core.checkpoint import parse_checkpoint
from auditseal.core.consistency import Consistency, verify_consistency_file
from auditseal.core.heads import HEADS_STREAM
from auditseal.core.log_keys import LogKeys
from auditseal.core.note import format_note
from auditseal.core.tlog_proof import TlogProof
from auditseal.errors import (
    InputError,
    NotCheckedError,
    NotFoundError,
    PolicyNotMetError,
    RejectedError,
    SignerNotAllowedError,
)
from auditseal.service.checkpoint import note_of
from auditseal.service.tree import StreamTree

if TYPE_CHECKING:
    from collections.abc import Mapping

    from auditseal.core.note_key import MacCheck
    from auditseal.core.registry import Registry
    from auditseal.core.stored_checkpoint import StoredCheckpoint
    from auditseal.core.witness_policy import WitnessPolicy
    from auditseal.ports import CheckpointStore


class Prover:
    """Makes proofs over one log."""

    def __init__(
        self,
        store: CheckpointStore,
        registry: Registry,
        *,
        policy: WitnessPolicy | None = None,
        mac_rules: Mapping[str, MacCheck] | None = None,
    ) -> None:
        """Sets up.

        Args:
            store: the log.
            registry: the accepted signers, which say who signed a checkpoint.
            policy: whose cosignatures a proof must carry; None asks for none.
            mac_rules: checks of MAC signers (VerifyMac).
        """
        self._store = store
        self._registry = registry
        self._policy = policy
        self._mac_rules = mac_rules
        self._keys = LogKeys(registry, mac_rules)
        self._trees: dict[str, StreamTree] = {}

    def prove(self, stream: str, seq: int) -> tuple[Bundle, BundleProof]:
        """The bundle of an entry, and what it proves.

        It is made with the smallest checkpoint that proves the entry under the registry and the policy.

        Raises:
            NotFoundError: there is no such entry.
            NotCheckedError: no checkpoint covers it yet, or by no signer that is known.
            RejectedError: the log contradicts its own checkpoint: verify it.
            PolicyNotMetError: no checkpoint over it has the cosignatures.
            StoreError: the log cannot be read.
        """
        if self._store.entry(stream, seq) is None:
            raise NotFoundError(f"{stream} has no entry {seq}")
        size, refused = seq + 1, None
        while (checkpoint := self._store.checkpoint_over(stream, size)) is not None:
            try:
                bundle = self._bundle(stream, seq, checkpoint)
                proof = verify_bundle(bundle, self._registry, policy=self._policy, mac_rules=self._mac_rules)
            except (PolicyNotMetError, SignerNotAllowedError, NotCheckedError) as error:
                refused = refused or error
                size = checkpoint.size + 1
                continue
            except (RejectedError, InputError) as error:
                raise RejectedError(f"{stream} #{seq} cannot be proven, so verify the log: {error}") from error
            return bundle, proof
        raise refused or NotCheckedError(
            f"no checkpoint covers {stream} #{seq} yet: make one with auditseal checkpoint create"
        )

    def tlog_proof(self, bundle: Bundle, proof: BundleProof) -> TlogProof:
        """The C2SP proof text of a bundle.

        Raises:
            InputError: its checkpoint is covered by another, which that text cannot say.
        """
        if bundle.heads is not None:
            raise InputError(
                "the entry's checkpoint shares its signature with other streams, which a .tlog-proof cannot say: write "
                "a bundle, or make a checkpoint of this stream alone (auditseal checkpoint create --stream NAME)"
            )
        last = self._store.checkpoint_over(proof.body.stream, proof.checkpoint.size)
        assert last is not None
        return TlogProof(index=proof.body.seq, path=bundle.entry.path, note=note_of(last))

    def consistency(self, stream: str, old_size: int, new_size: int) -> Consistency:
        """The proof that one checkpoint of a stream continues another, checked.

        Raises:
            NotFoundError: there is no such checkpoint with a signature of its own.
            RejectedError: it does not: the log signed two histories.
            NotCheckedError: a signer is not known.
        """
        old, new = self._exactly(stream, old_size), self._exactly(stream, new_size)
        consistency = Consistency(
            old=format_note(note_of(old)).decode(),
            new=format_note(note_of(new)).decode(),
            path=self._tree(stream).consistency(old_size, new_size),
        )
        verify_consistency_file(consistency, self._registry, mac_rules=self._mac_rules)
        return consistency

    def _exactly(self, stream: str, size: int) -> StoredCheckpoint:
        found = self._store.checkpoint_over(stream, size)
        if found is None or found.size != size or not found.signatures:
            raise NotFoundError(
                f"{stream} has no checkpoint of size {size} with a signature of its own: see auditseal checkpoint list"
            )
        return found

    def _bundle(self, stream: str, seq: int, checkpoint: StoredCheckpoint) -> Bundle:
        note = note_of(checkpoint)
        if checkpoint.cover is None:
            text = format_note(note).decode() if note.signatures else note.text
            signer, _ = self._keys.signer_of(note, parse_checkpoint(checkpoint.text).origin)
            return Bundle(entry=self._proven(stream, seq, checkpoint, text), signer=bundled_signer(signer))
        heads = self._store.checkpoint_over(HEADS_STREAM, checkpoint.cover.seq + 1)
        if heads is None:
            raise NotCheckedError(f"entry {checkpoint.cover.seq} of {HEADS_STREAM}, which covers it, is not signed")
        heads_note = note_of(heads)
        signer, _ = self._keys.signer_of(heads_note, parse_checkpoint(heads.text).origin)
        return Bundle(
            entry=self._proven(stream, seq, checkpoint, note.text),
            signer=bundled_signer(signer),
            cover=checkpoint.cover,
            heads=self._proven(HEADS_STREAM, checkpoint.cover.seq, heads, format_note(heads_note).decode()),
        )

    def _proven(self, stream: str, seq: int, checkpoint: StoredCheckpoint, text: str) -> ProvenEntry:
        entry = self._store.entry(stream, seq)
        if entry is None:
            raise NotFoundError(f"{stream} has no entry {seq}")
        path = self._tree(stream).inclusion(seq, checkpoint.size)
        return ProvenEntry(body=entry.body, prev_hash=entry.prev_hash, path=path, checkpoint=text)

    def _tree(self, stream: str) -> StreamTree:
        return self._trees.setdefault(stream, StreamTree(self._store, stream))
