import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from auditseal.adapters.trail.folder import FolderTrail
from auditseal.adapters.trail.ledger import SqliteLedger
from auditseal.core.account import AccountCode, Kind
from auditseal.core.algorithm import ALGORITHMS, AlgorithmId
from auditseal.core.expectation import expect
from auditseal.core.key import parse_public_key
from auditseal.core.registry import RegisteredSigner, Registry
from auditseal.core.report import Severity, Verdict
from auditseal.core.times import Micros
from auditseal.core.trail_digest import parse_public_keys
from auditseal.service.accounting.reconcile import Asked, reconcile
from support.signed_log import SIGNER, ListSource, stored, with_signature
from support.trail import (
    ACCOUNT,
    KEY_ARN,
    REGION,
    ROLE,
    START,
    Bucket,
    change_record,
    record,
    role_identity,
    sign_record,
    text_of,
    trail_record,
    uuid_of,
)

ED25519_PEM = """-----BEGIN PUBLIC KEY-----
MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=
-----END PUBLIC KEY-----"""
STEP_S = 60
COUNT = 60
HOUR_S = 3600
END = START + HOUR_S
NOW = END + 4 * HOUR_S
OTHER_ROLE = f"arn:aws:iam::{ACCOUNT}:role/intern"
POLICY = '{"Version":"2012-10-17","Statement":[%s]}'
ALLOW = '{"Sid":"%s","Effect":"Allow","Principal":{"AWS":"%s"},"Action":"kms:Sign","Resource":"*"}'


@pytest.fixture(scope="session")
def trail_key():
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@pytest.fixture
def bucket(tmp_path, trail_key):
    return Bucket(folder=tmp_path / "trail", key=trail_key)


@pytest.fixture
def entries():
    return [stored("default", seq, START + seq * STEP_S) for seq in range(COUNT)]


@pytest.fixture
def records():
    return [sign_record(START + seq * STEP_S, seq) for seq in range(COUNT)]


def registry(**changes):
    members = {
        "signer_id": SIGNER,
        "algorithm": ALGORITHMS[AlgorithmId.ED25519],
        "public_key": parse_public_key(ED25519_PEM),
        "key_arn": KEY_ARN,
    }
    return Registry(signers=(RegisteredSigner(**{**members, **changes}),))


def run(bucket, entries, records, *, ledger=None, expectation=None, now=NOW, digests=True, **asked):
    """Writes the records with their digests, four hours in all, and reconciles."""
    if records is not None:
        write(bucket, records, digests=digests)
    keys = parse_public_keys(bucket.public_keys(), "keys") if digests else None
    ledger = ledger or SqliteLedger()
    try:
        return reconcile(
            ListSource(entries),
            registry(),
            FolderTrail(bucket.folder),
            ledger,
            expectation=expectation
            or expect(registry(), principals=[ROLE], administrators=[f"arn:aws:iam::{ACCOUNT}:role/admin"]),
            asked=Asked(keys=keys, **asked),
            clock=lambda: Micros(now * 1_000_000),
        )
    finally:
        ledger.close()


def write(bucket, records, *, digests=True, hours=4):
    for hour in range(hours):
        start, end = START + hour * HOUR_S, START + (hour + 1) * HOUR_S
        part = [item for item in records if text_of(start) <= item["eventTime"] < text_of(end)]
        listed = [bucket.add_log(part[index : index + 25], end) for index in range(0, len(part), 25)]
        if digests:
            last = bucket.add_digest(listed, start, end)
    if digests:
        bucket.put_signature_beside(last)


def codes(report):
    return [finding.code for finding in report.findings]


def only(report):
    (finding,) = report.findings
    return finding


def test_a_clean_hour_has_no_finding_and_every_signature_is_accounted_for(bucket, entries, records):
    report = run(bucket, entries, records)
    assert report.findings == ()
    assert report.verdict is Verdict.VALID
    assert report.checked["accounted"] == COUNT
    assert report.checked["digests"] == 4
    assert [(part.stream, part.first_seq, part.last_seq) for part in report.accounted] == [("default", 0, COUNT - 1)]


