"""Least-privilege policies and stacks for a signing key, as JSON, Terraform or CloudFormation."""
