"""Promises about the requests to batch APIs themselves."""

from __future__ import annotations

import pytest
from script_server import ScriptServer

from llmnb.adapters.http import HttpClient
from llmnb.errors import MaybeBilled

_OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-type: application/json\r\n\r\n{}"


async def test_a_submission_is_never_sent_again_by_the_connection():
    """On a kept-alive connection that closes under it, a submission is doubtful, not repeated."""
    client = HttpClient()
    report = {"headers": {}, "body": b"{}", "origin_has_key": False}
    try:
        with ScriptServer([_OK, "keep", "close"], [_OK]) as server:
            await client.post(server.url, **report)
            with pytest.raises(MaybeBilled):
                await client.post(server.url, **report, is_repeatable=False)
            assert server.connections == 1
            assert len(server.requests) == 2
    finally:
        await client.close()
