"""The body of a request as the simulated provider reads it, field by field."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Self

import orjson

from llmnb.testing.request import CHARACTERS_PER_TOKEN


class Rejected(Exception):
    """A body asks for something that cannot be given; becomes an HTTP 400.

    Args:
        message: What is wrong.
        param: Name of the parameter that is wrong.
    """

    def __init__(self, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.param = param


class Body(dict[str, Any]):
    """A body, or an object in one; what is asked of it raises `Rejected` where it does not fit."""

    @classmethod
    def of(cls, raw: bytes) -> Self:
        """Return the body that bytes hold."""
        try:
            value = orjson.loads(raw)
        except orjson.JSONDecodeError:
            raise Rejected("We could not parse the JSON body of your request.") from None
        if not isinstance(value, dict):
            raise Rejected("The body must be a JSON object.")
        return cls(value)

    def filled_list(self, name: str, problem: str) -> list[Any]:
        """Return a list that is not empty; `problem` tells what is wrong with others."""
        value = self.get(name)
        if not isinstance(value, list) or not value:
            raise Rejected(problem, name)
        return value

    def whole_number(self, name: str, *, least: int = 1) -> int | None:
        """Return a whole number that is not too small; None where there is none."""
        value = self.get(name)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise Rejected(
                f"Invalid value for '{name}': a whole number from {least} is wanted.", name
            )
        return value

    def stop_texts(self, name: str = "stop") -> tuple[str, ...]:
        """Return the texts at which an answer is to stop.

        OpenAI's ``stop`` may be one text, too, and holds at most four.
        """
        value, is_openai = self.get(name), name == "stop"
        if value is None:
            return ()
        if is_openai and isinstance(value, str):
            return (value,)
        if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
            raise Rejected(f"Invalid value for '{name}': a list of texts is wanted.", name)
        if is_openai and len(value) > 4:
            raise Rejected("Invalid value for 'stop': at most four texts are.", name)
        return tuple(value)

    def prompts(self, name: str) -> list[str]:
        """Return prompts as texts: one or several, each a text or a list of token numbers."""
        value = self.get(name)
        if isinstance(value, str):
            return [value]
        if isinstance(value, list) and value:
            if all(isinstance(number, int) for number in value):
                return [text_of_tokens(value)]
            texts = [text_of_tokens(item) if isinstance(item, list) else item for item in value]
            if all(isinstance(text, str) for text in texts):
                return texts
        raise Rejected(f"'{name}' is a text, or a list of texts or tokens.", name)


def text_of(content: object, name: str, problem: str) -> str:
    """Return the text of a message's content: a text, or parts, of which some have texts.

    Args:
        content: The content.
        name: Its name in the body.
        problem: What is wrong with other contents; ``{}`` in it becomes the name.

    Raises:
        Rejected: If it is neither.

    Example:
        >>> text_of([{"text": "a"}, {"type": "image"}, {"text": "b"}], "content", "Wrong.")
        'ab'
    """
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        raise Rejected(problem.format(name), name)
    texts = [part.get("text") for part in content if isinstance(part, dict)]
    return "".join(text for text in texts if isinstance(text, str))


def text_of_tokens(numbers: Iterable[object]) -> str:
    """Return a text for a list of token numbers, which counts as that many tokens.

    Example:
        >>> text_of_tokens([1, 20_000, 3])
        '   10000   3'
    """
    size = CHARACTERS_PER_TOKEN
    return "".join(f"{number!s:>{size}}"[-size:] for number in numbers)
