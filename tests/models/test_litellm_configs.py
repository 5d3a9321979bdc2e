"""Promises of `config`: every form that people write means what it evidently means."""

from __future__ import annotations

import pytest
from limits import RateLimitItemPerMinute, RateLimitItemPerSecond

from llmnb import LiteLLMModel
from llmnb.errors import ConfigurationError
from llmnb.models.litellm_model import provider_and_model, read_config
from llmnb.records import Limits
from llmnb.targets.litellm_target import LiteLLMConnection


def read(config=None, name=None):
    return read_config(name, config)


def test_nothing_at_all_is_the_default_model():
    """
    `LiteLLMModel()` works.
    """
    config = read()

    assert (config.name, config.n, dict(config.options)) == ("gpt-4o-mini", None, {})
    assert [endpoint.model for endpoint in config.endpoints] == ["openai/gpt-4o-mini"]


def test_the_model_list_of_the_document():
    """
    LiteLLM's own form: parameters, key and n stand in `litellm_params`.
    """
    config = read(
        {
            "model_list": [
                {
                    "model_name": "gpt-4o",
                    "litellm_params": {
                        "api_key": "not-a-key",
                        "frequency_penalty": 1.5,
                        "top_p": 0.9,
                        "max_tokens": 512,
                        "temperature": 0.1,
                        "n": 5,
                    },
                }
            ]
        },
        name="gpt-4o",
    )

    (endpoint,) = config.endpoints
    assert (endpoint.model, endpoint.api_key, config.n) == ("openai/gpt-4o", "not-a-key", 5)
    assert dict(endpoint.params) == {
        "frequency_penalty": 1.5,
        "top_p": 0.9,
        "max_tokens": 512,
        "temperature": 0.1,
    }
    assert "not-a-key" not in repr(config)


def test_the_short_form_of_the_document():
    """
    The fields themselves; `max_token`, as the document has it in one place, is `max_tokens`.
    """
    config = read({"name": "gpt-4o", "temperature": 0.1, "max_token": 512, "n": 5})

    assert (config.name, config.n) == ("gpt-4o", 5)
    assert dict(config.endpoints[0].params) == {"temperature": 0.1, "max_tokens": 512}


@pytest.mark.parametrize(
    ("limit", "expected"),
    [
        ({"gpt-4": "100/minute"}, 100.0),
        ({"openai/gpt-4": "100/minute"}, 100.0),
        ({("client", "gpt-4"): "100/minute"}, 100.0),
        ({"gpt-3.5-turbo": "100/minute"}, None),
        ("100/minute", 100.0),
        (RateLimitItemPerSecond(30, 1), 1800.0),
        ({"gpt-4": RateLimitItemPerMinute(1000, 1)}, 1000.0),
    ],
)
def test_a_rate_limit_counts_tokens_and_a_request_limit_requests(limit, expected):
    """
    A text, an item of limits, or a mapping from models to these.
    """
    (tokens,) = read({"rate_limit": limit}, name="gpt-4").endpoints
    (requests,) = read({"request_limit": limit}, name="gpt-4").endpoints

    assert tokens.limits == Limits(tokens_per_minute=expected)
    assert requests.limits == Limits(requests_per_minute=expected)


def test_limits_are_stated_by_model_for_the_shared_limiter():
    """
    Each model of a fallback list has its own, under the limiter's keys.
    """
    config = read(
        {
            "name": "gpt-4",
            "fallbacks": ["gpt-4o"],
            "rate_limit": {"gpt-4": "100/minute", "gpt-4o": "200/minute"},
            "request_limit": "5/second",
        }
    )

    assert [dict(endpoint.rates) for endpoint in config.endpoints] == [
        {("client", "gpt-4"): "100/minute", ("client|request", "gpt-4"): "5/second"},
        {("client", "gpt-4o"): "200/minute", ("client|request", "gpt-4o"): "5/second"},
    ]
    assert [endpoint.limits.tokens_per_minute for endpoint in config.endpoints] == [
        100.0,
        200.0,
    ]
    assert [endpoint.limits.requests_per_minute for endpoint in config.endpoints] == [
        300.0,
        300.0,
    ]


def test_each_entry_of_a_model_list_has_its_own_limits():
    """
    `rpm`, `tpm` and places beside an entry's parameters bind that entry alone.
    """
    entries = [
        {"model_name": "a", "litellm_params": {"model": "openai/x", "rpm": 60, "tpm": 500}},
        {"model_name": "b", "litellm_params": {"model": "groq/y", "max_parallel_requests": 2}},
    ]

    config = read({"model_list": entries, "fallbacks": ["b"]}, name="a")

    assert [endpoint.limits for endpoint in config.endpoints] == [
        Limits(requests_per_minute=60, tokens_per_minute=500),
        Limits(concurrency=2),
    ]
    assert [dict(endpoint.params) for endpoint in config.endpoints] == [{}, {}]


