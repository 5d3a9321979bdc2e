"""One model at one address under one account, as the engine's `Target` protocol wants it."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import orjson

from llmnb import bridge
from llmnb.adapters import prices, tokens
from llmnb.adapters.http import HttpClient
from llmnb.engine.target import Call
from llmnb.errors import BadReply, LLMNBError
from llmnb.records import Limits, RawReply, Reply, Usage
from llmnb.store.keys import answer_key
from llmnb.wire import canonical, classify
from llmnb.wire.catalog import Provider
from llmnb.wire.dialect import Dialect
from llmnb.wire.keys import auth_headers

_UNSENT_FIELDS = ("max_tokens", "max_completion_tokens")


def http_client() -> HttpClient:
    """Return the loop's one HTTP client; call it on the loop thread."""
    return bridge.per_loop("http", HttpClient, HttpClient.close)


class HTTPTarget:
    """A model behind HTTP.

    Args:
        row: The provider's row of the catalog.
        model: Model, as the provider spells it.
        url: Full address of the endpoint.
        key: API key, or None where none is needed.
        dialect: How the endpoint speaks.
        limits: Limits that belong to the target itself.
        allow_http: Whether a key may travel over plain http to another machine.
        encoding: Name of the token encoding used to count.
    """

    __slots__ = (
        "_allow_http",
        "_dialect",
        "_encoding",
        "_headers",
        "_key",
        "limits",
        "model",
        "pool",
        "row",
        "url",
    )

    def __init__(
        self,
        row: Provider,
        model: str,
        url: str,
        key: str | None,
        dialect: Dialect,
        *,
        limits: Limits | None = None,
        allow_http: bool = False,
        encoding: str = "cl100k_base",
    ) -> None:
        self.row = row
        self.model = model
        self.url = url
        self.limits = limits or Limits(even=row.even_pace)
        self._key = key
        self._dialect = dialect
        self._encoding = encoding
        self._allow_http = allow_http
        self._headers = {"content-type": "application/json", **auth_headers(row, key)}
        self.pool = _pool(row.name, url, key, model)

    @property
    def provider(self) -> str:
        """Catalog name of the provider."""
        return self.row.name

    @property
    def endpoint(self) -> str:
        """Where it answers, part of an answer's key."""
        return self.url

    @property
    def dialect(self) -> Dialect:
        """How the endpoint speaks."""
        return self._dialect

    @property
    def dialect_name(self) -> str:
        """Name of the dialect, part of an answer's key."""
        return self._dialect.name

    def call(
        self,
        request: Mapping[str, Any],
        params: Mapping[str, Any],
        *,
        sample: int = 0,
        extra: bytes = b"",
    ) -> Call:
        """Return what to send for a request.

        Args:
            request: ``messages``, ``prompt`` or ``input``, and any further fields of the body.
            params: Fields of the body where the request does not say otherwise.
            sample: Which of several samples of one prompt this is.
            extra: Further bytes that tell answers apart.

        Raises:
            InputError: If the request asks nothing or cannot be written as JSON.
        """
        body = self._dialect.body(request, model=self.model, params=params)
        decisive = canonical.canonical(body)
        key = answer_key(
            dialect=self._dialect.name,
            endpoint=self.endpoint,
            body=decisive,
            headers=None,
            sample=sample,
            extra=extra,
        )
        # The canonical bytes are a good body themselves, unless a field was left out of them.
        wire = canonical.encoded(body) if "user" in body else decisive
        return Call(target=self, body=body, canonical=decisive, wire=wire, key=key)

    async def send(self, body: bytes, *, timeout: float | None) -> RawReply:
        """Send one request and read its reply whole."""
        return await http_client().post(
            self.url,
            headers=self._headers,
            body=body,
            origin_has_key=self._key is not None and not self._allow_http,
            total_timeout=timeout,
        )

    async def list_models(self) -> list[str]:
        """Return the ids of the models that the provider lists; call it on the loop thread."""
        base = self.url
        for path in self.row.paths.values():
            base = base.removesuffix(path)
        raw = await http_client().get_json(
            base + "/models",
            headers=self._headers,
            origin_has_key=self._key is not None and not self._allow_http,
        )
        if (error := self.judge(raw)) is not None:
            raise error
        return model_ids(raw.body, self.row.name)

    def judge(self, raw: RawReply) -> LLMNBError | None:
        """Return the typed error that a reply means, or None for a good status."""
        if raw.status == 200:
            return None
        return classify.classify(
            raw.status,
            raw.headers,
            raw.body,
            provider=self.row.name,
            model=self.model,
            now=time.time(),
            secret=self._key,
        )

    def read(self, raw: bytes) -> Reply:
        """Read a good reply."""
        return self._dialect.parse(raw)

    def is_simulated(self, raw: RawReply) -> bool:
        """Whether the simulated provider answered."""
        return "x-llmnb-simulated" in raw.headers

    def charge(self, call: Call) -> float:
        """Return the tokens that the limit counts before the answer is known."""
        asked = next((call.body[name] for name in _UNSENT_FIELDS if call.body.get(name)), 0)
        prompt = tokens.fast_estimate(call.body)
        answer = asked if isinstance(asked, int) else 0
        # OpenAI counts the larger of the two before it answers; others what is really used.
        return float(max(prompt, answer) if self.row.charge == "estimate" else prompt + answer)

    def used(self, reserved: float, usage: Usage | None) -> float:
        """Return the tokens that the limit counts once the answer is known."""
        if usage is None or self.row.charge == "estimate":
            return reserved if usage is None else max(reserved, float(usage.total))
        return float(usage.total)

    def price(self, usage: Usage | None, model: str | None) -> float | None:
        """Return dollars, 0 for a local model, None when unknown."""
        if self.row.is_local:
            return 0.0
        if usage is None:
            return None
        return prices.price(self.row.name, self.model, usage)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.row.name}/{self.model} at {_origin(self.url)}>"


def model_ids(body: bytes, provider: str) -> list[str]:
    """Return the ids in a provider's list of models.

    Example:
        >>> model_ids(b'{"data": [{"id": "a"}, {"id": "b"}]}', "openai")
        ['a', 'b']
        >>> model_ids(b'[{"id": "c"}]', "together")
        ['c']
    """
    try:
        parsed = orjson.loads(body)
        rows = parsed["data"] if isinstance(parsed, dict) else parsed
        return [str(row["id"]) for row in rows]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        raise BadReply(f"{provider} gave no readable list of models.", raw=body) from None


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname}" + (f":{parts.port}" if parts.port else "")


def _pool(provider: str, url: str, key: str | None, model: str) -> str:
    """Name what shares limits; of the key only a hash goes in."""
    account = hashlib.sha256((key or "").encode()).hexdigest()[:12]
    return f"{provider}|{_origin(url)}|{account}|{model}"
