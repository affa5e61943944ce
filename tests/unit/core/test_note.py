"""Signed notes: their form, and which signatures count."""

from __future__ import annotations

import base64

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, mldsa, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed

from auditseal.core.algorithm import ALGORITHMS, MAX_RAW_BYTES, AlgorithmId, offline_rule
from auditseal.core.note import (
    MAX_SIGNATURES,
    Note,
    NoteSignature,
    format_note,
    parse_note,
    parse_signatures,
    verify_note,
)
from auditseal.core.note_key import (
    NoteKey,
    NoteKeyType,
    log_key,
    parse_vkey,
    signed_by,
    to_sign,
    verifier_for,
)
from auditseal.errors import InputError, NotCheckedError, SignatureInvalidError

# The specification's own example (c2sp.org/signed-note).
VKEY = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"
TEXT = "This is an example message.\n"
LINE = (
    "\u2014 example.com/foo "
    "Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n"
)
NOTE = f"{TEXT}\n{LINE}".encode()
CHECKPOINT = f"example.com/audit/main\n5\n{base64.b64encode(bytes(32)).decode()}\n"


def keys():
    """A signing function and the public form of a key, for each algorithm."""
    secret = b"a secret of thirty-two bytes ..."
    made = {
        AlgorithmId.ED25519: ed25519.Ed25519PrivateKey.generate(),
        AlgorithmId.ML_DSA_44: mldsa.MLDSA44PrivateKey.generate(),
        AlgorithmId.ML_DSA_65: mldsa.MLDSA65PrivateKey.generate(),
        AlgorithmId.ML_DSA_87: mldsa.MLDSA87PrivateKey.generate(),
    }
    pre = Prehashed(hashes.SHA256())
    curve = ec.generate_private_key(ec.SECP256R1())
    modulus = rsa.generate_private_key(65537, 2048)
    pss = padding.PSS(padding.MGF1(hashes.SHA256()), 32)
    yield from ((id_, key.sign, key.public_key(), None) for id_, key in made.items())
    yield AlgorithmId.ECDSA_P256_SHA256, lambda message: curve.sign(message, ec.ECDSA(pre)), curve.public_key(), None
    yield (
        AlgorithmId.RSA_SHA256,
        lambda message: modulus.sign(message, padding.PKCS1v15(), pre),
        modulus.public_key(),
        None,
    )
    yield AlgorithmId.RSA_PSS_SHA256, lambda message: modulus.sign(message, pss, pre), modulus.public_key(), None
    rule = offline_rule(ALGORITHMS[AlgorithmId.HMAC_SHA256], secret)
    import hmac

    yield AlgorithmId.HMAC_SHA256, lambda message: hmac.digest(secret, message, "sha256"), "mac-1", rule


KEYS = list(keys())


def test_the_specification_s_example_verifies_and_is_written_as_it_was_read():
    note = parse_note(NOTE)
    key = parse_vkey(VKEY)
    assert key.vkey() == VKEY
    assert key.type is NoteKeyType.ED25519
    assert verify_note(note, [verifier_for(key)]) == note.signatures
    assert note.text == TEXT
    assert format_note(note) == NOTE


@pytest.mark.parametrize(("algorithm", "sign", "public", "rule"), KEYS, ids=[str(row[0]) for row in KEYS])
def test_every_algorithm_signs_a_checkpoint_that_verifies_under_its_vkey_alone(algorithm, sign, public, rule):
    key = log_key("example.com/audit/main", algorithm, public)
    assert parse_vkey(key.vkey()) == key
    task = to_sign(key, CHECKPOINT)
    assert task.message_type == (ALGORITHMS[algorithm].kms_message_type or "MAC")
    note = parse_note(format_note(Note(text=CHECKPOINT, signatures=(signed_by(key, sign(task.message)),))))
    verifier = verifier_for(parse_vkey(key.vkey()), check_mac=rule)
    assert verify_note(note, [verifier]) == note.signatures
    other = Note(text=CHECKPOINT.replace("\n5\n", "\n6\n"), signatures=note.signatures)
    with pytest.raises(SignatureInvalidError):
        verify_note(other, [verifier])


@pytest.mark.parametrize("type_", [NoteKeyType.COSIGNATURE_ED25519, NoteKeyType.COSIGNATURE_ML_DSA_44])
def test_a_cosignature_covers_its_time(type_):
    private = {
        NoteKeyType.COSIGNATURE_ED25519: ed25519.Ed25519PrivateKey,
        NoteKeyType.COSIGNATURE_ML_DSA_44: mldsa.MLDSA44PrivateKey,
    }[type_].generate()
    key = NoteKey(name="witness.example/w1", type=type_, material=private.public_key().public_bytes_raw())
    line = signed_by(key, private.sign(to_sign(key, CHECKPOINT, time_s=1_700_000_000).message), time_s=1_700_000_000)
    verifier = verifier_for(parse_vkey(key.vkey()))
    verifier.check(CHECKPOINT, line.signature)
    later = (1_700_000_001).to_bytes(8, "big") + line.signature[8:]
    with pytest.raises(SignatureInvalidError):
        verifier.check(CHECKPOINT, later)
    for short in (b"", bytes(8), b"\xff" * 8 + line.signature[8:]):
        with pytest.raises(SignatureInvalidError):
            verifier.check(CHECKPOINT, short)


