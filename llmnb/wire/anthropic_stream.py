"""Anthropic's streams put together again: the message the same request would have had unstreamed.

A stream is whole when it says why the answer ended and that the message is
over (``message_stop``).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llmnb.display.texts import mended
from llmnb.records import Delta
from llmnb.wire import ends, json_bytes
from llmnb.wire.anthropic_requests import ANSWER_TOOL
from llmnb.wire.event_stream import EventAssembler
from llmnb.wire.openai_stream import Growing

_MOST_BLOCKS = 4096
"""More blocks in one message are a fault, not an answer."""

_PARTIAL = "partial_json"
"""Under which the input of a tool grows, until it is whole."""


class MessageAssembler(EventAssembler):
    """Reads one streamed message."""

    __slots__ = ("_blocks", "_is_over", "_message")

    def __init__(self) -> None:
        super().__init__()
        self._message: dict[str, Any] = {}
        self._blocks: dict[int, dict[str, Any]] = {}
        self._is_over = False

    def take(self, chunk: dict[str, Any]) -> list[Delta]:
        """Add what one event says; returns what it brings of the answer."""
        kind = chunk.get("type")
        delta = None
        if kind == "content_block_delta":
            delta = self._grow(chunk)
        elif kind == "content_block_start":
            delta = self._start(chunk)
        elif kind == "message_start":
            self._begin(chunk.get("message"))
        elif kind == "message_delta":
            self._end(chunk)
        elif kind == "message_stop":
            self._is_over = True
        # Pings, the stops of blocks and whatever comes tomorrow say nothing of the answer.
        return [] if delta is None else [delta]

    def assembled(self) -> dict[str, Any]:
        """Return the unstreamed body of what came."""
        blocks = [self._blocks[index] for index in sorted(self._blocks)]
        for block in blocks:
            self._finish_block(block)
        self._message["content"] = blocks
        return self._message

    def has_begun(self) -> bool:
        """Whether anything of an answer came; the mere head of a message is nothing yet."""
        return bool(self._blocks) or self._message.get("stop_reason") is not None

    def is_whole(self) -> bool:
        """Whether the message came to its end."""
        return self._is_over and ends.word(self._message.get("stop_reason")) is not None

    def has_ended(self) -> bool:
        """Whether the message is said to be over."""
        return self._is_over

    # ------------------------------------------------------------------------- events

    def _begin(self, message: Any) -> None:
        if isinstance(message, dict):
            self._message = message
            content = message.get("content")
            if isinstance(content, list):  # always empty, as far as anybody has seen
                self._blocks = {
                    place: block for place, block in enumerate(content) if isinstance(block, dict)
                }

    def _start(self, chunk: Mapping[str, Any]) -> Delta | None:
        block, index = chunk.get("content_block"), chunk.get("index")
        if not isinstance(block, dict) or type(index) is not int or index >= _MOST_BLOCKS:
            self.note_garbled()
            return None
        self._blocks[index] = block
        text, thinking = block.get("text"), block.get("thinking")
        if text or thinking:
            return Delta(text=_shown(text), reasoning=_shown(thinking))
        # An empty text says nothing yet; a tool that is called, or hidden thinking, does.
        return None if block.get("type") in ("text", "thinking") else Delta()

    def _grow(self, chunk: Mapping[str, Any]) -> Delta | None:
        block, delta = self._blocks.get(_index(chunk)), chunk.get("delta")
        if block is None or not isinstance(delta, dict):
            self.note_garbled()
            return None
        for name, value in delta.items():
            if name == "citation":
                known = block.get("citations")
                block["citations"] = [*(known if isinstance(known, list) else []), value]
            elif name != "type" and isinstance(value, str):
                _add(block, name, value)
        text, thinking = delta.get("text"), delta.get("thinking")
        if block.get("name") == ANSWER_TOOL:
            text = delta.get(_PARTIAL)
        if delta.get("type") == "signature_delta":
            return None
        return Delta(text=_shown(text), reasoning=_shown(thinking))

    def _end(self, chunk: Mapping[str, Any]) -> None:
        if isinstance(delta := chunk.get("delta"), dict):
            self._message.update(
                {name: value for name, value in delta.items() if value is not None}
            )
        if isinstance(usage := chunk.get("usage"), dict):
            # These figures are totals; what they leave out stands at the message's start.
            known = self._message.get("usage")
            said = {name: value for name, value in usage.items() if value is not None}
            self._message["usage"] = {**(known if isinstance(known, dict) else {}), **said}

    def _finish_block(self, block: dict[str, Any]) -> None:
        for name, value in block.items():
            if isinstance(value, Growing):
                block[name] = value.joined()
        partial = block.pop(_PARTIAL, None)
        if not partial:
            return
        try:
            block["input"] = json_bytes.read(partial.encode("utf-8", "surrogatepass"))
        except json_bytes.NotJSON:
            # Where the answer is cut off, its last call is too, and is kept as far as it came.
            block["input"] = partial
            if self._message.get("stop_reason") == "tool_use":
                self.note_garbled()


def _index(chunk: Mapping[str, Any]) -> int:
    index = chunk.get("index")
    return index if type(index) is int else -1


def _add(block: dict[str, Any], name: str, text: str) -> None:
    known = block.get(name)
    if isinstance(known, Growing):
        known.append(text)
    else:
        block[name] = Growing([known, text] if isinstance(known, str) else [text])


def _shown(text: Any) -> str:
    return mended(text) if isinstance(text, str) else ""
