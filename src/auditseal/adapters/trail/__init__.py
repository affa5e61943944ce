"""CloudTrail's records: from files, from S3, from LookupEvents; and the ledger that joins them with a log."""
