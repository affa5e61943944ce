"""Auditing: walks a source through verification, with signatures checked in other threads meanwhile.

`cryptography` lets go of the interpreter while it verifies, so threads are enough to use the machine. Memory stays
constant: a bounded window of batches is under way at a time.

Source: `docs/spec/verification.md`.
"""

from __future__ import annotations

import os
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TYPE_CHECKING, Final

from auditseal.core.algorithm import AlgorithmId
from auditseal.core.verify import Batch, Outcome, Trust, Verification, check_batch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from auditseal.core.registry import Registry
    from auditseal.core.report import Report
    from auditseal.core.verify import Rule
    from auditseal.ports import MacVerifier, Progress, Source

_BATCH: Final = 256
_REMOTE_BATCH: Final = 16
_REMOTE_THREADS: Final = 16


def audit(
    source: Source,
    registry: Registry,
    *,
    streams: Sequence[str] | None = None,
    mac_verifier: MacVerifier | None = None,
    threads: int | None = None,
    progress: Progress | None = None,
) -> Report:
    """Verifies a log.

    Args:
        source: where to read.
        registry: the accepted signers.
        streams: only these; each must have entries.
        mac_verifier: checks signers whose key is an HMAC key in a KMS; None leaves them unchecked.
        threads: for signatures; by default one for each processor, or more where a KMS is asked.
        progress: told how far the walk is.

    Raises:
        StoreError: the source cannot be read on.
    """
    mac_rules = _mac_rules(registry, mac_verifier)
    trust = Trust(registry=registry, mac_rules=mac_rules)
    batch_size = _REMOTE_BATCH if mac_rules else _BATCH
    threads = threads or (_REMOTE_THREADS if mac_rules else os.cpu_count() or 1)
    verification = Verification(source.address)
    total = source.count(streams) if progress else None
    done = 0
    under_way: deque[Future[list[Outcome]]] = deque()
    entries = iter(source.walk(streams))
    with ThreadPoolExecutor(threads, "auditseal-verify") as pool:
        while part := list(islice(entries, batch_size)):
            batch: Batch = verification.take(part)
            under_way.append(pool.submit(check_batch, batch, trust))
            if len(under_way) > 2 * threads:
                verification.absorb(under_way.popleft().result())
            done += len(part)
            if progress:
                progress(done, total)
        while under_way:
            verification.absorb(under_way.popleft().result())
    return verification.finish(expected_streams=streams or ())


def _mac_rules(registry: Registry, mac_verifier: MacVerifier | None) -> dict[str, Rule]:
    if mac_verifier is None:
        return {}
    rules: dict[str, Rule] = {}
    for signer in registry:
        if signer.algorithm.id is AlgorithmId.HMAC_SHA256 and signer.rule is None and signer.key_arn is not None:
            rules[signer.signer_id] = _remote_rule(mac_verifier, signer.key_arn)
    return rules


def _remote_rule(mac_verifier: MacVerifier, key_id: str) -> Rule:
    return lambda mac, digest: mac_verifier.verify_mac(key_id, digest, mac)
