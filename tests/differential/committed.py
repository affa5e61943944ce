"""The vectors that a comparison makes, against those that are committed."""

from __future__ import annotations

import json
import os
from typing import Any

from support.vectors import FOLDER

# Read before the tests take all settings out of their environment.
_WRITES = bool(os.environ.get("AUDITSEAL_WRITE_VECTORS"))


def read_committed(name: str) -> Any:
    """The content of `tests/vectors/NAME.json`; None if there is no such file yet."""
    path = FOLDER / f"{name}.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


def keep(name: str, vectors: Any) -> None:
    """Fails if the vectors are not those of `tests/vectors/NAME.json`; with --write, writes them there."""
    text = json.dumps(vectors, indent=1) + "\n"
    path = FOLDER / f"{name}.json"
    if _WRITES:
        path.write_text(text, encoding="utf-8")
    assert path.exists(), f"{path.name} does not exist: make it with script/differential --write"
    assert path.read_text(encoding="utf-8") == text, f"{path.name} differs: look why, then script/differential --write"
