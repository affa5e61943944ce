"""The fake is as strict as the service: what it lets pass in a test, AWS would have let pass too."""

import base64
import hashlib
import json
import subprocess
import sys
import urllib.request
from datetime import UTC, datetime, timedelta
from pathlib import Path

import boto3
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

import fakes.kms
from fakes.kms import FakeKms, Principal
from fakes.kms.faults import Faults

DIGEST = hashlib.sha256(b"an entry").digest()
MAC = {"Message": DIGEST, "MacAlgorithm": "HMAC_SHA_256"}


@pytest.fixture(scope="module")
def kms():
    with FakeKms() as running:
        yield running


@pytest.fixture(scope="module")
def client(kms):
    made = boto3.client(
        "kms",
        endpoint_url=kms.url,
        region_name=kms.region,
        config=Config(retries={"total_max_attempts": 1}, parameter_validation=False),
    )
    yield made
    made.close()


@pytest.fixture(autouse=True)
def clean(kms):
    kms.faults.clear()
    kms.service.forget_records()


def _refusal(call, **request):
    with pytest.raises(ClientError) as caught:
        call(**request)
    return caught.value.response["Error"]["Code"]


def _sign(client, key, algorithm="ED25519_SHA_512", **request):
    return client.sign(**{"KeyId": key.id, "Message": DIGEST, "SigningAlgorithm": algorithm, **request})


@pytest.mark.parametrize(
    ("spec", "request_", "code"),
    [
        ("ECC_NIST_EDWARDS25519", {"MessageType": "DIGEST"}, "ValidationException"),
        ("ECC_NIST_EDWARDS25519", {"MessageType": "EXTERNAL_MU", "Message": b"m" * 64}, "ValidationException"),
        ("ECC_NIST_EDWARDS25519", {"SigningAlgorithm": "ED25519_PH_SHA_512"}, "ValidationException"),
        ("ECC_NIST_EDWARDS25519", {"SigningAlgorithm": "ED25519"}, "ValidationException"),
        ("ECC_NIST_EDWARDS25519", {"SigningAlgorithm": "ECDSA_SHA_256"}, "InvalidKeyUsageException"),
        ("ECC_NIST_EDWARDS25519", {"Message": b""}, "ValidationException"),
        ("ECC_NIST_EDWARDS25519", {"Message": b"m" * 4097}, "ValidationException"),
        ("ECC_NIST_EDWARDS25519", {"DryRun": True}, "DryRunOperationException"),
        ("ML_DSA_65", {"SigningAlgorithm": "ML_DSA_SHAKE_256", "MessageType": "DIGEST"}, "ValidationException"),
        ("ML_DSA_65", {"SigningAlgorithm": "ML_DSA_SHAKE_256", "MessageType": "EXTERNAL_MU"}, "ValidationException"),
        ("HMAC_256", {}, "InvalidKeyUsageException"),
    ],
)
def test_a_sign_that_aws_would_refuse_is_refused(kms, client, spec, request_, code):
    assert _refusal(lambda **request: _sign(client, kms.create(spec), **request), **request_) == code


@pytest.mark.parametrize("length", [0, 31, 33, 48, 64])
def test_a_digest_must_be_as_long_as_the_hash_of_the_algorithm(kms, client, length):
    request = {"MessageType": "DIGEST", "Message": b"d" * length, "SigningAlgorithm": "ECDSA_SHA_256"}
    assert _refusal(lambda **r: _sign(client, kms.create("ECC_NIST_P256"), **r), **request) == "ValidationException"


def test_raw_and_digest_give_one_pkcs1_signature_and_raw_of_a_digest_another(kms, client):
    key = kms.create("RSA_2048")
    algorithm = "RSASSA_PKCS1_V1_5_SHA_256"
    raw = _sign(client, key, algorithm, Message=b"an entry")["Signature"]
    assert raw == _sign(client, key, algorithm, MessageType="DIGEST")["Signature"]
    assert raw != _sign(client, key, algorithm, MessageType="RAW")["Signature"]


def test_an_external_mu_is_signed(kms, client):
    key, request = kms.create("ML_DSA_44"), {"MessageType": "EXTERNAL_MU", "Message": b"m" * 64}
    signature = _sign(client, key, "ML_DSA_SHAKE_256", **request)["Signature"]
    key.material.public_key().verify_mu(signature, b"m" * 64)


