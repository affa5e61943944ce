"""Tells an HTTP endpoint: one POST of JSON, within a timeout; the next attempt is the caller's to make."""

from __future__ import annotations

import urllib.error
import urllib.request
from typing import Any, Final
from urllib.parse import urlsplit

import orjson

from auditseal.errors import InputError, StoreError

TIMEOUT_S: Final = 10.0
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})


class Webhook:
    """One endpoint."""

    def __init__(self, url: str) -> None:
        """Takes the address.

        Raises:
            InputError: not https, nor http to this machine.
        """
        parts = urlsplit(url)
        if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in _LOOPBACK):
            raise InputError("a webhook is an https:// address, or http:// on this machine")
        self._url = url
        self.name = f"{parts.scheme}://{parts.hostname}"
        """For texts: the rest of the address may hold a secret."""

    def post(self, document: dict[str, Any]) -> None:
        """Sends a document.

        Raises:
            StoreError: it was not taken; `retryable`.
        """
        request = urllib.request.Request(  # noqa: S310 - the scheme was checked
            self._url,
            data=orjson.dumps(document),
            headers={"Content-Type": "application/json", "User-Agent": "auditseal"},
            method="POST",
        )
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:  # noqa: S310 - likewise
                answer.read(1)
        except urllib.error.HTTPError as error:
            error.close()
            raise StoreError(f"the webhook {self.name} answered {error.code}", retryable=True) from error
        except (OSError, ValueError) as error:
            raise StoreError(f"the webhook {self.name} cannot be reached", retryable=True) from error
