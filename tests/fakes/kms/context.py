"""One call on its way through the service: who calls, which key it touched, which faults apply."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from fakes.kms.faults import Fault
from fakes.kms.keystore import Key, KeyStore
from fakes.kms.principals import Principal


@dataclass(slots=True, kw_only=True)
class Call:
    operation: str
    request_id: str
    principal: Principal | None
    store: KeyStore
    faults: list[Fault] = field(default_factory=list)
    key: Key | None = None
    parameters: dict[str, Any] = field(default_factory=dict)

    def use(self, name: str, *, alias_allowed: bool = True) -> Key:
        """The key that the request names; the record will name it too."""
        self.key = self.store.find(name, alias_allowed=alias_allowed)
        return self.key

    def has(self, kind: str) -> bool:
        return any(fault.kind == kind for fault in self.faults)
