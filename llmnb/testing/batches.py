"""The simulated provider's files and batches, OpenAI's and Anthropic's, with a script of faults.

A batch makes one step each time it is asked after, so that no test waits for a
clock. Every request of it goes through the same request handler as a live one: the ledger
has a row for each, at half the price.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import orjson

from llmnb.testing import error_bodies
from llmnb.testing.anthropic_house import ANTHROPIC
from llmnb.testing.house import OPENAI, StatusAndBody

if TYPE_CHECKING:
    from llmnb.testing.request_handler import Headers, Plan, RequestHandler

PRICE_FACTOR = 0.5
"""What a request in a batch costs, as a part of the price."""

_KEY_HEADERS = ("authorization", "x-api-key")

Chosen = Callable[[str], bool]
"""Whether something befalls a request, by its prompt."""


@dataclass(slots=True, kw_only=True)
class BatchScript:
    """What is to go wrong with batches; by default nothing."""

    polls: int = 1
    """Questions answered with *in progress* before a batch is over."""

    shuffled: bool = False
    expires: Chosen | None = None
    """Requests that are not come to in time."""

    leaves_out: Chosen | None = None
    """Requests of which the results say nothing."""

    duplicates: bool = False
    """Whether every result stands there twice."""

    strangers: int = 0
    """Results with ids that nobody gave."""

    refuses: str | None = None
    """Why a batch is refused after it was accepted."""

    create_errors: list[int] = field(default_factory=list)
    """Statuses for the next submissions, in place of making a batch."""

    lost_replies: int = 0
    """Submissions that make a batch and whose reply never comes."""

    poll_errors: list[int] = field(default_factory=list)
    """Statuses for the next questions how far a batch is."""

    retry_after: int | None = None
    """Seconds told with errors."""


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


class Batches:
    """The batches of one simulated provider.

    Args:
        handler: Who answers single requests.
    """

    def __init__(self, handler: RequestHandler) -> None:
        self._handler = handler
        self.script = BatchScript()
        self.batches: dict[str, SimulatedBatch] = {}
        """Every batch that was made, by its name."""

        self.files: dict[str, bytes] = {}
        self.polls: list[str] = []
        """Names of the batches that were asked after, in order."""

    def receive(self, method: str, path: str, headers: Headers, raw: bytes) -> Plan | None:
        """Answer a request about files or batches; None where it is about neither."""
        path, _, query = path.partition("?")
        place = path.rfind("/files") if "/files" in path else path.rfind("/batches")
        if place < 0:
            return None
        is_openai = not path[:place].endswith("/messages")
        parts = path[place + 1 :].split("/")
        if not self._handler.is_accepted(headers):
            return self._error((OPENAI if is_openai else ANTHROPIC).wrong_key())
        if parts[0] == "files":
            return self._file(method, parts, raw)
        if method == "POST" and len(parts) == 1:
            return self._create(is_openai, raw, headers)
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
        return self._look(batch)

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

    def _create(self, is_openai: bool, raw: bytes, headers: Headers) -> Plan:
        if self.script.create_errors:
            return self._failure(self.script.create_errors.pop(0))
        body = orjson.loads(raw)
        if is_openai:
            content = self.files.get(body["input_file_id"], b"")
            rows = [orjson.loads(line) for line in content.splitlines() if line.strip()]
            requests = [(row["custom_id"], row["url"], row["body"]) for row in rows]
        else:
            rows = body["requests"]
            requests = [(row["custom_id"], "/v1/messages", row["params"]) for row in rows]
        names = [name for name, _, _ in requests]
        house = OPENAI if is_openai else ANTHROPIC
        if not requests or len(set(names)) < len(names) or max(map(len, names)) > 64:
            return self._error(house.malformed("The ids of a batch must differ.", "custom_id"))
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
        plan = self._json(self._shown(batch))
        if self.script.lost_replies:
            self.script.lost_replies -= 1
            return self._handler.lost(plan)
        return plan

    def _look(self, batch: SimulatedBatch) -> Plan:
        self.polls.append(batch.name)
        if self.script.poll_errors:
            return self._failure(self.script.poll_errors.pop(0))
        if batch.status == "in_progress":
            if self.script.refuses is not None and batch.is_openai:
                batch.status = "failed"
            elif batch.polls >= self.script.polls:
                self._answer(batch)
            batch.polls += 1
        return self._json(self._shown(batch))

    def _list(self, is_openai: bool, query: str) -> Plan:
        rows = [one for one in self.batches.values() if one.is_openai == is_openai]
        shown = [self._shown(one) for one in reversed(rows)]
        last = shown[-1]["id"] if shown else None
        return self._json({"data": shown, "has_more": False, "last_id": last, "object": "list"})

    def _cancel(self, batch: SimulatedBatch) -> None:
        if batch.status == "in_progress":
            self._answer(batch, is_cancelled=True)

    def _answer(self, batch: SimulatedBatch, *, is_cancelled: bool = False) -> None:
        """Answer every request, and let happen what the script says."""
        script = self.script
        lines: list[bytes] = []
        errors: list[bytes] = []
        for name, path, body in batch.requests:
            prompt = _prompt(body)
            if script.leaves_out is not None and script.leaves_out(prompt):
                continue
            if is_cancelled or (script.expires is not None and script.expires(prompt)):
                kind = "cancelled" if is_cancelled else "expired"
                errors.append(_undone(batch.is_openai, name, kind))
                continue
            plan = self._handler.receive("POST", path, batch.headers, _dumps(body))
            self._handler.close(plan, price_factor=PRICE_FACTOR)
            is_good = plan.status == 200
            line = _line(batch.is_openai, name, plan.status, plan.body)
            (lines if is_good else errors).append(line)
        lines += [
            _line(batch.is_openai, f"stranger-{number}", 200, b'{"id":"no one\'s"}')
            for number in range(script.strangers)
        ]
        if not batch.is_openai:
            lines, errors = lines + errors, []
        if script.duplicates:
            lines, errors = lines * 2, errors * 2
        if script.shuffled:
            random.Random(len(lines)).shuffle(lines)
        batch.lines, batch.errors = lines, errors
        expired = script.expires is not None and bool(errors)
        batch.status = "cancelled" if is_cancelled else "expired" if expired else "completed"
        for kind, content in (("output", lines), ("error", errors)):
            if content:
                self.files[f"{batch.name}-{kind}"] = b"".join(content)

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
            "errors": {"data": [{"message": self.script.refuses}]}
            if batch.status == "failed"
            else None,
        }

    # ---------------------------------------------------------------------- replies

    def _json(self, value: Mapping[str, Any]) -> Plan:
        return self._page(orjson.dumps(value))

    def _page(self, body: bytes) -> Plan:
        return self._handler.page(200, body)

    def _error(self, error: StatusAndBody) -> Plan:
        return self._handler.page(*error)

    def _failure(self, status: int) -> Plan:
        plan = self._handler.page(status, error_bodies.error_reply(status)[0])
        if self.script.retry_after is not None:
            plan.headers["retry-after"] = str(self.script.retry_after)
        return plan


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


def _line(is_openai: bool, name: str, status: int, body: bytes) -> bytes:
    reply = orjson.loads(body)
    if is_openai:
        response = {"status_code": status, "request_id": "req_sim", "body": reply}
        return _dumps({"custom_id": name, "response": response, "error": None}) + b"\n"
    result = {"type": "succeeded", "message": reply}
    if status != 200:
        result = {"type": "errored", "error": reply}
    return _dumps({"custom_id": name, "result": result}) + b"\n"


def _undone(is_openai: bool, name: str, kind: str) -> bytes:
    if is_openai:
        error = {"code": f"batch_{kind}", "message": f"This request was {kind}."}
        return _dumps({"custom_id": name, "response": None, "error": error}) + b"\n"
    word = "canceled" if kind == "cancelled" else kind
    return _dumps({"custom_id": name, "result": {"type": word}}) + b"\n"


def _dumps(value: Any) -> bytes:
    return orjson.dumps(value)
