"""The guidance's least-privilege checklist, item by item, against what is really there.

Each item asks the evaluator, so that a permission counts however it came about.

Source: `docs/kms-guidance.md`, "Least-privilege checklist".
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from auditseal.access.arn import split_arn
from auditseal.access.checked import Item, failed, held, not_checked, passed
from auditseal.access.documents.found import Documents, FoundKey
from auditseal.access.evaluate import Decision, Surroundings, evaluate
from auditseal.access.facts import Facts, Identity, KeyFacts
from auditseal.access.policy import Policy
from auditseal.access.request import make_request
from auditseal.access.rules.lint import lint
from auditseal.access.rules.rule import Severity, listed
from auditseal.access.vocabulary import (
    CHANGING,
    MAC_ALGORITHMS,
    MESSAGE_TYPES,
    SIGNING,
    SIGNING_ALGORITHMS,
    actions,
    names,
)
from auditseal.access.who_can import Able, who_can
from auditseal.core.algorithm import Algorithm

_ALSO: Final = frozenset({"kms:GetPublicKey", "kms:DescribeKey"})
_ANYBODY: Final = ("everybody", "any principal of")
_ELSEWHERE: Final = "00000000-0000-4000-8000-000000000000"
_GENERATE: Final = "auditseal policy generate --role signer --algorithm {} --key-arn {}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Checklist:
    """What is checked.

    Attributes:
        facts: what was read.
        algorithm: what the key is to sign with; None takes what the key offers.
        alias: requests name the key by it; None if they name the key itself.
        require_kms: whether REQUIRE_KMS is set here; None if that was not looked at.
    """

    facts: Facts
    algorithm: Algorithm | None = None
    alias: str | None = None
    require_kms: bool | None = None

    def items(self) -> list[Item]:
        """All items, in the order of the guidance."""
        return [*self._key(), *self._signer(), *self._others(), *self._trail(), self._require_kms()]

    def _key(self) -> Iterator[Item]:
        key = self.facts.key.value
        if key is None:
            yield not_checked("key-state", "the key is enabled", self.facts.key.why)
            yield not_checked("key-fits", "the key fits the algorithm", self.facts.key.why)
            return
        state = [] if key.state == "Enabled" else [f"it is {key.state}"]
        fix = f"aws kms enable-key --key-id {key.arn}"
        yield held("key-state", "the key is enabled", state, f"{key.spec}, {key.usage}", fix)
        if self.algorithm is None:
            yield not_checked("key-fits", "the key fits the algorithm", "no algorithm was named: give --algorithm")
            return
        fits = key.spec in self.algorithm.kms_key_specs and key.usage == self.algorithm.kms_key_usage
        wanted = f"{self.algorithm.id} needs {' or '.join(self.algorithm.kms_key_specs)}"
        faults = [] if fits else [f"{key.spec} with {key.usage}: {wanted}"]
        fix = "set AUDIT_SIGNING_ALG to what the key can do, or make a key for it (auditseal keys create)"
        yield held("key-fits", "the key fits the algorithm", faults, str(self.algorithm.id), fix)

    def _signer(self) -> Iterator[Item]:
        titles = {
            "signer-signs": "the signer may sign",
            "signer-only-signs": "the signer may do nothing else on the key",
            "signer-changes-nothing": "the signer may change neither key, policy, grants nor aliases",
            "signer-one-key": "the signer may sign with no other key",
            "signer-pinned": "the signer may sign with no other algorithm",
        }
        key, role, policy = self.facts.key.value, self.facts.role.value, self.facts.key_policy.value
        if key is None or role is None or policy is None:
            missing = [one.why for one in (self.facts.key, self.facts.role, self.facts.key_policy) if not one.known]
            for id_, title in titles.items():
                yield not_checked(id_, title, "; ".join(str(why) for why in missing))
            return
        asker = _Asker(self, key, role, policy)
        command = _GENERATE.format(self.algorithm.id if self.algorithm else "ALGORITHM", key.arn)
        may = asker.allowed()
        signing = may & asker.signing
        faults = [] if signing else [f"{listed(asker.signing)} is {asker.decide(min(asker.signing)).result}"]
        yield held("signer-signs", titles["signer-signs"], faults, listed(signing), command)
        more = may - asker.signing - _ALSO - CHANGING
        faults = [f"it may {listed(more)}"] if more else []
        yield held(
            "signer-only-signs", titles["signer-only-signs"], faults, f"it may {listed(may) or 'nothing'}", command
        )
        change = may & CHANGING
        faults = [f"it may {listed(change)}"] if change else []
        yield held(
            "signer-changes-nothing", titles["signer-changes-nothing"], faults, "every change is denied", command
        )
        yield held("signer-one-key", titles["signer-one-key"], asker.elsewhere(), "only this key", command)
        yield held("signer-pinned", titles["signer-pinned"], asker.other_ways(), "other algorithms are denied", command)

    def _others(self) -> Iterator[Item]:
        yield from self._who()
        yield from self._grants()
        yield from self._policies()
        yield self._alias()

    def _who(self) -> Iterator[Item]:
        titles = {"who-signs": "nobody but the signer may sign", "who-changes": "who changes the key is known and few"}
        able, why = self.who(self.signing), self.facts.key_policy.why
        if able is None:
            yield not_checked("who-signs", titles["who-signs"], why)
            yield not_checked("who-changes", titles["who-changes"], why)
            yield self._takers([])
            return
        signer = None if self.facts.role.value is None else self.facts.role.value.arn
        others = [one.principal for one in able if one.principal != signer]
        fix = "let the key policy deny Sign to all but the signer (auditseal policy generate --part key)"
        if signer is None and not any(name.startswith(_ANYBODY) for name in others):
            why = f"{self.facts.role.why}; {listed(others) or 'nobody'} may sign"
            yield not_checked("who-signs", titles["who-signs"], why)
        elif others:
            yield failed("who-signs", titles["who-signs"], listed(others), fix)
        elif not self.facts.others.known:
            yield not_checked("who-signs", titles["who-signs"], self.facts.others.why)
        else:
            yield passed("who-signs", titles["who-signs"], signer or "nobody")
        changing = self.who("kms:PutKeyPolicy") or []
        open_to = [one.principal for one in changing if one.principal.startswith(_ANYBODY)]
        open_to += [one.principal for one in changing if signer is not None and one.principal == signer]
        if not changing:
            yield failed(
                "who-changes", titles["who-changes"], "nobody may", "get AWS Support to restore the key policy"
            )
        elif open_to:
            yield failed("who-changes", titles["who-changes"], listed(open_to), "name administrators in the key policy")
        elif not self.facts.others.known:
            yield not_checked("who-changes", titles["who-changes"], self.facts.others.why)
        else:
            yield passed("who-changes", titles["who-changes"], listed(one.principal for one in changing))
        yield self._takers([one.arn for one in changing])

    def _takers(self, changing: Sequence[str]) -> Item:
        """Who may take on a role that signs: nobody outside, and nobody who may change the key."""
        id_, title = "who-assumes", "who may take on a role that signs is known, and no administrator"
        role, others = self.facts.role, self.facts.others
        if role.value is None or role.value.trust is None or not others.known:
            return not_checked(id_, title, role.why or others.why or "the role's trust policy was not read")
        takers = [one for one in self.who(self.signing, taking=True) or () if not one.is_direct]
        open_to = [one.principal for one in takers if one.principal.startswith(_ANYBODY)]
        both = [one.principal for one in takers if one.arn in changing and not one.arn.endswith(":root")]
        faults = [f"it trusts {listed(open_to)}"] if open_to else []
        faults += [f"{listed(both)} may also change the key"] if both else []
        good = listed({one.principal for one in takers}) or "nobody"
        return held(id_, title, faults, good, "name the one principal that signs in the role's trust policy")

    @property
    def signing(self) -> str:
        """The action that makes a signature with the key."""
        if self.algorithm is not None:
            mac = self.algorithm.is_mac
        else:
            mac = self.facts.key.value is not None and self.facts.key.value.usage == "GENERATE_VERIFY_MAC"
        return "kms:GenerateMac" if mac else "kms:Sign"

    def who(self, action: str, *, taking: bool = False) -> list[Able] | None:
        """Everybody who may take an action, as far as policies were read; None without the key policy.

        Args:
            action: such as `kms:Sign`.
            taking: whether to name those too who may take on a role that may.
        """
        key, policy = self.facts.key.value, self.facts.key_policy.value
        if policy is None or key is None:
            return None
        identities = [*(self.facts.others.value or ()), *([self.facts.role.value] if self.facts.role.value else [])]
        policies = [policy, *(one for identity in identities for one in identity.policies)]
        policies += [one.trust for one in identities if taking and one.trust is not None]
        boundaries = {identity.arn: identity.boundary for identity in identities if identity.boundary}
        grants = self.facts.grants.value or ()
        found = who_can(action, key.arn, policies, grants=grants, boundaries=boundaries)
        return list({(one.principal, one.is_direct): one for one in found}.values())

    def _grants(self) -> Iterator[Item]:
        title = "no grant lets anybody sign"
        if self.facts.grants.value is None:
            yield not_checked("grants", title, self.facts.grants.why)
        else:
            signing = {name.removeprefix("kms:") for name in SIGNING}
            found = [f"{one.label} to {one.grantee}" for one in self.facts.grants.value if one.operations & signing]
            count = len(self.facts.grants.value)
            key = self.facts.key.value.arn if self.facts.key.value else "KEY"
            fix = f"aws kms revoke-grant --key-id {key} --grant-id ID (aws kms list-grants names them)"
            yield held("grants", title, found, f"{count} grants" if count else "no grants", fix)
        title = "the key has no policy but its own"
        if self.facts.other_policies.value is None:
            yield not_checked("key-policies", title, self.facts.other_policies.why)
        else:
            found = list(self.facts.other_policies.value)
            yield held("key-policies", title, found, "only `default`", "end what shares the key (AWS RAM)")

    def _policies(self) -> Iterator[Item]:
        title = "no rule finds anything bad in the policies"
        read = [self.facts.key_policy.value, *(self.facts.role.value.policies if self.facts.role.value else ())]
        unread = [one.why for one in (self.facts.key_policy, self.facts.role) if not one.known]
        findings = lint(self.documents([one for one in read if one is not None])).at_or_above(Severity.HIGH)
        faults = [f"{one.rule.id} in {one.policy} {one.statement or ''}".rstrip() for one in findings]
        if unread and not faults:
            yield not_checked("rules", title, "; ".join(map(str, unread)))
        else:
            yield held(
                "rules", title, faults, f"{len(read)} policies", "auditseal policy lint; each finding names its fix"
            )
        title = "no inactive version of a policy allows more"
        role = self.facts.role.value
        if role is None:
            yield not_checked("inactive-versions", title, self.facts.role.why)
            return
        more = [one.name for one in role.inactive if lint(self.documents([one])).at_or_above(Severity.HIGH)]
        fix = "aws iam delete-policy-version: who may set the default version could put it back"
        yield held("inactive-versions", title, more, f"{len(role.inactive)} inactive", fix)

    def documents(self, policies: Sequence[Policy]) -> Documents:
        """Policies with what is known of their key, for the rules."""
        key = self.facts.key.value
        found = () if key is None else (FoundKey(name="", spec=key.spec, usage=key.usage),)
        return Documents(policies=tuple(policies), keys=found)

    def _alias(self) -> Item:
        title = "the alias points to the key"
        if self.alias is None:
            return passed("alias", title, "the key is named by its id: no alias can point it elsewhere")
        if self.facts.aliases.value is None:
            return not_checked("alias", title, self.facts.aliases.why)
        faults = [] if self.alias in self.facts.aliases.value else [f"{self.alias} does not point to it"]
        return held("alias", title, faults, self.alias, "aws kms update-alias, or correct AUDIT_SIGNING_KMS_KEY_ID")

    def _trail(self) -> Iterator[Item]:
        title = "a trail records who signs"
        trails = self.facts.trails.value
        if trails is None:
            yield not_checked("trail", title, self.facts.trails.why)
            return
        good = [trail.name for trail in trails if trail.logging and trail.reads and trail.kms]
        blind = [f"{trail.name} does not record KMS reads" for trail in trails] or ["there is no trail"]
        fix = "record read and write management events, kms.amazonaws.com among them"
        yield held("trail", title, [] if good else blind, listed(good), fix)

    def _require_kms(self) -> Item:
        title = "REQUIRE_KMS keeps local keys out"
        if self.require_kms is None:
            return not_checked("require-kms", title, "this is not the signer's environment")
        faults = [] if self.require_kms else ["REQUIRE_KMS is not true here"]
        return held(
            "require-kms", title, faults, "REQUIRE_KMS is true", "set REQUIRE_KMS=true for the signer and in CI"
        )


class _Asker:
    """Asks the evaluator what a role may do with a key."""

    def __init__(self, checklist: Checklist, key: KeyFacts, role: Identity, policy: Policy) -> None:
        self._key = key
        self._role = role
        self._alias = checklist.alias
        self._algorithms = (
            key.algorithms if checklist.algorithm is None else (checklist.algorithm.kms_signing_algorithm,)
        )
        self._message_type = "RAW" if checklist.algorithm is None else checklist.algorithm.kms_message_type
        mac = key.usage == "GENERATE_VERIFY_MAC"
        self._mac = mac
        self.signing = frozenset({"kms:GenerateMac" if mac else "kms:Sign"})
        self._given = Surroundings(
            identity=role.policies,
            key_policy=policy,
            boundaries=role.boundary,
            grants=checklist.facts.grants.value or (),
        )

    def decide(self, action: str, *, resource: str | None = None, context: dict[str, str] | None = None) -> Decision:
        """One request of the role."""
        asked = self._context() if context is None else context
        if self._alias is not None:
            asked = asked | {"kms:RequestAlias": self._alias}
        request = make_request(
            principal=self._role.arn, action=action, resource=resource or self._key.arn, context=asked
        )
        return evaluate(request, self._given)

    def _context(self) -> dict[str, str]:
        algorithm = self._algorithms[0] if self._algorithms else ""
        if self._mac:
            return {"kms:MacAlgorithm": algorithm}
        return {"kms:SigningAlgorithm": algorithm, "kms:MessageType": self._message_type or "RAW"}

    def allowed(self) -> frozenset[str]:
        """All that the role may do with the key."""
        on_key = [name for name in names() if "key" in actions()[name.lower()].resources]
        return frozenset(name for name in on_key if self.decide(name).is_allowed)

    def elsewhere(self) -> list[str]:
        """Identity policies that cover another key of the account, whatever its key policy says."""
        arn = split_arn(self._key.arn)
        assert arn is not None
        other = self._key.arn.rpartition("/")[0] + "/" + _ELSEWHERE
        given = Surroundings(identity=self._role.policies, boundaries=self._role.boundary)
        found = []
        for action in SIGNING:
            request = make_request(principal=self._role.arn, action=action, resource=other, context=self._context())
            decision = evaluate(request, given)
            if any(hit.statement.is_allow for hit in decision.hits) and decision.result != "explicitly denied":
                found.append(f"{decision.hits[0].label} allows {action} on other keys")
        return found

    def other_ways(self) -> list[str]:
        """Algorithms and message types of the key, other than the configured ones, that the role may sign with."""
        own = self._context()
        offered = self._key.algorithms or sorted(MAC_ALGORITHMS if self._mac else SIGNING_ALGORITHMS)
        if self._mac:
            ways = [{"kms:MacAlgorithm": algorithm} for algorithm in offered]
        else:
            ways = [
                {"kms:SigningAlgorithm": algorithm, "kms:MessageType": kind}
                for algorithm in offered
                for kind in sorted(MESSAGE_TYPES)
                if kind != "EXTERNAL_MU" or algorithm.startswith("ML_DSA")
            ]
        action = min(self.signing)
        found = [way for way in ways if way != own and self.decide(action, context=way).is_allowed]
        return [f"it may also sign with {listed(' '.join(way.values()) for way in found)}"] if found else []
