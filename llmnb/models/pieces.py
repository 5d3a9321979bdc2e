"""The pieces of one answer as its listener gets them: each once, also over a broken stream.

When a stream breaks and the request is sent again, the answer begins anew. What the
listener has seen already is held back as long as the new answer repeats it; where it says
something else, it is given from its beginning and marked.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from llmnb.chat.results import LLMResult
from llmnb.records import Delta


class Pieces:
    """Turns what the engine tells of one row into results.

    Example:
        >>> pieces = Pieces()
        >>> [pieces.take(Delta(text=text)).text for text in ("Fo", "ur")]
        ['Fo', 'ur']
        >>> pieces.take(Delta(text="Four", attempt=2)) is None
        True
        >>> pieces.take(Delta(text=".", attempt=2)).text
        '.'
    """

    def __init__(self) -> None:
        self._blank = LLMResult(text="")
        self._attempt = 1
        self._shown = ""
        self._repeated: str | None = None
        """What of the new attempt has come while it still repeats what was shown."""

    def take(self, delta: Delta) -> LLMResult | None:
        """Return the piece to be shown; None where there is nothing new in it."""
        if delta.attempt != self._attempt:
            self._attempt = delta.attempt
            self._repeated = "" if self._shown else None
        text, restarted = delta.text, False
        if self._repeated is not None and text:
            text, restarted = self._new_in(text)
        if restarted:
            self._shown = ""
        self._shown += text
        if not (text or delta.reasoning or delta.commentary):
            return None
        return dataclasses.replace(
            self._blank,
            text=text,
            reasoning_content=delta.reasoning or None,
            commentary=delta.commentary or None,
            restarted=restarted,
        )

    def close(self, last: LLMResult) -> Iterator[LLMResult]:
        """Yield what is still missing, and the last result, which has no text of its own."""
        whole = last.text or ""
        is_begun = bool(self._shown) and whole.startswith(self._shown)
        missing = whole[len(self._shown) :] if is_begun else whole
        if missing and last.error is None:
            # A stored answer comes whole; so does one that another caller had asked for.
            restarted = bool(self._shown) and not is_begun
            yield dataclasses.replace(self._blank, text=missing, restarted=restarted)
        yield dataclasses.replace(last, id=self._blank.id, text="")

    def _new_in(self, text: str) -> tuple[str, bool]:
        """Return what an answer that began anew adds to what was shown, and whether it parts."""
        said = (self._repeated or "") + text
        if self._shown.startswith(said):
            self._repeated = said
            return "", False
        self._repeated = None
        if said.startswith(self._shown):
            return said[len(self._shown) :], False
        return said, True