def test_records_that_come_twice_and_out_of_order_count_once(bucket, entries, records):
    report = run(bucket, entries, [*reversed(records), records[7]])
    assert (report.findings, report.checked["accounted"]) == ((), COUNT)


def test_calls_that_failed_or_were_dry_runs_sign_nothing(bucket, entries, records):
    failed = [
        sign_record(START + 5, 900, errorCode="DryRunOperationException"),
        sign_record(START + 6, 901, errorCode="AccessDenied", userIdentity=role_identity(OTHER_ROLE)),
    ]
    assert run(bucket, entries, [*records, *failed]).findings == ()


def test_calls_of_keys_that_are_nobodys_concern_are_counted_and_not_judged(bucket, entries, records):
    other = KEY_ARN.replace("1234abcd", "99999999")
    foreign = sign_record(START + 5, 900, resources=[{"type": "AWS::KMS::Key", "ARN": other}])
    report = run(bucket, entries, [*records, foreign])
    assert (report.findings, report.checked["other_keys"]) == ((), 1)


def test_a_call_by_an_unexpected_principal_that_the_log_does_not_hold_is_a_misused_key(bucket, entries, records):
    misuse = sign_record(START + 100, 900, userIdentity=role_identity(OTHER_ROLE))
    report = run(bucket, entries, [*records, misuse])
    finding = only(report)
    assert (finding.code, finding.kind) == (AccountCode.UNACCOUNTED_SIGNATURE, Kind.UNEXPECTED_PRINCIPAL)
    assert (finding.principal, finding.request_id) == (OTHER_ROLE, uuid_of(900, 1))
    assert report.verdict is Verdict.INVALID


def test_an_orphan_with_a_retry_of_its_client_beside_it_is_told_apart(bucket, entries, records):
    records[10] = sign_record(START + 10 * STEP_S + 12, 10)
    lost = sign_record(START + 10 * STEP_S + 2, 900)
    report = run(bucket, entries, [*records, lost])
    finding = only(report)
    assert (finding.kind, finding.severity) == (Kind.RETRY_BESIDE, Severity.GAP)
    assert report.verdict is Verdict.INCONCLUSIVE


@pytest.mark.parametrize("where", ["after", "other-client", "before-the-entry"])
def test_an_orphan_of_the_expected_principal_without_a_retry_is_misuse_or_a_hidden_fork(
    bucket, entries, records, where
):
    records[10] = sign_record(START + 10 * STEP_S + 12, 10)
    orphan = {
        "after": sign_record(START + 2 * HOUR_S, 900),
        "other-client": sign_record(START + 10 * STEP_S + 2, 900, sourceIPAddress="203.0.113.9"),
        "before-the-entry": sign_record(START + 10 * STEP_S - 20, 900),
    }[where]
    finding = only(run(bucket, entries, [*records, orphan]))
    assert (finding.kind, finding.severity) == (Kind.EXPECTED_PRINCIPAL, Severity.ERROR)


def test_one_signature_stands_in_for_as_many_lost_calls_as_a_client_makes_and_no_more(bucket, entries, records):
    records[10] = sign_record(START + 10 * STEP_S + 12, 10)
    lost = [sign_record(START + 10 * STEP_S + n, 900 + n) for n in range(5)]
    kinds = [finding.kind for finding in run(bucket, entries, [*records, *lost]).findings]
    assert (kinds.count(Kind.RETRY_BESIDE), kinds.count(Kind.EXPECTED_PRINCIPAL)) == (2, 3)


def test_two_orphans_do_not_vouch_for_each_other_as_retries(bucket, entries, records):
    orphans = [sign_record(START + 2 * HOUR_S + n, 900 + n) for n in range(2)]
    report = run(bucket, entries, [*records, *orphans])
    assert {finding.kind for finding in report.findings} == {Kind.EXPECTED_PRINCIPAL}


def test_a_signature_for_which_aws_has_no_call_is_forged(bucket, entries, records):
    report = run(bucket, entries, records[:20] + records[21:])
    finding = only(report)
    assert (finding.code, finding.kind, finding.seq) == (AccountCode.UNWITNESSED_SIGNATURE, Kind.NO_CALL, 20)
    assert finding.entry_id == uuid_of(20, 3)
    assert [(part.first_seq, part.last_seq) for part in report.accounted] == [(0, 19), (21, COUNT - 1)]


