"""Which words of a text were removed and which were added, from one version to the next."""

from __future__ import annotations

import functools
import itertools
import re
from collections import Counter
from collections.abc import Sequence
from difflib import SequenceMatcher

from llmnb.display.spans import Span, spans

# Scripts without spaces, where each character counts as a word.
_UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u2e80-\u312f\u3130-\u318f\u31a0-\u31bf\u31f0-\u9fff"
    "\ua000-\ua4cf\uf900-\ufaff\uff66-\uff9f\U00020000-\U0003ffff"
)
_CROWDED = re.compile(f"[{_UNSPACED}]")

# A word, or a sign, with the blanks behind it.
_TOKEN = re.compile(rf"\s+|(?:[{_UNSPACED}]|(?:(?![{_UNSPACED}])\w)+|[^\w\s])\s*")

MOST_COMPARED = 1_000_000
"""Words of one text times words of the other, from which on the differing middle is taken whole."""


LABELS = 100
"""Characters of two texts which are counted once for all, because labels come again and again."""

SHORT = 2
"""So few words that stay between two longer changes are taken as changed: it reads as one."""


def words(text: str) -> list[str]:
    """Return the words and signs of a text, each with the blanks behind it.

    Example:
        >>> words("Hi, du 返金 ok")
        ['Hi', ', ', 'du ', '返', '金 ', 'ok']
    """
    return _TOKEN.findall(text)


def changed(before: str, after: str) -> list[tuple[str, str]]:
    """Return two texts as one, in parts: what stays, what was removed, what was added.

    Their kinds are ``""``, ``"del"`` and ``"ins"``, as in a page. Removed words stand before the
    added ones. Long texts that differ all over are taken as one change, so that nobody waits.

    Example:
        >>> changed("high priority, please", "normal priority, please")
        [('del', 'high'), ('', ' '), ('ins', 'normal'), ('', ' priority, please')]
    """
    old, new = words(before), words(after)
    old_keys, new_keys = [word.rstrip() for word in old], [word.rstrip() for word in new]
    head = _common(old_keys, new_keys)
    tail = _common(old_keys[head:][::-1], new_keys[head:][::-1])
    changes = [
        (head + i, head + j, head + k, head + m)
        for i, j, k, m in _changes(
            old_keys[head : len(old) - tail], new_keys[head : len(new) - tail]
        )
    ]
    parts: list[tuple[str, str]] = []
    done = 0
    for i, j, k, m in _joined(changes):
        parts.append(("", "".join(new[done:k])))
        removed, added = "".join(old[i:j]), "".join(new[k:m])
        if added[:1].isalnum():  # a removed word and the one in its place stand apart
            apart = removed[len(removed.rstrip()) :]
            if not apart and removed[-1:].isalnum() and not _CROWDED.search(removed[-1] + added[0]):
                apart = " "
            parts += [("del", removed.rstrip()), ("", apart)]
        else:
            parts.append(("del", removed))
        parts += [("ins", added.rstrip()), ("", added[len(added.rstrip()) :])]
        done = m
    parts.append(("", "".join(new[done:])))
    return [
        (kind, "".join(text for _, text in group))
        for kind, group in itertools.groupby(
            (part for part in parts if part[1]), lambda part: part[0]
        )
    ]


def changed_spans(before: str, after: str) -> list[Span]:
    """Return both texts as one, in spans for a page."""
    return [
        span
        for kind, text in changed(before, after)
        for span in spans(text, [(0, len(text), kind)] if kind else ())
    ]


def counts(before: str, after: str) -> tuple[int, int]:
    """Return how many words were added and how many removed, wherever they stand.

    Example:
        >>> counts("a big lamp", "a lamp, please")
        (1, 1)
    """
    return (_counts_again if len(before) + len(after) < LABELS else _counts)(before, after)


def _counts(before: str, after: str) -> tuple[int, int]:
    old, new = Counter(_counted(before)), Counter(_counted(after))
    return (new - old).total(), (old - new).total()


_counts_again = functools.lru_cache(maxsize=4_096)(_counts)


def _counted(text: str) -> list[str]:
    return [word.rstrip() for word in words(text) if word[0].isalnum()]


def _common(old: Sequence[str], new: Sequence[str]) -> int:
    """Return how many words both begin with."""
    pairs = zip(old, new, strict=False)
    return sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], pairs))


Change = tuple[int, int, int, int]
"""From a word of the old text to before another, and the same of the new one."""


def _changes(old: list[str], new: list[str]) -> list[Change]:
    if len(old) * len(new) > MOST_COMPARED:
        return [(0, len(old), 0, len(new))]
    codes = SequenceMatcher(None, old, new, autojunk=False).get_opcodes()
    return [(i, j, k, m) for kind, i, j, k, m in codes if kind != "equal"]


def _joined(changes: list[Change]) -> list[Change]:
    """Join changes that only a few words keep apart."""
    result: list[Change] = []
    for change in changes:
        if result:
            before = result[-1]
            between = change[0] - before[1]
            if between <= SHORT and min(_size(before), _size(change)) > between:
                result[-1] = (before[0], change[1], before[2], change[3])
                continue
        result.append(change)
    return result


def _size(change: Change) -> int:
    i, j, k, m = change
    return j - i + m - k
