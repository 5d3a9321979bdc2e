"""Targets: which model is meant, and how it is reached."""