def test_a_signature_whose_call_failed_is_forged(bucket, entries, records):
    records[20]["errorCode"] = "AccessDenied"
    assert only(run(bucket, entries, records)).kind is Kind.FAILED_CALL


def test_a_signature_whose_call_came_at_another_time_is_backdated(bucket, entries, records):
    entries[20] = stored("default", 20, START + 5 * STEP_S)
    finding = only(run(bucket, entries, records))
    assert (finding.code, finding.kind, finding.seq) == (AccountCode.UNWITNESSED_SIGNATURE, Kind.OTHER_TIME, 20)


def test_a_call_before_the_entry_existed_cannot_have_signed_it(bucket, entries, records):
    entries[20] = with_signature(
        stored("default", 20, START + 40 * STEP_S), signed_at=text_of(START + 20 * STEP_S).replace("Z", ".000000Z")
    )
    finding = only(run(bucket, entries, records))
    assert (finding.kind, "before the entry existed" in finding.message) == (Kind.OTHER_TIME, True)


def test_a_signature_that_claims_the_future_is_not_taken_for_one_that_is_not_settled_yet(bucket, entries, records):
    entries.append(stored("default", COUNT, NOW + 9 * HOUR_S))
    assert only(run(bucket, entries, records)).kind is Kind.OTHER_TIME


def test_two_signatures_cannot_share_one_call(bucket, entries, records):
    entries.append(stored("other", 0, START + 20 * STEP_S, request_id=uuid_of(20, 1)))
    finding = only(run(bucket, entries, records))
    assert (finding.kind, finding.stream) == (Kind.SHARED_CALL, "other")


def test_a_signature_whose_call_used_another_key_is_not_witnessed_by_it(bucket, entries, records):
    other = KEY_ARN.replace("1234abcd", "99999999")
    records[20]["resources"] = [{"type": "AWS::KMS::Key", "ARN": other}]
    assert only(run(bucket, entries, records)).kind is Kind.OTHER_KEY


def test_a_signature_without_a_request_id_cannot_be_witnessed(bucket, entries, records):
    entries[20] = with_signature(entries[20], request_id=None)
    report = run(bucket, entries, records[:20] + records[21:])
    assert only(report).kind is Kind.NO_REQUEST_ID


def test_a_local_signer_needs_no_witness(bucket, entries, records):
    local = RegisteredSigner(
        signer_id="local",
        algorithm=ALGORITHMS[AlgorithmId.ED25519],
        public_key=parse_public_key(ED25519_PEM),
        development=True,
    )
    entries.append(with_signature(stored("dev", 0, START + 9), request_id=None, signer="local"))
    both = registry().with_signer(local)
    assert run(bucket, entries, records, expectation=expect(both, principals=[ROLE])).findings == ()


@pytest.mark.parametrize(
    "case",
    [
        ({"userIdentity": role_identity(OTHER_ROLE)}, AccountCode.UNEXPECTED_PRINCIPAL, OTHER_ROLE),
        (
            {"requestParameters": {"keyId": "k", "messageType": "DIGEST", "signingAlgorithm": "ED25519_PH_SHA_512"}},
            AccountCode.UNEXPECTED_ALGORITHM,
            "Sign ED25519_PH_SHA_512 DIGEST",
        ),
        ({"awsRegion": "us-east-1"}, AccountCode.UNEXPECTED_REGION, "us-east-1"),
    ],
)
def test_an_accounted_call_is_still_held_against_what_is_expected(bucket, entries, records, case):
    change, code, actual = case
    for number in (20, 21):
        records[number] |= change
    finding = only(run(bucket, entries, records))
    assert (finding.code, finding.actual, finding.count) == (code, actual, 2)


def test_a_signature_long_after_its_entry_is_remarked_and_no_more(bucket, entries, records):
    late = (START + 20 * STEP_S) + 2 * HOUR_S
    entries[20] = with_signature(entries[20], signed_at=text_of(late).replace("Z", ".000000Z"))
    records[20] = sign_record(late, 20)
    report = run(bucket, entries, records)
    assert (codes(report), report.verdict) == ([AccountCode.LATE_SIGNATURE], Verdict.VALID)


