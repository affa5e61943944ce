"""Opens and creates logs, joined with the signer that the settings name."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Literal

from auditseal.config import load_settings, masked
from auditseal.core.draft import Limits
from auditseal.errors import AuditSealError, ConfigError, ConflictError, NotFoundError, SignerError
from auditseal.wiring import checkpoints, signing
from auditseal.wiring.sources import create_store, is_service, local_folder, log_address, open_store

if TYPE_CHECKING:
    import os
    from collections.abc import Callable
    from pathlib import Path

    from auditseal.client import Client
    from auditseal.config import Settings
    from auditseal.ports import Signer, Store
    from auditseal.service.log import Log
    from auditseal.service.seal import Resealer, Sealer

_DEADLINES_OF_GRACE: Final = 1.5
"""An entry that is younger than so many deadlines of a signature may just be being signed, by whoever appended it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Initialised:
    """What `init_log` made.

    Attributes:
        address: of the log.
        created: whether there was none before.
        signer: name and algorithm of what will sign.
        development: whether that is a local key.
        development_key: the key file beside the log, where that signs; else None.
        signers: the signers.json of the development key, else None.
        key_made: whether the development key was made now.
    """

    address: str
    created: bool
    signer: tuple[str, str]
    development: bool = False
    development_key: Path | None = None
    signers: Path | None = None
    key_made: bool = False


def init_log(settings: Settings) -> Initialised:
    """Creates the log, or brings an older one up to date; without a configured signer, with a development key.

    A configured signer is proven first, so that a log is not made for one that cannot sign.

    Raises:
        ConfigError, InputError, StoreError, SignerError: as `open_log`.
    """
    address = log_address(settings)
    folder = local_folder(address)
    signer = signing.find_configured(settings)
    if signer is not None:
        try:
            signing.check_allowed(signer, settings).start()
        finally:
            signer.close()
    _check_origin(settings, address)
    created = create_store(address)
    key, key_made = None, False
    if signer is None:
        key = folder / signing.DEVELOPMENT_KEY
        key_made = not key.exists()
        signer = _make_development_signer(folder)
    return Initialised(
        address=masked(address),
        created=created,
        signer=(signer.signer_id, signer.algorithm.id),
        development=signer.development,
        development_key=key,
        signers=None if key is None else folder / signing.SIGNERS,
        key_made=key_made,
    )


def _check_origin(settings: Settings, address: str) -> None:
    """Refuses a new log of checkpoints that nothing could name; one that is there may know its origin."""
    from auditseal.service.origin import NO_ORIGIN

    if settings.signing_mode != "checkpoint" or settings.origin is not None:
        return
    try:
        open_store(address, read_only=True).close()
    except NotFoundError:
        raise ConfigError(NO_ORIGIN) from None
    except AuditSealError:
        return  # an older one, or one that cannot be used: creating it says which


def open_log(
    address: str | None = None,
    *,
    signer: Signer | None = None,
    signers: str | os.PathLike[str] | None = None,
    kms_key_id: str | None = None,
    signer_id: str | None = None,
    algorithm: str | None = None,
    require_kms: bool | None = None,
    on_signer_failure: Literal["refuse", "queue"] | None = None,
    create: bool = False,
) -> Log | Client:
    """Opens a log for appending. What is not given here comes from the environment and the settings file.

    Args:
        address: such as `sqlite:///audit.db`, or a service's, `https://audit.internal`: it has a signer of its own, and
            `AUDITSEAL_TOKEN` says who calls.
        signer: one made by the caller, in place of a configured one.
        signers: path of signers.json, against which the signer is checked at the start.
        kms_key_id: key id, key ARN, alias or alias ARN in AWS KMS.
        signer_id: the signer's name in signers.json.
        algorithm: a signature algorithm id.
        require_kms: refuse every local key.
        on_signer_failure: `refuse` or `queue`; see `docs/configuration.md`.
        create: whether a log that does not exist is created, as by `auditseal init`.

    Raises:
        ConfigError: a setting is missing, malformed or contradicts another, or the key does not fit.
        InputError: no address of a log.
        NotFoundError: no log there, and `create` is false.
        StoreError: it cannot be used.
    """
    flags: dict[str, Any] = {
        "log": address,
        "signers": signers,
        "kms_key_id": kms_key_id,
        "signer_id": signer_id,
        "algorithm": algorithm,
        "require_kms": require_kms,
        "on_signer_failure": on_signer_failure,
    }
    settings = load_settings(flags).settings
    if is_service(log_address(settings)):
        given = [name for name, value in flags.items() if name != "log" and value is not None]
        if given or signer is not None or create:
            raise ConfigError(
                f"{settings.log} is a service, which signs by itself: leave out {(given or ['signer'])[0]}"
            )
        return open_client(settings)
    if create and signer is None:
        init_log(settings)
    elif create and signer is not None:
        signing.check_allowed(signer, settings)
        create_store(log_address(settings))
    return open_configured(settings, signer=signer)


