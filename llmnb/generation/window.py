"""Cut requests to their model's context window, and say what was left out.

Only texts are cut: the longest message of a conversation, or each text of a
prompt or an input for itself. Room is kept for the answer. The caller's own
request is never changed; a cut one is a copy.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from llmnb.adapters import prices
from llmnb.adapters.tokens import count_tokens, longest_fitting, upper_bound
from llmnb.errors import LLMNBError
from llmnb.generation.lines import RequestLine
from llmnb.running.asking import Asking
from llmnb.running.preparer import Preparer
from llmnb.targets.target import HTTPTarget, chosen_tokens

Side = Literal["end", "start"]
"""Which end of a text is left out."""

ANSWER_TOKENS = 1024
"""Tokens kept for the answer where the request does not say how long it may be, or a quarter
of the window where that is less."""

WINDOWS: dict[tuple[str, str], int] = {("openai", "gpt-3.5-turbo-instruct"): 4096}
"""Context windows for which the price table has a wrong number.

Source:
    OpenAI's page of the model: a context window of 4,096 tokens.
"""


class Fitter:
    """Cuts requests to the window of the model that each is for.

    Args:
        asking: Who is asked where a request does not say.
        side: Which end of a text is left out.
        encoding: Encoding that counts tokens of models it has no better one for.
    """

    def __init__(
        self, asking: Asking, side: Side = "end", *, encoding: str = "cl100k_base"
    ) -> None:
        self._asking = asking
        self._side: Side = side
        self._encoding = encoding
        self._preparer = Preparer(asking, needs_keys=False)
        self._windows: dict[HTTPTarget, int | None] = {}
        """Context windows by target; None where they are not known."""

    def fit(self, request: Mapping[str, Any]) -> tuple[Mapping[str, Any], str]:
        """Return the request, cut where it is longer than its model takes, and what was left out.

        The second is one sentence, empty where nothing was cut.
        """
        written = request.written if isinstance(request, RequestLine) else None
        try:
            target = self._preparer.target_of(request)
            # No encoding makes more tokens than there are bytes: most need not be counted.
            most = upper_bound(request) if written is None else len(written)
        except (LLMNBError, RecursionError):  # a request that holds itself
            return request, ""  # the run gives its row the error
        who = target.provider, target.model
        if target not in self._windows:
            self._windows[target] = WINDOWS.get(who) or prices.context_window(*who)
        window = self._windows[target]
        if window is None:
            return request, ""
        room = window - self._answer(request, window)
        if most <= room:
            return request, ""
        cutter = _Cutter(target.model, self._side, self._encoding)
        cut = cutter.conversation if "messages" in request else cutter.texts
        fitted = cut(request, room)
        if not cutter.cuts:
            return request, ""
        kept = "" if room == window else f" with {window - room:,} kept for the answer"
        cuts = "; ".join(cutter.cuts)
        return fitted, f"{'/'.join(who)} takes {window:,} tokens{kept}: {cuts}."

    def _answer(self, request: Mapping[str, Any], window: int) -> int:
        if self._asking.gen_type == "embedding":
            return 0
        asked = chosen_tokens({**self._asking.params, **request})
        return asked if asked and asked < window else min(ANSWER_TOKENS, window // 4)


class _Cutter:
    """Cuts the texts of one request."""

    def __init__(self, model: str, side: Side, encoding: str) -> None:
        self._model = model
        self._side = side
        self._encoding = encoding
        self.cuts: list[str] = []
        """What was left out, as a clause of a sentence for each text."""

    def count(self, what: str | Mapping[str, Any]) -> int:
        """Return the tokens of a text or a request; an estimate is raised by a tenth."""
        counted = count_tokens(what, self._encoding, self._model)
        return counted.tokens * 11 // 10 if counted.is_estimate else counted.tokens

    def conversation(self, request: Mapping[str, Any], room: int) -> Mapping[str, Any]:
        """Cut the longest messages until the conversation fits."""
        messages = request["messages"]
        if not isinstance(messages, list):
            return request
        over = self.count(request) - room
        texts = {
            position: message["content"]
            for position, message in enumerate(messages)
            if isinstance(message, Mapping) and isinstance(message.get("content"), str)
        }
        changed = list(messages)
        for position in sorted(texts, key=lambda position: -len(texts[position])):
            if over <= 0:
                break
            tokens = self.count(texts[position])
            name = f"message {position + 1} ({messages[position].get('role', 'no role')})"
            text = self.text(texts[position], max(0, tokens - over), tokens, name)
            changed[position] = {**messages[position], "content": text}
            over -= tokens - self.count(text)
        return {**request, "messages": changed}

    def texts(self, request: Mapping[str, Any], room: int) -> Mapping[str, Any]:
        """Cut each text of a prompt or an input for itself."""
        for field in ("prompt", "input"):
            content = request.get(field)
            if isinstance(content, str):
                return {**request, field: self._fitted(content, room, f"the {field}")}
            if isinstance(content, list) and all(isinstance(part, str) for part in content):
                texts = [
                    self._fitted(text, room, f"text {position + 1}")
                    for position, text in enumerate(content)
                ]
                return {**request, field: texts}
        return request

    def _fitted(self, text: str, room: int, name: str) -> str:
        tokens = self.count(text)
        return text if tokens <= room else self.text(text, room, tokens, name)

    def text(self, text: str, room: int, tokens: int, name: str) -> str:
        """Return as much of a text as fits, and note what is left out."""

        def part(characters: int) -> str:
            return text[:characters] if self._side == "end" else text[len(text) - characters :]

        kept = part(longest_fitting(len(text), tokens, room, lambda size: self.count(part(size))))
        end = "last" if self._side == "end" else "first"
        left_out = tokens - self.count(kept)
        self.cuts.append(
            f"the {end} {left_out:,} tokens ({len(text) - len(kept):,} characters) of {name} "
            "were left out"
        )
        return kept
