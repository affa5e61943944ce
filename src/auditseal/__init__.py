"""auditseal: a tamper-evident audit log, chained by hash and signed by AWS KMS, that anybody can verify offline."""
