"""Proof bundles: one entry and all that proves it, in one file that needs no log, no network and no other entry.

A bundle is JSON. Nothing in it is believed: the entry hashes to a leaf, the path leads from the leaf to a root, the
root is signed by a signer that the verifier knows, and so every member is bound to every other.

Source: `docs/spec/bundle.md`.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from auditseal.core.canonical import canonicalize, parse_json
from auditseal.core.heads import Cover
from auditseal.core.key import spki_der
from auditseal.core.scalar import HASH_BYTES, format_base64, parse_base64, parse_hash
from auditseal.core.tlog_proof import MAX_PATH
from auditseal.errors import CanonicalError, InputError

if TYPE_CHECKING:
    from auditseal.core.registered_signer import RegisteredSigner

VERSION: Final = 1
MAX_BUNDLE_BYTES: Final = 96 * 1024 * 1024
"""Room for the largest body that can be configured, as JSON text."""

_MEMBERS: Final = frozenset({"bundle", "checkpoint", "entry", "path", "signer"})
_HEADS_MEMBERS: Final = frozenset({"checkpoint", "cover", "entry", "path"})
_SIGNER_MEMBERS: Final = frozenset({"algorithm", "publicKey", "signerId"})


@dataclass(frozen=True, slots=True, kw_only=True)
class ProvenEntry:
    """An entry with its path to a checkpoint.

    Attributes:
        body: canonical bytes.
        prev_hash: 32 bytes; empty for seq 0.
        path: 32 bytes each, from the leaf's sibling up.
        checkpoint: the text of the checkpoint; with its signature lines where it has any of its own.
    """

    body: bytes
    prev_hash: bytes
    path: tuple[bytes, ...]
    checkpoint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BundledSigner:
    """Whose signature the bundle leads to, as the bundle says: to be found in the verifier's own registry.

    Attributes:
        signer_id: in signers.json.
        algorithm: algorithm id.
        public_key: DER SubjectPublicKeyInfo; empty for a MAC.
    """

    signer_id: str
    algorithm: str
    public_key: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """A read bundle; nothing in it is checked.

    Attributes:
        entry: the entry that is proven.
        signer: who signed.
        cover: where the checkpoint has no signature of its own, its place among those that `heads` covers.
        heads: the entry that covers it, and the signed checkpoint over that.
    """

    entry: ProvenEntry
    signer: BundledSigner
    cover: Cover | None = None
    heads: ProvenEntry | None = None

    def __post_init__(self) -> None:
        """Refuses one half of a cover.

        Raises:
            InputError: a cover without its entry, or the reverse.
        """
        if (self.cover is None) != (self.heads is None):
            raise InputError("a covered checkpoint comes with the entry that covers it")

    @property
    def signed(self) -> ProvenEntry:
        """The entry whose checkpoint is signed: the one that is proven, or the one that covers it."""
        return self.heads or self.entry


def bundled_signer(signer: RegisteredSigner) -> BundledSigner:
    """What a bundle says of a signer; never a secret."""
    der = b"" if signer.public_key is None else spki_der(signer.public_key)
    return BundledSigner(signer_id=signer.signer_id, algorithm=str(signer.algorithm.id), public_key=der)


def format_bundle(bundle: Bundle) -> bytes:
    """The bundle as canonical JSON and a newline.

    Raises:
        InputError: it has no JSON form, such as a body that is not UTF-8.
    """
    signer = bundle.signer
    members: dict[str, Any] = {
        "bundle": VERSION,
        "signer": {
            "algorithm": signer.algorithm,
            "publicKey": base64.b64encode(signer.public_key).decode(),
            "signerId": signer.signer_id,
        },
        **_entry_members(bundle.entry),
    }
    if bundle.heads is not None and bundle.cover is not None:
        members["heads"] = {"cover": bundle.cover.to_members(), **_entry_members(bundle.heads)}
    return canonicalize(members, max_bytes=MAX_BUNDLE_BYTES) + b"\n"


def _entry_members(entry: ProvenEntry) -> dict[str, Any]:
    try:
        body = entry.body.decode()
    except UnicodeDecodeError:
        raise InputError("the entry's body is not text: verify the log first") from None
    return {
        "checkpoint": entry.checkpoint,
        "entry": {"body": body, "prev_hash": entry.prev_hash.hex()},
        "path": [format_base64(each) for each in entry.path],
    }


def parse_bundle(octets: bytes) -> Bundle:
    """The inverse of `format_bundle`, white space between members allowed.

    Raises:
        InputError: too long, not JSON, another version, a member that is missing, unknown or of another form.
    """
    try:
        members = parse_json(octets, max_bytes=MAX_BUNDLE_BYTES)
    except CanonicalError as error:
        raise InputError(f"not a bundle: {error}") from None
    if type(members) is not dict or "bundle" not in members:
        raise InputError("not a bundle: a JSON object with the member `bundle`")
    if members["bundle"] != VERSION or type(members["bundle"]) is not int:
        raise InputError(f"the bundle's version is {str(members['bundle'])[:20]}; this program reads {VERSION}")
    if not _MEMBERS <= set(members) <= _MEMBERS | {"heads"}:
        raise InputError(f"a bundle has the members {', '.join(sorted(_MEMBERS))} and may have heads")
    heads = members.get("heads")
    if heads is None and "heads" not in members:
        return Bundle(entry=_parse_entry(members), signer=_parse_signer(members["signer"]))
    if type(heads) is not dict or set(heads) != _HEADS_MEMBERS:
        raise InputError(f"`heads` of a bundle has exactly the members {', '.join(sorted(_HEADS_MEMBERS))}")
    return Bundle(
        entry=_parse_entry(members),
        signer=_parse_signer(members["signer"]),
        cover=Cover.from_members(heads["cover"]),
        heads=_parse_entry(heads),
    )


def _parse_entry(members: dict[str, Any]) -> ProvenEntry:
    entry, path, checkpoint = members["entry"], members["path"], members["checkpoint"]
    if type(entry) is not dict or set(entry) != {"body", "prev_hash"} or type(checkpoint) is not str:
        raise InputError("`entry` of a bundle has exactly the members body and prev_hash, and `checkpoint` is text")
    body, prev_hash = entry["body"], entry["prev_hash"]
    if type(body) is not str or type(prev_hash) is not str:
        raise InputError("body and prev_hash of a bundle are text")
    if type(path) is not list or len(path) > MAX_PATH or not all(type(each) is str for each in path):
        raise InputError(f"`path` of a bundle is a list of at most {MAX_PATH} strings")
    return ProvenEntry(
        body=body.encode(),
        prev_hash=_parse_hex(prev_hash),
        path=tuple(parse_hash(each, "a hash of the path") for each in path),
        checkpoint=checkpoint,
    )


def _parse_hex(text: str) -> bytes:
    try:
        octets = bytes.fromhex(text)
    except ValueError:
        octets = b"?"
    if len(octets) not in (0, HASH_BYTES) or octets.hex() != text:
        raise InputError("prev_hash of a bundle is 64 hexadecimal digits in lower case, or empty")
    return octets


def _parse_signer(members: Any) -> BundledSigner:
    if type(members) is not dict or set(members) != _SIGNER_MEMBERS:
        raise InputError(f"`signer` of a bundle has exactly the members {', '.join(sorted(_SIGNER_MEMBERS))}")
    if not all(type(value) is str for value in members.values()):
        raise InputError("the members of `signer` of a bundle are text")
    return BundledSigner(
        signer_id=members["signerId"],
        algorithm=members["algorithm"],
        public_key=parse_base64(members["publicKey"], "the bundle's public key"),
    )
