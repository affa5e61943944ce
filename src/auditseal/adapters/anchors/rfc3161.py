"""An anchor of RFC 3161 time-stamps: a time-stamping authority signs that a checkpoint existed at a time.

The tokens are kept in a file, which the log's operator may hold: he can lose them and not forge them. Their times are
the authority's, and are believed as far as its certificate leads to a root that the verifier gives.

Source: RFC 3161; RFC 5816. Certificates and tokens are checked by the package rfc3161-client.
"""

from __future__ import annotations

import base64
import http.client
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Final

from cryptography import x509

from auditseal.adapters.anchors.file import append_line, read_lines
from auditseal.adapters.anchors.noted import checked_note, of_origin
from auditseal.adapters.whole_file import read_whole
from auditseal.core.times import Micros
from auditseal.errors import ConfigError, InputError, NotFoundError, RejectedError, StoreError
from auditseal.ports import Anchored

if TYPE_CHECKING:
    from pathlib import Path

MAX_TOKEN_BYTES: Final = 256 * 1024
_TIMEOUT_S: Final = 30.0
_MAX_CERTIFICATES_BYTES: Final = 1024 * 1024


class Rfc3161Anchor:
    """Time-stamped checkpoints in a file (`auditseal.ports.Anchor`)."""

    def __init__(self, path: Path, *, roots: Path, url: str | None = None) -> None:
        """Takes the file and the authority.

        Args:
            path: of the file with checkpoints and tokens.
            roots: certificates of the authorities that are trusted, PEM.
            url: of the authority to ask; None where it is only verified.

        Raises:
            ConfigError: the certificates cannot be read, or the library is not installed.
            InputError: the address is none.
        """
        try:
            import rfc3161_client
        except ImportError as error:
            raise ConfigError("RFC 3161 needs the extra `anchors`: pip install 'auditseal[anchors]'") from error
        self._tsp = rfc3161_client
        self._path = path
        self._url = url
        if url is not None and not url.startswith(("https://", "http://")):
            raise InputError(f"{url[:80]!a} is not an address of a time-stamping authority")
        try:
            self._roots = x509.load_pem_x509_certificates(read_whole(roots, max_bytes=_MAX_CERTIFICATES_BYTES))
        except ValueError as error:
            raise ConfigError(f"{roots} holds no certificates in PEM") from error

    @property
    def address(self) -> str:
        """`rfc3161:PATH`."""
        return f"rfc3161:{self._path}"

    def publish(self, note: bytes) -> Anchored:
        """Has a checkpoint time-stamped, and keeps the token (`Anchor.publish`)."""
        checked_note(note)
        if self._url is None:
            raise ConfigError("name the time-stamping authority: rfc3161:PATH?tsa=URL&roots=PEM")
        request = self._tsp.TimestampRequestBuilder().data(note).nonce(nonce=True).cert_request(cert_request=True)
        built = request.build()
        token = self._ask(built.as_bytes(), self._url)
        time = self._checked(note, token, nonce=built.nonce)
        append_line(self._path, {"note": note.decode(), "token": base64.b64encode(token).decode()})
        return Anchored(note=note, time=time, where=f"time-stamp in {self._path}")

    def find(self, origin: str) -> list[Anchored]:
        """The time-stamped checkpoints of an origin, each token checked (`Anchor.find`)."""
        try:
            lines = read_lines(self._path, {"note", "token"})
        except NotFoundError:
            if not self._path.parent.is_dir():
                raise
            return []
        found = []
        for number, line in lines:
            note = str(line["note"]).encode()
            where = f"time-stamp in {self._path}:{number}"
            try:
                token = base64.b64decode(line["token"], validate=True)
            except ValueError as error:
                raise RejectedError(f"the token of the {where} is not base64") from error
            found.append(Anchored(note=note, time=self._checked(note, token), where=where))
        return of_origin(found, origin)

    def close(self) -> None:
        """Nothing stays open."""

    def _ask(self, request: bytes, url: str) -> bytes:
        asked = urllib.request.Request(  # noqa: S310 - the scheme is checked
            url, data=request, headers={"Content-Type": "application/timestamp-query"}
        )
        try:
            with urllib.request.urlopen(asked, timeout=_TIMEOUT_S) as answer:  # noqa: S310 - the scheme is checked
                token: bytes = answer.read(MAX_TOKEN_BYTES + 1)
        except (urllib.error.URLError, http.client.HTTPException, OSError) as error:
            text = f"the time-stamping authority does not answer ({type(error).__name__})"
            raise StoreError(text, retryable=True) from error
        if len(token) > MAX_TOKEN_BYTES:
            raise StoreError("the time-stamping authority's answer is too long")
        return token

    def _checked(self, note: bytes, token: bytes, *, nonce: int | None = None) -> Micros:
        """The time of a token over these bytes.

        Raises:
            RejectedError: the token is over other bytes, of no trusted authority, or damaged.
        """
        builder = self._tsp.VerifierBuilder()
        for root in self._roots:
            builder = builder.add_root_certificate(root)
        if nonce is not None:
            builder = builder.nonce(nonce)
        try:
            response = self._tsp.decode_timestamp_response(token)
            builder.build().verify_message(response, note)
            moment = response.tst_info.gen_time
        except (self._tsp.VerificationError, ValueError) as error:
            said = " ".join(str(error).split())[:200]
            raise RejectedError(f"a time-stamp in {self._path} does not hold: {said}") from error
        return Micros(int(moment.timestamp()) * 1_000_000 + moment.microsecond)
