"""Signed notes: a text and the lines of those who signed it, read strictly and checked against known keys.

What the text says, and what bytes a kind of key signs for it, is not this module's part: see `checkpoint` and
`note_key`.

Source: c2sp.org/signed-note; `docs/spec/checkpoint.md`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Final

from auditseal.core.scalar import format_base64, parse_base64
from auditseal.errors import InputError, NotCheckedError, SignatureInvalidError

MAX_TEXT_BYTES: Final = 1024 * 1024
"""The longest text."""
MAX_SIGNATURES: Final = 100
"""The most signature lines; every reader must take 16."""
MAX_NOTE_BYTES: Final = 2 * 1024 * 1024
"""The longest note, with its signatures."""
KEY_ID_BYTES: Final = 4

_EM_DASH: Final = "\u2014"
_CONTROL: Final = re.compile(r"[\x00-\x09\x0b-\x1f]")
_SHOWN: Final = 60


def check_key_name(name: str) -> str:
    """The name, if it can stand in a signature line.

    Raises:
        InputError: empty, or with a space of any script, a plus sign, or a character that no note may hold.
    """
    if not name or "+" in name or any(c.isspace() for c in name) or _CONTROL.search(name) or not _is_utf8(name):
        raise InputError(f"{name[:_SHOWN]!a} is not a key name: it is not empty, and has neither spaces nor '+'")
    return name


@dataclass(frozen=True, slots=True, kw_only=True)
class NoteSignature:
    """One signature line.

    Attributes:
        name: of the key.
        key_id: 4 bytes; name and id together say which key, and how it signs.
        signature: what follows the id, one byte or more; its form is the key's.
    """

    name: str
    key_id: bytes
    signature: bytes

    def __post_init__(self) -> None:
        """Refuses what no line can carry.

        Raises:
            InputError: the name is no key name, the id not 4 bytes long, the signature empty.
        """
        check_key_name(self.name)
        if len(self.key_id) != KEY_ID_BYTES or not self.signature:
            raise InputError(f"a note signature has a key id of {KEY_ID_BYTES} bytes and a signature after it")

    def line(self) -> str:
        """The line, with its newline."""
        return f"{_EM_DASH} {self.name} {format_base64(self.key_id + self.signature)}\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """A text and its signatures, none of which is checked.

    Attributes:
        text: one line or more, each with its newline; lines may be empty.
        signatures: in the order of their lines.
    """

    text: str
    signatures: tuple[NoteSignature, ...] = ()

    def __post_init__(self) -> None:
        """Refuses what no note can carry.

        Raises:
            InputError: the text does not end in a newline, is too long, or holds a control character; or there are
                too many signatures.
        """
        if not self.text.endswith("\n") or _CONTROL.search(self.text) or not _is_utf8(self.text):
            raise InputError("a note's text ends in a newline and has no other control character")
        if len(self.text.encode()) > MAX_TEXT_BYTES:
            raise InputError(f"a note's text has at most {MAX_TEXT_BYTES} bytes")
        if len(self.signatures) > MAX_SIGNATURES:
            raise InputError(f"the note has {len(self.signatures)} signatures; at most {MAX_SIGNATURES} are read")

    def with_signatures(self, more: Iterable[NoteSignature]) -> Note:
        """This note with further signatures; those that it has already are not repeated.

        Raises:
            InputError: they are too many.
        """
        return replace(self, signatures=tuple(dict.fromkeys((*self.signatures, *more))))


def parse_note(octets: bytes) -> Note:
    """Reads a signed note.

    Args:
        octets: the whole note, UTF-8.

    Raises:
        InputError: too long, not UTF-8, or not of the form; base64 that has a second form among it.
    """
    if len(octets) > MAX_NOTE_BYTES:
        raise InputError(f"the note has {len(octets)} bytes; at most {MAX_NOTE_BYTES} are read")
    try:
        whole = octets.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"the note is not UTF-8 at byte {error.start}") from None
    text, separator, lines = whole.rpartition("\n\n")
    if not separator:
        raise InputError("the note has no empty line between its text and its signatures")
    return Note(text=text + "\n", signatures=parse_signatures(lines))


def parse_signatures(lines: str) -> tuple[NoteSignature, ...]:
    """Reads signature lines, one or more, each with its newline: the end of a note, or what a witness answers.

    Raises:
        InputError: none, too many, or a line that is not of the form.
    """
    if not lines.endswith("\n"):
        raise InputError("the signatures do not end in a newline" if lines else "the note has no signature")
    if lines.count("\n") > MAX_SIGNATURES:
        raise InputError(f"the note has {lines.count(chr(10))} signatures; at most {MAX_SIGNATURES} are read")
    return tuple(_parse_signature(line) for line in lines[:-1].split("\n"))


def _parse_signature(line: str) -> NoteSignature:
    dash, _, rest = line.partition(" ")
    name, _, encoded = rest.partition(" ")
    if dash != _EM_DASH:
        raise InputError(f"{line[:_SHOWN]!a} is not a signature line: em dash, key name, base64")
    octets = parse_base64(encoded, f"the signature of {name[:_SHOWN]!a}")
    return NoteSignature(name=name, key_id=octets[:KEY_ID_BYTES], signature=octets[KEY_ID_BYTES:])


def format_note(note: Note) -> bytes:
    """The inverse of `parse_note`.

    Raises:
        InputError: the note has no signature, or is too long.
    """
    if not note.signatures:
        raise InputError("a note without a signature has no form: sign it first")
    octets = f"{note.text}\n{format_signatures(note.signatures)}".encode()
    if len(octets) > MAX_NOTE_BYTES:
        raise InputError(f"the note has {len(octets)} bytes; at most {MAX_NOTE_BYTES} can be read")
    return octets


def format_signatures(signatures: Iterable[NoteSignature]) -> str:
    """The inverse of `parse_signatures`."""
    return "".join(signature.line() for signature in signatures)


@dataclass(frozen=True, slots=True, kw_only=True)
class NoteVerifier:
    """A key that somebody trusts, as a note's check asks for it.

    Attributes:
        name: of the key.
        key_id: 4 bytes.
        check: called with (text, signature); returns, or raises SignatureInvalidError. One that has to ask elsewhere
            may raise what that raises.
    """

    name: str
    key_id: bytes
    check: Callable[[str, bytes], None]


def verify_note(note: Note, verifiers: Iterable[NoteVerifier]) -> tuple[NoteSignature, ...]:
    """The signatures of known keys, all of which verify; one or more, in the note's order, one for each key.

    Signatures of other keys are ignored, as the format asks. Where one key signed twice, both must verify, and the
    first is given.

    Args:
        note: as it was read.
        verifiers: the keys that are trusted for this note.

    Raises:
        SignatureInvalidError: a known key's signature does not verify: the whole note is rejected.
        NotCheckedError: no known key signed.
        InputError: two of the verifiers have the same name and key id.
    """
    known: dict[tuple[str, bytes], NoteVerifier] = {}
    for verifier in verifiers:
        if known.setdefault((verifier.name, verifier.key_id), verifier) is not verifier:
            raise InputError(f"two of the known keys are {verifier.name!a} with key id {verifier.key_id.hex()}")
    valid: dict[tuple[str, bytes], NoteSignature] = {}
    for signature in note.signatures:
        key = (signature.name, signature.key_id)
        if key in known:
            try:
                known[key].check(note.text, signature.signature)
            except SignatureInvalidError as error:
                raise SignatureInvalidError(f"the note's signature by {signature.name!a} is wrong: {error}") from error
            valid.setdefault(key, signature)
    if not valid:
        names = ", ".join(sorted({f"{each.name!a}" for each in note.signatures})) or "nobody"
        raise NotCheckedError(f"the note is signed by {names[:200]} and by no key that is known here")
    return tuple(valid.values())


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
