"""What both servers do to sockets below HTTP."""

from __future__ import annotations

import asyncio
import socket
import struct

HOST = "127.0.0.1"
"""The only address that the simulated provider listens at."""


def reset_connection(transport: asyncio.Transport) -> None:
    """Drop a connection so that the other side sees a reset, not an end."""
    own = transport.get_extra_info("socket")
    if own is not None and not transport.is_closing():
        # Lingering for 0 seconds makes the kernel send RST on close.
        own.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()
