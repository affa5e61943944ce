import threading

import pytest

from auditseal.adapters.signers.kms_calls import HOT_OPERATIONS, Answer, KmsCalls
from auditseal.adapters.signers.kms_retry import RetryRules
from auditseal.errors import ConfigError, SignerError

_OK = Answer(
    values={"Signature": b"s", "Mac": b"m", "MacValid": True, "KeyMetadata": {}, "PublicKey": b"k"}, request_id="r"
)


def _failure(reason="unavailable", *, retryable=True):
    return SignerError(reason, reason=reason, retryable=retryable)


class Time:
    """A clock that only sleeping moves."""

    def __init__(self):
        self.now = 1000.0
        self.slept = []

    def sleep(self, seconds):
        self.slept.append(seconds)
        self.now += seconds

    def rules(self, **members):
        return RetryRules(clock=lambda: self.now, sleep=self.sleep, jitter=lambda: 1.0, **members)


class Script:
    """A transport that plays outcomes in order; the last one goes on for ever."""

    def __init__(self, *outcomes, takes_s=0.0, time=None):
        self.outcomes = list(outcomes)
        self.sent = []
        self.closed = 0
        self.takes_s = takes_s
        self.time = time

    def send(self, operation, parameters, timeout_s):
        self.sent.append((operation, parameters, timeout_s))
        if self.time:
            self.time.now += min(self.takes_s, timeout_s)
        outcome = self.outcomes.pop(0) if len(self.outcomes) > 1 else self.outcomes[0]
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def close(self):
        self.closed += 1


def _calls(script, time, hot=None, concurrency=4, **members):
    return KmsCalls(
        endpoint="https://kms.example",
        region="eu-central-1",
        rare=script,
        hot=hot,
        concurrency=concurrency,
        rules=time.rules(**members),
    )


def test_an_answer_at_once_is_one_attempt():
    time, script = Time(), Script(_OK)
    assert _calls(script, time).call("Sign", {"KeyId": "k"}) is _OK
    assert [each[:2] for each in script.sent] == [("Sign", {"KeyId": "k"})]


def test_a_passing_fault_is_tried_again_up_to_three_attempts():
    time, script = Time(), Script(_failure())
    with pytest.raises(SignerError, match="unavailable"):
        _calls(script, time).call("Sign", {})
    assert len(script.sent) == 3
    assert time.slept == pytest.approx([0.05, 0.1])


def test_an_answer_without_what_it_is_asked_for_is_not_from_kms():
    time, script = Time(), Script(Answer(values={"message": "<html>"}, request_id=None), _OK)
    assert _calls(script, time).call("Sign", {}) is _OK
    assert len(script.sent) == 2


def test_throttling_is_waited_for_longer():
    time, script = Time(), Script(_failure("throttled"), _failure("throttled"), _OK)
    assert _calls(script, time).call("Sign", {}) is _OK
    assert time.slept == pytest.approx([1.0, 2.0])


def test_the_number_of_attempts_can_be_set():
    time, script = Time(), Script(_failure())
    with pytest.raises(SignerError):
        _calls(script, time, max_attempts=5).call("Sign", {})
    assert len(script.sent) == 5


@pytest.mark.parametrize("failure", [_failure("denied", retryable=False), ConfigError("no region")])
def test_what_somebody_must_mend_is_not_tried_again(failure):
    time, script = Time(), Script(failure)
    with pytest.raises(type(failure)):
        _calls(script, time).call("Sign", {})
    assert len(script.sent) == 1


def test_the_deadline_ends_the_attempts():
    time = Time()
    script = Script(_failure("timeout"), takes_s=3.0, time=time)
    with pytest.raises(SignerError) as caught:
        _calls(script, time, max_attempts=100, deadline_s=10.0, attempt_timeout_s=3.0).call("Sign", {})
    assert time.now - 1000.0 <= 10.0
    assert caught.value.reason == "timeout"


def test_an_attempt_gets_no_more_time_than_is_left():
    time = Time()
    script = Script(_failure("timeout"), takes_s=3.0, time=time)
    with pytest.raises(SignerError):
        _calls(script, time, max_attempts=100, deadline_s=5.0, attempt_timeout_s=3.0).call("Sign", {})
    assert [each[2] for each in script.sent] == pytest.approx([3.0, 5.0 - 3.0 - 0.05])


