"""Embedding texts: the models, and how batches of texts go through the engine."""
