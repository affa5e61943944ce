"""Who signs what: the configured signer, or one that took over from it by an entry of the stream itself.

A writer learns of a rotation from the chain. Every entry that it did not append itself lies between two that it knows,
so that it need only look into the gaps. An entry that hands over is obeyed if it carries on from the signer whose turn
it is, if both keys signed its statement, and if the registry has the new signer with that key; else it is nobody's
word. Until the registry has it, what follows stays pending: the old key must not sign it, and the new one is not known.

Source: `docs/spec/rotation.md` §3.
"""

from __future__ import annotations

import threading
from bisect import bisect_right
from typing import TYPE_CHECKING, Final, Protocol, cast

import orjson

from auditseal.core.entry import Entry
from auditseal.core.event import parse_body
from auditseal.core.heads import HEADS_STREAM
from auditseal.core.rotation_event import (
    ROTATED,
    check_handover,
    is_proven_by,
    is_rotation,
    is_without_old,
    parse_handover,
    switch_of,
)
from auditseal.core.successor import line_of
from auditseal.errors import AuditSealError, ConfigError, InputError, NotFoundError, SignerError, VerificationError
from auditseal.ports import EntryFilter

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from auditseal.core.entry import StoredEntry
    from auditseal.core.registry import RegisteredSigner, Registry
    from auditseal.core.rotation_event import Handover, Proof
    from auditseal.ports import CheckpointStore, Signer, Store

_PAGE: Final = 100
_LOOK_BACK: Final = 50
"""How many of the last entries are looked at for a signature that tells whose turn it was."""


class Turns(Protocol):
    """Knows whose turn it is."""

    def signer_at(self, stream: str, seq: int) -> Signer:
        """See `Succession.signer_at`."""

    def close(self) -> None:
        """See `Succession.close`."""


