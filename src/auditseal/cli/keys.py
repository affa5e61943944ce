"""keys: make, export, list and check keys in AWS KMS."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from auditseal.cli.exits import Exit, strongest
from auditseal.cli.options import (
    LogOption,
    OutputOption,
    SignersOption,
    emit,
    json_lines,
    json_text,
    parse_outputs,
    remark,
)
from auditseal.errors import AuditSealError, ConflictError, InputError, NotFoundError, StoreError

if TYPE_CHECKING:
    from auditseal.core.algorithm import Algorithm
    from auditseal.core.registry import RegisteredSigner
    from auditseal.service.key_check import KeyCheck

app = typer.Typer(no_args_is_help=True, help="Keys in AWS KMS.")

KeyArgument = Annotated[str, typer.Argument(metavar="KEY", help="Key id, key ARN or alias.")]
SignerIdOption = Annotated[str | None, typer.Option("--signer-id", help="Its name in signers.json.")]


@app.command()
def create(
    algorithm: Annotated[str, typer.Option("--algorithm", help="Such as ed25519 or rsa-sha256.")],
    alias: Annotated[str | None, typer.Option("--alias", help="A free alias, such as alias/audit.")] = None,
    signer_id: SignerIdOption = None,
    signers: SignersOption = None,
    key_spec: Annotated[str | None, typer.Option("--key-spec", help="Such as RSA_3072.")] = None,
    policy: Annotated[Path | None, typer.Option("--policy", metavar="FILE", help="The key policy as JSON.")] = None,
    description: Annotated[str, typer.Option("--description", help="For people.")] = "auditseal signing key",
    output: OutputOption = None,
) -> None:
    """Make a signing key in KMS and add it to signers.json."""
    from auditseal.config import load_settings
    from auditseal.core.algorithm import parse_algorithm
    from auditseal.wiring import signing

    outputs = parse_outputs(output, ("text", "json"))
    settings = load_settings({"signers": signers}).settings
    chosen = parse_algorithm(algorithm)
    path = settings.signers
    if (path is None) != (signer_id is None):
        raise InputError("--signer-id and --signers go together: the name, and the signers.json it is added to")
    if path is not None and signer_id is not None:
        _check_free(path, signer_id)
    keys = signing.open_keys(settings)
    try:
        info = keys.create_key(
            chosen, alias=alias, description=description, policy=read_policy(policy), key_spec=key_spec
        )
        signer = None
        if path is not None and signer_id is not None:
            signer = _register_new(keys, info.arn, chosen, signer_id, path)
    finally:
        keys.close()
    document = {
        "schema_version": 1,
        "keyId": info.key_id,
        "keyArn": info.arn,
        "alias": alias,
        "signerId": signer_id,
        "algorithm": str(chosen.id),
        "fingerprint": None if signer is None else signer.fingerprint,
    }
    text = [f"Made {info.arn} ({info.spec})" + (f", {alias}" if alias else "")]
    if signer is not None:
        text.append(f"Added {signer_id} ({chosen.id}) to {path}, fingerprint {signer.fingerprint or 'none: a MAC'}")
        text.append(f"To sign with it: AUDIT_SIGNING_KMS_KEY_ID={alias or info.arn} AUDIT_SIGNER_KID={signer_id}")
    emit(outputs, {"text": lambda: "\n".join(text), "json": lambda: json_text(document)})


@app.command()
def export(
    key: KeyArgument,
    signer_id: SignerIdOption = None,
    signers: SignersOption = None,
    algorithm: Annotated[str | None, typer.Option("--algorithm", help="For RSA: rsa-sha256 or rsa-pss-sha256.")] = None,
    output: OutputOption = None,
) -> None:
    """Export a public key: print it, or add it to signers.json under a name."""
    from auditseal.config import load_settings
    from auditseal.core.algorithm import infer_algorithm, offline_rule, parse_algorithm
    from auditseal.core.key import fingerprint, parse_public_key, to_pem
    from auditseal.wiring import signing

    outputs = parse_outputs(output, ("text", "json"))
    settings = load_settings({"signers": signers}).settings
    chosen = parse_algorithm(algorithm) if algorithm is not None else None
    if signer_id is not None and settings.signers is None:
        raise InputError("--signer-id needs --signers: the signers.json it is added to")
    public_key = None
    with closing(signing.open_keys(settings, key_id=key)) as keys:
        if chosen is not None and chosen.is_mac:
            if signer_id is None:
                raise InputError("an HMAC key has no public key to print: name it in signers.json with --signer-id")
            info = keys.describe(key)
            if chosen not in info.fitting:
                raise InputError(f"{info.arn} is a key of {info.spec}, which does not serve {chosen.id}")
            arn, spec = info.arn, info.spec
        else:
            exported = keys.export_public_key(key)
            arn, spec = exported.arn, exported.spec
            public_key = parse_public_key(exported.der, algorithm=chosen)
            chosen = chosen or infer_algorithm(public_key)
            offline_rule(chosen, public_key)
        if signer_id is not None and settings.signers is not None:
            _register(keys, arn, chosen, signer_id, settings.signers)
    shown = "none: a MAC" if public_key is None else fingerprint(public_key)
    document = {
        "schema_version": 1,
        "keyArn": arn,
        "keySpec": spec,
        "algorithm": str(chosen.id),
        "signerId": signer_id,
        "fingerprint": None if public_key is None else fingerprint(public_key),
        "publicKey": None if public_key is None else to_pem(public_key),
    }
    said = "" if public_key is None else to_pem(public_key).rstrip()
    if signer_id is not None:
        said = f"Added {signer_id} ({chosen.id}) to {settings.signers}, fingerprint {shown}"
    emit(outputs, {"text": lambda: said, "json": lambda: json_text(document)})


@app.command("list")
def list_keys(output: OutputOption = None) -> int:
    """List the keys of the account and Region that can sign for a log."""
    from auditseal.config import load_settings
    from auditseal.wiring import signing

    outputs = parse_outputs(output, ("text", "json", "jsonl"))
    keys = signing.open_keys(load_settings().settings)
    try:
        listing = keys.list_signing_keys()
    finally:
        keys.close()
    rows = [
        {
            "keyId": info.key_id,
            "keyArn": info.arn,
            "keySpec": info.spec,
            "state": info.state,
            "aliases": list(listing.aliases.get(info.key_id, ())),
            "algorithms": [str(row.id) for row in info.fitting],
            "created": info.created.isoformat(),
        }
        for info in listing.keys
    ]
    for arn in listing.not_described:
        remark(f"auditseal: {arn} may not be described with these credentials: it may sign or not")
    emit(
        outputs,
        {
            "text": lambda: (
                "\n".join(
                    f"{row['keyId']}  {row['keySpec']}  {row['state']}  {', '.join(row['aliases']) or '-'}"
                    for row in rows
                )
                or "no signing keys"
            ),
            "json": lambda: json_text(
                {"schema_version": 1, "keys": rows, "not_described": list(listing.not_described)}
            ),
            "jsonl": lambda: json_lines(rows),
        },
    )
    return Exit.GOOD if rows else Exit.INCONCLUSIVE


@app.command()
def check(
    signers: SignersOption = None,
    max_age: Annotated[
        int, typer.Option("--max-age", metavar="DAYS", help="Warn of active keys that are older.")
    ] = 365,
    output: OutputOption = None,
) -> int:
    """Check each signer's key in KMS: its state, its age, and that signers.json has the same public key."""
    from datetime import UTC, datetime

    from auditseal.config import load_settings
    from auditseal.service.key_check import check_keys
    from auditseal.wiring import signing
    from auditseal.wiring.verifying import registry_for

    outputs = parse_outputs(output, ("text", "json"))
    settings = load_settings({"signers": signers}).settings
    path, registry = registry_for(settings, settings.log or "")
    with closing(signing.RegionalKeys(settings)) as keys:
        checks = check_keys(registry, keys, now=datetime.now(UTC), oldest_days=max_age)
    words = {True: "pass", False: "FAIL", None: "not checked"}
    codes = [{True: Exit.GOOD, False: Exit.BAD, None: Exit.INCONCLUSIVE}[item.holds] for item in checks]
    emit(
        outputs,
        {
            "text": lambda: (
                "\n".join(
                    "\n".join([f"{item.signer_id}  {words[item.holds]}  {item.detail}", *_worth_a_look(item)])
                    for item in checks
                )
                or f"{path} has no signers"
            ),
            "json": lambda: json_text(
                {
                    "schema_version": 1,
                    "exit_code": int(strongest(codes)),
                    "checks": [
                        {
                            "signerId": item.signer_id,
                            "holds": item.holds,
                            "detail": item.detail,
                            "warnings": list(item.warnings),
                        }
                        for item in checks
                    ],
                }
            ),
        },
    )
    return strongest(codes)


