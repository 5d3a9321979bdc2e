"""The simulated provider's files and batches, OpenAI's and Anthropic's.

A batch is over when it is asked after for the second time, so that no test waits for a
clock. Every request of it is answered as a live one is: the ledger has a row for
each, at half the price.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

import orjson

from llmnb.testing.plan import Headers, ReplyPlan, key_of
from llmnb.testing.provider_profiles import ANTHROPIC, OPENAI

PRICE_FACTOR = 0.5
"""What a request in a batch costs, as a part of the price."""

Fate = Literal["answered", "expired", "cancelled", "missing"]
"""What becomes of a request; of one that is missing the results say nothing."""


@dataclass(slots=True)
class SimulatedBatch:
    """One batch."""

    name: str
    is_openai: bool
    requests: list[tuple[str, str, dict[str, Any]]]
    """Id, path and body of each."""

    metadata: Any
    headers: Mapping[str, str]
    """The key it came with."""

    created: float = field(default_factory=lambda: datetime.now(UTC).timestamp())
    polls: int = 0
    status: str = "in_progress"
    lines: list[bytes] = field(default_factory=list)
    errors: list[bytes] = field(default_factory=list)
    problem: str | None = None
    """Why it failed as a whole."""


class Batches:
    """The batches of one simulated provider.

    Args:
        answer: Answers one request: its path, headers and body.
        is_accepted: Whether a key is good.
    """

    def __init__(
        self,
        answer: Callable[[str, Headers, bytes], ReplyPlan],
        is_accepted: Callable[[str], bool],
    ) -> None:
        self._answer_request = answer
        self._is_accepted = is_accepted
        self.batches: dict[str, SimulatedBatch] = {}
        """Every batch that was made, by its name."""

        self.files: dict[str, bytes] = {}

    def receive(self, method: str, path: str, headers: Headers, raw: bytes) -> ReplyPlan | None:
        """Answer a request about files or batches; None where it is about neither."""
        path = path.partition("?")[0]
        position = path.rfind("/files") if "/files" in path else path.rfind("/batches")
        if position < 0:
            return None
        is_openai = not path[:position].endswith("/messages")
        kind, *names = path[position + 1 :].split("/")
        if not self._is_accepted(key_of(headers)):
            return failure(*(OPENAI if is_openai else ANTHROPIC).mistake("wrong key"))
        if kind == "files" and method == "POST":
            return self._keep_file(raw)
        if kind == "files":
            content = self.files.get(names[0]) if len(names) == 2 else None
            return failure(404) if content is None else ReplyPlan(status=200, body=content)
        if not names:
            is_new = method == "POST"
            return self.create(is_openai, raw, headers) if is_new else self._list(is_openai)
        batch = self.batches.get(names[0])
        if batch is None:
            return failure(404)
        if method == "GET" and names[1:] == ["results"]:
            return ReplyPlan(status=200, body=b"".join(batch.lines))
        if method == "POST" and names[1:] == ["cancel"]:
            if batch.status == "in_progress":
                self._answer(batch, is_cancelled=True)
            return _json(_shown(batch))
        return self.look_at(batch)

    def _keep_file(self, raw: bytes) -> ReplyPlan:
        """Keep the file that stands in a form of several parts."""
        name = f"file-{len(self.files)}"
        head, _, rest = raw.partition(b'name="file"')
        boundary = head.partition(b"\r\n")[0]
        content = rest.partition(b"\r\n\r\n")[2].partition(b"\r\n" + boundary)[0]
        self.files[name] = content
        return _json({"id": name, "object": "file", "bytes": len(raw), "purpose": "batch"})

    def create(self, is_openai: bool, raw: bytes, headers: Headers) -> ReplyPlan:
        """Make a batch."""
        body = orjson.loads(raw)
        if is_openai:
            content = self.files.get(body["input_file_id"], b"")
            rows = [orjson.loads(line) for line in content.splitlines() if line.strip()]
            requests = [(row["custom_id"], row["url"], row["body"]) for row in rows]
        else:
            rows = body["requests"]
            requests = [(row["custom_id"], "/v1/messages", row["params"]) for row in rows]
        ids = [request_id for request_id, _, _ in requests]
        if not requests or len(set(ids)) < len(ids) or max(map(len, ids)) > 64:
            profile = OPENAI if is_openai else ANTHROPIC
            return failure(*profile.malformed("The ids of a batch must differ.", "custom_id"))
        name = f"{'batch' if is_openai else 'msgbatch'}_{len(self.batches)}"
        keys = {header: headers.get(header, "") for header in ("authorization", "x-api-key")}
        batch = SimulatedBatch(name, is_openai, requests, body.get("metadata"), keys)
        self.batches[name] = batch
        return _json(_shown(batch))

    def look_at(self, batch: SimulatedBatch) -> ReplyPlan:
        """Return how far a batch is; the second time it is over."""
        if batch.status == "in_progress":
            if self.is_due(batch):
                self._answer(batch)
            batch.polls += 1
        return _json(_shown(batch))

    def is_due(self, batch: SimulatedBatch) -> bool:
        """Return whether a batch is over now that it is asked after."""
        return batch.polls >= 1

    def _list(self, is_openai: bool) -> ReplyPlan:
        batches = [batch for batch in self.batches.values() if batch.is_openai == is_openai]
        shown = [_shown(batch) for batch in reversed(batches)]
        last = shown[-1]["id"] if shown else None
        return _json({"data": shown, "has_more": False, "last_id": last, "object": "list"})

    def _answer(self, batch: SimulatedBatch, *, is_cancelled: bool = False) -> None:
        """Answer every request of a batch, and end it."""
        for name, path, body in batch.requests:
            fate = self.fate_of(_prompt(body), is_cancelled)
            if fate in ("cancelled", "expired"):
                batch.errors.append(_undone(batch.is_openai, name, fate))
            elif fate == "answered":
                plan = self._answer_request(path, batch.headers, orjson.dumps(body))
                lines = batch.lines if plan.status == 200 else batch.errors
                lines.append(result_line(batch.is_openai, name, plan.status, plan.body))
        if not batch.is_openai:
            batch.lines, batch.errors = batch.lines + batch.errors, []
        batch.status = "cancelled" if is_cancelled else "completed"
        self.arrange(batch)
        for kind, content in (("output", batch.lines), ("error", batch.errors)):
            if content:
                self.files[f"{batch.name}-{kind}"] = b"".join(content)

    def fate_of(self, prompt: str, is_cancelled: bool) -> Fate:
        """Return what becomes of a request when its batch ends."""
        return "cancelled" if is_cancelled else "answered"

    def arrange(self, batch: SimulatedBatch) -> None:
        """Change what an ended batch has to show; here nothing."""


def _shown(batch: SimulatedBatch) -> dict[str, Any]:
    """Return what is told of a batch."""
    total = len(batch.requests)
    is_over = batch.status != "in_progress"
    done = total if is_over else 0
    if not batch.is_openai:
        counts = {"processing": total - done, "succeeded": done}
        return {
            "id": batch.name,
            "type": "message_batch",
            "processing_status": "ended" if is_over else "in_progress",
            "request_counts": {**counts, "errored": 0, "canceled": 0, "expired": 0},
            "created_at": datetime.fromtimestamp(batch.created, UTC).isoformat(),
            "results_url": "http://elsewhere.invalid/results" if is_over else None,
        }
    return {
        "id": batch.name,
        "object": "batch",
        "status": batch.status,
        "metadata": batch.metadata,
        "created_at": int(batch.created),
        "request_counts": {"total": total, "completed": done, "failed": 0},
        "output_file_id": f"{batch.name}-output" if batch.lines else None,
        "error_file_id": f"{batch.name}-error" if batch.errors else None,
        "errors": {"data": [{"message": batch.problem}]} if batch.problem else None,
    }


def _json(value: Mapping[str, Any]) -> ReplyPlan:
    return ReplyPlan(status=200, body=orjson.dumps(value))


def failure(status: int, body: bytes | None = None) -> ReplyPlan:
    """Return an error; without a body it is OpenAI's."""
    return ReplyPlan(
        status=status, body=OPENAI.error(status) if body is None else body, end="failed"
    )


def _prompt(body: Mapping[str, Any]) -> str:
    messages = body.get("messages")
    if isinstance(messages, list) and messages:
        return str(messages[-1].get("content"))
    return str(body.get("input", body.get("prompt")))


def result_line(is_openai: bool, name: str, status: int, body: bytes) -> bytes:
    """Return one line of a batch's results."""
    reply = orjson.loads(body)
    if is_openai:
        response = {"status_code": status, "request_id": "req_sim", "body": reply}
        return _line({"custom_id": name, "response": response, "error": None})
    result = {"type": "succeeded", "message": reply}
    if status != 200:
        result = {"type": "errored", "error": reply}
    return _line({"custom_id": name, "result": result})


def _undone(is_openai: bool, name: str, fate: str) -> bytes:
    if is_openai:
        error = {"code": f"batch_{fate}", "message": f"This request was {fate}."}
        return _line({"custom_id": name, "response": None, "error": error})
    word = "canceled" if fate == "cancelled" else fate
    return _line({"custom_id": name, "result": {"type": word}})


def _line(value: Mapping[str, Any]) -> bytes:
    return orjson.dumps(value) + b"\n"
