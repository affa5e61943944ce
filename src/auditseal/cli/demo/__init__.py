"""The demonstration: a small Agent Manager under every algorithm, verified offline, then tampered with."""
