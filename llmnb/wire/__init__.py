"""Requests and replies as providers write them: bytes and values, no socket, clock or thread."""
