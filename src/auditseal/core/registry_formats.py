"""The shapes of signers.json in the wild, brought into one: a list of `RawSigner`, with all that is not known kept.

Shapes: `{"signers": [...]}` or `{"signers": {kid: ...}}`, a bare list, a bare map of kids; and within a list, maps of
kids again. A signer is an object, or in a map its key alone. Members are found by name whatever the spelling
(`signerId`, `signer_id`), since a limit that is spelt otherwise and passed over would let more verify than was meant.
What the members mean is not decided here but in `auditseal.core.registered_signer`.

Source: `docs/spec/signers-json.md` §5.
"""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, TypeVar

from auditseal.core.algorithm import parse_algorithm
from auditseal.core.canonical import parse_json
from auditseal.core.private_key import ADVICE, holds_private_key
from auditseal.errors import CanonicalError, InputError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from auditseal.core.algorithm import Algorithm

MAX_REGISTRY_BYTES: Final = 4 * 1024 * 1024
"""The largest signers.json."""

SIGNERS: Final = "signers"
# By name in lower case without _ and -; the values are the names of the design.
_MEMBERS: Final = {
    "signerid": "signerId",
    "signerkid": "signerId",
    "kid": "signerId",
    "algorithm": "algorithm",
    "alg": "algorithm",
    "publickey": "publicKey",
    "publickeypem": "publicKey",
    "key": "key",
    "keyarn": "keyArn",
    "keyspec": "keySpec",
    "fingerprint": "fingerprint",
    "status": "status",
    "validfrom": "validFrom",
    "validuntil": "validUntil",
    "description": "description",
    "development": "development",
}
_IDENTIFYING: Final = frozenset({"signerId", "algorithm", "publicKey", "key"})


def member_of(name: str) -> str | None:
    """The design's name of a member that we know, whatever its spelling; None for one that we don't."""
    return _MEMBERS.get(name.replace("_", "").replace("-", "").lower())


@dataclass(frozen=True, slots=True, kw_only=True)
class RawSigner:
    """A signer as it was found.

    Attributes:
        place: where it stands, for messages.
        signer_id: the id that all its id members agree on.
        algorithm: None where none is named.
        public_keys: the texts of the members that hold a public key.
        keys: the texts that hold a public key or a secret, by what the algorithm is.
        members: the other members that we know, under the design's names; null is left out.
        extra: all others, as they were.
    """

    place: str
    signer_id: str
    algorithm: Algorithm | None
    public_keys: tuple[str, ...]
    keys: tuple[str, ...]
    members: Mapping[str, Any]
    extra: Mapping[str, Any]


def read_document(data: bytes) -> tuple[list[RawSigner], dict[str, Any]]:
    """The signers of a registry in any known shape, in their order, and the other members of its outermost object.

    Raises:
        InputError: not JSON, ambiguous JSON, no known shape, or a private key anywhere in it.
    """
    try:
        document = parse_json(data, max_bytes=MAX_REGISTRY_BYTES)
    except CanonicalError as error:
        if holds_private_key(data):
            raise InputError(ADVICE) from None
        if error.reason == "duplicate-key":
            raise InputError(_repeated_member(data)) from None
        raise InputError(f'{error}; a registry is {{"{SIGNERS}": [...]}}') from None
    _refuse_private_keys(document)
    extra = {}
    if isinstance(document, dict) and SIGNERS in document:
        extra = {name: value for name, value in document.items() if name != SIGNERS}
        document = document[SIGNERS]
    return list(_read_signers(document)), extra


