"""policy simulate and policy who-can: what policies decide, offline."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from auditseal.cli.exits import Exit
from auditseal.cli.options import OutputOption, emit, json_text, parse_outputs
from auditseal.cli.policy.files import check_complete, load, load_policies, need_extra
from auditseal.errors import InputError

if TYPE_CHECKING:
    from auditseal.access.evaluate import Decision
    from auditseal.access.grant import Grant
    from auditseal.access.who_can import Able

_EXPECT = ("allowed", "denied")
Files = Annotated[list[str] | None, typer.Option(metavar="FILE")]


def simulate(
    action: Annotated[str, typer.Option("--action", help="Such as kms:Sign.")],
    principal: Annotated[str, typer.Option("--principal", help="ARN of the caller; a session for a role's session.")],
    resource: Annotated[str, typer.Option("--resource", help="The key's ARN.")] = "*",
    identity: Annotated[list[str] | None, typer.Option("--identity", metavar="FILE", help="The caller's own.")] = None,
    key_policy: Annotated[str | None, typer.Option("--key-policy", metavar="FILE", help="The key's.")] = None,
    boundary: Annotated[
        list[str] | None, typer.Option("--boundary", metavar="FILE", help="Permissions boundary.")
    ] = None,
    scp: Annotated[list[str] | None, typer.Option("--scp", metavar="FILE", help="One level each, root first.")] = None,
    session: Annotated[list[str] | None, typer.Option("--session", metavar="FILE", help="Session policies.")] = None,
    grants: Annotated[str | None, typer.Option("--grants", metavar="FILE", help="An answer of ListGrants.")] = None,
    context: Annotated[
        list[str] | None, typer.Option("--context", metavar="KEY=VALUE", help="May be repeated.")
    ] = None,
    role: Annotated[str | None, typer.Option("--role", help="Of a session, its role's ARN.")] = None,
    expect: Annotated[str | None, typer.Option("--expect", help="allowed or denied; the exit code follows.")] = None,
    output: OutputOption = None,
) -> int:
    """Say whether a request is allowed, explicitly denied or implicitly denied, and by which statement."""
    outputs = parse_outputs(output, ("text", "json"))
    need_extra()
    from auditseal.access.evaluate import Surroundings, evaluate
    from auditseal.access.policy import Kind
    from auditseal.access.request import make_request
    from auditseal.access.vocabulary import check_action

    if expect is not None and expect not in _EXPECT:
        raise InputError(f"--expect {expect[:20]} is neither allowed nor denied")
    check_action(action)
    _check_resource(resource)
    request = make_request(
        principal=principal, action=action, resource=resource, context=parse_context(context or []), role=role
    )
    own = load_policies([key_policy], Kind.KEY) if key_policy is not None else []
    if request.is_on_key and len(own) != 1:
        raise InputError(f"{len(own)} key policies: give the key's one, since it decides (aws kms get-key-policy)")
    decision = evaluate(
        request,
        Surroundings(
            identity=load_policies(identity or [], Kind.IDENTITY),
            key_policy=own[0] if own else None,
            boundaries=load_policies(boundary or [], Kind.BOUNDARY),
            scps=[load_policies([file], Kind.SCP) for file in scp or []],
            session=load_policies(session or [], Kind.SESSION),
            grants=load_grants(grants),
        ),
    )
    emit(outputs, {"text": lambda: _decision_text(decision), "json": lambda: json_text(_decision_members(decision))})
    return Exit.GOOD if decision.is_allowed == (expect != "denied") else Exit.BAD


def _check_resource(text: str) -> None:
    """Whether the resource is one.

    Raises:
        InputError: no ARN, a placeholder in it, or one of KMS that is neither a key's nor an alias's.
    """
    from auditseal.access.arn import find_placeholder, parse_key_arn, split_arn

    arn = split_arn(text)
    if arn is None and text != "*":
        raise InputError(f"--resource {text[:120]} is not an ARN: give the key's own, KMS looks an alias up")
    if arn is not None and arn.service == "kms" and not arn.resource.startswith("alias/"):
        parse_key_arn(text)
    if find_placeholder(text) is not None:
        raise InputError(f"--resource {text[:120]} still holds a placeholder: put the real value in")


def parse_context(texts: Sequence[str]) -> dict[str, str | list[str]]:
    """Context keys and values; a key that is given twice holds a list, as does one for which a list is usual.

    Raises:
        InputError: not KEY=VALUE.
    """
    from auditseal.access import vocabulary

    values: dict[str, list[str]] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise InputError(f"--context {text[:60]} is not KEY=VALUE, such as kms:MessageType=RAW")
        values.setdefault(key, []).append(value)
    return {key: given if len(given) > 1 or vocabulary.is_list(key) else given[0] for key, given in values.items()}


def load_grants(name: str | None) -> list[Grant]:
    """The grants of an answer of ListGrants.

    Raises:
        InputError: the file holds none.
    """
    from auditseal.access.grant import parse_grant

    if name is None:
        return []
    documents = load([name])
    return [parse_grant(node, name) for node in documents.grants]


def _decision_text(decision: Decision) -> str:
    lines = [f"{decision.result}: {decision.path}"]
    lines += [f"  {hit.statement.effect}  {hit.label}" for hit in decision.hits]
    if decision.grant is not None:
        lines.append(f"  Allow  {decision.grant.label}")
    return "\n".join(lines)


def _decision_members(decision: Decision) -> dict[str, Any]:
    return {
        "schema_version": 1,
        "result": str(decision.result),
        "path": decision.path,
        "statements": [
            {
                "policy": hit.policy.label,
                "kind": str(hit.policy.kind),
                "statement": hit.statement.label,
                "effect": str(hit.statement.effect),
                "line": hit.statement.place.line,
            }
            for hit in decision.hits
        ],
        "grant": None if decision.grant is None else decision.grant.id,
    }


def who_can(
    files: Annotated[list[str], typer.Argument(metavar="FILE...", help="The key policy and IAM policies.")],
    action: Annotated[str, typer.Option("--action", help="Such as kms:Sign.")] = "kms:Sign",
    key: Annotated[str | None, typer.Option("--key", help="The key's ARN; needed unless a template names it.")] = None,
    grants: Annotated[str | None, typer.Option("--grants", metavar="FILE", help="An answer of ListGrants.")] = None,
    output: OutputOption = None,
) -> int:
    """Name every principal that may take an action on a key, and by which path."""
    outputs = parse_outputs(output, ("text", "json"))
    documents = load(files)
    check_complete(documents.policies)
    from auditseal.access.arn import parse_key_arn
    from auditseal.access.vocabulary import check_action
    from auditseal.access.who_can import TEMPLATE_KEY
    from auditseal.access.who_can import who_can as answer

    check_action(action)
    if key is None and not documents.keys:
        raise InputError("which key is meant is not said: give its ARN as --key")
    arn = TEMPLATE_KEY if key is None else str(parse_key_arn(key))
    able = answer(action, arn, documents.policies, grants=load_grants(grants))
    unread = [f"{item.source}: {item.place}: {item.what}: {item.why}" for item in documents.unread]
    members = {
        "schema_version": 1,
        "action": action,
        "key": key,
        "principals": [
            {"principal": one.principal, "path": one.path, "by": list(one.by), "when": dict(one.when)} for one in able
        ],
        "not_checked": unread,
    }
    emit(outputs, {"text": lambda: who_can_text(action, able, unread), "json": lambda: json_text(members)})
    return Exit.INCONCLUSIVE if unread else Exit.GOOD


def who_can_text(action: str, able: Sequence[Able], unread: Sequence[str]) -> str:
    """One principal a paragraph."""
    lines = []
    for one in able:
        when = f", if {' and '.join(f'{key} is {value}' for key, value in one.when.items())}" if one.when else ""
        lines.append(f"{one.principal}\n    {one.path}{when}")
        lines += [f"    {by}" for by in one.by]
    lines += [f"not checked: {item}" for item in unread]
    direct = sum(one.is_direct for one in able)
    said = [f"{direct} may {action}" if direct else f"nobody may {action}"]
    said += [f"{len(able) - direct} more by taking on a role"] if len(able) > direct else []
    return "\n".join([*lines, ", ".join(said)])
