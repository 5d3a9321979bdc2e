"""What both servers do to sockets below HTTP."""

from __future__ import annotations

import asyncio
import socket
import struct

HOST = "127.0.0.1"
"""The only address that the simulated provider listens at."""


_TURNS = 5
"""A connection is handed to its protocol three turns of the loop after it was accepted."""


def listening(port: int) -> socket.socket:
    """Return a socket that listens at a port; 0 takes a free one.

    Raises:
        OSError: If the port is taken.
    """
    return socket.create_server((HOST, port), backlog=4096)


async def stop_accepting(listener: socket.socket) -> None:
    """Take no further connection, and wait until every one that was taken has been made.

    asyncio's server forgets those that it is about to make when it is closed, and leaves them
    open.
    """
    asyncio.get_running_loop().remove_reader(listener)
    for _ in range(_TURNS):
        await asyncio.sleep(0)


def reset_connection(transport: asyncio.Transport) -> None:
    """Drop a connection so that the other side sees a reset, not an end."""
    own = transport.get_extra_info("socket")
    if own is not None and not transport.is_closing():
        # Lingering for 0 seconds makes the kernel send RST on close.
        own.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()
