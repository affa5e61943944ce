"""The export format: JSON Lines, one entry a line. A file that is verified where it lies, in constant memory.

Source: `docs/spec/export.md`.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final

import orjson

from auditseal.adapters.stores.jsonl_checkpoints import PREFIX, format_checkpoint_line, parse_checkpoint_line
from auditseal.adapters.whole_file import whole_file
from auditseal.core.canonical import parse_json
from auditseal.core.entry import StoredEntry, StoredSignature
from auditseal.errors import CanonicalError, StoreError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from auditseal.adapters.stores.export_file import ExportFile
    from auditseal.core.stored_checkpoint import StoredCheckpoint

MAX_LINE_BYTES: Final = 256 * 1024 * 1024
"""Far above what a body and its signatures take; a longer line is no entry."""
_MEMBERS: Final = frozenset({"stream", "seq", "body", "prev_hash", "hash", "signatures"})
_HASH_DIGITS: Final = 64
_FIRST_BYTES: Final = 1 << 16


class JsonlSource:
    """The entries of an export (`auditseal.ports.Source`)."""

    def __init__(self, file: ExportFile) -> None:
        """Takes the file, which is opened when it is read."""
        self._file = file

    @property
    def address(self) -> str:
        """The path, or the object's address."""
        return self._file.address

    def walk(self, streams: Sequence[str] | None = None) -> Iterator[StoredEntry]:
        """All entries in the order of the lines (`Source.walk`); a line that is none comes as a malformed entry."""
        try:
            with self._file.open() as file:
                for number, line in enumerate(_lines(file), 1):
                    if not line.strip() or line.startswith(PREFIX):
                        continue
                    entry = parse_line(line, f"{self.address}:{number}")
                    if streams is None or entry.stream in streams or entry.malformed is not None:
                        yield entry
        except OSError as error:
            raise StoreError(f"{self.address} cannot be read: {error.strerror}") from error

    def checkpoints(self, streams: Sequence[str] | None = None) -> Iterator[StoredCheckpoint]:
        """All checkpoints by stream and size (`CheckpointSource.checkpoints`); one that cannot be read comes first."""
        found = []
        try:
            with self._file.open() as file:
                for number, line in enumerate(_lines(file), 1):
                    if line.startswith(PREFIX):
                        checkpoint = parse_checkpoint_line(line, f"{self.address}:{number}")
                        if streams is None or checkpoint.stream in streams or checkpoint.malformed is not None:
                            found.append(checkpoint)
        except OSError as error:
            raise StoreError(f"{self.address} cannot be read: {error.strerror}") from error
        return iter(sorted(found, key=lambda each: (each.stream, each.size)))

    def count(self, streams: Sequence[str] | None = None) -> int | None:
        """About how many lines there are, by the length of the first ones (`Source.count`)."""
        if streams is not None:
            return None
        with self._file.open() as file:
            first = file.read(_FIRST_BYTES)
        lines = first.count(b"\n")
        return round(self._file.size() / (len(first) / lines)) if lines else None

    def close(self) -> None:
        """Nothing stays open."""


def _lines(file: IO[bytes]) -> Iterator[bytes]:
    while line := file.readline(MAX_LINE_BYTES):
        yield line


def parse_line(line: bytes, place: str) -> StoredEntry:
    """The entry of one line, right or wrong; what cannot be read at all comes as a malformed entry.

    Args:
        line: with or without its newline.
        place: file and line number, for what is malformed.
    """
    try:
        members = parse_json(line, max_bytes=MAX_LINE_BYTES)
    except CanonicalError as error:
        return _unreadable(f"{place}: {error}")
    if type(members) is not dict or set(members) != _MEMBERS:
        return _unreadable(f"{place}: not an entry with the members {', '.join(sorted(_MEMBERS))}")
    stream, seq, body, listed = (members[name] for name in ("stream", "seq", "body", "signatures"))
    if type(stream) is not str or type(seq) is not int or seq < 0 or type(body) is not str or type(listed) is not list:
        return _unreadable(f"{place}: stream and body must be strings, seq a number from 0, signatures a list")
    try:
        return StoredEntry(
            stream=stream,
            seq=seq,
            body=body.encode(),
            prev_hash=_hash(members["prev_hash"], may_be_empty=True),
            hash=_hash(members["hash"], may_be_empty=False),
            signatures=tuple(map(_signature, listed)),
        )
    except ValueError as error:
        return _unreadable(f"{place}: {error}")


def _unreadable(why: str) -> StoredEntry:
    return StoredEntry(stream="", seq=-1, body=b"", prev_hash=b"", hash=b"", malformed=why)


def _hash(text: Any, *, may_be_empty: bool) -> bytes:
    if type(text) is str and (len(text) == _HASH_DIGITS or (may_be_empty and not text)) and text == text.lower():
        return bytes.fromhex(text)
    raise ValueError("hash and prev_hash must be 64 hexadecimal digits, lower case")


def _signature(members: Any) -> StoredSignature:
    if type(members) is not dict or not {"signer", "algorithm", "signature"} <= set(members):
        raise ValueError("a signature must have signer, algorithm and signature")
    values = [members.get(name) for name in ("signer", "algorithm", "signature", "request_id", "signed_at")]
    if not all(type(value) is str for value in values[:3]) or not all(
        value is None or type(value) is str for value in values[3:]
    ):
        raise ValueError("the members of a signature must be strings")
    raw, malformed = decode_base64(members["signature"])
    return StoredSignature(
        signer=members["signer"],
        algorithm=members["algorithm"],
        signature=raw,
        request_id=members.get("request_id"),
        signed_at=members.get("signed_at"),
        malformed=malformed,
    )


def decode_base64(text: str) -> tuple[bytes, str | None]:
    """(the bytes, None), or (b"", why not): only the one standard form of base64 is taken."""
    try:
        raw = b64decode(text, validate=True)
    except ValueError:
        return b"", "the signature is not base64"
    if b64encode(raw).decode() != text:
        return b"", "the signature is not in the one standard form of base64"
    return raw, None


def format_line(entry: StoredEntry) -> bytes:
    """The line of an entry, with its newline.

    Raises:
        StoreError: the stored body is not UTF-8, so that no line can carry it.
    """
    try:
        body = entry.body.decode()
    except UnicodeDecodeError:
        raise StoreError(
            f"{entry.stream} #{entry.seq} holds bytes that are not text: verify the log before exporting it"
        ) from None
    signatures = [
        {
            name: value
            for name, value in (
                ("signer", signature.signer),
                ("algorithm", signature.algorithm),
                ("signature", b64encode(signature.signature).decode()),
                ("request_id", signature.request_id),
                ("signed_at", signature.signed_at),
            )
            if value is not None
        }
        for signature in entry.signatures
    ]
    return orjson.dumps(
        {
            "stream": entry.stream,
            "seq": entry.seq,
            "body": body,
            "prev_hash": entry.prev_hash.hex(),
            "hash": entry.hash.hex(),
            "signatures": signatures,
        },
        option=orjson.OPT_APPEND_NEWLINE,
    )


def write_lines(path: Path, entries: Iterable[StoredEntry], checkpoints: Iterable[StoredCheckpoint] = ()) -> int:
    """Writes entries, and checkpoints after them, to a file that appears whole or not at all; how many entries.

    Raises:
        NotFoundError, ConfigError, StoreError: the file cannot be written, or an entry cannot be exported.
    """
    written = 0
    with whole_file(path) as file:
        for entry in entries:
            file.write(format_line(entry))
            written += 1
        file.writelines(map(format_checkpoint_line, checkpoints))
    return written
