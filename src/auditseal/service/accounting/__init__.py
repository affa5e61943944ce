"""Accounting for what the keys did: the log joined with CloudTrail."""
