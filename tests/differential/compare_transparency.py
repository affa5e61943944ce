"""Our notes, trees and proofs against `golang.org/x/mod/sumdb`, by which Go's checksum database is verified."""

from __future__ import annotations

import base64
import hashlib
import random
from itertools import combinations

from cryptography.hazmat.primitives.asymmetric import ed25519

from auditseal.core.checkpoint import Checkpoint, format_checkpoint
from auditseal.core.merkle import Frontier, grow, leaf_hashes, root_of
from auditseal.core.merkle_proof import consistency_proof, inclusion_proof
from auditseal.core.note import Note, NoteSignature, format_note, parse_note, verify_note
from auditseal.core.note_key import NoteKey, NoteKeyType, parse_vkey, signed_by, to_sign, verifier_for
from auditseal.errors import AuditSealError
from differential.committed import keep
from differential.go import ask

NAME = "transparency"
LEAVES = [hashlib.sha256(b"leaf %d" % number).digest() for number in range(300)]
SIZES = [*range(1, 34), 63, 64, 65, 127, 128, 129, 255, 256, 257, 299, 300]
NAMES = ("example.com/audit/default", "example.com/audit/auditseal/heads", "sum.golang.org", "ключ.example/é")
TEXTS = ("one line\n", "two\nlines\n", "\n", "an empty line\n\nwithin\n", "ünïcödé \U0001f512\n", "— looks signed\n")


def _private(number: int) -> ed25519.Ed25519PrivateKey:
    return ed25519.Ed25519PrivateKey.from_private_bytes(hashlib.sha256(b"seed %d" % number).digest())


def _key(number: int, name: str) -> NoteKey:
    return NoteKey(name=name, type=NoteKeyType.ED25519, material=_private(number).public_key().public_bytes_raw())


def _go_key(number: int, name: str) -> str:
    """As `note.NewSigner` reads it."""
    secret = b"\x01" + _private(number).private_bytes_raw()
    return f"PRIVATE+KEY+{name}+{_key(number, name).key_id.hex()}+{base64.b64encode(secret).decode()}"


def _sign(text: str, *signers: tuple[int, str]) -> str:
    lines = []
    for number, name in signers:
        key = _key(number, name)
        lines.append(signed_by(key, _private(number).sign(to_sign(key, text).message)))
    return format_note(Note(text=text, signatures=tuple(lines))).decode()


def _checkpoint(size: int) -> str:
    root = root_of(leaf_hashes(LEAVES[:size]))
    return format_checkpoint(Checkpoint(origin=NAMES[0], size=size, root=root))


def _texts() -> list[str]:
    return [*TEXTS, _checkpoint(1), _checkpoint(300)]


def _open(vkeys: list[str], note: str) -> str:
    """The text, or "" if it is refused: as the Go program answers."""
    try:
        parsed = parse_note(note.encode())
        verify_note(parsed, [verifier_for(parse_vkey(vkey)) for vkey in vkeys])
    except AuditSealError:
        return ""
    return parsed.text


def _notes() -> list[tuple[list[str], str]]:
    """Notes and the keys that are known, right and wrong in many ways."""
    found = []
    stranger = NoteSignature(name="example.org/stranger", key_id=b"\x01\x02\x03\x04", signature=bytes(64)).line()
    for number, text in enumerate(_texts()):
        name = NAMES[number % len(NAMES)]
        vkey, other = _key(1, name).vkey(), _key(2, name).vkey()
        note = _sign(text, (1, name))
        two = _sign(text, (1, name), (2, name))
        found += [([vkey], note), ([other], note), ([vkey, other], two), ([other], two), ([], note)]
        found += [([vkey], note + stranger), ([vkey], note.replace("\n\n", "\n\n" + stranger, 1))]
        found += [
            ([vkey], note.replace(text, text.replace("\n", "!\n", 1), 1)),
            ([vkey], note[:-1]),
            ([vkey], note + "\n"),
        ]
        found += [([vkey], note.replace("— ", "- ")), ([vkey], note.replace("— ", "—  ")), ([vkey], note[:-3] + "A=\n")]
        wrong = two.replace(two.splitlines()[-1], _sign("another\n", (2, name)).splitlines()[-1])
        found += [([vkey], wrong), ([vkey, other], wrong)]
        found += [([vkey.replace("+", "-", 1)], note), ([vkey[:-2]], note), ([vkey.replace(name, "x")], note)]
        found += [([vkey], note.replace("\n", "\r\n")), ([vkey], "\x01" + note), ([vkey], text)]
    return found


