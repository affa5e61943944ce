"""The doctor: everything that a signer needs, asked one by one, each with the fix.

Nothing is changed. Whether signing works is asked with DryRun where the endpoint is AWS; a real signature is made only
if the caller agrees, since it is counted, logged and belongs to no entry.
"""

from __future__ import annotations

import hashlib
import os
from contextlib import closing
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from auditseal.access.checked import Item, Reading, Status, failed, held, not_checked, passed
from auditseal.access.checklist import Checklist
from auditseal.errors import AuditSealError, ConfigError, InputError, SignerError
from auditseal.wiring import signing
from auditseal.wiring.access import open_reader
from auditseal.wiring.signer_checks import configured_algorithm, folder_of, key_items, registered_signer, registry_item
from auditseal.wiring.sources import open_store

if TYPE_CHECKING:
    from auditseal.adapters.aws_access.reader import AwsReader
    from auditseal.config import Settings
    from auditseal.core.algorithm import Algorithm

PROBES: Final = ("auto", "dry-run", "sign", "none")
_SKEW_S: Final = 60
_AWS: Final = (".amazonaws.com", ".amazonaws.com.cn", ".api.aws")
_NO_KEY: Final = "no KMS key is configured: set AUDIT_SIGNING_KMS_KEY_ID"
_SIGNS: Final = "the signer may sign"


def examine(settings: Settings, *, probe: str = "auto", role_arn: str | None = None) -> list[Item]:
    """All items.

    Args:
        settings: all of them.
        probe: how to ask whether signing works: `auto`, `dry-run`, `sign` for real, `none`.
        role_arn: the signer's role, where the caller is somebody else.

    Raises:
        InputError: no such probe, or AWS_REGION is not the key's.
        ConfigError: the AWS library is not installed.
    """
    if probe not in PROBES:
        raise InputError(f"--probe {probe[:20]} is not one of {', '.join(PROBES)}")
    items = [_require_kms(settings)]
    if settings.kms_key_id is None:
        local = settings.private_key is not None or settings.key_path is not None
        why = "a local key signs" if local and not settings.require_kms else _NO_KEY
        items += [not_checked("key", "the key is enabled", why), not_checked("may-sign", _SIGNS, why)]
    else:
        items += _of_kms(settings, settings.kms_key_id, probe, role_arn)
    return [*items, *_of_log(settings)]


def _require_kms(settings: Settings) -> Item:
    title = "REQUIRE_KMS is consistent"
    if not settings.require_kms:
        return passed("require-kms", title, "not required here: set REQUIRE_KMS=true in production and in CI")
    faults = [] if settings.kms_key_id is not None else [_NO_KEY]
    beside = folder_of(settings) / signing.DEVELOPMENT_KEY
    faults += [f"a development key lies beside the log: {beside}"] if beside.exists() else []
    fix = "remove every local key and configure the KMS key"
    return held("require-kms", title, faults, "required, and no local key is configured", fix)


def _of_kms(settings: Settings, key_id: str, probe: str, role_arn: str | None) -> list[Item]:
    registered = registered_signer(settings)
    algorithm = configured_algorithm(settings, registered)
    try:
        with open_reader(key_id) as reader:
            caller = reader.caller()
            items = [_credentials(caller), _clock(caller)]
            key = reader.key(key_id)
            items += key_items(key, algorithm)
            items.append(_may_sign(settings, key_id, algorithm, probe))
            items.append(registry_item(settings, registered, key))
            items.append(_policy(reader, key_id, algorithm.value, role_arn or _role_of(caller)))
    except ConfigError as error:
        return [failed("credentials", "AWS accepts the credentials", str(error), "mend AWS's configuration")]
    except SignerError as error:
        return [failed("endpoint", "AWS can be reached", str(error), "check the network and AWS_ENDPOINT_URL_KMS")]
    return items


def _credentials(caller: Reading[dict[str, Any]]) -> Item:
    title = "AWS accepts the credentials"
    if caller.value is None:
        return not_checked("credentials", title, caller.why)
    who = caller.value["Arn"].split(":", 5)[5]
    return passed("credentials", title, f"{who} in account {caller.value['Account']}")


def _clock(caller: Reading[dict[str, Any]]) -> Item:
    title = "the clock is right"
    date = (caller.value or {}).get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date")
    if not date:
        return not_checked("clock", title, caller.why or "the answer has no date")
    skew_s = abs((datetime.now(UTC) - parsedate_to_datetime(date)).total_seconds())
    faults = [] if skew_s <= _SKEW_S else [f"it is off by {skew_s:.0f} s"]
    return held(
        "clock", title, faults, f"within {_SKEW_S} s of AWS's", "let NTP set it: AWS refuses requests 5 minutes off"
    )


