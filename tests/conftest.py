"""Fixtures that all tests share: the emulator, the fake KMS, and an environment without anybody's AWS settings."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator

import pytest
from emulator import Emulator, running_emulator

from fakes.kms import FakeKms
from support.postgres_server import PostgresServer, running_postgres

_OURS = ("AUDIT", "REQUIRE_KMS", "DATABASE_URL")
_NETWORK = {"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "REQUESTS_CA_BUNDLE"}


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """What a test printed or logged may be no text that can be sent to another process, such as half a character."""
    report = yield
    report.sections = [(title, text.encode(errors="backslashreplace").decode()) for title, text in report.sections]
    return report


@pytest.fixture(autouse=True, scope="session")
def aws_environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Leaves no setting of this machine in force, and gives credentials that mean nothing outside."""
    nowhere = str(tmp_path_factory.getbasetemp() / "no-such-file")
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name.startswith(("AWS_", *_OURS)) or name.upper() in _NETWORK:
                patch.delenv(name)
        patch.setenv("AWS_CONFIG_FILE", nowhere)
        patch.setenv("AWS_SHARED_CREDENTIALS_FILE", nowhere)
        patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        patch.setenv("AWS_ACCESS_KEY_ID", "AKIATESTSIGNER000001")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "a-secret-of-the-tests")
        yield


@pytest.fixture(scope="session")
def emulator() -> Iterator[Emulator]:
    """One ministack for all tests that ask for it."""
    with running_emulator() as running:
        yield running


@pytest.fixture(scope="session")
def strict_emulator() -> Iterator[Emulator]:
    """One ministack that enforces IAM and key policies."""
    with running_emulator({"AUTH": "true"}) as running:
        yield running


@pytest.fixture
def kms() -> Iterator[FakeKms]:
    """A fake KMS of the test's own, without faults."""
    with FakeKms() as running:
        yield running


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """One PostgreSQL server for all tests that ask for it."""
    with running_postgres() as running:
        yield running
