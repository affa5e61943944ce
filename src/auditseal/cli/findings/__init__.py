"""Findings that have a place in a file, in every form that a person or a CI system reads."""
