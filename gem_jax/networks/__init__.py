"""Flax modules: perceptrons, critics and mixture heads. States come in normalized."""
