"""`HTTPTarget`: one model at one address under one account, as the engine's `Target`."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import time
from collections.abc import Mapping
from typing import Any

import orjson

from llmnb import bridge
from llmnb.adapters import prices, tokens
from llmnb.adapters.egress import origin_of
from llmnb.adapters.http import HttpClient, is_stream
from llmnb.decide.charge import Estimate
from llmnb.decide.quality import chosen_length
from llmnb.engine.target import Call, OnDelta
from llmnb.errors import BadReply, LLMNBError
from llmnb.records import (
    AssistantTurn,
    LimitReport,
    Limits,
    RawReply,
    Reply,
    Usage,
    secret,
    secret_url,
)
from llmnb.store.entry import RenamedKey, answer_key
from llmnb.wire import canonical, classify
from llmnb.wire import limits as limit_headers
from llmnb.wire.api_keys import auth_headers, mask_error, without_key
from llmnb.wire.catalog import Provider, models_url, stream_url
from llmnb.wire.conversation import input_error, names_a_picture
from llmnb.wire.dialect import Dialect, samples_in, tier_in
from llmnb.wire.event_stream import EventAssembler
from llmnb.wire.openai_embeddings import inputs_in, with_every_vector
from llmnb.wire.untrusted import count_in

_ASSUMED_ANSWER = 4096
"""Tokens that a budget assumes for an answer where nothing limits it."""


def http_client() -> HttpClient:
    """Return the loop's one HTTP client; call it on the loop thread."""
    return bridge.per_loop("http", HttpClient, HttpClient.close)


