"""From an address to an export: a file of either format, a folder of them, or the same in S3.

Source: `docs/cli.md`, "Addresses".
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from auditseal.errors import ConfigError, InputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from auditseal.adapters.stores.export_file import ExportFile
    from auditseal.adapters.stores.parquet import ParquetSource
    from auditseal.adapters.stores.s3_object import S3Object
    from auditseal.core.entry import StoredEntry
    from auditseal.core.stored_checkpoint import StoredCheckpoint
    from auditseal.ports import Source

S3: Final = "s3://"
_LINES: Final = (".jsonl", ".ndjson")
_ARCHIVE: Final = ".parquet"
_ENDINGS: Final = (*_LINES, _ARCHIVE)


def is_export(address: str) -> bool:
    """Whether an address is that of an export or a folder of them: by its ending, or since there is such a folder."""
    if address.startswith(S3):
        return address.endswith((*_ENDINGS, "/"))
    return "://" not in address and (address.endswith(_ENDINGS) or Path(address).is_dir())


def open_export(address: str) -> Source:
    """What can be read at the address of an export.

    Raises:
        InputError: it is none, by its address or its content.
        NotFoundError, ConfigError, StoreError: it is not there, or cannot be read.
    """
    from auditseal.adapters.stores.export_file import LocalFile

    is_s3 = address.startswith(S3)
    if address.endswith(_ENDINGS) and (is_s3 or not Path(address).is_dir()):
        return _open(_s3_object()(address) if is_s3 else LocalFile(Path(address)))
    from auditseal.adapters.stores.export_folder import ExportFolder

    files: Sequence[ExportFile]
    if is_s3:
        files = _s3_object().below(address, _ENDINGS)
    else:
        paths = [path for path in Path(address).rglob("*") if path.suffix in _ENDINGS and path.is_file()]
        files = [LocalFile(path) for path in paths if not path.name.startswith(".")]
    return ExportFolder(address, files, _open)


def check_export_path(path: Path) -> None:
    """Refuses a file that would not be found to be an export again.

    Raises:
        InputError: its name has another ending, or its folder does not exist.
        ConfigError: it is an archive, and what writes it is not installed.
    """
    if path.suffix not in _ENDINGS or "s3:/" in str(path):
        raise InputError(f"{path} is no name for an export: let it end with .jsonl, or with {_ARCHIVE} for an archive")
    if not path.parent.is_dir():
        raise InputError(f"the folder {path.parent} does not exist: create it first")
    if path.is_dir():
        raise InputError(f"{path} is a folder: name a file")
    if path.suffix == _ARCHIVE:
        _parquet()


def write_export(path: Path, entries: Iterable[StoredEntry], checkpoints: Iterable[StoredCheckpoint]) -> int:
    """Writes a file that `check_export_path` allows, whole or not at all; how many entries.

    Raises:
        NotFoundError, ConfigError, StoreError: it cannot be written, or an entry cannot be exported.
    """
    if path.suffix == _ARCHIVE:
        return _parquet().write(path, entries, checkpoints)
    from auditseal.adapters.stores.jsonl import write_lines

    return write_lines(path, entries, checkpoints)


def _open(file: ExportFile) -> Source:
    if file.address.endswith(_ARCHIVE):
        return _parquet()(file)
    from auditseal.adapters.stores.jsonl import JsonlSource

    return JsonlSource(file)


def _parquet() -> type[ParquetSource]:
    try:
        from auditseal.adapters.stores.parquet import ParquetSource
    except ImportError as error:
        raise ConfigError("an archive needs the extra `archive`: pip install 'auditseal[archive]'") from error
    return ParquetSource


def _s3_object() -> type[S3Object]:
    try:
        from auditseal.adapters.stores.s3_object import S3Object
    except ImportError as error:
        raise ConfigError("an export in S3 needs the extra `aws`: pip install 'auditseal[aws]'") from error
    return S3Object