def test_a_pause_that_would_pass_the_deadline_is_not_made():
    time, script = Time(), Script(_failure("throttled"))
    with pytest.raises(SignerError, match="throttled"):
        _calls(script, time, deadline_s=0.5).call("Sign", {})
    assert time.slept == []


def test_when_much_fails_the_quota_ends_the_retries():
    time, script = Time(), Script(_failure())
    calls = _calls(script, time)
    for _ in range(40):
        with pytest.raises(SignerError):
            calls.call("Sign", {})
    # 500 tokens pay for 35 retries at 14
    assert len(script.sent) == 40 + 35


def test_a_success_gives_back_what_its_retry_cost():
    time, script = Time(), Script(*[_failure(), _OK] * 60)
    calls = _calls(script, time)
    for _ in range(60):
        assert calls.call("Sign", {}) is _OK


@pytest.mark.parametrize(
    ("reason", "attempts"), [("timeout", 1), ("interrupted", 1), ("throttled", 3), ("unreachable", 3)]
)
def test_what_must_not_happen_twice_is_tried_again_only_if_it_did_not_arrive(reason, attempts):
    time, script = Time(), Script(_failure(reason))
    with pytest.raises(SignerError):
        _calls(script, time).call("CreateKey", {}, repeatable=False)
    assert len(script.sent) == attempts


def test_what_is_called_for_each_entry_takes_the_hot_transport_and_the_rest_does_not():
    time, rare, hot = Time(), Script(_OK), Script(_OK)
    calls = _calls(rare, time, hot=hot)
    for operation in ("DescribeKey", "GetPublicKey", *sorted(HOT_OPERATIONS)):
        calls.call(operation, {})
    assert [each[0] for each in hot.sent] == ["GenerateMac", "Sign", "VerifyMac"]
    assert [each[0] for each in rare.sent] == ["DescribeKey", "GetPublicKey"]


def test_a_closed_one_does_not_call():
    time, rare, hot = Time(), Script(_OK), Script(_OK)
    calls = _calls(rare, time, hot=hot)
    calls.close()
    with pytest.raises(SignerError) as caught:
        calls.call("Sign", {})
    assert (caught.value.reason, rare.sent, hot.sent) == ("closed", [], [])
    assert (rare.closed, hot.closed) == (1, 1)


class Gate:
    """A transport that answers when it is let, and counts how many wait in it."""

    def __init__(self):
        self.open = threading.Event()
        self.inside = self.most = 0
        self.lock = threading.Lock()
        self.entered = threading.Semaphore(0)

    def send(self, operation, parameters, timeout_s):
        del operation, parameters, timeout_s
        with self.lock:
            self.inside += 1
            self.most = max(self.most, self.inside)
        self.entered.release()
        assert self.open.wait(10)
        with self.lock:
            self.inside -= 1
        return _OK

    def close(self):
        pass


def test_no_more_calls_are_in_flight_than_may_be():
    gate = Gate()
    calls = KmsCalls(endpoint="http://x", region="r", rare=gate, concurrency=3)
    threads = [threading.Thread(target=calls.call, args=("Sign", {})) for _ in range(12)]
    for thread in threads:
        thread.start()
    for _ in range(3):
        assert gate.entered.acquire(timeout=10)
    gate.open.set()
    for thread in threads:
        thread.join(10)
    assert gate.most == 3


def test_a_call_that_gets_no_place_in_time_says_busy():
    gate = Gate()
    calls = KmsCalls(endpoint="http://x", region="r", rare=gate, concurrency=1, rules=RetryRules(deadline_s=0.05))
    thread = threading.Thread(target=calls.call, args=("Sign", {}))
    thread.start()
    assert gate.entered.acquire(timeout=10)
    with pytest.raises(SignerError) as caught:
        calls.call("Sign", {})
    gate.open.set()
    thread.join(10)
    assert (caught.value.reason, caught.value.retryable) == ("busy", True)


@pytest.mark.parametrize(
    ("endpoint", "loopback"),
    [("http://127.0.0.1:4566", True), ("http://[::1]:1", True), ("https://localhost", True), ("https://kms.x", False)],
)
def test_an_endpoint_on_this_machine_is_known_as_such(endpoint, loopback):
    assert KmsCalls(endpoint=endpoint, region="r", rare=Script(_OK)).is_loopback is loopback
