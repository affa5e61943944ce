"""The origin of a log, which names it in its checkpoints.

Source: `docs/spec/checkpoint.md`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from auditseal.core.checkpoint import log_origin_of, parse_checkpoint
from auditseal.errors import ConfigError

if TYPE_CHECKING:
    from auditseal.ports import CheckpointStore

NO_ORIGIN: Final = (
    "the log has no origin, which names it in its checkpoints: set AUDITSEAL_ORIGIN, such as example.com/audit"
)


def find_origin(store: CheckpointStore, configured: str | None) -> str:
    """The log's origin: the configured one, which must be that of the checkpoints that are there.

    Raises:
        ConfigError: none is configured and none is known, or the two differ.
    """
    known = None
    for head in store.streams():
        last = store.last_checkpoint(head.stream)
        if last is not None:
            known = log_origin_of(parse_checkpoint(last.text).origin, head.stream)
            break
    if configured is not None and known is not None and configured != known:
        raise ConfigError(
            f"AUDITSEAL_ORIGIN is {configured}, and the checkpoints of this log have {known}: an origin is for ever"
        )
    origin = configured or known
    if origin is None:
        raise ConfigError(NO_ORIGIN)
    return origin
