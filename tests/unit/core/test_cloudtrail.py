import json

import pytest

from auditseal.core.cloudtrail import parse_log_file
from auditseal.core.cloudtrail_changes import diff_policies
from auditseal.core.cloudtrail_record import parse_event_time, principal_of
from auditseal.errors import InputError
from support.trail import ACCOUNT, KEY_ARN, REGION, ROLE, START, change_record, record, role_identity, sign_record


def parse(*records):
    return parse_log_file(json.dumps({"Records": records}).encode(), "file")


def test_a_sign_call_gives_its_key_algorithm_and_the_role_behind_the_session():
    (call,) = parse(sign_record(START, 1)).calls
    facts = call.facts
    assert (call.at, facts.key_arn, facts.principal, facts.error) == (START, KEY_ARN, ROLE, None)
    assert (facts.operation, facts.algorithm, facts.message_type) == ("Sign", "ED25519_SHA_512", "RAW")


def test_a_mac_has_its_own_algorithm_and_no_message_type():
    parameters = {"keyId": KEY_ARN, "macAlgorithm": "HMAC_SHA_256"}
    (call,) = parse(record("GenerateMac", START, 1, requestParameters=parameters)).calls
    assert (call.facts.algorithm, call.facts.message_type) == ("HMAC_SHA_256", None)


@pytest.mark.parametrize(
    ("key_id", "arn"),
    [
        (KEY_ARN, KEY_ARN),
        ("1234", f"arn:aws:kms:{REGION}:{ACCOUNT}:key/1234"),
        ("alias/audit", ""),
        (f"arn:aws:kms:{REGION}:{ACCOUNT}:alias/audit", ""),
    ],
)
def test_without_resources_the_request_names_the_key_but_an_alias_is_none(key_id, arn):
    item = sign_record(START, 1, resources=None)
    item["requestParameters"] = item["requestParameters"] | {"keyId": key_id}
    assert parse(item).calls[0].facts.key_arn == arn


@pytest.mark.parametrize(
    ("identity", "who"),
    [
        (role_identity(ROLE), ROLE),
        ({"type": "IAMUser", "arn": "arn:aws:iam::1:user/u"}, "arn:aws:iam::1:user/u"),
        ({"type": "AWSService", "invokedBy": "s3.amazonaws.com"}, "s3.amazonaws.com"),
        ({"type": "AWSAccount", "accountId": "9", "principalId": "AIDA"}, "AWSAccount AIDA of account 9"),
        ({}, "unknown"),
    ],
)
def test_a_principal_is_the_role_the_user_the_service_or_the_account(identity, who):
    assert principal_of(identity) == who


def test_other_records_show_what_the_trail_saw_and_nothing_else():
    other = record("PutObject", START + 9, 2, eventSource="s3.amazonaws.com", readOnly=False)
    part = parse(sign_record(START, 1), other, record("DescribeKey", START - 5, 3))
    assert (len(part.calls), part.changes, part.records) == (1, [], 3)
    assert [tuple(seen) for seen in part.seen] == [(ACCOUNT, REGION, START - 5, START + 9, 2)]


@pytest.mark.parametrize(
    ("name", "alias"),
    [
        ("alias/audit", f"{ACCOUNT} {REGION} alias/audit"),
        ("arn:aws:kms:us-east-1:999900001111:alias/audit", "999900001111 us-east-1 alias/audit"),
        (KEY_ARN, ""),
        ("1234", ""),
        (None, ""),
    ],
)
def test_an_alias_is_one_of_an_account_and_a_region(name, alias):
    item = sign_record(START, 1)
    item["requestParameters"] = item["requestParameters"] | {"keyId": name}
    assert parse(item).calls[0].facts.alias == alias


def test_a_change_keeps_the_request():
    (change,) = parse(change_record("DisableKey", START, 1, requestParameters={"keyId": KEY_ARN})).changes
    assert (change.name, change.key_arn, change.parameters) == ("DisableKey", KEY_ARN, {"keyId": KEY_ARN})


@pytest.mark.parametrize(
    "content",
    [
        *(b"", b"[]", b"{}", b'{"Records":{}}', b'{"Records":[{}]}', b'{"Records":[1]}', b'{"Records":["x"]}'),
        *(
            json.dumps({"Records": [sign_record(START, 1) | change]}).encode()
            for change in (
                {"requestID": 7},
                {"requestID": None},
                {"eventTime": ["2026"]},
                {"errorCode": {"a": 1}},
                {"requestParameters": {"signingAlgorithm": ["ED25519_SHA_512"]}},
                {"requestParameters": "text"},
                {"userIdentity": {"sessionContext": "text"}},
                {"resources": ["text"]},
                {"eventName": "PutKeyPolicy", "requestParameters": "text"},
            )
        ),
    ],
)
def test_what_is_no_log_file_is_refused_by_name(content):
    with pytest.raises(InputError, match="file"):
        parse_log_file(content, "file")


@pytest.mark.parametrize("text", ["", "yesterday", "2026-07-01", "2026-07-01T00:00:00"])
def test_a_time_without_a_zone_is_none(text):
    with pytest.raises(InputError):
        parse_event_time(text)


def test_a_policy_diff_ignores_what_aws_may_rewrite():
    one = '{"Statement":[{"Sid":"a","Action":["kms:Sign"]},{"Sid":"b","Action":["x","y"]}]}'
    two = '{"Statement":[{"Action":["y","x"],"Sid":"b"},{"Action":"kms:Sign","Sid":"a"}]}'
    assert diff_policies(one, two) == []
    assert diff_policies(None, '{"Statement":{"Sid":"a"}}') == ['+ {"Sid": "a"}']
    assert diff_policies(one, "no policy") == ["? a policy that is not JSON"]


def test_a_record_nested_in_another_is_never_taken_for_one():
    nested = sign_record(START, 7)
    smuggler = record(
        "PutThing", START, 8, eventSource="x.amazonaws.com", requestParameters={"list": [nested, nested, nested]}
    )
    compact = json.dumps({"Records": [smuggler, sign_record(START, 9)]}, separators=(",", ":")).encode()
    assert compact.count(b'},{"eventVersion"') == 3
    part = parse_log_file(compact, "file")
    assert ([call.request_id for call in part.calls], part.records) == ([sign_record(START, 9)["requestID"]], 2)


@pytest.mark.parametrize("content", [b'{"Records":[{"x":' + b"[" * 100_000, b'{"Records":[{"eventTime":"\xff"}]}'])
def test_what_cannot_be_decoded_is_refused(content):
    with pytest.raises(InputError, match="file"):
        parse_log_file(content, "file")


def test_members_that_are_written_with_escapes_mean_the_same():
    text = json.dumps({"Records": [sign_record(START, 1)]})
    escaped = text.replace("kms.amazonaws.com", "kms\\u002eamazonaws.com").replace("eventName", "event\\u004eame")
    assert parse_log_file(escaped.encode(), "file") == parse_log_file(text.encode(), "file")


@pytest.mark.parametrize("count", [0, 1, 2, 3])
@pytest.mark.parametrize("separators", [(",", ":"), (", ", ": ")])
def test_every_record_counts_however_the_file_is_written(count, separators):
    records = [sign_record(START, n) for n in range(count)]
    part = parse_log_file(json.dumps({"Records": records}, separators=separators).encode(), "file")
    assert [call.event_id for call in part.calls] == [item["eventID"] for item in records]
