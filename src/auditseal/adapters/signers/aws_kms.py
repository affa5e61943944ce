"""Signers whose keys never leave AWS KMS.

A signer proves itself twice. At start, DescribeKey must agree with the settings. Then no signature is handed out that
has not been verified offline under the public key: a mis-set key, a wrong message type or bytes damaged on the way end
here and not with an auditor. A MAC only KMS itself can verify: of MACs the first alone is, through VerifyMac.
It makes no signature of its own to do so, since every Sign call in CloudTrail must be accounted for by an entry.

Permissions: kms:Sign, or kms:GenerateMac and kms:VerifyMac. kms:DescribeKey is wanted and can be done without;
kms:GetPublicKey is needed only where no public key is given.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from typing import Any, Final

from auditseal.adapters.signers import kms_causes as causes
from auditseal.adapters.signers.kms_calls import Answer, KmsCalls
from auditseal.adapters.signers.kms_errors import from_cause
from auditseal.adapters.signers.kms_start import check_description, check_public_key, fetch_public_key
from auditseal.core.algorithm import (
    ALGORITHMS,
    DIGEST_BYTES,
    Algorithm,
    AlgorithmId,
    PublicKey,
    check_message,
    message_rule,
)
from auditseal.errors import ConfigError, InputError, SignatureInvalidError, SignerError
from auditseal.ports import Signed

_UUID: Final = r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
_KEY_ID: Final = re.compile(
    rf"(?:arn:[a-z0-9-]+:kms:[a-z0-9-]+:\d{{12}}:)?alias/[a-zA-Z0-9/_-]+"
    rf"|(?:arn:[a-z0-9-]+:kms:[a-z0-9-]+:\d{{12}}:key/)?(?:mrk-[0-9a-f]{{32}}|{_UUID})",
    re.ASCII,
)


class KmsSigner:
    """Signs entry hashes with one KMS key. Safe to call from many threads; it implements `Signer`."""

    development = False

    def __init__(
        self,
        *,
        signer_id: str,
        algorithm: Algorithm,
        key_id: str,
        calls: KmsCalls,
        public_key: PublicKey | None = None,
    ) -> None:
        """Prepares; nothing is sent yet.

        Args:
            signer_id: the name under which verifiers find the key.
            algorithm: what it signs with.
            key_id: key id, key ARN, alias name or alias ARN.
            calls: to KMS; closed with this signer.
            public_key: what signers.json has for the signer; None asks KMS for it. Never one for a MAC.

        Raises:
            ConfigError: the key id is none, or the public key is not of the algorithm's type.
        """
        self.signer_id = signer_id
        self.algorithm = algorithm
        self.key_id = check_key_id(key_id)
        if public_key is not None:
            check_public_key(public_key, key_id, algorithm)
        self._calls = calls
        self._public_key = public_key
        self._operation = "GenerateMac" if algorithm.is_mac else "Sign"
        self._request = _request(algorithm, key_id)
        self._prove: Callable[[bytes, bytes], None] | None = None
        self._arn: str | None = None
        self._started = threading.Event()
        self._proven = False
        self._starting = threading.Lock()
        self._failed_starts = 0
        self._failure: ConfigError | SignerError | None = None

    @property
    def concurrency(self) -> int:
        """How many calls are in flight at once; further ones wait."""
        return self._calls.concurrency

    @property
    def endpoint(self) -> str:
        """The URL that is called."""
        return self._calls.endpoint

    @property
    def is_emulated(self) -> bool:
        """Whether the endpoint is this machine: not AWS, and to be said wherever the signer shows."""
        return self._calls.is_loopback

    @property
    def public_key(self) -> PublicKey | None:
        """The public key; None for a MAC, and until it is known."""
        return self._public_key

    @property
    def key_arn(self) -> str | None:
        """The key's ARN; None until KMS has named it."""
        return self._arn

    def start(self) -> None:
        """Checks the key against the settings. Idempotent; threads that wait for another's start share its outcome.

        Raises:
            ConfigError: usage, spec, state or algorithm do not fit, or the first signature could not be checked.
            SignerError: the key could not be asked.
        """
        if self._started.is_set():
            return
        failed_before = self._failed_starts
        with self._starting:
            if self._started.is_set():
                return
            if self._failure is not None and self._failed_starts != failed_before:
                raise self._failure.with_traceback(None)
            try:
                self._start()
            except (ConfigError, SignerError) as error:
                self._failed_starts += 1
                self._failure = error
                raise
            self._started.set()

    def sign(self, digest: bytes) -> Signed:
        """Signs one hash; see `Signer.sign`.

        Raises:
            InputError: the digest is not 32 bytes.
            SignerError: not signed; `reason` is `configuration` where a setting is at fault, `wrong-signature` where
                the signature does not verify, `key-changed` where an alias was moved to another key.
        """
        if len(digest) != DIGEST_BYTES:
            raise InputError(f"a digest has {DIGEST_BYTES} bytes, not {len(digest)}")
        return self.sign_message(digest)

    def sign_message(self, message: bytes) -> Signed:
        """Signs a checkpoint or a cosignature; see `NoteSigner.sign_message`.

        Raises:
            InputError: the message has a length that the algorithm does not take.
            SignerError: as `sign`.
        """
        check_message(self.algorithm, message)
        try:
            self.start()
            answer = self._calls.call(self._operation, {**self._request, "Message": message})
        except ConfigError as error:
            raise SignerError(str(error), reason=causes.CONFIGURATION) from error
        signature = self._read(answer)
        if not self._proven or not self.algorithm.is_mac:
            self._check(signature, message, answer)
        return Signed(signature=signature, request_id=answer.request_id)

    def close(self) -> None:
        """Releases connections. Idempotent; afterwards it does not sign."""
        self._calls.close()

    def _start(self) -> None:
        arn = check_description(self._calls, self.key_id, self.algorithm)
        if self.algorithm.is_mac:
            self._prove = self._prove_mac
        else:
            if self._public_key is None:
                arn, self._public_key = fetch_public_key(self._calls, self.key_id, self.algorithm)
            self._prove = message_rule(self.algorithm, self._public_key)
        self._arn = arn

    def _prove_mac(self, mac: bytes, digest: bytes) -> None:
        verify_mac(self._calls, self.key_id, digest, mac)

    def _read(self, answer: Answer) -> bytes:
        """The signature of an answer that is for our key and algorithm."""
        values = answer.values
        signature = values.get("Mac" if self.algorithm.is_mac else "Signature")
        named = values.get("MacAlgorithm" if self.algorithm.is_mac else "SigningAlgorithm")
        length = self.algorithm.signature_bytes
        if (
            not isinstance(signature, bytes)
            or not signature
            or named != self.algorithm.kms_signing_algorithm
            or (length is not None and len(signature) != length)
        ):
            raise from_cause(self._operation, causes.MALFORMED, request_id=answer.request_id)
        arn = values.get("KeyId")
        if self._arn is not None and arn != self._arn:
            raise SignerError(
                f"{self.key_id} now means another key than when {self.signer_id} was started: a new key is a new "
                "signer, so rotate (auditseal rotate), or move the alias back",
                reason="key-changed",
                request_id=answer.request_id,
            )
        return signature

    def _check(self, signature: bytes, digest: bytes, answer: Answer) -> None:
        assert self._prove is not None
        try:
            self._prove(signature, digest)
        except SignatureInvalidError as error:
            if self._proven:
                raise SignerError(
                    f"a signature of {self.signer_id} by {self.key_id} does not verify and was thrown away: earlier "
                    "ones did, so it was damaged on the way; look at what stands between here and KMS",
                    reason=causes.WRONG_SIGNATURE.reason,
                    retryable=True,
                    request_id=answer.request_id,
                ) from error
            raise SignerError(
                f"the first signature of {self.signer_id} by {self.key_id} does not verify and was thrown away: the "
                "public key in signers.json is another key's (auditseal keys export), or the endpoint is not KMS",
                reason=causes.WRONG_SIGNATURE.reason,
                request_id=answer.request_id,
            ) from error
        self._arn = self._arn or answer.values.get("KeyId")
        self._proven = True


