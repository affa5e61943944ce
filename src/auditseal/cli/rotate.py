"""rotate: from one key to the next, a step at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from auditseal.cli.exits import Exit
from auditseal.cli.options import (
    LogOption,
    OutputOption,
    SignersOption,
    StreamsOption,
    emit,
    json_text,
    parse_outputs,
    remark,
)
from auditseal.cli.reconcile import parse_duration, parse_moment
from auditseal.cli.rotation_report import plan_text, rotation_members, rotation_text
from auditseal.errors import InputError

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from auditseal.core.rotation import Rotation
    from auditseal.service.rotate.activate import Served
    from auditseal.service.rotate.desk import Desk
    from auditseal.service.rotate.emergency import Damage
    from auditseal.service.rotate.start import Wish

app = typer.Typer(no_args_is_help=True, help="Rotate keys: plan, start, publish, activate, verify, retire, disable.")

DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")]
LocationOption = Annotated[
    list[str] | None,
    typer.Option(
        "--location", metavar="PATH|s3://…|git+PATH|https://…", help="Where verifiers get signers.json; repeatable."
    ),
]
AlgorithmOption = Annotated[
    str | None, typer.Option("--algorithm", help="What the new key signs with; by default as the old.")
]
SignerIdOption = Annotated[str | None, typer.Option("--signer-id", help="The new signer's name in signers.json.")]
OverlapOption = Annotated[
    str | None, typer.Option("--overlap", metavar="DURATION", help="How long the old key is kept ready; 7d by default.")
]
AliasOption = Annotated[str | None, typer.Option("--alias", help="Moves to the new key, such as alias/audit.")]
PolicyOption = Annotated[
    Path | None, typer.Option("--policy", metavar="FILE", help="The new key's policy as JSON; else as the old key's.")
]
SignerRoleOption = Annotated[
    str | None, typer.Option("--signer-role", metavar="ARN", help="Who signs: the policy is made by the access rules.")
]
AdminRoleOption = Annotated[
    str | None, typer.Option("--admin-role", metavar="ARN", help="Who administers the new key.")
]
AskKmsOption = Annotated[bool, typer.Option("--ask-kms", help="Let KMS verify MACs of HMAC keys.")]


@app.command()
def plan(
    log: LogOption = None,
    signers: SignersOption = None,
    stream: StreamsOption = None,
    algorithm: AlgorithmOption = None,
    signer_id: SignerIdOption = None,
    overlap: OverlapOption = None,
    alias: AliasOption = None,
    output: OutputOption = None,
) -> None:
    """Say what a rotation would do; nothing is done."""
    from auditseal.service.rotate.start import plan as plan_rotation

    wish = _wish(stream, algorithm, signer_id, overlap, alias)
    with _desk(log, signers, None, dry_run=True) as desk:
        _show(output, plan_rotation(desk, wish), as_plan=True)


@app.command()
def start(
    log: LogOption = None,
    signers: SignersOption = None,
    stream: StreamsOption = None,
    algorithm: AlgorithmOption = None,
    signer_id: SignerIdOption = None,
    overlap: OverlapOption = None,
    alias: AliasOption = None,
    policy: PolicyOption = None,
    signer_role: SignerRoleOption = None,
    admin_role: AdminRoleOption = None,
    dry_run: DryRunOption = False,
    output: OutputOption = None,
) -> None:
    """Make the new key, export it, and announce it in signers.json."""
    from auditseal.service.rotate.start import start as start_rotation

    wish = _wish(stream, algorithm, signer_id, overlap, alias, (policy, signer_role, admin_role))
    with _desk(log, signers, None, dry_run=dry_run) as desk:
        _show(output, start_rotation(desk, wish), as_plan=dry_run)


@app.command()
def publish(
    log: LogOption = None,
    signers: SignersOption = None,
    stream: StreamsOption = None,
    location: LocationOption = None,
    wait: Annotated[str, typer.Option("--wait", metavar="DURATION", help="How long to wait for the others.")] = "0s",
    dry_run: DryRunOption = False,
    output: OutputOption = None,
) -> int:
    """Publish signers.json where it may be written, and wait until every location serves the new key."""
    from auditseal.service.rotate.activate import publish as publish_registry
    from auditseal.service.rotate.activate import wait_until_published

    with _latest(log, signers, stream, location, dry_run=dry_run) as (desk, rotation):
        for outcome in publish_registry(desk):
            if outcome.why_not:
                remark(f"auditseal: not published to {outcome.name}: {outcome.why_not}")
        served = wait_until_published(desk, rotation, wait_s=parse_duration(wait))
        if not served:
            raise InputError("no location is configured: give --location, or set AUDITSEAL_SIGNERS_LOCATIONS")
        _show(output, rotation, served)
        return Exit.INCONCLUSIVE if any(item.why_not for item in served) else Exit.GOOD


@app.command()
def activate(
    log: LogOption = None,
    signers: SignersOption = None,
    stream: StreamsOption = None,
    location: LocationOption = None,
    dry_run: DryRunOption = False,
    output: OutputOption = None,
) -> None:
    """Let the streams go over to the new key; running writers follow by themselves."""
    from auditseal.service.rotate.activate import activate as activate_rotation

    with _latest(log, signers, stream, location, dry_run=dry_run) as (desk, rotation):
        if not desk.locations:
            remark("auditseal: no location is configured, so that nobody was asked whether verifiers know the new key")
        _show(output, activate_rotation(desk, rotation))


@app.command()
def verify(
    log: LogOption = None,
    signers: SignersOption = None,
    stream: StreamsOption = None,
    location: LocationOption = None,
    ask_kms: AskKmsOption = False,
    dry_run: DryRunOption = False,
    output: OutputOption = None,
) -> None:
    """Sign fresh entries with the new key, and verify the log against what each location serves."""
    from auditseal.service.rotate.finish import verify as verify_rotation

    with _latest(log, signers, stream, location, dry_run=dry_run) as (desk, rotation), _macs(ask_kms) as macs:
        _show(output, verify_rotation(desk, rotation, mac_verifier=macs))


@app.command()
def retire(
    log: LogOption = None,
    signers: SignersOption = None,
    stream: StreamsOption = None,
    dry_run: DryRunOption = False,
    output: OutputOption = None,
) -> None:
    """Mark the old signer as retired, after the overlap."""
    from auditseal.service.rotate.finish import retire as retire_signer

    with _latest(log, signers, stream, dry_run=dry_run) as at:
        _show(output, retire_signer(*at))


@app.command()
def seal(
    log: LogOption = None,
    signers: SignersOption = None,
    stream: StreamsOption = None,
    dry_run: DryRunOption = False,
    output: OutputOption = None,
) -> None:
    """Let the new signer vouch for what the old key's MACs cover, after KMS verified them all."""
    from auditseal.service.rotate.finish import seal as seal_macs

    with _latest(log, signers, stream, dry_run=dry_run) as (desk, rotation), _macs(True) as macs:
        seal_macs(desk, rotation, mac_verifier=macs)
        _show(output, rotation)


