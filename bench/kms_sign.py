"""How many entries a second one process signs through KMS, against what a plain boto3 loop reaches in the same run.

    .venv/bin/python bench/kms_sign.py [--latency-ms 20] [--threads 50] [--seconds 4] [--rounds 3] [--algorithm ed25519]

The KMS is the tests' strict fake in a process of its own. The clients take turns; each rate is the median of the
rounds. "boto3" is a client as `boto3.client("kms")` makes it, which keeps 10 connections whatever the threads;
"boto3, pooled" is told to keep one for each thread. Exits with 1 if the ratio to the first is below --at-least.
No client can reach more than threads / latency.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import itertools
import os
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import boto3
from botocore.config import Config

from auditseal.adapters.signers.aws_kms import KmsSigner
from auditseal.adapters.signers.kms_keys import KmsKeys
from auditseal.adapters.signers.kms_open import KmsSettings, open_kms
from auditseal.core.algorithm import Algorithm, parse_algorithm

TESTS = Path(__file__).resolve().parent.parent / "tests"
REGION = "eu-central-1"


@contextlib.contextmanager
def fake_kms(latency_ms: float) -> Iterator[str]:
    command = [sys.executable, "-m", "fakes.kms", "--region", REGION, "--latency-ms", str(latency_ms)]
    process = subprocess.Popen(command, cwd=TESTS, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        yield process.stdout.readline().strip()
    finally:
        process.communicate(timeout=10)


def measure(sign: Callable[[bytes], object], threads: int, seconds: float) -> tuple[float, float]:
    """Calls a second and milliseconds of CPU a call, after a warm-up of one call a thread."""
    digests = (hashlib.sha256(str(number).encode()).digest() for number in itertools.count())
    take = threading.Lock()

    def work(until: float) -> int:
        done = 0
        while time.perf_counter() < until:
            with take:
                digest = next(digests)
            sign(digest)
            done += 1
        return done

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(lambda _: sign(b"w" * 32), range(threads)))
        began, cpu = time.perf_counter(), time.process_time()
        done = sum(pool.map(work, [began + seconds] * threads))
        took = time.perf_counter() - began
        return done / took, (time.process_time() - cpu) / done * 1000


def boto3_sign(url: str, key_id: str, algorithm: Algorithm, config: Config | None) -> Callable[[bytes], object]:
    client = boto3.client("kms", endpoint_url=url, region_name=REGION, config=config)
    if algorithm.is_mac:
        name = algorithm.kms_signing_algorithm
        return lambda digest: client.generate_mac(KeyId=key_id, Message=digest, MacAlgorithm=name)
    return lambda digest: client.sign(
        KeyId=key_id,
        Message=digest,
        MessageType=algorithm.kms_message_type,
        SigningAlgorithm=algorithm.kms_signing_algorithm,
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--latency-ms", type=float, default=20)
    parser.add_argument("--threads", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=4)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--algorithm", type=parse_algorithm, default="ed25519")
    parser.add_argument("--at-least", type=float, default=2.5)
    arguments = parser.parse_args()
    os.environ.update(AWS_ACCESS_KEY_ID="AKIABENCH", AWS_SECRET_ACCESS_KEY="bench", AWS_EC2_METADATA_DISABLED="true")
    threads, algorithm = arguments.threads, arguments.algorithm

    with fake_kms(arguments.latency_ms) as url:
        settings = KmsSettings(region=REGION, endpoint_url=url, concurrency=threads)
        key_id = KmsKeys(open_kms(settings)).create_key(algorithm).key_id
        signer = KmsSigner(signer_id="bench", algorithm=algorithm, key_id=key_id, calls=open_kms(settings))
        signer.start()
        clients = {
            "boto3": boto3_sign(url, key_id, algorithm, None),
            "boto3, pooled": boto3_sign(url, key_id, algorithm, Config(max_pool_connections=threads)),
            "KmsSigner": signer.sign,
        }
        rates: dict[str, list[float]] = {name: [] for name in clients}
        for _ in range(arguments.rounds):
            for name, sign in clients.items():
                rate, cpu_ms = measure(sign, threads, arguments.seconds)
                rates[name].append(rate)
                print(f"{name:14}{rate:8.0f} calls/s   {cpu_ms:.2f} ms CPU a call", flush=True)
        signer.close()

    plain, pooled, ours = (statistics.median(values) for values in rates.values())
    most = threads / arguments.latency_ms * 1000
    what = f"{algorithm.id}, {arguments.latency_ms:g} ms, {threads} in flight, at most {most:.0f}/s"
    print(
        f"{what}: KmsSigner {ours:.0f}/s, "
        f"{ours / plain:.2f} times boto3 ({plain:.0f}/s), {ours / pooled:.2f} times boto3 pooled ({pooled:.0f}/s)"
    )
    return 0 if ours / plain >= arguments.at_least else 1


if __name__ == "__main__":
    sys.exit(main())
