"""The review as one HTML page that prints well: no script, nothing from elsewhere, no meaning by colour alone."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from html import escape
from typing import Any, Final

from auditseal.access.checked import Item, Status
from auditseal.access.review import Review
from auditseal.access.rules.rule import Finding
from auditseal.access.who_can import Able

_STYLE: Final = """
:root { --ink: #1a1d21; --faint: #5b636d; --line: #d5dae0; --ground: #f5f7f9; --good: #17693a; --bad: #a3161e;
        --open: #7a5200; }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 60rem; padding: 2.5rem 1.5rem 4rem; color: var(--ink); background: #fff;
       font: 15px/1.5 system-ui, "Segoe UI", "DejaVu Sans", sans-serif; }
header { border-bottom: 3px solid var(--ink); margin-bottom: 1.5rem; padding-bottom: 1rem; }
h1 { font-size: 1.7rem; margin: 0 0 .3rem; }
h2 { font-size: 1.2rem; margin: 2.2rem 0 .6rem; border-bottom: 1px solid var(--line); padding-bottom: .25rem; }
h3 { font-size: 1rem; margin: 1.2rem 0 .3rem; }
p, ul { margin: .4rem 0; }
.faint { color: var(--faint); }
.sum { display: grid; grid-template-columns: repeat(4, 1fr); gap: .75rem; margin: 1.2rem 0; }
.sum div { background: var(--ground); border: 1px solid var(--line); border-radius: 4px; padding: .6rem .8rem; }
.sum b { display: block; font-size: 1.5rem; line-height: 1.2; }
table { border-collapse: collapse; width: 100%; margin: .5rem 0 1rem; table-layout: fixed; }
th, td { text-align: left; vertical-align: top; padding: .4rem .55rem; border-bottom: 1px solid var(--line);
         overflow-wrap: anywhere; }
th { background: var(--ground); font-weight: 600; }
code, pre { font: 12.5px/1.45 ui-monospace, "DejaVu Sans Mono", Menlo, monospace; }
code { overflow-wrap: anywhere; }
pre { background: var(--ground); border: 1px solid var(--line); border-radius: 4px; padding: .7rem .9rem;
      white-space: pre-wrap; overflow-wrap: anywhere; margin: .3rem 0 1rem; }
