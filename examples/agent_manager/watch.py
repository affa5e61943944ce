"""A thread that looks at the agents, again and again."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from agent_manager.manager import Manager

_log: Final = logging.getLogger("agent_manager")


class Watch:
    """Looks from `start` to `stop`."""

    def __init__(self, manager: Manager, *, every_s: float = 1.0) -> None:
        self._manager = manager
        self._every_s = every_s
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="agent-manager-watch")

    def start(self) -> None:
        """Begins to look."""
        self._thread.start()

    def stop(self) -> None:
        """Ends after the present look."""
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        while True:
            try:
                self._manager.look()
            except Exception:  # noqa: BLE001 - whatever failed, agents must not be left without anybody who looks
                _log.exception("the look at the agents failed, and is tried again")
            if self._ended.wait(self._every_s):
                return
