"""Rate limits and addresses of OpenAI's models: examples, to be replaced by your account's own.

Your account's limits stand on your provider's page of limits; write them here
at run time, such as ``requests_limits_dict["gpt-4-0613"] = limits(5_000, 600_000)``.
"""

from __future__ import annotations

from typing import TypedDict

SAFETY_MARGIN = 0.75
"""The part of a tabled limit that is used. Numbers passed as arguments are never scaled."""

CHAT_URL = "https://api.openai.com/v1/chat/completions"
COMPLETIONS_URL = "https://api.openai.com/v1/completions"


class RateLimits(TypedDict):
    """What a model may be asked within a minute."""

    max_requests_per_minute: int
    max_tokens_per_minute: int


def limits(requests: float, tokens: float) -> RateLimits:
    """Return a table's entry for an account's limits a minute, with the margin taken off.

    Example:
        >>> limits(3_500, 90_000)
        {'max_requests_per_minute': 2625, 'max_tokens_per_minute': 67500}
    """
    return {
        "max_requests_per_minute": int(requests * SAFETY_MARGIN),
        "max_tokens_per_minute": int(tokens * SAFETY_MARGIN),
    }


requests_limits_dict: dict[str, RateLimits] = {
    "gpt-3.5-turbo-0125": limits(10_000, 50_000_000),
    "gpt-3.5-turbo-1106": limits(10_000, 50_000_000),
    "gpt-4-0613": limits(10_000, 1_000_000),
    "gpt-4-0314": limits(10_000, 1_000_000),
    "gpt-3.5-turbo-instruct": limits(3_500, 90_000),
    "gpt-4o-mini-2024-07-18": limits(30_000, 150_000_000),
    "o1-mini-2024-09-12": limits(30_000, 150_000_000),
    "gpt-4o-2024-11-20": limits(10_000, 30_000_000),
    "gpt-4-turbo-2024-04-09": limits(10_000, 2_000_000),
}

requests_url_dict: dict[str, str] = {
    model: COMPLETIONS_URL if model == "gpt-3.5-turbo-instruct" else CHAT_URL
    for model in requests_limits_dict
}
"""The full endpoint of each tabled model."""
