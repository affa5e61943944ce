"""The report on a proof that came as a file: a bundle, or a consistency proof.

A file that is none raises; one that is, and proves nothing, has a report that says why.

Source: `docs/spec/bundle.md`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from auditseal.core.bundle import parse_bundle
from auditseal.core.bundle_proof import verify_bundle
from auditseal.core.consistency import parse_consistency, verify_consistency_file
from auditseal.core.event import Body, parse_body
from auditseal.core.grade import Grade, GradeRange
from auditseal.core.report import Code, Finding, Report, SignedRange, StreamSummary
from auditseal.errors import (
    NotCheckedError,
    PolicyNotMetError,
    RejectedError,
    SignatureInvalidError,
    SignerError,
    SignerNotAllowedError,
    VerificationError,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from auditseal.core.bundle_proof import BundleProof
    from auditseal.core.note_key import MacCheck
    from auditseal.core.registry import Registry
    from auditseal.core.witness_policy import WitnessPolicy

_CODES: Final[tuple[tuple[type[VerificationError], Code], ...]] = (
    (PolicyNotMetError, Code.NOT_COSIGNED),
    (SignatureInvalidError, Code.BAD_SIGNATURE),
    (SignerNotAllowedError, Code.SIGNER_NOT_VALID_HERE),
    (NotCheckedError, Code.UNKNOWN_SIGNER),
    (RejectedError, Code.BAD_PROOF),
)


def report_on_proof(
    octets: bytes,
    source: str,
    registry: Registry,
    *,
    policy: WitnessPolicy | None = None,
    require: Grade | None = None,
    mac_rules: Mapping[str, MacCheck] | None = None,
) -> Report:
    """What a proof proves, as a report.

    Args:
        octets: of a bundle or a consistency proof.
        source: the file's name.
        registry: the verifier's own.
        policy: which witnesses must have cosigned a bundle.
        require: the grade that the entry must have.
        mac_rules: checks of MAC signers (VerifyMac).

    Raises:
        InputError: it is neither, or damaged.
    """
    if octets.lstrip()[:20].startswith(b'{"consistency"'):
        return _on_consistency(octets, source, registry, mac_rules)
    bundle = parse_bundle(octets)
    not_checked = (*(() if policy else (Grade.COSIGNED,)), Grade.RECONCILED, Grade.ANCHORED)
    body = parse_body(bundle.entry.body)
    try:
        proof = verify_bundle(bundle, registry, policy=policy, mac_rules=mac_rules)
    except VerificationError as error:
        findings = (_finding(error, body),)
        return Report(source=source, findings=findings, checked={"entries": 1}, not_checked=not_checked)
    except SignerError as error:
        return Report(source=source, checked={"entries": 1}, unreachable=str(error), not_checked=not_checked)
    summary = _summary(proof)
    found = []
    if require is not None and require not in {each.grade for each in summary.grades}:
        text = f"{require} ({require.name.lower()}) was asked for, and a bundle does not prove it"
        found.append(Finding(code=Code.BELOW_GRADE, stream=body.stream, seq=body.seq, last_seq=body.seq, message=text))
    return Report(
        source=source,
        streams=(summary,),
        findings=tuple(found),
        checked={"entries": 1, "checkpoints": 1},
        not_checked=not_checked,
    )


def _summary(proof: BundleProof) -> StreamSummary:
    body, signer = proof.body, proof.signer
    grades = [Grade.SIGNED] if proof.cosigned is None else [Grade.SIGNED, Grade.COSIGNED]
    signed = SignedRange(
        signer=signer.signer_id,
        algorithm=signer.algorithm.id,
        first_seq=body.seq,
        last_seq=body.seq,
        development=signer.development,
        by_checkpoint=True,
    )
    return StreamSummary(
        stream=body.stream,
        entries=1,
        signed=1,
        first_seq=body.seq,
        last_seq=body.seq,
        first_time=body.time,
        last_time=body.time,
        head=proof.hash,
        signed_by=(signed,),
        checkpoint=proof.checkpoint.size,
        grades=tuple(GradeRange(grade=grade, first_seq=body.seq, last_seq=body.seq) for grade in grades),
    )


def _finding(error: VerificationError, body: Body) -> Finding:
    code = next(code for kind, code in _CODES if isinstance(error, kind))
    return Finding(
        code=code, stream=body.stream[:140], seq=body.seq, last_seq=body.seq, entry_id=body.id, message=str(error)
    )


def _on_consistency(octets: bytes, source: str, registry: Registry, mac_rules: Mapping[str, MacCheck] | None) -> Report:
    consistency = parse_consistency(octets)
    try:
        old, new = verify_consistency_file(consistency, registry, mac_rules=mac_rules)
    except VerificationError as error:
        code = next(code for kind, code in _CODES if isinstance(error, kind))
        code = Code.SPLIT_VIEW if code is Code.BAD_PROOF else code
        return Report(source=source, findings=(Finding(code=code, message=str(error)),), checked={"checkpoints": 2})
    except SignerError as error:
        return Report(source=source, checked={"checkpoints": 2}, unreachable=str(error))
    text = f"the checkpoint of {new.origin[:130]} at {new.size} continues the one at {old.size}"
    finding = Finding(code=Code.CONTINUES, message=text)
    return Report(source=source, findings=(finding,), checked={"checkpoints": 2})
