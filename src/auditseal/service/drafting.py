"""Drafting what callers append: checked, under an id of the log's making if it has none, not of a type of the log's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from auditseal.core.draft import make_draft
from auditseal.core.event import RESERVED_TYPES
from auditseal.errors import InputError
from auditseal.service.ids import new_ids

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from auditseal.core.draft import Draft, Limits
    from auditseal.core.event import Event

    ReadDraft = Callable[[bytes, str, Limits], Draft]
    """Gives the draft of a text: under the id if the text has none, within the limits; raises InputError."""


class Drafter:
    """Makes the drafts of one log. Safe to use from many threads; what it gives is for one thread."""

    def __init__(self, limits: Limits, make_ids: Callable[[], Iterator[str]] = new_ids) -> None:
        """Sets up.

        Args:
            limits: what a body may measure.
            make_ids: gives ids without end, for one thread.
        """
        self._limits = limits
        self._make_ids = make_ids

    def own(self, event: Event) -> Draft:
        """The draft of a statement of the log about itself.

        Raises:
            InputError: the event is not acceptable.
        """
        return make_draft(event, new_id=next(self._make_ids()), limits=self._limits)

    def all_of(self, events: Iterable[Event]) -> list[Draft]:
        """The drafts of events.

        Raises:
            InputError: one of them is not acceptable.
        """
        named = zip(events, self._make_ids(), strict=False)
        return [_not_own(make_draft(event, new_id=id_, limits=self._limits)) for event, id_ in named]

    def each_of(self, events: Iterable[Event | InputError]) -> Iterator[Draft | InputError]:
        """For each event its draft, or why it is not acceptable; an error among them is passed on."""
        for event, id_ in zip(events, self._make_ids(), strict=False):
            if isinstance(event, InputError):
                yield event
                continue
            try:
                yield _not_own(make_draft(event, new_id=id_, limits=self._limits))
            except InputError as error:
                yield error

    def each_read(self, texts: Iterable[bytes], read: ReadDraft) -> Iterator[Draft | InputError]:
        """For each text its draft, or why it is not acceptable."""
        for text, id_ in zip(texts, self._make_ids(), strict=False):
            try:
                yield _not_own(read(text, id_, self._limits))
            except InputError as error:
                yield error


def _not_own(draft: Draft) -> Draft:
    if draft.type.startswith(RESERVED_TYPES):
        own = " or ".join(RESERVED_TYPES)
        raise InputError(f"types that begin with {own} are the log's own: give the event another")
    return draft
