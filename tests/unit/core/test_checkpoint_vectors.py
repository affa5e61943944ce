"""The worked example of docs/spec/checkpoint.md: recomputed without this package, by it, and as the page has it."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519

from auditseal.core.chain import entry_hash
from auditseal.core.checkpoint import parse_checkpoint
from auditseal.core.merkle import leaf_hashes, root_of
from auditseal.core.merkle_proof import verify_consistency, verify_inclusion
from auditseal.core.note import Note, format_note, parse_note, verify_note
from auditseal.core.note_key import parse_vkey, signed_by, to_sign, verifier_for
from auditseal.core.tlog_proof import TlogProof, format_tlog_proof
from support.vectors import load_vectors

VECTOR = load_vectors("checkpoint")
SPEC = Path(__file__).parents[3] / "docs" / "spec"
KEYS = [
    ed25519.Ed25519PrivateKey.from_private_bytes(bytes.fromhex(VECTOR[name])) for name in ("log_seed", "witness_seed")
]


def sha256(octets: bytes) -> bytes:
    return hashlib.sha256(octets).digest()


def test_the_example_follows_from_a_hash_function_and_a_signature_library_alone():
    previous, leaves = b"", []
    for body, expected in zip(VECTOR["bodies"], VECTOR["hashes"], strict=True):
        previous = sha256(body.encode() + previous)
        assert previous.hex() == expected
        leaves.append(sha256(b"\x00" + previous))
    assert [leaf.hex() for leaf in leaves] == VECTOR["leaf_hashes"]
    node = sha256(b"\x01" + leaves[0] + leaves[1])
    root = sha256(b"\x01" + node + leaves[2])
    assert (node.hex(), root.hex()) == (VECTOR["node_0_1"], VECTOR["root"])
    text = f"example.com/audit/main\n3\n{base64.b64encode(root).decode()}\n"
    assert text == VECTOR["checkpoint"]
    publics = [key.public_key().public_bytes_raw() for key in KEYS]
    log_id = sha256(b"example.com/audit/main\n\x01" + publics[0])[:4]
    signed = base64.b64encode(log_id + KEYS[0].sign(text.encode())).decode()
    assert VECTOR["log_line"] == f"\u2014 example.com/audit/main {signed}\n"
    time = VECTOR["cosignature_time"]
    witness_id = sha256(b"witness.example/w1\n\x04" + publics[1])[:4]
    message = f"cosignature/v1\ntime {time}\n{text}".encode()
    cosigned = base64.b64encode(witness_id + time.to_bytes(8, "big") + KEYS[1].sign(message)).decode()
    assert VECTOR["witness_line"] == f"\u2014 witness.example/w1 {cosigned}\n"


def test_this_package_makes_the_example_byte_for_byte():
    previous, hashes = b"", []
    for body in VECTOR["bodies"]:
        previous = entry_hash(body.encode(), previous)
        hashes.append(previous)
    leaves = leaf_hashes(hashes)
    assert root_of(leaves).hex() == VECTOR["root"]
    lines = []
    for name, time, key in (("log_vkey", 0, KEYS[0]), ("witness_vkey", VECTOR["cosignature_time"], KEYS[1])):
        vkey = parse_vkey(VECTOR[name])
        task = to_sign(vkey, VECTOR["checkpoint"], time_s=time)
        lines.append(signed_by(vkey, key.sign(task.message), time_s=time))
    whole = format_note(Note(text=VECTOR["checkpoint"], signatures=tuple(lines)))
    assert whole.decode() == VECTOR["checkpoint"] + "\n" + VECTOR["log_line"] + VECTOR["witness_line"]
    verifiers = [verifier_for(parse_vkey(VECTOR[name])) for name in ("log_vkey", "witness_vkey")]
    assert len(verify_note(parse_note(whole), verifiers)) == 2
    checkpoint = parse_checkpoint(VECTOR["checkpoint"])
    path = [bytes.fromhex(each) for each in VECTOR["inclusion_path_of_1"]]
    verify_inclusion(leaves[1], 1, checkpoint.size, path, checkpoint.root)
    proof = [bytes.fromhex(each) for each in VECTOR["consistency_path_2_3"]]
    verify_consistency(2, root_of(leaves[:2]), 3, checkpoint.root, proof)


@pytest.mark.parametrize(
    "name",
    ["bodies", "hashes", "leaf_hashes", "node_0_1", "root", "log_vkey", "witness_vkey", "log_line", "witness_line"],
)
def test_the_page_shows_the_example(name: str):
    page = (SPEC / "checkpoint.md").read_text(encoding="utf-8")
    values = VECTOR[name] if isinstance(VECTOR[name], list) else [VECTOR[name]]
    assert all(value.strip() in page for value in values)


def test_the_page_on_bundles_shows_the_proof_text_of_entry_1():
    lines = parse_note(f"{VECTOR['checkpoint']}\n{VECTOR['log_line']}".encode())
    path = tuple(bytes.fromhex(each) for each in VECTOR["inclusion_path_of_1"])
    text = format_tlog_proof(TlogProof(index=1, path=path, note=lines)).decode()
    shown = "".join(f"    {line}\n" if line else "\n" for line in text.splitlines())
    assert shown in (SPEC / "bundle.md").read_text(encoding="utf-8")