@pytest.mark.parametrize(
    ("spec", "algorithm"),
    [
        ("RSA_2048", "RSASSA_PSS_SHA_256"),
        ("ECC_NIST_P256", "ECDSA_SHA_256"),
        ("ECC_NIST_EDWARDS25519", "ED25519_SHA_512"),
        ("ML_DSA_87", "ML_DSA_SHAKE_256"),
    ],
)
def test_verify_says_true_or_raises(kms, client, spec, algorithm):
    key = kms.create(spec)
    request = {"KeyId": key.id, "Message": DIGEST, "SigningAlgorithm": algorithm}
    signature = client.sign(**request)["Signature"]
    assert client.verify(**request, Signature=signature)["SignatureValid"]
    code = _refusal(client.verify, **{**request, "Message": b"other"}, Signature=signature)
    assert code == "KMSInvalidSignatureException"


def test_verify_mac_says_true_or_raises(kms, client):
    key = kms.create("HMAC_256")
    mac = client.generate_mac(KeyId=key.id, **MAC)["Mac"]
    assert client.verify_mac(KeyId=key.id, Mac=mac, **MAC)["MacValid"]
    assert _refusal(client.verify_mac, KeyId=key.id, Mac=mac[::-1], **MAC) == "KMSInvalidMacException"


@pytest.mark.parametrize("operation", ["generate_mac", "verify_mac"])
def test_a_dry_run_of_a_mac_is_answered_as_one(kms, client, operation):
    request = {**MAC, "KeyId": kms.create("HMAC_256").id, "DryRun": True}
    extra = {"Mac": b"m" * 32} if operation == "verify_mac" else {}
    assert _refusal(getattr(client, operation), **request, **extra) == "DryRunOperationException"


@pytest.mark.parametrize(
    ("state", "code"), [("Disabled", "DisabledException"), ("PendingDeletion", "KMSInvalidStateException")]
)
def test_a_key_out_of_use_neither_signs_nor_gives_its_public_key(kms, client, state, code):
    key = kms.create("ECC_NIST_EDWARDS25519")
    key.state = state
    assert _refusal(lambda: _sign(client, key)) == code
    assert _refusal(client.get_public_key, KeyId=key.id) == code
    assert client.describe_key(KeyId=key.id)["KeyMetadata"]["KeyState"] == state


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        ({"KeyUsage": "GENERATE_VERIFY_MAC"}, "ValidationException"),
        ({"KeySpec": "RSA_2048"}, None),
        ({"KeySpec": "ED25519", "KeyUsage": "SIGN_VERIFY"}, "ValidationException"),
        ({"CustomerMasterKeySpec": "ECC_NIST_EDWARDS25519", "KeyUsage": "SIGN_VERIFY"}, "ValidationException"),
        ({"CustomerMasterKeySpec": "RSA_2048", "KeyUsage": "SIGN_VERIFY"}, None),
        ({"KeySpec": "RSA_2048", "CustomerMasterKeySpec": "RSA_2048"}, "ValidationException"),
        ({"KeySpec": "HMAC_256", "KeyUsage": "SIGN_VERIFY"}, "ValidationException"),
        ({"KeySpec": "SM2", "KeyUsage": "SIGN_VERIFY"}, "UnsupportedOperationException"),
        ({"Policy": "{}"}, "MalformedPolicyDocumentException"),
        ({"Tags": [{"TagKey": "aws:x", "TagValue": "y"}]}, "TagException"),
    ],
)
def test_a_key_is_made_as_aws_makes_it_or_not_at_all(client, request_, code):
    if code is None:
        assert client.create_key(**request_)["KeyMetadata"]["Enabled"]
    else:
        assert _refusal(client.create_key, **request_) == code


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("nonsense", "NotFoundException"),
        ("alias/none", "NotFoundException"),
        ("0987dcba-09fe-87dc-65ba-ab0987654321", "NotFoundException"),
        ("arn:aws:kms:us-east-1:111122223333:key/0987dcba-09fe-87dc-65ba-ab0987654321", "NotFoundException"),
        ("arn:nonsense", "InvalidArnException"),
        ("", "ValidationException"),
        (None, "ValidationException"),
        (7, "SerializationException"),
    ],
)
def test_a_key_that_is_named_wrongly_is_not_found(client, name, code):
    assert _refusal(client.describe_key, KeyId=name) == code