@app.command()
def delete(
    signer_id: Annotated[str, typer.Argument(metavar="SIGNER", help="Its name in signers.json.")],
    log: LogOption = None,
    signers: SignersOption = None,
    export: Annotated[
        list[str] | None,
        typer.Option(
            "--held-at", metavar="PATH|s3://…|git+PATH|https://…", help="Where its public key is held; repeatable."
        ),
    ] = None,
    days: Annotated[int, typer.Option("--days", help="The waiting period: 7 to 30 days.")] = 30,
    unused_for: Annotated[str, typer.Option("--unused-for", metavar="DURATION", help="Since its last use.")] = "7d",
    accept_unverifiable_macs: Annotated[
        bool,
        typer.Option("--i-accept-unverifiable-macs", help="Nobody will be able to verify the key's MACs again."),
    ] = False,
    accept_unknown_use: Annotated[
        bool, typer.Option("--i-checked-its-use", help="KMS cannot say when the key was last used; you looked it up.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Gather the evidence, and delete nothing.")] = False,
    output: OutputOption = None,
) -> int:
    """Schedule a retired signer's key for deletion, if all the evidence is there that nobody needs it any more."""
    from auditseal.cli.reconcile import parse_duration
    from auditseal.config import load_settings
    from auditseal.service.key_deletion import DeletionWish
    from auditseal.wiring.key_deleting import delete_key

    outputs = parse_outputs(output, ("text", "json"))
    settings = load_settings({"log": log, "signers": signers}).settings
    wish = DeletionWish(
        signer_id=signer_id,
        days=days,
        unused_for_s=parse_duration(unused_for),
        accept_unverifiable_macs=accept_unverifiable_macs,
        accept_unknown_use=accept_unknown_use,
        dry_run=dry_run,
    )
    outcome = delete_key(settings, wish, held_at=export or ())
    words = {True: "pass", False: "FAIL", None: "not checked"}
    lines = [f"  {words[item.holds]:11}  {item.what}: {item.detail}" for item in outcome.evidence]
    if outcome.deletion is not None:
        lines.append(
            f"{signer_id}: KMS deletes {outcome.key_arn} on {outcome.deletion:%Y-%m-%d}; until then it can be "
            "kept: aws kms cancel-key-deletion"
        )
    elif outcome.may_be_deleted:
        lines.append(f"{signer_id}: {outcome.key_arn} may be deleted; nothing was done (--dry-run)")
    else:
        lines.append(f"{signer_id}: {outcome.key_arn} was not scheduled for deletion")
    document = {
        "schema_version": 1,
        "signerId": signer_id,
        "keyArn": outcome.key_arn,
        "deletion": None if outcome.deletion is None else outcome.deletion.isoformat(),
        "evidence": [{"what": item.what, "holds": item.holds, "detail": item.detail} for item in outcome.evidence],
    }
    emit(outputs, {"text": lambda: "\n".join(lines), "json": lambda: json_text(document)})
    if outcome.may_be_deleted:
        return Exit.GOOD
    return Exit.BAD if any(item.holds is False for item in outcome.evidence) else Exit.INCONCLUSIVE


