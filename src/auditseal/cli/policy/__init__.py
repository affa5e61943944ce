"""The policy commands: generate, lint, simulate, who-can, check."""
