"""A strict KMS of our own: the JSON protocol over HTTP, real keys, and faults on demand.

It does what emulators lack: ML-DSA, DryRun, throttling, latency, time-outs after signing, wrong answers, and records
in the shape that CloudTrail documents. `FakeKms` runs it in a thread; `python -m fakes.kms` runs it as a program.
"""

from fakes.kms.faults import Fault, Faults
from fakes.kms.principals import Principal
from fakes.kms.server import FakeKms

__all__ = ["FakeKms", "Fault", "Faults", "Principal"]
