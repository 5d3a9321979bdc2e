"""The one engine: many rows to many answers, under every limit, with nothing lost.

A row's walk: the run pulls it when its window has room, the door prepares it
(body, key), the store answers it or a request task asks it, a request task admits and
sends attempts until there is an answer or a typed error, the answer is
committed, then shown.
"""