def _repeated_member(data: bytes) -> str:
    """What to say of a member that stands twice: which one, since in a map of kids it is a signer."""
    repeated: list[str] = []

    def note(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        names = [name for name, _ in pairs]
        repeated.extend(name for name in names if names.count(name) > 1)
        return dict(pairs)

    # What stands behind the repeated member has not been looked at yet.
    with suppress(ValueError, RecursionError):
        json.loads(data, object_pairs_hook=note)
    which = repr(repeated[0][:80]) if repeated else "a member"
    return f"{which} stands twice in one object, and readers disagree on which counts: keep one, under its own id"


def _refuse_private_keys(value: Any, place: str = "") -> None:
    match value:
        case str() if holds_private_key(value):
            raise InputError(f"{place}: {ADVICE}")
        case dict():
            if "kty" in value and "d" in value:
                raise InputError(f"{place}: {ADVICE}")
            for name, member in value.items():
                if holds_private_key(name):
                    raise InputError(f"{place}, a member's name: {ADVICE}")
                _refuse_private_keys(member, f"{place}[{name[:80]!r}]" if place else name[:80])
        case list():
            for index, element in enumerate(value):
                _refuse_private_keys(element, f"{place or SIGNERS}[{index}]")
        case _:
            return


def _read_signers(document: Any) -> Iterator[RawSigner]:
    match document:
        case list():
            for index, element in enumerate(document):
                place = f"{SIGNERS}[{index}]"
                if isinstance(element, dict) and element and not any(map(member_of, element)):
                    yield from _read_map(element, place)
                else:
                    yield _read_signer(element, place)
        case dict() if any(member_of(name) in _IDENTIFYING and isinstance(document[name], str) for name in document):
            raise InputError(
                'a signer without a list around it, or a kid that is named as a member is: write {"signers": [...]}'
            )
        case dict():
            yield from _read_map(document, SIGNERS)
        case _:
            raise InputError(f'neither an object nor a list: write {{"{SIGNERS}": [...]}}')


def _read_map(signers: dict[str, Any], place: str) -> Iterator[RawSigner]:
    """The signers of a map: kid → object, or kid → key."""
    for kid, value in signers.items():
        within = f"{place}[{kid[:80]!r}]"
        yield _read_signer({"key": value} if isinstance(value, str) else value, within, kid=kid)


def _read_signer(value: Any, place: str, kid: str | None = None) -> RawSigner:
    if not isinstance(value, dict):
        wanted = "an object with signerId, algorithm and publicKey" if kid is None else "an object or a PEM text"
        raise InputError(f"{place} is not {wanted}")
    found: dict[str, list[Any]] = {}
    extra = {}
    for name, member in value.items():
        known = member_of(name)
        if known is None:
            extra[name] = member
        elif member is not None:
            found.setdefault(known, []).append(member)
    ids = _texts("signerId", found, place) + (() if kid is None else (kid,))
    if not ids:
        raise InputError(f"{place} has no signerId: say under which name entries know this key")
    signer_id = _agreed("signerId", ids, place)
    place = place if kid is not None else f"{place} ({signer_id[:80]!r})"
    try:
        algorithms = [parse_algorithm(name) for name in _texts("algorithm", found, place)]
    except InputError as error:
        raise InputError(f"{place}: {error}") from None
    return RawSigner(
        place=place,
        signer_id=signer_id,
        algorithm=_agreed("algorithm", algorithms, place) if algorithms else None,
        public_keys=_texts("publicKey", found, place),
        keys=_texts("key", found, place),
        members=MappingProxyType(
            {name: _agreed(name, values, place) for name, values in found.items() if name not in _IDENTIFYING}
        ),
        extra=MappingProxyType(extra),
    )


def _texts(name: str, found: dict[str, list[Any]], place: str) -> tuple[str, ...]:
    texts = tuple(found.get(name, ()))
    if not all(isinstance(text, str) for text in texts):
        raise InputError(f"{place}: {name} is not a text")
    return texts


_Value = TypeVar("_Value")


def _agreed(name: str, values: Sequence[_Value], place: str) -> _Value:
    if any(value != values[0] for value in values):
        raise InputError(f"{place}: two members that mean {name} disagree: keep one")
    return values[0]
