"""What the APIs of the simulated provider share: each reads requests and writes answers down.

A subclass of `Api` is one API. It says where it answers and whose errors it has, what a body
asks for (`read`), and how an answer looks whole (`reply`) and as events (`events`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, ClassVar

import orjson

from llmnb.testing.answers import WholeAnswer
from llmnb.testing.body import Body
from llmnb.testing.plan import Stream, event
from llmnb.testing.provider_profiles import OPENAI, ProviderProfile
from llmnb.testing.request import SimulatedRequest, count_tokens, prompt_text

TOKEN, FRAME = True, False
"""Whether an event carries a token of the answer."""

Events = Iterator[tuple[bool, Mapping[str, Any]]]
"""The events of a stream: `TOKEN` or `FRAME`, and the data."""


class Api:
    """One API of the simulated provider."""

    name: ClassVar[str]
    """What a request for it calls its endpoint."""

    path_end: ClassVar[str]
    """The end of its path; what stands before it differs from provider to provider."""

    profile: ClassVar[ProviderProfile] = OPENAI
    """Whose errors and limits it has."""

    tokens_per_conversation: ClassVar[int] = 0
    """What is counted beside the turns of a conversation and their texts."""

    end_marker: ClassVar[bytes] = b""
    """What follows the last event of a stream."""

    def at(self, path: str) -> Api | None:
        """Return the API that answers at a path without its query; None where this one does not."""
        return self if path.endswith(self.path_end) else None

    def read(self, body: Body) -> SimulatedRequest:
        """Return what a body asks for. Raises `Rejected`."""
        raise NotImplementedError

    def reply(self, request: SimulatedRequest, answer: WholeAnswer) -> dict[str, Any]:
        """Return the body of the whole answer."""
        raise NotImplementedError

    def events(self, request: SimulatedRequest, answer: WholeAnswer) -> Events:
        """Yield the events of the answer as a stream."""
        raise NotImplementedError

    def stream(self, request: SimulatedRequest, answer: WholeAnswer) -> Stream:
        """Return the answer as a stream; what is no token leaves with the token that follows."""
        opening: bytes | None = None
        tokens: list[bytes] = []
        waiting = b""
        for is_token, data in self.events(request, answer):
            if is_token and opening is None:
                opening, waiting = waiting, b""
            waiting += event(data)
            if is_token:
                tokens.append(waiting)
                waiting = b""
        return Stream(opening or b"", tuple(tokens), waiting + self.end_marker, self.stream_error)

    @cached_property
    def stream_error(self) -> bytes:
        """How a stream ends where an error strikes."""
        return event(orjson.loads(self.profile.error(self.profile.stream_error_status)))

    # ------------------------------------------------------------------- reading a body

    def request(self, body: Body, **fields: Any) -> SimulatedRequest:
        """Return a request with the fields that most APIs have under the same names."""
        fields.setdefault("model", body.get("model") or "")
        fields.setdefault("is_streamed", body.get("stream") is True)
        fields.setdefault("wants_usage", True)
        return SimulatedRequest(endpoint=self.name, body=body, **fields)

    def of_turns(
        self,
        body: Body,
        turns: Iterable[tuple[object, str]],
        messages: Sequence[Mapping[str, Any]],
        *,
        identity: Sequence[Any] | None = None,
        system: str = "",
        **fields: Any,
    ) -> SimulatedRequest:
        """Return a request that holds a conversation; each turn has three tokens of its own.

        Args:
            body: The whole body.
            turns: Role and text of each turn. The last text of a user is the prompt; where no
                user speaks, the first text is.
            messages: The turns as the body has them.
            identity: What tells the prompt from others; None: the messages.
            system: The system's text, where it stands outside of the turns.
            **fields: Further fields of the request.
        """
        prompt, tokens = "", self.tokens_per_conversation + count_tokens(system)
        for role, text in turns:
            tokens += 3 + count_tokens(text)
            if role == "user" or not prompt:
                prompt = text
        return self.request(
            body,
            prompt=prompt,
            identity=prompt_text(messages if identity is None else identity),
            messages=messages,
            prompt_tokens=tokens,
            **fields,
        )

    def of_prompts(self, body: Body, prompts: Sequence[str], **fields: Any) -> SimulatedRequest:
        """Return a request that holds several prompts, each of which gets answers of its own."""
        return self.request(
            body,
            prompt=prompts[-1],
            identity=prompts[0] if len(prompts) == 1 else orjson.dumps(prompts).decode(),
            parts=tuple(prompts),
            prompt_tokens=sum(count_tokens(prompt) for prompt in prompts),
            **fields,
        )
