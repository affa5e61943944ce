"""What is expected of the keys: who may sign with which algorithm, where, and what a call says against it.

Source: `docs/spec/reconciliation.md` §2.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Final

from auditseal.core.cloudtrail_record import key_identity, key_place

if TYPE_CHECKING:
    from auditseal.core.cloudtrail import Facts
    from auditseal.core.registry import Registry

_RAW: Final = "RAW"
_MULTI_REGION: Final = "key/mrk-"


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpectedKey:
    """One key of the registry's signers.

    Attributes:
        arn: as the registry has it.
        signers: the ids that stand for it.
        calls: (operation, algorithm, message type) that those signers make.
    """

    arn: str
    signers: frozenset[str]
    calls: frozenset[tuple[str, str, str | None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectation:
    """What the calls are held against.

    Attributes:
        keys: by account and key id.
        key_of_signer: by signer id; signers without a key ARN are not in it.
        local: signers whose keys are on a machine, so that no call can witness them.
        without_arn: signers of a KMS, as far as one can tell, whose key the registry does not name.
        signers: the ids of all signers of the registry.
        explained: request ids of calls that somebody accounts for in another way.
        principals: patterns of ARNs that may sign; empty where nobody said.
        administrators: patterns of ARNs that may change keys and trails.
        regions: where calls may be made besides each key's own.
    """

    keys: Mapping[tuple[str, str], ExpectedKey] = field(default_factory=dict)
    key_of_signer: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    local: frozenset[str] = frozenset()
    without_arn: frozenset[str] = frozenset()
    signers: frozenset[str] = frozenset()
    explained: frozenset[str] = frozenset()
    principals: tuple[str, ...] = ()
    administrators: tuple[str, ...] = ()
    regions: frozenset[str] = frozenset()

    def places(self) -> list[tuple[str, str]]:
        """(account, Region) of each place where a call of the keys may be made, in order."""
        found = {key_place(key.arn) for key in self.keys.values()}
        found |= {
            (key_place(key.arn)[0], region)
            for (_, key_id), key in self.keys.items()
            if key_id.startswith(_MULTI_REGION)
            for region in self.regions
        }
        return sorted(found)

    def is_expected_principal(self, arn: str) -> bool:
        """Whether this principal may sign; true for all where nobody was named, which the report says."""
        return not self.principals or any(fnmatchcase(arn, pattern) for pattern in self.principals)

    def is_administrator(self, arn: str) -> bool:
        """Whether this principal is known to change keys."""
        return any(fnmatchcase(arn, pattern) for pattern in self.administrators)

    def key_of(self, facts: Facts) -> ExpectedKey | None:
        """The expected key that a call used; None for a key that is nobody's concern here."""
        return self.keys.get(key_identity(facts.key_arn))

    def why_unexpected_algorithm(self, facts: Facts, key: ExpectedKey) -> tuple[str, str] | None:
        """(expected, actual) where the call's algorithm or message type is none of the key's signers'."""
        message_type = None if facts.operation == "GenerateMac" else facts.message_type or _RAW
        if (facts.operation, facts.algorithm, message_type) in key.calls:
            return None
        expected = " or ".join(sorted(" ".join(filter(None, call)) for call in key.calls))
        return expected, " ".join(filter(None, (facts.operation, facts.algorithm, message_type)))

    def why_unexpected_region(self, facts: Facts, key: ExpectedKey) -> tuple[str, str] | None:
        """(expected, actual) where the call was made in another Region than the key's."""
        region = key_place(key.arn)[1]
        if facts.region == region or facts.region in self.regions:
            return None
        return region, facts.region


def expect(
    registry: Registry,
    *,
    key_arns: Mapping[str, str] | None = None,
    principals: Iterable[str] = (),
    administrators: Iterable[str] = (),
    regions: Iterable[str] = (),
    explained: Iterable[str] = (),
) -> Expectation:
    """The expectation of a registry.

    Args:
        registry: the accepted signers; retired and revoked ones too, since what their keys do matters most.
        key_arns: by signer id, for signers whose `keyArn` is missing.
        principals: ARNs that may sign; `*` and `?` stand for any characters and any one.
        administrators: ARNs that may change keys, likewise.
        regions: where calls may be made besides each key's own Region.
        explained: request ids of calls that somebody accounts for in another way.
    """
    arns = {signer.signer_id: signer.key_arn for signer in registry if signer.key_arn} | dict(key_arns or {})
    keys: dict[tuple[str, str], ExpectedKey] = {}
    for signer in registry:
        arn = arns.get(signer.signer_id)
        if arn is None:
            continue
        algorithm = signer.algorithm
        call = (
            "GenerateMac" if algorithm.is_mac else "Sign",
            algorithm.kms_signing_algorithm,
            None if algorithm.is_mac else algorithm.kms_message_type,
        )
        known = keys.get(key_identity(arn))
        keys[key_identity(arn)] = ExpectedKey(
            arn=arn,
            signers=frozenset({signer.signer_id}) | (known.signers if known else frozenset()),
            calls=frozenset({call}) | (known.calls if known else frozenset()),
        )
    local = frozenset(signer.signer_id for signer in registry if signer.development and signer.signer_id not in arns)
    return Expectation(
        keys=keys,
        key_of_signer={signer_id: key_identity(arn) for signer_id, arn in arns.items()},
        local=local,
        without_arn=frozenset(
            signer.signer_id for signer in registry if signer.signer_id not in arns and signer.signer_id not in local
        ),
        signers=frozenset(signer.signer_id for signer in registry),
        explained=frozenset(explained),
        principals=tuple(principals),
        administrators=tuple(administrators),
        regions=frozenset(regions),
    )
