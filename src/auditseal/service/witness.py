"""Being a witness: cosigns a log's checkpoint only if it extends what was cosigned before.

The new checkpoint is kept before it is signed, so that a crash between the two leaves a witness that signs less and
never one that signs two views. A log that asks again for what was kept and not answered is answered then.

Source: c2sp.org/tlog-witness; `docs/spec/checkpoint.md`, "Witnesses".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Final

from auditseal.core.note import NoteVerifier, format_signatures, verify_note
from auditseal.core.note_key import NoteKey, NoteKeyType, signed_by, to_sign, verifier_for
from auditseal.core.witness_rules import AddCheckpoint, StaleError, check_growth, parse_add_checkpoint
from auditseal.errors import ConfigError, NotCheckedError, NotFoundError, SignerNotAllowedError
from auditseal.service.ids import now_micros

if TYPE_CHECKING:
    from auditseal.ports import Clock, NoteSigner, WitnessStore

_TYPES: Final = {
    "ed25519": NoteKeyType.COSIGNATURE_ED25519,
    "ml-dsa-44": NoteKeyType.COSIGNATURE_ML_DSA_44,
}
_MICROS: Final = 1_000_000


def witness_key(signer: NoteSigner, name: str) -> NoteKey:
    """The key of a witness: its signer's, under its name.

    Raises:
        ConfigError: the signer's algorithm makes no cosignatures, or its public key is not known.
        InputError: the name is no key name.
    """
    type_ = _TYPES.get(str(signer.algorithm.id))
    if type_ is None:
        raise ConfigError(f"a witness signs with ed25519 or ml-dsa-44, and {signer.signer_id} is {signer.algorithm.id}")
    signer.start()
    if signer.public_key is None or not hasattr(signer.public_key, "public_bytes_raw"):
        raise ConfigError(f"the public key of {signer.signer_id} is not known")
    return NoteKey(name=name, type=type_, material=signer.public_key.public_bytes_raw())


class Witness:
    """A witness of some logs. Safe to call from many threads."""

    def __init__(
        self, store: WitnessStore, signer: NoteSigner, *, name: str, logs: Iterable[NoteKey], clock: Clock = now_micros
    ) -> None:
        """Sets up.

        Args:
            store: what was cosigned.
            signer: with Ed25519 or ML-DSA-44.
            name: of its key.
            logs: the keys that are trusted, each for the origin that it is named after.
            clock: microseconds since the epoch.

        Raises:
            ConfigError: the signer makes no cosignatures, or no log is named.
        """
        self.key = witness_key(signer, name)
        self._store = store
        self._signer = signer
        self._clock = clock
        self._logs: dict[str, list[NoteVerifier]] = {}
        for log in logs:
            self._logs.setdefault(log.name, []).append(verifier_for(log))
        if not self._logs:
            raise ConfigError("a witness needs to know the key of one log or more")

    @property
    def logs(self) -> Mapping[str, int]:
        """By origin, how many keys are trusted for it."""
        return {origin: len(keys) for origin, keys in self._logs.items()}

    def add_checkpoint(self, body: bytes) -> bytes:
        """The signature line for a request's checkpoint.

        Args:
            body: of the request.

        Raises:
            InputError: the request is not of the form (400).
            NotFoundError: the origin is not known (404).
            SignerNotAllowedError: no trusted key signed (403).
            SignatureInvalidError: a trusted key's signature is wrong (403).
            StaleError: the proof starts from another size than was last cosigned (409).
            ProofInvalidError: the checkpoint does not extend it (422).
            SignerError, StoreError: the witness itself failed; ask again.
        """
        request = parse_add_checkpoint(body)
        checkpoint = request.checkpoint
        keys = self._logs.get(checkpoint.origin)
        if keys is None:
            raise NotFoundError(f"this witness does not know the log {checkpoint.origin[:200]!a}")
        try:
            verify_note(request.note, keys)
        except NotCheckedError as error:
            raise SignerNotAllowedError(str(error)) from error
        self._advance(request)
        time_s = self._clock() // _MICROS
        signed = self._signer.sign_message(to_sign(self.key, request.note.text, time_s=time_s).message)
        return format_signatures([signed_by(self.key, signed.signature, time_s=time_s)]).encode()

    def _advance(self, request: AddCheckpoint) -> None:
        checkpoint = request.checkpoint
        last = self._store.last(checkpoint.origin)
        check_growth(request, last)
        if last is not None and (last.size, last.root) == (checkpoint.size, checkpoint.root):
            return
        if not self._store.advance(checkpoint.origin, last, checkpoint):
            now = self._store.last(checkpoint.origin)
            raise StaleError(0 if now is None else now.size)