@app.command()
def disable(
    log: LogOption = None,
    signers: SignersOption = None,
    stream: StreamsOption = None,
    ask_kms: AskKmsOption = False,
    accept_unverifiable_macs: Annotated[
        bool,
        typer.Option("--i-accept-unverifiable-macs", help="Nobody will be able to verify the old key's MACs again."),
    ] = False,
    dry_run: DryRunOption = False,
    output: OutputOption = None,
) -> None:
    """Disable the old key, once the log verifies without it."""
    from auditseal.service.rotate.finish import disable as disable_old

    with _latest(log, signers, stream, dry_run=dry_run) as at, _macs(ask_kms) as macs:
        _show(output, disable_old(*at, mac_verifier=macs, accept_unverifiable_macs=accept_unverifiable_macs))


@app.command()
def status(
    log: LogOption = None,
    signers: SignersOption = None,
    stream: StreamsOption = None,
    location: LocationOption = None,
    output: OutputOption = None,
) -> None:
    """Say how far the rotation is, which step is next, and why it may not be taken yet."""
    from auditseal.service.rotate.activate import check_locations

    with _latest(log, signers, stream, location, dry_run=True) as (desk, rotation):
        _show(output, rotation, check_locations(desk, rotation) if rotation.new is not None else [])


@app.command()
def abort(
    log: LogOption = None,
    signers: SignersOption = None,
    stream: StreamsOption = None,
    dry_run: DryRunOption = False,
    output: OutputOption = None,
) -> None:
    """Take back a rotation that is not active yet; its new key is disabled, never deleted."""
    from auditseal.service.rotate.start import abort as abort_rotation

    with _latest(log, signers, stream, dry_run=dry_run) as at:
        _show(output, abort_rotation(*at))


