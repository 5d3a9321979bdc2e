"""The providers' words: bytes in, values out; no socket, no clock, no thread."""