def test_what_is_not_settled_yet_is_no_finding(bucket, entries, records):
    report = run(bucket, entries[:41], records[:40], now=START + 41 * STEP_S, settle_s=900)
    assert AccountCode.UNWITNESSED_SIGNATURE not in codes(report)
    assert report.checked["unsettled"] == 15


def test_a_window_leaves_out_what_lies_before_and_after_it(bucket, entries, records):
    strangers = [sign_record(START + 5 + n * 2 * HOUR_S, 900 + n) for n in range(2)]
    report = run(bucket, entries, [*records, *strangers], since=START + 10 * STEP_S, until=START + 50 * STEP_S)
    assert (report.findings, report.checked["accounted"]) == ((), 40)
    assert [(part.first_seq, part.last_seq) for part in report.accounted] == [(10, 49)]


def test_a_window_with_nothing_in_it_is_no_success(bucket, entries, records):
    report = run(bucket, [], [record("DescribeKey", START + 5, 1)])
    assert AccountCode.NOTHING_TO_CHECK in codes(report)
    assert report.verdict is Verdict.INCONCLUSIVE


def test_many_findings_of_a_kind_are_told_as_a_few_and_a_count(bucket, entries, records):
    report = run(bucket, entries, [record("DescribeKey", START, 900)], most_of_a_kind=10)
    unwitnessed = [finding for finding in report.findings if finding.code is AccountCode.UNWITNESSED_SIGNATURE]
    blind = [finding for finding in report.findings if finding.code is AccountCode.TRAIL_BLIND]
    assert (len(unwitnessed), unwitnessed[-1].count, len(blind)) == (11, COUNT - 10, 0)


def test_a_signer_that_the_registry_does_not_know_is_no_false_alarm_and_no_witness(bucket, entries, records):
    entries[20] = with_signature(entries[20], signer="audit-2027")
    records[20]["resources"] = [{"type": "AWS::KMS::Key", "ARN": KEY_ARN.replace("1234abcd", "99999999")}]
    report = run(bucket, entries, records)
    finding = only(report)
    assert (finding.kind, finding.severity) == (Kind.UNKNOWN_SIGNER, Severity.GAP)
    assert [(part.first_seq, part.last_seq) for part in report.accounted] == [(0, 19), (21, COUNT - 1)]


def test_a_call_claimed_by_another_signer_stays_unaccounted(bucket, entries, records):
    entries[20] = with_signature(entries[20], signer="audit-2027")
    found = {(finding.code, finding.kind) for finding in run(bucket, entries, records).findings}
    assert found == {
        (AccountCode.UNACCOUNTED_SIGNATURE, Kind.EXPECTED_PRINCIPAL),
        (AccountCode.UNWITNESSED_SIGNATURE, Kind.UNKNOWN_SIGNER),
    }


def test_two_copies_of_one_entry_do_not_share_its_call(bucket, entries, records):
    assert only(run(bucket, [*entries, entries[20]], records)).kind is Kind.SHARED_CALL


def test_entries_signed_anew_before_the_window_are_not_taken_for_an_outage(bucket, entries, records):
    """The first signatures would be orphans, but in a time that nobody looked at."""
    entries[5] = with_signature(entries[5], signed_at=text_of(START + 50 * STEP_S).replace("Z", ".000000Z"))
    records[5] = sign_record(START + 50 * STEP_S, 5)
    report = run(bucket, entries, records, since=START + 10 * STEP_S)
    finding = only(report)
    assert (finding.code, finding.severity) == (AccountCode.LATE_SIGNATURE, Severity.GAP)
    assert report.accounted[0].first_seq == 10


def test_a_flood_of_notes_does_not_bury_an_error(bucket, entries, records):
    admin = {"userIdentity": role_identity(f"arn:aws:iam::{ACCOUNT}:role/admin")}
    flood = [change_record("TagResource", START + n, 1000 + n, **admin) for n in range(30)]
    misuse = change_record("DisableKey", START + 40, 2000, userIdentity=role_identity(OTHER_ROLE))
    report = run(bucket, entries, [*records, *flood, misuse], most_of_a_kind=10)
    assert report.verdict is Verdict.INVALID


