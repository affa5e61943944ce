"""Verification of a bundle, in numbered steps. One that fails raises; there is no partial success.

1. The entry's body is canonical and in the format, and its `prev_hash` fits its place.
2. The checkpoint's origin is that of the entry's stream.
3. The path leads from the entry's hash, at its seq, to the checkpoint's root.
4. Where the checkpoint is covered: the entry that covers it is one of the same log's stream `auditseal/heads`, states a
   root under which the checkpoint's text stands, and passes 1 to 3 itself.
5. The signed checkpoint verifies under the key that the verifier's own registry has for the bundle's signer, and that
   signer was valid at the entries that it proves.
6. Where witnesses are asked for, their quorum cosigned the signed checkpoint.

Source: `docs/spec/bundle.md`, "Verification".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from auditseal.core.bundle import bundled_signer
from auditseal.core.chain import entry_hash
from auditseal.core.checkpoint import Checkpoint, log_origin_of, parse_checkpoint
from auditseal.core.entry import StoredEntry
from auditseal.core.entry_check import check_body
from auditseal.core.event import Body, parse_body
from auditseal.core.heads import HEADS_STREAM, HEADS_TYPE, HeadsRoot, check_cover
from auditseal.core.log_keys import LogKeys
from auditseal.core.merkle import leaf_hash
from auditseal.core.merkle_proof import verify_inclusion
from auditseal.core.note import Note, NoteSignature, parse_note
from auditseal.core.registry import Registry
from auditseal.errors import ChainBrokenError, InputError, NotCheckedError, ProofInvalidError, SignerNotAllowedError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from auditseal.core.bundle import Bundle, ProvenEntry
    from auditseal.core.note_key import MacCheck
    from auditseal.core.registered_signer import RegisteredSigner
    from auditseal.core.witness_policy import Cosigned, WitnessPolicy


@dataclass(frozen=True, slots=True, kw_only=True)
class BundleProof:
    """What a bundle has proven.

    Attributes:
        body: of the entry.
        hash: of the entry; 32 bytes.
        checkpoint: the one that is signed.
        signer: who signed it.
        signature: the signature line.
        cosigned: what of the policy's witnesses cosigned; None where none were asked for.
    """

    body: Body
    hash: bytes
    checkpoint: Checkpoint
    signer: RegisteredSigner
    signature: NoteSignature
    cosigned: Cosigned | None


def verify_bundle(
    bundle: Bundle,
    registry: Registry,
    *,
    policy: WitnessPolicy | None = None,
    mac_rules: Mapping[str, MacCheck] | None = None,
) -> BundleProof:
    """What the bundle proves, all six steps passed.

    Args:
        bundle: as it was read.
        registry: the verifier's own.
        policy: which witnesses must have cosigned; None asks for none.
        mac_rules: by signer id, checks of MAC signers (VerifyMac).

    Raises:
        ChainBrokenError, ProofInvalidError, SignatureInvalidError, SignerNotAllowedError, PolicyNotMetError: a step
            failed.
        NotCheckedError: the registry does not know the signer, or its MAC cannot be checked here.
        InputError: a part is not of its form.
        SignerError: a remote key could not be asked.
    """
    covered = bundle.heads is not None
    note = Note(text=bundle.entry.checkpoint) if covered else parse_note(bundle.entry.checkpoint.encode())
    body, hash_, checkpoint = _prove_entry(bundle.entry, note)
    proven = [body]
    if bundle.heads is not None and bundle.cover is not None:
        text = note.text
        note = parse_note(bundle.heads.checkpoint.encode())
        heads_body, _, heads_checkpoint = _prove_entry(bundle.heads, note)
        if heads_body.type != HEADS_TYPE or heads_body.stream != HEADS_STREAM or heads_body.seq != bundle.cover.seq:
            raise ProofInvalidError(f"what covers the checkpoint is not entry {bundle.cover.seq} of {HEADS_STREAM}")
        check_cover(text, bundle.cover, HeadsRoot.from_payload(heads_body.payload))
        if log_origin_of(heads_checkpoint.origin, HEADS_STREAM) != log_origin_of(checkpoint.origin, body.stream):
            raise ProofInvalidError("the checkpoint is covered by another log's entry")
        checkpoint = heads_checkpoint
        proven.append(heads_body)
    signer = _known_signer(bundle, registry)
    keys = LogKeys(Registry(signers=(signer,)), mac_rules)
    _, signature = keys.signer_of(note, checkpoint.origin)
    for each in proven:
        signer.check_valid_at(each.stream, each.seq, each.time)
    return BundleProof(
        body=body,
        hash=hash_,
        checkpoint=checkpoint,
        signer=signer,
        signature=signature,
        cosigned=policy.require(note) if policy is not None else None,
    )


def _prove_entry(entry: ProvenEntry, note: Note) -> tuple[Body, bytes, Checkpoint]:
    """Steps 1 to 3."""
    body = parse_body(entry.body)
    hash_ = entry_hash(entry.body, entry.prev_hash)
    stored = StoredEntry(stream=body.stream, seq=body.seq, body=entry.body, prev_hash=entry.prev_hash, hash=hash_)
    found = check_body(stored)[1]
    if found:
        raise ChainBrokenError(f"{body.stream[:140]} #{body.seq}: {found[0].message}")
    if (body.seq == 0) != (not entry.prev_hash):
        raise ChainBrokenError(f"{body.stream} #{body.seq}: prev_hash is empty exactly for #0")
    checkpoint = parse_checkpoint(note.text)
    if checkpoint.extensions:
        raise InputError("the checkpoint has extension lines, which no checkpoint of auditseal has")
    try:
        log_origin_of(checkpoint.origin, body.stream)
    except InputError as error:
        raise ProofInvalidError(f"the checkpoint is not one of the entry's stream: {error}") from None
    verify_inclusion(leaf_hash(hash_), body.seq, checkpoint.size, entry.path, checkpoint.root)
    return body, hash_, checkpoint


def _known_signer(bundle: Bundle, registry: Registry) -> RegisteredSigner:
    said = bundle.signer
    signer = registry.find(said.signer_id)
    if signer is None:
        raise NotCheckedError(
            f"the bundle is signed by {said.signer_id[:80]!a}, which the registry does not know: "
            "get its key from where you trust it"
        )
    if bundled_signer(signer) != said:
        raise SignerNotAllowedError(f"the bundle has another key for {said.signer_id[:80]!a} than the registry")
    return signer
