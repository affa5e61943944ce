"""Calls to a fake KMS that fail fast and do not pause."""

from __future__ import annotations

import functools

from auditseal.adapters.signers.kms_calls import KmsCalls
from auditseal.adapters.signers.kms_open import KmsSettings, open_kms
from auditseal.adapters.signers.kms_retry import RetryRules
from fakes.kms import FakeKms


def calls_to(kms: FakeKms, *, transport: str = "auto", concurrency: int = 50, **rules: object) -> KmsCalls:
    """Calls with an attempt timeout of a second and no pauses, unless the rules say otherwise."""
    settings = KmsSettings(region=kms.region, endpoint_url=kms.url, transport=transport, concurrency=concurrency)
    members = {"attempt_timeout_s": 1.0, "deadline_s": 10.0, "sleep": lambda _: None, **rules}
    return open_kms(settings, rules=RetryRules(**members))


def open_calls_to(url: str, region: str) -> KmsCalls:
    """Calls to a KMS at an address, which may be the fake or the emulator, with pauses between attempts."""
    return open_kms(KmsSettings(region=region, endpoint_url=url, concurrency=8))


class _Shared:
    """Calls that many share: closing them once does not end the others'."""

    def __init__(self, calls: KmsCalls) -> None:
        self._calls = calls

    def __getattr__(self, name: str) -> object:
        return getattr(self._calls, name)

    def close(self) -> None:
        pass


@functools.cache
def shared_calls_to(url: str, region: str) -> KmsCalls:
    """As `open_calls_to`, the same ones each time, since opening them costs most of a short test.

    A process that forks may open them first, and not call: connections are made by the first calls.
    """
    return _Shared(open_calls_to(url, region))
