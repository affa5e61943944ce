from datetime import UTC, datetime, timedelta

import pytest

from auditseal.adapters.registry_file import save_registry
from auditseal.adapters.registry_locations import FileLocation
from auditseal.core.registered_signer import Status
from auditseal.core.registry import Registry
from auditseal.errors import ConfigError, InputError, NotFoundError, SignerError
from auditseal.service.key_deletion import DeletionWish, delete
from fakes.kms import FakeKms
from support.rotating import OLD, Deployment

NOW = datetime(2026, 11, 28, tzinfo=UTC)


class Usage:
    def __init__(self, at):
        self.at, self.operation, self.tracked_since = at, "Sign", NOW - timedelta(days=400)


class Keys:
    """KMS, as far as deletion asks it; the day of the last use, None for never, or an error."""

    def __init__(self, used=None):
        self.used, self.scheduled = used, []

    def last_usage(self, key_id):
        if isinstance(self.used, SignerError):
            raise self.used
        return Usage(self.used)

    def schedule_deletion(self, key_id, *, days=30):
        if not 7 <= days <= 30:
            raise InputError("days")
        self.scheduled.append((key_id, days))
        return NOW + timedelta(days=days)


@pytest.fixture(scope="module")
def module_deployment(tmp_path_factory):
    with FakeKms() as kms:
        made = Deployment(tmp_path_factory.mktemp("log"), kms.url, kms.region)
        made.create()
        made.append()
        save_registry(made.registry_path, made.registry().with_changed(OLD, status=Status.RETIRED))
        yield made


@pytest.fixture
def deployment(module_deployment):
    module_deployment.publish()
    return module_deployment


def ask(deployment, keys, *, registry=None, held_at=None, verify=None, **wish):
    registry = registry or deployment.registry()
    places = [FileLocation(deployment.published_path)] if held_at is None else held_at
    return delete(
        registry,
        keys,
        DeletionWish(signer_id=wish.pop("signer_id", OLD), **wish),
        verify=verify or (lambda: deployment.audit(registry)),
        held_at=places,
        now=NOW,
    )


def failing(outcome):
    return [(item.what, item.holds) for item in outcome.evidence if item.holds is not True]


def test_with_all_the_evidence_the_key_is_scheduled(deployment):
    keys = Keys()
    outcome = ask(deployment, keys, days=7)
    assert (failing(outcome), outcome.deletion) == ([], NOW + timedelta(days=7))
    assert keys.scheduled == [(deployment.registry().find(OLD).key_arn, 7)]


def test_a_dry_run_gathers_the_evidence_alone(deployment):
    keys = Keys()
    outcome = ask(deployment, keys, dry_run=True)
    assert (outcome.may_be_deleted, outcome.deletion, keys.scheduled) == (True, None, [])


@pytest.mark.parametrize("days", [6, 31])
def test_the_waiting_period_is_what_kms_allows(deployment, days):
    with pytest.raises(InputError):
        ask(deployment, Keys(), days=days)


def test_an_active_signer_keeps_its_key(deployment):
    keys = Keys()
    registry = deployment.registry().with_changed(OLD, status=Status.ACTIVE)
    assert failing(ask(deployment, keys, registry=registry)) == [("out of use", False)]
    assert keys.scheduled == []


def test_a_key_that_was_used_lately_stays(deployment):
    keys = Keys(NOW - timedelta(days=2))
    assert failing(ask(deployment, keys)) == [("not used lately", False)]
    assert failing(ask(deployment, keys, unused_for_s=86_400)) == []


def test_where_kms_does_not_say_when_it_was_used_somebody_must_have_looked(deployment):
    keys = Keys(SignerError("denied", reason="denied"))
    assert failing(ask(deployment, keys)) == [("not used lately", None)]
    assert failing(ask(deployment, keys, accept_unknown_use=True)) == []


def test_an_outage_of_kms_is_no_evidence(deployment):
    with pytest.raises(SignerError):
        ask(deployment, Keys(SignerError("away", reason="unreachable", retryable=True)), accept_unknown_use=True)


def test_a_log_that_does_not_verify_keeps_the_key(deployment):
    outcome = ask(deployment, Keys(), verify=lambda: deployment.audit(Registry()))
    assert failing(outcome) == [("its entries verify without it", None)]


def test_a_public_key_that_is_held_nowhere_else_keeps_the_key(deployment):
    assert failing(ask(deployment, Keys(), held_at=[])) == [("its public key is held elsewhere", False)]
    save_registry(deployment.published_path, Registry())
    assert failing(ask(deployment, Keys())) == [("its public key is held elsewhere", False)]


def test_macs_die_with_their_key_unless_that_is_accepted(kms, tmp_path):
    deployment = Deployment(tmp_path, kms.url, kms.region)
    deployment.create("hmac-sha256")
    deployment.append(1)
    registry = deployment.registry().with_changed(OLD, status=Status.RETIRED)
    assert failing(ask(deployment, Keys(), registry=registry)) == [("its entries verify without it", False)]
    assert failing(ask(deployment, Keys(), registry=registry, accept_unverifiable_macs=True)) == []


def test_a_signer_that_is_not_known_is_said(deployment):
    with pytest.raises(NotFoundError):
        ask(deployment, Keys(), signer_id="nobody")
    local = deployment.registry().with_changed(OLD, key_arn=None)
    with pytest.raises(ConfigError, match="no keyArn"):
        ask(deployment, Keys(), registry=local)
