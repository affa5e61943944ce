"""Lint rules for IAM policies, key policies and trails around a signing key."""
