"""Control over HTTP, for a fake that runs in another process. JSON in and out, below `/_control/`.

POST faults {"kind": …}      DELETE faults       POST latency {"seconds": 0.02}
POST limits {"operation": "Sign", "per_second": 100, "burst": 10}
GET records                  DELETE records      POST principals {"access_key": …, "name": …, "secret": …}
POST states {"key_id": …, "state": …}
"""

from __future__ import annotations

import json
from typing import Any

from fakes.kms.principals import Principal
from fakes.kms.refusal import RefusalError
from fakes.kms.service import Service

PREFIX = "/_control/"


class Control:
    def __init__(self, service: Service) -> None:
        self._service = service

    def __call__(self, method: str, path: str, body: bytes) -> tuple[int, bytes]:
        handler = getattr(self, f"_{method.lower()}_{path.removeprefix(PREFIX)}", None)
        if handler is None:
            return 404, b'{"error":"no such control"}'
        try:
            answer = handler(**(json.loads(body) if body else {}))
        except (TypeError, ValueError, KeyError, RefusalError) as error:
            return 400, json.dumps({"error": str(error)}).encode()
        return 200, json.dumps(answer).encode()

    def _post_faults(self, **members: Any) -> None:
        self._service.faults.add(**members)

    def _delete_faults(self) -> None:
        self._service.faults.clear()

    def _post_latency(self, *, seconds: float) -> None:
        self._service.faults.latency_s = float(seconds)

    def _post_limits(self, *, operation: str, per_second: float, burst: float | None = None) -> None:
        self._service.faults.limit(operation, per_second, burst=burst)

    def _get_records(self) -> list[dict[str, Any]]:
        return self._service.records()

    def _delete_records(self) -> None:
        self._service.forget_records()

    def _post_principals(self, **members: Any) -> None:
        self._service.principals.add(Principal(**members))

    def _post_states(self, *, key_id: str, state: str) -> None:
        self._service.store.find(key_id, alias_allowed=True).state = state
