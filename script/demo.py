"""Runs `auditseal demo` against an emulator that lives as long as the demo does."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from emulator import EmulatorError, running_emulator


def main() -> int:
    """The demo's exit code."""
    folder = sys.argv[1:] or ["auditseal-demo"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("AUDIT", "REQUIRE_KMS"))}
    try:
        with running_emulator() as emulator:
            command = [str(Path(sys.executable).with_name("auditseal")), "demo", "--to", *folder]
            return subprocess.run(command, env=environment | emulator.environment(), check=False).returncode
    except EmulatorError as error:
        sys.stderr.write(f"script/demo: {error}\n")
        return 4
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