def test_aliases_and_keys_come_in_pages(kms, client):
    key = kms.create("HMAC_256")
    for number in range(5):
        client.create_alias(AliasName=f"alias/page-{number}", TargetKeyId=key.id)
    pages = list(client.get_paginator("list_aliases").paginate(KeyId=key.id, PaginationConfig={"PageSize": 2}))
    assert [len(page["Aliases"]) for page in pages] == [2, 2, 1]


def test_an_alias_is_taken_once_and_deleted_once(kms, client):
    key = kms.create("HMAC_256", alias="alias/once")
    assert _refusal(client.create_alias, AliasName="alias/once", TargetKeyId=key.id) == "AlreadyExistsException"
    client.delete_alias(AliasName="alias/once")
    assert _refusal(client.delete_alias, AliasName="alias/once") == "NotFoundException"


@pytest.mark.parametrize("name", ["once", "alias/aws/x"])
def test_an_alias_has_the_form_of_one(kms, client, name):
    code = _refusal(client.create_alias, AliasName=name, TargetKeyId=kms.create("HMAC_256").id)
    assert code == "InvalidAliasNameException"


def test_policies_and_grants_are_kept(kms, client):
    key = kms.create("RSA_2048")
    policy = json.loads(client.get_key_policy(KeyId=key.id, PolicyName="default")["Policy"])
    policy["Statement"][0]["Sid"] = "changed"
    client.put_key_policy(KeyId=key.id, Policy=json.dumps(policy))
    assert "changed" in client.get_key_policy(KeyId=key.id)["Policy"]
    assert client.list_key_policies(KeyId=key.id)["PolicyNames"] == ["default"]
    grant = {"KeyId": key.id, "GranteePrincipal": "arn:aws:iam::111122223333:role/x", "Operations": ["Sign"]}
    assert _refusal(client.create_grant, **grant, DryRun=True) == "DryRunOperationException"
    made = client.create_grant(**grant)
    (listed,) = client.list_grants(KeyId=key.id)["Grants"]
    assert (listed["GrantId"], listed["Operations"]) == (made["GrantId"], ["Sign"])


