"""The Agent Manager: nothing is done that its log does not have, whatever fails and wherever it is interrupted."""

from __future__ import annotations

import signal
from uuid import uuid4

import pytest

from agent_manager.errors import CannotDoError, NotAllowedError, NotRecordedError, UnknownError
from agent_manager.model import ALIVE, Action, State
from auditseal.errors import ForbiddenError, ServiceError, SignaturePendingError, SignerError
from support.agents import Crash, Interrupter, kill, wait_until

_AWAY = ServiceError("no answer", retryable=True)
_REFUSED = ForbiddenError("not your stream")


def test_a_life_is_told_by_the_log_in_its_order(world):
    agent = world.spawn()
    world.heartbeat(agent)
    for action in (Action.RESTART, Action.STOP, Action.START, Action.DESTROY):
        world.order(action, agent)
    assert world.audit.types() == [
        *("template.register.requested", "template.registered", "agent.spawn.requested", "agent.spawned"),
        *("agent.running", "agent.restart.requested", "agent.restarted", "agent.stop.requested", "agent.stopped"),
        *("agent.start.requested", "agent.started", "agent.destroy.requested", "agent.destroyed"),
    ]
    assert world.agent_state(agent) is State.DESTROYED
    world.check()


def test_an_answer_says_where_both_events_stand(world):
    done = world.order(Action.REGISTER)
    stored = {entry.seq: entry.hash.hex() for entry in world.audit.log.entries("agents")}
    assert [(where["type"], where["hash"]) for where in done.audit] == [
        ("template.register.requested", stored[0]),
        ("template.registered", stored[1]),
    ]


def test_a_command_is_in_the_log_by_its_hash_alone(world):
    world.order(Action.REGISTER, command=["agent", "--password", "hunter2"])
    said = str(world.audit.events())
    assert ("hunter2" in said, "'program': 'agent'" in said, "command_sha256" in said) == (False, True, True)


def test_an_agent_gets_its_secret_and_none_of_the_manager_s(world, monkeypatch):
    monkeypatch.setenv("AUDITSEAL_TOKEN", "the-manager-s-own")
    world.order(Action.REGISTER, command=["/bin/sh", "-c", "env >environment; exec sleep 60"])
    agent = world.order(Action.SPAWN).subject
    told = world.folder / "environment"
    wait_until(lambda: told.exists() and "AGENT_SECRET" in told.read_text())
    names = {line.partition("=")[0] for line in told.read_text().splitlines()}
    assert names >= {"AGENT_ID", "AGENT_SECRET", "AGENT_MANAGER_URL"}
    assert "AUDITSEAL_TOKEN" not in names
    assert world.agent_state(agent) is State.STARTING


