"""What each thing that can happen on the wire gives: was it sent, may it be billed, is it whole."""

from __future__ import annotations

import asyncio
import gzip
import pickle
import socket
import traceback
import zlib

import http_transports
import pytest
from certificates import self_signed
from script_server import GOOD, ScriptServer, reply

from llmnb import errors
from llmnb.adapters import egress
from llmnb.adapters.http import HttpClient, exchange

SECRET = "sk-secret-0123456789abcdef"


@pytest.fixture(params=http_transports.TRANSPORTS)
async def client(request, monkeypatch):
    """Both ways of asking: what holds for one holds for the other."""
    http_transports.use(monkeypatch, request.param)
    client = HttpClient(total_timeout=60, connect_timeout=30, max_body=2**20)
    yield client
    await client.close()


@pytest.fixture
def impatient(client, monkeypatch):
    """The same, but no stream may be silent for longer than 0.3 seconds."""
    monkeypatch.setattr(client, "_idle", 0.3)
    return client


async def ask(client, url, **options):
    return await client.post(
        url,
        headers={"authorization": f"Bearer {SECRET}"},
        body=b"{}",
        origin_has_key=True,
        **options,
    )


@pytest.fixture
def may_leave():
    """For names that lead nowhere, and for what goes to a proxy on this machine."""
    egress.forbid_real_requests(False)
    egress._warn_once.cache_clear()
    yield
    egress.forbid_real_requests(True)


async def fault(client, url, **options):
    with pytest.raises(errors.LLMNBError) as caught:
        await ask(client, url, **options)
    trace = "".join(traceback.format_exception(caught.value))
    assert SECRET not in trace + repr(caught.value.details)
    assert SECRET.encode() not in pickle.dumps(caught.value)
    return caught.value


async def test_a_good_reply_is_read_whole(client):
    """
    Status, lower-case headers, body, and the seconds it took.
    """
    with ScriptServer([reply(GOOD, "X-Request-ID: abc")]) as server:
        raw = await ask(client, server.url)

    assert (raw.status, raw.body, raw.headers["x-request-id"]) == (200, GOOD, "abc")
    assert raw.seconds > 0


async def test_an_unknown_host_is_unsent(client, may_leave):
    """
    No such name: nothing left this machine.
    """
    error = await fault(client, "https://no-such-host.invalid/v1")

    assert type(error) is errors.Unsent
    assert not error.maybe_billed


async def test_a_refused_connection_is_unsent(client):
    """
    Nobody listens.
    """
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

    assert type(await fault(client, f"http://127.0.0.1:{port}/v1")) is errors.Unsent


@pytest.fixture(scope="session")
def certificate(tmp_path_factory):
    return self_signed(tmp_path_factory.mktemp("tls"), "127.0.0.1", kind="IP")


async def test_an_untrusted_certificate_is_unsent_and_never_accepted(client, certificate):
    """
    Verification is not dropped; the request stays here.
    """
    with ScriptServer([reply(GOOD)], tls=certificate) as server:
        error = await fault(client, server.url)

        assert type(error) is errors.Unsent
        assert "certificate" in error.message
        assert server.requests == []


async def test_a_server_that_hangs_up_before_tls_stands_is_unsent(client):
    """
    No request goes over a connection that could not be encrypted.
    """
    with ScriptServer(greeting=b"I do not speak TLS") as server:
        error = await fault(client, server.url.replace("http:", "https:"))

    assert type(error) is errors.Unsent


async def test_a_certificate_of_the_environment_is_honoured(certificate, monkeypatch):
    """
    SSL_CERT_FILE names a further authority.
    """
    monkeypatch.setenv("SSL_CERT_FILE", certificate[0])
    client = HttpClient()
    try:
        with ScriptServer([reply(GOOD)], tls=certificate) as server:
            assert (await ask(client, server.url)).body == GOOD
    finally:
        await client.close()


