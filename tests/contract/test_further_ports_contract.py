"""What stores do that know signatures without bodies, and who of several processes does a thing.

The ports are `SignatureSource` and `Exclusive`.
"""

from __future__ import annotations

import subprocess
import sys

from auditseal.ports import CheckpointStore, Exclusive, SignatureRow, SignatureSource
from contract.store_subjects import Subject, opened
from support.store_events import append, draft, event_id, signature_for


def test_signatures_are_told_with_their_places_and_without_bodies(store: CheckpointStore):
    assert isinstance(store, SignatureSource)
    signed, unsigned = append(store, [draft(0, id_=event_id(1)), draft(1, id_=event_id(2))])
    append(store, [draft(0, stream="other")])
    store.add_signatures([signature_for(signed), signature_for(signed, signer="signer-2")])
    rows = list(store.signature_rows(["default"]))
    assert sorted(rows[:2]) == [
        SignatureRow(
            *("default", 0, event_id(1), signed.time, "test.event", signer, "request-0", "2026-07-01T00:00:00.000000Z")
        )
        for signer in ("signer-1", "signer-2")
    ]
    assert rows[2:] == [SignatureRow("default", 1, event_id(2), unsigned.time, "test.event", None, None, None)]
    assert [(row.stream, row.seq) for row in store.signature_rows()] == [
        *[("default", 0)] * 2,
        ("default", 1),
        ("other", 0),
    ]


def test_one_process_at_a_time_does_a_thing_exclusively(store: CheckpointStore, subject: Subject):
    assert isinstance(store, Exclusive)
    with opened(subject) as second:
        with store.exclusively("reseal") as mine, second.exclusively("reseal") as theirs:
            assert (mine, theirs) == (True, False)
            with second.exclusively("else") as other:
                assert other is True
        with second.exclusively("reseal") as theirs:
            assert theirs is True


def test_what_a_killed_process_held_is_free(store: CheckpointStore, subject: Subject):
    code = (
        "import sys, time; from auditseal.wiring.sources import open_store\n"
        "with open_store(sys.argv[1]).exclusively('reseal') as held: print(held, flush=True); time.sleep(60)"
    )
    holder = subprocess.Popen([sys.executable, "-c", code, subject.address], stdout=subprocess.PIPE, text=True)
    with holder:
        assert holder.stdout.readline() == "True\n"
        with store.exclusively("reseal") as held:
            assert held is False
        holder.kill()
        holder.wait()
        for _ in range(200):
            with store.exclusively("reseal") as held:
                if held:
                    break
        assert held is True