.word { font-weight: 700; white-space: nowrap; }
.pass { color: var(--good); } .fail, .high { color: var(--bad); } .open, .medium { color: var(--open); }
.missing { border-left: 4px solid var(--open); background: #fff8e8; padding: .6rem .9rem; margin: 1rem 0; }
.narrow { width: 8.5rem; } .mid { width: 15rem; }
@page { size: A4; margin: 16mm 14mm 18mm; }
@media print {
  body { max-width: none; padding: 0; font-size: 10pt; }
  h2, h3 { break-after: avoid; } tr, .sum div, .missing { break-inside: avoid; }
  .narrow { width: 6.5rem; } .mid { width: 11rem; }
  thead { display: table-header-group; } pre, code { font-size: 8.5pt; } a { color: inherit; text-decoration: none; }
}
"""
_WORDS: Final = {Status.PASS: "pass", Status.FAIL: "fail", Status.NOT_CHECKED: "open"}


def review_page(review: Review) -> str:
    """The whole page."""
    key = review.facts.key.value
    name = key.arn if key is not None else review.key_id
    body = [
        _head(review, name),
        _missing(review),
        _section("The key", _key(review)),
        _section("Who can, and by which path", _who(review)),
        _section("Checklist", _checklist(review.items)),
        _section("What the rules found", _findings(review.findings)),
        _section("Policies in force", _documents(review)),
        _section("Policies as they should be", _proposed(review)),
        _section("Proposed entry for signers.json", _entry(review)),
        _section("Rotation and retention", _plan(review)),
        _section("What made each part", _commands(review)),
    ]
    title = f"Signing key review: {escape(name)}"
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>{title}</title>\n'
        f'<meta name="viewport" content="width=device-width">\n<style>{_STYLE}</style>\n</head>\n<body>\n'
        + "\n".join(body)
        + "\n</body>\n</html>\n"
    )


def _head(review: Review, name: str) -> str:
    able = next(iter(review.who.values()))
    cells = [
        (str(len(able)) if able is not None else "?", "may sign"),
        (str(len(review.failed)), f"of {len(review.items)} checks failed"),
        (str(len(review.not_checked)), "not checked"),
        (str(len(review.findings)), "findings of the rules"),
    ]
    boxes = "".join(f"<div><b>{escape(number)}</b>{escape(what)}</div>" for number, what in cells)
    return (
        f"<header><h1>Signing key review</h1><p><code>{escape(name)}</code></p>"
        f'<p class="faint">Made {escape(review.made_at)} with the permissions of {escape(review.made_by)}. '
        f"It holds no secret.</p></header>\n"
        f'<div class="sum">{boxes}</div>'
    )


def _missing(review: Review) -> str:
    if not review.not_read:
        return '<p class="faint">Everything that was asked for could be read.</p>'
    lines = "".join(f"<li>{escape(line)}</li>" for line in review.not_read)
    return f'<div class="missing"><b>Could not be read</b><ul>{lines}</ul></div>'


def _section(title: str, content: str) -> str:
    return f"<section><h2>{escape(title)}</h2>\n{content}</section>"


def _table(heads: Sequence[tuple[str, str]], rows: Iterable[Sequence[str]]) -> str:
    """A table; heads are (class, text), cells are HTML already."""
    head = "".join(f'<th class="{kind}">{escape(text)}</th>' for kind, text in heads)
    body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _code(text: str) -> str:
    return f"<code>{escape(text)}</code>"


def _json(value: Any) -> str:
    return f"<pre>{escape(json.dumps(value, indent=2))}</pre>"


def _key(review: Review) -> str:
    key, facts = review.facts.key.value, review.facts
    if key is None:
        return f"<p>{escape(facts.key.why or '')}</p>"
    grants = "not read" if facts.grants.value is None else ", ".join(one.label for one in facts.grants.value) or "none"
    rows = [
        ("ARN", _code(key.arn)),
        ("named as", _code(review.key_id)),
        ("spec, usage", escape(f"{key.spec}, {key.usage}")),
        ("state", escape(key.state)),
        ("made", escape(key.created or "not told")),
        ("offers", escape(", ".join(key.algorithms))),
        ("signs with", escape(review.algorithm.id if review.algorithm else "not named")),
        ("aliases", escape(", ".join(facts.aliases.value or ()) or facts.aliases.why or "none")),
        ("grants", escape(grants)),
        ("signer's role", _code(facts.role.value.arn) if facts.role.value else escape(facts.role.why or "")),
    ]
    return _table([("mid", "what"), ("", "value")], rows)


def _who(review: Review) -> str:
    parts = []
    for action, able in review.who.items():
        parts.append(f"<h3>{escape(action)}</h3>")
        if able is None:
            parts.append("<p>Not known: the key policy could not be read.</p>")
        elif not able:
            parts.append("<p>Nobody.</p>")
        else:
            rows = [(_code(one.principal), escape(_path(one)), "<br>".join(map(_code, one.by))) for one in able]
            parts.append(_table([("", "principal"), ("mid", "path"), ("", "by")], rows))
    if not review.facts.others.known:
        parts.append("<p>Other roles and users of the account were not read: there may be more.</p>")
    return "\n".join(parts)


def _path(able: Able) -> str:
    when = " and ".join(f"{key} is {value}" for key, value in able.when.items())
    return f"{able.path}, if {when}" if when else able.path


def _checklist(items: Sequence[Item]) -> str:
    rows = []
    for item in items:
        fix = f"<br>Fix: {escape(item.fix)}" if item.fix and item.status is Status.FAIL else ""
        word = f'<span class="word {_WORDS[item.status]}">{escape(item.status)}</span>'
        rows.append((word, escape(item.title), escape(item.detail) + fix))
    return _table([("narrow", "outcome"), ("mid", "what"), ("", "found")], rows)


def _findings(findings: Sequence[Finding]) -> str:
    if not findings:
        return "<p>Nothing.</p>"
    rows = [
        (
            f'<span class="word {finding.severity}">{finding.severity}</span><br>{escape(finding.rule.id)}',
            escape(f"{finding.policy} {finding.statement or ''}".strip()),
            (
                f"{escape(finding.message)}.<br>{escape(finding.rule.why)}<br>Fix: {escape(finding.rule.fix)} "
                f'<span class="faint">({escape(finding.rule.page)})</span>'
            ),
        )
        for finding in findings
    ]
    return _table([("narrow", "severity, rule"), ("mid", "where"), ("", "what, why, fix")], rows)


def _documents(review: Review) -> str:
    if not review.documents:
        return "<p>None could be read.</p>"
    return "\n".join(f"<h3>{escape(name)}</h3>\n{_json(value)}" for name, value in review.documents.items())


def _proposed(review: Review) -> str:
    if review.proposed is None:
        return "<p>Not made: the key, its algorithm and the signer's role are needed for it.</p>"
    notes = "".join(f"<li>{escape(comment)}</li>" for comment in review.proposed.comments)
    return (
        f"<ul>{notes}</ul>\n<h3>IAM policy of the role</h3>\n{_json(review.proposed.iam_policy)}\n"
        f"<h3>Key policy</h3>\n{_json(review.proposed.key_policy)}"
    )


def _entry(review: Review) -> str:
    if review.signer_entry is None:
        return "<p>Not made: the public key could not be read, or the key has none.</p>"
    return _json({"signers": [review.signer_entry]})


def _plan(review: Review) -> str:
    plan = review.plan
    steps = (
        f"Every {plan.rotate_days} days, or at once when a key may have been misused, a new key is made. Asymmetric "
        "and HMAC keys in KMS never rotate by themselves.\n"
        "The new public key is added to signers.json and reaches every verifier before the new key signs.\n"
        "The signer is pointed at the new key (AUDIT_SIGNING_KMS_KEY_ID), and the guard is run.\n"
        "The old entry stays in signers.json, retired from its last entry on: without it nobody could verify the older "
        "part of the log.\n"
        "The old key is disabled once nothing waits for its signature. An HMAC key stays enabled: otherwise its MACs "
        "could not be checked.\n"
        f"Logs and signers.json are kept for {plan.retain_days} days. A key is deleted after that at the earliest, "
        "with a waiting time of 30 days, and only once its public key was exported."
    ).split("\n")
    return "<ol>" + "".join(f"<li>{escape(step)}</li>" for step in steps) + "</ol>"


def _commands(review: Review) -> str:
    return _table([("mid", "part"), ("", "command")], [(escape(part), _code(text)) for part, text in review.commands])