def test_a_policy_that_locks_everybody_out_needs_the_bypass(kms, client):
    key = kms.create("RSA_2048")
    statement = {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "kms:Sign", "Resource": "*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    assert _refusal(client.put_key_policy, KeyId=key.id, Policy=policy) == "MalformedPolicyDocumentException"
    client.put_key_policy(KeyId=key.id, Policy=policy, BypassPolicyLockoutSafetyCheck=True)


def test_tags_are_kept(kms, client):
    key = kms.create("RSA_2048")
    client.tag_resource(KeyId=key.id, Tags=[{"TagKey": "a", "TagValue": "b"}])
    assert client.list_resource_tags(KeyId=key.id)["Tags"] == [{"TagKey": "a", "TagValue": "b"}]


@pytest.mark.parametrize("days", [6, 31])
def test_a_deletion_window_is_7_to_30_days(kms, client, days):
    request = {"KeyId": kms.create("RSA_2048").id, "PendingWindowInDays": days}
    assert _refusal(client.schedule_key_deletion, **request) == "ValidationException"


def test_the_last_usage_is_the_last_that_succeeded(kms, client):
    key = kms.create("ECC_NIST_EDWARDS25519")
    assert client.get_key_last_usage(KeyId=key.id)["KeyLastUsage"] == {}
    signed = _sign(client, key)
    _refusal(lambda: _sign(client, key, DryRun=True))
    usage = client.get_key_last_usage(KeyId=key.id)["KeyLastUsage"]
    assert (usage["Operation"], usage["KmsRequestId"]) == ("Sign", signed["ResponseMetadata"]["RequestId"])
    assert usage["CloudTrailEventId"] == kms.records("Sign")[0]["eventID"]


def test_a_sign_is_recorded_as_cloudtrail_documents_it(kms, client):
    key = kms.create("ECC_NIST_EDWARDS25519", alias="alias/recorded")
    answer = _sign(client, key, KeyId="alias/recorded", MessageType="RAW")
    (record,) = kms.records()
    assert record["requestParameters"] == {
        "keyId": "alias/recorded",
        "messageType": "RAW",
        "signingAlgorithm": "ED25519_SHA_512",
    }
    assert record["resources"] == [{"accountId": "111122223333", "type": "AWS::KMS::Key", "ARN": key.arn}]
    assert (record["eventName"], record["readOnly"], record["responseElements"]) == ("Sign", True, None)
    assert record["requestID"] == answer["ResponseMetadata"]["RequestId"]
    assert record["userIdentity"]["type"] == "IAMUser"
    assert "errorCode" not in record
    assert datetime.now(UTC) - datetime.fromisoformat(record["eventTime"]) < timedelta(minutes=1)


def test_a_mac_is_recorded_without_message_and_mac(kms, client):
    key = kms.create("HMAC_256")
    mac = client.generate_mac(KeyId=key.id, **MAC)["Mac"]
    client.verify_mac(KeyId=key.id, Mac=mac, **MAC)
    expected = {"keyId": key.id, "macAlgorithm": "HMAC_SHA_256"}
    assert [record["requestParameters"] for record in kms.records()] == [expected, expected]


def test_a_refusal_is_recorded_with_its_code(kms, client):
    key = kms.create("ECC_NIST_EDWARDS25519")
    kms.faults.add("denied", operation="Sign", times=1)
    _refusal(lambda: _sign(client, key))
    _refusal(lambda: _sign(client, key, DryRun=True))
    assert [record["errorCode"] for record in kms.records()] == ["AccessDenied", "DryRunOperationException"]
    assert all(record["resources"][0]["ARN"] == key.arn for record in kms.records())


def test_a_change_is_recorded_as_no_reading(kms, client):
    made = client.create_key(KeySpec="HMAC_256", KeyUsage="GENERATE_VERIFY_MAC")["KeyMetadata"]
    client.disable_key(KeyId=made["KeyId"])
    created, disabled = kms.records()
    assert (created["readOnly"], disabled["readOnly"]) == (False, False)
    assert created["responseElements"]["keyMetadata"]["arn"] == made["Arn"]


@pytest.mark.parametrize(
    ("kind", "recorded"), [("hang-after", 1), ("reset-after", 1), ("hang", 0), ("reset", 0), ("garbage", 0)]
)
def test_what_was_done_is_recorded_though_nobody_heard_of_it(kms, client, kind, recorded):
    key = kms.create("ECC_NIST_EDWARDS25519")
    kms.faults.add(kind, operation="Sign")
    outcome = kms.service.handle(*_signed_request(kms, "Sign", _body(key)))
    assert outcome.behaviour == kind
    assert len(kms.records("Sign")) == recorded


def _body(key):
    message = base64.b64encode(DIGEST).decode()
    return json.dumps({"KeyId": key.id, "Message": message, "SigningAlgorithm": "ED25519_SHA_512"}).encode()


def _signed_request(kms, operation, body, *, service="kms", region=None, secret="secret"):
    headers = {"X-Amz-Target": f"TrentService.{operation}", "Host": "127.0.0.1"}
    request = AWSRequest("POST", "http://127.0.0.1/", data=body, headers=headers)
    SigV4Auth(Credentials("AKIAKNOWN", secret), service, region or kms.region).add_auth(request)
    return {name.lower(): value for name, value in request.headers.items()}, body


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda headers: headers.pop("authorization"), "MissingAuthenticationTokenException"),
        (lambda headers: headers.update(authorization="Bearer x"), "IncompleteSignatureException"),
        (lambda headers: headers.update({"x-amz-date": "20200101T000000Z"}), "InvalidSignatureException"),
        (lambda headers: headers.update({"x-amz-date": "yesterday"}), "IncompleteSignatureException"),
        (lambda headers: headers.update({"x-amz-extra": "unsigned"}), "InvalidSignatureException"),
        (lambda headers: headers.update({"x-amz-target": "TrentService.DescribeKey"}), "InvalidSignatureException"),
        (lambda headers: headers.update({"x-amz-security-token": "t"}), "InvalidSignatureException"),
    ],
)
def test_a_request_that_is_not_signed_as_aws_demands_is_refused(kms, change, code):
    kms.service.principals.add(Principal(access_key="AKIAKNOWN", name="known", secret="secret"))
    headers, body = _signed_request(kms, "ListKeys", b"{}")
    assert kms.service.handle(headers, body).status == 200
    change(headers)
    outcome = kms.service.handle(headers, body)
    assert (outcome.status, json.loads(outcome.body)["__type"]) == (400, code)