def _may_sign(settings: Settings, key_id: str, algorithm: Reading[Algorithm], probe: str) -> Item:
    chosen = algorithm.value
    if chosen is None or probe == "none":
        return not_checked("may-sign", _SIGNS, algorithm.why or "not asked for")
    if probe == "sign":
        return _sign_for_real(settings)
    calls = signing.open_calls(settings, key_id=key_id)
    try:
        host = urlsplit(calls.endpoint).hostname or ""
        if probe == "auto" and not host.endswith(_AWS):
            why = f"{host} is not AWS and may take DryRun for a real call: --probe sign makes and checks a signature"
            return not_checked("may-sign", _SIGNS, why)
        request: dict[str, Any] = {"KeyId": key_id, "Message": bytes(32), "DryRun": True}
        if chosen.is_mac:
            calls.call("GenerateMac", request | {"MacAlgorithm": chosen.kms_signing_algorithm})
        else:
            names = {"SigningAlgorithm": chosen.kms_signing_algorithm, "MessageType": chosen.kms_message_type}
            calls.call("Sign", request | names)
    except SignerError as error:
        if error.reason == "dry-run":
            return passed("may-sign", _SIGNS, "DryRun")
        return failed("may-sign", _SIGNS, str(error), "auditseal policy generate --role signer")
    finally:
        calls.close()
    return not_checked("may-sign", _SIGNS, "the endpoint does not honour DryRun: it signed")


def _sign_for_real(settings: Settings) -> Item:
    """A signature over a hash of nothing else, made and checked."""
    digest = hashlib.sha256(b"auditseal doctor " + os.urandom(32)).digest()
    try:
        signer = signing.find_signer(settings, folder_of(settings))
        if signer is None:
            return not_checked("may-sign", _SIGNS, _NO_KEY)
        try:
            signer.start()
            signed = signer.sign(digest)
        finally:
            signer.close()
    except AuditSealError as error:
        return failed("may-sign", _SIGNS, str(error), "auditseal policy generate --role signer")
    return passed("may-sign", _SIGNS, f"signed and verified, KMS request {signed.request_id}")


def _role_of(caller: Reading[dict[str, Any]]) -> str | None:
    """The role of a session, as far as its ARN tells."""
    arn = (caller.value or {}).get("Arn", "")
    fields = arn.split(":", 5)
    if len(fields) < 6 or not fields[5].startswith("assumed-role/"):  # noqa: PLR2004 - an ARN's
        return None
    return f"arn:{fields[1]}:iam::{fields[4]}:role/{fields[5].split('/')[1]}"


def _policy(reader: AwsReader, key_id: str, algorithm: Algorithm | None, role_arn: str | None) -> Item:
    """The checklist on one line."""
    title = "the policies are least privilege"
    if role_arn is None:
        return not_checked("policy", title, "the caller is no role: give --role-arn")
    facts = reader.facts(key_id, role_arn, trails=False)
    alias = key_id[key_id.index("alias/") :] if "alias/" in key_id else None
    items = Checklist(facts=facts, algorithm=algorithm, alias=alias).items()
    found = [item for item in items if item.id.startswith(("signer-", "grants", "rules", "key-policies"))]
    bad = [item.id for item in found if item.status is Status.FAIL]
    open_ = [item for item in found if item.status is Status.NOT_CHECKED]
    if bad:
        return failed("policy", title, ", ".join(bad), f"auditseal policy check --role-arn {role_arn}")
    return not_checked("policy", title, open_[0].detail) if open_ else passed("policy", title, role_arn)


def _of_log(settings: Settings) -> list[Item]:
    titles = ("the log can be opened", "no entry waits for a signature")
    if settings.log is None:
        why = "no log is configured: set AUDITSEAL_LOG"
        return [not_checked("database", titles[0], why), not_checked("backlog", titles[1], why)]
    try:
        store = open_store(settings.log, read_only=True)
    except AuditSealError as error:
        fix = "auditseal init, or correct AUDITSEAL_LOG"
        return [failed("database", titles[0], str(error), fix), not_checked("backlog", titles[1], "no log")]
    with closing(store):
        waiting, address = store.count_pending(), store.address
        oldest = store.pending(limit=1) if waiting else []
    since = f" since {oldest[0].columns.time}" if oldest and oldest[0].columns else ""
    faults = [f"{waiting:,} entries wait{since}"] if waiting else []
    backlog = held("backlog", titles[1], faults, "none", "auditseal sign-pending says why, and signs them")
    return [passed("database", titles[0], address), backlog]