class HTTPTarget:
    """A model behind HTTP, and the base of the targets that are reached otherwise.

    Args:
        row: The provider's row of the catalog.
        model: Model, as the provider spells it.
        url: Full address of the endpoint.
        key: API key, or None where none is needed.
        dialect: How the endpoint speaks.
        endpoint: What stands for the address in an answer's key; None: the address.
        account: What stands for the key in the name of the pool; None: a hash of the key.
        limits: Limits that belong to the target itself.
        allow_http: Whether a key may travel over plain http to another machine.
    """

    lists_models = True
    """Whether a server lists its models; else the target's own model is the only one."""

    def __init__(
        self,
        row: Provider,
        model: str,
        url: str,
        key: str | None,
        dialect: Dialect,
        *,
        endpoint: str | None = None,
        account: str | None = None,
        limits: Limits | None = None,
        allow_http: bool = False,
    ) -> None:
        self.row = row
        self.provider = row.name
        self.model = model
        self.url = secret_url(url)
        self.endpoint = self.url if endpoint is None else endpoint
        self.dialect = dialect
        self.dialect_name = dialect.name
        self.is_free = row.is_local
        self.limits = limits or Limits(even=row.even_pace)
        self.sent_headers = {"content-type": "application/json", **auth_headers(row, key)}
        self.guards_key = key is not None and not allow_http
        self._key = secret(key)
        if account is None:
            account = hashlib.sha256((key or "").encode()).hexdigest()[:12]
        self.pool = f"{row.name}|{origin_of(url)}|{account}|{model}"

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
        before = None
        turns = request.get("messages")
        if type(turns) is list and AssistantTurn in map(type, turns):
            request, before = _with_own_thoughts(request, turns, self.provider)
        written = self.dialect.body(request, model=self.model, params=params)
        if not self.row.fetches and names_a_picture(written):
            raise input_error(
                f"{self.provider} takes no pictures by their address: for those in a table, "
                "fetch_files=True has them fetched here."
            )
        body = canonical.with_plain_numbers(written)
        decisive = canonical.canonical(body)
        who: dict[str, Any] = {"dialect": self.dialect_name, "endpoint": self.endpoint}
        key = answer_key(body=decisive, sample=sample, extra=extra, **who)
        # The canonical bytes are a good body themselves, unless a field was left out of them.
        is_whole = canonical.UNDECIDING.isdisjoint(body)
        has_tier = not is_whole and not canonical.TIERS.isdisjoint(body)
        if before is not None or body is not written or has_tier:
            if before is not None:
                written = self.dialect.body(before, model=self.model, params=params)
            older = canonical.canonical_in_0_1(written)
            key = RenamedKey(key, answer_key(body=older, sample=sample, extra=extra, **who))
        wire = decisive if is_whole else canonical.json_body(body)
        call = Call(self, body, decisive, wire, key)
        if self.dialect_name == "openai.embeddings":
            call.verify = functools.partial(with_every_vector, inputs=inputs_in(body))
        return call

    def fetch(self) -> None:
        """Have on this machine what answering takes; by default that is nothing.

        Raises:
            ConfigurationError: If it cannot be had.
        """

    def get_ready(self) -> None:
        """Do, on a thread, what would delay the first request; by default nothing."""

    async def send(self, call: Call, *, on_delta: OnDelta | None) -> RawReply:
        """Send one request and read its reply whole; a key that it repeats is hidden in it."""
        return self.without_key(await self._sent(call, on_delta))

    def without_key(self, raw: RawReply) -> RawReply:
        """Return a reply in which the key that was sent cannot be read."""
        body = without_key(raw.body, self._key)
        return raw if body is raw.body else dataclasses.replace(raw, body=body)

    async def _sent(self, call: Call, on_delta: OnDelta | None) -> RawReply:
        if on_delta is not None:
            return await self._stream(call, on_delta)
        raw = await http_client().post(
            self.url,
            headers=self.sent_headers,
            body=call.wire,
            origin_has_key=self.guards_key,
        )
        if raw.body[:1] != b"{" and self.judge(raw) is None and is_stream(raw.headers):
            # The server has streamed its reply unasked.
            assembler = self.dialect.assembler(samples=samples_in(call.body))
            assembler.feed(raw.body)
            return self._put_together(raw, assembler)
        return raw

    async def _stream(self, call: Call, on_delta: OnDelta) -> RawReply:
        """Stream the answer; return the reply that a request without streaming would have got."""
        assembler = self.dialect.assembler(samples=samples_in(call.body))
        has_come = False

        def feed(piece: bytes) -> bool:
            nonlocal has_come
            has_come = True
            deltas = assembler.feed(piece)
            for delta in deltas:
                on_delta(delta)
            return bool(deltas)

        raw = await http_client().post(
            secret_url(stream_url(self.url)),
            headers=self.sent_headers,
            body=canonical.json_body(self.dialect.stream_body(call.body)),
            origin_has_key=self.guards_key,
            feed=feed,
            has_ended=assembler.has_ended,
        )
        return self._put_together(raw, assembler) if has_come else raw

    def _put_together(self, raw: RawReply, assembler: EventAssembler) -> RawReply:
        """Return a reply with the body that it would have had in one piece."""
        try:
            return dataclasses.replace(raw, body=assembler.finish())
        except LLMNBError as error:
            raise mask_error(error, self._key) from None

    def announced(self, raw: RawReply) -> tuple[LimitReport, ...]:
        """Return the limits that a reply's headers announce; empty if they announce none."""
        return limit_headers.limit_reports(raw.headers, self.row.limit_headers)

    async def list_models(self) -> list[str]:
        """Return the ids of the models that there are; call it on the loop thread."""
        if not self.lists_models:
            return [self.model]
        raw = await http_client().get_json(
            models_url(self.row, self.url),
            headers=self.sent_headers,
            origin_has_key=self.guards_key,
        )
        if (error := self.judge(raw)) is not None:
            raise error
        return model_ids(raw.body, self.provider)

    def judge(self, raw: RawReply) -> LLMNBError | None:
        """Return the typed error that a reply means, or None for a good status."""
        if 200 <= raw.status < 300:
            return None
        return classify.classify(
            raw.status,
            raw.headers,
            raw.body,
            provider=self.provider,
            model=self.model,
            now=time.time(),
            secret=self._key,
        )

    def read(self, raw: bytes) -> Reply:
        """Read a good reply."""
        try:
            return self.dialect.parse(raw)
        except LLMNBError as error:
            raise mask_error(error, self._key) from None

    def charge(self, call: Call) -> Estimate:
        """Return the tokens that the limit counts before the answer is known, and their parts."""
        prompt, answer = tokens.fast_estimate(call.body), chosen_tokens(call.body) or 0
        # OpenAI counts the larger of the two before it answers; others what is really used.
        counted = max(prompt, answer) if self.row.charge == "estimate" else prompt + answer
        return Estimate(counted, prompt, answer)

    def used(self, reserved: float, usage: Usage | None) -> float:
        """Return the tokens that the limit counts once the answer is known."""
        if usage is None:
            return reserved
        if usage.unknown or self.row.charge == "estimate":
            return max(reserved, float(usage.total))
        return float(usage.total)

    def price(self, usage: Usage | None, model: str | None) -> float | None:
        """Return dollars, 0 for a local model, None when unknown, as where a count is missing.

        Args:
            usage: Tokens; the price that a reply itself states wins over the table.
            model: Who answered, as the reply names it: priced where the name that was asked is in
                no table, as a deployment's or a router's is not.
        """
        if self.is_free:
            return 0.0
        if usage is None:
            return None
        if usage.usd is not None and (usage.usd > 0 or self.row.tells_price):
            return usage.usd
        if usage.unknown:
            return None
        usd = prices.price(self.provider, self.model, usage)
        if usd is None and model and model != self.model:
            usd = prices.price(self.provider, model, usage)
        return usd

    def highest_price(self, call: Call) -> float | None:
        """Return the dollars that a request costs at most, as far as known; None when unknown."""
        if self.is_free:
            return 0.0
        answer = chosen_tokens(call.body) or count_in(call.body, "max_tokens") or _ASSUMED_ANSWER
        # Every token is at least one byte, so the bytes bound the prompt from above.
        usage = Usage(
            prompt=len(call.wire),
            completion=answer * samples_in(call.body),
            tier=tier_in(call.body),
        )
        return self.price(usage, self.model)

    def fits(self, call: Call) -> bool:
        """Return whether the prompt fits the model's context, as far as is known."""
        room = prices.context_window(self.provider, self.model)
        return room is None or tokens.fast_estimate(call.body) <= room

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.provider}/{self.model} at {origin_of(self.url)}>"


