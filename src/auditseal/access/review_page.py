"""The review as one HTML page that prints well: the answers first, then what they rest on."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Final

from auditseal.access.checked import Item, Status
from auditseal.access.html import anchor, code, link, table
from auditseal.access.review import ASKED, CHANGES_WHO_SIGNS, Review, file_of
from auditseal.access.review_policies import entry_part, policies_part
from auditseal.access.review_style import STYLE
from auditseal.access.rules.rule import Finding
from auditseal.access.who_can import Able

_UNKNOWN: Final = "<p>Not known: the key policy could not be read.</p>"
_WORDS: Final = {Status.PASS: "pass", Status.FAIL: "fail", Status.NOT_CHECKED: "open"}


def review_page(review: Review) -> str:
    """The whole page."""
    key = review.facts.key.value
    name = key.arn if key is not None else review.key_id
    body = [
        _head(review, name),
        _missing(review),
        _section("who", f"Who can sign ({review.signing}), and by which path", _who_signs(review)),
        _section("changes", "Who can change that", _who_changes(review)),
        _section("key", "The key", _key(review)),
        _section("checklist", "Checklist", _checklist(review.items)),
        _section("findings", "What the rules found", _findings(review)),
        _section("policies", "Policies in force, and what to change", policies_part(review)),
        _section("entry", "Proposed entry for signers.json", entry_part(review)),
        _section("plan", "Rotation and retention", _plan(review)),
        _section("rules", "Why these rules", _rules(review.findings)),
        _section("commands", "What made each part", _commands(review)),
    ]
    title = f"Signing key review: {escape(name)}"
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>{title}</title>\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<style>{STYLE}</style>\n</head>\n<body>\n" + "\n".join(part for part in body if part) + "\n</body>\n</html>\n"
    )


def _head(review: Review, name: str) -> str:
    able = review.who[review.signing]
    direct = None if able is None else sum(one.is_direct for one in able)
    others = 0 if able is None else len(able) - (direct or 0)
    cells = [
        ("who", "?" if direct is None else str(direct), "may sign"),
        ("who", "?" if direct is None else str(others), "more by taking on a role"),
        ("checklist", str(len(review.failed)), f"of {len(review.items)} checks failed"),
        ("checklist", str(len(review.not_checked)), "not checked"),
        ("findings", str(len(review.findings)), "findings of the rules"),
    ]
    boxes = "".join(f'<a href="#{to}"><b>{escape(number)}</b>{escape(what)}</a>' for to, number, what in cells)
    return (
        f"<header><h1>Signing key review</h1><p>{code(name)}</p>"
        f'<p class="faint">Made {escape(review.made_at)} with the permissions of {escape(review.made_by)}. '
        f"It holds no secret.</p></header>\n{_verdict(review)}\n"
        f'<div class="sum">{boxes}</div>'
    )


def _verdict(review: Review) -> str:
    if review.failed:
        kind, word = "fail", "not as it should be"
        said = f"{_count(len(review.failed), 'check')} of the checklist failed. What to change stands below, as text."
    elif review.not_checked or review.not_read:
        kind, word = "open", "inconclusive"
        said = "nothing that was checked failed, and not everything could be checked."
    else:
        kind, word, said = "pass", "as it should be", "every check of the checklist holds."
    return f'<p class="verdict {kind}"><b>{word}</b>: {escape(said)}</p>'


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _missing(review: Review) -> str:
    if not review.not_read:
        return '<p class="faint">Everything that was asked for could be read.</p>'
    lines = "".join(f"<li>{escape(line)}</li>" for line in review.not_read)
    return (
        f'<div class="missing"><b>Could not be read</b>, and so nothing below speaks of it<ul>{lines}</ul>'
        "What depends on it is marked as not checked, and never counts as a pass.</div>"
    )


def _section(id_: str, title: str, content: str) -> str:
    return f'<section id="{id_}"><h2>{escape(title)}</h2>\n{content}</section>' if content else ""


def _who_signs(review: Review) -> str:
    able = review.who[review.signing]
    if able is None:
        return _UNKNOWN
    rows = [(code(one.principal), escape(_path(one)), "<br>".join(map(code, one.by))) for one in able]
    listed = table([("", "principal"), ("wide", "path"), ("wide", "by")], rows) if rows else "<p>Nobody may.</p>"
    return listed + _unread_others(review)


def _unread_others(review: Review) -> str:
    if review.facts.others.known:
        return ""
    return "<p>Other roles and users of the account were not read: there may be more.</p>"


def _path(able: Able) -> str:
    when = " and ".join(f"{key} is {value}" for key, value in able.when.items())
    return f"{able.path}, if {when}" if when else able.path


def _who_changes(review: Review) -> str:
    """Everybody who may change something, once, with all that they may change."""
    if review.who[CHANGES_WHO_SIGNS] is None:
        return _UNKNOWN
    may: dict[str, list[str]] = {}
    by: dict[str, set[tuple[str, tuple[str, ...]]]] = {}
    for action in ASKED:
        for one in review.who[action] or ():
            may.setdefault(one.principal, []).append(action)
            by.setdefault(one.principal, set()).add((_path(one), one.by))
    rows = [
        (
            code(principal),
            "<br>".join(map(code, actions)),
            "<br>".join(f"{escape(path)}: {', '.join(map(code, labels))}" for path, labels in sorted(by[principal])),
        )
        for principal, actions in may.items()
    ]
    asked = ", ".join(map(code, ASKED))
    asked_for = f'<p class="faint">Asked for: {asked}.</p>'
    listed = (
        table([("", "principal"), ("mid", "may"), ("wide", "path, and by")], rows) if rows else "<p>Nobody may.</p>"
    )
    return listed + asked_for + _unread_others(review)


def _key(review: Review) -> str:
    key, facts = review.facts.key.value, review.facts
    if key is None:
        return f"<p>{escape(facts.key.why or '')}</p>"
    grants = facts.grants.value
    listed = [f"{one.label}: {', '.join(sorted(one.operations))} to {one.grantee}" for one in grants or ()]
    rows = [
        ("ARN", code(key.arn)),
        ("named as", code(review.key_id)),
        ("spec, usage", escape(f"{key.spec}, {key.usage}")),
        ("state", escape(key.state)),
        ("made", escape(key.created or "not told")),
        ("signs until", escape(review.plan.ends(key.created) or "not told")),
        ("signs with", escape(review.algorithm.id if review.algorithm else "not named")),
        ("could also sign with", escape(", ".join(review.other_algorithms) or "nothing else")),
        ("aliases", escape(", ".join(facts.aliases.value or ()) or facts.aliases.why or "none")),
        ("grants", escape(facts.grants.why or "") if grants is None else "<br>".join(map(escape, listed)) or "none"),
        ("signer's role", code(facts.role.value.arn) if facts.role.value else escape(facts.role.why or "")),
    ]
    return table([("mid", "what"), ("", "value")], rows)


def _checklist(items: Sequence[Item]) -> str:
    rows = []
    for item in items:
        fix = f'<span class="fix">Fix: {code(item.fix)}</span>' if item.fix and item.status is Status.FAIL else ""
        word = f'<span class="word {_WORDS[item.status]}">{escape(item.status)}</span>'
        rows.append((word, escape(item.title), escape(item.detail) + fix))
    return table([("narrow", "outcome"), ("mid", "what"), ("", "found")], rows)


def _findings(review: Review) -> str:
    if not review.findings:
        return "<p>Nothing, in the key policy and the policies of the signer's role.</p>"
    changed = {change.policy for change in review.changes}
    rows = []
    for finding in review.findings:
        text = link(anchor("policy", file_of(finding.policy)), "changed text") if finding.policy in changed else ""
        rows.append(
            (
                f'<span class="word {finding.severity}">{finding.severity}</span>',
                escape(f"{finding.policy}: {finding.statement or 'the whole'}"),
                f"{escape(finding.message)}.<br>{link(anchor('rule', finding.rule.id), finding.rule.id)}: "
                f"{escape(finding.rule.title)}" + (f"; {text}" if text else ""),
            )
        )
    return table([("narrow", "severity"), ("mid", "where"), ("", "what, why, and the change")], rows)


def _rules(findings: Sequence[Finding]) -> str:
    """Each rule that found something, once: where the findings' links lead."""
    rules = {finding.rule.id: finding.rule for finding in findings}
    parts = [
        f'<h3 id="{anchor("rule", rule.id)}">{escape(rule.id)}: {escape(rule.title)}</h3>'
        f"<p>{escape(rule.why)}</p><p>Fix: {escape(rule.fix)} "
        f'<span class="faint">More, with examples: {escape(rule.page)}.</span></p>'
        for rule in rules.values()
    ]
    return "\n".join(parts)


def _plan(review: Review) -> str:
    return "<ol>" + "".join(f"<li>{escape(step)}</li>" for step in review.plan.steps) + "</ol>"


def _commands(review: Review) -> str:
    return table([("mid", "part"), ("", "command")], [(escape(part), code(text)) for part, text in review.commands])
