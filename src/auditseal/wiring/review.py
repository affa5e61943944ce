"""Gathers a review out of AWS and writes its folder."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from auditseal.access.checklist import Checklist
from auditseal.access.review import Plan, Review, files_of, make_review
from auditseal.errors import AuditSealError, InputError, SignerError, StoreError
from auditseal.wiring import signing
from auditseal.wiring.access import open_reader
from auditseal.wiring.signer_checks import configured_algorithm, registered_signer

if TYPE_CHECKING:
    from auditseal.access.facts import Facts
    from auditseal.config import Settings

PAGE: Final = "review.html"


def gather(settings: Settings, *, role_arn: str | None, plan: Plan, account: bool, require_kms: bool | None) -> Review:
    """Reads everything and draws the conclusions.

    Args:
        settings: with `kms_key_id`.
        role_arn: the signer's role.
        plan: rotation and retention.
        account: whether to read every role and user of the account.
        require_kms: whether REQUIRE_KMS is set where this runs; None if it is not said.

    Raises:
        InputError: no key is named.
        ConfigError, SignerError: AWS cannot be asked at all.
    """
    key_id = settings.kms_key_id
    if key_id is None:
        raise InputError("which key is not said: give --key-id, or set AUDIT_SIGNING_KMS_KEY_ID")
    with open_reader(key_id) as reader:
        caller = reader.caller()
        facts = reader.facts(key_id, role_arn, account=account)
    algorithm = configured_algorithm(settings, registered_signer(settings)).value
    entry, why = _signer_entry(settings, facts)
    return make_review(
        Checklist(
            facts=facts,
            algorithm=algorithm,
            alias=key_id[key_id.index("alias/") :] if "alias/" in key_id else None,
            require_kms=require_kms,
        ),
        key_id=key_id,
        made_at=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        made_by=(caller.value or {}).get("Arn", "somebody unknown"),
        signer_entry=entry,
        signer_why=why,
        plan=plan,
        role_arn=role_arn,
    )


def _signer_entry(settings: Settings, facts: Facts) -> tuple[Mapping[str, Any] | None, str | None]:
    """The entry for signers.json, or why there is none."""
    from auditseal.core.algorithm import infer_algorithm, parse_algorithm
    from auditseal.core.key import parse_public_key
    from auditseal.core.registry import RegisteredSigner, Registry

    key = facts.key.value
    if key is None:
        return None, facts.key.why
    name = settings.signer_id or "audit"
    if key.usage == "GENERATE_VERIFY_MAC":
        row = parse_algorithm("hmac-sha256")
        signer = RegisteredSigner(signer_id=name, algorithm=row, key_arn=key.arn, key_spec=key.spec)
        return _entry_of(Registry(signers=(signer,))), None
    keys = signing.open_keys(settings, key_id=key.arn)
    try:
        public_key = parse_public_key(keys.export_public_key(key.arn).der)
        row = infer_algorithm(public_key) if settings.algorithm is None else parse_algorithm(settings.algorithm)
        signer = RegisteredSigner(
            signer_id=name, algorithm=row, public_key=public_key, key_arn=key.arn, key_spec=key.spec
        )
    except SignerError as error:
        return None, "no permission for kms:GetPublicKey" if error.reason == "denied" else str(error)
    except AuditSealError as error:
        return None, str(error)
    finally:
        keys.close()
    return _entry_of(Registry(signers=(signer,))), None


def _entry_of(registry: Any) -> Mapping[str, Any]:
    entry: Mapping[str, Any] = json.loads(registry.to_json_bytes())["signers"][0]
    return entry


def write_folder(review: Review, folder: Path) -> list[Path]:
    """Writes the page and the files; the paths, the page first.

    Raises:
        InputError: the folder holds something that is not a review.
        StoreError: it cannot be written.
    """
    from auditseal.access.review_page import review_page

    if folder.exists() and not (folder / PAGE).exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"{folder} holds something else: name a new folder for the review")
    texts = {PAGE: review_page(review), **files_of(review)}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for old in folder.glob("*.json"):
            old.unlink()
        for name, text in texts.items():
            (folder / name).write_text(text, encoding="utf-8")
    except OSError as error:
        raise StoreError(f"{folder} cannot be written: {error.strerror}") from error
    return [folder / name for name in texts]
