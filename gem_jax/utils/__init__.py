"""What serves every layer: locks, progress. Knows nothing of learning."""
