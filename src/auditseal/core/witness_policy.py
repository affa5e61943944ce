"""Witness policies: which witnesses exist, and how many of which must have cosigned.

A policy that asks for nobody is met by nobody: where witnesses are asked for, "none" proves nothing.

Source: c2sp.org/tlog-policy; `docs/spec/checkpoint.md`, "Witnesses".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from auditseal.core.cosignature import cosignature_time
from auditseal.core.note import check_key_name
from auditseal.core.note_key import NoteKey, parse_vkey, verifier_for
from auditseal.core.scalar import parse_decimal
from auditseal.errors import InputError, PolicyNotMetError, SignatureInvalidError

if TYPE_CHECKING:
    from auditseal.core.note import Note

MAX_POLICY_BYTES: Final = 256 * 1024
MAX_MEMBERS: Final = 1000
MAX_GROUPS: Final = 100
NONE: Final = "none"
ASKS_FOR_NOBODY: Final = "the witness policy asks for nobody (quorum none), and so proves nothing"


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyWitness:
    """A witness that a policy knows.

    Attributes:
        name: in the policy alone.
        key: its cosigning key.
        url: prefix of its protocol's addresses; None where it is only checked.
    """

    name: str
    key: NoteKey
    url: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyLog:
    """A log's key in a policy, and where the log is."""

    key: NoteKey
    url: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """So many of these witnesses and groups.

    Attributes:
        threshold: 1 to the number of members.
        members: names that stand before it in the policy, each once.
    """

    threshold: int
    members: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cosigned:
    """What a policy finds on a checkpoint.

    Attributes:
        met: whether the quorum is reached.
        times: by the policy's name of each witness whose cosignature verifies, its time in seconds since the epoch.
        missing: the names of the witnesses whose cosignature would count and is not there.
        wrong: the names of those whose cosignature is there and does not verify.
    """

    met: bool
    times: Mapping[str, int]
    missing: tuple[str, ...]
    wrong: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class WitnessPolicy:
    """A read policy.

    Attributes:
        logs: the logs' own keys that it names.
        witnesses: by name.
        groups: by name.
        quorum: the name of a witness or a group; `none` where nobody is asked for, which is never met.
    """

    quorum: str
    logs: tuple[PolicyLog, ...] = ()
    witnesses: Mapping[str, PolicyWitness] = field(default_factory=dict)
    groups: Mapping[str, Group] = field(default_factory=dict)

    def evaluate(self, note: Note) -> Cosigned:
        """What of the note's cosignatures counts; one that is wrong counts as missing, and is named."""
        times: dict[str, int] = {}
        wrong: list[str] = []
        for witness in self.witnesses.values():
            verifier = verifier_for(witness.key)
            own = [each for each in note.signatures if (each.name, each.key_id) == (verifier.name, verifier.key_id)]
            for signature in own:
                try:
                    verifier.check(note.text, signature.signature)
                except SignatureInvalidError:
                    wrong.append(witness.name)
                    times.pop(witness.name, None)
                    break
                times[witness.name] = max(times.get(witness.name, 0), cosignature_time(signature))
        counted = self._counted(self.quorum)
        missing = tuple(name for name in counted if name not in times)
        return Cosigned(met=self._is_met(self.quorum, times), times=times, missing=missing, wrong=tuple(wrong))

    def require(self, note: Note) -> Cosigned:
        """`evaluate`, if the quorum is reached.

        Raises:
            PolicyNotMetError: it is not; `missing` names who is.
        """
        found = self.evaluate(note)
        if found.met:
            return found
        if self.quorum == NONE:
            raise PolicyNotMetError(ASKS_FOR_NOBODY)
        said = f"; the cosignature of {', '.join(found.wrong)} is wrong" if found.wrong else ""
        raise PolicyNotMetError(
            f"the quorum {self.quorum} is not reached: {', '.join(found.missing)} did not cosign{said}",
            missing=found.missing,
        )

    def _is_met(self, name: str, times: Mapping[str, int]) -> bool:
        group = self.groups.get(name)
        if group is None:
            return name in times
        return sum(self._is_met(member, times) for member in group.members) >= group.threshold

    def _counted(self, name: str) -> tuple[str, ...]:
        group = self.groups.get(name)
        if group is None:
            return (name,) if name in self.witnesses else ()
        return tuple(dict.fromkeys(each for member in group.members for each in self._counted(member)))


