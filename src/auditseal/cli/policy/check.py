"""policy check: the least-privilege checklist against the real key, role and account; policy cost."""

from __future__ import annotations

from typing import Annotated

import typer

from auditseal.cli.findings.checklist import emit_checklist
from auditseal.cli.findings.output import FORMS
from auditseal.cli.options import OutputOption, emit, json_text, parse_outputs
from auditseal.cli.policy.files import need_extra
from auditseal.errors import InputError

KeyIdOption = Annotated[str | None, typer.Option("--key-id", help="Key id, ARN or alias. [AUDIT_SIGNING_KMS_KEY_ID]")]
RoleArnOption = Annotated[str | None, typer.Option("--role-arn", help="The signer's role.")]
AlgorithmOption = Annotated[str | None, typer.Option("--algorithm", help="Such as ed25519. [AUDIT_SIGNING_ALG]")]
AccountOption = Annotated[
    bool, typer.Option("--account/--no-account", help="Whether to read every role and user of the account.")
]


def check_role_arn(text: str | None) -> None:
    """Whether it is a role's ARN, if it was given.

    Raises:
        InputError: it is not.
    """
    from auditseal.access.arn import parse_principal

    if text is not None and parse_principal(text).kind != "role":
        raise InputError(f"--role-arn {text[:120]} is no role: arn:aws:iam::ACCOUNT:role/NAME is")


def check(
    key_id: KeyIdOption = None,
    role_arn: RoleArnOption = None,
    algorithm: AlgorithmOption = None,
    *,
    account: AccountOption = True,
    output: OutputOption = None,
) -> int:
    """Check the real key policy, grants, aliases, role and trail, item by item."""
    outputs = parse_outputs(output, FORMS)
    need_extra()
    from auditseal.access.checklist import Checklist
    from auditseal.config import load_settings
    from auditseal.core.algorithm import parse_algorithm
    from auditseal.wiring.access import open_reader

    loaded = load_settings({"kms_key_id": key_id, "algorithm": algorithm})
    settings = loaded.settings
    if settings.kms_key_id is None:
        raise InputError("which key is not said: give --key-id, or set AUDIT_SIGNING_KMS_KEY_ID")
    check_role_arn(role_arn)
    chosen = None if settings.algorithm is None else parse_algorithm(settings.algorithm)
    named = settings.kms_key_id
    with open_reader(named) as reader:
        facts = reader.facts(named, role_arn, account=account)
    checklist = Checklist(
        facts=facts,
        algorithm=chosen,
        alias=named[named.index("alias/") :] if "alias/" in named else None,
        require_kms=settings.require_kms if "require_kms" in loaded.origins else None,
    )
    return emit_checklist(outputs, "policy check", checklist.items())


def cost(
    rate: Annotated[float, typer.Option("--rate", min=0.000001, help="Events a second, on average.")],
    algorithm: Annotated[str, typer.Option("--algorithm", help="Such as ed25519.")],
    mode: Annotated[str, typer.Option("--mode", help="event or checkpoint.")] = "event",
    every: Annotated[int, typer.Option("--every", min=1, help="Events for each checkpoint.")] = 1000,
    every_s: Annotated[float, typer.Option("--every-s", min=0.001, help="Seconds for each checkpoint.")] = 10.0,
    peak: Annotated[float, typer.Option("--peak", min=1.0, help="The busiest second, times the average.")] = 3.0,
    output: OutputOption = None,
) -> int:
    """Estimate KMS's monthly cost and the share of its request quota."""
    outputs = parse_outputs(output, ("text", "json"))
    from auditseal.access.cost import estimate
    from auditseal.core.algorithm import parse_algorithm

    made = estimate(parse_algorithm(algorithm), rate=rate, mode=mode, every=every, every_s=every_s, peak=peak)
    emit(outputs, {"text": lambda: made.text, "json": lambda: json_text({"schema_version": 1, **made.members})})
    return 0 if made.fits else 1