def test_with_digests_the_window_ends_where_they_do(bucket, entries, records):
    """A digest comes once an hour: what is younger is not judged, and is no reason for doubt."""
    entries.append(stored("default", COUNT, END + 4 * HOUR_S + 60))
    report = run(bucket, entries, records, now=NOW + HOUR_S)
    assert (report.verdict, report.checked["unsettled"], report.until) == (
        Verdict.VALID,
        1,
        text_of(NOW - HOUR_S - 899),
    )


def test_a_trail_that_begins_too_late_is_said(bucket, entries, records):
    report = run(bucket, entries, records, since=START - 86_400)
    assert "begins at" in only(report).message


def test_calls_whose_records_name_no_key_are_told(bucket, entries, records):
    unnamed = sign_record(START + 5, 900, resources=None)
    finding = only(run(bucket, entries, [*records, unnamed]))
    assert (finding.code, "name no key" in finding.message) == (AccountCode.TRAIL_BLIND, True)


class TestChanges:
    def test_a_new_policy_is_told_with_what_changed_in_it(self, bucket, entries, records):
        policies = [POLICY % (ALLOW % ("signer", ROLE)), POLICY % (ALLOW % ("signer", OTHER_ROLE))]
        puts = [
            change_record(
                "PutKeyPolicy",
                START + 5 + n,
                900 + n,
                requestParameters={"keyId": KEY_ARN, "policyName": "default", "policy": policy},
                userIdentity=role_identity(f"arn:aws:iam::{ACCOUNT}:role/{name}"),
            )
            for n, (policy, name) in enumerate(zip(policies, ("admin", "intern"), strict=True))
        ]
        report = run(bucket, entries, [*records, *puts])
        known, unknown = report.findings
        assert (known.severity, unknown.severity) == (Severity.NOTE, Severity.ERROR)
        assert [line[0] for line in unknown.details] == ["-", "+"]
        assert (ROLE in unknown.details[0], OTHER_ROLE in unknown.details[1]) == (True, True)

    @pytest.mark.parametrize(
        "name", ["DisableKey", "ScheduleKeyDeletion", "CreateGrant", "CreateAlias", "UpdateAlias", "DeleteAlias"]
    )
    def test_a_change_to_the_key_by_a_stranger_is_an_error(self, bucket, entries, records, name):
        change = change_record(name, START + 5, 900, userIdentity=role_identity(OTHER_ROLE))
        finding = only(run(bucket, entries, [*records, change]))
        assert (finding.code, finding.actual, finding.principal) == (AccountCode.KEY_CHANGED, name, OTHER_ROLE)

    @pytest.mark.parametrize("name", ["UpdateAlias", "DeleteAlias", "CreateAlias"])
    def test_an_alias_that_is_taken_from_the_key_is_told(self, bucket, entries, records, name):
        """The record names the key that the alias leads to from now on, and not the one that it led to."""
        other = KEY_ARN.replace("1234abcd", "99999999")
        change = change_record(
            name,
            START + 5,
            900,
            userIdentity=role_identity(OTHER_ROLE),
            requestParameters={"aliasName": "alias/audit", "targetKeyId": other},
            resources=[{"type": "AWS::KMS::Key", "ARN": other}],
        )
        finding = only(run(bucket, entries, [*records, change]))
        assert (finding.code, finding.actual) == (AccountCode.KEY_CHANGED, name)
        assert "aliasName: alias/audit" in finding.details

    def test_an_alias_of_another_key_is_nobodys_concern(self, bucket, entries, records):
        other = KEY_ARN.replace("1234abcd", "99999999")
        change = change_record(
            "UpdateAlias",
            START + 5,
            900,
            requestParameters={"aliasName": "alias/other", "targetKeyId": other},
            resources=[{"type": "AWS::KMS::Key", "ARN": other}],
        )
        assert run(bucket, entries, [*records, change]).findings == ()

    def test_a_change_that_failed_changed_nothing(self, bucket, entries, records):
        change = change_record("DisableKey", START + 5, 900, errorCode="AccessDenied")
        assert run(bucket, entries, [*records, change]).findings == ()


