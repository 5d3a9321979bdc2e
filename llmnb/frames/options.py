"""The options of a run over a table, checked: one list for every kind of table."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

from llmnb.errors import ConfigurationError
from llmnb.frames.keywords import FrameOptions
from llmnb.options import (
    Door,
    names,
    read_keywords,
    refuse_with_batch,
    with_params,
)
from llmnb.signatures import KEYWORDS

Example = tuple[Any, Any]
"""An input and the answer to it: a few-shot turn of each side."""


class Options(FrameOptions):
    """Keywords of `generate`, checked by `options_of`; what each means stands in `llmnb.options`.

    Raises:
        ConfigurationError: If two of them exclude each other.
    """

    __slots__ = ()

    def __post_init__(self) -> None:
        if self.mode == "batch":
            refuse_with_batch({"time_limit": self.time_limit, "hedge_after": self.hedge_after})
        if not isinstance(self.into, Hashable):
            raise ConfigurationError(
                f"into is the name of one column, not {type(self.into).__name__}. Nothing was sent."
            )
        if self.details and self.into is not None:
            raise ConfigurationError(
                "details=True gives a frame of its own, so it does not go with into=…: leave one "
                "of them out. Nothing was sent."
            )
        if self.quotes and self.messages is not None:
            raise ConfigurationError(
                "quotes=True looks quotes up in the cells that a prompt names, so it does not go "
                "with messages=…: leave one of them out. Nothing was sent."
            )
        if self.messages is not None and self.images is not None:
            raise ConfigurationError(
                "images= goes with a prompt: in messages=… pictures are parts of the messages. "
                "Nothing was sent."
            )

    @property
    def name(self) -> Hashable:
        """Name of the column of answers."""
        return "response" if self.into is None else self.into

    def for_door(self, door: Door) -> dict[str, Any]:
        """Return the options of `start`, `plan` or `start_batch`, beside who is asked."""
        return {name: getattr(self, name) for name in names("frames", door)}


def options_of(
    keywords: Mapping[str, Any], known: str = "GenerateOptions", where: str = ".llm"
) -> Options:
    """Return the options that keywords describe; ``max_tokens`` and the like become `params`.

    Args:
        keywords: What was named.
        known: The list of those that there are; `params` is one everywhere.
        where: What has them, in messages.

    Raises:
        TypeError: If there is no such keyword; the message names the nearest.
        ConfigurationError: If one has no such value.

    Example:
        >>> options_of({"n": 2}).n
        2
        >>> options_of({"max_rpm": 5})
        Traceback (most recent call last):
        llmnb.errors.UnknownOption: .llm has no keyword 'max_rpm'...
        >>> options_of({"max_tokens": 9}).params
        {'max_tokens': 9}
    """
    taken = dict.fromkeys([*KEYWORDS[known], "params"])
    options, fields = read_keywords(keywords, taken, where, KEYWORDS["GenerateOptions"])
    options["params"] = body = with_params(options.get("params"), fields)
    n = body.get("n")
    if n not in (None, 1, options.get("n", 1)):
        raise ConfigurationError(
            f"A cell has room for one answer: write n={n!r} beside params, and not in it, for "
            "a list of them in each. Nothing was sent."
        )
    if n not in (None, 1):
        del body["n"]  # several answers to a row are requests of their own
    return Options(**options)