@pytest.mark.parametrize(
    "script",
    [["reset"], ["close"], [b"HTTP/1.1 200 OK\r\ncontent-le", "reset"]],
    ids=["reset before the reply", "closed before the reply", "reset within the headers"],
)
async def test_a_connection_lost_after_sending_may_be_billed(client, script):
    """
    The request was on its way; nobody knows whether it was answered.
    """
    with ScriptServer(script) as server:
        error = await fault(client, server.url)

    assert isinstance(error, (errors.MaybeBilled, errors.BadReply))
    assert error.maybe_billed


async def test_a_stale_connection_is_replaced_once_for_free(client):
    """
    A kept-alive connection closed by the server: the request goes out again on a fresh one.
    """
    with ScriptServer([reply(GOOD), "keep"], [reply(GOOD)]) as server:
        await ask(client, server.url)
        assert (await ask(client, server.url)).body == GOOD
        assert server.connections == 2


async def test_a_fresh_connection_that_is_lost_is_not_tried_again(client):
    """
    The free re-send is for stale connections only.
    """
    with ScriptServer(["close"]) as server:
        await fault(client, server.url)
        assert server.connections == 1


SILENT = pytest.mark.parametrize(
    "script",
    [["stall"], [reply(GOOD)[:-20], "stall"]],
    ids=["headers never come", "the body stalls"],
)


@SILENT
async def test_a_silent_stream_ends_after_the_idle_time(impatient, script):
    """
    No byte for the idle time: timed out, perhaps billed.
    """
    with ScriptServer(script) as server:
        error = await fault(impatient, server.url, feed=lambda piece: True, total_timeout=60)

    assert type(error) is errors.TimedOut
    assert error.maybe_billed


@SILENT
async def test_a_silent_reply_ends_after_the_whole_time(client, script):
    """
    A reply in one piece may come late, not never: timed out, perhaps billed.
    """
    with ScriptServer(script) as server:
        error = await fault(client, server.url, total_timeout=0.3)

    assert type(error) is errors.TimedOut
    assert error.maybe_billed


async def test_a_reply_that_comes_whole_may_take_longer_than_the_idle_time(impatient):
    """
    A model that thinks says nothing meanwhile; its answer is not given up and bought again.
    """
    with ScriptServer([0.6, reply(GOOD)]) as server:
        assert (await ask(impatient, server.url)).body == GOOD
        assert len(server.requests) == 1


async def test_what_nobody_asked_for_is_never_the_next_answer(client):
    """
    A server that answers again later: what came is dropped with its connection.
    """
    other = reply(GOOD.replace(b"fine", b"else"))
    with ScriptServer([reply(GOOD), 0.05, other, "keep", "stall"], [reply(GOOD)]) as server:
        first = await ask(client, server.url)
        async with asyncio.timeout(60):
            while not any(line.should_close for line in _idle(client)):  # noqa: ASYNC110 - who would tell
                await asyncio.sleep(0.01)
        second = await ask(client, server.url)

    assert (first.body, second.body) == (GOOD, GOOD)
    assert server.connections == 2


def _idle(client):
    """Return the connections in the pool that nobody uses."""
    pool = client._pool
    just_used = [line.protocol for kept in pool._kept.values() for line, _ in kept]
    return just_used + [line for kept in pool._conns.values() for line, _ in kept]


async def test_a_connection_that_no_request_has_wanted_goes_to_the_librarys_pool(client):
    """
    There it is closed once it has been idle for long; until then the next request has it.
    """
    with ScriptServer([reply(GOOD), "keep", reply(GOOD)]) as server:
        await ask(client, server.url)
        client._pool._hand_over()
        idle = sum(map(len, client._pool._conns.values()))
        await ask(client, server.url)

    assert (idle, server.connections) == (1, 1)


