"""Texts as vectors: models that make them, and how batches keep to the one engine."""
