"""Tiny datasets with known answers, for tests of algorithms here and elsewhere."""
