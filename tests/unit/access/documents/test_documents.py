"""Policies are found in JSON, YAML, CloudFormation, Terraform and AWS's answers, each part with its line."""

from __future__ import annotations

import pytest

from auditseal.access.documents.load import MAX_BYTES, load_documents
from auditseal.access.node import Place
from auditseal.access.policy import Kind, Policy
from auditseal.access.rules.lint import lint
from auditseal.errors import InputError

PLAIN = """{
  "Version": "2012-10-17",
  "Statement": {
    "Effect": "Allow",
    "Action": ["kms:Sign",
               "kms:Verify"],
    "Resource": "*"
  }
}
"""

TEMPLATE = """\
Parameters:
  Signer: {Type: String, Default: agent-manager}
Conditions:
  Wide: !Equals [a, b]
Resources:
  AuditKey:
    Type: AWS::KMS::Key
    Properties:
      KeySpec: ECC_NIST_EDWARDS25519
      KeyUsage: SIGN_VERIFY
      KeyPolicy:
        Version: 2012-10-17
        Statement:
          - Effect: Allow
            Principal: {AWS: !Sub "arn:${AWS::Partition}:iam::${AWS::AccountId}:root"}
            Action: kms:*
            Resource: "*"
  Alias:
    Type: AWS::KMS::Alias
    Properties: {AliasName: alias/audit, TargetKeyId: !Ref AuditKey}
  Role:
    Type: AWS::IAM::Role
    Properties:
      AssumeRolePolicyDocument:
        Version: "2012-10-17"
        Statement: [{Effect: Allow, Principal: {Service: ec2.amazonaws.com}, Action: sts:AssumeRole}]
      Policies:
        - PolicyName: sign
          PolicyDocument:
            Version: "2012-10-17"
            Statement:
              - Effect: Allow
                Action: !If [Wide, "kms:*", kms:Sign]
                Resource: !GetAtt AuditKey.Arn
                Condition: {StringEquals: {kms:RequestAlias: !Ref Signer}}
  Managed:
    Type: AWS::IAM::ManagedPolicy
    Properties:
      Roles: [!Ref Role]
      PolicyDocument: !Ref Elsewhere
  Trail:
    Type: AWS::CloudTrail::Trail
    Properties:
      IsLogging: true
      EventSelectors:
        - ReadWriteType: WriteOnly
          ExcludeManagementEventSources: [kms.amazonaws.com]
"""

TERRAFORM = """\
locals {
  action = "kms:Sign"
}
variable "region" {
  default = "eu-central-1"
}
data "aws_iam_policy_document" "base" {
  statement {
    sid       = "Base"
    actions   = [local.action]
    resources = ["arn:aws:kms:${var.region}:111122223333:key/*", aws_kms_key.audit.arn]
    condition {
      test     = "StringEquals"
      variable = "kms:SigningAlgorithm"
      values   = ["RSASSA_PSS_SHA_256"]
    }
  }
}
data "aws_iam_policy_document" "signer" {
  source_policy_documents = [data.aws_iam_policy_document.base.json]
  statement {
    effect    = "Deny"
    actions   = ["kms:*"]
    resources = ["*"]
    principals {
      type        = "AWS"
      identifiers = ["arn:aws:iam::111122223333:user/&{aws:username}"]
    }
  }
}
resource "aws_kms_key" "audit" {
  customer_master_key_spec = "RSA_2048"
  key_usage                = "SIGN_VERIFY"
  policy                   = data.aws_iam_policy_document.signer.json
}
resource "aws_iam_role_policy" "inline" {
  role   = "agent-manager"
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      { Effect = "Allow", Action = "kms:GetPublicKey", Resource = "*" },
    ]
  })
}
resource "aws_iam_policy" "heredoc" {
  policy = <<-EOF
    {
      "Version": "2012-10-17",
      "Statement": [
        {"Effect": "Allow", "Action": "kms:Verify", "Resource": "${aws_kms_key.audit.arn}"},
        {"Effect": "Allow", "Action": "kms:DescribeKey", "Resource": ${local.nowhere}}
      ]
    }
  EOF
}
resource "aws_iam_policy" "file" {
  policy = file("${path.module}/policy.json")
}
resource "aws_cloudtrail" "trail" {
  advanced_event_selector {
    field_selector {
      field  = "eventCategory"
      equals = ["Management"]
    }
    field_selector {
      field  = "readOnly"
      equals = ["false"]
    }
  }
}
"""


