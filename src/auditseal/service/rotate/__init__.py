"""Rotating keys: step by step, each of which proves itself and can be done again."""
