"""From addresses and settings to a reconciliation."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from auditseal.core.cloudtrail_record import key_place
from auditseal.core.expectation import expect
from auditseal.errors import InputError, NotFoundError
from auditseal.service.accounting.reconcile import Asked, reconcile
from auditseal.service.ids import now_micros
from auditseal.wiring.sources import log_address, open_source
from auditseal.wiring.verifying import registry_for

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from auditseal.config import Settings
    from auditseal.core.account import AccountReport
    from auditseal.core.expectation import Expectation
    from auditseal.core.trail_digest import PublicKeys
    from auditseal.ports import Progress
    from auditseal.service.accounting.ports import Trail

LOOKUP: Final = "lookup"
FROM_AWS: Final = "aws"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconciling:
    """What to reconcile with what.

    Attributes:
        trail: a path, `s3://…`, or `lookup`.
        since: seconds since the epoch; None for all there is.
        until: likewise; None for now, less the settling time.
        settle_s: how late a record may come.
        principals: ARNs that may sign, with `*` and `?`.
        administrators: ARNs that may change keys, likewise.
        regions: where calls may be made besides each key's own Region.
        key_arns: by signer id, where the registry has none.
        digest_keys: a file of CloudTrail's public keys, or `aws` to ask for them; None checks no digest.
        without_digests: whether a trail without them is good enough.
        explained: request ids of calls that somebody accounts for in another way.
        ledger: a file to resume from; None for a temporary one.
        account: a file for the account as a document; it is written if the account is valid, and else left alone.
    """

    trail: str
    since: int | None = None
    until: int | None = None
    settle_s: int = 900
    principals: Sequence[str] = ()
    administrators: Sequence[str] = ()
    regions: Sequence[str] = ()
    key_arns: Mapping[str, str] | None = None
    digest_keys: str | None = None
    without_digests: bool = False
    explained: Sequence[str] = ()
    ledger: Path | None = None
    account: Path | None = None


def run(settings: Settings, asked: Reconciling, *, progress: Progress | None = None) -> AccountReport:
    """Joins the configured log with a trail.

    Raises:
        ConfigError, InputError, NotFoundError, StoreError: log, registry, trail or ledger cannot be used.
    """
    from auditseal.adapters.trail.ledger import SqliteLedger

    if asked.since is not None and asked.until is not None and asked.since >= asked.until:
        raise InputError("--since is not before --until: there is no time between them")
    address = log_address(settings)
    _, registry = registry_for(settings, address)
    expectation = expect(
        registry,
        key_arns=asked.key_arns,
        principals=asked.principals,
        administrators=asked.administrators,
        regions=asked.regions,
        explained=asked.explained,
    )
    keys = _digest_keys(asked, expectation)
    rules = Asked(
        since=asked.since,
        until=asked.until,
        settle_s=asked.settle_s,
        keys=keys,
        accept_without_digests=asked.without_digests,
    )
    with ExitStack() as stack:
        log = open_source(address)
        stack.callback(log.close)
        ledger = SqliteLedger(asked.ledger)
        stack.callback(ledger.close)
        trail = _open_trail(asked, expectation, ledger.asked())
        stack.callback(trail.close)
        report = reconcile(
            log, registry, trail, ledger, expectation=expectation, asked=rules, clock=now_micros, progress=progress
        )
    if asked.account is not None:
        _write_account(asked.account, report, expectation)
    return report


def _write_account(path: Path, report: AccountReport, expectation: Expectation) -> None:
    from auditseal.adapters.whole_file import write_whole
    from auditseal.core.account_document import document_of, format_account

    arns = [key.arn for key in expectation.keys.values()]
    document = document_of(report, keys=arns, principals=expectation.principals)
    if document is not None:
        write_whole(path, format_account(document))


def _open_trail(asked: Reconciling, expectation: Expectation, known: tuple[int, int] | None) -> Trail:
    if asked.trail == LOOKUP:
        from auditseal.adapters.trail.lookup import LookupTrail

        regions = sorted(_regions(expectation))
        if len(regions) > 1:
            raise InputError(f"the keys lie in {', '.join(regions)}, and lookup asks one Region: use the trail's files")
        since = None if asked.since is None else asked.since - asked.settle_s
        return LookupTrail(region=regions[0] if regions else None, since=since, until=asked.until, known=known)
    if asked.trail.startswith("s3://"):
        from auditseal.adapters.trail.s3 import S3Trail

        return S3Trail(asked.trail)
    from auditseal.adapters.trail.folder import FolderTrail

    return FolderTrail(Path(asked.trail))


def _digest_keys(asked: Reconciling, expectation: Expectation) -> PublicKeys | None:
    from auditseal.core.trail_digest import parse_public_keys

    if asked.digest_keys is None:
        return None
    if asked.digest_keys == FROM_AWS:
        from auditseal.adapters.trail.public_keys import fetch_public_keys

        return fetch_public_keys(sorted(_regions(expectation) | set(asked.regions)), asked.since, asked.until)
    path = Path(asked.digest_keys)
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise NotFoundError(f"there is no {path}: save the output of aws cloudtrail list-public-keys there") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from None
    return parse_public_keys(content, str(path))


def _regions(expectation: Expectation) -> set[str]:
    return {key_place(key.arn)[1] for key in expectation.keys.values()}