@app.command()
def emergency(
    since: Annotated[str, typer.Option("--since", metavar="TIME", help="From when on others may have used the key.")],
    reason: Annotated[str, typer.Option("--reason", help="What happened, for the log.")],
    log: LogOption = None,
    signers: SignersOption = None,
    stream: StreamsOption = None,
    algorithm: AlgorithmOption = None,
    signer_id: SignerIdOption = None,
    alias: AliasOption = None,
    policy: PolicyOption = None,
    signer_role: SignerRoleOption = None,
    admin_role: AdminRoleOption = None,
    anchored: Annotated[
        list[str] | None,
        typer.Option("--anchored", metavar="STREAM#SEQ=HASH@TIME", help="What was witnessed or anchored; repeatable."),
    ] = None,
    anchor: Annotated[
        list[str] | None,
        typer.Option(
            "--anchor", metavar="ADDRESS", help="An anchor that may hold checkpoints from before; repeatable."
        ),
    ] = None,
    witness_policy: Annotated[
        Path | None, typer.Option("--witness-policy", metavar="FILE", help="Whose cosignatures count.")
    ] = None,
    origin: Annotated[str | None, typer.Option("--origin", help="Of the log, where it has no checkpoints.")] = None,
    dry_run: DryRunOption = False,
    output: OutputOption = None,
) -> int:
    """Revoke a stolen key at once, go over to a new one, and say which entries rest on the old one alone."""
    from auditseal.core.times import Micros, format_time
    from auditseal.service.rotate.emergency import emergency as go_over
    from auditseal.service.rotate.emergency import parse_anchor
    from auditseal.wiring.rotating import evidence_of

    wish = _wish(stream, algorithm, signer_id, None, alias, (policy, signer_role, admin_role))
    moment = format_time(Micros(parse_moment(since) * 1_000_000))
    anchors = [parse_anchor(text) for text in anchored or ()]
    with _desk(log, signers, None, dry_run=dry_run) as desk:
        anchors += evidence_of(
            desk.store, stream, anchors=anchor or (), witness_policy=witness_policy, origin=origin, since=moment
        )
        rotation, damages = go_over(desk, wish, since=moment, reason=reason, anchors=anchors)
    _show(output, rotation, (), damages)
    return Exit.BAD if any(damage.contradicted for damage in damages) else Exit.GOOD


def _wish(
    stream: Sequence[str] | None,
    algorithm: str | None,
    signer_id: str | None,
    overlap: str | None,
    alias: str | None,
    policy: tuple[Path | None, str | None, str | None] = (None, None, None),
) -> Wish:
    from auditseal.cli.keys import read_policy
    from auditseal.config import load_settings
    from auditseal.service.rotate.start import Wish
    from auditseal.wiring.rotating import policy_of

    file, signer_role, admin_role = policy
    settings = load_settings().settings
    return Wish(
        streams=tuple(stream or ()),
        algorithm=algorithm,
        new_id=signer_id,
        overlap_s=None if overlap is None else parse_duration(overlap),
        alias=alias or _alias_of(settings.kms_key_id),
        policy=policy_of(settings, file=read_policy(file), signer_role=signer_role, admin_role=admin_role),
    )


def _alias_of(key_id: str | None) -> str | None:
    """The alias by which writers are configured to name the key, if they are: it must move with the key."""
    return key_id if key_id is not None and key_id.startswith("alias/") else None


@contextmanager
def _latest(
    log: str | None,
    signers: Path | None,
    stream: Sequence[str] | None,
    location: Sequence[str] | None = None,
    *,
    dry_run: bool,
) -> Iterator[tuple[Desk, Rotation]]:
    """The desk, and the latest rotation of these streams."""
    with _desk(log, signers, location, dry_run=dry_run) as desk:
        yield desk, desk.latest(stream or ())


def _desk(
    log: str | None, signers: Path | None, locations: Sequence[str] | None, *, dry_run: bool
) -> AbstractContextManager[Desk]:
    from auditseal.config import load_settings
    from auditseal.wiring.rotating import open_desk

    settings = load_settings({"log": log, "signers": signers}).settings
    return open_desk(settings, locations=locations or (), dry_run=dry_run)


def _macs(asked: bool) -> Any:
    from contextlib import closing, nullcontext

    from auditseal.config import load_settings
    from auditseal.wiring.verifying import MacVerifiers

    return closing(MacVerifiers(load_settings().settings)) if asked else nullcontext(None)


def _show(
    output: list[str] | None,
    rotation: Rotation,
    served: Sequence[Served] = (),
    damages: Sequence[Damage] = (),
    *,
    as_plan: bool = False,
) -> None:
    renderers: dict[str, Callable[[], str]] = {
        "text": lambda: plan_text(rotation) if as_plan else rotation_text(rotation, served, damages),
        "json": lambda: json_text(rotation_members(rotation, served, damages)),
    }
    emit(parse_outputs(output, tuple(renderers)), renderers)