def load(name: str, text: str, kind: Kind | None = None):
    return load_documents([(name, text.encode())], kind)


def named(policies: tuple[Policy, ...], name: str) -> Policy:
    return next(policy for policy in policies if policy.name == name)


@pytest.mark.parametrize("name", ["policy.json", "<stdin>"])
def test_a_json_policy_is_read_with_its_places(name: str):
    (policy,) = load(name, PLAIN).policies
    (statement,) = policy.statements
    assert policy.kind is Kind.IDENTITY
    assert statement.place == Place(3, 16)
    assert [(item.text, item.place) for item in statement.actions or ()] == [
        ("kms:Sign", Place(5, 16)),
        ("kms:Verify", Place(6, 16)),
    ]


def test_a_bare_policy_takes_the_kind_that_it_is_given():
    assert load("p.json", PLAIN, Kind.KEY).policies[0].kind is Kind.KEY


def test_a_policy_in_yaml_keeps_its_version_as_text():
    text = "Version: 2012-10-17\nStatement:\n- Effect: Allow\n  Action: kms:Sign\n  Resource: '*'\n"
    (policy,) = load("p.yaml", text).policies
    assert policy.version == "2012-10-17"
    assert policy.statements[0].place == Place(3, 3)


def test_a_template_gives_its_policies_keys_aliases_and_trails():
    found = load("t.yaml", TEMPLATE)
    key_policy = named(found.policies, "AuditKey")
    assert key_policy.kind is Kind.KEY
    assert key_policy.statements[0].principals is not None
    assert key_policy.statements[0].principals[0].text == "arn:aws:iam::⟦AWS.AccountId⟧:root"
    assert key_policy.statements[0].place == Place(14, 13)
    assert (found.keys[0].spec, found.keys[0].usage) == ("ECC_NIST_EDWARDS25519", "SIGN_VERIFY")
    assert (found.aliases[0].name, found.aliases[0].target) == ("alias/audit", "⟦AuditKey⟧")
    assert named(found.policies, "Role.AssumeRolePolicyDocument").kind is Kind.TRUST


def test_both_branches_of_a_choice_count():
    policy = named(load("t.yaml", TEMPLATE).policies, "Role.Policies[sign]")
    (statement,) = policy.statements
    assert [item.text for item in statement.actions or ()] == ["kms:*", "kms:Sign"]
    assert [item.text for item in statement.resources or ()] == ["⟦AuditKey.Arn⟧"]
    assert [item.text for item in statement.conditions[0].values] == ["agent-manager"]


def test_a_policy_that_only_the_deployment_knows_is_reported_as_not_read():
    (unread,) = load("t.yaml", TEMPLATE).unread
    assert (unread.what, unread.place.line) == ("Managed", 40)


def test_a_trail_that_records_writes_alone_or_leaves_kms_out_is_told():
    (trail,) = load("t.yaml", TEMPLATE).trails
    assert (trail.reads, trail.kms, trail.problem) == (False, False, Place(46, 11))


def test_a_template_in_json_is_the_same_as_in_yaml():
    text = '{"Resources": {"K": {"Type": "AWS::KMS::Key", "Properties": {"KeySpec": {"Ref": "Spec"}}}}}'
    assert load("t.json", text).keys[0].spec == "⟦Spec⟧"


