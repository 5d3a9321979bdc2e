"""A real socket that answers with scripted bytes, one conversation after the other."""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Sequence

Step = bytes | str | float | Callable[[socket.socket], None]
"""Bytes to send, seconds to wait, or a word: ``"close"``, ``"reset"``, ``"stall"``, or ``"keep"``,
which reads the next request."""


class ScriptServer:
    """Listens at 127.0.0.1 and plays one script per connection; the last one is repeated.

    Args:
        scripts: What each connection does after a request was read.
        tls: Certificate and key, to speak TLS.
        greeting: Bytes to say to whoever comes, before anything is read; then it hangs up.
    """

    def __init__(
        self,
        *scripts: Sequence[Step],
        tls: tuple[str, str] | None = None,
        greeting: bytes | None = None,
    ) -> None:
        self._scripts = list(scripts) or [()]
        self._greeting = greeting
        self._tls: ssl.SSLContext | None = None
        if tls is not None:
            self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._tls.load_cert_chain(*tls)
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self.requests: list[bytes] = []
        self.connections = 0
        self.has_read = threading.Event()
        """Set once a request was read whole."""
        self._end = threading.Event()
        self._open: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """Address of an endpoint on it."""
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}/v1/chat/completions"

    @property
    def base_url(self) -> str:
        """Base address."""
        return self.url.removesuffix("/chat/completions")

    def __enter__(self) -> ScriptServer:
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._socket.close()
        for connection in self._open:
            with contextlib.suppress(OSError):  # closing alone would not wake the thread that reads
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()
        self._thread.join(5)
        for thread in self._threads:
            thread.join(5)

    def _accept(self) -> None:
        while not self._end.is_set():
            try:
                self._socket.settimeout(0.05)
                connection, _ = self._socket.accept()
            except TimeoutError:
                continue
            except OSError:
                return
            script = self._scripts[min(self.connections, len(self._scripts) - 1)]
            self.connections += 1
            self._open.append(connection)
            thread = threading.Thread(target=self._talk, args=(connection, script), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _talk(self, connection: socket.socket, script: Sequence[Step]) -> None:
        try:
            connection.settimeout(10)
            if self._greeting is not None:
                connection.sendall(self._greeting)
                connection.recv(65536)
                return
            if self._tls is not None:
                connection = self._tls.wrap_socket(connection, server_side=True)
                self._open.append(connection)
            self._read(connection)
            for step in script:
                if isinstance(step, bytes):
                    connection.sendall(step)
                elif step == "keep":
                    self._read(connection)
                elif step == "stall":
                    self._end.wait(30)
                elif isinstance(step, float):
                    self._end.wait(step)
                elif step == "reset":
                    connection.setsockopt(
                        socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
                    )
                elif callable(step):
                    step(connection)
        except OSError:
            pass  # the client has left, which is what many tests want
        finally:
            connection.close()

    def _read(self, connection: socket.socket) -> None:
        """Read one request whole."""
        data = b""
        while b"\r\n\r\n" not in data:
            piece = connection.recv(65536)
            if not piece:
                raise OSError("the client left")
            data += piece
        head, _, body = data.partition(b"\r\n\r\n")
        length = 0
        for line in head.split(b"\r\n"):
            if line.lower().startswith(b"content-length:"):
                length = int(line.split(b":")[1])
        while len(body) < length:
            body += connection.recv(65536)
        self.requests.append(head + b"\r\n\r\n" + body)
        self.has_read.set()


def reply(body: bytes, *headers: str, status: str = "200 OK", length: int | None = None) -> bytes:
    """Return a whole HTTP reply."""
    lines = [f"HTTP/1.1 {status}", "content-type: application/json", *headers]
    if not any(line.lower().startswith("transfer-encoding") for line in headers):
        lines.append(f"content-length: {len(body) if length is None else length}")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


GOOD = (
    b'{"id":"1","object":"chat.completion","model":"m","choices":[{"index":0,"message":'
    b'{"role":"assistant","content":"fine"},"finish_reason":"stop"}],'
    b'"usage":{"prompt_tokens":1,"completion_tokens":1}}'
)
