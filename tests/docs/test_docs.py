"""The documentation cannot drift: its commands are run, and its lists are compared with the code."""

from __future__ import annotations

import hashlib
import re
import shlex
import subprocess
from pathlib import Path

import pytest

from auditseal import __all__ as public_names
from auditseal.adapters.signers.local import LocalSigner
from auditseal.cli.tree import COMMANDS
from auditseal.config import ENVIRONMENT
from auditseal.core.algorithm import ALGORITHMS, AlgorithmId
from auditseal.core.key import to_pem
from support.keys import private_key

ROOT = Path(__file__).resolve().parents[2]
DOCS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("examples/**/*.md")])


def _blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE)


def test_every_command_stands_in_the_page_on_the_command_line():
    page = (ROOT / "docs" / "cli.md").read_text()
    missing = [name for name in COMMANDS if not re.search(rf"`{re.escape(name)}[ `]", page)]
    assert missing == []


def test_every_setting_stands_in_the_page_on_configuration():
    page = (ROOT / "docs" / "configuration.md").read_text()
    names = [name for names in ENVIRONMENT.values() for name in names]
    assert [name for name in names if f"`{name}`" not in page] == []


@pytest.mark.parametrize("page", DOCS, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_to_a_file_leads_somewhere(page):
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text())
    assert [link for link in links if not (page.parent / link).exists()] == []


def test_what_is_public_is_what_the_package_says():
    import auditseal

    assert all(hasattr(auditseal, name) for name in public_names)


def test_the_openssl_commands_of_the_signature_page_accept_our_signatures(tmp_path):
    (block,) = _blocks(ROOT / "docs" / "spec" / "signature.md", "console")
    commands = [shlex.split(line.removeprefix("$ ")) for line in block.splitlines()]
    for name, command in zip(("rsa-sha256", "rsa-pss-sha256", "ecdsa-p256-sha256", "ed25519"), commands, strict=True):
        key = private_key(AlgorithmId(name))
        signer = LocalSigner(signer_id="docs", key=key, algorithm=ALGORITHMS[AlgorithmId(name)])
        digest = hashlib.sha256(name.encode()).digest()
        (tmp_path / "key.pem").write_text(to_pem(signer.public_key))
        (tmp_path / "hash.bin").write_bytes(digest)
        (tmp_path / "signature.bin").write_bytes(signer.sign(digest).signature)
        assert subprocess.run(command, cwd=tmp_path, capture_output=True, check=False).returncode == 0, name
