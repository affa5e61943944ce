"""Settings: flag, then environment, then `auditseal.toml` or `[tool.auditseal]`, then default, each checked once.

The names of the operating guidance are honoured as they are (`AUDIT_SIGNING_KMS_KEY_ID`, `REQUIRE_KMS`, …); the rest is
`AUDITSEAL_*`. A name that is almost one of ours is refused, so that a misspelling never quietly weakens a deployment.
AWS's own variables (`AWS_REGION`, `AWS_ENDPOINT_URL_KMS`, …) are read by the AWS library, not here.

Source: `docs/configuration.md`.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError

from auditseal.core.canonical import MAX_BYTES, MAX_DEPTH
from auditseal.errors import ConfigError

CONFIG_FILE: Final = "auditseal.toml"
SHOWN_AWS_NAMES: Final = ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE", "AWS_ENDPOINT_URL_KMS", "AWS_ENDPOINT_URL")

ENVIRONMENT: Final[dict[str, tuple[str, ...]]] = {
    "log": ("AUDITSEAL_LOG", "DATABASE_URL"),
    "signers": ("AUDITSEAL_SIGNERS",),
    "key_source": ("AUDIT_SIGNING_KEY_SOURCE",),
    "kms_key_id": ("AUDIT_SIGNING_KMS_KEY_ID",),
    "signer_id": ("AUDIT_SIGNER_KID",),
    "algorithm": ("AUDIT_SIGNING_ALG",),
    "private_key": ("AUDIT_SIGNING_PRIVATE_KEY",),
    "key_path": ("AUDIT_SIGNING_KEY_PATH",),
    "require_kms": ("REQUIRE_KMS",),
    "signing_mode": ("AUDITSEAL_SIGNING_MODE",),
    "on_signer_failure": ("AUDITSEAL_ON_SIGNER_FAILURE",),
    "backlog_limit": ("AUDITSEAL_BACKLOG_LIMIT",),
    "kms_concurrency": ("AUDITSEAL_KMS_CONCURRENCY",),
    "kms_deadline_s": ("AUDITSEAL_KMS_DEADLINE_S",),
    "max_body_bytes": ("AUDITSEAL_MAX_BODY_BYTES",),
    "max_depth": ("AUDITSEAL_MAX_DEPTH",),
}
"""Each setting's names in the environment, the first that is set counts."""


