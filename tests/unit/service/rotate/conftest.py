"""One fake KMS for all tests of a module, empty at the start of each: opening calls to it costs more than a test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from fakes.kms import FakeKms


@pytest.fixture(scope="module")
def module_kms() -> Iterator[FakeKms]:
    with FakeKms() as running:
        yield running


@pytest.fixture
def kms(module_kms: FakeKms) -> FakeKms:
    """The fake without keys, aliases or records."""
    module_kms.service.store.keys.clear()
    module_kms.service.store.aliases.clear()
    module_kms.service.forget_records()
    return module_kms
