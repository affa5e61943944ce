"""Trails of the shape that CloudTrail documents, made here: records, log files in a bucket's layout, signed digests."""

from __future__ import annotations

import gzip
import hashlib
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

ACCOUNT = "111122223333"
REGION = "eu-central-1"
BUCKET = "audit-trail"
KEY_ARN = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/1234abcd-12ab-34cd-56ef-1234567890ab"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/agent-manager"
START = int(datetime(2026, 7, 1, tzinfo=UTC).timestamp())


def uuid_of(number: int, kind: int = 0) -> str:
    return str(UUID(int=(kind << 96) | (0x4 << 76) | (0x8 << 60) | number))


def text_of(at: int) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%dT%H:%M:%SZ}"


def role_identity(role: str = ROLE, session: str = "i-0abc") -> dict[str, Any]:
    name = role.rsplit("/", 1)[-1]
    account = role.split(":")[4]
    return {
        "type": "AssumedRole",
        "principalId": f"AROAEXAMPLE:{session}",
        "arn": f"arn:aws:sts::{account}:assumed-role/{name}/{session}",
        "accountId": account,
        "accessKeyId": "ASIAEXAMPLE",
        "sessionContext": {
            "sessionIssuer": {
                "type": "Role",
                "principalId": "AROAEXAMPLE",
                "arn": role,
                "accountId": account,
                "userName": name,
            },
            "attributes": {"creationDate": "2026-06-30T00:00:00Z", "mfaAuthenticated": "false"},
        },
    }


def record(name: str, at: int, number: int, **members: Any) -> dict[str, Any]:
    """A record of a KMS call; members replace what is usual."""
    usual = {
        "eventVersion": "1.08",
        "userIdentity": role_identity(),
        "eventTime": text_of(at),
        "eventSource": "kms.amazonaws.com",
        "eventName": name,
        "awsRegion": REGION,
        "sourceIPAddress": "192.0.2.10",
        "userAgent": "Boto3/1.43 auditseal",
        "requestParameters": None,
        "responseElements": None,
        "requestID": uuid_of(number, 1),
        "eventID": uuid_of(number, 2),
        "readOnly": True,
        "resources": [{"accountId": ACCOUNT, "type": "AWS::KMS::Key", "ARN": KEY_ARN}],
        "eventType": "AwsApiCall",
        "managementEvent": True,
        "recipientAccountId": ACCOUNT,
        "eventCategory": "Management",
    }
    return usual | members


def sign_record(at: int, number: int, **members: Any) -> dict[str, Any]:
    parameters = {"keyId": "alias/audit", "messageType": "RAW", "signingAlgorithm": "ED25519_SHA_512"}
    return record("Sign", at, number, **{"requestParameters": parameters, **members})


def change_record(name: str, at: int, number: int, **members: Any) -> dict[str, Any]:
    return record(name, at, number, **{"readOnly": False, **members})


def trail_record(name: str, at: int, number: int, parameters: dict[str, Any], **members: Any) -> dict[str, Any]:
    """A record of CloudTrail's own about a trail."""
    usual = {
        "eventSource": "cloudtrail.amazonaws.com",
        "readOnly": False,
        "resources": [],
        "requestParameters": parameters,
    }
    return record(name, at, number, **{**usual, **members})


@dataclass
class Bucket:
    """A bucket's content on disk, in the layout of an organisation's trail."""

    folder: Path
    key: rsa.RSAPrivateKey | None = None
    prefix: str = f"AWSLogs/o-example/{ACCOUNT}"
    signatures: dict[str, str] = field(default_factory=dict)
    previous: dict[str, Any] | None = None
    made: int = 0

    def add_log(self, records: list[dict[str, Any]], at: int) -> dict[str, Any]:
        """Writes a log file; what a digest says of it."""
        self.made += 1
        moment = datetime.fromtimestamp(at, UTC)
        name = f"{ACCOUNT}_CloudTrail_{REGION}_{moment:%Y%m%dT%H%MZ}_{self.made:016d}.json.gz"
        object_key = f"{self.prefix}/CloudTrail/{REGION}/{moment:%Y/%m/%d}/{name}"
        content = json.dumps({"Records": records}, separators=(",", ":")).encode()
        self.write(object_key, content)
        return {
            "s3Bucket": BUCKET,
            "s3Object": object_key,
            "hashValue": hashlib.sha256(content).hexdigest(),
            "hashAlgorithm": "SHA-256",
            "newestEventTime": text_of(at),
            "oldestEventTime": text_of(at),
        }

    def add_digest(self, files: list[dict[str, Any]], start: int, end: int, *, anew: bool = False) -> str:
        """Writes and signs the next digest; its object's key."""
        assert self.key is not None
        moment = datetime.fromtimestamp(end, UTC)
        name = f"{ACCOUNT}_CloudTrail-Digest_{REGION}_audit-trail_{REGION}_{moment:%Y%m%dT%H%M%SZ}.json.gz"
        object_key = f"{self.prefix}/CloudTrail-Digest/{REGION}/{moment:%Y/%m/%d}/{name}"
        before = None if anew else self.previous
        members = {
            "awsAccountId": ACCOUNT,
            "digestStartTime": text_of(start),
            "digestEndTime": text_of(end),
            "digestS3Bucket": BUCKET,
            "digestS3Object": object_key,
            "digestPublicKeyFingerprint": "31e8b5433410dfb61a9dc45cc65b22ff",
            "digestSignatureAlgorithm": "SHA256withRSA",
            "newestEventTime": text_of(end),
            "oldestEventTime": text_of(start),
            "previousDigestS3Bucket": BUCKET if before else None,
            "previousDigestS3Object": before and before["key"],
            "previousDigestHashValue": before and before["sha256"],
            "previousDigestHashAlgorithm": "SHA-256" if before else None,
            "previousDigestSignature": before and before["signature"],
            "logFiles": files,
        }
        content = json.dumps(members).encode()
        sha256 = hashlib.sha256(content).hexdigest()
        signed = f"{text_of(end)}\n{BUCKET}/{object_key}\n{sha256}\n{before['signature'] if before else 'null'}"
        signature = self.key.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256()).hex()
        self.write(object_key, content)
        self.signatures[object_key] = signature
        self.previous = {"key": object_key, "sha256": sha256, "signature": signature}
        return object_key

    def put_signature_beside(self, object_key: str) -> None:
        """What a copy needs to check its last digest."""
        (self.folder / f"{object_key}.signature").write_text(self.signatures[object_key])

    def write(self, object_key: str, content: bytes) -> Path:
        path = self.folder / object_key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(gzip.compress(content, 1))
        return path

    def public_keys(self) -> bytes:
        """As `aws cloudtrail list-public-keys` prints them."""
        import base64

        assert self.key is not None
        der = self.key.public_key().public_bytes(Encoding.DER, PublicFormat.PKCS1)
        listed = {"Value": base64.b64encode(der).decode(), "Fingerprint": "31e8b5433410dfb61a9dc45cc65b22ff"}
        return json.dumps({"PublicKeyList": [listed]}).encode()
