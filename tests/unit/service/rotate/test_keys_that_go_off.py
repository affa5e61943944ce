"""A key that is disabled in the middle of a rotation, at each thing that the rotation does."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from auditseal.core.report import Verdict
from auditseal.core.rotation import Step
from auditseal.errors import ConfigError, ConflictError, SignerError
from auditseal.service.registry_check import check_registry
from auditseal.service.rotate.activate import activate
from auditseal.service.rotate.emergency import emergency
from auditseal.service.rotate.finish import verify
from auditseal.service.rotate.start import Wish, abort, start
from support.rotating import ALIAS, NEW, OLD, Deployment

WISH = Wish(overlap_s=0, alias=ALIAS)
POINTS = [
    "proofs made",
    "handover appended",
    "handover signed",
    "settled",
    "registry ranges",
    "alias moved",
    "signer.activated appended",
    "signer.activated signed",
]


@pytest.fixture(params=["event", "checkpoint"])
def deployment(request, kms, tmp_path):
    made = Deployment(tmp_path, kms.url, kms.region, mode=request.param)
    made.create()
    made.append()
    return made


class At:
    """Does something when a rotation reaches a point, once."""

    def __init__(self, point: str, act: Callable[[], None]) -> None:
        self._act: Callable[[], None] | None = act
        self._point = point
        self.seen: list[str] = []

    def __call__(self, point: str) -> None:
        self.seen.append(point)
        if point == self._point and self._act is not None:
            act, self._act = self._act, None
            act()


def cut_off(deployment: Deployment, signer_id: str, point: str) -> bool:
    """Begins a rotation whose old or new key is disabled at a point; whether that was reached."""
    admin = deployment.desk()
    rotation = start(admin, WISH)
    at = At(point, lambda: admin.keys.disable(deployment.registry().find(signer_id).key_arn))
    try:
        activate(deployment.desk(reached=at), rotation)
    except SignerError as error:
        assert error.reason == "disabled"  # noqa: PT017 - most points leave nothing to sign
    return point in at.seen


@pytest.mark.parametrize("signer_id", [OLD, NEW])
@pytest.mark.parametrize("point", POINTS)
def test_the_activation_carries_on_when_the_key_is_enabled_again(deployment, signer_id, point):
    if not cut_off(deployment, signer_id, point):
        assert point == "handover signed"
        return
    desk = deployment.desk()
    desk.keys.enable(deployment.registry().find(signer_id).key_arn)
    (rotation,) = desk.rotations("default")
    rotation = verify(desk, activate(desk, rotation))
    assert rotation.step is Step.VERIFIED
    with deployment.open_log() as log:
        assert log.append("x", {}).signer == NEW
    report = deployment.audit()
    assert (report.verdict, report.findings) == (Verdict.VALID, ())
    assert check_registry(deployment.registry(), desk.store).findings == ()


@pytest.mark.parametrize("point", POINTS[:2])
def test_an_old_key_that_is_off_is_asked_for_by_name_while_it_has_to_sign(deployment, point):
    cut_off(deployment, OLD, point)
    desk = deployment.desk()
    (rotation,) = desk.rotations("default")
    with pytest.raises((SignerError, ConfigError), match=r"is Disabled and cannot sign: enable it"):
        activate(desk, rotation)
    with pytest.raises(ConflictError, match="carry it on with auditseal rotate activate"):
        emergency(desk, Wish(alias=ALIAS), since="2026-01-01T00:00:00.000000Z", reason="stolen")
    with pytest.raises(ConflictError, match="carry the rotation on with auditseal rotate activate"):
        abort(desk, rotation)