def open_client(settings: Settings) -> Client:
    """A client of the service that the settings name.

    Raises:
        ConfigError: the address is not usable, or the extra `client` is not installed.
    """
    from auditseal.client import Client

    token = None if settings.token is None else settings.token.get_secret_value()
    return Client(log_address(settings), token=token)


def open_configured(
    settings: Settings,
    *,
    signer: Signer | None = None,
    background: bool = True,
    watch_s: float | None = None,
    wrap_signer: Callable[[Signer], Signer] = lambda signer: signer,
) -> Log:
    """The log of the settings; see `open_log`.

    Args:
        settings: all of them.
        signer: as `open_log`.
        background: whether pending entries are signed by a thread of their own.
        watch_s: how often to look for what other processes left pending or uncovered; None for never.
        wrap_signer: gives the signer that is used in place of the configured one, such as a metered one.

    Raises:
        AuditSealError: as `open_log`.
    """
    address = log_address(settings)
    store = open_store(address)
    try:
        if signer is None:
            signer = _configured_signer(settings, address)
        elif settings.signers is not None:
            signing.check_registered(signer, signing.load_signers(settings.signers), settings.signers)
        _start(signing.check_allowed(signer, settings))
    except BaseException:
        store.close()
        raise
    from auditseal.service.append import Appender
    from auditseal.service.backlog import SigningPolicy
    from auditseal.service.log import Log
    from auditseal.service.seal import Sealer
    from auditseal.wiring.rotating import succession_of

    signer = wrap_signer(signer)
    succession = succession_of(settings, store, signer, local_folder(address), wrap_signer)
    sealer = Sealer(store, signer, succession=succession) if settings.signing_mode == "event" else None
    grace_s = _DEADLINES_OF_GRACE * settings.kms_deadline_s
    resealer = _resealer(store, sealer, watch_s, grace_s) if background and sealer is not None else None
    try:
        loop = checkpoints.open_loop(settings, store, signer, sealer, succession, watch_s=watch_s, grace_s=grace_s)
    except BaseException:
        signer.close()
        store.close()
        raise
    policy = SigningPolicy(
        on_failure=settings.on_signer_failure or ("refuse" if settings.require_kms else "queue"),
        backlog_limit=settings.backlog_limit,
    )
    limits = Limits(max_body_bytes=settings.max_body_bytes, max_depth=settings.max_depth)
    appender = Appender(store, sealer, resealer=resealer, checkpoints=loop, policy=policy, limits=limits)
    if resealer is not None and (watch_s is not None or store.pending(limit=1)):
        resealer.wake()
    return Log(store, appender, sealer=sealer, resealer=resealer, checkpoints=loop)


def _resealer(store: Store, sealer: Sealer, watch_s: float | None, grace_s: float) -> Resealer:
    from auditseal.ports import Exclusive
    from auditseal.service.seal import Resealer

    if isinstance(store, Exclusive):
        return Resealer(sealer, grace_s=grace_s, watch_s=watch_s, claim=partial(store.exclusively, "reseal"))
    return Resealer(sealer, grace_s=grace_s, watch_s=watch_s)


def _configured_signer(settings: Settings, address: str) -> Signer:
    signer = signing.find_signer(settings, local_folder(address))
    if signer is None:
        raise ConfigError(
            "no signer is configured: set AUDIT_SIGNING_KMS_KEY_ID and AUDIT_SIGNER_KID, or make a development "
            f"key with auditseal init --log {masked(address)}"
        )
    return signer


def _start(signer: Signer) -> None:
    """Proves the signer; one that cannot be reached now may sign later, and events then wait for it."""
    try:
        signer.start()
    except SignerError as error:
        if not error.retryable:
            signer.close()
            raise
    except BaseException:
        signer.close()
        raise


def _make_development_signer(folder: Path) -> Signer:
    """The development key beside the log and its signers.json; what is missing of the two is made."""
    from auditseal.adapters.registry_file import SECRET_MODE, update_registry
    from auditseal.adapters.signers.development_key import generate_development_key
    from auditseal.adapters.signers.local import LocalSigner
    from auditseal.core.registry import RegisteredSigner

    path = folder / signing.DEVELOPMENT_KEY
    with suppress(ConflictError):  # another process made it in this moment; both use that one
        generate_development_key(path)
    signer = LocalSigner.from_file(path, signer_id=signing.DEVELOPMENT_ID)
    registered = RegisteredSigner(
        signer_id=signer.signer_id,
        algorithm=signer.algorithm,
        public_key=signer.public_key,
        development=True,
        description="A local key for development. It proves little: whoever can read its file can sign.",
    )
    signers = folder / signing.SIGNERS
    update_registry(signers, lambda registry: registry.with_signer(registered), create=True)
    signers.chmod(SECRET_MODE)
    return signer
