"""Who calls: identities derived from access key ids, in CloudTrail's words."""

from __future__ import annotations

from dataclasses import dataclass

ACCOUNT = "111122223333"
SINCE = "2026-01-01T00:00:00Z"


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """A caller. A known secret means that the request's signature is verified.

    An access key id of the form `ASIA…` belongs to a session of a role, any other to a user.
    """

    access_key: str
    name: str
    secret: str | None = None
    token: str | None = None
    session: str = "session"
    account: str = ACCOUNT

    @property
    def is_role(self) -> bool:
        return self.access_key.startswith("ASIA")

    @property
    def issuer_arn(self) -> str:
        kind = "role" if self.is_role else "user"
        return f"arn:aws:iam::{self.account}:{kind}/{self.name}"

    @property
    def arn(self) -> str:
        if self.is_role:
            return f"arn:aws:sts::{self.account}:assumed-role/{self.name}/{self.session}"
        return self.issuer_arn

    def identity(self) -> dict:
        """The `userIdentity` of a CloudTrail record."""
        if not self.is_role:
            return {
                "type": "IAMUser",
                "principalId": f"AIDA{self.name.upper():.16}",
                "arn": self.arn,
                "accountId": self.account,
                "accessKeyId": self.access_key,
                "userName": self.name,
            }
        role_id = f"AROA{self.name.upper():.16}"
        return {
            "type": "AssumedRole",
            "principalId": f"{role_id}:{self.session}",
            "arn": self.arn,
            "accountId": self.account,
            "accessKeyId": self.access_key,
            "sessionContext": {
                "sessionIssuer": {
                    "type": "Role",
                    "principalId": role_id,
                    "arn": self.issuer_arn,
                    "accountId": self.account,
                    "userName": self.name,
                },
                "attributes": {"creationDate": SINCE, "mfaAuthenticated": "false"},
            },
        }


class Principals:
    """Known callers; an unknown access key is a caller of its own whose signature cannot be checked."""

    def __init__(self, *, account: str, strict: bool) -> None:
        self.account = account
        self.strict = strict
        self._known: dict[str, Principal] = {}

    def add(self, principal: Principal) -> None:
        self._known[principal.access_key] = principal

    def find(self, access_key: str) -> Principal | None:
        known = self._known.get(access_key)
        if known is None and not self.strict:
            known = Principal(access_key=access_key, name=f"caller-{access_key[-6:].lower()}", account=self.account)
            self._known[access_key] = known
        return known
