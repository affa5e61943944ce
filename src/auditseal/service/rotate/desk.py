"""The desk that all steps of a rotation work at: the log, the registry, KMS, and what the log tells of rotations."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from auditseal.core.event import Event, parse_body
from auditseal.core.rotation import STEPS, Rotation, Told, fold
from auditseal.core.times import Micros, parse_time
from auditseal.errors import ConflictError, InputError, NotFoundError, SignerError
from auditseal.ports import EntryFilter
from auditseal.service.own_entries import OwnEntries
from auditseal.service.succession import Succession, checkpoint_signer, first_of_line

if TYPE_CHECKING:
    from auditseal.core.entry import StoredEntry
    from auditseal.core.registered_signer import RegisteredSigner
    from auditseal.core.registry import Registry
    from auditseal.ports import Clock, Signer, Store
    from auditseal.service.rotate.checkpoints import Checkpoints
    from auditseal.service.rotate.ports import Keys, Location, RegistryFile, Signers

ENABLED: Final = "Enabled"
"""KeyState of a key that can be used."""
GONE: Final = frozenset({"not-found"})
"""Why KMS refuses what is asked of a key that it does not have any more."""
_PAGE = 200
_POLL_S = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """What a rotation works with.

    Attributes:
        store: the log.
        registry: signers.json.
        keys: KMS's administration.
        signers: opens signers by their key.
        clock: microseconds since the epoch.
        locations: where verifiers get the registry.
        reached: told of each thing that was done, for progress; a test may end the process there.
        dry_run: whether to say what would be done and do nothing.
        grace_s: how long writers have to sign what they appended; what is older was left behind, and is signed here.
        sleep: waits for so many seconds.
        checkpoints: how the log keeps them; None for one without.
    """

    store: Store
    registry: RegistryFile
    keys: Keys
    signers: Signers
    clock: Clock
    locations: Sequence[Location] = ()
    reached: Callable[[str], None] = lambda _: None
    dry_run: bool = False
    grace_s: float = 15.0
    sleep: Callable[[float], None] = time.sleep
    checkpoints: Checkpoints | None = None
    own: OwnEntries = field(init=False)
    _opened: dict[str, Signer] = field(init=False, default_factory=dict)
    _known: dict[str, tuple[int, list[Told]]] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "own", OwnEntries(self.store, self.clock))

    def open(self, signer: RegisteredSigner) -> Signer:
        """A signer of the registry, opened once and closed with the desk.

        Raises:
            ConfigError, SignerError: its key cannot be used.
        """
        opened = self._opened.get(signer.signer_id)
        if opened is None:
            opened = self._opened[signer.signer_id] = self.signers.open(signer)
        return opened

    def close(self) -> None:
        """Closes the signers; log and KMS are their opener's. Idempotent."""
        while self._opened:
            self._opened.popitem()[1].close()

    def rotations(self, lead: str) -> list[Rotation]:
        """The rotations of a lead stream, oldest first."""
        return fold(self._told(lead))

    def all_rotations(self) -> list[Rotation]:
        """The rotations of all streams; each lead stream's from the oldest."""
        return [rotation for head in self.store.streams() for rotation in self.rotations(head.stream)]

    def again(self, rotation: Rotation) -> Rotation:
        """A rotation as the log tells it now."""
        return next(known for known in self.rotations(rotation.lead) if known.id == rotation.id)

    def latest(self, streams: Sequence[str]) -> Rotation:
        """The latest rotation of these streams, or of all if none is named.

        Raises:
            NotFoundError: there is none.
            ConflictError: they are of several: name one stream.
        """
        last: dict[str, Rotation] = {}
        for rotation in self.all_rotations():
            if not streams or not set(streams).isdisjoint(rotation.streams):
                last[rotation.lead] = rotation
        if not last:
            raise NotFoundError("no rotation was begun in this log: plan one with auditseal rotate plan")
        if len(last) > 1:
            unfinished = {lead: rotation for lead, rotation in last.items() if rotation.next_action is not None}
            last = unfinished if len(unfinished) == 1 else last
        if len(last) > 1:
            raise ConflictError(f"there are rotations of several streams ({', '.join(last)}): name one with --stream")
        return next(iter(last.values()))

    def tell(
        self, rotation: Rotation, type_: str, payload: dict[str, Any], signer: Signer | None = None
    ) -> StoredEntry:
        """Appends an entry of a rotation to its lead stream, and signs it.

        Args:
            rotation: which.
            type_: of the entry.
            payload: besides the rotation's id.
            signer: who signs it; None lets the one do it whose turn it is.

        Raises:
            ConflictError: the same step was told otherwise.
            SignerError: appended and not signed: do the step again.
        """
        event = Event(type=type_, stream=rotation.lead, payload={"rotation": rotation.id, **payload})
        entry = self.own.append(event, rotation.event_ids(type_))
        self.reached(f"{type_} appended")
        signer = self.turn_of(entry) if signer is None else signer
        try:
            self.own.sign(entry, signer)
        except SignerError:
            # A stolen key may be disabled already; what it leaves unsigned, the new one signs.
            if not rotation.emergency or signer.signer_id != rotation.old.signer_id:
                raise
        self.reached(f"{type_} signed")
        return entry

    def turn_of(self, entry: StoredEntry) -> Signer:
        """The signer of an entry, by the rotations before it.

        Raises:
            SignerError, NotFoundError: it cannot be said, or not be opened.
        """
        succession = self.succession(entry.stream)
        # What a stolen key left unsigned was handed over by an entry behind it: learn of all before asking.
        succession.signer_at(entry.stream, self.store.head(entry.stream).seq + 1)
        return succession.signer_of(entry)

    def succession(self, stream: str) -> Succession:
        """Who signs after whom in a stream, from the first signer that an entry hands over from.

        Raises:
            NotFoundError: nobody signs it.
        """
        first = self._first_of_line(stream) or self._last_signer(stream)
        return Succession(self.store, self.open(self.registered(first)), self.registry.load, self.open)

    def settle(self, ends: Mapping[str, int], *, grace_s: float | None = None) -> None:
        """Sees to it that every entry up to a seq of each stream is signed: by its writer, or by whom it left it to.

        Args:
            ends: the last seq, by stream.
            grace_s: instead of the desk's own.

        Raises:
            SignerError: one cannot be signed.
        """
        grace = Micros(int((self.grace_s if grace_s is None else grace_s) * 1_000_000))
        for stream, end in ends.items():
            while due := [entry for entry in self.store.pending(limit=_PAGE, stream=stream) if entry.seq <= end]:
                left_behind = [entry for entry in due if _age_of(entry, self.clock()) >= grace]
                for entry in left_behind:
                    self.own.sign(entry, self.turn_of(entry))
                if not left_behind:
                    self.sleep(_POLL_S)

    def current_signer(self, stream: str) -> str:
        """Who signs a stream now, by its last signed entry or checkpoint.

        Raises:
            NotFoundError: nobody does.
            ConflictError: it is another than the one to whom the stream was handed over last.
        """
        last = self._last_signer(stream)
        if self._first_of_line(stream) is None:
            return last
        turn = self.succession(stream).signer_at(stream, self.store.head(stream).seq + 1).signer_id
        if turn != last:
            raise ConflictError(f"{stream} was handed over to {turn}, and {last} signs it: auditseal verify says where")
        return turn

    def find_signer(self, stream: str) -> str | None:
        """As `current_signer`; None for a stream that nobody signed yet.

        Raises:
            ConflictError: as `current_signer`.
        """
        try:
            return self.current_signer(stream)
        except NotFoundError:
            return None

    def signs(self, signer_id: str, stream: str) -> bool:
        """Whether a signer signs a stream now."""
        try:
            return self.find_signer(stream) == signer_id
        except ConflictError:
            return False

    def can_sign(self, signer: RegisteredSigner) -> bool:
        """Whether a signer's key is enabled; one that is to be deleted, or is gone, is not.

        Raises:
            SignerError: KMS cannot be asked.
        """
        if signer.key_arn is None:
            return True
        try:
            return self.keys.describe(signer.key_arn).state == ENABLED
        except SignerError as error:
            if error.reason in GONE:
                return False
            raise

    def _first_of_line(self, stream: str) -> str | None:
        """Who handed the stream over first; None if nobody did."""
        return first_of_line(self.store, stream, self.registry.load())

    def _last_signer(self, stream: str) -> str:
        last = self.checkpoints and checkpoint_signer(self.checkpoints.store, stream)
        covered, by = last or (0, "")
        head = self.store.head(stream).seq
        while head >= covered:
            first = max(covered, head - _PAGE + 1)
            page = self.store.select(EntryFilter(stream=stream, first_seq=first, last_seq=head), limit=_PAGE)
            for entry in reversed(page):
                if entry.signatures:
                    return entry.signatures[-1].signer
            head = first - 1
        if by:
            return by
        raise NotFoundError(f"no entry of {stream} is signed: there is no signer to rotate away from")

    def registered(self, signer_id: str, registry: Registry | None = None) -> RegisteredSigner:
        """A signer of the registry.

        Raises:
            NotFoundError: it has none of that id.
        """
        signer = (registry or self.registry.load()).find(signer_id)
        if signer is None:
            raise NotFoundError(f"signers.json has no signer {signer_id!r}: add it with auditseal keys export")
        return signer

    def _told(self, lead: str) -> list[Told]:
        """The entries about signers of a stream; those that cannot be read are verification's matter."""
        known, told = self._known.get(lead, (-1, []))
        head = self.store.head(lead).seq
        if head > known:
            told = [*told, *self._read(lead, known + 1, head)]
            self._known[lead] = head, told
        return told

    def _read(self, lead: str, first: int, last: int) -> Iterator[Told]:
        found = []
        for type_ in STEPS:
            which = EntryFilter(stream=lead, type=type_, first_seq=first, last_seq=last)
            after = None
            while page := self.store.select(which, limit=_PAGE, after=after):
                for entry in page:
                    with suppress(InputError):
                        body = parse_body(entry.body)
                        found.append(Told(entry.seq, body.time, body.type, body.payload))
                after = (lead, page[-1].seq)
        return iter(sorted(found))


def _age_of(entry: StoredEntry, now: int) -> int:
    """Microseconds since an entry was made; one whose time cannot be read is as old as can be."""
    try:
        return now - parse_time(entry.columns.time if entry.columns and entry.columns.time else "")
    except InputError:
        return now