class TestBlindness:
    def test_a_trail_that_was_stopped_cannot_have_seen(self, bucket, entries, records):
        stop = trail_record("StopLogging", START + 20 * STEP_S - 1, 900, {"name": "audit-trail"})
        start = trail_record("StartLogging", START + 30 * STEP_S - 1, 901, {"name": "audit-trail"})
        report = run(bucket, entries, [*records[:20], stop, start, *records[30:]])
        assert set(codes(report)) == {AccountCode.TRAIL_BLIND, AccountCode.KEY_CHANGED}
        assert any(finding.count == 10 for finding in report.findings)

    @pytest.mark.parametrize(
        "parameters",
        [
            {"eventSelectors": [{"readWriteType": "WriteOnly", "includeManagementEvents": True}]},
            {
                "eventSelectors": [
                    {
                        "readWriteType": "All",
                        "includeManagementEvents": True,
                        "excludeManagementEventSources": ["kms.amazonaws.com"],
                    }
                ]
            },
            {
                "advancedEventSelectors": [
                    {
                        "fieldSelectors": [
                            {"field": "eventCategory", "equals": ["Management"]},
                            {"field": "readOnly", "equals": ["false"]},
                        ]
                    }
                ]
            },
            {
                "advancedEventSelectors": [
                    {
                        "fieldSelectors": [
                            {"field": "eventCategory", "equals": ["Management"]},
                            {"field": "eventSource", "notEquals": ["kms.amazonaws.com"]},
                        ]
                    }
                ]
            },
        ],
    )
    def test_selectors_that_leave_out_what_signs_make_a_trail_blind(self, bucket, entries, records, parameters):
        put = trail_record(
            "PutEventSelectors", START + 20 * STEP_S - 1, 900, {"trailName": "audit-trail", **parameters}
        )
        report = run(bucket, entries, [*records[:20], put])
        assert set(codes(report)) == {AccountCode.TRAIL_BLIND, AccountCode.KEY_CHANGED}

    def test_starting_another_trail_does_not_mend_this_one(self, bucket, entries, records):
        stop = trail_record("StopLogging", START + 20 * STEP_S - 1, 900, {"name": "audit-trail"})
        start = trail_record("StartLogging", START + 21 * STEP_S, 901, {"name": "decoy"})
        report = run(bucket, entries, [*records[:20], stop, start])
        assert any(finding.count == COUNT - 20 for finding in report.findings)
        assert AccountCode.UNWITNESSED_SIGNATURE not in codes(report)

    @pytest.mark.parametrize(
        "fields",
        [
            [{"field": "eventName", "notEquals": ["GenerateMac"]}],
            [{"field": "eventName", "equals": ["PutKeyPolicy"]}],
            [{"field": "eventName", "notStartsWith": ["Si"]}],
            [{"field": "eventSource", "endsWith": [".example.com"]}],
            [{"field": "userIdentity.arn", "notEquals": [ROLE]}],
            "unreadable",
        ],
    )
    def test_narrower_selectors_blind_a_trail_too(self, bucket, entries, records, fields):
        selector = {"fieldSelectors": [{"field": "eventCategory", "equals": ["Management"]}, *fields]}
        parameters = {"trailName": "audit-trail", "advancedEventSelectors": [selector]}
        put = trail_record("PutEventSelectors", START + 20 * STEP_S - 1, 900, parameters)
        assert AccountCode.TRAIL_BLIND in codes(run(bucket, entries, [*records[:20], put]))

    def test_selectors_that_take_all_management_events_blind_nobody(self, bucket, entries, records):
        selectors = [
            {"fieldSelectors": [{"field": "eventCategory", "equals": ["Data"]}]},
            {"fieldSelectors": [{"field": "eventCategory", "equals": ["Management"]}]},
        ]
        parameters = {"trailName": "audit-trail", "advancedEventSelectors": selectors}
        put = trail_record("PutEventSelectors", START + 20 * STEP_S - 1, 900, parameters)
        assert codes(run(bucket, entries, [*records, put])) == [AccountCode.KEY_CHANGED]

    def test_another_trail_that_was_stopped_is_not_this_one(self, bucket, entries, records):
        stop = trail_record("StopLogging", START + 20 * STEP_S - 1, 900, {"name": "somebody-elses"})
        report = run(bucket, entries, [*records, stop])
        assert codes(report) == [AccountCode.KEY_CHANGED]

    def test_a_trail_without_read_events_is_blind_and_its_silence_no_proof_of_forgery(self, bucket, entries):
        writes = [change_record("UpdateKeyDescription", START + n * 60, 900 + n) for n in range(50)]
        report = run(bucket, entries, writes, digests=False, accept_without_digests=True, until=START + 40 * 60)
        assert AccountCode.TRAIL_BLIND in codes(report)
        assert (AccountCode.UNWITNESSED_SIGNATURE in codes(report), report.verdict) == (False, Verdict.INCONCLUSIVE)

    def test_a_trail_that_ends_too_early_is_said(self, bucket, entries, records):
        report = run(bucket, entries, records, now=NOW + 30 * HOUR_S)
        finding = only(report)
        assert (finding.code, "proven up to" in finding.message) == (AccountCode.TRAIL_BLIND, True)

    def test_a_trail_of_another_region_is_blind_for_the_key(self, bucket, entries, records):
        far = registry(key_arn=KEY_ARN.replace(REGION, "us-west-2"))
        report = run(bucket, [], records, expectation=expect(far, principals=[ROLE]))
        assert any("has nothing of account" in finding.message for finding in report.findings)

    def test_without_digests_the_trail_itself_is_not_proven(self, bucket, entries, records):
        report = run(bucket, entries, records, digests=False, until=START + 40 * STEP_S)
        assert (codes(report), report.verdict) == ([AccountCode.TRAIL_BLIND], Verdict.INCONCLUSIVE)

    def test_without_digests_is_enough_where_somebody_says_so(self, bucket, entries, records):
        asked = {"digests": False, "accept_without_digests": True, "until": START + 40 * STEP_S}
        assert run(bucket, entries, records, **asked).verdict is Verdict.VALID

    def test_a_registry_without_key_arns_leaves_calls_untold(self, bucket, entries, records):
        report = run(bucket, entries, records, expectation=expect(registry(key_arn=None), principals=[ROLE]))
        assert codes(report) == [AccountCode.TRAIL_BLIND, AccountCode.NOTHING_TO_CHECK]
        assert (report.verdict, report.accounted) == (Verdict.INCONCLUSIVE, ())

    def test_nobody_is_an_expected_principal_by_silence(self, bucket, entries, records):
        report = run(bucket, entries, records, expectation=expect(registry()))
        assert (codes(report), report.verdict) == ([AccountCode.TRAIL_BLIND], Verdict.INCONCLUSIVE)


