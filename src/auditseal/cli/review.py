"""review: one folder and one page for the security review of a signing key."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from auditseal.cli.exits import Exit
from auditseal.cli.options import OutputOption, SignersOption, emit, json_text, parse_outputs
from auditseal.cli.policy.check import AccountOption, AlgorithmOption, KeyIdOption, RoleArnOption, check_role_arn


def review(
    key_id: KeyIdOption = None,
    role_arn: RoleArnOption = None,
    algorithm: AlgorithmOption = None,
    signer_id: Annotated[str | None, typer.Option("--signer-id", help="Its name in signers.json.")] = None,
    signers: SignersOption = None,
    out: Annotated[Path, typer.Option("--out", metavar="FOLDER", help="Where to.")] = Path("auditseal-review"),
    rotate_days: Annotated[int, typer.Option("--rotate-days", help="How long a key signs.")] = 365,
    retain_days: Annotated[int, typer.Option("--retain-days", help="How long logs are kept.")] = 3653,
    *,
    account: AccountOption = True,
    output: OutputOption = None,
) -> int:
    """Write the security review of a key: who can sign, by which path, what the rules found, what was not read."""
    outputs = parse_outputs(output, ("text", "json"))
    from auditseal.access.review import Plan
    from auditseal.cli.policy.files import need_extra
    from auditseal.config import load_settings
    from auditseal.wiring.review import gather, write_folder

    need_extra()
    check_role_arn(role_arn)
    plan = Plan(rotate_days=rotate_days, retain_days=retain_days)
    flags = {"kms_key_id": key_id, "algorithm": algorithm, "signer_id": signer_id, "signers": signers}
    loaded = load_settings(flags)
    required = loaded.settings.require_kms if "require_kms" in loaded.origins else None
    made = gather(loaded.settings, role_arn=role_arn, plan=plan, account=account, require_kms=required)
    paths = write_folder(made, out)
    code = Exit.BAD if made.failed else Exit.INCONCLUSIVE if made.not_read or made.not_checked else Exit.GOOD
    able = made.who[made.signing]
    direct = [one.principal for one in able or () if one.is_direct]
    takers = [one.principal for one in able or () if not one.is_direct]
    text = [
        f"{paths[0]}  for people, and {len(paths) - 1} files for programs beside it",
        f"may sign: {'not known' if able is None else ', '.join(direct) or 'nobody'}",
        *([f"may take on a role that may: {', '.join(dict.fromkeys(takers))}"] if takers else []),
        f"checks: {len(made.failed)} failed, {len(made.not_checked)} not checked; findings: {len(made.findings)}",
        *(f"could not be read: {line}" for line in made.not_read),
    ]
    members = {
        "schema_version": 1,
        "exit_code": int(code),
        "files": [str(path) for path in paths],
        "failed": [item.id for item in made.failed],
        "not_checked": [item.id for item in made.not_checked],
        "findings": [finding.rule.id for finding in made.findings],
        "not_read": list(made.not_read),
    }
    emit(outputs, {"text": lambda: "\n".join(text), "json": lambda: json_text(members)})
    return code
