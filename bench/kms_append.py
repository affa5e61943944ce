"""Appending with each entry signed through KMS at 20 ms, 50 calls in flight, in one process, chain order kept.

Beside it: a plain boto3 `sign` loop with as many threads, which chains and stores nothing. The KMS is the tests' strict
fake in a process of its own. No client can reach more than 50 calls / 20 ms = 2,500 a second.
"""

from __future__ import annotations

import os
import sys
import tempfile
from itertools import count
from pathlib import Path

from common import Result, in_turns, print_results, rate
from kms_sign import REGION, boto3_sign, fake_kms
from kms_sign import measure as measure_calls
from logs import event

import auditseal
from auditseal.adapters.signers.kms_keys import KmsKeys
from auditseal.adapters.signers.kms_open import KmsSettings, open_kms
from auditseal.core.algorithm import parse_algorithm

LATENCY_MS, IN_FLIGHT, EVENTS, SECONDS = 20, 50, 10_000, 4
ALGORITHM = parse_algorithm("ed25519")


def ours(folder: Path, numbers: count, key_id: str) -> float:
    with auditseal.open_log(
        f"sqlite:///{folder / f'{next(numbers)}.db'}",
        kms_key_id=key_id,
        signer_id="bench",
        algorithm=str(ALGORITHM.id),
        create=True,
    ) as log:

        def work() -> int:
            signed = 0
            for part in log.append_stream(map(event, range(EVENTS))):
                signed += sum(receipt.status == "signed" for receipt in part)
            assert signed == EVENTS
            return signed

        return rate(work)


def measure() -> list[Result]:
    os.environ.update(AWS_ACCESS_KEY_ID="AKIABENCH", AWS_SECRET_ACCESS_KEY="bench", AWS_REGION=REGION)
    os.environ["AWS_EC2_METADATA_DISABLED"] = "true"
    with fake_kms(LATENCY_MS) as url, tempfile.TemporaryDirectory(dir=".") as name:
        os.environ["AWS_ENDPOINT_URL_KMS"] = url
        calls = open_kms(KmsSettings(region=REGION, endpoint_url=url))
        key_id = KmsKeys(calls).create_key(ALGORITHM).key_id
        calls.close()
        plain = boto3_sign(url, key_id, ALGORITHM, None)
        numbers = count()
        mine, theirs = in_turns(
            3,
            lambda: ours(Path(name).resolve(), numbers, key_id),
            lambda: measure_calls(plain, IN_FLIGHT, SECONDS)[0],
        )
    return [
        Result(
            what=f"append signed through KMS at {LATENCY_MS} ms, {IN_FLIGHT} in flight (bound: 2,500/s)",
            ours=f"{mine:,.0f} entries/s",
            theirs=f"boto3 {theirs:,.0f} calls/s",
            ratio=mine / theirs,
            goal="at least 2.5",
            met=mine / theirs >= 2.5,
        )
    ]


if __name__ == "__main__":
    sys.exit(print_results(measure()))
