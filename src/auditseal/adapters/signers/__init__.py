"""Signers: local keys and AWS KMS."""
