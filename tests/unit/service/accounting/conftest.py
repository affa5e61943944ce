"""A log signed by the strict fake KMS, and the records that the fake writes of it in CloudTrail's documented shape."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from auditseal.adapters.registry_file import save_registry
from auditseal.adapters.signers.aws_kms import KmsSigner
from auditseal.cli.entry import run
from auditseal.core.algorithm import ALGORITHMS, AlgorithmId
from auditseal.core.key import parse_public_key
from auditseal.core.registry import RegisteredSigner, Registry
from auditseal.core.times import Micros
from auditseal.service.ids import now_micros
from auditseal.wiring import accounting
from auditseal.wiring.logs import open_log
from fakes.kms.principals import Principal
from support.kms import calls_to

SIGNER_ROLE = "arn:aws:iam::111122223333:role/agent-manager"
_SPECS = {AlgorithmId.ED25519: "ECC_NIST_EDWARDS25519", AlgorithmId.ECDSA_P256_SHA256: "ECC_NIST_P256"}


@dataclass
class World:
    """A KMS with keys, a log, its registry, and the trail."""

    kms: Any
    folder: Path
    capsys: Any
    registry: Registry = field(default_factory=Registry)
    keys: dict[str, Any] = field(default_factory=dict)

    @property
    def log(self) -> str:
        return f"sqlite:///{self.folder}/audit.db"

    def add_key(self, signer_id: str, algorithm: AlgorithmId = AlgorithmId.ED25519) -> Any:
        if algorithm is AlgorithmId.HMAC_SHA256:
            key = self.kms.create("HMAC_256", alias=f"alias/{signer_id}")
            public = None
        else:
            key = self.kms.create(_SPECS[algorithm], alias=f"alias/{signer_id}")
            public = parse_public_key(key.public_der())
        signer = RegisteredSigner(
            signer_id=signer_id, algorithm=ALGORITHMS[algorithm], public_key=public, key_arn=key.arn
        )
        self.registry = self.registry.with_signer(signer)
        save_registry(self.folder / "signers.json", self.registry)
        self.keys[signer_id] = key
        return key

    def signer(self, signer_id: str = "audit-2026") -> KmsSigner:
        found = self.registry.find(signer_id)
        calls = calls_to(self.kms)
        return KmsSigner(signer_id=signer_id, algorithm=found.algorithm, key_id=f"alias/{signer_id}", calls=calls)

    def append(
        self, count: int = 24, *, signer_id: str = "audit-2026", stream: str = "default", ack: str = "signed"
    ) -> None:
        with open_log(self.log, signer=self.signer(signer_id), create=True) as log:
            for number in range(count):
                log.append("agent.spawned", {"n": number}, stream=stream, ack=ack)

    def sign_elsewhere(self, key: Any) -> None:
        """A call that no log holds, by whoever the environment says."""
        calls = calls_to(self.kms)
        request = {"KeyId": key.arn, "SigningAlgorithm": "ED25519_SHA_512", "MessageType": "RAW"}
        calls.call("Sign", {**request, "Message": b"x" * 32})
        calls.close()

    def reconcile(self, *arguments: str, log: str | None = None, form: str = "json") -> tuple[int, Any]:
        """Exit code and report."""
        (self.folder / "trail.json").write_text(json.dumps({"Records": self.kms.records()}))
        self.capsys.readouterr()
        code = run([*self.command(log), "-o", form, *arguments])
        said = self.capsys.readouterr().out
        return code, json.loads(said) if form == "json" else said

    def command(self, log: str | None = None) -> list[str]:
        return [
            "reconcile",
            *("--log", log or self.log, "--signers", str(self.folder / "signers.json")),
            *("--trail", str(self.folder / "trail.json"), "--principal", SIGNER_ROLE),
            *("--settle", "0s", "--without-digests"),
        ]


@pytest.fixture
def world(kms, tmp_path, monkeypatch, capsys):
    kms.service.principals.add(Principal(access_key="ASIASIGNER0000000001", name="agent-manager"))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "ASIASIGNER0000000001")
    # CloudTrail's times have whole seconds, and a window ends before its last one: two seconds later all is within.
    monkeypatch.setattr(accounting, "now_micros", lambda: Micros(now_micros() + 2_000_000))
    made = World(kms=kms, folder=tmp_path, capsys=capsys)
    made.add_key("audit-2026")
    return made


def codes(report):
    return [(finding["code"], finding["kind"]) for finding in report["findings"] if finding["severity"] != "note"]