def _with_own_thoughts(
    request: Mapping[str, Any], turns: list[Any], provider: str
) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """Return a request without the thoughts of other providers' models.

    Returns:
        It, and the same without any thoughts, as release 0.1.0 sent it.
    """
    bare = [turn.without_thoughts() if isinstance(turn, AssistantTurn) else turn for turn in turns]
    own = [
        dict(turn) if isinstance(turn, AssistantTurn) and turn.provider == provider else without
        for turn, without in zip(turns, bare, strict=True)
    ]
    return {**request, "messages": own}, {**request, "messages": bare}


def chosen_tokens(body: Mapping[str, Any]) -> int | None:
    """Return `chosen_length` where it is a number of tokens, above 0.

    Example:
        >>> chosen_tokens({"max_tokens": 9}), chosen_tokens({"max_tokens": -1})
        (9, None)
    """
    return count_in({"length": chosen_length(body)}, "length") or None


def model_ids(body: bytes, provider: str) -> list[str]:
    """Return the ids in a provider's list of models.

    Example:
        >>> model_ids(b'{"data": [{"id": "a"}, {"id": "b"}]}', "openai")
        ['a', 'b']
        >>> model_ids(b'[{"id": "c"}]', "together")
        ['c']
        >>> model_ids(b'{"models": [{"name": "models/d"}]}', "gemini")
        ['d']
    """
    try:
        parsed = orjson.loads(body)
        if isinstance(parsed, dict) and "models" in parsed:
            return [str(row["name"]).removeprefix("models/") for row in parsed["models"]]
        rows = parsed["data"] if isinstance(parsed, dict) else parsed
        return [str(row["id"]) for row in rows]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        raise BadReply(f"{provider} gave no readable list of models.", raw=body) from None
