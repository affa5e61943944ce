"""The commands of docs/how-to/reconcile.md, run on a trail and a log like those that it speaks of."""

import re
import shlex
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa

from auditseal.adapters.registry_file import save_registry
from auditseal.adapters.stores.sqlite.store import SqliteStore
from auditseal.cli import entry
from auditseal.core.account import AccountCode, Kind
from auditseal.core.algorithm import ALGORITHMS, AlgorithmId
from auditseal.core.chain import Head, extend
from auditseal.core.cloudtrail_changes import KEY_CHANGES
from auditseal.core.draft import Limits, make_draft
from auditseal.core.entry import StoredSignature
from auditseal.core.event import Event, StreamName
from auditseal.core.key import parse_public_key, to_pem
from auditseal.core.registry import RegisteredSigner, Registry
from auditseal.core.times import Micros, format_time
from auditseal.ports import NewSignature
from auditseal.wiring import accounting
from support.trail import KEY_ARN, START, Bucket, sign_record, uuid_of

ROOT = Path(__file__).resolve().parents[2]
HOUR_S = 3600
COUNT = 60


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(accounting, "now_micros", lambda: Micros((START + 5 * HOUR_S) * 1_000_000))
    key = ed25519.Ed25519PrivateKey.generate()
    signer = RegisteredSigner(
        signer_id="audit-2026",
        algorithm=ALGORITHMS[AlgorithmId.ED25519],
        public_key=parse_public_key(to_pem(key.public_key())),
        key_arn=KEY_ARN,
    )
    save_registry(tmp_path / "signers.json", Registry(signers=(signer,)))
    make_log(f"sqlite:///{tmp_path}/audit.db", key)
    bucket = Bucket(folder=tmp_path / "cloudtrail", key=rsa.generate_private_key(public_exponent=65537, key_size=2048))
    listed = [bucket.add_log([sign_record(START + n * 60, n) for n in range(COUNT)], START + HOUR_S)]
    for hour in range(4):
        last = bucket.add_digest(listed, START + hour * HOUR_S, START + (hour + 1) * HOUR_S)
        listed = []
    bucket.put_signature_beside(last)
    (tmp_path / "cloudtrail-keys.json").write_bytes(bucket.public_keys())
    return tmp_path


def make_log(address, key):
    SqliteStore.create(address)
    store = SqliteStore(address)
    head = Head(stream=StreamName("default"))
    for number in range(COUNT):
        draft = make_draft(Event(type="agent.spawned", payload={}), new_id=uuid_of(number, 3), limits=Limits())
        (made,) = extend(head, [draft], Micros((START + number * 60) * 1_000_000))
        head = Head(stream=made.stream, seq=made.seq, hash=made.hash, time=made.time)
        signature = StoredSignature(
            signer="audit-2026",
            algorithm="ed25519",
            signature=key.sign(made.hash),
            entry_hash=made.hash,
            request_id=uuid_of(number, 1),
            signed_at=format_time(Micros((START + number * 60 + 1) * 1_000_000)),
        )
        store.insert([made], [NewSignature(stream=made.stream, seq=made.seq, signature=signature)])
    store.close()


def test_the_page_s_commands_run(folder):
    page = (ROOT / "docs" / "how-to" / "reconcile.md").read_text()
    blocks = re.findall(r"^```console\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    commands = [shlex.split(line)[2:] for block in blocks for line in block.splitlines() if line.startswith("$ ")]
    assert [command[0] for command in commands] == ["reconcile", "verify"]
    for command in [commands[0], *commands]:  # the first one twice: it resumes
        assert entry.run(command) == 0, command


def test_every_finding_and_every_watched_change_stands_in_the_specification():
    page = (ROOT / "docs" / "spec" / "reconciliation.md").read_text()
    codes = {str(code) for code in AccountCode} - {"unexpected-algorithm", "unexpected-region"}  # told as endings
    assert [name for name in (*codes, *Kind, *KEY_CHANGES) if name not in page and "Alias" not in name] == []