class KmsMacVerifier:
    """Checks MACs through VerifyMac. Safe to call from many threads; it implements `MacVerifier`."""

    def __init__(self, calls: KmsCalls) -> None:
        """Prepares; nothing is sent yet.

        Args:
            calls: to KMS; closed with this verifier.
        """
        self._calls = calls

    @property
    def concurrency(self) -> int:
        """How many calls are in flight at once; further ones wait."""
        return self._calls.concurrency

    def verify_mac(self, key_id: str, digest: bytes, mac: bytes) -> None:
        """Returns if the MAC is right; see `MacVerifier.verify_mac`.

        Raises:
            ConfigError: the key id is none, or credentials or Region are missing.
            SignatureInvalidError: the MAC is wrong.
            SignerError: no answer, or no permission.
        """
        verify_mac(self._calls, check_key_id(key_id), digest, mac)

    def close(self) -> None:
        """Releases connections. Idempotent."""
        self._calls.close()


def verify_mac(calls: KmsCalls, key_id: str, digest: bytes, mac: bytes) -> None:
    """Asks KMS whether a MAC over the digest is this key's; see `MacVerifier.verify_mac`."""
    algorithm = ALGORITHMS[AlgorithmId.HMAC_SHA256]
    if len(mac) != algorithm.signature_bytes:
        raise SignatureInvalidError(f"a MAC has {algorithm.signature_bytes} bytes, not {len(mac)}")
    try:
        answer = calls.call("VerifyMac", {**_request(algorithm, key_id), "Message": digest, "Mac": mac})
    except SignerError as error:
        if error.reason == causes.WRONG_SIGNATURE.reason:
            raise SignatureInvalidError("KMS says that the MAC is not this key's over this digest") from error
        raise
    if answer.values.get("MacValid") is not True:
        raise from_cause("VerifyMac", causes.MALFORMED, request_id=answer.request_id)


def check_key_id(text: str) -> str:
    """The key id, if it has the form of one; the text is not repeated, since it may be a secret put there by mistake.

    Raises:
        ConfigError: it has not.
    """
    if not _KEY_ID.fullmatch(text):
        raise ConfigError("the KMS key id is none: give a key id, a key ARN, an alias name (alias/…) or an alias ARN")
    return text


def _request(algorithm: Algorithm, key_id: str) -> dict[str, Any]:
    if algorithm.is_mac:
        return {"KeyId": key_id, "MacAlgorithm": algorithm.kms_signing_algorithm}
    return {
        "KeyId": key_id,
        "SigningAlgorithm": algorithm.kms_signing_algorithm,
        "MessageType": algorithm.kms_message_type,
    }
