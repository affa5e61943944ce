"""What the HTTP service is made of: a log that is watched, those who may call, what verification needs."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from auditseal.errors import ConfigError
from auditseal.wiring.logs import open_configured
from auditseal.wiring.sources import SQLITE, local_folder, log_address
from auditseal.wiring.verifying import registry_for, verify

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from auditseal.config import Settings
    from auditseal.core.report import Report
    from auditseal.ports import Authenticator, Progress
    from auditseal.service.log import Log

WATCH_S: Final = 5.0
"""How often a replica looks for entries that another one left without a signature."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Serving:
    """The parts of a service.

    Attributes:
        settings: all of them.
        log: open, and watching for entries that other replicas left pending.
        authenticators: asked in turn; empty only for a service without any authentication.
    """

    settings: Settings
    log: Log
    authenticators: tuple[Authenticator, ...]

    def signers_json(self) -> bytes:
        """The registry as it stands in its file now; without secrets, since a registry with any is refused.

        Raises:
            ConfigError: there is none, or it holds a secret.
            AuditSealError: as `Registry.load`.
        """
        _, registry = registry_for(self.settings, log_address(self.settings))
        if registry.has_secrets:
            raise ConfigError("signers.json holds a secret of a MAC, and is not given out")
        return registry.to_json_bytes()

    def verify(self, streams: Sequence[str], progress: Progress) -> Report:
        """Verifies streams of the log over a connection of its own.

        Raises:
            AuditSealError: as `auditseal.verify`.
        """
        address = log_address(self.settings)
        _, registry = registry_for(self.settings, address)
        return verify(address, registry, streams=streams, progress=progress)

    def free_bytes(self) -> int | None:
        """Free space where the log lies; None where it does not lie on a disk of this machine."""
        address = log_address(self.settings)
        if not address.startswith(SQLITE):
            return None
        return shutil.disk_usage(local_folder(address).parent).free

    def close(self) -> None:
        """Closes the log. Idempotent."""
        self.log.close()


def open_serving(
    settings: Settings, *, observe_signing: Callable[[float, str | None], None], without_authentication: bool = False
) -> Serving:
    """Opens the log and whatever callers are known from.

    Args:
        settings: all of them.
        observe_signing: told of each call to the signer; see `metered`.
        without_authentication: let anybody call; the caller has made sure that only this machine can.

    Raises:
        ConfigError: nobody could call, since neither tokens nor an OpenID provider is configured.
        AuditSealError: as `open_configured`.
    """
    from auditseal.service.metered import metered

    authenticators = () if without_authentication else _authenticators(settings)
    if not authenticators and not without_authentication:
        raise ConfigError(
            "nobody could call: make a token with auditseal tokens create and set AUDITSEAL_TOKENS, or set "
            "AUDITSEAL_OIDC_ISSUER and AUDITSEAL_OIDC_AUDIENCE"
        )
    log = open_configured(settings, watch_s=WATCH_S, wrap_signer=lambda signer: metered(signer, observe_signing))
    return Serving(settings=settings, log=log, authenticators=authenticators)


def _authenticators(settings: Settings) -> tuple[Authenticator, ...]:
    found: list[Authenticator] = []
    if settings.tokens is not None:
        from auditseal.adapters.callers.token_file import TokenFile

        found.append(TokenFile(settings.tokens))
    if settings.oidc_issuer is not None and settings.oidc_audience is not None:
        from auditseal.adapters.callers.oidc import OidcCallers, OidcSettings

        found.append(
            OidcCallers(
                OidcSettings(
                    issuer=settings.oidc_issuer,
                    audience=settings.oidc_audience,
                    jwks_url=settings.oidc_jwks_url,
                    algorithms=tuple(filter(None, (name.strip() for name in settings.oidc_algorithms.split(",")))),
                    roles_claim=settings.oidc_roles_claim,
                    streams_claim=settings.oidc_streams_claim,
                )
            )
        )
    return tuple(found)