class Settings(BaseModel):
    """All settings of a process, checked.

    Attributes:
        log: address of the log.
        signers: path of signers.json.
        key_source: where the signing key is: `kms`, `env` (`private_key`) or `file` (`key_path`). Follows from the
            other settings where it is not given.
        kms_key_id: key id, key ARN or alias of the KMS key.
        signer_id: the signer's name in signers.json.
        algorithm: a signature algorithm id.
        private_key: a PEM, or the secret of an HMAC signer. For development.
        key_path: a file with the same.
        require_kms: whether only a KMS key may sign.
        signing_mode: `event` signs every entry; `checkpoint` covers them by signed checkpoints.
        on_signer_failure: `refuse` or `queue`; `refuse` is the default where KMS is required.
        backlog_limit: how many entries may wait for a signature under `refuse`.
        kms_concurrency: KMS calls in flight at most.
        kms_deadline_s: seconds for one signature, all retries included.
        max_body_bytes, max_depth: what a body may measure.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    log: str | None = None
    signers: Path | None = None
    key_source: Literal["kms", "env", "file"] | None = None
    kms_key_id: str | None = None
    signer_id: str | None = None
    algorithm: str | None = None
    private_key: SecretStr | None = None
    key_path: Path | None = None
    require_kms: bool = False
    signing_mode: Literal["event", "checkpoint"] = "event"
    on_signer_failure: Literal["refuse", "queue"] | None = None
    backlog_limit: int = Field(default=1000, ge=1)
    kms_concurrency: int = Field(default=50, ge=1, le=1000)
    kms_deadline_s: float = Field(default=10.0, gt=0, le=300)
    max_body_bytes: int = Field(default=MAX_BYTES, ge=1024, le=64 * MAX_BYTES)
    max_depth: int = Field(default=MAX_DEPTH, ge=1, le=200)


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """Settings and their origins.

    Attributes:
        settings: the checked values.
        origins: for each setting that is not a default, where its value came from, such as `environment REQUIRE_KMS`.
    """

    settings: Settings
    origins: Mapping[str, str]


def load_settings(
    flags: Mapping[str, Any] | None = None,
    *,
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
) -> Loaded:
    """Reads and checks all settings.

    Args:
        flags: by setting, what the command line or the caller gives; None values count as not given.
        environment: defaults to the process's.
        folder: where `auditseal.toml` or `pyproject.toml` is looked for; defaults to the working directory.

    Raises:
        ConfigError: a value is malformed, a name is misspelt, or settings contradict each other.
    """
    environment = os.environ if environment is None else environment
    _refuse_misspelt(environment)
    values, origins = _from_file(folder or Path())
    required_by = _requires_kms(values, origins)
    for name, variables in ENVIRONMENT.items():
        for variable in variables:
            if environment.get(variable, "") != "":
                values[name], origins[name] = environment[variable], f"environment {variable}"
                break
    required_by = required_by or _requires_kms(values, origins)
    for name, value in (flags or {}).items():
        if value is not None:
            values[name], origins[name] = value, f"flag --{name.replace('_', '-')}"
    settings = _checked(values, origins)
    if required_by is not None and not settings.require_kms:
        raise ConfigError(f"{required_by} requires KMS, and {origins['require_kms']} would undo that: remove one")
    _check_consistent(settings, origins)
    return Loaded(settings=settings, origins=origins)


def _checked(values: Mapping[str, Any], origins: Mapping[str, str]) -> Settings:
    try:
        return Settings(**values)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        name = str(first["loc"][0]) if first["loc"] else "?"
        raise ConfigError(f"{origins.get(name, name)}: {first['msg'].lower()}") from None


def _requires_kms(values: Mapping[str, Any], origins: Mapping[str, str]) -> str | None:
    """Where it is said that KMS is required: no place that counts for more may quietly say otherwise."""
    said = {name: values[name] for name in ("require_kms",) if name in values}
    return origins["require_kms"] if _checked(said, origins).require_kms else None


def _from_file(folder: Path) -> tuple[dict[str, Any], dict[str, str]]:
    for name, path in ((CONFIG_FILE, ()), ("pyproject.toml", ("tool", "auditseal"))):
        file = folder / name
        if not file.is_file():
            continue
        try:
            table: Any = tomllib.loads(file.read_text(encoding="utf-8"))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
            raise ConfigError(f"{file} cannot be read as TOML: {error}") from None
        for key in path:
            table = table.get(key, {})
        if not table and path:
            continue
        if "private_key" in table:
            raise ConfigError(f"{file} holds private_key: a key has no place in a settings file; remove it, rotate it")
        if unknown := set(table) - set(ENVIRONMENT):
            word = min(unknown)
            raise ConfigError(f"{file} has an unknown setting {word!r}{_did_you_mean(word, ENVIRONMENT)}")
        return dict(table), dict.fromkeys(table, str(file))
    return {}, {}


_NAMES: Final = frozenset(variable for variables in ENVIRONMENT.values() for variable in variables)
_TEST_PREFIX: Final = "AUDITSEAL_TEST_"
_NOT_SETTINGS: Final = frozenset({"AUDITSEAL_PYTHON"})
"""What the scripts of the repository read."""
# What Kubernetes sets in every container beside a service whose name begins with auditseal.
_SERVICE_LINK: Final = re.compile(
    r"AUDITSEAL(?:_[A-Z0-9]+)*_(?:SERVICE_HOST|SERVICE_PORT(?:_[A-Z0-9_]+)?|PORT(?:_\d+_(?:TCP|UDP|SCTP)(?:_[A-Z]+)?)?)"
)
_OWN_NAMES: Final = sorted(_NAMES - {"DATABASE_URL"})
_PREFIXES: Final = ("AUDITSEAL", "AUDIT_SEAL", "AUDIT_SIGN", "AUDITSIGN")


def _refuse_misspelt(environment: Mapping[str, str]) -> None:
    for variable in environment:
        if variable in _NAMES or variable in _NOT_SETTINGS or variable.startswith(_TEST_PREFIX):
            continue
        if _SERVICE_LINK.fullmatch(variable):
            continue
        plain = variable.upper().replace("-", "_")
        if plain == "DATABASE_URL":
            continue
        ours = plain.startswith(_PREFIXES) or "REQUIRE_KMS" in plain or "KMS_REQUIRE" in plain
        if ours or get_close_matches(plain, _OWN_NAMES, n=1, cutoff=0.85):
            raise ConfigError(f"environment {variable[:60]} is not a setting{_did_you_mean(plain, _NAMES)}")


def _did_you_mean(word: str, known: Mapping[str, Any] | frozenset[str]) -> str:
    near = get_close_matches(word, sorted(known), n=1)
    return f": did you mean {near[0]}?" if near else ": auditseal config show lists them all"


def _check_consistent(settings: Settings, origins: Mapping[str, str]) -> None:
    local = [name for name in ("private_key", "key_path") if getattr(settings, name) is not None]
    if settings.key_source in ("env", "file"):
        local.append("key_source")
    if settings.require_kms and local:
        raise ConfigError(
            f"{origins[local[0]]} configures a local key, and REQUIRE_KMS is true: no local key may be configured"
        )
    if settings.require_kms and settings.kms_key_id is None and settings.key_source == "kms":
        raise ConfigError("REQUIRE_KMS is true and no KMS key is configured: set AUDIT_SIGNING_KMS_KEY_ID")
    needs = {"kms": "kms_key_id", "env": "private_key", "file": "key_path"}
    if settings.key_source is not None and getattr(settings, needs[settings.key_source]) is None:
        missing = ENVIRONMENT[needs[settings.key_source]][0]
        raise ConfigError(f"{origins['key_source']} is {settings.key_source}, and {missing} is not set")
    given = [source for source, name in needs.items() if getattr(settings, name) is not None]
    if settings.key_source is None and len(given) > 1:
        names = " and ".join(ENVIRONMENT[needs[source]][0] for source in given)
        raise ConfigError(f"{names} are both set: say which one signs with AUDIT_SIGNING_KEY_SOURCE")


def shown_value(settings: Settings, name: str) -> Any:
    """A setting's value as it may be shown: secrets masked, a password in an address left out."""
    value = getattr(settings, name)
    if isinstance(value, SecretStr):
        return _MASK
    if name == "log" and value is not None:
        return masked(value)
    return str(value) if isinstance(value, Path) else value


def masked(address: str) -> str:
    """An address without its password, wherever in it that stands."""
    return _PASSWORD_MEMBER.sub(rf"\1{_MASK}", _PASSWORD.sub(rf"\1:{_MASK}@", address))


_MASK: Final = "********"
_PASSWORD: Final = re.compile(r"(://[^:/@]*):.*@")
_PASSWORD_MEMBER: Final = re.compile(r"([?&](?:\w*password|\w*secret|\w*token)=)[^&]*", re.IGNORECASE)
