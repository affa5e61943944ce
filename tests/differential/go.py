"""Runs the Go program of `transparency/`, built from the toolchain that script/differential installs."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

_HERE = Path(__file__).resolve().parent
_TOOLS = _HERE.parent.parent / ".tools"
_BUILD_S, _RUN_S = 900, 120


def ask(question: dict[str, Any]) -> dict[str, Any]:
    """What the program answers; bytes go in and come out as base64."""
    text = json.dumps(question, default=lambda octets: base64.b64encode(octets).decode())
    done = subprocess.run([_program()], input=text.encode(), capture_output=True, check=False, timeout=_RUN_S)
    assert done.returncode == 0, done.stderr.decode()
    return json.loads(done.stdout)


@cache
def _program() -> Path:
    """The program, with the packages that Go's own `go` command is made with; nothing is downloaded."""
    (root,) = (_TOOLS / "go" / "lib").glob("python3.*/site-packages/go")
    build = _TOOLS / "transparency"
    shutil.rmtree(build, ignore_errors=True)
    shutil.copytree(_HERE / "transparency", build)
    for package in ("note", "tlog"):
        shutil.copytree(root / "src/cmd/vendor/golang.org/x/mod/sumdb" / package, build / "mod/sumdb" / package)
    (build / "mod/go.mod").write_text("module golang.org/x/mod\n\ngo 1.25\n")
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(build),
        "GOROOT": str(root),
        "GOTOOLCHAIN": "local",
        "GOPROXY": "off",
        "GOFLAGS": "-mod=mod",
        "CGO_ENABLED": "0",
        "GOCACHE": str(_TOOLS / "go-cache"),
    }
    done = subprocess.run(
        [root / "bin/go", "build", "-o", "answer", "."],
        cwd=build, env=environment, capture_output=True, check=False, timeout=_BUILD_S,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr.decode()
    return build / "answer"
