"""HTTP on aiohttp, with the settings that keep money and keys safe.

Redirects are not followed, the environment's credentials are not read,
certificates are always verified, replies are bounded, and every failure
becomes one of our own errors: was it sent, may it be billed, can it be read.
"""

from llmnb.adapters.http.client import HttpClient, tls
from llmnb.adapters.http.reading import is_stream

__all__ = ["HttpClient", "is_stream", "tls"]
