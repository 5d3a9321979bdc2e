"""Errors about answers that do not fit their schema, worded for people and for models."""

from __future__ import annotations

from collections.abc import Iterable

from llmnb.errors import SchemaMismatch

MAX_FAULTS = 6
"""Faults that a message names; an error's text has ten lines at most."""

_MAX_FAULT = 200
"""Characters of one fault."""

_MARK = "- "
"""Begins each fault's line."""


class Misfit(ValueError):
    """A document does not fit; inside this room only, where raw text is not at hand."""

    def __init__(self, faults: Iterable[str]) -> None:
        self.faults = tuple(faults)
        super().__init__("; ".join(self.faults))


def mismatch(name: str, text: str, faults: Iterable[str]) -> SchemaMismatch:
    r"""Return the error for an answer that does not fit.

    Args:
        name: Name of the schema.
        text: The answer; kept whole as ``raw`` and its beginning as ``body``.
        faults: What is wrong with it.

    Example:
        >>> error = mismatch("Review", "{}", ["stars: is missing"])
        >>> print(error)
        The answer does not fit 'Review'. Its text is kept with the error.
        - stars: is missing
        >>> error.raw
        b'{}'
    """
    every = list(faults)
    lines = [_MARK + single_line(fault, _MAX_FAULT) for fault in every[:MAX_FAULTS]]
    if len(every) > MAX_FAULTS:
        lines.append(f"{_MARK}and {len(every) - MAX_FAULTS:,} more faults")
    head = f"The answer does not fit {name!r}. Its text is kept with the error."
    return SchemaMismatch(
        "\n".join((head, *lines)),
        raw=text.encode("utf-8", "replace"),
        body=text[:2000],
        maybe_billed=True,
    )


def faults_in(error: Exception | str) -> list[str]:
    """Return the faults that an error's text names; its whole text where it names none.

    Example:
        >>> faults_in(mismatch("Review", "{}", ["stars: is missing"]))
        ['stars: is missing']
    """
    lines = str(error).splitlines()
    faults = [line.removeprefix(_MARK) for line in lines if line.startswith(_MARK)]
    return faults or [single_line(str(error), _MAX_FAULT)]


def single_line(text: str, length: int) -> str:
    """Return text on one line, its middle left out where it is too long.

    Example:
        >>> single_line("a long  story", 9)
        'a lo…tory'
    """
    if len(text) > 4 * length:  # so that a gigantic text is not split for two hundred characters
        text = f"{text[: 2 * length]}…{text[-2 * length :]}"
    text = " ".join(text.split())
    if len(text) <= length:
        return text
    half = (length - 1) // 2
    return f"{text[: length - 1 - half]}…{text[-half:]}"
