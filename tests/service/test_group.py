import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from auditseal.errors import ConflictError, StoreError
from auditseal.service.group import GroupCommit
from support.waiting import until


class Together:
    """Runs callers so that the first holds the turn until all others wait."""

    def __init__(self, commit, *, max_items=100):
        self.groups = []
        self._commit = commit
        self._entered, self._go_on = threading.Event(), threading.Event()
        self.group = GroupCommit(self._run, max_items=max_items)

    def _run(self, items):
        self.groups.append(list(items))
        if len(self.groups) == 1:
            self._entered.set()
            self._go_on.wait(10)
        return self._commit(items)

    def submit(self, *callers):
        """Futures of a first caller with [0], and then of these."""
        pool = ThreadPoolExecutor(len(callers) + 1)
        futures = [pool.submit(self.group.submit, [0])]
        self._entered.wait(10)
        for count, items in enumerate(callers, 1):
            futures.append(pool.submit(self.group.submit, items))
            until(lambda count=count: len(self.group._waiting) == count)
        self._go_on.set()
        pool.shutdown()
        return futures


def _double(items):
    return [item * 2 for item in items]


def test_callers_who_wait_share_one_commit_and_get_their_own_results():
    run = Together(_double)
    futures = run.submit([1], [2, 3], [4])
    assert [future.result() for future in futures] == [[0], [2], [4, 6], [8]]
    assert run.groups == [[0], [1, 2, 3, 4]]


def test_a_group_has_no_more_items_than_allowed_but_one_caller_is_never_parted():
    run = Together(_double, max_items=3)
    run.submit([1, 2], [3, 4], [5], [6, 7, 8, 9, 10])
    assert run.groups == [[0], [1, 2], [3, 4, 5], [6, 7, 8, 9, 10]]


def test_one_callers_bad_item_is_nobody_elses_error():
    def commit(items):
        if 2 in items:
            raise ConflictError("2 stands there")
        return _double(items)

    futures = Together(commit).submit([1], [2], [3])
    assert [futures[1].result(), futures[3].result()] == [[2], [6]]
    with pytest.raises(ConflictError, match="2 stands there"):
        futures[2].result()


def test_a_passing_failure_is_told_to_all_at_once_and_not_tried_for_each():
    def commit(items):
        if 1 in items or 2 in items:
            raise StoreError("locked", retryable=True)
        return _double(items)

    run = Together(commit)
    futures = run.submit([1], [2])
    errors = [future.exception() for future in futures[1:]]
    assert [(type(error), str(error), error.retryable) for error in errors] == [(StoreError, "locked", True)] * 2
    assert errors[0] is not errors[1]
    assert run.groups == [[0], [1, 2]]


def test_a_lone_callers_failure_is_raised_as_it_is():
    failure = StoreError("locked", retryable=True)

    def commit(_):
        raise failure

    with pytest.raises(StoreError) as caught:
        GroupCommit(commit, max_items=10).submit([1])
    assert caught.value is failure


def test_a_caller_who_is_interrupted_takes_nobody_along():
    class Interrupted(BaseException):
        pass

    interrupt = [True]

    def commit(items):
        if 1 in items and interrupt:
            interrupt.clear()
            raise Interrupted
        return _double(items)

    run = Together(commit)
    futures = run.submit([1], [2], [3])
    assert isinstance(futures[1].exception(), Interrupted)
    assert [futures[2].result(), futures[3].result()] == [[4], [6]]
    assert run.groups[-1] == [2, 3]
    assert not run.group._waiting


def test_after_a_failure_the_next_call_goes_through():
    calls = iter([StoreError("locked")])

    def commit(items):
        for failure in calls:
            raise failure
        return _double(items)

    group = GroupCommit(commit, max_items=10)
    with pytest.raises(StoreError):
        group.submit([1])
    assert group.submit([1]) == [2]
