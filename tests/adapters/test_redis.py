"""Promises of the door to Redis: short patience, clear words, no password in them."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys

import pytest

from llmnb.adapters.redis import LIMITS, SharedStore, address, check
from llmnb.errors import ConfigurationError, LimiterError


@pytest.mark.parametrize(
    ("text", "full"),
    [
        ("localhost:6379", "redis://localhost:6379"),
        (" 10.0.0.7:7000 ", "redis://10.0.0.7:7000"),
        ("cache", "redis://cache"),
        ("redis://:secret@host:1/2", "redis://:secret@host:1/2"),
        ("rediss://host", "rediss://host"),
        ("unix:///run/redis.sock", "unix:///run/redis.sock"),
    ],
)
def test_what_people_write_is_an_address(text, full):
    """
    A host and a port is enough.
    """
    assert address(text) == full


@pytest.mark.parametrize("text", ["", ":6379", "http://:hush@h", "h:hush", "redis://", "h:99999"])
def test_what_is_no_address_is_refused_without_being_quoted(text):
    """
    It may hold a password.
    """
    with pytest.raises(ConfigurationError, match="host:port") as caught:
        address(text)

    assert "hush" not in str(caught.value)


async def test_a_server_that_never_answers_is_abandoned_within_a_second():
    """
    A frozen server is noticed by a call's own patience, and its password is in no message.
    """
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        store = SharedStore(f"redis://:hush@127.0.0.1:{port}")
        with pytest.raises(LimiterError, match="no answer in time") as caught:
            await store.run(LIMITS, ["x", "x:m", "x:t"], ["1"], int)
        await store.close()

    assert "hush" not in str(caught.value)
    assert f"127.0.0.1:{port}" in str(caught.value)


@pytest.mark.parametrize("greeting", [b"+OK", b":7", b"*0", b"%1\r\n$5\r\nproto\r\n:3"])
async def test_what_only_talks_like_a_redis_is_lost(greeting):
    """
    Whatever it says to the client's greeting, and where it says too little to the script.
    """

    async def talk(reader, writer):
        while data := await reader.read(65536):
            is_greeting = b"HELLO" in data
            writer.write((greeting if is_greeting else b"*1\r\n:5") + b"\r\n")
        writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    async with server:
        store = SharedStore(f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}")
        with pytest.raises(LimiterError, match=r"not the script|no answer in time"):
            await store.run(LIMITS, ["x", "x:m", "x:t"], ["1"], int, least=6)
        await store.close()


async def test_a_closed_port_is_lost_at_once():
    """
    Nobody listens: one short error, no retries underneath.
    """
    store = SharedStore("redis://:hush@127.0.0.1:1")
    try:
        with pytest.raises(LimiterError, match="no connection") as caught:
            await store.run(LIMITS, [], ["1"], int)
    finally:
        await store.close()

    assert "hush" not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.redis
async def test_a_wrong_password_says_so(redis):
    """
    What the server says is told in short.
    """
    redis.call("ACL", "SETUSER", "somebody", "on", ">right", "~*", "+@all")
    store = SharedStore(f"redis://somebody:hush@127.0.0.1:{redis.port}")
    try:
        with pytest.raises(LimiterError, match="Authentication") as caught:
            await store.run(LIMITS, [], ["1"], int)
    finally:
        await store.close()

    assert "hush" not in str(caught.value)


def test_without_the_extra_the_error_names_it():
    """
    The person reads what to install, before anything is sent.
    """
    code = (
        "import sys; sys.modules['redis'] = None\n"
        "from llmnb.adapters.redis import check\n"
        "from llmnb.errors import MissingExtra\n"
        "try: check('localhost:1')\n"
        "except MissingExtra as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert "pip install 'llmnb[redis]'" in done.stdout


def test_with_the_extra_a_check_is_silent():
    """
    Only the address is looked at; nothing is connected.
    """
    check("localhost:1")
