"""From the settings to what is read of AWS for the checklist, the doctor and the review."""

from __future__ import annotations

import os
import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from auditseal.access.arn import check_key_id
from auditseal.errors import ConfigError, InputError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from auditseal.adapters.aws_access.reader import AwsReader

_ARN_REGION: Final = re.compile(r"arn:[a-z0-9-]+:kms:([a-z0-9-]+):")
_REGION_NAMES: Final = ("AWS_REGION", "AWS_DEFAULT_REGION")


@contextmanager
def open_reader(key_id: str) -> Iterator[AwsReader]:
    """A reader in the Region of the key.

    Raises:
        ConfigError: the AWS library is not installed, or AWS's configuration cannot be read.
        InputError: it names no key, or its ARN is of another Region than AWS_REGION.
    """
    check_key_id(key_id)
    try:
        from auditseal.adapters.aws_access.calls import AwsCalls
        from auditseal.adapters.aws_access.reader import AwsReader
    except ImportError as error:
        raise ConfigError("reading AWS needs the extra `aws`: pip install 'auditseal[aws]'") from error
    calls = AwsCalls(key_region(key_id))
    try:
        yield AwsReader(calls)
    finally:
        calls.close()


def key_region(key_id: str) -> str | None:
    """The Region of a key's ARN; None for an id or an alias.

    Raises:
        InputError: AWS_REGION names another Region.
    """
    found = _ARN_REGION.match(key_id)
    if found is None:
        return None
    for name in _REGION_NAMES:
        if os.environ.get(name, found[1]) != found[1]:
            raise InputError(f"{name} is {os.environ[name]}, and {key_id} is in {found[1]}: make them agree")
    return found[1]
