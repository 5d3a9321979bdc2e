"""A provider's batch API over HTTP: submit, look, fetch, withdraw; one class a protocol."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

from llmnb import bridge
from llmnb.adapters.http import HttpClient
from llmnb.batches.records import Part
from llmnb.errors import ConfigurationError
from llmnb.records import RawReply
from llmnb.targets.target import HTTPTarget
from llmnb.wire.batches import AnthropicBatches, BatchFormat, OpenAIBatches, Result, Standing
from llmnb.wire.catalog import models_url

LARGEST_RESULTS = 2 * 2**30
"""Bytes of one file of results; far above what a full batch gives."""

_TRANSFER_SECONDS = 3600.0
_OPENAI_DIALECTS = ("openai.chat", "openai.responses", "openai.text")
_CLOCK_SLACK = 120.0
"""Seconds that a provider's clock may be behind ours."""


def service(target: HTTPTarget) -> Service:
    """Return the batch API beside a model's endpoint.

    Raises:
        ConfigurationError: If there is none that llmnb knows.
    """
    if isinstance(target, HTTPTarget) and type(target).send is HTTPTarget.send:
        if target.dialect_name == "anthropic.messages" and target.row.name == "anthropic":
            return AnthropicService(target)
        if target.dialect_name in _OPENAI_DIALECTS and target.row.name == "openai":
            return OpenAIService(target)
    raise ConfigurationError(
        f"{target.provider}/{target.model} has no batch API that llmnb knows: mode='batch' is for "
        "openai and anthropic. Nothing was sent; mode='live' asks now."
    )


def _client() -> HttpClient:
    """Return the loop's client for batches: its files are large and slow."""
    return bridge.per_loop(
        "batches.http",
        lambda: HttpClient(total_timeout=_TRANSFER_SECONDS, max_body=LARGEST_RESULTS),
        HttpClient.close,
    )


class Service:
    """One batch API at one address under one account."""

    format: BatchFormat

    def __init__(self, target: HTTPTarget) -> None:
        self._target = target
        row, dialect = target.row, target.dialect_name
        self._base, _, self._query = models_url(row, target.url).partition("/models")
        path = next(row.paths[kind] for kind, spoken in row.dialects.items() if spoken == dialect)
        self._endpoint = f"/v1{path}"
        """The endpoint as the lines name it, whatever stands before it in the address."""

    def line(self, name: str, body: bytes) -> bytes:
        """Return the line of one request."""
        return self.format.line(name, body, self._endpoint)

    async def create(self, part: Part) -> Standing:
        """Submit a part. Raises `LLMNBError`."""
        reply = await self._post(self.format.path, await self._creation(part))
        return self.format.standing(reply)

    async def find(self, part: Part, taken: set[str]) -> Standing | None:
        """Look whether the provider has a part whose submission was not answered.

        The list is read from the newest batch back to when the part was submitted.

        Args:
            part: The part.
            taken: Names of batches that are known to be others'.
        """
        earliest = part.standing.since - _CLOCK_SLACK
        after = ""
        while True:
            raw = await self._get(self.format.path, f"limit=100{after}")
            batches, last = self.format.listed(raw.body)
            for batch in batches:
                if self._is_part(batch, part, taken):
                    return batch
            oldest = min((batch.created for batch in batches if batch.created), default=None)
            if last is None or (oldest and oldest < earliest):
                return None
            after = f"&{self.format.cursor}={last}"

    async def look(self, batch: str) -> Standing:
        """Ask how far a batch is."""
        return self.format.standing((await self._get(f"{self.format.path}/{batch}")).body)

    async def results(self, standing: Standing) -> AsyncIterator[tuple[RawReply, Iterator[Result]]]:
        """Fetch the results of a batch, file by file, from our own address.

        The key goes to no other.
        """
        for path in standing.results:
            raw = await self._get(path)
            yield raw, self.format.results(raw.body)

    async def withdraw(self, batch: str) -> None:
        """Ask the provider to stop a batch; what is finished is still given."""
        await self._post(f"{self.format.path}/{batch}/cancel", b"{}")

    async def _creation(self, part: Part) -> bytes:
        """Return the body that submits a part."""
        raise NotImplementedError

    def _is_part(self, batch: Standing, part: Part, taken: set[str]) -> bool:
        """Return whether a batch of the list is the one that was submitted for a part."""
        raise NotImplementedError

    async def _get(self, path: str, query: str = "") -> RawReply:
        mark = "&" if self._query and query else "?" if query else ""
        return self._checked(
            await _client().get_json(
                f"{self._base}{path}{self._query}{mark}{query}",
                headers=dict(self._target.sent_headers),
                origin_has_key=self._target.guards_key,
                total_timeout=_TRANSFER_SECONDS,
            )
        )

    async def _post(self, path: str, body: bytes, kind: str = "application/json") -> bytes:
        raw = await _client().post(
            f"{self._base}{path}{self._query}",
            headers={**self._target.sent_headers, "content-type": kind},
            body=body,
            origin_has_key=self._target.guards_key,
            # A batch that was perhaps made is looked for, not sent again.
            is_repeatable=False,
        )
        return self._checked(raw).body

    def _checked(self, raw: RawReply) -> RawReply:
        if 200 <= raw.status < 300:
            return raw
        error = self._target.judge(raw)
        assert error is not None
        raise error


class OpenAIService(Service):
    """OpenAI's files and batches: the lines are uploaded, then made a batch."""

    format = OpenAIBatches()

    async def _creation(self, part: Part) -> bytes:
        tag = part.standing.tag
        kind, body = self.format.upload(f"{tag}.jsonl", part.content())
        return self.format.creation(await self._post("/files", body, kind), self._endpoint, tag)

    def _is_part(self, batch: Standing, part: Part, taken: set[str]) -> bool:
        return batch.tag == part.standing.tag


class AnthropicService(Service):
    """Anthropic's message batches: all requests in one, and no mark on a batch is kept."""

    format = AnthropicBatches()

    async def _creation(self, part: Part) -> bytes:
        return self.format.creation(part.content())

    def _is_part(self, batch: Standing, part: Part, taken: set[str]) -> bool:
        """Return whether a batch is nobody else's, made since, of as many requests."""
        if batch.name in taken or batch.total != part.standing.requests:
            return False
        return batch.created is None or batch.created >= part.standing.since - _CLOCK_SLACK
