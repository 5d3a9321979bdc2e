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

from llmnb.testing import error_bodies
from llmnb.testing.plan import Headers, Plan
from llmnb.testing.provider_profiles import ANTHROPIC, OPENAI, StatusAndBody

PRICE_FACTOR = 0.5
"""What a request in a batch costs, as a part of the price."""

_KEY_HEADERS = ("authorization", "x-api-key")

Fate = Literal["answered", "expired", "cancelled", "missing"]
"""What becomes of a request; of one that is missing the results say nothing."""


@dataclass(slots=True)
class SimulatedBatch:
    """One batch."""

    name: str
    is_openai: bool
    requests: list[tuple[str, str, dict[str, Any]]]
    """Id, path and body of each."""

    metadata: Any = None
    created: float = 0.0
    polls: int = 0
    status: str = "in_progress"
    lines: list[bytes] = field(default_factory=list)
    errors: list[bytes] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)
    """The key it came with."""

    problem: str | None = None
    """Why it failed as a whole."""


class Batches:
    """The batches of one simulated provider.

    Args:
        answer: Answers one request: its path, headers and body.
        is_accepted: Whether headers hold a key that is good.
    """

    def __init__(
        self, answer: Callable[[str, Headers, bytes], Plan], is_accepted: Callable[[Headers], bool]
    ) -> None:
        self._answer_request = answer
        self._is_accepted = is_accepted
        self.batches: dict[str, SimulatedBatch] = {}
        """Every batch that was made, by its name."""

        self.files: dict[str, bytes] = {}

    def receive(self, method: str, path: str, headers: Headers, raw: bytes) -> Plan | None:
        """Answer a request about files or batches; None where it is about neither."""
        path, _, query = path.partition("?")
        position = path.rfind("/files") if "/files" in path else path.rfind("/batches")
        if position < 0:
            return None
        is_openai = not path[:position].endswith("/messages")
        parts = path[position + 1 :].split("/")
        if not self._is_accepted(headers):
            return self._error((OPENAI if is_openai else ANTHROPIC).wrong_key())
        if parts[0] == "files":
            return self._file(method, parts, raw)
        if method == "POST" and len(parts) == 1:
            return self.create(is_openai, raw, headers)
        if method == "GET" and len(parts) == 1:
            return self._list(is_openai, query)
        batch = self.batches.get(parts[1])
        if batch is None:
            return self._error((404, error_bodies.error_reply(404)[0]))
        if method == "POST" and parts[2:] == ["cancel"]:
            self._cancel(batch)
            return self._json(self._shown(batch))
        if method == "GET" and parts[2:] == ["results"]:
            return self._page(b"".join(batch.lines))
        return self.look_at(batch)

    # ---------------------------------------------------------------------- files

    def _file(self, method: str, parts: list[str], raw: bytes) -> Plan:
        if method == "POST":
            name = f"file-{len(self.files)}"
            self.files[name] = _uploaded(raw)
            shown = {"id": name, "object": "file", "bytes": len(raw), "purpose": "batch"}
            return self._json(shown)
        content = self.files.get(parts[1]) if len(parts) == 3 else None
        if content is None:
            return self._error((404, error_bodies.error_reply(404)[0]))
        return self._page(content)

    # -------------------------------------------------------------------- batches

    def create(self, is_openai: bool, raw: bytes, headers: Headers) -> Plan:
        """Make a batch."""
        body = orjson.loads(raw)
        if is_openai:
            content = self.files.get(body["input_file_id"], b"")
            rows = [orjson.loads(line) for line in content.splitlines() if line.strip()]
            requests = [(row["custom_id"], row["url"], row["body"]) for row in rows]
        else:
            rows = body["requests"]
            requests = [(row["custom_id"], "/v1/messages", row["params"]) for row in rows]
        names = [name for name, _, _ in requests]
        profile = OPENAI if is_openai else ANTHROPIC
        if not requests or len(set(names)) < len(names) or max(map(len, names)) > 64:
            return self._error(profile.malformed("The ids of a batch must differ.", "custom_id"))
        name = f"{'batch' if is_openai else 'msgbatch'}_{len(self.batches)}"
        batch = SimulatedBatch(
            name,
            is_openai,
            requests,
            body.get("metadata"),
            datetime.now(UTC).timestamp(),
            headers={name: headers.get(name, "") for name in _KEY_HEADERS},
        )
        self.batches[name] = batch
        return self._json(self._shown(batch))

    def look_at(self, batch: SimulatedBatch) -> Plan:
        """Say how far a batch is; the second time it is over."""
        if batch.status == "in_progress":
            if self.is_due(batch):
                self._answer(batch)
            batch.polls += 1
        return self._json(self._shown(batch))

    def is_due(self, batch: SimulatedBatch) -> bool:
        """Whether a batch is over now that it is asked after."""
        return batch.polls >= 1

    def _list(self, is_openai: bool, query: str) -> Plan:
        rows = [each for each in self.batches.values() if each.is_openai == is_openai]
        shown = [self._shown(each) for each in reversed(rows)]
        last = shown[-1]["id"] if shown else None
        return self._json({"data": shown, "has_more": False, "last_id": last, "object": "list"})

    def _cancel(self, batch: SimulatedBatch) -> None:
        if batch.status == "in_progress":
            self._answer(batch, is_cancelled=True)

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

    def _shown(self, batch: SimulatedBatch) -> dict[str, Any]:
        total = len(batch.requests)
        is_over = batch.status != "in_progress"
        if not batch.is_openai:
            counts = {"processing": 0 if is_over else total, "succeeded": total if is_over else 0}
            return {
                "id": batch.name,
                "type": "message_batch",
                "processing_status": "ended" if is_over else "in_progress",
                "request_counts": {**counts, "errored": 0, "canceled": 0, "expired": 0},
                "created_at": datetime.fromtimestamp(batch.created, UTC).isoformat(),
                "results_url": "http://elsewhere.invalid/results" if is_over else None,
            }
        has_output, has_errors = bool(batch.lines), bool(batch.errors)
        done = total if is_over else 0
        return {
            "id": batch.name,
            "object": "batch",
            "status": batch.status,
            "metadata": batch.metadata,
            "created_at": int(batch.created),
            "request_counts": {"total": total, "completed": done, "failed": 0},
            "output_file_id": f"{batch.name}-output" if has_output else None,
            "error_file_id": f"{batch.name}-error" if has_errors else None,
            "errors": {"data": [{"message": batch.problem}]} if batch.problem else None,
        }

    # ---------------------------------------------------------------------- replies

    def _json(self, value: Mapping[str, Any]) -> Plan:
        return self._page(orjson.dumps(value))

    def _page(self, body: bytes) -> Plan:
        return Plan(status=200, body=body)

    def _error(self, error: StatusAndBody) -> Plan:
        return Plan(status=error[0], body=error[1], end="failed")


def _uploaded(raw: bytes) -> bytes:
    """Return the content of the file in a form of several parts."""
    head, _, rest = raw.partition(b'name="file"')
    boundary = head.partition(b"\r\n")[0]
    return rest.partition(b"\r\n\r\n")[2].partition(b"\r\n" + boundary)[0]


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
        return orjson.dumps({"custom_id": name, "response": response, "error": None}) + b"\n"
    result = {"type": "succeeded", "message": reply}
    if status != 200:
        result = {"type": "errored", "error": reply}
    return orjson.dumps({"custom_id": name, "result": result}) + b"\n"


def _undone(is_openai: bool, name: str, kind: str) -> bytes:
    if is_openai:
        error = {"code": f"batch_{kind}", "message": f"This request was {kind}."}
        return orjson.dumps({"custom_id": name, "response": None, "error": error}) + b"\n"
    word = "canceled" if kind == "cancelled" else kind
    return orjson.dumps({"custom_id": name, "result": {"type": word}}) + b"\n"
