"""Stores and other sources of entries."""
