"""Witnesses of checkpoints: asking one over HTTP, and being one."""