async def test_the_leave_to_go_on_is_not_the_reply(client):
    """
    1xx heads before the reply, which some gateways send, are passed over.
    """
    with ScriptServer([b"HTTP/1.1 102 Processing\r\n\r\n" + reply(GOOD)]) as server:
        assert (await ask(client, server.url)).body == GOOD


@pytest.mark.parametrize("size", [2, exchange.MOST_BYTES, exchange.MOST_BYTES + 1, 3 * 2**20])
async def test_every_body_arrives_whole(client, size):
    """
    However large: what arrives is what was sent, and its length is told.
    """
    body = b"x" * size
    with ScriptServer([reply(GOOD)]) as server:
        await client.post(server.url, headers={}, body=body, origin_has_key=False)
        head, _, arrived = server.requests[0].partition(b"\r\n\r\n")

    assert arrived == body
    assert b"\r\ncontent-length: %d" % size in head.lower()


async def test_session_and_exchange_agree(monkeypatch):
    """
    Method, path, headers and body are those that a session would send.
    """
    heads = []
    for transport in http_transports.TRANSPORTS:
        http_transports.use(monkeypatch, transport)
        client = HttpClient()
        with ScriptServer([reply(GOOD)]) as server:
            url = f"{server.url}/a%20b?api-version=1&x=%2F"
            await client.post(
                url,
                headers={"x-größe": "ä", "content-type": "application/json"},
                body=b"{}",
                origin_has_key=False,
            )
            head = server.requests[0].replace(b"%d" % server.port, b"PORT")
            first, *rest = head.split(b"\r\n")
            heads.append((first, sorted(line.lower() for line in rest)))
        await client.close()

    assert heads[0] == heads[1]


async def test_a_header_that_breaks_its_line_is_refused(client):
    """
    Nothing is sent: it would be read as a header of its own.
    """
    with ScriptServer([reply(GOOD)]) as server:
        with pytest.raises(errors.ConfigurationError):
            await client.post(
                server.url, headers={"x-a": "b\r\nx-c: d"}, body=b"{}", origin_has_key=False
            )
        assert server.requests == []


async def test_dripping_ends_with_the_total_timeout(client):
    """
    A byte now and then keeps the line busy, not the run.
    """

    def drip(connection):
        import time

        connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n")
        for _ in range(100):
            connection.sendall(b"x")
            time.sleep(0.02)

    with ScriptServer([drip]) as server:
        error = await fault(client, server.url, total_timeout=0.2)

    assert type(error) is errors.TimedOut


@pytest.mark.parametrize(
    "data",
    [
        reply(GOOD, length=len(GOOD) + 10),
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n5\r\nhe",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\nhello",
        reply(gzip.compress(GOOD)[:-12], "content-encoding: gzip"),
        reply(zlib.compress(GOOD)[:-6], "content-encoding: deflate"),
    ],
    ids=["short body", "cut chunk", "broken chunk", "cut gzip", "cut deflate"],
)
async def test_a_reply_that_ends_early_is_incomplete(client, data):
    """
    Never taken for the model's bad JSON.
    """
    with ScriptServer([data]) as server:
        error = await fault(client, server.url)

    assert isinstance(error, errors.BadReply)
    assert error.maybe_billed


@pytest.mark.parametrize(
    ("packed", "encoding"),
    [
        (gzip.compress(GOOD), "gzip"),
        (zlib.compress(GOOD), "deflate"),
    ],
    ids=["gzip", "deflate"],
)
async def test_packed_replies_are_unpacked(client, packed, encoding):
    """
    Whichever of the ways servers pack in.
    """
    with ScriptServer([reply(packed, f"content-encoding: {encoding}")]) as server:
        assert (await ask(client, server.url)).body == GOOD


async def test_a_bomb_is_stopped_at_the_cap(client):
    """
    A kilobyte that unpacks to 64 MiB is not unpacked.
    """
    bomb = gzip.compress(b" " * 2**26)
    with ScriptServer([reply(bomb, "content-encoding: gzip")]) as server:
        assert type(await fault(client, server.url)) is errors.ReplyTooLarge