def test_a_wrong_signature_of_a_known_key_rejects_the_note_and_unknown_keys_do_not_count():
    key = parse_vkey(VKEY)
    note = parse_note(NOTE)
    good = note.signatures[0]
    bad = NoteSignature(name=good.name, key_id=good.key_id, signature=good.signature[:-1] + b"\x00")
    foreign = NoteSignature(name="example.org/x", key_id=b"abcd", signature=b"?")
    both = Note(text=TEXT, signatures=(good, bad))
    with pytest.raises(SignatureInvalidError):
        verify_note(both, [verifier_for(key)])
    assert verify_note(Note(text=TEXT, signatures=(foreign, good)), [verifier_for(key)]) == (good,)
    with pytest.raises(NotCheckedError):
        verify_note(Note(text=TEXT, signatures=(foreign,)), [verifier_for(key)])
    with pytest.raises(NotCheckedError):
        verify_note(note, [])


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        TEXT.encode(),
        f"{TEXT}\n".encode(),
        f"{TEXT}{LINE}".encode(),
        NOTE[:-1],
        NOTE + b"\n",
        NOTE + NOTE.rpartition(b"\n\n")[2][:-4],
        NOTE.replace(b"\xe2\x80\x94 ", b"- "),
        NOTE.replace(b"example.com/foo U", b"example.com/foo  U"),
        NOTE.replace(b"aQM=", b"aQN="),
        NOTE.replace(b"aQM=", b"aQM"),
        NOTE.replace(b"message", b"mess\x01age"),
        NOTE.replace(b"message", b"mess\rage"),
        NOTE.replace(b"message", b"mess\xffage"),
        b"x" * (2 * 1024 * 1024 + 1),
        f"{TEXT}\n\u2014 a+b {base64.b64encode(b'12345').decode()}\n".encode(),
        f"{TEXT}\n\u2014 a {base64.b64encode(b'1234').decode()}\n".encode(),
        f"{TEXT}\n\u2014 a\u00a0b {base64.b64encode(b'12345').decode()}\n".encode(),
    ],
)
def test_what_is_not_of_the_form_is_refused_in_one_line(octets):
    with pytest.raises(InputError) as refused:
        parse_note(octets)
    assert "\n" not in str(refused.value)
    assert len(str(refused.value)) < 300


def test_sixteen_signatures_are_read_and_too_many_are_not():
    line = NoteSignature(name="a", key_id=b"1234", signature=b"5").line()
    assert len(parse_signatures(line * 16)) == 16
    assert len(parse_signatures(line * MAX_SIGNATURES)) == MAX_SIGNATURES
    with pytest.raises(InputError):
        parse_signatures(line * (MAX_SIGNATURES + 1))


def test_the_text_ends_at_the_last_empty_line():
    note = parse_note(f"a\n\nb\n\n{LINE}".encode())
    assert note.text == "a\n\nb\n"
    assert format_note(note) == f"a\n\nb\n\n{LINE}".encode()


def test_two_known_keys_of_one_name_and_id_are_refused():
    key = parse_vkey(VKEY)
    with pytest.raises(InputError):
        verify_note(parse_note(NOTE), [verifier_for(key), verifier_for(key)])


@pytest.mark.parametrize(
    "text",
    [
        "",
        "example.com/foo",
        "example.com/foo+530d903a",
        "example.com/foo+530d903b+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
        "example.com/bar+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
        "example.com/foo+530d903a+A+kyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
        "example.com/foo+530D903A+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
        "example.com/foo+530d903a+BekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
        "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3Q==",
        " +530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
    ],
)
def test_a_verifier_key_that_is_none_is_refused(text):
    with pytest.raises(InputError):
        parse_vkey(text)


def test_a_message_longer_than_kms_signs_raw_is_refused():
    algorithm, _, public, _ = KEYS[0]
    key = log_key("example.com/a", algorithm, public)
    with pytest.raises(InputError):
        to_sign(key, "x" * MAX_RAW_BYTES + "\n")


def test_only_the_holder_of_a_mac_s_key_can_check_it():
    with pytest.raises(NotCheckedError):
        verifier_for(log_key("example.com/a", AlgorithmId.HMAC_SHA256, "mac-1"))
