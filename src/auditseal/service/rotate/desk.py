"""The desk that all steps of a rotation work at: the log, the registry, KMS, and what the log tells of rotations."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from auditseal.core.event import Event, Micros, parse_body, parse_time
from auditseal.core.rotation import Rotation, Told, fold
from auditseal.errors import ConflictError, InputError, NotFoundError
from auditseal.ports import EntryFilter
from auditseal.service.own_entries import OwnEntries
from auditseal.service.succession import Succession

if TYPE_CHECKING:
    from auditseal.core.entry import StoredEntry
    from auditseal.core.registered_signer import RegisteredSigner
    from auditseal.core.registry import Registry
    from auditseal.ports import Clock, Signer, Store
    from auditseal.service.rotate.ports import Keys, Location, RegistryFile, Signers

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
    own: OwnEntries = field(init=False)
    _opened: dict[str, Signer] = field(init=False, default_factory=dict)

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

    def latest(self, streams: Sequence[str]) -> Rotation:
        """The latest rotation whose lead stream is among these, or among all if none is named.

        Raises:
            NotFoundError: there is none.
            ConflictError: several streams lead one: name the stream.
        """
        names = list(streams) or [head.stream for head in self.store.streams()]
        found = [rotations[-1] for name in names if (rotations := self.rotations(name))]
        if not found:
            raise NotFoundError("no rotation was begun in this log: plan one with auditseal rotate plan")
        if len(found) > 1:
            leads = ", ".join(rotation.lead for rotation in found)
            raise ConflictError(f"there are rotations of several streams ({leads}): name one with --stream")
        return found[0]

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
        event = Event(
            type=type_,
            stream=rotation.lead,
            id=rotation.event_id(type_),
            payload={"rotation": rotation.id, **payload},
        )
        entry = self.own.append(event)
        self.reached(f"{type_} appended")
        if signer is not None:
            self.own.sign(entry, signer)
        else:
            self.own.sign(entry, self.turn_of(entry))
        self.reached(f"{type_} signed")
        return entry

    def turn_of(self, entry: StoredEntry) -> Signer:
        """The signer of an entry, by the rotations before it.

        Raises:
            SignerError, NotFoundError: it cannot be said, or not be opened.
        """
        first = self.open(self.registered(self.first_signer(entry.stream)))
        return Succession(self.store, first, self.registry.load, self.open).signer_of(entry)

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

    def first_signer(self, stream: str) -> str:
        """Who signed a stream's first signed entry.

        Raises:
            NotFoundError: nobody did.
        """
        for entry in self.store.select(EntryFilter(stream=stream), limit=_PAGE):
            if entry.signatures:
                return entry.signatures[0].signer
        raise NotFoundError(f"no entry of {stream} is signed: there is no signer to rotate away from")

    def current_signer(self, stream: str) -> str:
        """Who signs a stream now, by its last signed entry.

        Raises:
            NotFoundError: nobody does.
        """
        head = self.store.head(stream).seq
        while head >= 0:
            first = max(0, head - _PAGE + 1)
            page = self.store.select(EntryFilter(stream=stream, first_seq=first, last_seq=head), limit=_PAGE)
            for entry in reversed(page):
                if entry.signatures:
                    return entry.signatures[-1].signer
            head = first - 1
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

    def _told(self, lead: str) -> Iterator[Told]:
        """The entries about signers of a stream; those that cannot be read are verification's matter."""
        for kind in ("planned", "added", "activated", "verified", "retired", "disabled", "abandoned"):
            which = EntryFilter(stream=lead, type=f"signer.{kind}")
            after = None
            while page := self.store.select(which, limit=_PAGE, after=after):
                for entry in page:
                    try:
                        body = parse_body(entry.body)
                    except InputError:
                        continue
                    yield Told(entry.seq, body.time, body.type, body.payload)
                after = (lead, page[-1].seq)


def _age_of(entry: StoredEntry, now: int) -> int:
    """Microseconds since an entry was made; one whose time cannot be read is as old as can be."""
    try:
        return now - parse_time(entry.columns.time if entry.columns and entry.columns.time else "")
    except InputError:
        return now
