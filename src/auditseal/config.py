"""Settings: flag, environment and file become frozen, checked values."""