@pytest.mark.parametrize(
    "fallbacks",
    [
        {"fallbacks": ["claude-haiku-5-5"]},
        {"fallbacks": [{"gpt-4o": ["claude-haiku-5-5"]}]},
        {"router_kwargs": {"fallbacks": [{"gpt-4o": ["claude-haiku-5-5"]}]}},
        {"default_fallbacks": ["claude-haiku-5-5"]},
    ],
)
def test_fallbacks_in_litellms_notation_and_as_a_list(fallbacks):
    """
    They are asked in order, without the first one's address and key.
    """
    config = read({"name": "gpt-4o", "api_key": "K", "temperature": 0, **fallbacks})

    assert [endpoint.model for endpoint in config.endpoints] == [
        "openai/gpt-4o",
        "anthropic/claude-haiku-5-5",
    ]
    assert [endpoint.api_key for endpoint in config.endpoints] == ["K", None]
    assert config.endpoints[1].params == {"temperature": 0}


def test_several_entries_of_the_same_name_are_alternatives_in_order():
    """
    And a fallback that the list describes brings its own parameters.
    """
    entries = [
        {"model_name": "a", "litellm_params": {"model": "openai/x", "api_base": "http://1.x/v1"}},
        {"model_name": "a", "litellm_params": {"model": "openai/x", "api_base": "http://2.x/v1"}},
        {"model_name": "b", "litellm_params": {"model": "groq/y", "temperature": 1}},
        {"model_name": "c", "litellm_params": {"model": "groq/z"}},
    ]

    config = read({"model_list": entries, "fallbacks": [{"a": ["b"]}]}, name="a")

    assert [(endpoint.model, endpoint.url) for endpoint in config.endpoints] == [
        ("openai/x", "http://1.x/v1"),
        ("openai/x", "http://2.x/v1"),
        ("groq/y", ""),
    ]
    assert read({"model_list": entries}).name == "a"


def test_attempts_limits_and_other_options_go_to_the_run():
    """
    LiteLLM's own names for them are understood; none of them is sent as a parameter.
    """
    config = read(
        {
            "name": "gpt-4o",
            "num_retries": 4,
            "timeout": 30,
            "rpm": 60,
            "tpm": 6000,
            "max_parallel_requests": 3,
            "use_cache": False,
            "project_name": "Mine",
            "kwargs": {"temperature": 0},
        }
    )

    assert dict(config.options) == {
        "max_attempts": 5,
        "use_cache": False,
        "project_name": "Mine",
    }
    assert config.endpoints[0].limits == Limits(
        requests_per_minute=60, tokens_per_minute=6000, concurrency=3
    )
    assert dict(config.endpoints[0].params) == {"temperature": 0}


@pytest.mark.parametrize(
    "config",
    [
        [{"name": "gpt-4o"}],
        {"gpt-4o"},
        {"model_list": {"model_name": "a"}},
        {"model_list": ["gpt-4o"]},
        {"model_list": [{"model_name": "other"}], "name": "gpt-4o"},
        {"rate_limit": "often"},
        {"rate_limit": {"gpt-4o-mini": "often"}},
        {"n": 0},
        {"max_parallel_requests": 0},
        {"n": "five"},
        {"fallbacks": 5},
        {"name": "gpt-4o", "fallbacks": [{"gpt-4o": 5}]},
    ],
)
def test_what_cannot_be_read_is_refused_at_once(config):
    """
    A configuration error where the model is made, not at the first request.
    """
    with pytest.raises(ConfigurationError):
        read(config)
    with pytest.raises(ConfigurationError):
        LiteLLMModel(config=config)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("gpt-4o", ("openai", "gpt-4o")),
        ("openai/gpt-4o", ("openai", "gpt-4o")),
        ("claude-haiku-5-5", ("anthropic", "claude-haiku-5-5")),
        ("together_ai/meta-llama/x", ("together", "meta-llama/x")),
        ("fireworks_ai/x", ("fireworks", "x")),
        ("hosted_vllm/tiny", ("vllm", "tiny")),
        ("ollama_chat/llama3", ("ollama", "llama3")),
        ("azure/mine", ("azure", "mine")),
        ("bedrock/anthropic.claude-3", ("litellm", "bedrock/anthropic.claude-3")),
        ("vertex_ai/gemini-pro", ("litellm", "vertex_ai/gemini-pro")),
        ("litellm/openai/gpt-4o", ("litellm", "openai/gpt-4o")),
        ("nobody-knows-it", ("litellm", "nobody-knows-it")),
    ],
)
def test_litellms_names_mean_the_catalogs_providers_or_litellm_itself(name, expected):
    """
    What the catalog knows is asked directly.
    """
    assert provider_and_model(name) == expected


