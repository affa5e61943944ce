"""The keys under which a log's own checkpoints are believed: those of a registry, as keys of notes.

Source: `docs/spec/checkpoint.md`, "Signatures".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from auditseal.core.algorithm import AlgorithmId
from auditseal.core.note import NoteSignature, NoteVerifier, verify_note
from auditseal.core.note_key import NoteKey, log_key, verifier_for
from auditseal.errors import NotCheckedError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from auditseal.core.note import Note
    from auditseal.core.note_key import MacCheck
    from auditseal.core.registered_signer import RegisteredSigner
    from auditseal.core.registry import Registry


class LogKeys:
    """Finds and checks who signed a checkpoint. Keys are prepared once for each origin."""

    def __init__(self, registry: Registry, mac_rules: Mapping[str, MacCheck] | None = None) -> None:
        """Takes what is believed.

        Args:
            registry: the accepted signers.
            mac_rules: by signer id, checks of signers whose key is not at hand but can be asked (VerifyMac).
        """
        self._registry = registry
        self._mac_rules = mac_rules or {}
        self._verifiers: dict[str, dict[tuple[str, bytes], NoteVerifier]] = {}
        self._signers: dict[str, dict[tuple[str, bytes], list[RegisteredSigner]]] = {}

    def signer_of(self, note: Note, origin: str, *, said: str | None = None) -> tuple[RegisteredSigner, NoteSignature]:
        """The signer of a checkpoint, and its signature line, which verifies.

        Args:
            note: the checkpoint.
            origin: the name that the key must have.
            said: the signer id that the log's own entry names; decides where one key stands under several ids.

        Raises:
            SignatureInvalidError: a known key's signature does not verify.
            NotCheckedError: no known key signed, or only a MAC that cannot be checked here.
            SignerError: a remote key could not be asked.
        """
        if origin not in self._verifiers:
            self._prepare(origin)
        verifiers, signers = self._verifiers[origin], self._signers[origin]
        if not verifiers:
            raise NotCheckedError("no signer of the registry can be checked here")
        signature = verify_note(note, verifiers.values())[0]
        known = signers[signature.name, signature.key_id]
        return next((signer for signer in known if signer.signer_id == said), known[0]), signature

    def _prepare(self, origin: str) -> None:
        verifiers: dict[tuple[str, bytes], NoteVerifier] = {}
        signers: dict[tuple[str, bytes], list[RegisteredSigner]] = {}
        for signer in self._registry:
            rule = signer.rule or self._mac_rules.get(signer.signer_id)
            if rule is None:
                continue
            key = note_key_of(signer, origin)
            mac = rule if signer.algorithm.id is AlgorithmId.HMAC_SHA256 else None
            verifiers.setdefault((key.name, key.key_id), verifier_for(key, check_mac=mac))
            signers.setdefault((key.name, key.key_id), []).append(signer)
        self._verifiers[origin], self._signers[origin] = verifiers, signers


def note_key_of(signer: RegisteredSigner, origin: str) -> NoteKey:
    """A signer's key as the key of an origin's checkpoints.

    Raises:
        InputError: the origin is no key name.
    """
    return log_key(origin, signer.algorithm.id, signer.public_key or signer.signer_id)