@pytest.mark.parametrize("scope", [{"service": "s3"}, {"region": "us-east-1"}, {"secret": "wrong"}])
def test_a_signature_for_something_else_is_refused(kms, scope):
    kms.service.principals.add(Principal(access_key="AKIAKNOWN", name="known", secret="secret"))
    outcome = kms.service.handle(*_signed_request(kms, "ListKeys", b"{}", **scope))
    assert json.loads(outcome.body)["__type"] == "InvalidSignatureException"


def test_a_body_that_was_changed_after_signing_is_refused(kms):
    kms.service.principals.add(Principal(access_key="AKIAKNOWN", name="known", secret="secret"))
    headers, _ = _signed_request(kms, "ListKeys", b"{}")
    assert kms.service.handle(headers, b'{"Limit": 1}').status == 400


def test_an_unknown_key_is_refused_where_credentials_are_strict():
    with FakeKms(strict_credentials=True) as strict:
        outcome = strict.service.handle(*_signed_request(strict, "ListKeys", b"{}"))
    assert json.loads(outcome.body)["__type"] == "UnrecognizedClientException"


@pytest.mark.parametrize(
    ("operation", "body", "code"),
    [
        ("Encrypt", b"{}", "UnknownOperationException"),
        ("ListKeys", b"{", "SerializationException"),
        ("ListKeys", b"[]", "SerializationException"),
        ("ListKeys", b'{"Nonsense":1}', "ValidationException"),
        ("Sign", b'{"KeyId":"x","SigningAlgorithm":"ECDSA_SHA_256","Message":"!"}', "SerializationException"),
    ],
)
def test_what_is_no_request_is_refused(kms, operation, body, code):
    outcome = kms.service.handle(*_signed_request(kms, operation, body))
    assert json.loads(outcome.body)["__type"] == code


def test_a_bucket_throttles_what_is_over_the_rate():
    now = [0.0]
    faults = Faults(clock=lambda: now[0])
    faults.limit("Sign", 2, burst=3)

    def throttled():
        return bool(faults.take("Sign", None))

    assert [throttled() for _ in range(4)] == [False, False, False, True]
    now[0] += 0.5
    assert [throttled(), throttled()] == [False, True]


def test_a_fault_strikes_as_often_as_it_is_told_and_whom():
    faults = Faults()
    faults.add("reset", operation="Sign", skip=1, times=2, access_key="A")
    struck = [bool(faults.take("Sign", "A")) for _ in range(5)]
    assert struck == [False, True, True, False, False]
    assert not faults.take("Sign", "B")
    with pytest.raises(ValueError, match="no kind of fault"):
        faults.add("nonsense")


def test_as_a_program_it_is_controlled_over_http_and_ends_with_its_input():
    root = Path(fakes.kms.__file__).parents[2]
    command = [sys.executable, "-m", "fakes.kms", "--port", "0"]
    process = subprocess.Popen(command, cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    url = process.stdout.readline().strip()
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def control(method, path, **members):
        body = json.dumps(members).encode() if members else None
        request = urllib.request.Request(f"{url}/_control/{path}", data=body, method=method)
        with opener.open(request, timeout=10) as answer:
            return json.load(answer)

    control("POST", "principals", access_key="AKIATESTSIGNER000001", name="alice", secret="a-secret-of-the-tests")
    control("POST", "latency", seconds=0.001)
    control("POST", "limits", operation="ListAliases", per_second=0, burst=0)
    control("POST", "faults", kind="error", operation="ListKeys", type="KMSInternalException")
    client = boto3.client(
        "kms", endpoint_url=url, region_name="eu-central-1", config=Config(retries={"total_max_attempts": 1})
    )
    key = client.create_key(KeySpec="ECC_NIST_EDWARDS25519", KeyUsage="SIGN_VERIFY")["KeyMetadata"]
    control("POST", "states", key_id=key["KeyId"], state="Disabled")
    assert _refusal(client.list_keys) == "KMSInternalException"
    assert _refusal(client.list_aliases) == "ThrottlingException"
    assert _refusal(client.get_public_key, KeyId=key["KeyId"]) == "DisabledException"
    recorded = control("GET", "records")
    assert [record["eventName"] for record in recorded] == ["CreateKey", "ListKeys", "ListAliases", "GetPublicKey"]
    assert {record["userIdentity"]["userName"] for record in recorded} == {"alice"}
    control("DELETE", "faults")
    control("DELETE", "records")
    client.list_keys()
    assert len(control("GET", "records")) == 1
    client.close()
    process.communicate(timeout=10)
    assert process.returncode == 0
