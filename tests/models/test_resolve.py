"""Promises about names: who is asked, at which address, with which key, or one clear error."""

from __future__ import annotations

import pytest

import llmnb
from llmnb import errors, settings
from llmnb.targets.resolve import choose, endpoint_url, resolve
from llmnb.wire.catalog import load_catalog, provider

KEYS = [name for row in load_catalog().values() for name in row.key_env]


@pytest.fixture(autouse=True)
def nobody(monkeypatch, tmp_path):
    """No key and no setting anywhere."""
    for name in (*KEYS, "LLMNB_MODEL", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(settings, "_current", settings.Settings())
    monkeypatch.setattr(settings, "_keys", {})
    monkeypatch.chdir(tmp_path)


def test_a_name_is_split_at_the_first_slash():
    """
    The rest may have slashes of its own.
    """
    choice = choose("together/meta-llama/Llama-3-8b")

    assert (choice.provider, choice.model) == ("together", "meta-llama/Llama-3-8b")


def test_without_a_name_and_a_key_the_toy_is_asked_and_announced():
    """
    Nobody takes the small model's answers for more than they are.
    """
    choice = choose()

    assert (choice.provider, choice.model) == ("local", "smollm2")
    assert "toy" in choice.announcement


def test_without_a_name_the_first_key_there_is_decides_and_reports_the_price(monkeypatch):
    """
    A choice made for the person is announced in one line, with what it costs.
    """
    monkeypatch.setenv("OPENAI_API_KEY", "k")

    choice = choose()

    assert choice.provider == "openai"
    assert "$" in choice.announcement
    assert len(choice.announcement.splitlines()) == 1


def test_argument_then_configure_then_environment(monkeypatch):
    """
    The documented order.
    """
    monkeypatch.setenv("LLMNB_MODEL", "groq/from-environment")
    assert choose().model == "from-environment"
    settings.configure(model="groq/from-configure")
    assert choose().model == "from-configure"
    assert choose("groq/from-argument").model == "from-argument"


def test_an_unknown_provider_is_an_error_with_suggestions():
    """
    A mistyped name never sends a request.
    """
    with pytest.raises(errors.UnknownProvider, match="openai"):
        resolve("opnai/gpt-4o-mini", api_key="k")


def test_a_bare_name_of_a_single_provider_resolves():
    """
    `gpt-4o-mini` can only mean one.
    """
    assert choose("gpt-4o-mini").provider == "openai"


def test_an_unknown_bare_name_says_how_to_name_a_model():
    """
    And suggests what may have been meant.
    """
    with pytest.raises(errors.UnknownModel, match="provider/model"):
        choose("mystery-13b")


def test_a_missing_key_is_a_single_error_that_lists_how_to_give_it():
    """
    Four ways, and one that needs no key.
    """
    with pytest.raises(errors.MissingKey) as caught:
        resolve("openai/gpt-4o-mini")

    for hint in ("OPENAI_API_KEY", ".env", "set_key", "api_key=", "local/smollm2"):
        assert hint in str(caught.value)


def test_a_models_name_with_a_slash_is_no_mistyped_provider():
    """
    Its provider stands before it, or it has an address; of a mistyped one the nearest is named.
    """
    with pytest.raises(errors.UnknownProvider, match="together/meta-llama/Llama-3-8b;") as caught:
        choose("meta-llama/Llama-3-8b")
    assert "url=" in str(caught.value)
    with pytest.raises(errors.UnknownProvider, match="Did you mean openai") as caught:
        choose("openia/gpt-4o-mini")
    assert "together/" not in str(caught.value)


def test_a_key_is_kept_for_a_provider_that_there_is():
    """
    A mistyped name is an error with the nearest, which shows no key that stands in its place.
    """
    for typed in ("openia", "OPENAI_API_KEY"):
        with pytest.raises(errors.UnknownProvider, match="Did you mean openai"):
            llmnb.set_key(typed, "sk-secret-1234567890")
    with pytest.raises(errors.UnknownProvider) as caught:
        llmnb.set_key("0123456789abcdef0123456789abcdef", "openai")
    assert "0123456789" not in str(caught.value)

    llmnb.set_key(" OpenAI ", "sk-secret-1234567890")
    assert resolve("openai/gpt-4o-mini")._key == "sk-secret-1234567890"
    llmnb.set_key("openai", None)
    with pytest.raises(errors.MissingKey):
        resolve("openai/gpt-4o-mini")


def test_an_address_may_be_a_base_or_an_endpoint():
    """
    Both spellings give the same endpoint.
    """
    row = provider("openai")

    for url in (
        "http://127.0.0.1:1/v1",
        "http://127.0.0.1:1/v1/",
        "http://127.0.0.1:1/v1/chat/completions",
    ):
        assert endpoint_url(row, url, "chat") == "http://127.0.0.1:1/v1/chat/completions"


@pytest.mark.parametrize("name", ["OPENAI_BASE_URL", "LLMNB_OPENAI_BASE_URL"])
def test_the_environment_overrides_the_address(monkeypatch, name):
    """
    Under the provider's own variable and under ours.
    """
    monkeypatch.setenv(name, "http://127.0.0.1:9/v1")

    assert resolve("openai/m", api_key="k").url == "http://127.0.0.1:9/v1/chat/completions"


def test_a_key_is_nowhere_to_be_seen():
    """
    Not in the target's repr, not in the name of its pool.
    """
    target = resolve("openai/m", api_key="sk-very-secret")

    assert "secret" not in repr(target) + target.pool


def test_every_provider_of_the_catalog_that_speaks_openai_resolves(monkeypatch):
    """
    With a key and an address where it needs them, each gives an endpoint.
    """
    for row in load_catalog().values():
        if row.name in ("local", "litellm") or row.dialects.get("chat") != "openai.chat":
            continue
        target = resolve(f"{row.name}/m", api_key="k", url=row.base_url or "https://host/v1")
        assert target.url.startswith("http")
        assert target.provider == row.name


def test_a_gen_type_the_provider_lacks_is_an_error_that_lists_what_it_has():
    """
    Before anything is sent.
    """
    with pytest.raises(errors.ConfigurationError, match="chat"):
        resolve("openai/m", api_key="k", gen_type="painting")
