"""IAM and key policies: generate, lint, evaluate, check."""
