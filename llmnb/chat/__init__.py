"""Conversations: what every chat model can do, and messages, answers and tools as values."""