def test_terraform_documents_are_joined_resolved_and_attached():
    found = load("main.tf", TERRAFORM)
    policy = named(found.policies, "aws_kms_key.audit")
    base, deny = policy.statements
    assert policy.kind is Kind.KEY
    assert [item.text for item in base.actions or ()] == ["kms:Sign"]
    assert [item.text for item in base.resources or ()] == [
        "arn:aws:kms:eu-central-1:111122223333:key/*",
        "⟦aws_kms_key.audit.arn⟧",
    ]
    assert base.place == Place(8, 3)
    assert base.conditions[0].place.line == 12
    assert deny.principals is not None
    assert deny.principals[0].text == "arn:aws:iam::111122223333:user/${aws:username}"
    assert {policy.name for policy in found.policies} == {
        "aws_kms_key.audit",
        "aws_iam_role_policy.inline",
        "aws_iam_policy.heredoc",
    }


def test_terraform_jsonencode_and_here_documents_keep_their_lines():
    found = load("main.tf", TERRAFORM)
    inline = named(found.policies, "aws_iam_role_policy.inline")
    assert (inline.owner, inline.statements[0].place.line) == ("agent-manager", 41)
    heredoc = named(found.policies, "aws_iam_policy.heredoc")
    assert [statement.place.line for statement in heredoc.statements] == [50, 51]
    assert [item.text for statement in heredoc.statements for item in statement.resources or ()] == [
        "⟦aws_kms_key.audit.arn⟧",
        "⟦local.nowhere⟧",
    ]


def test_a_terraform_policy_out_of_a_file_is_reported_as_not_read():
    (unread,) = load("main.tf", TERRAFORM).unread
    assert unread.what == "aws_iam_policy.file"
    assert "file(" in unread.why


def test_a_terraform_trail_with_advanced_selectors_is_understood():
    (trail,) = load("main.tf", TERRAFORM).trails
    assert (trail.reads, trail.kms) == (False, True)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ('{"Policy": "{\\"Statement\\": {\\"Effect\\": \\"Allow\\", \\"Action\\": \\"kms:*\\"}}"}', Kind.IDENTITY),
        ('{"PolicyVersion": {"Document": {"Statement": [{"Effect": "Deny", "Action": "*"}]}}}', Kind.IDENTITY),
        ('{"AssumeRolePolicyDocument": {"Statement": [{"Effect": "Deny", "Action": "*"}]}}', Kind.TRUST),
    ],
)
def test_answers_of_aws_are_unwrapped(text: str, kind: Kind):
    assert load("answer.json", text).policies[0].kind is kind


def test_describe_key_list_grants_and_event_selectors_are_understood():
    key = load(
        "k.json", '{"KeyMetadata": {"Arn": "a", "KeySpec": "HMAC_256", "KeyUsage": "GENERATE_VERIFY_MAC"}}'
    ).keys[0]
    assert (key.name, key.spec) == ("a", "HMAC_256")
    assert len(load("g.json", '{"Grants": [{"GrantId": "g"}]}').grants) == 1
    trail = load("s.json", '{"TrailARN": "t", "EventSelectors": [{"ReadWriteType": "ReadOnly"}]}').trails[0]
    assert (trail.name, trail.reads, trail.kms) == ("t", True, True)


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("p.json", "", "p.json is empty"),
        ("p.json", "[1, 2", "p.json: line 1, column 6: not JSON"),
        ("p.json", '{"a": 1}', "p.json: line 1, column 1: this is not a policy"),
        ("p.json", '{"Statement": [{}]}', "no statement with an Effect"),
        (
            "p.json",
            '{"Statement": [{"Effect": "Allow", "Aktion": "a"}]}',
            "line 1, column 36: a statement has no element",
        ),
        (
            "p.json",
            '{"Version": "2015-01-01", "Statement": [{"Effect": "Allow"}]}',
            "column 13: unknown policy version",
        ),
        ("p.json", '{"Statement": [{"Effect": "Allow", "Action": "a", "NotAction": "b"}]}', "Action or NotAction"),
        ("p.json", '{"Statement": 1, "Statement": 2}', "column 18: the key 'Statement' stands twice"),
        ("p.yaml", "a: [", "p.yaml: line 1, column 5: not YAML"),
        ("p.yaml", "a: 1\na: 2", "line 2, column 1: the key 'a' stands twice"),
        ("p.yaml", "a: &a [*a]", "aliases never end"),
        ("p.tf", 'resource "x" "y" {\n  a = = 1\n}', "p.tf: line 2, column 7: not HCL"),
        ("p.json", "x" * (MAX_BYTES + 1), "1,048,577 bytes"),
    ],
)
def test_bad_input_is_one_line_with_its_place(name: str, text: str, said: str):
    with pytest.raises(InputError) as caught:
        load(name, text)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_aliases_that_multiply_are_refused():
    text = "a: &a [x,x,x,x,x,x,x,x]\n" + "".join(
        f"{chr(98 + n)}: &{chr(98 + n)} [{','.join(['*' + chr(97 + n)] * 8)}]\n" for n in range(8)
    )
    with pytest.raises(InputError, match="aliases never end"):
        load("bomb.yaml", text)


