"""Promises about where requests may go."""

from __future__ import annotations

import pytest

from llmnb.adapters import egress
from llmnb.errors import RealRequestForbidden, UnsafeURL


@pytest.fixture(autouse=True)
def allowed():
    """Nothing is sent here: addresses are only judged."""
    before = egress.is_real_forbidden()
    egress.forbid_real_requests(False)
    yield
    egress.set_redirects({})
    egress.forbid_real_requests(before)


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "ftp://host/v1",
        "https://user:pass@host/v1",
        "https://user@host/v1",
        "http://169.254.169.254/latest/meta-data",
        "http://[fd00:ec2::254]/latest",
        "http://[fe80::1]/v1",
        "http://[::ffff:169.254.169.254]/",
        "http://2852039166/",
        "http://0xa9fea9fe/",
        "http://metadata.google.internal/v1",
        "https://",
        "host/v1",
        "https://host:port/v1",
    ],
)
def test_addresses_no_model_lives_at_are_refused(url):
    """
    Before any request, whether or not a key would travel; no password is repeated.
    """
    with pytest.raises(UnsafeURL) as caught:
        egress.safe_url(url, False)

    assert "pass" not in str(caught.value).replace("password", "").replace("/etc/passwd", "")


def test_a_key_never_travels_over_plain_http():
    """
    Off loopback it is refused, and the message says how to allow it.
    """
    with pytest.raises(UnsafeURL, match="allow_http"):
        egress.safe_url("http://10.0.0.5:8000/v1", True)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "127.8.9.10"])
def test_plain_http_is_fine_on_this_machine(host):
    """
    Loopback is no network.
    """
    assert egress.safe_url(f"http://{host}:8000/v1", True)


def test_plain_http_without_a_key_warns_once():
    """
    Prompts can be read on the way; once is enough to know.
    """
    with pytest.warns(UserWarning, match="plain http"):
        egress.safe_url("http://192.168.7.7:8000/v1", False)
    egress.safe_url("http://192.168.7.7:8000/v2", False)


def test_redirects_of_tests_change_the_origin_only():
    """
    Path and query stay; other origins are untouched.
    """
    egress.set_redirects({"https://api.openai.com": "http://127.0.0.1:9000/ignored"})

    assert (
        egress.safe_url("https://api.openai.com/v1/x?y=1", True) == "http://127.0.0.1:9000/v1/x?y=1"
    )
    assert egress.safe_url("https://api.groq.com/v1", True) == "https://api.groq.com/v1"


def test_real_requests_can_be_forbidden():
    """
    For a whole test suite; loopback and redirected origins stay open.
    """
    egress.set_redirects({"https://api.openai.com": "http://127.0.0.1:9000"})
    egress.forbid_real_requests(True)

    with pytest.raises(RealRequestForbidden):
        egress.safe_url("https://api.groq.com/v1", True)
    assert egress.safe_url("http://127.0.0.1:1/v1", True)
    assert egress.safe_url("https://api.openai.com/v1", True)


@pytest.mark.parametrize(
    ("url", "what"),
    [
        ("https://api.example.com/v1\n", "a line end at position 27 of 27"),
        ("https://api.exam\nple.com/v1", "a line end at position 17 of 27"),
        ("https://api.example.com\r/v1", "a line end at position 24 of 27"),
        ("https://api.example.com/\tv1", "a space at position 25 of 27"),
        ("https://api.example.com/\u200bv1", r"an invisible character \(U\+200B\) at position 25"),
    ],
)
def test_a_hidden_character_in_an_address_is_named_with_its_position(url, what):
    """
    It is not cut out in silence, so that another address would be asked.
    """
    for ask in (egress.check_characters, lambda one: egress.safe_url(one, True)):
        with pytest.raises(UnsafeURL, match=what) as caught:
            ask(url)
        assert "Nothing was sent" in caught.value.message


def test_an_address_in_another_alphabet_is_an_address():
    """
    Letters of any alphabet are seen, and pass.
    """
    egress.check_characters("https://api.例え.jp/v1")
