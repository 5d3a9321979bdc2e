"""`Message`: a turn of a conversation, and its conversion from and to dictionaries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from llmnb.errors import ConfigurationError
from llmnb.records import AssistantTurn, ToolCall
from llmnb.wire.json_bytes import NotJSON
from llmnb.wire.openai_chat import tool_call

_NAMED = frozenset(("content", "role", "name", "tool_call_id", "tool_calls"))


@dataclass(frozen=True, slots=True)
class Message:
    """One turn: what was said, and by whom.

    Example:
        >>> Message(content="What is the meaning of life?").body()
        {'role': 'user', 'content': 'What is the meaning of life?'}
    """

    content: str | Sequence[Mapping[str, Any]] | None = None
    """A text, or parts as OpenAI's protocol has them (texts, images, sounds, files)."""

    role: str = "user"
    """``"system"``, ``"user"``, ``"assistant"`` or ``"tool"``."""

    name: str | None = field(default=None, kw_only=True)
    """Name of the speaker, where a provider uses it; of a tool's result the tool's name."""

    tool_call_id: str | None = field(default=None, kw_only=True)
    """The call that this is the result of."""

    tool_calls: tuple[ToolCall, ...] = field(default=(), kw_only=True)
    """The calls that the assistant asks for."""

    extra: Mapping[str, Any] = field(default_factory=dict, kw_only=True, repr=False)
    """Further fields of the turn, handed through."""

    handed_back: Mapping[str, Any] = field(default_factory=dict, kw_only=True, repr=False)
    """Fields of a turn that calls tools which its provider wants back with it, such as a
    thinking model's reasoning; no other provider is sent them."""

    provider: str | None = field(default=None, kw_only=True, repr=False)
    """Catalog name of the provider that wrote it, where there is something to hand back."""

    @classmethod
    def of(cls, message: Message | Mapping[str, Any] | str) -> Message:
        """Return a message from itself, a text of the user, or a dictionary.

        Raises:
            ConfigurationError: If it is none of these.

        Example:
            >>> Message.of({"role": "system", "content": "Be brief."}).role
            'system'
        """
        if isinstance(message, Message):
            return message
        if isinstance(message, str):
            return cls(content=message)
        if not isinstance(message, Mapping):
            raise ConfigurationError(
                f"A message is a Message, a text or a dictionary, not {type(message).__name__}. "
                "Nothing was sent."
            )
        content, calls = message.get("content"), message.get("tool_calls") or ()
        for name, value in (("content", content), ("tool_calls", calls)):
            if isinstance(value, Mapping) or not isinstance(value, Sequence | None):
                raise ConfigurationError(
                    f"A message's {name} is {type(value).__name__}, not a list. Nothing was sent."
                )
        handed_back: dict[str, Any] = {}
        provider = None
        if isinstance(message, AssistantTurn):
            handed_back = {name: message[name] for name in message.handed_back if name in message}
            provider = message.provider
            message = {name: value for name, value in message.items() if name not in handed_back}
        return cls(
            content=content,
            role=str(message.get("role") or "user"),
            name=message.get("name"),
            tool_call_id=message.get("tool_call_id"),
            tool_calls=tuple(map(_call_of, calls)),
            extra={name: value for name, value in message.items() if name not in _NAMED},
            handed_back=handed_back,
            provider=provider,
        )

    def body(self) -> dict[str, Any]:
        """Return it as OpenAI's protocol writes it."""
        made: dict[str, Any] = {"role": self.role, "content": self.content}
        if self.name is not None:
            made["name"] = self.name
        if self.tool_call_id is not None:
            made["tool_call_id"] = self.tool_call_id
        if self.tool_calls:
            made["tool_calls"] = [_call_body(_call_of(call)) for call in self.tool_calls]
        is_signed = any("extra_content" in call for call in made.get("tool_calls", ()))
        if not self.handed_back and not (is_signed and self.provider):
            return {**made, **self.extra}
        turn = AssistantTurn({**made, **self.extra, **self.handed_back})
        turn.handed_back, turn.provider = tuple(self.handed_back), self.provider
        return turn

    @property
    def text(self) -> str:
        """The text, without images and sounds."""
        if self.content is None or isinstance(self.content, str):
            return self.content or ""
        parts = (part.get("text") for part in self.content if isinstance(part, Mapping))
        return "".join(part for part in parts if isinstance(part, str))

    def __str__(self) -> str:
        return self.text


Conversation: TypeAlias = str | Message | Sequence[Message | Mapping[str, Any] | str]
"""One text or message, or several turns."""


def messages_of(conversation: Conversation | Mapping[str, Any]) -> list[Message]:
    """Return the turns of a conversation, however it was given.

    Raises:
        ConfigurationError: If it holds none, or something else.

    Example:
        >>> [turn.role for turn in messages_of("Hi")]
        ['user']
    """
    if isinstance(conversation, (str, Message, Mapping)):
        return [Message.of(conversation)]
    if not isinstance(conversation, Sequence) or isinstance(conversation, (bytes, bytearray)):
        raise ConfigurationError(
            "A conversation is a text or a list of messages, not "
            f"{type(conversation).__name__}. Nothing was sent."
        )
    if not conversation:
        raise ConfigurationError("The list of messages is empty. Nothing was sent.")
    return [Message.of(turn) for turn in conversation]


def _call_of(call: ToolCall | Mapping[str, Any]) -> ToolCall:
    try:
        made = call if isinstance(call, ToolCall) else tool_call(call)
    except NotJSON:
        raise ConfigurationError("A tool call's arguments are no JSON. Nothing was sent.") from None
    if made is None:
        raise ConfigurationError("A tool call needs a function with a name. Nothing was sent.")
    return made


def _call_body(call: ToolCall) -> dict[str, Any]:
    if call.kind == "custom":
        inner = {"name": call.name, "input": call.arguments}
        return {"id": call.id, "type": "custom", "custom": inner}
    made: dict[str, Any] = {
        "id": call.id,
        "type": "function",
        "function": {"name": call.name, "arguments": call.arguments},
    }
    if call.signature is not None:
        # As Google's own OpenAI interface carries it; Gemini's dialect reads it there.
        made["extra_content"] = {"google": {"thought_signature": call.signature}}
    return made