def test_bytes_that_are_no_text_are_refused_with_their_line():
    with pytest.raises(InputError, match="line 2: not UTF-8"):
        load_documents([("p.json", b"{\n\xff}")])


def test_a_document_that_takes_statements_from_itself_is_refused():
    text = (
        'data "aws_iam_policy_document" "a" {\n  source_policy_documents = [data.aws_iam_policy_document.a.json]\n}\n'
    )
    with pytest.raises(InputError, match="from itself"):
        load("a.tf", text)


ATTACHED = """\
resource "aws_iam_policy" "sign" {
  name   = "audit-sign"
  policy = jsonencode({ Statement = [{ Effect = "Allow", Action = "kms:Sign", Resource = "*" }] })
}
resource "aws_iam_role_policy_attachment" "agent" {
  role       = aws_iam_role.agent.name
  policy_arn = aws_iam_policy.sign.arn
}
resource "aws_iam_policy_attachment" "others" {
  name       = "others"
  users      = ["alice"]
  groups     = ["operators"]
  policy_arn = aws_iam_policy.sign.arn
}
"""


def test_a_terraform_policy_belongs_to_those_it_is_attached_to_and_counts_once():
    found = load("main.tf", ATTACHED)
    owners = [policy.owner for policy in found.policies]
    assert owners == ["⟦aws_iam_role.agent.name⟧", "alice", "group operators"]
    assert lint(found).policies == 1
    (bare,) = load("main.tf", ATTACHED.partition('resource "aws_iam_role_policy_attachment')[0]).policies
    assert bare.owner is None


def test_an_attachment_may_stand_in_another_file():
    policy, _, attachment = ATTACHED.partition('resource "aws_iam_role_policy_attachment')
    files = [("a.tf", policy.encode()), ("b.tf", b'resource "aws_iam_role_policy_attachment' + attachment.encode())]
    assert len(load_documents(files).policies) == 3


def test_a_managed_policy_of_a_template_belongs_to_the_roles_that_list_it():
    text = """
Resources:
  Sign:
    Type: AWS::IAM::ManagedPolicy
    Properties:
      Groups: [operators]
      PolicyDocument: {Statement: [{Effect: Allow, Action: kms:Sign, Resource: "*"}]}
  Agent:
    Type: AWS::IAM::Role
    Properties:
      ManagedPolicyArns: [!Ref Sign, "arn:aws:iam::aws:policy/ReadOnlyAccess"]
      AssumeRolePolicyDocument:
        Statement: [{Effect: Allow, Principal: {Service: ec2.amazonaws.com}, Action: sts:AssumeRole}]
"""
    found = load("t.yaml", text)
    assert [(policy.name, policy.owner) for policy in found.policies] == [
        ("Sign", "group operators"),
        ("Sign", "⟦Agent⟧"),
        ("Agent.AssumeRolePolicyDocument", "⟦Agent⟧"),
    ]