class TestTamperedTrail:
    def test_a_log_file_that_is_damaged_is_found_and_the_rest_is_read(self, bucket, entries, records):
        write(bucket, records)
        victim = min(bucket.folder.rglob("*_CloudTrail_*.json.gz"))
        victim.write_bytes(victim.read_bytes()[:-40] + b"\x00" * 40)
        report = run(bucket, entries, None)
        assert {AccountCode.TRAIL_TAMPERED, AccountCode.TRAIL_BLIND} <= set(codes(report))
        assert report.checked["accounted"] == COUNT - 25

    def test_a_damaged_log_file_without_digests_leaves_a_gap(self, bucket, entries, records):
        write(bucket, records, digests=False)
        (bucket.folder / "broken.json").write_text('{"Records":[')
        report = run(bucket, entries, None, digests=False, accept_without_digests=True, until=START + 40 * STEP_S)
        assert report.verdict is Verdict.INCONCLUSIVE
        assert any("broken.json" in finding.message for finding in report.findings)

    def test_a_damaged_digest_is_found_and_the_rest_is_read(self, bucket, entries, records):
        write(bucket, records)
        digests = sorted(bucket.folder.rglob("*CloudTrail-Digest*.json.gz"))
        digests[2].write_bytes(b"\x1f\x8bnothing")
        report = run(bucket, entries, None)
        assert AccountCode.TRAIL_TAMPERED in codes(report)
        assert report.checked["accounted"] == COUNT

    def test_a_log_file_with_a_record_more_is_found(self, bucket, entries, records):
        write(bucket, records)
        import gzip
        import json

        victim = min(bucket.folder.rglob("*_CloudTrail_*.json.gz"))
        content = json.loads(gzip.decompress(victim.read_bytes()))
        content["Records"].append(sign_record(START + 5, 900))
        victim.write_bytes(gzip.compress(json.dumps(content).encode()))
        report = run(bucket, entries, None)
        assert {AccountCode.TRAIL_TAMPERED, AccountCode.UNWITNESSED_SIGNATURE} <= set(codes(report))

    def test_a_planted_log_file_witnesses_nothing(self, bucket, entries, records):
        write(bucket, records[:20] + records[21:])
        bucket.add_log([records[20]], START + HOUR_S)
        assert only(run(bucket, entries, None)).kind is Kind.NO_CALL

    def test_a_log_file_that_was_removed_is_missed(self, bucket, entries, records):
        write(bucket, records)
        min(bucket.folder.rglob("*_CloudTrail_*.json.gz")).unlink()
        report = run(bucket, entries, None)
        assert AccountCode.TRAIL_BLIND in codes(report)

    def test_a_digest_that_was_removed_leaves_its_hour_blind(self, bucket, entries, records):
        write(bucket, records)
        digests = sorted(bucket.folder.rglob("*CloudTrail-Digest*.json.gz"))
        digests[1].unlink()
        report = run(bucket, [], None)
        assert any("is missing" in finding.message for finding in report.findings)

    def test_a_copy_with_every_digest_twice_is_as_good(self, bucket, entries, records):
        write(bucket, records)
        for path in sorted(bucket.folder.rglob("*.json.gz*")):
            twin = bucket.folder / "twin" / path.relative_to(bucket.folder)
            twin.parent.mkdir(parents=True, exist_ok=True)
            twin.write_bytes(path.read_bytes())
        assert run(bucket, entries, None).findings == ()

    def test_digests_removed_at_the_end_are_missed(self, bucket, entries, records):
        write(bucket, records)
        for path in sorted(bucket.folder.rglob("*CloudTrail-Digest*.json.gz*"))[-3:]:
            path.unlink()
        report = run(bucket, entries, None, now=NOW)
        assert any("proven up to" in finding.message for finding in report.findings)

    def test_a_digest_signed_by_another_key_is_found(self, bucket, entries, records):
        write(bucket, records)
        keys = bucket.public_keys()
        bucket.key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        foreign = bucket.add_digest([], START + 4 * HOUR_S, START + 5 * HOUR_S)
        bucket.put_signature_beside(foreign)
        bucket.public_keys = lambda: keys
        report = run(bucket, entries, None, now=NOW + HOUR_S)
        assert AccountCode.TRAIL_TAMPERED in codes(report)


