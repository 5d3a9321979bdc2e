"""Text as it is put into a sentence: cut, counted, in lower case; and text that can be written."""

from __future__ import annotations

import difflib
import functools
import json
import math
import re
from collections.abc import Callable, Iterable
from typing import Any

_UNFINISHED_LINE = re.compile(r"(?<![.:;,?!…\s])\s*\n\s*")

Writer = Callable[[float], str]


def cut(text: str, longest: int) -> str:
    """Return at most `longest` characters, the last one an ellipsis where something is left out.

    Example:
        >>> cut("a line too long", 6), cut("short", 5), cut("gone", 0)
        ('a lin…', 'short', '')
    """
    if len(text) <= longest:
        return text
    return text[: longest - 1] + "…" if longest > 0 else ""


def single_line(message: str, longest: int = 600) -> str:
    r"""Return a message on a single line; of a longer one the middle is left out.

    What happened stands at the beginning of a message, and what to do at its end.

    Example:
        >>> single_line("No key was found. Ways to give it:\n  export KEY=1\n  a .env file")
        'No key was found. Ways to give it: export KEY=1; a .env file'
        >>> single_line("It failed, for a reason that is long. Run it again.", 28)
        'It failed, fo… Run it again.'
    """
    line = " ".join(_UNFINISHED_LINE.sub("; ", message.strip()).split())
    if len(line) <= longest:
        return line
    end = longest // 2
    return cut(line, longest - end) + line[-end:]


def counted(number: int, noun: str, plural: str | None = None) -> str:
    """Return a number with its noun.

    Example:
        >>> counted(1, "row"), counted(1338, "row"), counted(2, "reply", "replies")
        ('1 row', '1,338 rows', '2 replies')
    """
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def near_names(name: str, known: Iterable[str]) -> list[str]:
    """Return the one or two names that another may mean, the likeliest first, or none.

    Near is a name that is mistyped, begun, or made of the same words and others. Some letters in
    common are not enough: a wrong hint is worse than none.

    Example:
        >>> near_names("modle", ["model", "n"]), near_names("into", ["stop"])
        (['model'], [])
    """
    names, words = list(known), _words(name)
    close = difflib.get_close_matches(name, names, n=5, cutoff=0.75)
    if mistyped := [other for other in close if _is_alike_by_words(name, other)][:2]:
        return mistyped
    alike = [
        other
        for other in names
        if words and (words <= (others := _words(other)) or set() < others <= words)
    ]
    begun = [other for other in names if len(name) > 3 and other.startswith(name)]
    return difflib.get_close_matches(name, alike or begun, n=2, cutoff=0)


def _is_alike_by_words(name: str, other: str) -> bool:
    """Return whether each word of a name is like the other's: no longer one for another."""
    pairs = list(zip(name.split("_"), other.split("_"), strict=False))
    if name.count("_") != other.count("_"):
        return True
    return all(difflib.SequenceMatcher(None, *pair).ratio() > 0.6 for pair in pairs)


def _words(name: str) -> set[str]:
    """Return the words of a name that are long enough to mean something, in the singular."""
    return {word.rstrip("s") for word in re.split(r"[\W_]+", name) if len(word) > 3}


def inside(sentence: str) -> str:
    """Return a sentence's words as they stand inside another one; a name keeps its capital.

    Example:
        >>> inside("Refused by the model"), inside("HTTP 500")
        ('refused by the model', 'HTTP 500')
    """
    is_name = sentence[1:2].isupper()
    return sentence if is_name else sentence[:1].lower() + sentence[1:]


def mended(text: str) -> str:
    r"""Return a text that any encoding of Unicode can write: lone surrogates become U+FFFD.

    The two halves of a character that stand side by side become that character.

    Example:
        >>> mended("a\ud83d"), mended("\ud83d\ude00") == "\U0001f600"
        ('a\ufffd', True)
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


def mended_value(value: Any) -> Any:
    """Return a value of JSON's, with every text in it as `mended` returns it."""
    text = json.dumps(value, ensure_ascii=False)
    whole = mended(text)
    return value if whole is text else json.loads(whole)


def of_finite(*, least: float = -math.inf) -> Callable[[Writer], Writer]:
    """Decorate a function that writes numbers: it need not think of those that are none.

    Args:
        least: What the function gets for a smaller number.
    """

    def decorated(write: Writer) -> Writer:
        @functools.wraps(write)
        def written(number: float) -> str:
            if math.isnan(number):
                return "unknown"
            number = max(least, number)
            if math.isinf(number):
                return "∞" if number > 0 else "-∞"
            return write(number)

        return written

    return decorated
