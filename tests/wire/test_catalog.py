"""Promises about the table of providers: complete, coherent, found by name, model and address."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest

from llmnb import errors
from llmnb.records import Usage
from llmnb.wire import limits
from llmnb.wire.catalog import (
    endpoint,
    load_catalog,
    provider,
    provider_of_url,
    providers_with_model,
)
from llmnb.wire.dialect import dialect, is_spoken

NAMES = [
    *("openai", "azure", "anthropic", "gemini", "groq", "together", "mistral", "deepseek"),
    *("openrouter", "fireworks", "deepinfra", "cerebras", "xai", "monsterapi"),
    *("ollama", "lmstudio", "vllm", "llamacpp", "local", "litellm"),
]

UNPRICED = {"deepinfra", "monsterapi"}
"""Providers that no offline price list has; a run there shows its cost as unknown."""


@pytest.fixture(params=list(load_catalog()))
def row(request):
    return provider(request.param)


def test_every_provider_is_there():
    """
    Those that the documentation names, and the order in which keys are looked for.
    """
    assert list(load_catalog()) == NAMES


def test_a_row_is_coherent(row):
    """
    Each kind of generation has a dialect and a path, and every other entry a known value.
    """
    assert row.dialects
    assert row.dialects.keys() == row.paths.keys()
    assert row.default_models.keys() <= row.paths.keys()
    assert all(path.startswith("/") for path in row.paths.values())
    assert row.charge in {"estimate", "actual"}
    assert row.limit_headers == "none" or row.limit_headers in limits.FAMILIES
    assert row.key_header in {"authorization", "api-key", "x-api-key", "x-goog-api-key"}
    assert row.base_url_env[0] == f"LLMNB_{row.name.upper()}_BASE_URL"
    assert len(set(row.base_url_env)) == len(row.base_url_env)


def test_an_address_is_safe(row):
    """
    Over https, except on this machine; without credentials; without a slash at its end.
    """
    if row.base_url is None:
        assert row.name in {"azure", "local", "litellm"}
        return
    parts = urlsplit(row.base_url)
    assert parts.scheme == ("http" if row.is_local else "https")
    assert (parts.hostname == "127.0.0.1") is row.is_local
    assert parts.username is parts.password is None
    assert not row.base_url.endswith("/")


def test_only_what_runs_here_or_goes_through_litellm_needs_no_key(row):
    """
    A cloud provider without a key variable would be asked without a key.
    """
    assert (not row.key_env) is (row.is_local or row.name == "litellm")


def test_default_models_have_a_known_price(row):
    """
    A run that nobody chose a model for can say what it costs.
    """
    from llmnb.adapters import prices

    for model in row.default_models.values():
        usd = prices.price(row.name, model, Usage(prompt=1000, completion=1000))
        assert (usd is None) is (row.name in UNPRICED)


def test_a_bare_default_model_finds_its_provider(row):
    """
    The names the table itself gives are names it knows.
    """
    for model in row.default_models.values():
        assert row.name in providers_with_model(model)


def test_all_with_openais_protocol_can_be_asked_now(row):
    """
    Text and chat work; a dialect that is named but not built says so plainly.
    """
    for kind, name in row.dialects.items():
        if name.startswith("openai.") and kind in {"chat", "text"}:
            assert dialect(name).name == name
        elif not is_spoken(name):
            with pytest.raises(errors.ConfigurationError, match="does not speak"):
                dialect(name)


def test_together_is_paced_evenly():
    """
    Its limits follow recent traffic, so bursts are refused.
    """
    assert [row.name for row in load_catalog().values() if row.even_pace] == ["together"]


def test_local_providers_cost_nothing():
    """
    And everything else may.
    """
    local = {row.name for row in load_catalog().values() if row.is_local}

    assert local == {"ollama", "lmstudio", "vllm", "llamacpp", "local"}


def test_names_are_known_in_any_case():
    """
    `OpenAI/gpt-…` is what many write.
    """
    assert provider(" OpenAI ").name == "openai"


@pytest.mark.parametrize(("typed", "meant"), [("opnai", "openai"), ("antropic", "anthropic")])
def test_a_mistyped_provider_is_an_error_with_suggestions(typed, meant):
    """
    The nearest names, then all of them.
    """
    with pytest.raises(errors.UnknownProvider, match=f"Did you mean {meant}"):
        provider(typed)


@pytest.mark.parametrize("name", ["", "\x1b[2J" * 100, "x" * 10_000])
def test_an_absurd_name_gives_a_short_error(name):
    """
    What was typed is shown, but not all of it and not as it would be obeyed.
    """
    with pytest.raises(errors.UnknownProvider) as caught:
        provider(name)

    assert len(str(caught.value)) < 600
    assert "\x1b" not in str(caught.value)


@pytest.mark.parametrize(
    ("model", "owners"),
    [
        ("gpt-4o-mini", ["openai"]),
        ("gpt-4o-mini-2024-07-18", ["openai"]),
        ("gpt-3.5-turbo", ["openai"]),
        ("claude-sonnet-5", ["anthropic"]),
        ("gemini-3.5-flash", ["gemini"]),
        ("mistral-large-latest", ["mistral"]),
        ("smollm2", ["local"]),
        ("gpt-4o-minni", []),
        ("gpt4", []),
        ("", []),
    ],
)
def test_bare_models_belong_to_whom_they_belong(model, owners):
    """
    A name that is nobody's stays nobody's, so that it can be corrected.
    """
    assert providers_with_model(model) == owners


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://api.openai.com/v1", "openai"),
        ("https://API.OpenAI.com:443/v1/chat/completions", "openai"),
        ("https://openrouter.ai/api/v1", "openrouter"),
        ("https://mine.openai.azure.com/openai/v1/chat/completions", "azure"),
        ("https://api.together.ai/v1", "together"),
        ("http://localhost:11434/v1", "ollama"),
        ("http://[::1]:8000/v1", "vllm"),
        ("http://api.openai.com/v1", None),
        ("https://api.openai.com:8443/v1", None),
        ("https://api.openai.com.evil.example/v1", None),
        ("https://evil.example/api.openai.com", None),
        ("https://api.openai.com@evil.example/v1", None),
        ("http://127.0.0.1:9", None),
        ("https://[broken", None),
        ("https://host:99999/", None),
        ("file:///etc/passwd", None),
        ("", None),
    ],
)
def test_an_address_is_somebodys_only_by_its_whole_origin(url, name):
    """
    Scheme, host and port; a look-alike is a stranger and gets nobody's key.
    """
    assert provider_of_url(url) == name


CLASSIC = "https://x.openai.azure.com/openai/deployments/d/chat/completions?api-version=2024-10-21"


@pytest.mark.parametrize(
    ("name", "base", "address"),
    [
        ("openai", "https://host/v1", "https://host/v1/chat/completions"),
        ("openai", " https://host/v1// ", "https://host/v1/chat/completions"),
        ("openai", "https://host", "https://host/chat/completions"),
        ("openai", "https://host/v1/chat", "https://host/v1/chat/completions"),
        ("openai", "https://host/v1?key=1", "https://host/v1/chat/completions?key=1"),
        ("openai", "https://host/v1/chat/completions", "https://host/v1/chat/completions"),
        ("openai", "https://host/v1/chat/completions/", "https://host/v1/chat/completions"),
        ("openai", "https://host/v1/completions", "https://host/v1/completions"),
        ("azure", "https://x.azure.com/", "https://x.azure.com/openai/v1/chat/completions"),
        ("azure", "https://x.azure.com/openai", "https://x.azure.com/openai/v1/chat/completions"),
        (
            "azure",
            "https://x.azure.com/openai/v1/",
            "https://x.azure.com/openai/v1/chat/completions",
        ),
        ("azure", CLASSIC, CLASSIC),
    ],
)
def test_an_address_may_be_a_base_a_half_or_an_endpoint(name, base, address):
    """
    Whichever a provider's page shows can be pasted.
    """
    assert endpoint(provider(name), base, "chat") == address
