"""Reads keys, policies, roles and trails out of AWS. Nothing here changes anything."""