class Succession:
    """Knows whose turn it is in each stream. Safe to use from many threads."""

    def __init__(
        self,
        store: Store,
        configured: Signer,
        load_registry: Callable[[], Registry],
        open_signer: Callable[[RegisteredSigner], Signer],
    ) -> None:
        """Sets up; nothing is read yet.

        Args:
            store: the log.
            configured: signs until another takes over; closed by its opener.
            load_registry: the accepted signers, read anew each time.
            open_signer: a signer for a registered one.
        """
        self._store = store
        self._configured = configured
        self._load_registry = load_registry
        self._open_signer = open_signer
        self._opened = {configured.signer_id: configured}
        self._streams: dict[str, _Turns] = {}
        self._current = configured.signer_id
        self._lock = threading.Lock()

    def is_current(self, signer: Signer) -> bool:
        """Whether this is the one that took over last."""
        return signer.signer_id == self._current

    def signer_of(self, entry: Entry | StoredEntry) -> Signer:
        """The signer of an entry that is in the log.

        Raises:
            SignerError: it cannot be said, or not be opened; the entry stays pending.
            StoreError: the log cannot be read.
        """
        with self._lock:
            turns = self._turns(entry.stream, entry.seq)
            if entry.seq == turns.known_to + 1 and _type_of(entry) not in (None, ROTATED):
                turns.known_to = entry.seq  # nothing lies between: the usual case
            elif entry.seq > turns.known_to:
                self._learn(entry.stream, turns, entry.seq)
            self._hear_again(turns)
            return self._open(turns.signer_at(entry.seq))

    def signer_at(self, stream: str, seq: int) -> Signer:
        """The signer of what stands at a place, or will: all entries before it are in the log.

        Raises:
            SignerError: as `signer_of`.
            StoreError: the log cannot be read.
        """
        with self._lock:
            turns = self._turns(stream, seq)
            if seq - 1 > turns.known_to:
                self._learn(stream, turns, seq - 1)
            self._hear_again(turns)
            return self._open(turns.signer_at(seq))

    def close(self) -> None:
        """Releases the signers that were opened here."""
        with self._lock:
            for signer_id, signer in self._opened.items():
                if signer_id != self._configured.signer_id:
                    signer.close()

    def _turns(self, stream: str, seq: int) -> _Turns:
        turns = self._streams.get(stream)
        if turns is None:
            turns = self._streams[stream] = self._begin(stream, seq)
        return turns

    def _begin(self, stream: str, seq: int) -> _Turns:
        """What is known of a stream before the first entry that is to be signed here.

        If the configured signer signed the last entry or checkpoint that has a signature, nobody took over before that.
        """
        configured = self._configured.signer_id
        last = self._store.last_checkpoint(stream) if hasattr(self._store, "last_checkpoint") else None
        if last is not None and last.signer == configured and last.size <= seq:
            return _Turns(configured, known_to=last.size - 1)
        which = EntryFilter(stream=stream, first_seq=max(0, seq - _LOOK_BACK), last_seq=seq)
        signed_last = None
        for stored in reversed(self._store.select(which, limit=_LOOK_BACK + 1)):
            if stored.signatures and not is_rotation(stored):
                if any(signature.signer == configured for signature in stored.signatures):
                    return _Turns(configured, known_to=stored.seq)
                signed_last = stored.signatures[-1].signer
                break
        return _Turns(self._beginner(stream, signed_last), known_to=-1)

    def _beginner(self, stream: str, signed_last: str | None) -> str:
        """Who began a stream whose last signature is another's, or that has none: the configured signer or a successor.

        That is whoever handed it over first. Where nobody did, one signer signed all of it; where nobody signed either,
        the last successor begins.
        """
        registry, configured = self._registry(), self._configured.signer_id
        registered = registry.find(configured)
        if registered is None:
            return configured
        line = [signer.signer_id for signer in line_of(registry, registered)]
        found = first_of_line(self._store, stream, registry) or signed_last or self._signer_of_the_rest(stream)
        if found is None:
            return line[-1]
        return found if found in line else configured

    def _signer_of_the_rest(self, stream: str) -> str | None:
        """Who signed the last checkpoint, or one of the first entries, of a stream whose last entries are unsigned."""
        if hasattr(self._store, "last_checkpoint"):
            last = checkpoint_signer(cast("CheckpointStore", self._store), stream)
            if last is not None:
                return last[1]
        page = self._store.select(EntryFilter(stream=stream), limit=_LOOK_BACK)
        return next((stored.signatures[0].signer for stored in page if stored.signatures), None)

    def _learn(self, stream: str, turns: _Turns, until: int) -> None:
        """Reads the entries that hand over, from the first unknown one to `until`."""
        which = EntryFilter(stream=stream, type=ROTATED, first_seq=turns.known_to + 1, last_seq=until)
        after = None
        while page := self._store.select(which, limit=_PAGE, after=after):
            for stored in page:
                self._obey(stored, turns)
                turns.known_to = stored.seq
            after = (stream, page[-1].seq)
        turns.known_to = until

    def _hear_again(self, turns: _Turns) -> None:
        if turns.unheard is not None:
            self._obey(turns.unheard, turns)

    def _obey(self, stored: StoredEntry, turns: _Turns) -> None:
        try:
            handover, proofs = parse_handover(orjson.loads(stored.body).get("payload"), stored.stream)
        except (InputError, orjson.JSONDecodeError, AttributeError):
            return  # no entry of ours
        if handover.old.signer_id != turns.signer_at(stored.seq):
            return
        if stored is not turns.unheard and not self._is_behind(stored, handover):
            return
        registry = self._registry()
        old, new = registry.find(handover.old.signer_id), registry.find(handover.new.signer_id)
        if is_proven_by(handover.old, proofs):
            if old is not None and not _is_by(old, proofs, handover):
                return
        elif not is_without_old(handover, registry):
            if new is None or _is_by(new, proofs, handover):
                turns.unheard = stored  # the registry that revokes the old signer may be on its way
            return
        if old is None or new is None:
            raise SignerError(
                f"{stored.stream} went over to {handover.new.signer_id[:80]} at #{stored.seq:,}, which no signers.json "
                "here has: get the registry that the rotation published (AUDITSEAL_SIGNERS)",
                reason="registry",
                retryable=True,
            )
        try:
            check_handover(handover, proofs, registry)
        except VerificationError:
            return
        turns.hand_over(switch_of(handover, proofs, stored.seq).until, new.signer_id)
        self._current = new.signer_id

    def _registry(self) -> Registry:
        try:
            return self._load_registry()
        except (ConfigError, InputError, NotFoundError) as error:
            raise SignerError(str(error), reason="registry", retryable=True) from error

    def _is_behind(self, stored: StoredEntry, handover: Handover) -> bool:
        """Whether the statement was made for this place: its head is an entry before this one."""
        if handover.after_seq < 0:
            return handover.after_hash == b""
        head = self._store.entry(stored.stream, handover.after_seq)
        return handover.after_seq < stored.seq and head is not None and head.hash == handover.after_hash

    def _open(self, signer_id: str) -> Signer:
        opened = self._opened.get(signer_id)
        if opened is None:
            registered = self._registry().find(signer_id)
            if registered is None:
                raise SignerError(f"signers.json has no signer {signer_id[:80]!r} any more", reason="registry")
            try:
                opened = self._opened[signer_id] = self._open_signer(registered)
            except SignerError:
                raise
            except AuditSealError as error:
                raise SignerError(str(error), reason="configuration") from error
        return opened


