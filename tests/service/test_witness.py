"""A witness over real HTTP: what it cosigns, what it refuses, and how a log collects a quorum."""

from __future__ import annotations

import http.client
import sqlite3
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from auditseal.adapters.signers.local import LocalSigner
from auditseal.adapters.witnesses.http import HttpWitness
from auditseal.adapters.witnesses.sqlite import SqliteWitnessStore
from auditseal.config import load_settings
from auditseal.core.checkpoint import Checkpoint
from auditseal.core.log_keys import note_key_of
from auditseal.core.merkle_proof import consistency_proof
from auditseal.core.note import NoteSignature, parse_signatures
from auditseal.core.note_key import parse_vkey, verifier_for
from auditseal.core.witness_policy import parse_policy
from auditseal.core.witness_rules import AddCheckpoint, StaleError, format_add_checkpoint
from auditseal.errors import (
    ConfigError,
    InputError,
    NotFoundError,
    PolicyNotMetError,
    RejectedError,
    SignerError,
    StoreError,
)
from auditseal.service.cosign import Cosigner
from auditseal.service.witness import Witness, witness_key
from auditseal.wiring.witnessing import load_log_keys, serve_witness, witness_vkey
from support.evidence import LOG, Key, SmallLog
from support.logs import opened_log, signer_of

KEY = Key("audit-2026")
WITNESS = Key("witness-2026")
NAME = "witness.example/w1"
SMALL = SmallLog().append(*({"n": number} for number in range(9)))
OTHER = SmallLog().append(*({"other": number} for number in range(9)))


def request(old: int, size: int, *, log: SmallLog = SMALL, key: Key = KEY, proof=None) -> bytes:
    made = consistency_proof(old, size, log.read_node) if proof is None else proof
    return format_add_checkpoint(AddCheckpoint(old_size=old, proof=tuple(made), note=log.note(key, size=size)))


@dataclass
class Running:
    url: str
    vkey: str
    state: Path

    def post(self, body: bytes, path: str = "/w1/add-checkpoint") -> tuple[int, str, bytes]:
        host = self.url.removeprefix("http://").partition("/")[0]
        connection = http.client.HTTPConnection(host, timeout=20)
        connection.request("POST", path, body=body)
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        return answer.status, answer.headers["Content-Type"], content

    def client(self, name: str = "w1") -> HttpWitness:
        return HttpWitness(name=name, url=self.url)

    def policy(self, rest: str = "quorum w1"):
        return parse_policy(f"witness w1 {self.vkey} {self.url}\n{rest}\n")


@contextmanager
def running(folder: Path, key: Key = WITNESS, *, name: str = NAME) -> Iterator[Running]:
    folder.mkdir(exist_ok=True)
    pem = folder / "witness.pem"
    pem.write_bytes(key.private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    pem.chmod(0o600)
    settings = load_settings({"key_path": pem, "signer_id": key.signer_id}, environment={}, folder=folder).settings
    logs = folder / "logs.txt"
    streams = ("main", "auditseal/heads")
    logs.write_text(
        "# ours\n" + "".join(f"{note_key_of(KEY.registered, f'{LOG}/{stream}').vkey()}\n" for stream in streams)
    )
    state = folder / "witness.db"
    with serve_witness(settings, name=name, logs=logs, state=state, host="127.0.0.1", port=0, prefix="/w1") as served:
        served.server.install_signal_handlers = lambda: None
        thread = threading.Thread(target=served.run)
        thread.start()
        try:
            yield Running(url=served.url, vkey=witness_vkey(settings, name), state=state)
        finally:
            served.server.should_exit = True
            thread.join()
            served.listening.close()


@pytest.fixture
def witness(tmp_path) -> Iterator[Running]:
    with running(tmp_path / "w") as each:
        yield each


def test_it_cosigns_what_extends_what_it_saw(witness):
    verifier = verifier_for(parse_vkey(witness.vkey))
    for old, size in ((0, 3), (3, 3), (3, 8), (8, 9), (9, 9)):
        status, type_, content = witness.post(request(old, size))
        assert status == 200
        assert type_.startswith("text/plain")
        (line,) = parse_signatures(content.decode())
        assert (line.name, line.key_id) == (NAME, parse_vkey(witness.vkey).key_id)
        verifier.check(SMALL.note(KEY, size=size).text, line.signature)


def test_each_refusal_has_the_status_of_the_specification(witness):
    assert witness.post(request(0, 3))[0] == 200
    assert witness.post(request(0, 5)) == (409, "text/x.tlog.size", b"3\n")
    assert witness.post(request(4, 5)) == (409, "text/x.tlog.size", b"3\n")
    foreign = SmallLog("elsewhere").append({"n": 1})
    for body, status in (
        (b"", 400),
        (b"old 3\n\nrubbish", 400),
        (request(3, 5).replace(b"old 3", b"old 6"), 400),
        (request(0, 1, log=foreign), 404),
        (request(3, 5, key=Key("stranger")), 403),
        (request(3, 5, log=OTHER), 422),
        (request(3, 3, log=OTHER), 422),
        (request(3, 5, proof=()), 422),
        (request(3, 3, proof=[bytes(32)]), 422),
        (b"x" * (3 * 1024 * 1024), 413),
    ):
        found, type_, content = witness.post(body)
        assert found == status, content
        assert type_.startswith("text/plain")
        assert content.count(b"\n") == 1
    assert witness.post(request(3, 5), path="/w1/other")[0] == 404
    assert witness.post(request(3, 5))[0] == 200


def test_a_wrong_signature_of_a_trusted_key_is_refused(witness):
    note = SMALL.note(KEY, size=3)
    line = note.signatures[0]
    wrong = NoteSignature(name=line.name, key_id=line.key_id, signature=bytes(64))
    body = format_add_checkpoint(
        AddCheckpoint(old_size=0, proof=(), note=type(note)(text=note.text, signatures=(wrong,)))
    )
    assert witness.post(body)[0] == 403


def test_of_requests_that_come_at_once_it_never_cosigns_two_views(witness):
    bodies = [request(0, 5), request(0, 5, log=OTHER)] * 8
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(witness.post, bodies))
    texts = {
        log.note(KEY, size=5).text
        for log, good in ((SMALL, answers[0::2]), (OTHER, answers[1::2]))
        if any(answer[0] == 200 for answer in good)
    }
    assert len(texts) == 1
    assert {answer[0] for answer in answers} <= {200, 409, 422}


