from dataclasses import fields

import pytest

from auditseal.core.entry import Columns, StoredEntry, StoredSignature
from support.chains import make_entries


@pytest.mark.parametrize("kind", [StoredEntry, StoredSignature, Columns])
def test_values_take_their_members_by_name_alone(kind):
    assert all(member.kw_only for member in fields(kind))
    with pytest.raises(TypeError):
        kind(*("x" for _ in fields(kind)))


def test_an_entry_cannot_be_changed_once_it_is_made():
    with pytest.raises(AttributeError):
        make_entries(1)[0].seq = 1


def test_a_stored_entry_may_hold_anything_that_a_source_can_hold():
    entry = StoredEntry(stream="\0", seq=-7, body=b"\xff", prev_hash=b"1", hash=b"", malformed="not JSON")
    assert (entry.columns, entry.signatures) == (None, ())
