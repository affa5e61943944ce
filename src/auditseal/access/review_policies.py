"""The part of the review that shows policies: as they are, and line by line what to change."""

from __future__ import annotations

import json
from collections.abc import Mapping
from difflib import SequenceMatcher
from html import escape
from typing import Any

from auditseal.access.html import anchor, code
from auditseal.access.remedy import Change
from auditseal.access.review import Review, file_of


def policies_part(review: Review) -> str:
    """Each policy in force; one that should change with the lines that go and come."""
    if not review.documents:
        return "<p>None could be read.</p>"
    changed = {file_of(change.policy): change for change in review.changes}
    parts = []
    for name, value in review.documents.items():
        parts.append(f'<h3 id="{anchor("policy", name)}">{escape(name)}</h3>')
        if name in changed:
            parts.append(_change(changed[name]))
        else:
            parts.append(f'<p class="faint">{_unchanged(review)}</p>{_json(value)}')
    return _notes(review) + "\n".join(parts)


def _unchanged(review: Review) -> str:
    return "Nothing to change." if review.proposed is not None else "As it is in force."


def _notes(review: Review) -> str:
    if review.proposed is None:
        return "<p>No change is proposed: the key, its algorithm and the signer's role are needed for that.</p>"
    if not review.changes:
        return "<p>The policies are what auditseal would generate for this signer.</p>"
    notes = [
        "A line with - goes, a line with + comes. The changed policies are files beside this page: changed-….json.",
        *review.proposed.comments,
    ]
    return "<ul>" + "".join(f"<li>{escape(note)}</li>" for note in notes) + "</ul>"


def _change(change: Change) -> str:
    if change.after is None:
        return f"<p>Take it off the role: nothing of it is left.</p>{_json(change.before)}"
    before, after = _statements(change.before), _statements(change.after)
    lines = json.dumps({**change.before, "Statement": []}, indent=2).splitlines()
    at = next(index for index, line in enumerate(lines) if line.startswith('  "Statement"'))
    shown = [*("  " + line for line in lines[:at]), '    "Statement": [']
    for tag, start, end, new_start, new_end in SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        if tag == "equal":
            shown += [_indented(text, " ") for text in before[start:end]]
        else:
            shown += [_marked("del", _indented(text, "-")) for text in before[start:end]]
            shown += [_marked("ins", _indented(text, "+")) for text in after[new_start:new_end]]
    shown[-1] = shown[-1].replace(",</", "</").removesuffix(",")
    shown += ["    ]" + ("," if at + 1 < len(lines) - 1 else ""), *("  " + line for line in lines[at + 1 :])]
    # A marked statement is a block of its own: no empty line follows it.
    text = "\n".join(line if line.startswith("<") else escape(line) for line in shown)
    return f"<pre>{text}</pre>".replace("</ins>\n", "</ins>").replace("</del>\n", "</del>")


def _statements(value: Mapping[str, Any]) -> list[str]:
    given = value["Statement"]
    return [json.dumps(one, indent=2) + "," for one in (given if isinstance(given, list) else [given])]


def _indented(text: str, sign: str) -> str:
    return "\n".join(f"{sign}     {line}" for line in text.splitlines())


def _marked(tag: str, text: str) -> str:
    return f"<{tag}>{escape(text)}</{tag}>"


def _json(value: Any) -> str:
    return f"<pre>{escape(json.dumps(value, indent=2))}</pre>"


def entry_part(review: Review) -> str:
    """The entry for signers.json, and how its key is recognised."""
    entry = review.signer_entry
    if entry is None:
        return "<p>Not made: the public key could not be read.</p>"
    shown = _json({"signers": [entry]})
    if "publicKey" not in entry:
        return f"<p>An HMAC key has no public key: whoever verifies asks KMS (VerifyMac).</p>{shown}"
    fingerprint = code(entry.get("fingerprint", ""))
    said = "Compare the fingerprint, SHA-256 of the public key's DER, by another way than this page:"
    return f"<p>{said} {fingerprint}</p>{shown}"