def first_of_line(store: Store, stream: str, registry: Registry) -> str | None:
    """Who handed a stream over first, by an entry that both keys signed; None if nobody did.

    Raises:
        StoreError: the log cannot be read.
    """
    after = None
    while page := store.select(EntryFilter(stream=stream, type=ROTATED), limit=_PAGE, after=after):
        for entry in page:
            try:
                handover, proofs = parse_handover(parse_body(entry.body).payload, stream)
                check_handover(handover, proofs, registry)
            except (InputError, VerificationError):
                continue
            return handover.old.signer_id
        after = (stream, page[-1].seq)
    return None


def checkpoint_signer(store: CheckpointStore, stream: str) -> tuple[int, str] | None:
    """(size, who signed) of a stream's last checkpoint, or of the one that covers that; None without any."""
    last = store.last_checkpoint(stream)
    if last is None:
        return None
    signed = last if last.cover is None else store.checkpoint_over(HEADS_STREAM, last.cover.seq + 1)
    return None if signed is None or signed.signer is None else (last.size, signed.signer)


def _is_by(signer: RegisteredSigner, proofs: Sequence[Proof], handover: Handover) -> bool:
    """Whether a key stands behind the statement; a MAC that cannot be checked here counts if it is there."""
    proof = next((proof for proof in proofs if proof.signer_id == signer.signer_id), None)
    if proof is None:
        return False
    try:
        if signer.rule is not None:
            signer.rule(proof.signature, handover.digest())
    except VerificationError:
        return False
    return True


def _type_of(entry: Entry | StoredEntry) -> str | None:
    if isinstance(entry, Entry):
        return entry.type
    return entry.columns.type if entry.columns is not None else None


class _Turns:
    """Whose turn it is in one stream, up to the last entry that is known.

    `unheard` hands the stream over without the old key, which the registry did not allow when it was last looked at.
    """

    def __init__(self, first: str, *, known_to: int) -> None:
        self.known_to = known_to
        self.unheard: StoredEntry | None = None
        self._from = [0]
        self._signers = [first]

    def signer_at(self, seq: int) -> str:
        return self._signers[bisect_right(self._from, seq) - 1]

    def hand_over(self, seq: int, signer_id: str) -> None:
        self.unheard = None
        self._from.append(seq)
        self._signers.append(signer_id)
