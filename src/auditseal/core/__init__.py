"""The rules of the log: pure functions and values, without I/O, clock, randomness, environment or logging."""
