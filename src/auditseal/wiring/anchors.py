"""From an address to an anchor.

Source: `docs/spec/checkpoint.md`, "Anchors".
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl, urlsplit

from auditseal.errors import InputError

if TYPE_CHECKING:
    from auditseal.ports import Anchor

FORMS: Final = "file:PATH, git:PATH, rfc3161:PATH?roots=PEM&tsa=URL or s3://BUCKET/PREFIX"

_OPTIONS: Final = {
    "file": frozenset[str](),
    "git": frozenset({"push"}),
    "rfc3161": frozenset({"roots", "tsa"}),
    "s3": frozenset({"days"}),
}


def open_anchor(address: str) -> Anchor:
    """The anchor at an address.

    Args:
        address: `file:PATH`; `git:PATH`, with `?push=REMOTE` to push after each commit; `rfc3161:PATH?roots=PEM`, with
            `&tsa=URL` to publish; `s3://BUCKET/PREFIX`, with `?days=N` for how long to lock.

    Raises:
        InputError: no such address.
        NotFoundError, ConfigError: the place cannot be used.
    """
    scheme, _, rest = address.partition(":")
    if scheme not in _OPTIONS or not rest:
        raise InputError(f"{address[:80]!r} is no address of an anchor: write {FORMS}")
    plain, _, query = address.partition("?")
    options = dict(parse_qsl(query, keep_blank_values=True))
    if unknown := set(options) - _OPTIONS[scheme]:
        raise InputError(f"an anchor {scheme}: has no option {min(unknown)[:40]!r}: write {FORMS}")
    path = Path(plain.removeprefix(f"{scheme}:"))
    match scheme:
        case "file":
            from auditseal.adapters.anchors.file import FileAnchor

            return FileAnchor(path)
        case "git":
            from auditseal.adapters.anchors.git import GitAnchor

            return GitAnchor(path, push=options.get("push"))
        case "rfc3161":
            from auditseal.adapters.anchors.rfc3161 import Rfc3161Anchor

            if "roots" not in options:
                raise InputError("name the trusted certificates of the authority: rfc3161:PATH?roots=PEM")
            return Rfc3161Anchor(path, roots=Path(options["roots"]), url=options.get("tsa"))
        case _:
            from auditseal.adapters.anchors.s3 import DEFAULT_DAYS, S3Anchor

            return S3Anchor(urlsplit(plain), days=_days(options.get("days"), DEFAULT_DAYS))


def _days(text: str | None, default: int) -> int:
    if text is None:
        return default
    if not text.isdecimal() or not 0 < int(text[:6]) <= 36_500:  # noqa: PLR2004 - a hundred years
        raise InputError(f"days={text[:20]} is not a number of days from 1 to 36500")
    return int(text)
