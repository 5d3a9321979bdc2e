"""A real Redis for a test: started, frozen, woken, killed and restarted at will."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import tempfile
import time
from contextlib import closing
from pathlib import Path
from typing import Any, Self

from needs import find_redis_server


class RedisServer:
    """A redis-server on a port of its own that keeps nothing on disk."""

    def __init__(self) -> None:
        program = find_redis_server()
        assert program is not None, "mark the test with pytest.mark.redis"
        self._program: Path = program
        self._folder = tempfile.TemporaryDirectory()
        with closing(socket.socket()) as listener:
            listener.bind(("127.0.0.1", 0))
            self.port: int = listener.getsockname()[1]
        self._process: subprocess.Popen[bytes] | None = None
        try:
            self.start()
        except BaseException:
            self.__exit__()
            raise

    @property
    def url(self) -> str:
        """What belongs into REDIS_URL."""
        return f"localhost:{self.port}"

    def start(self) -> None:
        """Start it, empty, on the same port as before."""
        self._process = subprocess.Popen(
            [
                str(self._program), "--port", str(self.port), "--bind", "127.0.0.1", "--save", "",
                "--appendonly", "no", "--dir", self._folder.name, "--maxmemory", "64mb",
                "--daemonize", "no",
            ],
            stdout=subprocess.DEVNULL,
        )  # fmt: skip
        deadline = time.monotonic() + 20
        while True:
            try:
                self.call("PING")
                return
            except OSError:
                assert time.monotonic() < deadline, "redis-server did not start"
                assert self._process.poll() is None, "redis-server ended at once"
                time.sleep(0.01)

    def settle(self) -> None:
        """Wait until it is no newcomer any more: the first seconds it gives nothing out."""
        while "uptime_in_seconds:0" in (about := self.call("INFO", "server")) or (
            "uptime_in_seconds:1\r" in about
        ):
            time.sleep(0.05)

    def call(self, *arguments: str) -> Any:
        """Send one command and return its first line, or a list of its lines."""
        with (
            socket.create_connection(("127.0.0.1", self.port), 5) as client,
            client.makefile("rwb") as file,
        ):
            file.write(b"*%d\r\n" % len(arguments))
            for word in (text.encode() for text in arguments):
                file.write(b"$%d\r\n%s\r\n" % (len(word), word))
            file.flush()
            return _read(file)

    def freeze(self) -> None:
        """Stop it without closing anything."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: int) -> None:
        assert self._process is not None
        os.kill(self._process.pid, number)

    def kill(self) -> None:
        """Kill it; what it held is lost."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.kill()
        self._folder.cleanup()


def _read(file: Any) -> Any:
    line = file.readline().decode().rstrip("\r\n")
    if not line:
        raise ConnectionError("redis-server closed the connection")
    kind, rest = line[0], line[1:]
    if kind == "$":
        return None if rest == "-1" else file.read(int(rest) + 2)[:-2].decode()
    if kind == "*":
        return [_read(file) for _ in range(int(rest))]
    return int(rest) if kind == ":" else rest