def _pairs(first: int) -> list[tuple[int, int]]:
    return [(old, new) for old, new in combinations([*range(first, 1), *SIZES], 2)]


def _our_proofs() -> tuple[list[tuple[int, int]], list[list[bytes]], list[tuple[int, int]], list[list[bytes]]]:
    _, runs = grow(Frontier(), leaf_hashes(LEAVES))
    nodes = {(level, index): hash_ for run in runs for level, index, hash_ in run}
    places = [(index, size) for size in SIZES for index in {0, size // 3, size // 2, size - 1}]
    pairs = [(old, new) for old, new in _pairs(1) if old < new]
    included = [list(inclusion_proof(index, size, lambda *at: nodes[at])) for index, size in places]
    continued = [list(consistency_proof(old, new, lambda *at: nodes[at])) for old, new in pairs]
    return places, included, pairs, continued


def _decoded(lists: list[list[str] | None]) -> list[list[bytes]]:
    return [[base64.b64decode(each) for each in hashes or []] for hashes in lists]


def test_each_opens_and_refuses_the_notes_that_the_other_does():
    notes = _notes()
    ours = [_open(vkeys, note) for vkeys, note in notes]
    assert ours == ask({"open": [{"vkeys": vkeys, "note": note} for vkeys, note in notes]})["opened"]
    assert 20 < sum(map(bool, ours)) < len(ours) - 20


def test_both_sign_a_text_byte_for_byte_alike():
    signers = [((1, name), (2, name)) for name in NAMES]
    wanted = [(text, pair) for text in _texts() for pair in signers]
    told = ask({"sign": [{"keys": [_go_key(*one) for one in pair], "text": text} for text, pair in wanted]})
    assert told["signed"] == [_sign(text, *pair) for text, pair in wanted]


def test_roots_and_proofs_are_the_same_hashes_in_the_same_order():
    places, included, pairs, continued = _our_proofs()
    told = ask({"leaves": LEAVES, "roots": SIZES, "inclusion": places, "consistency": pairs})
    roots = [root_of(leaf_hashes(LEAVES[:size])) for size in SIZES]
    assert [base64.b64decode(root) for root in told["roots"]] == roots
    assert _decoded(told["inclusion"]) == included
    assert _decoded(told["consistency"]) == continued


def test_the_other_accepts_our_proofs_and_none_with_a_bit_changed():
    places, included, pairs, continued = _our_proofs()
    chance = random.Random(6962)
    checks, expected = [], []
    for kind, asked, paths in (("inclusion", places, included), ("consistency", pairs, continued)):
        for (old, new), path in zip(asked, paths, strict=True):
            checks.append({"kind": kind, "old": old, "new": new, "path": path})
            expected.append(True)
            if path:
                changed = [bytearray(each) for each in path]
                chance.choice(changed)[chance.randrange(32)] ^= 1 << chance.randrange(8)
                checks.append({"kind": kind, "old": old, "new": new, "path": [bytes(each) for each in changed]})
                expected.append(False)
    assert ask({"leaves": LEAVES, "check": checks})["checked"] == expected


def test_the_vectors_are_those_that_are_committed():
    notes = _notes()
    places, _, pairs, _ = _our_proofs()
    places, pairs = places[::9], pairs[::23]
    told = ask(
        {
            "open": [{"vkeys": vkeys, "note": note} for vkeys, note in notes],
            "leaves": LEAVES,
            "roots": SIZES,
            "inclusion": places,
            "consistency": pairs,
        }
    )
    keep(
        NAME,
        {
            "note": "Made by golang.org/x/mod/sumdb. 'opened' is the text of the note, empty where it is refused with "
            "these verifier keys. Leaf n is SHA-256('leaf n'); hashes are base64; inclusion is [index, size, path], "
            "consistency [old size, new size, path].",
            "notes": [
                {"vkeys": vkeys, "note": note, "opened": opened}
                for (vkeys, note), opened in zip(notes, told["opened"], strict=True)
            ],
            "leaves": len(LEAVES),
            "roots": [list(each) for each in zip(SIZES, told["roots"], strict=True)],
            "inclusion": [[*place, path or []] for place, path in zip(places, told["inclusion"], strict=True)],
            "consistency": [[*pair, path or []] for pair, path in zip(pairs, told["consistency"], strict=True)],
        },
    )
