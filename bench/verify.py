"""Verification of entries that are each RSA-2048-signed, against `openssl speed rsa2048` on one core.

The rate is that of the whole: reading SQLite, hashing, chaining, checking columns and signatures. It is measured once
as the `verify` command does it, with a process for each processor, and once in one process alone; both are compared
with what OpenSSL does on one core when it does nothing but verify one signature again and again. What one process can
reach at most is what the library's check reaches that does nothing else either.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from common import Result, in_turns, print_results
from logs import make_log, make_signer

import auditseal
from auditseal.adapters.signers.local import LocalSigner
from auditseal.core.algorithm import offline_rule

COUNT = 100_000
_DIGEST = bytes(32)


def openssl_rate() -> float:
    """Verifications a second of one process on one core."""
    done = subprocess.run(["openssl", "speed", "-seconds", "2", "rsa2048"], capture_output=True, text=True, check=True)
    line = next(line for line in done.stdout.splitlines() if re.match(r"rsa\s+2048", line))
    return float(line.split()[6] if len(line.split()) > 7 else line.split()[-1])


def our_rate(address: str, signers: Path, processes: int) -> float:
    """Entries a second by the clock; in one process, by the processor time it took, as OpenSSL counts."""
    started, cpu = time.perf_counter(), time.process_time()
    report = auditseal.verify(address, signers, processes=processes)
    took, used = time.perf_counter() - started, time.process_time() - cpu
    assert report.verdict == "valid"
    assert report.checked["signatures"] == COUNT
    return COUNT / (used if processes == 1 else took)


def library_rate(signer: LocalSigner, signature: bytes) -> float:
    """Checks a second, by processor time, of `cryptography` alone in a bare loop."""
    assert signer.public_key is not None
    rule, count = offline_rule(signer.algorithm, signer.public_key), COUNT // 5
    cpu = time.process_time()
    for _ in range(count):
        rule(signature, _DIGEST)
    return count / (time.process_time() - cpu)


def measure() -> list[Result]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rsa.db"
        signer = make_signer("rsa-sha256")
        signers, signature = make_log(path, COUNT, signer), signer.sign(_DIGEST).signature
        address, cores = f"sqlite:///{path}", os.cpu_count() or 1
        command, single, library, theirs = in_turns(
            5,
            lambda: our_rate(address, signers, cores),
            lambda: our_rate(address, signers, 1),
            lambda: library_rate(signer, signature),
            openssl_rate,
        )
    return [
        _result(f"verify, each entry RSA-2048-signed, as the command does it: {cores} processes", command, theirs),
        _result(
            f"the same in one process (of which the check of RSA alone reaches {library / theirs:.2f}: "
            "decisions/verification-in-processes.md)",
            single,
            theirs,
        ),
    ]


def _result(what: str, ours: float, theirs: float) -> Result:
    return Result(
        what=what,
        ours=f"{ours:,.0f} entries/s",
        theirs=f"openssl, one core, {theirs:,.0f} verifications/s",
        ratio=ours / theirs,
        goal="at least 0.7",
        met=ours / theirs >= 0.7,
    )


if __name__ == "__main__":
    sys.exit(print_results(measure()))
