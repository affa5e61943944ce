"""The demonstration's steps: keys, events, verification, a second opinion, tampering.

Each step returns what it found; showing it is the command's matter.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from auditseal.adapters.registry_file import load_registry, update_registry
from auditseal.adapters.stores.sqlite.store import SqliteStore
from auditseal.cli.demo.agents import lives
from auditseal.cli.demo.openssl import find_openssl, openssl_accepts
from auditseal.cli.demo.tampering import CUT_OFF, TAMPERINGS, copy_and_tamper
from auditseal.config import Settings
from auditseal.core.algorithm import ALGORITHMS, AlgorithmId
from auditseal.core.key import parse_public_key
from auditseal.core.registry import RegisteredSigner
from auditseal.core.report import Code, Report, Verdict
from auditseal.core.validity import Bound
from auditseal.wiring import signing
from auditseal.wiring.evidence import Evidence
from auditseal.wiring.logs import open_log
from auditseal.wiring.verifying import Registry, verify

YEAR: Final = "demo"
TAMPERED: Final = "ed25519"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """A stream of the demonstration: its algorithm, its key's alias, how many events."""

    name: str
    algorithm: AlgorithmId
    alias: str
    events: int

    @property
    def signer_id(self) -> str:
        """The signer's name in signers.json."""
        return f"{self.name}-{YEAR}"


STREAMS: Final = (
    Stream(name="rsa", algorithm=AlgorithmId.RSA_SHA256, alias="alias/demo-rsa", events=212),
    Stream(name="rsa-pss", algorithm=AlgorithmId.RSA_PSS_SHA256, alias="alias/demo-rsa", events=208),
    Stream(name="ecdsa", algorithm=AlgorithmId.ECDSA_P256_SHA256, alias="alias/demo-p256", events=204),
    Stream(name="ed25519", algorithm=AlgorithmId.ED25519, alias="alias/demo-ed25519", events=215),
    Stream(name="hmac", algorithm=AlgorithmId.HMAC_SHA256, alias="alias/demo-hmac", events=201),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """One stream's outcome: how many entries KMS signed, in which time, and what verification says of them."""

    stream: Stream
    signed: int
    seconds: float
    report: Report


@dataclass(frozen=True, slots=True, kw_only=True)
class Caught:
    """One tampering's outcome."""

    what: str
    report: Report
    found: tuple[Code, ...]
    seq: int | None
    as_expected: bool


class Story:
    """The demonstration in one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.log = folder / "audit.db"
        self.signers = folder / "signers.json"
        self.address = f"sqlite:///{self.log}"

    def make_keys(self) -> int:
        """Makes the keys in KMS and exports them to signers.json; how many keys."""
        aliases: dict[str, str] = {}
        keys = signing.open_keys(Settings())
        try:
            for stream in STREAMS:
                algorithm = ALGORITHMS[stream.algorithm]
                if stream.alias not in aliases:
                    aliases[stream.alias] = keys.create_key(algorithm, alias=stream.alias).arn
                arn = aliases[stream.alias]
                public_key = None if algorithm.is_mac else parse_public_key(keys.export_public_key(arn).der)
                signer = RegisteredSigner(
                    signer_id=stream.signer_id, algorithm=algorithm, public_key=public_key, key_arn=arn
                )
                self._add(signer)
        finally:
            keys.close()
        SqliteStore.create(self.address)
        return len(aliases)

    def record(self, stream: Stream) -> Recorded:
        """Appends the stream's events, signed through KMS, and verifies them: offline, but for a MAC."""
        started = time.monotonic()
        with open_log(
            self.address, signers=self.signers, kms_key_id=stream.alias, signer_id=stream.signer_id, require_kms=True
        ) as log:
            receipts = log.append_many(lives(stream.name, stream.events))
        seconds = time.monotonic() - started
        is_mac = stream.algorithm is AlgorithmId.HMAC_SHA256
        report = verify(self.address, self.signers, streams=[stream.name], ask_kms=is_mac)
        return Recorded(
            stream=stream,
            signed=sum(receipt.status == "signed" for receipt in receipts),
            seconds=seconds,
            report=report,
        )

    def ask_openssl(self, seq: int) -> dict[str, bool] | None:
        """By stream, whether the openssl command agrees with a signature; None where there is no such command."""
        openssl = find_openssl()
        if openssl is None:
            return None
        registry = load_registry(self.signers)
        store = SqliteStore(self.address, read_only=True)
        agreed = {}
        try:
            for stream in ("ed25519", "rsa"):
                entry, signer = store.entry(stream, seq), registry.find(f"{stream}-{YEAR}")
                assert entry is not None
                assert signer is not None
                agreed[stream] = openssl_accepts(openssl, entry, signer, self.folder / "openssl" / stream)
        finally:
            store.close()
        return agreed

    def tamper(self) -> Iterator[Caught]:
        """Tampers with copies of the log, one way each, and verifies them."""
        copy = self.folder / "tampered.db"
        registry = Registry.load(self.signers)
        for tampering in TAMPERINGS:
            copy.unlink(missing_ok=True)
            copy_and_tamper(self.log, copy, tampering, TAMPERED)
            report = verify(f"sqlite:///{copy}", registry, streams=[TAMPERED])
            yield _judge(tampering.what.format(stream=TAMPERED), report, tampering.codes, tampering.seq)
        yield self._cut_off(copy, registry)
        copy.unlink(missing_ok=True)
        yield self._outlived_key(registry)

    def _cut_off(self, copy: Path, registry: Registry) -> Caught:
        """The end of the log taken away: the verifier remembers that it was there."""
        memory = Evidence(state=self.folder / "state.json")
        verify(self.address, registry, streams=[TAMPERED], evidence=memory)
        copy.unlink(missing_ok=True)
        copy_and_tamper(self.log, copy, CUT_OFF, TAMPERED)
        report = verify(f"sqlite:///{copy}", registry, streams=[TAMPERED], evidence=memory)
        return _judge(CUT_OFF.what.format(stream=TAMPERED), report, CUT_OFF.codes, CUT_OFF.seq)

    def _outlived_key(self, registry: Registry) -> Caught:
        """A key that goes on signing after its time: here its time is what is changed."""
        ended = registry.with_changed(f"{TAMPERED}-{YEAR}", valid_until=Bound(seq={TAMPERED: 120}))
        report = verify(self.address, ended, streams=[TAMPERED])
        return _judge(f"{TAMPERED} key used past #119, its last", report, (Code.SIGNER_NOT_VALID_HERE,), 120)

    def _add(self, signer: RegisteredSigner) -> None:
        update_registry(self.signers, lambda registry: registry.with_signer(replace(signer)), create=True)


def _judge(what: str, report: Report, codes: tuple[Code, ...], seq: int | None) -> Caught:
    found = tuple(dict.fromkeys(finding.code for finding in report.findings))
    named = any(finding.code is codes[0] and finding.seq == seq for finding in report.findings)
    return Caught(
        what=what,
        report=report,
        found=tuple(sorted(found, key=lambda code: (code not in codes, codes.index(code) if code in codes else 0))),
        seq=seq,
        as_expected=report.verdict is not Verdict.VALID and named and set(found) == set(codes),
    )