def test_what_it_cosigned_is_kept_over_a_restart_and_in_the_file_itself(tmp_path):
    with running(tmp_path / "w") as first:
        assert first.post(request(0, 5))[0] == 200
    with running(tmp_path / "w") as second:
        assert second.post(request(0, 5, log=OTHER))[0] == 409
        assert second.post(request(5, 9))[0] == 200
        connection = sqlite3.connect(second.state)
        for statement in ("UPDATE cosigned SET size = 1", "DELETE FROM cosigned", "UPDATE cosigned SET root = x'00'"):
            with pytest.raises(sqlite3.IntegrityError):
                connection.execute(statement)
        connection.close()


def test_compare_and_store_lets_one_of_two_through(tmp_path):
    one, two = SqliteWitnessStore(tmp_path / "w.db"), SqliteWitnessStore(tmp_path / "w.db")
    first = Checkpoint(origin="o", size=3, root=bytes(32))
    second = Checkpoint(origin="o", size=5, root=bytes(32))
    assert one.last("o") is None
    assert one.advance("o", None, first)
    assert not two.advance("o", None, second)
    assert two.advance("o", first, second)
    assert not one.advance("o", first, second)
    assert one.last("o") == second
    one.close()
    two.close()


def test_a_witness_needs_a_cosigner_s_key_and_logs(tmp_path):
    store = SqliteWitnessStore(tmp_path / "w.db")
    curve = LocalSigner(signer_id="x", key=ec.generate_private_key(ec.SECP256R1()))
    with pytest.raises(ConfigError):
        witness_key(curve, NAME)
    with pytest.raises(ConfigError):
        Witness(store, signer_of(WITNESS), name=NAME, logs=[])
    with pytest.raises(InputError):
        witness_key(signer_of(WITNESS), "a name with spaces")
    store.close()
    with pytest.raises(NotFoundError):
        load_log_keys(tmp_path / "missing")
    (tmp_path / "empty").write_text("# nothing\n")
    with pytest.raises(ConfigError):
        load_log_keys(tmp_path / "empty")
    (tmp_path / "bad").write_text("rubbish\n")
    with pytest.raises(InputError, match="bad:1"):
        load_log_keys(tmp_path / "bad")
    with pytest.raises(StoreError):
        SqliteWitnessStore(tmp_path / "no" / "w.db")


def collecting(policy, clients, **how):
    return lambda store: Cosigner(store, policy, clients, **how)


def test_a_log_s_checkpoints_are_cosigned_and_say_so(tmp_path, witness):
    with opened_log(
        tmp_path / "a.db", KEY, background=False, cosigner_for=collecting(witness.policy(), [witness.client()])
    ) as opened:
        for _ in range(3):
            opened.events(3, ack="durable")
            (made,) = opened.checkpointer.create(["main"])
            assert len(made.signatures) == 2
            assert opened.store.last_checkpoint("main") == made
            witness.policy().require(made.note())


def test_a_log_that_the_witness_saw_further_sends_a_proof_from_there(tmp_path, witness):
    policy = witness.policy()
    for _ in range(2):  # a new process each time, which does not remember what the witness saw
        with opened_log(
            tmp_path / "a.db", KEY, background=False, cosigner_for=collecting(policy, [witness.client()])
        ) as opened:
            opened.events(3, ack="durable")
            (made,) = opened.checkpointer.create(["main"])
            policy.require(made.note())


def test_many_streams_are_cosigned_at_once(tmp_path, witness):
    with opened_log(
        tmp_path / "a.db", KEY, background=False, cosigner_for=collecting(witness.policy(), [witness.client()])
    ) as opened:
        for stream in ("a", "b"):
            opened.events(1, stream=stream, ack="durable")
        made = opened.checkpointer.create(["a", "b"])
        witness.policy().require(made[-1].note())


