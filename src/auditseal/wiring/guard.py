"""The guard: with REQUIRE_KMS=true, whether nothing but the configured KMS key can ever sign.

Source: the operating guidance, "For production, set REQUIRE_KMS=true in CI".
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from auditseal.access.checked import Item, failed, not_checked, passed
from auditseal.access.key_material import LOCAL_NAMES, find_key_material
from auditseal.config import CONFIG_FILE, load_settings
from auditseal.errors import ConfigError, InputError, SignerError
from auditseal.wiring import signing
from auditseal.wiring.access import open_reader
from auditseal.wiring.signer_checks import configured_algorithm, folder_of, key_items, registered_signer, registry_item

if TYPE_CHECKING:
    from auditseal.config import Settings

_MOST_BYTES: Final = 1024 * 1024
_SOURCE: Final = "AUDIT_SIGNING_KEY_SOURCE"


@dataclass(frozen=True, slots=True, kw_only=True)
class Guarded:
    """What the guard found.

    Attributes:
        items: the checks of the key, in order.
        material: (file, line, column, what) for each local key; line and column are None in the environment.
        files: how many files were looked through.
        outage: why AWS could not be asked, if it could not.
    """

    items: Sequence[Item]
    material: Sequence[tuple[str, int | None, int | None, str]]
    files: int
    outage: SignerError | None = None


def guard(files: Sequence[str], flags: Mapping[str, object] | None = None) -> Guarded:
    """Looks through the settings, the key and the given deployment files.

    Args:
        files: names of deployment files, such as a `.env` or a workflow.
        flags: settings of the command line.

    Raises:
        ConfigError: the settings cannot be read.
        InputError: a file cannot be read.
    """
    environment = dict(os.environ)
    material = list(_in_environment(environment))
    for name in files:
        material += _in_file(name, _read(name))
    for name in (CONFIG_FILE, "pyproject.toml"):
        if Path(name).is_file() and name not in files:
            material += [found for found in _in_file(name, _read(name)) if name == CONFIG_FILE]
    for name in (*LOCAL_NAMES, _SOURCE):
        environment.pop(name, None)
    settings = load_settings(flags, environment=environment).settings
    if not settings.require_kms:
        why = "REQUIRE_KMS is not true: set it where only a KMS key may sign"
        return Guarded(items=[not_checked("require-kms", "KMS is required", why)], material=material, files=len(files))
    beside = folder_of(settings) / signing.DEVELOPMENT_KEY
    if beside.exists():
        material.append((str(beside), None, None, "a development key lies beside the log"))
    items = [passed("require-kms", "KMS is required", "REQUIRE_KMS is true"), _local(material)]
    if settings.kms_key_id is None:
        fix = "set AUDIT_SIGNING_KMS_KEY_ID"
        items.append(failed("key", "a KMS key is configured", "AUDIT_SIGNING_KMS_KEY_ID is not set", fix))
        return Guarded(items=items, material=material, files=len(files))
    try:
        items += _of_key(settings, settings.kms_key_id)
    except SignerError as error:
        items.append(not_checked("key", "the key is enabled", str(error)))
        return Guarded(items=items, material=material, files=len(files), outage=error)
    except ConfigError as error:
        items.append(failed("key", "the key can be reached", str(error), "mend AWS's configuration"))
    return Guarded(items=items, material=material, files=len(files))


def _of_key(settings: Settings, key_id: str) -> list[Item]:
    registered = registered_signer(settings)
    with open_reader(key_id) as reader:
        key = reader.key(key_id)
    if key.why is not None and "NotFound" in key.why:
        return [failed("key", "the key exists", f"{key_id}: {key.why}", "correct AUDIT_SIGNING_KMS_KEY_ID")]
    items = key_items(key, configured_algorithm(settings, registered))
    return [*items, registry_item(settings, registered, key)]


def _local(material: Sequence[object]) -> Item:
    title = "no local key is configured"
    if not material:
        return passed("local-keys", title, "none")
    return failed("local-keys", title, f"{len(material)} places", "remove them, and rotate the keys that stood there")


def _in_environment(environment: Mapping[str, str]) -> list[tuple[str, int | None, int | None, str]]:
    found = [name for name in LOCAL_NAMES if environment.get(name)]
    said = "is set: with REQUIRE_KMS no local key may be configured"
    made: list[tuple[str, int | None, int | None, str]] = [
        ("environment", None, None, f"{name} {said}") for name in found
    ]
    source = environment.get(_SOURCE, "")
    if source in {"env", "file"}:
        made.append(("environment", None, None, f"{_SOURCE} is {source}: with REQUIRE_KMS the key must be in KMS"))
    return made


def _in_file(name: str, text: str) -> list[tuple[str, int | None, int | None, str]]:
    return [(name, one.place.line, one.place.column, one.what) for one in find_key_material(text)]


def _read(name: str) -> str:
    try:
        with Path(name).open("rb") as file:
            content = file.read(_MOST_BYTES + 1)
    except OSError as error:
        raise InputError(f"{name} cannot be read: {error.strerror}") from None
    if len(content) > _MOST_BYTES:
        raise InputError(f"{name} is larger than {_MOST_BYTES:,} bytes: no deployment file is")
    return content.decode("utf-8", "replace")
