"""OpenAI's Responses API: items go in, items come out.

Source: OpenAI API reference, "The response object"; the guides "Reasoning models"
(how an answer ends early) and "Structured outputs" (refusals).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from llmnb.records import Quality, Reply, ToolCall, Usage
from llmnb.wire import ends, openai_replies, openai_responses_requests
from llmnb.wire.classify import error_inside
from llmnb.wire.openai_replies import text_or_none
from llmnb.wire.openai_responses_stream import CALLS, COMMENTARY, ResponseAssembler
from llmnb.wire.sse import is_stream


class OpenAIResponses:
    """Dialect ``openai.responses``."""

    name = "openai.responses"

    def body(
        self, request: Mapping[str, Any], *, model: str, params: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Return a new request body; see `llmnb.wire.openai_responses_requests`.

        Raises:
            InputError: If the request asks nothing, or what this API cannot be asked.

        Example:
            >>> OpenAIResponses().body({"prompt": "Hi"}, model="m", params={})
            {'model': 'm', 'input': [{'role': 'user', 'content': 'Hi'}], 'store': False}
        """
        return openai_responses_requests.body(request, model=model, params=params)

    def stream_body(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Return the same body, asking for a stream; its usage comes unasked."""
        return {**body, "stream": True}

    def parse(self, raw: bytes) -> Reply:
        """Read a reply; one that was streamed against our wish is put together first.

        Raises:
            BadReply: If it cannot be read; its bytes are kept.
            LLMNBError: Of another type, if it says what went wrong.
        """
        if is_stream(raw):
            raw = self.assembler().whole(raw)
        body, readable = openai_replies.load_object(raw)
        output, status = body.get("output"), body.get("status")
        if not isinstance(output, list) or not all(isinstance(item, dict) for item in output):
            if body.get("object") == "error" or body.get("type") == "error":
                raise error_inside(body, raw)
            raise openai_replies.unusable(raw, "has no output that could be read")
        if status not in ("completed", "incomplete", None):
            raise openai_replies.unusable(raw, f"has the status {str(status)[:40]!r} and no answer")
        if not output and status != "incomplete":
            raise openai_replies.unusable(raw, "has nothing in its output")
        parts, commentary = _parts(output)
        refusal = _joined(parts, "refusal")
        reason = _reason(body)
        text = _joined(parts, "text") or refusal
        thoughts = "\n\n".join(_thoughts(output)) or None
        calls = tuple(_tool_calls(output))
        used = usage(body, wrote=bool(text or thoughts) or _has_more(output))
        quality: Quality = "refused" if refusal else _quality(status, reason)
        if not text and not _has_more(output):
            quality = ends.without_text(quality, used, thoughts, is_null=not parts)
        return Reply(
            text=text,
            finish_reason=reason,
            quality=quality,
            model=text_or_none(body.get("model")),
            response_id=text_or_none(body.get("id")),
            usage=used,
            tool_calls=calls,
            handed_back=_handed_back(output, is_stored=body.get("store") is True)
            if calls
            else None,
            reasoning=thoughts,
            commentary=_joined(commentary, "text") or None,
            logprobs=_logprobs(parts),
            raw=readable,
        )

    def assembler(self, *, samples: int = 1) -> ResponseAssembler:
        """Return what reads one streamed reply; there is one answer in each."""
        return ResponseAssembler()


_Parts = list[Mapping[str, Any]]


def _parts(output: list[dict[str, Any]]) -> tuple[_Parts, _Parts]:
    """Return the parts of the answer, and of what the model says while it still works."""
    answers, working = _divided(output)
    return list(_inside(answers)), list(_inside(working))


def _divided(output: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return the messages that are the answer, and those that are commentary.

    Where there is nothing else, no call either, the commentary is the answer.
    """
    messages = [item for item in output if item.get("type") == "message"]
    answers = [item for item in messages if item.get("phase") != COMMENTARY]
    if not answers and not any(str(item.get("type")) in CALLS for item in output):
        return messages, []
    return answers, [item for item in messages if item.get("phase") == COMMENTARY]


def _inside(items: list[dict[str, Any]]) -> Iterator[Mapping[str, Any]]:
    for item in items:
        content = item.get("content")
        for part in content if isinstance(content, list) else ():
            if isinstance(part, dict):
                yield part


def _has_more(output: list[dict[str, Any]]) -> bool:
    """Whether a reply holds more than messages and reasoning, such as calls of tools."""
    return any(item.get("type") not in ("message", "reasoning") for item in output)


def _joined(parts: list[Mapping[str, Any]], name: str) -> str:
    texts = (part.get(name) for part in parts)
    return "".join(text for text in texts if isinstance(text, str))


def _logprobs(parts: list[Mapping[str, Any]]) -> list[Any] | None:
    lists = (part.get("logprobs") for part in parts)
    return [one for found in lists if isinstance(found, list) for one in found] or None


def _thoughts(output: list[dict[str, Any]]) -> Iterator[str]:
    """Yield the reasoning that is shown: a model's own, else summaries of it."""
    for item in output:
        if item.get("type") != "reasoning":
            continue
        found = list(_texts(item.get("content"))) or list(_texts(item.get("summary")))
        yield from found


def _texts(parts: Any) -> Iterator[str]:
    for part in parts if isinstance(parts, list) else ():
        text = part.get("text") if isinstance(part, dict) else None
        if isinstance(text, str) and text:
            yield text


def _tool_calls(output: list[dict[str, Any]]) -> Iterator[ToolCall]:
    for place, item in enumerate(output):
        field = CALLS.get(str(item.get("type")))
        if field is None or not isinstance(item.get("name"), str):
            continue
        name = item.get("call_id") or item.get("id") or f"call_{place}"
        arguments = item.get(field)
        yield ToolCall(
            id=str(name),
            name=item["name"],
            arguments=arguments if isinstance(arguments, str) else "",
            kind="custom" if item.get("type") == "custom_tool_call" else "function",
        )


def _handed_back(output: list[dict[str, Any]], *, is_stored: bool) -> Mapping[str, Any] | None:
    """Return the items of a turn, where more stands in them than its text and its calls.

    All of them go back, in their order. Left out is only a thought of which nothing came but its
    name: who does not keep the turn would look for it in vain, and refuse the next.

    Source: OpenAI's guide "Reasoning models" (without storage thoughts come sealed, unasked), xAI's
    "Troubleshooting Reasoning"; gpt-oss and its servers give thoughts as plain text.
    """
    kept = [item for item in output if is_stored or not _is_mere_name(item)]
    has_more = any(item.get("type") == "reasoning" or item.get("phase") for item in kept)
    return {openai_responses_requests.ITEMS: kept} if has_more else None


def _is_mere_name(item: Mapping[str, Any]) -> bool:
    return item.get("type") == "reasoning" and not (
        item.get("encrypted_content") or any(_texts(item.get("content")))
    )


def _reason(body: Mapping[str, Any]) -> str | None:
    """Return why the answer ended: the reason where it ended early, else its status."""
    details = body.get("incomplete_details")
    reason = details.get("reason") if isinstance(details, dict) else None
    return text_or_none(reason) or text_or_none(body.get("status"))


def _quality(status: Any, reason: str | None) -> Quality:
    if status != "incomplete":
        return "good"
    return ends.RESPONSES.get(reason or "", "broken")


def usage(body: Mapping[str, Any], *, wrote: bool = True) -> Usage | None:
    """Return the tokens a reply says it used; None when it does not say.

    Example:
        >>> usage({"usage": {"input_tokens": 3, "output_tokens": 1}}).total
        4
    """
    found = body.get("usage")
    if not isinstance(found, dict):
        return None
    count = openai_replies.count
    prompt, completion = count(found.get("input_tokens")), count(found.get("output_tokens"))
    inner, outer = found.get("input_tokens_details"), found.get("output_tokens_details")
    inner = inner if isinstance(inner, dict) else {}
    outer = outer if isinstance(outer, dict) else {}
    return ends.counted(
        prompt,
        completion,
        count(found.get("total_tokens")),
        wrote=wrote,
        cache_read=count(inner.get("cached_tokens")) or 0,
        cache_write=count(inner.get("cache_write_tokens")) or 0,
        reasoning=count(outer.get("reasoning_tokens")) or 0,
        tier=openai_replies.tier(body),
        usd=openai_replies.dollars(found),
    )
