"""Ids of the log's making."""

import uuid
from itertools import islice

from auditseal.service.ids import new_id, new_ids


def test_an_id_holds_its_time_its_version_and_what_is_random():
    assert new_id(lambda: 0x0123456789AB * 1_000_000, bytes) == "01234567-89ab-7000-8000-000000000000"
    assert new_id(lambda: 1_999_999, lambda size: b"\xff" * size) == "00000000-0001-7fff-bfff-ffffffffffff"


def test_many_ids_share_a_read_of_the_system_and_nothing_else():
    reads = []

    def random(size: int) -> bytes:
        reads.append(size)
        return uuid.uuid4().bytes * (size // 16) if size % 16 == 0 else uuid.uuid4().bytes[:size]

    times = iter(range(0, 10**9, 10**6))
    made = list(islice(new_ids(lambda: next(times)), 300))
    assert len({each[9:] for each in made}) == 300
    assert [uuid.UUID(each).version for each in made] == [7] * 300
    assert {uuid.UUID(each).variant for each in made} == {uuid.RFC_4122}
    assert made == sorted(made)
    next(new_ids(random=random))
    assert len(reads) == 1
    assert reads[0] >= 640
