"""Log-probabilities in one shape, whichever API told them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

TokenLogprobs: TypeAlias = tuple[tuple[tuple[str, float], ...], ...]
"""For each token of the answer the likeliest ones there, each with its log-probability."""


def total(found: Any) -> float | None:
    """Return the log-probability of a whole answer: the sum over its tokens; None if untold.

    Example:
        >>> total({"content": [{"token": "a", "logprob": -0.5}, {"token": "b", "logprob": -1}]})
        -1.5
    """
    values = [value for _, value in _chosen(found)]
    return sum(values) if values else None


def likeliest(found: Any) -> TokenLogprobs | None:
    """Return the likeliest tokens at each place; None where they were not told.

    Example:
        >>> likeliest({"content": [{"token": "a", "logprob": -0.5, "top_logprobs": [
        ...     {"token": "a", "logprob": -0.5}, {"token": "b", "logprob": -2.0}]}]})
        ((('a', -0.5), ('b', -2.0)),)
    """
    made = tuple(_pairs(place) for place in _places(found))
    return made if any(made) else None


def _chosen(found: Any) -> list[tuple[str, float]]:
    if isinstance(found, Mapping) and isinstance(values := found.get("token_logprobs"), list):
        tokens = found.get("tokens") or [""] * len(values)
        pairs = zip(tokens, values, strict=False)
        return [(str(token), float(value)) for token, value in pairs if _is_number(value)]
    return list(_pairs(_tokens(found)))


def _tokens(found: Any) -> list[Any]:
    """Return the chosen tokens, each an object of its own."""
    if isinstance(found, Mapping):
        for name in ("content", "chosenCandidates"):  # OpenAI's chat, Gemini
            if isinstance(tokens := found.get(name), list):
                return tokens
        return []
    return found if isinstance(found, list) else []  # OpenAI's responses


def _places(found: Any) -> list[Any]:
    """Return for each token of the answer what else could stand there."""
    if isinstance(found, Mapping):
        for name in ("top_logprobs", "topCandidates"):  # text completions, Gemini
            if isinstance(places := found.get(name), list):
                return places
    return [one.get("top_logprobs") for one in _tokens(found) if isinstance(one, Mapping)]


def _pairs(place: Any) -> tuple[tuple[str, float], ...]:
    if isinstance(place, Mapping):
        inner = place.get("candidates")
        if inner is None:  # text completions: a mapping from tokens to numbers
            items = place.items()
            return tuple((str(one), float(value)) for one, value in items if _is_number(value))
        place = inner
    made = []
    for one in place if isinstance(place, list) else ():
        if isinstance(one, Mapping):
            value = one.get("logprob", one.get("logProbability"))
            if _is_number(value):
                made.append((str(one.get("token", "")), float(value)))
    return tuple(made)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