def test_addresses_as_litellm_writes_them():
    """
    Bare hosts get the path that the provider's own address has; Azure's version goes along.
    """
    claude, ollama, azure, own = (
        read({"name": name, "api_base": url, **more}).endpoints[0]
        for name, url, more in [
            ("anthropic/claude-x", "http://127.0.0.1:1", {}),
            ("ollama/x", "http://127.0.0.1:11434/", {}),
            ("azure/d", "https://mine.openai.azure.com", {"api_version": "2024-10-21"}),
            ("my-own", "http://127.0.0.1:8000/v1", {}),
        ]
    )

    assert claude.url == "http://127.0.0.1:1/v1"
    assert ollama.url == "http://127.0.0.1:11434/v1"
    assert azure.url == "https://mine.openai.azure.com?api-version=2024-10-21"
    assert own.model == "openai/my-own"


def test_what_only_litellm_needs_never_becomes_a_part_of_the_request():
    """
    Regions, accounts and headers travel beside the body, and show in no repr.
    """
    config = read(
        {
            "name": "bedrock/x",
            "aws_secret_access_key": "S3CRET",
            "aws_region_name": "eu",
            "top_p": 1,
        }
    )

    (endpoint,) = config.endpoints
    assert isinstance(endpoint.owner, LiteLLMConnection)
    assert dict(endpoint.params) == {"top_p": 1}
    assert endpoint.owner.fields["aws_region_name"] == "eu"
    assert "S3CRET" not in repr(config)


@pytest.mark.parametrize(
    ("there", "keys"),
    [
        ({}, ["k1", "k1", None, None, None]),
        ({"api_base": "https://gateway.example/v1"}, ["k1", "k1", "k1", None, None]),
    ],
)
def test_a_key_beside_the_model_list_goes_to_its_own_provider_or_address(there, keys):
    """
    That of the first entry, or the address beside it; never to another provider or address.
    """
    models = [
        {"model": "openai/gpt-4o"},
        {"model": "openai/gpt-4o-mini"},
        {"model": "groq/llama-3"},
        {"model": "azure/x", "api_base": "https://x.openai.azure.example"},
        {"model": "m", "custom_llm_provider": "bedrock"},
    ]
    entries = [
        {"model_name": f"m{number}", "litellm_params": model} for number, model in enumerate(models)
    ]
    fallbacks = [{"m0": ["m1", "m2", "m3", "m4"]}]
    config = read({"model_list": entries, "fallbacks": fallbacks, "api_key": "k1", **there})

    assert [endpoint.api_key for endpoint in config.endpoints] == keys
    via_litellm = config.endpoints[-1].owner
    assert "k1" not in str(vars(via_litellm) if hasattr(via_litellm, "__dict__") else via_litellm)


@pytest.mark.parametrize(
    ("there", "entries", "asked"),
    [
        (
            {"api_base": "https://gateway.example/v1"},
            [{"model": "openai/a", "api_key": "k2"}, {"model": "openai/b", "api_key": "k3"}],
            [("https://gateway.example/v1", "k2"), ("https://gateway.example/v1", "k3")],
        ),
        (
            {"api_base": "https://gateway.example/v1"},
            [{"model": "a", "api_key": "k2"}, {"model": "b", "api_key": "k3"}],
            [("https://gateway.example/v1", "k2"), ("https://gateway.example/v1", "k3")],
        ),
        (
            {"api_base": "https://gateway.example/v1"},
            [{"model": "openai/a"}, {"model": "groq/b", "api_key": "k3"}],
            [("https://gateway.example/v1", "k1"), ("", "k3")],
        ),
        (
            {},
            [{"model": "openai/a", "api_base": base} for base in ("https://a", "https://a")],
            [("https://a", "k1"), ("https://a", "k1")],
        ),
        (
            {},
            [{"model": "openai/a"}, {"model": "b", "custom_llm_provider": "openai"}],
            [("", "k1"), ("", "k1")],
        ),
        (
            {"custom_llm_provider": "together"},
            [{"model": "a"}, {"model": "b"}],
            [("", "k1"), ("", "k1")],
        ),
    ],
)
def test_what_stands_beside_the_model_list_holds_for_each_entry_of_the_same_account(
    there, entries, asked
):
    """
    An entry may have a key of its own there, or name the first one's address or provider again.
    """
    model_list = [{"model_name": "m", "litellm_params": params} for params in entries]
    config = read({"model_list": model_list, "api_key": "k1", **there})

    assert [(endpoint.url, endpoint.api_key) for endpoint in config.endpoints] == asked