class TestTheLogRefuses:
    @pytest.mark.parametrize("error", [_AWAY, _REFUSED], ids=["away", "refused"])
    @pytest.mark.parametrize("action", [Action.STOP, Action.RESTART, Action.DESTROY])
    def test_the_action_and_nothing_is_changed(self, world, action, error):
        agent = world.spawn()
        world.heartbeat(agent)
        before, told, pid = world.manager.state.agent(agent), world.audit.types(), world.pid(agent)
        world.audit.away(error)
        with pytest.raises(NotRecordedError) as refusal:
            world.order(action, agent)
        assert refusal.value.is_done is False
        assert world.manager.state.agent(agent) == before
        assert (world.audit.types(), world.pid(agent)) == (told, pid)

    @pytest.mark.parametrize("error", [_AWAY, _REFUSED], ids=["away", "refused"])
    def test_a_template_and_a_spawning(self, world, error):
        world.audit.away(error)
        with pytest.raises(NotRecordedError):
            world.order(Action.REGISTER)
        assert world.manager.state.templates() == []
        world.audit.back()
        world.manager.look()
        world.order(Action.REGISTER)
        world.audit.away(error)
        with pytest.raises(NotRecordedError):
            world.order(Action.SPAWN)
        assert (world.manager.state.agents(), list((world.folder / "runs").iterdir())) == ([], [])

    def test_what_was_refused_while_it_was_away_is_recorded_as_abandoned_and_never_done(self, world):
        agent = world.spawn()
        pid = world.pid(agent)
        world.audit.away(_AWAY)
        with pytest.raises(NotRecordedError):
            world.order(Action.STOP, agent)
        assert world.manager.look() is False
        world.audit.back()
        assert world.manager.look() is True
        assert world.audit.types()[-2:] == ["agent.stop.requested", "agent.stop.abandoned"]
        assert world.pid(agent) == pid
        world.check()

    def test_what_it_refused_for_good_leaves_no_trace_and_may_be_ordered_again(self, world):
        agent, id_ = world.spawn(), str(uuid4())
        world.audit.away(_REFUSED)
        with pytest.raises(NotRecordedError):
            world.order(Action.STOP, agent, id_=id_)
        world.audit.back()
        assert world.order(Action.STOP, agent, id_=id_).outcome == "stopped"
        world.check()

    def test_a_lost_answer_is_no_answer_and_the_same_order_again_is_done_once(self, world):
        agent, id_ = world.spawn(), str(uuid4())
        world.audit.away(_AWAY)
        world.audit.loses_answers = True
        with pytest.raises(NotRecordedError):
            world.order(Action.RESTART, agent, id_=id_)
        assert world.audit.types()[-1] == "agent.restart.requested"
        world.audit.back()
        assert world.order(Action.RESTART, agent, id_=id_).outcome == "restarted"
        assert world.audit.types().count("agent.restart.requested") == 1
        world.check()

    def test_the_outcome_then_the_answer_says_so_and_the_next_order_waits(self, world):
        agent = world.spawn()
        world.audit.away(_AWAY, takes=lambda event: event.type.endswith(".requested"))
        with pytest.raises(NotRecordedError) as half:
            world.order(Action.STOP, agent)
        assert half.value.is_done is True
        with pytest.raises(NotRecordedError, match="an earlier operation") as refusal:
            world.order(Action.START, agent)
        assert refusal.value.is_done is False
        world.audit.back()
        world.order(Action.START, agent)
        assert world.audit.types()[-4:] == [
            *("agent.stop.requested", "agent.stopped", "agent.start.requested", "agent.started")
        ]
        world.check()

    def test_a_heartbeat_then_the_agent_is_not_shown_as_running(self, world):
        agent = world.spawn()
        world.audit.away(_AWAY)
        with pytest.raises(NotRecordedError):
            world.heartbeat(agent)
        assert world.agent_state(agent) is State.STARTING
        world.audit.back()
        world.heartbeat(agent)
        assert world.agent_state(agent) is State.RUNNING
        world.check()


def test_an_event_that_waits_for_its_signature_is_recorded(world, monkeypatch):
    real = world.audit.log.append_event

    def pending(event):
        cause = SignerError("away", reason="unreachable", retryable=True)
        raise SignaturePendingError("not signed yet", receipts=[real(event)], cause=cause)

    monkeypatch.setattr(world.audit.log, "append_event", pending)
    world.order(Action.STOP, world.spawn())
    assert world.audit.types()[-1] == "agent.stopped"


class TestWhatIsSeen:
    def test_an_agent_that_falls_silent_and_is_heard_again(self, world):
        agent = world.spawn()
        world.heartbeat(agent)
        world.now += 10.5
        world.manager.look()
        world.manager.look()
        assert world.agent_state(agent) is State.SILENT
        world.heartbeat(agent)
        world.heartbeat(agent)
        assert world.agent_state(agent) is State.RUNNING
        assert world.audit.types()[-3:] == ["agent.running", "agent.silent", "agent.heard"]
        world.check()

    @pytest.mark.parametrize(("code", "state"), [(0, State.STOPPED), (3, State.FAILED)])
    def test_an_agent_that_ends_by_itself(self, world, code, state):
        world.order(Action.REGISTER, command=["/bin/sh", "-c", f"exit {code}"])
        agent = world.order(Action.SPAWN).subject
        wait_until(lambda: world.manager.look() and world.agent_state(agent) not in ALIVE)
        assert world.agent_state(agent) is state
        assert world.audit.events()[-1][1]["exit_code"] == code
        world.check()

    def test_an_agent_that_is_killed(self, world):
        agent = world.spawn()
        kill(world.pid(agent))
        wait_until(lambda: world.manager.look() and world.agent_state(agent) is State.FAILED)
        assert world.audit.events()[-1][1]["exit_code"] == -signal.SIGKILL
        world.check()

    def test_what_ends_while_the_log_is_away_is_recorded_when_it_is_back(self, world):
        agent = world.spawn()
        kill(world.pid(agent))
        world.audit.away(_AWAY)
        wait_until(lambda: world.manager.look() is False and world.manager.state.agent(agent).has_ended)
        assert world.agent_state(agent) is State.STARTING
        world.audit.back()
        world.manager.look()
        assert world.agent_state(agent) is State.FAILED
        assert world.audit.types()[-1] == "agent.exited"
        world.check()

    def test_an_agent_that_does_not_end_is_killed(self, world):
        world.order(Action.REGISTER, command=["/bin/sh", "-c", "trap '' TERM; touch up; while :; do sleep 0.05; done"])
        agent = world.order(Action.SPAWN).subject
        wait_until((world.folder / "up").exists)
        assert world.order(Action.STOP, agent).result == {"exit_code": -9, "killed": True}
        world.check()

    def test_a_secret_of_another_run_is_nobody_s(self, world):
        agent = world.spawn()
        world.heartbeat(agent)
        old = (world.folder / f"secret-{agent}").read_text().strip()
        world.order(Action.RESTART, agent)
        for secret in (old, "", "x"):
            with pytest.raises(UnknownError):
                world.manager.heartbeat(agent, secret)
        assert world.agent_state(agent) is State.STARTING