async def test_a_huge_reply_is_stopped_at_the_cap(client):
    """
    Said or unsaid length: no further than a mebibyte here.
    """
    big = b" " * (2**20 + 100)
    with ScriptServer([reply(big)]) as server:
        assert type(await fault(client, server.url)) is errors.ReplyTooLarge


async def test_what_is_not_http_is_a_bad_reply(client):
    """
    An SSH server at the wrong port, say.
    """
    with ScriptServer([b"SSH-2.0-OpenSSH_9.2\r\n"]) as server:
        assert isinstance(await fault(client, server.url), errors.BadReply)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_refused_and_nothing_goes_to_the_second(client, status):
    """
    Both origins are named; the second server hears nothing.
    """
    with ScriptServer([reply(GOOD)]) as second:
        location = f"location: http://127.0.0.1:{second.port}/v1"
        with ScriptServer([reply(b"", location, status=f"{status} Moved")]) as first:
            error = await fault(client, first.url)

        assert type(error) is errors.RedirectRefused
        assert str(first.port) in error.message
        assert str(second.port) in error.message
        assert second.requests == []


async def test_a_stream_is_handed_on_as_it_comes(client):
    """
    Pieces go to the feed; the time of the first token is noted; the body is empty.
    """
    data = b"data: one\n\ndata: two\n\n"
    chunks = []

    def feed(piece):
        chunks.append(piece)
        return b"one" in piece

    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n"
    with ScriptServer([head + data[:11], data[11:]]) as server:
        raw = await ask(client, server.url, feed=feed)

    assert b"".join(chunks) == data
    assert raw.body == b""
    assert raw.first_token_seconds is not None


async def test_a_streamed_request_may_be_answered_whole(client):
    """
    Plain JSON is read whole, as if it had been asked for.
    """
    with ScriptServer([reply(GOOD)]) as server:
        raw = await ask(client, server.url, feed=lambda piece: None)

    assert raw.body == GOOD


async def test_proxies_of_the_environment_are_honoured(client, monkeypatch, may_leave):
    """
    The request goes to the proxy with the proxy's own credentials, which the target never sees.
    """
    with ScriptServer([reply(GOOD)]) as proxy:
        monkeypatch.setenv("http_proxy", f"http://me:pass@127.0.0.1:{proxy.port}")
        monkeypatch.setenv("HTTP_PROXY", f"http://me:pass@127.0.0.1:{proxy.port}")
        with pytest.warns(UserWarning, match="plain http"):
            raw = await client.post(
                "http://model.example/v1", headers={}, body=b"{}", origin_has_key=False
            )

        assert raw.body == GOOD
        assert b"POST http://model.example/v1" in proxy.requests[0]
        assert b"Proxy-Authorization: Basic" in proxy.requests[0]


async def test_no_proxy_and_netrc_are_honoured_and_ignored(client, monkeypatch, tmp_path):
    """
    NO_PROXY keeps the way direct; the credentials of ~/.netrc are never sent.
    """
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login me password netrc-secret\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with ScriptServer([reply(GOOD)]) as server:
        await client.post(server.url, headers={}, body=b"{}", origin_has_key=False)

        assert b"authorization" not in server.requests[0].lower()


async def test_cookies_are_not_kept(client):
    """
    A server's cookie does not come back to it.
    """
    with ScriptServer([reply(GOOD, "set-cookie: id=1"), "keep", reply(GOOD)]) as server:
        await ask(client, server.url)
        await ask(client, server.url)

        assert b"cookie" not in server.requests[1].lower()


async def test_cancelling_closes_the_connection(client):
    """
    A dropped request does not linger on the line.
    """
    import asyncio

    with ScriptServer(["stall"]) as server:
        task = asyncio.create_task(ask(client, server.url))
        await asyncio.to_thread(server.has_read.wait, 10)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
