"""Several exports that are one log between them: a folder of them, or the objects below a prefix.

Source: `docs/spec/export.md` §3.
"""

from __future__ import annotations

import re
from contextlib import closing
from typing import TYPE_CHECKING, cast

from auditseal.errors import NotFoundError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from auditseal.adapters.stores.export_file import ExportFile
    from auditseal.core.entry import StoredEntry
    from auditseal.core.stored_checkpoint import StoredCheckpoint
    from auditseal.ports import CheckpointSource, Source


class ExportFolder:
    """The entries of several exports, read one after the other (`auditseal.ports.CheckpointSource`)."""

    def __init__(self, address: str, files: Sequence[ExportFile], open_one: Callable[[ExportFile], Source]) -> None:
        """Takes the files in the order of their names, in which numbers count as such.

        Args:
            address: of the folder.
            files: that lie in it.
            open_one: opens one of them; an error of it is raised by whatever reads.

        Raises:
            NotFoundError: there are none.
        """
        if not files:
            raise NotFoundError(f"{address} holds no export: none of its files ends with .jsonl or .parquet")
        self.address = address
        self._files = sorted(files, key=lambda file: _in_order(file.address))
        self._open_one = open_one

    def walk(self, streams: Sequence[str] | None = None) -> Iterator[StoredEntry]:
        """All entries, file by file (`Source.walk`)."""
        for source in self._sources():
            yield from source.walk(streams)

    def checkpoints(self, streams: Sequence[str] | None = None) -> Iterator[StoredCheckpoint]:
        """All checkpoints (`CheckpointSource.checkpoints`); one that stands in several files is one."""
        found = [each for source in self._sources() for each in cast("CheckpointSource", source).checkpoints(streams)]
        return iter(sorted(dict.fromkeys(found), key=lambda each: (each.stream, each.size)))

    def count(self, streams: Sequence[str] | None = None) -> int | None:
        """About how many entries there are (`Source.count`)."""
        counts = [source.count(streams) for source in self._sources()]
        return None if None in counts else sum(each for each in counts if each is not None)

    def close(self) -> None:
        """Nothing stays open."""

    def _sources(self) -> Iterator[Source]:
        for file in self._files:
            with closing(self._open_one(file)) as source:
                yield source


def _in_order(name: str) -> list[tuple[str, int]]:
    """A key by which `part-10` comes after `part-9`."""
    return [(text, int(digits or 0)) for text, digits in re.findall(r"(\D*)(\d*)", name)]
