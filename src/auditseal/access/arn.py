"""Amazon Resource Names: parsing, and what a key, an alias and a principal look like.

Source: IAM User Guide, "Amazon Resource Names (ARNs)" and "IAM identifiers"; KMS Developer Guide, "Key identifiers".
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from auditseal.errors import InputError

_FIELDS: Final = 6
_ACCOUNT: Final = re.compile(r"[0-9]{12}")
_REGION: Final = re.compile(r"[a-z]{2}(?:-[a-z]+)+-[0-9]{1,2}")
_KEY_ID: Final = re.compile(r"(?:mrk-[0-9a-f]{32}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})")
_ALIAS: Final = re.compile(r"alias/[A-Za-z0-9/_-]{1,250}")
_PRINCIPAL: Final = re.compile(r"(?:root|(?:user|role|assumed-role|federated-user)/[A-Za-z0-9_+=,.@/-]{1,576})")
# What people leave in a text that they copied: words of a template (TODO is one), never part of a real ARN.
_PLACEHOLDER: Final = re.compile(
    r"<[^<>]{1,60}>|\$\{?[A-Z][A-Z0-9_]*\}?|\{\{[^{}]*\}\}"
    r"|(?<![A-Za-z0-9_-])(?:YOUR[-_][A-Za-z0-9_-]+|REGION|AWS_REGION|ACCOUNT|ACCOUNT[-_]?ID|AWS_ACCOUNT_ID|KEY[-_]?ID"
    r"|KEY[-_]?ARN|ROLE[-_]?NAME|ALIAS[-_]?NAME|CHANGE[-_]?ME|TODO|X{4,})(?![A-Za-z0-9_])"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Arn:
    """The six fields of an ARN; any of them may hold wildcards when it was read from a policy."""

    partition: str
    service: str
    region: str
    account: str
    resource: str

    def __str__(self) -> str:
        return f"arn:{self.partition}:{self.service}:{self.region}:{self.account}:{self.resource}"


def split_arn(text: str) -> Arn | None:
    """The fields of an ARN or of a pattern for one; None for any other text.

    A pattern with fewer than six fields is completed with wildcards, as IAM does.
    """
    fields = text.split(":", _FIELDS - 1)
    if fields[0] != "arn":
        return None
    fields += ["*"] * (_FIELDS - len(fields))
    return Arn(partition=fields[1], service=fields[2], region=fields[3], account=fields[4], resource=fields[5])


def find_placeholder(text: str) -> str | None:
    """A template's word that was left in, such as `ACCOUNT_ID` or `<key-id>`; None if there is none."""
    found = _PLACEHOLDER.search(text)
    return found.group() if found else None


def check_account(text: str) -> str:
    """The account id, if it is one.

    Raises:
        InputError: not twelve digits.
    """
    if not _ACCOUNT.fullmatch(text):
        raise InputError(f"{text[:40]!r} is not an AWS account id: twelve digits are")
    return text


def is_account(text: str) -> bool:
    """Whether the text is an account id."""
    return _ACCOUNT.fullmatch(text) is not None


def is_region(text: str) -> bool:
    """Whether the text has the form of a Region's name."""
    return _REGION.fullmatch(text) is not None


def _complete(text: str, what: str) -> Arn:
    placeholder = find_placeholder(text)
    if placeholder is not None:
        raise InputError(f"{what} {text[:120]!r} still holds the placeholder {placeholder}: put the real value in")
    arn = split_arn(text)
    if arn is None or text.count(":") < _FIELDS - 1:
        raise InputError(f"{what} {text[:120]!r} is not an ARN")
    return arn


def parse_key_arn(text: str, *, region: str | None = None, account: str | None = None) -> Arn:
    """The ARN of one KMS key.

    Args:
        text: such as `arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab`.
        region: if given, the Region that the ARN must name.
        account: if given, the account that the ARN must name.

    Raises:
        InputError: not a key's ARN, or of another Region or account.
    """
    arn = _complete(text, "the key ARN")
    if arn.service == "kms" and arn.resource.startswith("alias/"):
        raise InputError(f"{text[:120]!r} is an alias: give the key's own ARN, and the alias beside it")
    kind, _, key_id = arn.resource.partition("/")
    if arn.service != "kms" or kind != "key" or not _KEY_ID.fullmatch(key_id):
        raise InputError(f"{text[:120]!r} is not the ARN of one KMS key (arn:aws:kms:REGION:ACCOUNT:key/ID)")
    if not is_region(arn.region):
        raise InputError(f"{arn.region[:40]!r} in the key ARN {text[:120]!r} is not a Region")
    check_account(arn.account)
    _check_agrees("Region", region, arn.region, text)
    _check_agrees("account", account, arn.account, text)
    return arn


