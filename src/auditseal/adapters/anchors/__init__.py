"""Places where checkpoints are kept out of the operator's reach."""
