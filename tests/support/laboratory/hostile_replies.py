"""Faults that only this project's tests ask for: broken bytes, bombs, answers sent the hard way."""

from __future__ import annotations

import asyncio
import functools
import gzip
import zlib
from dataclasses import dataclass
from typing import Any, Literal

from llmnb.testing.faults import Fault, Sending, reply
from llmnb.testing.plan import ReplyPlan


def _whole_body(plan: ReplyPlan) -> bytes:
    """Return the body, where it is streamed all its events."""
    return plan.body if plan.stream is None else plan.stream.whole()


@dataclass(frozen=True, slots=True, kw_only=True)
class Raw(Sending):
    """Literal bytes on the socket in place of an HTTP reply."""

    data: bytes
    then: Literal["close", "reset", "stall"] = "close"

    async def send(self, exchange: Any) -> None:
        exchange.transport.write(self.data)
        await exchange.finish_broken(self.then)


@dataclass(frozen=True, slots=True, kw_only=True)
class Drip(Sending):
    """The answer comes one byte at a time."""

    seconds_per_byte: float

    @property
    def is_whole(self) -> bool:
        return True

    async def send(self, exchange: Any) -> None:
        body = _whole_body(exchange.plan)
        await exchange.begin(len(body))
        for position in range(len(body)):
            if position == len(body) - 1:
                exchange.handler.close(exchange.plan)
            await exchange.write(body[position : position + 1])
            await asyncio.sleep(self.seconds_per_byte)
        await exchange.end()


@dataclass(frozen=True, slots=True, kw_only=True)
class Garble(Sending):
    """An answer whose bytes are damaged, or which is right and hard to read."""

    how: Literal["half gzip", "half json", "awkward stream"]

    @property
    def is_whole(self) -> bool:
        return self.how == "awkward stream"

    async def send(self, exchange: Any) -> None:
        plan, body = exchange.plan, _whole_body(exchange.plan)
        exchange.handler.close(plan)
        if self.how == "half gzip":
            plan.headers["content-encoding"] = "gzip"
            packed = gzip.compress(body, mtime=0)
            await exchange.reply(packed[: len(packed) // 2])
        elif self.how == "half json":
            await exchange.reply(body[: len(body) // 2])
        elif plan.stream is None:
            await exchange.reply(body)
        else:
            await exchange.begin(None)
            for byte in made_awkward(body):
                await exchange.write(bytes((byte,)))
            await exchange.end()


def made_awkward(stream: bytes) -> bytes:
    """Write the same events as no careful server would, and as every client must read."""
    events = [
        # Those that have a name of their own keep it.
        b"event: message\n" + each if each.startswith(b"data: ") else each
        for each in stream.split(b"\n\n")
    ]
    lines = b"\n\n".join(events).replace(b"\n", b"\r\n")
    return b": a comment\r\n\r\nretry: 10\r\n\r\n" + lines


def raw(data: bytes, then: Literal["close", "reset", "stall"] = "close") -> Fault:
    """Put literal bytes on the socket, then close it, reset it or keep silent."""
    return Raw(name="raw", data=data, then=then, billed=True)


def broken_chunk() -> Fault:
    """Send a chunked body whose chunk is not what its length says."""
    head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n"
    return raw(head + b'x-llmnb-simulated: 1\r\n\r\n10\r\n{"id":"x"}\r\nzz\r\n').but(
        name="broken_chunk"
    )


def truncated_gzip() -> Fault:
    """Compress the answer and leave out the end of it."""
    return Garble(name="truncated_gzip", billed=True, how="half gzip")


def truncated_json() -> Fault:
    """Send half of the answer as if it were all of it."""
    return Garble(name="truncated_json", billed=True, how="half json")


def awkward_stream() -> Fault:
    """Send a right answer the hard way: CRLF, comments, names of events, byte by byte.

    Not streamed, it is an ordinary answer.
    """
    return Garble(name="awkward_stream", billed=True, how="awkward stream")


def drip(seconds_per_byte: float = 10.0) -> Fault:
    """Send the answer one byte at a time."""
    return Drip(name="drip", billed=True, seconds_per_byte=seconds_per_byte)


def deep(levels: int = 100_000) -> Fault:
    """Answer 200 with lists nested so deep that careless parsers die."""
    return reply(200, b"[" * levels + b"]" * levels, name="deep")


def huge(size_bytes: int = 33 * 2**20) -> Fault:
    """Answer 200 with a body of that size."""
    return reply(200, b'{"padding":"' + b"x" * size_bytes + b'"}', name="huge")


def bomb(size_bytes: int = 64 * 2**20) -> Fault:
    """Answer 200 with a small body that unpacks to that size."""
    packed = _packed_spaces(size_bytes)
    return reply(200, packed, headers={"content-encoding": "gzip"}, name="bomb")


@functools.lru_cache(maxsize=2)
def _packed_spaces(size_bytes: int) -> bytes:
    packer = zlib.compressobj(wbits=31)
    block = b" " * 2**20
    parts = [packer.compress(block) for _ in range(size_bytes // len(block))]
    return b"".join([*parts, packer.flush()])
