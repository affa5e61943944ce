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

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator

from auditseal.core.canonical import MAX_BYTES, MAX_DEPTH
from auditseal.errors import ConfigError

CONFIG_FILE: Final = "auditseal.toml"
SHOWN_AWS_NAMES: Final = ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE", "AWS_ENDPOINT_URL_KMS", "AWS_ENDPOINT_URL")

ENVIRONMENT: Final[dict[str, tuple[str, ...]]] = {
    "log": ("AUDITSEAL_LOG", "DATABASE_URL"),
    "signers": ("AUDITSEAL_SIGNERS",),
    "signers_locations": ("AUDITSEAL_SIGNERS_LOCATIONS",),
    "key_source": ("AUDIT_SIGNING_KEY_SOURCE",),
    "kms_key_id": ("AUDIT_SIGNING_KMS_KEY_ID",),
    "signer_id": ("AUDIT_SIGNER_KID",),
    "algorithm": ("AUDIT_SIGNING_ALG",),
    "private_key": ("AUDIT_SIGNING_PRIVATE_KEY",),
    "key_path": ("AUDIT_SIGNING_KEY_PATH",),
    "require_kms": ("REQUIRE_KMS",),
    "signing_mode": ("AUDITSEAL_SIGNING_MODE",),
    "origin": ("AUDITSEAL_ORIGIN",),
    "checkpoint_interval_ms": ("AUDITSEAL_CHECKPOINT_INTERVAL_MS",),
    "checkpoint_entries": ("AUDITSEAL_CHECKPOINT_ENTRIES",),
    "checkpoint_heartbeat_s": ("AUDITSEAL_CHECKPOINT_HEARTBEAT_S",),
    "witness_policy": ("AUDITSEAL_WITNESS_POLICY",),
    "witness_timeout_s": ("AUDITSEAL_WITNESS_TIMEOUT_S",),
    "witness_failure": ("AUDITSEAL_WITNESS_FAILURE",),
    "on_signer_failure": ("AUDITSEAL_ON_SIGNER_FAILURE",),
    "backlog_limit": ("AUDITSEAL_BACKLOG_LIMIT",),
    "kms_concurrency": ("AUDITSEAL_KMS_CONCURRENCY",),
    "kms_deadline_s": ("AUDITSEAL_KMS_DEADLINE_S",),
    "max_body_bytes": ("AUDITSEAL_MAX_BODY_BYTES",),
    "max_depth": ("AUDITSEAL_MAX_DEPTH",),
    "token": ("AUDITSEAL_TOKEN",),
    "tokens": ("AUDITSEAL_TOKENS",),
    "listen": ("AUDITSEAL_LISTEN",),
    "tls_cert": ("AUDITSEAL_TLS_CERT",),
    "tls_key": ("AUDITSEAL_TLS_KEY",),
    "tls_client_ca": ("AUDITSEAL_TLS_CLIENT_CA",),
    "tls_terminated": ("AUDITSEAL_TLS_TERMINATED",),
    "oidc_issuer": ("AUDITSEAL_OIDC_ISSUER",),
    "oidc_audience": ("AUDITSEAL_OIDC_AUDIENCE",),
    "oidc_jwks_url": ("AUDITSEAL_OIDC_JWKS_URL",),
    "oidc_algorithms": ("AUDITSEAL_OIDC_ALGORITHMS",),
    "oidc_roles_claim": ("AUDITSEAL_OIDC_ROLES_CLAIM",),
    "oidc_streams_claim": ("AUDITSEAL_OIDC_STREAMS_CLAIM",),
    "request_limit": ("AUDITSEAL_REQUEST_LIMIT",),
    "rate_limit_per_s": ("AUDITSEAL_RATE_LIMIT_PER_S",),
    "max_batch_bytes": ("AUDITSEAL_MAX_BATCH_BYTES",),
    "verification_limit": ("AUDITSEAL_VERIFICATION_LIMIT",),
    "tail_limit": ("AUDITSEAL_TAIL_LIMIT",),
    "body_timeout_s": ("AUDITSEAL_BODY_TIMEOUT_S",),
    "drain_s": ("AUDITSEAL_DRAIN_S",),
    "min_free_mib": ("AUDITSEAL_MIN_FREE_MIB",),
}
"""Each setting's names in the environment, the first that is set counts."""


