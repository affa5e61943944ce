"""policy lint: what the rules find in policy files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from auditseal.cli.findings.finding import FindingsReport, Level, NotChecked, PlacedFinding, RuleText
from auditseal.cli.findings.output import FORMS, emit_findings
from auditseal.cli.options import OutputOption, parse_outputs
from auditseal.cli.policy.files import load
from auditseal.errors import InputError

if TYPE_CHECKING:
    from auditseal.access.policy import Kind
    from auditseal.access.rules.lint import LintReport
    from auditseal.access.rules.rule import Finding, Severity

_KINDS = {
    "key-policy": "KEY",
    "iam": "IDENTITY",
    "scp": "SCP",
    "boundary": "BOUNDARY",
    "session": "SESSION",
    "trust": "TRUST",
}


def parse_kind(text: str | None) -> Kind | None:
    """What a bare policy is attached to, by the option's word.

    Raises:
        InputError: another word.
    """
    from auditseal.access.policy import Kind

    if text is None:
        return None
    if text not in _KINDS:
        raise InputError(f"--as {text[:20]} is no kind of policy: use {', '.join(_KINDS)}")
    return Kind[_KINDS[text]]


def lint(
    files: Annotated[list[str], typer.Argument(metavar="FILE...", help="Policies or templates; - is stdin.")],
    as_: Annotated[str | None, typer.Option("--as", help="key-policy or iam, for bare policies.")] = None,
    key_spec: Annotated[str | None, typer.Option("--key-spec", help="The key's spec, such as HMAC_256.")] = None,
    account: Annotated[str | None, typer.Option("--account", help="The account of the IAM policies.")] = None,
    fail_on: Annotated[
        str, typer.Option("--fail-on", help="high, medium or low: from which severity to fail.")
    ] = "high",
    output: OutputOption = None,
) -> int:
    """Lint policies: JSON, YAML, CloudFormation, Terraform, and what AWS answers."""
    outputs = parse_outputs(output, FORMS)
    documents = load(files, parse_kind(as_))
    from auditseal.access import vocabulary
    from auditseal.access.arn import check_account
    from auditseal.access.documents.load import named_key
    from auditseal.access.rules.lint import lint as apply_rules
    from auditseal.access.rules.rule import parse_severity

    if key_spec is not None and key_spec not in vocabulary.KEY_SPECS:
        raise InputError(f"--key-spec {key_spec[:40]} is no key spec of KMS, such as ECC_NIST_EDWARDS25519 or HMAC_256")
    least = parse_severity(fail_on)
    known = None if account is None else check_account(account)
    report = apply_rules(named_key(documents, key_spec), account=known)
    return emit_findings(outputs, findings_report(report, documents.sources, least))


def findings_report(report: LintReport, sources: tuple[str, ...], least: Severity) -> FindingsReport:
    """What the rules found, as a report of placed findings.

    Args:
        report: of the rules.
        sources: the files.
        least: from which severity a finding is an error.
    """
    return FindingsReport(
        command="policy lint",
        sources=sources,
        checked={"policies": report.policies, "trails": report.trails},
        findings=[_placed(finding, least) for finding in report.findings],
        not_checked=[
            NotChecked(what=item.what, why=item.why, source=item.source, line=item.place.line) for item in report.unread
        ],
    )


def _placed(finding: Finding, least: Severity) -> PlacedFinding:
    rule = finding.rule
    level = Level.ERROR if finding.severity >= least else Level.NOTE if finding.severity == 1 else Level.WARNING
    return PlacedFinding(
        rule=RuleText(id=rule.id, title=rule.title, why=rule.why, page=rule.page),
        severity=str(finding.severity),
        level=level,
        message=finding.message,
        source=finding.source,
        line=finding.place.line,
        column=finding.place.column,
        subject=" ".join(part for part in (finding.policy, finding.statement) if part),
        fix=rule.fix,
    )