class TestResume:
    def test_a_ledger_is_resumed_and_reads_nothing_twice(self, bucket, entries, records, tmp_path):
        write(bucket, records)
        path = tmp_path / "ledger.db"
        first = run(bucket, entries, None, ledger=SqliteLedger(path))
        for log_file in bucket.folder.rglob("*_CloudTrail_*.json.gz"):
            stat = log_file.stat()
            log_file.write_bytes(b"\x00" * stat.st_size)
            import os

            os.utime(log_file, ns=(stat.st_atime_ns, stat.st_mtime_ns))
        second = run(bucket, entries, None, ledger=SqliteLedger(path))
        assert (second.findings, second.checked) == (first.findings, first.checked)

    def test_a_signature_that_came_after_the_first_run_is_seen_by_the_second(self, bucket, entries, records, tmp_path):
        from dataclasses import replace

        write(bucket, records)
        path = tmp_path / "ledger.db"
        pending = [*entries[:20], replace(entries[20], signatures=()), *entries[21:]]
        first = run(bucket, pending, None, ledger=SqliteLedger(path))
        second = run(bucket, entries, None, ledger=SqliteLedger(path))
        assert (codes(first), codes(second)) == ([AccountCode.UNACCOUNTED_SIGNATURE], [])
        assert second.checked["accounted"] == COUNT
