# A service's module as one meets it: one policy for everything it might do, the key found by its alias.
variable "environment" {
  type = string
}

data "aws_caller_identity" "current" {}

resource "aws_kms_key" "signing" {
  description              = "signing key of ${var.environment}"
  customer_master_key_spec = "RSA_2048"
  key_usage                = "SIGN_VERIFY"
  policy                   = data.aws_iam_policy_document.key.json
}

resource "aws_kms_alias" "signing" {
  name          = "alias/signing-${var.environment}"
  target_key_id = aws_kms_key.signing.key_id
}

data "aws_iam_policy_document" "key" {
  statement {
    sid       = "Root"
    actions   = ["kms:*"]
    resources = ["*"]
    principals {
      type        = "AWS"
      identifiers = ["arn:aws:iam::${data.aws_caller_identity.current.account_id}:root"]
    }
  }
  statement {
    sid       = "Service"
    actions   = ["kms:Sign", "kms:GetPublicKey", "kms:CreateGrant"]
    resources = ["*"]
    principals {
      type        = "AWS"
      identifiers = [aws_iam_role.service.arn]
    }
    condition {
      test     = "StringEquals"
      variable = "kms:ViaService"
      values   = ["lambda.eu-west-1.amazonaws.com"]
    }
  }
}

resource "aws_iam_role" "service" {
  name = "service"
  assume_role_policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [{ Effect = "Allow", Action = "sts:AssumeRole", Principal = { Service = "ecs-tasks.amazonaws.com" } }]
  })
}

resource "aws_iam_role_policy" "sign" {
  name = "sign"
  role = "service"
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid      = "ByAlias"
        Effect   = "Allow"
        Action   = ["kms:Sign", "kms:GenerateMac"]
        Resource = aws_kms_alias.signing.arn
      },
      {
        Sid      = "Wide"
        Effect   = "Allow"
        Action   = ["kms:Sign"]
        Resource = "arn:aws:kms:eu-west-1:${data.aws_caller_identity.current.account_id}:key/*"
        Condition = {
          "ForAllValues:StringEquals" = { "kms:ResourceAliases" = ["alias/signing-${var.environment}"] }
        }
      }
    ]
  })
}
