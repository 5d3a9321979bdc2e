"""Promises about the tables: tabled figures, the margin taken off once, whole endpoints."""

from __future__ import annotations

from llmnb.generation import SAFETY_MARGIN, requests_limits_dict, requests_url_dict
from llmnb.generation.recipients import asking_for, limits_for

TABLED = {
    "gpt-3.5-turbo-0125": (10_000, 50_000_000),
    "gpt-3.5-turbo-1106": (10_000, 50_000_000),
    "gpt-4-0613": (10_000, 1_000_000),
    "gpt-4-0314": (10_000, 1_000_000),
    "gpt-3.5-turbo-instruct": (3_500, 90_000),
    "gpt-4o-mini-2024-07-18": (30_000, 150_000_000),
    "o1-mini-2024-09-12": (30_000, 150_000_000),
    "gpt-4o-2024-11-20": (10_000, 30_000_000),
    "gpt-4-turbo-2024-04-09": (10_000, 2_000_000),
}


def test_limits_are_the_tabled_ones_with_the_margin_taken_off():
    """
    Three quarters of each, as whole numbers.
    """
    assert SAFETY_MARGIN == 0.75
    assert requests_limits_dict == {
        model: {
            "max_requests_per_minute": int(requests * 0.75),
            "max_tokens_per_minute": int(tokens * 0.75),
        }
        for model, (requests, tokens) in TABLED.items()
    }


def test_every_model_has_its_endpoint():
    """
    Chats for all but the one that completes texts.
    """
    assert set(requests_url_dict) == set(TABLED)
    for model, url in requests_url_dict.items():
        is_text = model == "gpt-3.5-turbo-instruct"
        assert url.endswith("/v1/completions" if is_text else "/v1/chat/completions")


def test_the_callers_own_numbers_are_never_scaled():
    """
    Only what comes from the table has the margin taken off.
    """
    first = {"model": "gpt-3.5-turbo-instruct"}

    assert limits_for(first, 3_500, 90_000) == (3_500, 90_000)
    assert limits_for(first, None, None) == (2_625, 67_500)
    assert limits_for({"model": "unknown"}, None, None) == (None, None)


def test_what_is_asked_follows_from_the_address_or_the_first_request():
    """
    Chats, texts and embeddings, by the endpoint's path, the table, or the request's fields.
    """
    host = "https://host/v1"
    assert asking_for({}, request_url=f"{host}/completions").gen_type == "text"
    assert asking_for({}, request_url=f"{host}/embeddings").gen_type == "embedding"
    assert asking_for({}, request_url=f"{host}/responses").gen_type == "responses"
    assert asking_for({}, request_url=host).gen_type == "chat"
    assert asking_for({"model": "gpt-3.5-turbo-instruct"}).gen_type == "text"
    assert asking_for({"model": "openai/m", "input": "a"}).gen_type == "embedding"
    assert asking_for({"model": "gpt-4-0613", "messages": []}).gen_type == "chat"


def test_a_key_of_a_provider_is_not_sent_to_anothers_address():
    """
    A model that names its provider is asked there, whatever address the others have.
    """
    url = "https://api.openai.com/v1/chat/completions"

    assert asking_for({"model": "groq/m"}, request_url=url).url is None
    assert asking_for({"model": "openai/m"}, request_url=url).url == url
