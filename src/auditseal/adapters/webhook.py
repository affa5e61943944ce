"""Tells an HTTP endpoint: one POST of JSON, within a timeout, not redirected; a next attempt is the caller's."""

from __future__ import annotations

import urllib.error
import urllib.request
from typing import Any, Final
from urllib.parse import urlsplit

import orjson

from auditseal.errors import InputError, StoreError

TIMEOUT_S: Final = 10.0
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirected POST would arrive as a GET without its document, and count as taken."""

    def redirect_request(self, *_: object) -> None:
        """Follows none: the answer is an error."""


_OPENER: Final = urllib.request.build_opener(_NoRedirect)


class Webhook:
    """One endpoint."""

    def __init__(self, url: str) -> None:
        """Takes the address.

        Raises:
            InputError: not https, nor http to this machine.
        """
        try:
            parts = urlsplit(url)
            here = parts.hostname in _LOOPBACK
            good = parts.hostname is not None and (parts.scheme == "https" or (parts.scheme == "http" and here))
            good = good and parts.port != 0
        except ValueError:
            good = False
        if not good:
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
            with _OPENER.open(request, timeout=TIMEOUT_S) as answer:
                answer.read(1)
        except urllib.error.HTTPError as error:
            error.close()
            raise StoreError(f"the webhook {self.name} answered {error.code}", retryable=True) from error
        except (OSError, ValueError) as error:
            raise StoreError(f"the webhook {self.name} cannot be reached", retryable=True) from error
