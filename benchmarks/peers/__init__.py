"""Scores and speed beside another library, trained on the same data."""
