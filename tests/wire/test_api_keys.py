"""Promises about keys: what cannot travel is named by its place, what can goes in one header."""

from __future__ import annotations

import pytest

from llmnb import errors
from llmnb.wire.api_keys import auth_headers, check_key, mask, without_key
from llmnb.wire.catalog import load_catalog, provider


@pytest.mark.parametrize("key", ["k", "sk-proj-Ab_1", "a" * 500, "key.with~odd+signs/and=more"])
def test_a_key_that_can_travel_is_left_as_it_is(key):
    """
    Nothing is repaired, nothing is guessed.
    """
    assert check_key(key, "openai") == key


@pytest.mark.parametrize(
    ("key", "fault", "position"),
    [
        ("secret\n", "a line end", 7),
        ("\nsecret", "a line end", 1),
        ("sec\r\nret", "a line end", 4),
        ('"secret"', "a quote", 1),
        ("secret'", "a quote", 7),
        ("`secret`", "a quote", 1),
        ("sec ret", "a space", 4),
        (" secret", "a space", 1),
        ("secret\t", "a space", 7),
        ("sec\u200bret", "invisible character (U+200B)", 4),
        ("\ufeffsecret", "invisible character (U+FEFF)", 1),
        ("secret\u00a0", "invisible character (U+00A0)", 7),
        ("sec\x00ret", "invisible character (U+0000)", 4),
        ("sec\u202eret", "invisible character (U+202E)", 4),
        ("sécret", "not plain ASCII", 2),
        ("secret…", "not plain ASCII", 7),
        ("Bearer secret", "Bearer", 1),
        ("bearer\tsecret", "Bearer", 1),
        ('"Bearer secret"', "Bearer", 1),
        ("Authorization: Bearer secret", "Bearer", 1),
    ],
)
def test_a_key_that_cannot_travel_is_an_error_that_names_the_position(key, fault, position):
    """
    The position and the kind of character, never the value.
    """
    with pytest.raises(errors.InvalidKey) as caught:
        check_key(key, "openai")

    assert fault in str(caught.value)
    assert f"position {position}" in str(caught.value)
    assert "secret" not in repr(caught.value)
    assert "ret" not in str(caught.value).replace("Authorization", "")


@pytest.mark.parametrize("key", ["", " ", "\n", None, 7, b"secret"])
def test_what_is_no_key_at_all_is_an_error(key):
    """
    Empty, or not text.
    """
    with pytest.raises(errors.InvalidKey, match="openai"):
        check_key(key, "openai")


@pytest.mark.parametrize(
    ("name", "header", "value"),
    [
        ("openai", "authorization", "Bearer k"),
        ("azure", "api-key", "k"),
        ("anthropic", "x-api-key", "k"),
        ("gemini", "x-goog-api-key", "k"),
        ("groq", "authorization", "Bearer k"),
    ],
)
def test_a_key_goes_where_its_provider_looks_for_it(name, header, value):
    """
    In one header, and nowhere else.
    """
    result = auth_headers(provider(name), "k")

    assert result[header] == value
    assert [case for case in result.values() if "k" in case.split()] == [value]


def test_without_a_key_no_header_is_made_up():
    """
    Local servers are asked without one.
    """
    for row in load_catalog().values():
        assert row.key_header not in auth_headers(row, None)


def test_headers_that_a_provider_always_wants_are_there():
    """
    And the catalog's own mapping is not handed out.
    """
    result = auth_headers(provider("anthropic"), None)
    result["anthropic-version"] = "changed"

    assert auth_headers(provider("anthropic"), None) == {"anthropic-version": "2023-06-01"}


def test_a_stand_in_for_a_key_garbles_no_text():
    """
    "x" as the key of a local server is no secret.
    """
    assert mask("extra exits", "x") == "extra exits"
    assert mask("extra exits", "") == "extra exits"


def test_a_key_with_a_slash_is_hidden_however_the_server_writes_it():
    """
    Some servers write a slash in JSON with a backslash before it.
    """
    key = "azure/0123456789+abcdef/x="
    for written in (key, key.replace("/", "\\/")):
        assert without_key(b'{"a":"%b"}' % written.encode(), key) == b'{"a":"***"}'