class Settings(BaseModel):
    """All settings of a process, checked.

    Attributes:
        log: address of the log.
        signers: path of signers.json.
        signers_locations: where verifiers get it: `PATH`, `s3://…`, `git+PATH`, `https://…`; one a word.
        key_source: where the signing key is: `kms`, `env` (`private_key`) or `file` (`key_path`). Follows from the
            other settings where it is not given.
        kms_key_id: key id, key ARN or alias of the KMS key.
        signer_id: the signer's name in signers.json.
        algorithm: a signature algorithm id.
        private_key: a PEM, or the secret of an HMAC signer. For development.
        key_path: a file with the same.
        require_kms: whether only a KMS key may sign.
        signing_mode: `event` signs every entry; `checkpoint` covers them by signed checkpoints.
        origin: names the log in its checkpoints for the world and for ever, such as `example.com/audit`. With it, a log
            of mode `event` makes checkpoints as well.
        checkpoint_interval_ms: after which a checkpoint covers an entry at the latest; by default 250 in the mode
            `checkpoint`, and a minute in the mode `event`.
        checkpoint_entries: so many uncovered entries do not wait for the interval.
        checkpoint_heartbeat_s: seconds from one checkpoint to the promised next one.
        witness_policy: path of a witness policy whose quorum must cosign each checkpoint.
        witness_timeout_s: seconds for all witnesses together.
        witness_failure: `block`: without the quorum nothing counts as signed; `fail-open`: the log goes on without.
        on_signer_failure: `refuse` or `queue`; `refuse` is the default where KMS is required.
        backlog_limit: how many entries may wait for a signature under `refuse`.
        kms_concurrency: KMS calls in flight at most.
        kms_deadline_s: seconds for one signature, all retries included.
        max_body_bytes, max_depth: what a body may measure.
        token: the API token with which a client calls the service.
        tokens: path of the file that holds the hashes of the service's API tokens.
        listen: HOST:PORT of the service.
        tls_cert, tls_key: PEM files of the service's certificate chain and its key.
        tls_client_ca: PEM file of the authorities that client certificates must come from; then each client needs one.
        tls_terminated: whether a proxy in front ends TLS, so that the service may listen without it on any address.
        oidc_issuer, oidc_audience: what a JWT's `iss` and `aud` must be; both or neither.
        oidc_jwks_url: where the issuer's keys are; by default what its discovery document says.
        oidc_algorithms: which signature algorithms a JWT may have, separated by commas.
        oidc_roles_claim, oidc_streams_claim: the claims that hold the caller's roles and stream patterns.
        request_limit: how many requests are worked on at once; more are answered with 503.
        rate_limit_per_s: how many requests one caller may send a second; 0 for any number.
        max_batch_bytes: of one NDJSON batch.
        verification_limit: how many verifications run at once.
        tail_limit: how many live tails may be open.
        body_timeout_s: within how many seconds a request's body must have come; of a batch, its next 16 KiB.
        drain_s: how many seconds requests in flight have to finish when the service stops.
        min_free_mib: free space on the log's disk below which the service is not ready.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    log: str | None = None
    signers: Path | None = None
    signers_locations: tuple[str, ...] = ()
    key_source: Literal["kms", "env", "file"] | None = None
    kms_key_id: str | None = None
    signer_id: str | None = None
    algorithm: str | None = None
    private_key: SecretStr | None = None
    key_path: Path | None = None
    require_kms: bool = False
    signing_mode: Literal["event", "checkpoint"] = "event"
    origin: str | None = None
    checkpoint_interval_ms: int | None = Field(default=None, ge=10, le=86_400_000)
    checkpoint_entries: int = Field(default=10_000, ge=1, le=10_000_000)
    checkpoint_heartbeat_s: float = Field(default=3600.0, ge=1, le=31_622_400)
    witness_policy: Path | None = None
    witness_timeout_s: float = Field(default=5.0, gt=0, le=300)
    witness_failure: Literal["block", "fail-open"] = "block"
    on_signer_failure: Literal["refuse", "queue"] | None = None
    backlog_limit: int = Field(default=1000, ge=1)
    kms_concurrency: int = Field(default=50, ge=1, le=1000)
    kms_deadline_s: float = Field(default=10.0, gt=0, le=300)
    max_body_bytes: int = Field(default=MAX_BYTES, ge=1024, le=64 * MAX_BYTES)
    max_depth: int = Field(default=MAX_DEPTH, ge=1, le=200)
    token: SecretStr | None = None
    tokens: Path | None = None
    listen: str = "127.0.0.1:8420"
    tls_cert: Path | None = None
    tls_key: Path | None = None
    tls_client_ca: Path | None = None
    tls_terminated: bool = False
    oidc_issuer: str | None = None
    oidc_audience: str | None = None
    oidc_jwks_url: str | None = None
    oidc_algorithms: str = "RS256,PS256,ES256,EdDSA"
    oidc_roles_claim: str = "roles"
    oidc_streams_claim: str = "auditseal_streams"
    request_limit: int = Field(default=256, ge=1, le=10_000)
    rate_limit_per_s: float = Field(default=5000, ge=0)
    max_batch_bytes: int = Field(default=64 * MAX_BYTES, ge=1024)
    verification_limit: int = Field(default=1, ge=1, le=100)
    tail_limit: int = Field(default=64, ge=0, le=10_000)
    body_timeout_s: float = Field(default=30, gt=0, le=3600)
    drain_s: float = Field(default=30, gt=0, le=3600)
    min_free_mib: int = Field(default=256, ge=0)

    @field_validator("signers_locations", mode="before")
    @classmethod
    def _words(cls, value: Any) -> Any:
        return tuple(value.split()) if isinstance(value, str) else value


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
        for secret in ("private_key", "token"):
            if secret in table:
                raise ConfigError(
                    f"{file} holds {secret}: a secret has no place in a settings file; remove it, rotate it"
                )
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
    _check_pairs(settings)
    needs = {"kms": "kms_key_id", "env": "private_key", "file": "key_path"}
    if settings.key_source is not None and getattr(settings, needs[settings.key_source]) is None:
        missing = ENVIRONMENT[needs[settings.key_source]][0]
        raise ConfigError(f"{origins['key_source']} is {settings.key_source}, and {missing} is not set")
    given = [source for source, name in needs.items() if getattr(settings, name) is not None]
    if settings.key_source is None and len(given) > 1:
        names = " and ".join(ENVIRONMENT[needs[source]][0] for source in given)
        raise ConfigError(f"{names} are both set: say which one signs with AUDIT_SIGNING_KEY_SOURCE")


def _check_pairs(settings: Settings) -> None:
    """Settings that mean nothing without each other."""
    for one, other in (("tls_cert", "tls_key"), ("oidc_issuer", "oidc_audience")):
        if (getattr(settings, one) is None) != (getattr(settings, other) is None):
            names = ENVIRONMENT[one][0], ENVIRONMENT[other][0]
            raise ConfigError(f"{names[0]} and {names[1]} go together: set both or neither")
    for name, needed in (("tls_client_ca", "tls_cert"), ("oidc_jwks_url", "oidc_issuer")):
        if getattr(settings, name) is not None and getattr(settings, needed) is None:
            raise ConfigError(f"{ENVIRONMENT[name][0]} means nothing without {ENVIRONMENT[needed][0]}: set that too")


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
