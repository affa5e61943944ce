"""The pages of docs/spec cannot drift: their examples are computed anew, their lists compared with the code."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519

from auditseal.adapters.stores.jsonl import format_line, parse_line
from auditseal.cli.exits import Exit, exit_of_report
from auditseal.cli.report import report_members
from auditseal.core import canonical
from auditseal.core.canonical import canonicalize, parse_json
from auditseal.core.chain import Head, extend
from auditseal.core.draft import Limits, make_draft
from auditseal.core.entry_check import Trust
from auditseal.core.event import parse_body
from auditseal.core.event_text import parse_event
from auditseal.core.registered_signer import Status
from auditseal.core.registry import Registry
from auditseal.core.registry_formats import member_of
from auditseal.core.report import Code, Finding, Report, Severity, Verdict
from auditseal.core.times import parse_time
from auditseal.core.verify import Segment

SPEC = Path(__file__).resolve().parents[2] / "docs" / "spec"
_EXAMPLE = re.compile(r"^<!-- example: (.+?) -->\n```\w*\n(.*?)\n```$", re.DOTALL | re.MULTILINE)
# RFC 8032 §7.1, TEST 1: the signer of the examples.
_SEED = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60"


def _page(name):
    return (SPEC / f"{name}.md").read_text(encoding="utf-8")


def _examples(name):
    return dict(_EXAMPLE.findall(_page(name)))


def _rows(name, header):
    """The rows of the table with this header, each cell without its marks."""
    table = re.search(rf"^\| {re.escape(header)} \|.*\n\|[-|]+\|\n((?:\|.*\n)+)", _page(name), re.MULTILINE)
    assert table, header
    return [[cell.strip().strip("`") for cell in line.strip("|").split("|")] for line in table[1].splitlines()]


def _example_registry():
    return Registry.parse(_examples("signers-json")["registry"].encode())


def _verified(lines):
    segment = Segment(Trust(registry=_example_registry()))
    for number, line in enumerate(lines, 1):
        segment.add(parse_line(line.encode(), f"audit.jsonl:{number}"))
    return segment.report("audit.jsonl")


def test_canonical_example():
    example = _examples("canonical")
    form = canonicalize(parse_json(example["canonical input"]))
    assert form == example["canonical form"].encode()
    assert hashlib.sha256(form).hexdigest() == example["canonical hash"]


def test_every_reason_of_a_refusal_stands_in_the_page_on_canonical_json():
    assert [row[0] for row in _rows("canonical", "reason | refused")] == sorted(canonical._REASONS)


def test_body_and_entry_examples():
    bodies, hashes = _examples("body"), _examples("entry")
    head = None
    for number in (0, 1):
        stored = bodies[f"body {number}"].encode()
        draft = make_draft(parse_event(bodies[f"event {number}"].encode(), "default"), new_id="", limits=Limits())
        head = head or Head(stream=draft.stream)
        (entry,) = extend(head, [draft], parse_time(parse_body(stored).time))
        assert entry.body == stored
        assert hashlib.sha256(stored + entry.prev_hash).hexdigest() == hashes[f"hash {number}"] == entry.hash.hex()
        head = Head(stream=entry.stream, seq=entry.seq, hash=entry.hash, time=entry.time)


def test_the_shell_commands_print_the_hashes():
    example = _examples("entry")
    given = {"BODY_0": _examples("body")["body 0"], "BODY_1": _examples("body")["body 1"], "HASH_0": example["hash 0"]}
    environment = given | {"PATH": "/usr/bin:/bin"}
    done = subprocess.run(["bash", "-euc", example["hashing"]], env=environment, capture_output=True, check=True)
    assert [line.split()[0] for line in done.stdout.decode().splitlines()] == [example["hash 0"], example["hash 1"]]


def test_the_members_of_a_body_stand_in_the_page_in_canonical_order():
    members = json.loads(_examples("body")["body 1"])
    assert [row[0] for row in _rows("body", "member | value")] == list(members)
    assert _examples("body")["body 1"].encode() == canonicalize(members)


def test_signers_json_example():
    example = _examples("signers-json")["registry"] + "\n"
    registry = Registry.parse(example.encode())
    assert registry.to_json_bytes() == example.encode()
    private_key = ed25519.Ed25519PrivateKey.from_private_bytes(bytes.fromhex(_SEED))
    assert registry.signers[0].public_key == private_key.public_key()
    command = "openssl pkey -pubin -outform DER | sha256sum"
    done = subprocess.run(
        ["bash", "-c", command],
        input=json.loads(example)["signers"][0]["publicKey"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split()[0] == registry.signers[0].fingerprint
    assert command.replace("-pubin", "-pubin -in key.pem") in _page("signers-json")


def test_every_member_and_status_of_a_signer_stands_in_the_page():
    names = {name for row in _rows("signers-json", "member | value") for name in re.findall(r"\w+", row[0])}
    assert names == {
        *("signerId", "algorithm", "publicKey", "key", "keyArn", "keySpec", "fingerprint", "status"),
        *("validFrom", "validUntil", "development", "description"),
    }
    assert all(member_of(name) == name for name in names)
    assert all(f"`{status}`" in _page("signers-json") for status in Status)


def test_export_example():
    lines = _examples("export")["export"].splitlines()
    private_key = ed25519.Ed25519PrivateKey.from_private_bytes(bytes.fromhex(_SEED))
    for number, line in enumerate(lines):
        entry = parse_line(line.encode(), "line")
        assert format_line(entry) == line.encode() + b"\n"
        assert entry.body.decode() == _examples("body")[f"body {number}"]
        assert entry.hash.hex() == _examples("entry")[f"hash {number}"]
        assert entry.signatures[0].signature == private_key.sign(entry.hash)
    report = _verified(lines)
    assert (report.verdict, report.findings, report.checked["signatures"]) == (Verdict.VALID, (), 2)


@pytest.mark.parametrize("line", ["{}", "[]", '{"a":1,"a":2}', "\xff"])
def test_a_line_that_is_no_entry_is_found_with_its_place_as_the_page_says(line):
    report = _verified([*_examples("export")["export"].splitlines(), line])
    (finding,) = report.findings
    assert finding.code is Code.NOT_CANONICAL
    assert finding.message.startswith("audit.jsonl:3: ")


def test_report_example():
    lines = [line.replace("0.91", "0.99") for line in _examples("export")["export"].splitlines()]
    assert json.loads(_examples("report")["report"]) == report_members(_verified(lines))


def test_every_member_of_a_report_stands_in_the_page():
    members = json.loads(_examples("report")["report"])
    page = _page("report")
    (stream,), (finding,) = members["streams"], members["findings"]
    names = [*members, *members["checked"], *stream, *stream["signed_by"][0], *finding]
    assert [name for name in names if f"`{name}`" not in page] == []


def test_every_finding_code_stands_in_the_page_with_its_severity():
    rows = [(row[0], row[1]) for row in _rows("report", "code | severity")]
    assert rows == [(str(code), str(Finding(code=code, message="").severity)) for code in Code]
    assert [row[0] for row in _rows("report", "severity")] == [str(severity) for severity in Severity]


def test_the_exit_codes_of_reports_are_those_of_the_page():
    rows = {row[0]: row[1] for row in _rows("report", "code | when")}
    reports = {
        "valid": Report(source="", checked={"entries": 1}),
        "invalid": Report(source="", findings=(Finding(code=Code.FORK, message=""),), unreachable="no answer"),
        "inconclusive": Report(source=""),
    }
    for verdict, report in reports.items():
        assert report.verdict == verdict
        assert rows[str(int(exit_of_report(report)))].strip("`") == verdict
    asked = Report(source="", checked={"entries": 1}, unreachable="no answer")
    assert exit_of_report(asked) is Exit.REMOTE
    assert "could not be asked" in rows["4"]