def test_a_missing_witness_blocks_unless_fail_open_is_asked_for_by_name(tmp_path, witness):
    silent = HttpWitness(name="w1", url="http://127.0.0.1:9/")
    policy = witness.policy()
    how = collecting(policy, [silent], timeout_s=0.5)
    with opened_log(tmp_path / "a.db", KEY, background=False, cosigner_for=how) as opened:
        opened.events(1, ack="durable")
        with pytest.raises(PolicyNotMetError) as refused:
            opened.checkpointer.create(["main"])
        assert refused.value.missing == ("w1",)
        assert "does not answer" in str(refused.value)
    how = collecting(policy, [silent], timeout_s=0.5, on_missing="fail-open")
    with opened_log(tmp_path / "b.db", KEY, background=False, cosigner_for=how) as opened:
        opened.events(1, ack="durable")
        (made,) = opened.checkpointer.create(["main"])
        assert len(made.signatures) == 1
        with pytest.raises(PolicyNotMetError):
            policy.require(made.note())


def test_while_the_quorum_is_missing_nothing_is_acknowledged_as_signed(tmp_path, witness):
    silent = HttpWitness(name="w1", url="http://127.0.0.1:9/")
    how = collecting(witness.policy(), [silent], timeout_s=0.2)
    with opened_log(tmp_path / "a.db", KEY, cosigner_for=how) as opened:
        assert opened.log.append("test.event", {}, stream="main").status == "pending"
        assert opened.log.outage is not None
        assert opened.log.outage.reason == "witnesses"


def test_a_quorum_does_not_wait_for_those_who_are_not_needed(tmp_path, witness):
    """With a time limit far beyond the test's patience, the answer of one must be enough."""
    hanging = threading.Event()

    class Hanging:
        name = "w2"

        def add_checkpoint(self, body: bytes, *, timeout_s: float) -> bytes:
            hanging.wait()
            raise SignerError("late", reason="unreachable")

    other = Key("other")
    vkey = witness_key(signer_of(other), "other.example/w").vkey()
    policy = parse_policy(f"witness w1 {witness.vkey}\nwitness w2 {vkey}\ngroup g any w1 w2\nquorum g\n")
    how = collecting(policy, [witness.client(), Hanging()], timeout_s=600)
    with opened_log(tmp_path / "a.db", KEY, background=False, cosigner_for=how) as opened:
        opened.events(1, ack="durable")
        (made,) = opened.checkpointer.create(["main"])
        assert len(made.signatures) == 2
        hanging.set()


class Answering:
    """A witness that answers as it is told."""

    name = "w1"

    def __init__(self, answer) -> None:
        self._answer = answer

    def add_checkpoint(self, body: bytes, *, timeout_s: float) -> bytes:
        if isinstance(self._answer, Exception):
            raise self._answer
        return self._answer


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"rubbish\n",
        NoteSignature(name="stranger", key_id=b"1234", signature=b"5" * 72).line().encode(),
        StaleError(10**9),
        StaleError(1),
        RejectedError("no"),
    ],
)
def test_an_answer_that_is_no_cosignature_counts_as_missing(tmp_path, witness, answer):
    how = collecting(witness.policy(), [Answering(answer)])
    with opened_log(tmp_path / "a.db", KEY, background=False, cosigner_for=how) as opened:
        opened.events(2, ack="durable")
        with pytest.raises(PolicyNotMetError):
            opened.checkpointer.create(["main"])
        last = opened.store.last_checkpoint("main")
        assert last is not None
        assert len(last.signatures) == 1


def test_a_line_in_the_witness_s_name_that_does_not_verify_counts_as_missing(tmp_path, witness):
    key = parse_vkey(witness.vkey)
    line = NoteSignature(name=key.name, key_id=key.key_id, signature=(1).to_bytes(8, "big") + bytes(64))
    how = collecting(witness.policy(), [Answering(line.line().encode())])
    with opened_log(tmp_path / "a.db", KEY, background=False, cosigner_for=how) as opened:
        opened.events(2, ack="durable")
        with pytest.raises(PolicyNotMetError):
            opened.checkpointer.create(["main"])


def test_the_client_turns_every_answer_into_our_words(witness):
    client = witness.client()
    assert parse_signatures(client.add_checkpoint(request(0, 3), timeout_s=10).decode())
    with pytest.raises(StaleError) as stale:
        client.add_checkpoint(request(0, 5), timeout_s=10)
    assert stale.value.size == 3
    with pytest.raises(RejectedError):
        client.add_checkpoint(request(3, 5, log=OTHER), timeout_s=10)
    with pytest.raises(SignerError):
        HttpWitness(name="x", url="http://127.0.0.1:9").add_checkpoint(b"", timeout_s=1)
    for url in ("ftp://x", "http://", "https://x/?q", "x"):
        with pytest.raises(InputError):
            HttpWitness(name="x", url=url)
