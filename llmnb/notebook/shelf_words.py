"""Sizes, ages, names and prices of kept answers in words."""

from __future__ import annotations

from pathlib import Path

from llmnb.display import money, numbers
from llmnb.display.escape import visible
from llmnb.display.texts import counted

LABEL_LENGTH = 80


def where(folder: Path) -> str:
    """Return a folder as its owner would name it: from here, or from home."""
    for base, sign in ((Path.cwd(), ""), (Path.home(), "~/")):
        if folder != base and folder.is_relative_to(base):
            return visible(sign + folder.relative_to(base).as_posix(), longest=LABEL_LENGTH)
    return visible(folder, longest=LABEL_LENGTH)


def label(name: str) -> str:
    """Return a project's name as it is shown."""
    return visible(name, longest=LABEL_LENGTH)


def answers(number: int) -> str:
    """Return a count of answers."""
    return counted(number, "answer")


def price(count: int, usd: float, unpriced: int) -> str:
    """Return what buying answers again would cost, as a sentence.

    Example:
        >>> price(2272, 3.551, 0)
        'Buying them again costs about $3.55.'
        >>> price(12, 0.5, 2)
        'Buying them again costs at least $0.50; the price of 2 is not known.'
    """
    them = "it" if count == 1 else "them"
    if not count:
        return "There is nothing to buy again."
    if unpriced == count:
        return f"What buying {them} again costs is not known."
    if unpriced:
        return (
            f"Buying {them} again costs at least {money.usd(usd)}; "
            f"the price of {numbers.count(unpriced)} is not known."
        )
    return f"Buying {them} again costs {'nothing' if not usd else 'about ' + money.usd(usd)}."