def check_key_id(text: str) -> str:
    """What names a key to KMS, if it is that: a key id, an alias, or the ARN of one of them.

    Raises:
        InputError: anything else, or a template's words were left in.
    """
    if text.startswith("arn:"):
        arn = _complete(text, "the key")
        if arn.service == "kms" and arn.resource.startswith("alias/"):
            return text
        parse_key_arn(text)
    elif not _KEY_ID.fullmatch(text) and not _ALIAS.fullmatch(text):
        raise InputError(f"{text[:120]!r} names no KMS key: a key id, alias/NAME, or the ARN of one of them does")
    return text


def _check_agrees(what: str, wanted: str | None, found: str, text: str) -> None:
    if wanted is not None and wanted != found:
        raise InputError(f"the {what} is given as {wanted[:40]}, and {text[:120]} is in {found}: make them agree")


def parse_alias(text: str, *, key: Arn | None = None) -> str:
    """The alias's name, `alias/…`, from a name or an alias ARN.

    Args:
        text: the name or the ARN.
        key: if given, the key whose Region and account an alias ARN must share.

    Raises:
        InputError: not an alias, one that AWS keeps for itself, or one elsewhere than the key.
    """
    name = text
    if text.startswith("arn:"):
        arn = _complete(text, "the alias")
        name = arn.resource
        if key is not None and (arn.region, arn.account) != (key.region, key.account):
            raise InputError(f"the alias {text[:120]} is not in {key.region} of account {key.account} as its key is")
    if not _ALIAS.fullmatch(name):
        raise InputError(f"{text[:120]!r} is not an alias: alias/ and letters, digits, - _ / are")
    if name.startswith("alias/aws/"):
        raise InputError(f"{name} is an alias that AWS keeps for its own keys")
    return name


@dataclass(frozen=True, slots=True, kw_only=True)
class PrincipalArn:
    """Who calls, as IAM names them.

    Attributes:
        arn: the full ARN, as given.
        partition: `aws`, `aws-cn`, …
        account: twelve digits.
        kind: `root`, `user`, `role`, `assumed-role` or `federated-user`.
        name: the last part of the path; of an assumed role the role's name; empty for the root.
    """

    arn: str
    partition: str
    account: str
    kind: str
    name: str

    @property
    def root(self) -> str:
        """The ARN that stands for the whole account."""
        return f"arn:{self.partition}:iam::{self.account}:root"

    def is_session_of(self, role: str) -> bool:
        """Whether this is a session of that role: a session's ARN has the role's name and not its path."""
        arn = split_arn(role)
        return (
            self.kind == "assumed-role"
            and arn is not None
            and arn.service == "iam"
            and arn.account == self.account
            and arn.resource.startswith("role/")
            and arn.resource.rpartition("/")[2] == self.name
        )


def parse_principal(text: str) -> PrincipalArn:
    """The principal that an ARN or an account id names; an account id names its root.

    Raises:
        InputError: neither, or with a wildcard.
    """
    if is_account(text):
        text = f"arn:aws:iam::{text}:root"
    arn = _complete(text, "the principal")
    service = {"assumed-role": "sts", "federated-user": "sts"}.get(arn.resource.partition("/")[0], "iam")
    if arn.service != service or not _PRINCIPAL.fullmatch(arn.resource):
        raise InputError(f"{text[:120]!r} names no user, role, role session or account root")
    check_account(arn.account)
    parts = arn.resource.split("/")
    name = "" if parts[0] == "root" else parts[1] if parts[0] == "assumed-role" else parts[-1]
    return PrincipalArn(arn=text, partition=arn.partition, account=arn.account, kind=parts[0], name=name)