class TestWhatIsNotAllowed:
    def test_in_a_state_is_refused_before_anything_is_recorded(self, world):
        agent = world.spawn()
        told = world.audit.types()
        with pytest.raises(NotAllowedError, match="is starting: it cannot start"):
            world.order(Action.START, agent)
        with pytest.raises(UnknownError):
            world.order(Action.STOP, "a-nobody")
        with pytest.raises(UnknownError):
            world.order(Action.SPAWN, template="none")
        with pytest.raises(NotAllowedError, match="already"):
            world.order(Action.REGISTER)
        assert world.audit.types() == told

    def test_one_id_for_two_orders(self, world):
        agent, id_ = world.spawn(), str(uuid4())
        world.order(Action.STOP, agent, id_=id_)
        with pytest.raises(NotAllowedError, match="another operation"):
            world.order(Action.START, agent, id_=id_)

    def test_the_same_order_again_is_answered_as_the_first_time(self, world):
        world.order(Action.REGISTER)
        id_ = str(uuid4())
        first = world.order(Action.SPAWN, id_=id_)
        told = world.audit.types()
        assert world.order(Action.SPAWN, id_=id_) == first
        assert world.audit.types() == told

    def test_a_program_that_is_not_there_fails_and_that_is_recorded(self, world):
        world.order(Action.REGISTER, command=["/no/such/program"])
        with pytest.raises(CannotDoError, match="there is no program"):
            world.order(Action.SPAWN)
        [agent] = world.manager.state.agents()
        assert agent.state is State.FAILED
        assert world.audit.types()[-1] == "agent.spawn.failed"
        world.check()

    def test_a_second_manager_on_the_same_state(self, world):
        with pytest.raises(NotAllowedError, match="another Agent Manager"):
            world.begin()


class TestTheManagerIsAway:
    def test_its_agents_run_on_and_it_knows_them_again(self, world):
        agent = world.spawn()
        world.heartbeat(agent)
        pid = world.pid(agent)
        world.now += 3600
        manager = world.again()
        manager.look()
        assert (world.agent_state(agent), world.pid(agent)) == (State.RUNNING, pid)
        world.heartbeat(agent)
        assert world.order(Action.STOP, agent).result == {"exit_code": None, "killed": False}
        world.check()

    def test_what_ended_meanwhile_is_found(self, world):
        agent = world.spawn()
        pid = world.pid(agent)
        world.die()
        kill(pid)
        manager = world.begin()
        wait_until(lambda: manager.look() and world.agent_state(agent) is State.FAILED)
        assert world.audit.events()[-1][1]["exit_code"] is None
        world.check()

    @pytest.mark.parametrize("action", list(Action))
    def test_killed_at_any_step_it_comes_back_to_what_the_log_tells(self, world, action):
        """Each step of an order is the last one once: before and after each event, each write, each process."""
        for last in range(1, 100):
            agent = "" if action in {Action.REGISTER, Action.SPAWN} else world.spawn()
            if action is Action.START:
                world.order(Action.STOP, agent)
            if action is Action.SPAWN and last == 1:
                world.order(Action.REGISTER)
            subject = f"template-{last}" if action is Action.REGISTER else agent
            world.die()
            interrupter = Interrupter(last)
            world.begin(interrupter)
            interrupted = False
            try:
                world.order(action, subject)
            except Crash:
                interrupted = True
            running = len([one for one in world.manager.state.agents() if one.state in ALIVE])
            world.again()
            assert world.manager.look() is True
            world.check()
            for one in world.manager.state.agents():
                assert (one.state in ALIVE) == (world.pid(one.id) is not None)
                if one.state in ALIVE:
                    world.order(Action.DESTROY, one.id)
            assert _processes_left(world) == [], running
            if not interrupted:
                break
        assert last > 6


def _processes_left(world) -> list[str]:
    processes = world.ended[-1][1]
    return [run.name for run in (world.folder / "runs").glob("*[!t]") if processes.is_alive(run.name)]
