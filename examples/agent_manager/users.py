"""Who may give orders: a file of names and hashes of tokens."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import secrets
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


def add_user(path: Path, name: str) -> str:
    """Adds a user, or gives one another token; the token, of which only the hash is kept."""
    token = secrets.token_urlsafe(32)
    users = load_users(path) if path.exists() else {}
    users[name] = _hash(token)
    new = path.with_name(f"{path.name}.new")
    with open(new, "w", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
        json.dump(users, file, indent=1)
    new.replace(path)
    return token


def load_users(path: Path) -> dict[str, str]:
    """The hashes of tokens, by user."""
    users: dict[str, str] = json.loads(path.read_text())
    return users


def user_of(users: Mapping[str, str], token: str) -> str | None:
    """Whose token it is; None if nobody's."""
    given = _hash(token)
    return next((name for name, kept in users.items() if hmac.compare_digest(kept, given)), None)


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
