"""Runs the fake KMS as a program: prints its address, and ends when its standard input does."""

from __future__ import annotations

import argparse
import sys

from fakes.kms.server import REGION, FakeKms


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m fakes.kms", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0 takes any that is free")
    parser.add_argument("--region", default=REGION)
    parser.add_argument("--latency-ms", type=float, default=0)
    arguments = parser.parse_args()
    with FakeKms(region=arguments.region, port=arguments.port) as kms:
        kms.faults.latency_s = arguments.latency_ms / 1000
        sys.stdout.write(f"{kms.url}\n")
        sys.stdout.flush()
        sys.stdin.read()
    return 0


if __name__ == "__main__":
    sys.exit(main())
