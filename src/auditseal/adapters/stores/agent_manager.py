"""The existing deployment's rows in a JSON file.

Source: `docs/spec/agent-manager.md` §1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from auditseal.core.agent_manager.payload import parse_rows_text
from auditseal.core.agent_manager.row import Row, parse_row
from auditseal.core.agent_manager.verify import parse_table
from auditseal.errors import InputError, NotFoundError, StoreError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

MAX_FILE_BYTES: Final = 1024 * 1024 * 1024


def read_rows(path: Path) -> tuple[list[Row], list[str]]:
    """(the rows of a file, what stands among them and is no row).

    Raises:
        NotFoundError: no such file.
        InputError: not JSON, or no table of rows.
        StoreError: it cannot be read.
    """
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise InputError(f"{path} is larger than {MAX_FILE_BYTES} bytes: read the table itself, or a part of it")
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise NotFoundError(f"there is no file {path}") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not UTF-8 at byte {error.start}") from None
    except OSError as error:
        raise StoreError(f"{path} cannot be read: {error.strerror}") from error
    try:
        listed = parse_table(parse_rows_text(text))
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    return collect_rows(listed)


def collect_rows(listed: Iterable[object]) -> tuple[list[Row], list[str]]:
    """(the rows among what was listed, why the others are none); an InputError stands for one that cannot be read."""
    rows: list[Row] = []
    unreadable: list[str] = []
    for number, members in enumerate(listed):
        try:
            if isinstance(members, InputError):
                raise members
            rows.append(parse_row(members))
        except InputError as error:
            unreadable.append(f"row {number}: {error}")
    return rows, unreadable
