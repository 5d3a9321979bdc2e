"""A provider's batch API over HTTP: submit, look, fetch, withdraw."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

from llmnb import bridge
from llmnb.adapters.http import HttpClient
from llmnb.batches.records import Part, PartStanding
from llmnb.errors import ConfigurationError
from llmnb.records import RawReply
from llmnb.targets.target import HTTPTarget
from llmnb.wire import batches
from llmnb.wire.batches import FORMATS, Result, Standing
from llmnb.wire.catalog import models_url, owner_of

LARGEST_RESULTS = 2 * 2**30
"""Bytes of one file of results; far above what a full batch gives."""

_TRANSFER_SECONDS = 3600.0
_CLOCK_SLACK = 120.0
"""Seconds that a provider's clock may be behind ours."""


def _client() -> HttpClient:
    """Return the loop's client for batches: its files are large and slow."""
    return bridge.per_loop(
        "batches.http",
        lambda: HttpClient(total_timeout=_TRANSFER_SECONDS, max_body=LARGEST_RESULTS),
        HttpClient.close,
    )


class Service:
    """The batch API beside a model's endpoint.

    Args:
        target: The model.

    Raises:
        ConfigurationError: If there is none that llmnb knows.
    """

    def __init__(self, target: HTTPTarget) -> None:
        is_plain = isinstance(target, HTTPTarget) and type(target).send is HTTPTarget.send
        known = FORMATS.get(target.dialect_name) if is_plain else None
        if known is None or owner_of(target.dialect_name) != target.row.name:
            raise ConfigurationError(
                f"{target.provider}/{target.model} has no batch API that llmnb knows: mode='batch' "
                "is for openai and anthropic. Nothing was sent; mode='live' asks now."
            )
        self.format = known
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
        content, tag = part.content(), part.standing.tag
        if self.format.takes_uploads:
            kind, upload = batches.upload(f"{tag}.jsonl", content)
            content = await self._post("/files", upload, kind)
        body = self.format.creation(content, self._endpoint, tag)
        return self.format.standing(await self._post(self.format.path, body))

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
            page, last = self.format.listed(raw.body)
            for batch in page:
                if self._may_be(batch, part.standing, earliest, taken):
                    return batch
            oldest = min((batch.created for batch in page if batch.created), default=None)
            before, after = after, f"&{self.format.cursor}={last}"
            if last is None or after == before or (oldest and oldest < earliest):
                return None

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

    def _may_be(
        self, batch: Standing, part: PartStanding, earliest: float, taken: set[str]
    ) -> bool:
        """Return whether a batch of the list is the one that was submitted for a part."""
        if self.format.keeps_tags:
            return batch.tag == part.tag
        # Nobody else's, of as many requests, and made since.
        is_free = batch.name not in taken and batch.total == part.requests
        return is_free and (batch.created is None or batch.created >= earliest)

    async def _get(self, path: str, query: str = "") -> RawReply:
        mark = "&" if self._query and query else "?" if query else ""
        return self._good(
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
        return self._good(raw).body

    def _good(self, raw: RawReply) -> RawReply:
        """Return a reply with a good status; raise what any other means."""
        if (error := self._target.judge(raw)) is not None:
            raise error
        return raw
