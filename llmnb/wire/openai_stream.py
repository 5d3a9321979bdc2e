"""OpenAI's streams put together again: the body the same request would have had unstreamed.

A stream is whole when every choice has a finish reason. ``[DONE]`` alone is
not enough, and not needed: `transformers serve` never sends it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import orjson

from llmnb.errors import BadReply, IncompleteReply
from llmnb.records import Delta
from llmnb.wire.sse import EventDecoder

AddPiece = Callable[[dict[str, Any], Mapping[str, Any]], Delta | None]


class StreamAssembler:
    """Reads one streamed reply.

    Args:
        kind: The body's ``object`` field.
        add_piece: Adds one piece to its choice.
        blank_choice: Makes a choice before its first piece.
    """

    def __init__(
        self, kind: str, add_piece: AddPiece, blank_choice: Callable[[int], dict[str, Any]]
    ) -> None:
        self._decoder = EventDecoder()
        self._add_piece = add_piece
        self._blank_choice = blank_choice
        self._body: dict[str, Any] = {"object": kind}
        self._choices: dict[int, dict[str, Any]] = {}
        self._logprobs: dict[int, list[Any]] = {}
        self._error: Any = None
        self._garbled = 0

    def feed(self, data: bytes) -> list[Delta]:
        """Take bytes as they come; returns the pieces of text in them."""
        deltas: list[Delta] = []
        for event in self._decoder.feed(data):
            if event.strip() != b"[DONE]":
                deltas += self._event(event)
        return deltas

    def _event(self, event: bytes) -> list[Delta]:
        try:
            chunk = orjson.loads(event)
        except (orjson.JSONDecodeError, RecursionError):
            self._garbled += 1
            return []
        if not isinstance(chunk, dict):
            self._garbled += 1
            return []
        if chunk.get("error"):
            self._error = chunk["error"]
            return []
        for name in ("id", "model", "created", "system_fingerprint", "usage"):
            if chunk.get(name) is not None:
                self._body[name] = chunk[name]
        pieces = chunk.get("choices")
        return [
            delta
            for piece in (pieces if isinstance(pieces, list) else ())
            if isinstance(piece, dict) and (delta := self._piece(piece)) is not None
        ]

    def _piece(self, piece: Mapping[str, Any]) -> Delta | None:
        index = piece.get("index")
        number = index if isinstance(index, int) else 0
        choice = self._choices.get(number)
        if choice is None:
            choice = self._choices[number] = self._blank_choice(number)
        if isinstance(reason := piece.get("finish_reason"), str):
            choice["finish_reason"] = reason
        if isinstance(logprobs := piece.get("logprobs"), dict):
            self._logprobs.setdefault(number, []).extend(logprobs.get("content") or ())
        return self._add_piece(choice, piece)

    def finish(self) -> bytes:
        """Return the unstreamed body.

        Raises:
            IncompleteReply: If a choice, or everything, lacks its finish reason.
        """
        self.feed(b"\n\n")
        choices = [self._choices[number] for number in sorted(self._choices)]
        for number, content in self._logprobs.items():
            self._choices[number]["logprobs"] = {"content": content}
        body = orjson.dumps({**self._body, "choices": choices}, option=orjson.OPT_NON_STR_KEYS)
        if self._error is not None:
            raise BadReply(
                "The stream ended with an error: "
                f"{str(self._error)[:300]}. What came before is kept with the error.",
                status=200,
                raw=body,
            )
        if self._garbled or not choices or any(one["finish_reason"] is None for one in choices):
            raise IncompleteReply(
                "The stream ended before the answer did: its finish marker never came. "
                "What came is kept with the error and is not used as an answer.",
                status=200,
                raw=body,
            )
        return body
