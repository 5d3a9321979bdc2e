"""What a proxy between may do: before its tunnel stands nothing is sent, and that is told."""

from __future__ import annotations

import ssl

import pytest
from asking import ask, questions
from certificates import self_signed
from script_server import GOOD, ScriptServer, reply
from short_waits import shorten_waits

import llmnb.engine.run_context
import llmnb.targets.target
from llmnb import bridge, errors
from llmnb.adapters import egress
from llmnb.adapters.http import HttpClient
from llmnb.targets.resolve import resolve

STANDS = b"HTTP/1.1 200 Connection established\r\n\r\n"
CLOSED = "the connection was closed"
NAMES = ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "NO_PROXY")


@pytest.fixture(autouse=True)
def may_leave(monkeypatch):
    """What goes to a name that is not this machine's goes to a proxy on it."""
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    egress.forbid_real_requests(False)
    egress._warn_once.cache_clear()
    yield
    egress.forbid_real_requests(True)


@pytest.fixture
async def client():
    client = HttpClient(total_timeout=60, connect_timeout=30)
    yield client
    await client.close()


async def fault(client, url="https://model.example/v1"):
    with pytest.raises(errors.LLMNBError) as caught:
        await client.post(url, headers={}, body=b"{}", origin_has_key=False)
    return caught.value


def hello(connection):
    """Wait for the client's first words about TLS."""
    connection.recv(65536)


BEFORE = {
    "closed": (["close"], CLOSED),
    "reset": (["reset"], CLOSED),
    "garbage": ([b"\x05\xff garbage\r\n\r\n", "close"], "is not HTTP"),
    "silent": (["stall"], "did not answer"),
    "a login is wanted": ([reply(b"", status="407 Login")], "the proxy refused (HTTP 407)"),
    "forbidden": ([reply(b"no", status="403 Forbidden")], "the proxy refused (HTTP 403)"),
    "it does not reach the host": ([reply(b"", status="502 Bad")], "the proxy refused (HTTP 502)"),
    "closed where TLS begins": ([STANDS, hello, "close"], CLOSED),
    "garbage where TLS begins": ([STANDS, hello, b"garbage garbage", "close"], "encrypted"),
    "silent where TLS begins": ([STANDS, "stall"], "did not answer"),
}


@pytest.mark.parametrize(("script", "message"), BEFORE.values(), ids=BEFORE)
async def test_what_fails_before_the_tunnel_stands_is_unsent(client, monkeypatch, script, message):
    """
    A proxy that hangs up, is silent, refuses or talks nonsense costs nothing, and is named.
    """
    if "stall" in script:  # else it is not a deadline that ends it
        monkeypatch.setattr(client, "_connect", 0.2)
    with ScriptServer(script) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://me:pass@127.0.0.1:{proxy.port}")
        error = await fault(client)

        assert proxy.requests[0].startswith(b"CONNECT model.example:443")

    assert type(error) is errors.Unsent
    assert not error.maybe_billed
    assert f"http://127.0.0.1:{proxy.port}" in error.message
    assert message in error.message
    assert "pass" not in error.message


async def test_a_refused_login_of_a_plain_request_is_unsent(client, monkeypatch):
    """
    Without TLS there is no tunnel: the proxy's 407 says that it has passed nothing on.
    """
    with ScriptServer([reply(b"", status="407 Login")]) as proxy:
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{proxy.port}")
        with pytest.warns(UserWarning, match="plain http"):
            error = await fault(client, "http://model.example/v1")

    assert type(error) is errors.Unsent
    assert "the proxy refused (HTTP 407)" in error.message


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    return self_signed(tmp_path_factory.mktemp("tls"), "model.example", kind="DNS")


async def test_what_is_lost_within_the_tunnel_may_be_billed(client, monkeypatch, certificate):
    """
    Once the tunnel stands and the request has gone through it, a lost reply is no free one.
    """
    heard = []

    def take_a_request_and_hang_up(connection):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate)
        with context.wrap_socket(connection, server_side=True) as encrypted:
            heard.append(encrypted.recv(65536))

    with ScriptServer([STANDS, take_a_request_and_hang_up]) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.port}")
        monkeypatch.setenv("SSL_CERT_FILE", certificate[0])
        error = await fault(client)

    assert heard[0].startswith(b"POST /v1")
    assert type(error) is errors.MaybeBilled


def test_rows_behind_a_broken_proxy_end_soon_and_cost_nothing(monkeypatch):
    """
    They are told with the proxy's name when nothing ever came from there, and none is sent.
    """
    shorten_waits(monkeypatch, 50)
    monkeypatch.setattr(llmnb.engine.run_context, "UNREACHED_SECONDS", 0.3)
    monkeypatch.setattr(
        llmnb.targets.target,
        "http_client",
        lambda: bridge.per_loop("http-proxied", HttpClient, HttpClient.close),
    )
    with ScriptServer(["close"]) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.port}")

        class Behind:
            base_url = "https://model.example/v1"

        run = ask(Behind, questions(8), max_attempts=100)
        outcomes = run.result(60)

        assert all(request.startswith(b"CONNECT") for request in proxy.requests)

    assert {type(outcome.error) for outcome in outcomes} == {errors.Unsent}
    assert not any(outcome.error.maybe_billed for outcome in outcomes)
    assert all(f"127.0.0.1:{proxy.port}" in outcome.error.message for outcome in outcomes)
    assert run.status().counts.shown().usd == 0


@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY"])
@pytest.mark.parametrize("scheme", ["socks5", "socks5h", "socks4", "SOCKS"])
def test_a_socks_proxy_is_reported_before_anything_is_sent(monkeypatch, variable, scheme):
    """
    The run does not begin: the error names socks, the variable and the way out, not the login.
    """
    monkeypatch.setenv(variable, f"{scheme}://me:pass@127.0.0.1:1080")

    with pytest.raises(errors.ConfigurationError) as caught:
        resolve("openai/m", api_key="k", url="https://model.example/v1")

    message = caught.value.message
    assert "does not speak socks" in message
    assert variable.upper() in message
    assert "Nothing was sent" in message
    assert "NO_PROXY" in message
    assert "pass" not in message


@pytest.mark.parametrize("proxy", ["http://:80", "http://a:b:c", "http://[::1", "ftp://a:21"])
def test_a_proxy_that_cannot_be_asked_is_reported_before_anything_is_sent(monkeypatch, proxy):
    """
    An address that cannot be read, or of another kind, names its variable.
    """
    monkeypatch.setenv("HTTPS_PROXY", proxy)

    with pytest.raises(errors.ConfigurationError, match="HTTPS_PROXY names a proxy"):
        resolve("openai/m", api_key="k", url="https://model.example/v1")


async def test_a_socks_proxy_that_comes_later_is_reported_too(client, monkeypatch):
    """
    The environment may change between the beginning of a run and a request.
    """
    monkeypatch.setenv("ALL_PROXY", "socks5://127.0.0.1:1080")

    error = await fault(client)

    assert type(error) is errors.ConfigurationError
    assert "socks" in error.message


def test_a_socks_proxy_does_not_matter_where_the_connection_is_direct(monkeypatch):
    """
    Hosts of NO_PROXY, and this machine, are reached without it.
    """
    monkeypatch.setenv("ALL_PROXY", "socks5://127.0.0.1:1080")
    monkeypatch.setenv("NO_PROXY", "model.example")
    resolve("openai/m", api_key="k", url="https://model.example/v1")

    with ScriptServer([reply(GOOD)]) as server:
        (outcome,) = ask(server, questions(1)).result(60)

    assert outcome.text == "fine"
