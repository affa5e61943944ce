"""The registry: the signers that a verifier accepts, by id. Immutable; a change gives a new one.

It is read from every shape found in the wild and written in one. Files are the matter of
`auditseal.adapters.registry_file`.

Source: `docs/spec/signers-json.md`.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from auditseal.core.canonical import canonicalize
from auditseal.core.registered_signer import RegisteredSigner, Status
from auditseal.core.registry_formats import MAX_REGISTRY_BYTES, SIGNERS, read_document
from auditseal.core.signer_members import KeyForm, format_signer, parse_signer
from auditseal.errors import ConflictError, InputError, NotFoundError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Self

__all__ = ["MAX_REGISTRY_BYTES", "KeyForm", "RegisteredSigner", "Registry", "Status"]

_SHORT_SECRET_BYTES: Final = 16
_FOR_EVER: Final = frozenset({"signer_id", "algorithm", "public_key", "secret"})
_LOOKS_LIKE_A_LIMIT: Final = re.compile(r"revo[ck]|expir|disab|not_?(before|after)", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Registry:
    """A set of signers, each under an id of its own.

    Attributes:
        signers: in the file's order.
        extra: the members beside `signers` that we do not know, as they were. Not shown by repr.

    Raises:
        InputError: two signers under one id, or an extra that has no JSON form.
    """

    signers: tuple[RegisteredSigner, ...] = ()
    extra: Mapping[str, Any] = field(default_factory=dict, repr=False)
    _by_id: dict[str, RegisteredSigner] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        by_id = {signer.signer_id: signer for signer in self.signers}
        if len(by_id) != len(self.signers):
            raise InputError("two signers have one id")
        if SIGNERS in self.extra:
            raise InputError(f"{SIGNERS} stands among the unknown members")
        canonicalize(dict(self.extra), max_bytes=MAX_REGISTRY_BYTES)
        object.__setattr__(self, "extra", MappingProxyType(dict(self.extra)))
        object.__setattr__(self, "_by_id", by_id)

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """The registry of a signers.json in any shape of `docs/spec/signers-json.md` §5.

        Args:
            data: JSON in UTF-8, at most `MAX_REGISTRY_BYTES`.

        Raises:
            InputError: not JSON, of no known shape, ambiguous, a private key in it, or two keys under one id. One
                line, with the place; keys and secrets are never shown.
        """
        raws, extra = read_document(data)
        places: dict[str, tuple[str, RegisteredSigner]] = {}
        for raw in raws:
            signer = parse_signer(raw)
            if raw.signer_id in places:
                place, other = places[raw.signer_id]
                same = (signer.public_key, signer.secret) == (other.public_key, other.secret)
                advice = "the same key: remove one" if same else "another key: give one of them an id of its own"
                raise InputError(f"{raw.place}: {place} has the same id and {advice}")
            places[raw.signer_id] = (raw.place, signer)
        return cls(signers=tuple(signer for _, signer in places.values()), extra=extra)

    def find(self, signer_id: str) -> RegisteredSigner | None:
        """The signer of an id, compared exactly; None if there is none."""
        return self._by_id.get(signer_id)

    def __iter__(self) -> Iterator[RegisteredSigner]:
        return iter(self.signers)

    def __len__(self) -> int:
        return len(self.signers)

    def with_signer(self, signer: RegisteredSigner) -> Self:
        """This registry with one signer more, at its end; this very one if it holds that signer already.

        Raises:
            ConflictError: its id stands for another signer.
        """
        present = self.find(signer.signer_id)
        if present == signer:
            return self
        if present is not None:
            raise ConflictError(
                f"the registry has another signer {signer.signer_id!r} already: "
                "entries know a key by its id for ever, so give the new one an id of its own"
            )
        return replace(self, signers=(*self.signers, signer))

    def with_changed(self, signer_id: str, **changes: Any) -> Self:
        """This registry with some attributes of one signer changed, such as `status` or `valid_until`.

        Raises:
            NotFoundError: there is no such signer.
            InputError: the signer would contradict itself, or its key or id would change: entries know the one by
                the other for ever.
        """
        present = self.find(signer_id)
        if present is None:
            raise NotFoundError(f"the registry has no signer {signer_id!r}: list them with auditseal signers")
        if not _FOR_EVER.isdisjoint(changes):
            raise InputError(f"the key of signer {signer_id!r} cannot change: add a signer with an id of its own")
        changed = replace(present, **changes)
        return replace(self, signers=tuple(changed if signer is present else signer for signer in self.signers))

    @property
    def has_secrets(self) -> bool:
        """Whether a MAC's secret stands in it, so that its file is not for everybody."""
        return any(signer.secret is not None for signer in self.signers)

    def to_json_bytes(self, *, key_form: KeyForm = "pem") -> bytes:
        """The design's form: `{"signers": [...]}`, stable order, two spaces, a newline at the end, UTF-8.

        Args:
            key_form: public keys as PEM, or as DER in base64.
        """
        document = {SIGNERS: [format_signer(signer, key_form) for signer in self.signers], **self.extra}
        return json.dumps(document, ensure_ascii=False, indent=2).encode() + b"\n"

    def warnings(self) -> list[str]:
        """What is allowed and yet worth a look, a line each; empty where there is nothing."""
        if not self.signers:
            return ["the registry has no signer: no signature can be verified with it"]
        return [*self._shared_keys(), *(line for signer in self.signers for line in _oddities(signer))]

    def _shared_keys(self) -> Iterator[str]:
        by_key: dict[object, list[str]] = {}
        for signer in self.signers:
            key = signer.fingerprint or signer.secret
            if key is not None:
                by_key.setdefault(key, []).append(f"{signer.signer_id!r} ({signer.status})")
        for names in by_key.values():
            if len(names) > 1:
                yield f"one key stands under {len(names)} ids, each with a status of its own: {', '.join(names)}"


def _oddities(signer: RegisteredSigner) -> Iterator[str]:
    name = f"signer {signer.signer_id!r}"
    if signer.status is Status.RETIRED and signer.valid_until is None:
        yield f"{name} is retired without validUntil: its signatures count everywhere"
    if signer.secret is not None:
        short = " (a short one)" if len(signer.secret) < _SHORT_SECRET_BYTES else ""
        yield f"{name} has its secret{short} here: whoever can read the registry can sign as it"
    limits = [member for member in signer.extra if _LOOKS_LIKE_A_LIMIT.search(member)]
    if limits:
        yield f"{name} has {', '.join(member[:40] for member in limits)}, which auditseal keeps and does not act on"
