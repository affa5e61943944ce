"""Local keys are found in deployment files of every kind, by line and without their value."""

from __future__ import annotations

import pytest

from auditseal.access.key_material import find_key_material


def found(text: str) -> list[tuple[int, int, str]]:
    return [(one.place.line, one.place.column, one.what) for one in find_key_material(text)]


@pytest.mark.parametrize(
    "line",
    [
        "AUDIT_SIGNING_PRIVATE_KEY=abc",
        "export AUDIT_SIGNING_PRIVATE_KEY='abc'",
        "  AUDIT_SIGNING_PRIVATE_KEY: ${{ secrets.KEY }}",
        '  "AUDIT_SIGNING_KEY_PATH": "/etc/key.pem",',
        "      - AUDIT_SIGNING_KEY_PATH=/run/key",
        "        - name: AUDIT_SIGNING_PRIVATE_KEY",
        "private_key = 'abc'",
        'key_path = "key.pem"',
        "AUDIT_SIGNING_KEY_SOURCE=file",
        "key_source = 'env'",
        "-----BEGIN PRIVATE KEY-----",
        "  key: -----BEGIN RSA PRIVATE KEY-----",
        "REQUIRE_KMS: 'false'",
        "REQUIRE_KMS=0 # for now",
    ],
)
def test_a_local_key_is_found(line: str):
    ((number, column, what),) = found(f"first: 1\n{line}\n")
    assert number == 2
    assert column >= 1
    assert "abc" not in what


@pytest.mark.parametrize(
    "line",
    [
        "# AUDIT_SIGNING_PRIVATE_KEY=abc",
        "AUDIT_SIGNING_PRIVATE_KEY=",
        'AUDIT_SIGNING_PRIVATE_KEY: ""',
        "AUDIT_SIGNING_KEY_PATH: null  # none",
        "AUDIT_SIGNING_KEY_SOURCE=kms",
        "REQUIRE_KMS=true",
        "-----BEGIN PUBLIC KEY-----",
        "unset AUDIT_SIGNING_PRIVATE_KEY",
        "my_private_key = 1",
        "AUDIT_SIGNING_KMS_KEY_ID=alias/audit",
    ],
)
def test_what_is_no_local_key_is_left_alone(line: str):
    assert found(f"{line}\n") == []
