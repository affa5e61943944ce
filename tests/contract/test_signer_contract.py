"""What every signer does: local keys, AWS KMS through both transports, against the emulator and the strict fake."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from auditseal.errors import InputError, SignerError
from auditseal.ports import Signer
from contract.signer_subjects import Case, Subject, all_cases, kms_subject, local_subject
from fakes.kms import FakeKms
from support.signatures import OPENSSL_KNOWS, openssl_accepts

DIGEST = hashlib.sha256(b"an entry").digest()
OTHER_DIGEST = hashlib.sha256(b"another entry").digest()
_CASES = all_cases()


@pytest.fixture(scope="module")
def fake() -> Iterator[FakeKms]:
    with FakeKms() as running:
        yield running


@pytest.fixture(scope="module", params=_CASES, ids=str)
def subject(request: pytest.FixtureRequest) -> Subject:
    case: Case = request.param
    if case.where == "local":
        return local_subject(case.algorithm)
    server = request.getfixturevalue("fake" if case.where == "fake" else "emulator")
    return kms_subject(case, server.url)


@pytest.fixture(scope="module")
def signer(subject: Subject) -> Iterator[Signer]:
    made = subject.make()
    yield made
    made.close()


def test_another_party_accepts_its_signature(signer: Signer, subject: Subject):
    signer.start()
    signature = signer.sign(DIGEST).signature
    assert subject.accepts(signature, DIGEST)
    assert not subject.accepts(signature, OTHER_DIGEST)


def test_its_signature_has_the_length_of_the_algorithm(signer: Signer):
    assert signer.algorithm.signature_bytes in {None, len(signer.sign(DIGEST).signature)}


def test_it_says_its_name_and_how_many_calls_it_takes_at_once(signer: Signer, subject: Subject):
    assert (signer.signer_id, signer.algorithm) == ("contract", subject.algorithm)
    assert signer.concurrency == (50 if subject.is_kms else 1)


def test_a_kms_gives_the_request_id_and_a_local_key_has_none(signer: Signer, subject: Subject):
    assert bool(signer.sign(DIGEST).request_id) == subject.is_kms


def test_a_local_key_says_that_it_is_for_development(signer: Signer, subject: Subject):
    assert signer.development is not subject.is_kms


def test_it_signs_from_many_threads_at_once(signer: Signer, subject: Subject):
    digests = [hashlib.sha256(bytes([number])).digest() for number in range(24)]
    with ThreadPoolExecutor(12) as pool:
        signed = list(pool.map(signer.sign, digests))
    assert all(subject.accepts(each.signature, digest) for each, digest in zip(signed, digests, strict=True))


@pytest.mark.parametrize("wrong", [b"", DIGEST[:-1], DIGEST + b"\0"])
def test_it_takes_nothing_but_32_bytes(signer: Signer, wrong: bytes):
    with pytest.raises(InputError, match="32 bytes"):
        signer.sign(wrong)


def test_openssl_accepts_its_signature(signer: Signer, subject: Subject, tmp_path):
    algorithm = subject.algorithm.id
    signature = signer.sign(DIGEST).signature
    if algorithm in OPENSSL_KNOWS:
        assert openssl_accepts(algorithm, subject.der, DIGEST, signature, tmp_path)
        assert not openssl_accepts(algorithm, subject.der, OTHER_DIGEST, signature, tmp_path)
    else:
        assert algorithm.startswith(("ml-dsa", "hmac"))


def test_it_signs_without_having_been_started_and_not_after_it_was_closed(subject: Subject):
    signer = subject.make()
    assert subject.accepts(signer.sign(DIGEST).signature, DIGEST)
    signer.start()
    signer.close()
    signer.close()
    with pytest.raises(SignerError) as caught:
        signer.sign(DIGEST)
    assert caught.value.reason == "closed"