def _worth_a_look(item: KeyCheck) -> list[str]:
    return [f"  worth a look: {warning}" for warning in item.warnings]


def _check_free(path: Path, signer_id: str) -> None:
    """Refuses a name that is taken, before a key is made that would have none."""
    from auditseal.adapters.registry_file import load_registry

    try:
        registry = load_registry(path)
    except NotFoundError:
        return
    if registry.find(signer_id) is not None:
        raise ConflictError(f"{path} has a signer {signer_id!r} already: choose another name; no key was made")


def _register_new(keys: Any, arn: str, algorithm: Algorithm, signer_id: str, path: Path) -> RegisteredSigner:
    """Registers a key that was just made; if that fails, the error names the key, which costs money from now on."""
    try:
        return _register(keys, arn, algorithm, signer_id, path)
    except AuditSealError as error:
        raise StoreError(
            f"the key {arn} was made, and could not be added to {path}: {error}. Mend that, then: auditseal keys "
            f"export {arn} --signer-id {signer_id} --signers {path} --algorithm {algorithm.id}"
        ) from error


def _register(keys: Any, arn: str, algorithm: Algorithm, signer_id: str, path: Path) -> RegisteredSigner:
    from auditseal.adapters.registry_file import update_registry
    from auditseal.core.key import parse_public_key
    from auditseal.core.registry import RegisteredSigner

    public_key = None if algorithm.is_mac else parse_public_key(keys.export_public_key(arn).der)
    signer = RegisteredSigner(signer_id=signer_id, algorithm=algorithm, public_key=public_key, key_arn=arn)
    update_registry(path, lambda registry: registry.with_signer(signer), create=True)
    return signer


def read_policy(path: Path | None) -> str | None:
    """The text of a policy file; None without one.

    Raises:
        InputError: it cannot be read.
    """
    if path is None:
        return None
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read as a policy: {error}") from None