def parse_policy(text: str) -> WitnessPolicy:
    """Reads a policy.

    Args:
        text: one statement a line; empty lines and lines that begin with `#` are nothing.

    Raises:
        InputError: names the line.
    """
    if len(text) > MAX_POLICY_BYTES:
        raise InputError(f"the witness policy has more than {MAX_POLICY_BYTES} characters")
    reader = _Reader()
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        try:
            reader.take(words)
        except InputError as error:
            raise InputError(f"line {number} of the witness policy: {error}") from None
    if reader.quorum is None:
        raise InputError("the witness policy has no quorum line: say who must cosign")
    return WitnessPolicy(
        quorum=reader.quorum, logs=tuple(reader.logs), witnesses=reader.witnesses, groups=reader.groups
    )


class _Reader:
    def __init__(self) -> None:
        self.logs: list[PolicyLog] = []
        self.witnesses: dict[str, PolicyWitness] = {}
        self.groups: dict[str, Group] = {}
        self.quorum: str | None = None

    def take(self, words: list[str]) -> None:
        match words:
            case ["log", vkey, *url] if len(url) <= 1:
                self.logs.append(PolicyLog(key=parse_vkey(vkey), url=_url(url)))
            case ["witness", name, vkey, *url] if len(url) <= 1:
                self._take_witness(name, vkey, _url(url))
            case ["group", name, threshold, *members] if members:
                self._check_new(name)
                if len(self.groups) == MAX_GROUPS:
                    raise InputError(f"at most {MAX_GROUPS} groups are read")
                self.groups[name] = self._group(threshold, members)
            case ["quorum", name]:
                if self.quorum is not None:
                    raise InputError("a second quorum")
                if name != NONE and name not in self.witnesses and name not in self.groups:
                    raise InputError(f"the quorum {name[:60]!a} stands nowhere above")
                self.quorum = name
            case _:
                raise InputError(f"{' '.join(words)[:60]!a} is no statement: use log, witness, group or quorum")

    def _take_witness(self, name: str, vkey: str, url: str | None) -> None:
        self._check_new(name)
        key = parse_vkey(vkey)
        if not key.type.is_cosignature:
            raise InputError(f"the key of witness {name[:60]!a} makes no cosignatures: use a cosigner's key")
        if any(each.key == key for each in self.witnesses.values()):
            raise InputError(f"the key of witness {name[:60]!a} stands above for another: it would count twice")
        self.witnesses[name] = PolicyWitness(name=name, key=key, url=url)

    def _group(self, threshold: str, members: list[str]) -> Group:
        if len(members) > MAX_MEMBERS or len(set(members)) != len(members):
            raise InputError(f"a group has at most {MAX_MEMBERS} members, each once")
        for member in members:
            if member not in self.witnesses and member not in self.groups:
                raise InputError(f"the member {member[:60]!a} stands nowhere above")
            if any(member in group.members for group in self.groups.values()):
                raise InputError(f"the member {member[:60]!a} is in another group already")
        count = {"any": 1, "all": len(members)}.get(threshold)
        if count is None:
            count = parse_decimal(threshold, "the threshold")
        if not 1 <= count <= len(members):
            raise InputError(f"a group of {len(members)} cannot ask for {count}")
        return Group(threshold=count, members=tuple(members))

    def _check_new(self, name: str) -> None:
        check_key_name(name)
        if name == NONE or name in self.witnesses or name in self.groups:
            raise InputError(f"the name {name[:60]!a} is taken")


def _url(words: list[str]) -> str | None:
    if not words:
        return None
    if not words[0].startswith(("https://", "http://")):
        raise InputError(f"{words[0][:60]!a} is not an address such as https://witness.example")
    return words[0].rstrip("/")
