"""Decide how each request is answered, without any socket.

The server hands in what came (`RequestHandler.receive`) and gets a `ReplyPlan`: what to
answer, when, and what is to go wrong on the way. It reports back how it ended
(`close`, `leave`), and the ledger knows everything. The order of the
decisions is that of a real provider's front door: is this understood, is the
key good, does the script of faults strike, do the limits let it pass; then
the answer is made.

Whatever makes the provider work must pass its limits, so a fault that is
billed is subject to them and one that costs nothing is not.

A provider with more endpoints or other manners is a subclass of `RequestHandler`,
named by `handler_class` in a subclass of `SimulatedProvider`: `batches_class`,
`limits_class` and `passage` are there to be replaced. A new API is one
more subclass of `Api`, named in `APIS`.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import Any, ClassVar

import orjson

from llmnb.testing.answers import Replier, as_replier, make_answer
from llmnb.testing.anthropic_messages import Messages
from llmnb.testing.api import Api
from llmnb.testing.batches import PRICE_FACTOR, Batches, failure
from llmnb.testing.body import Body, Rejected
from llmnb.testing.faults import Bend, Break, Fault, Instead, Rule, Script, as_fault, as_rule
from llmnb.testing.gemini import Generate
from llmnb.testing.latency import latency_model
from llmnb.testing.ledger import End, Ledger, LedgerRow
from llmnb.testing.limits import EnforcedLimits, LimitSettings, Refusal
from llmnb.testing.openai_completions import Chat, Text
from llmnb.testing.openai_embeddings import Embeddings
from llmnb.testing.openai_responses import Responses
from llmnb.testing.options import Behaviour
from llmnb.testing.plan import EVENTS, Headers, ReplyPlan, key_of
from llmnb.testing.provider_profiles import OPENAI, ProviderProfile
from llmnb.testing.request import CREATED, SimulatedRequest

APIS: tuple[Api, ...] = (Chat(), Text(), Responses(), Embeddings(), Messages(), Generate())
"""What is spoken; the first that answers at a path is asked."""

LEDGER_PATH = "/__ledger__"
"""Where the ledger can be read."""

DEFAULT_MODELS = (
    "gpt-4o", "gpt-4o-mini", "gpt-4.1", "gpt-4.1-mini", "gpt-4.1-nano", "gpt-3.5-turbo",
    "gpt-3.5-turbo-instruct", "davinci-002", "babbage-002", "simulated",
)  # fmt: skip
"""What the list of models shows where every name is accepted."""


class RequestHandler:
    """Decides what each request gets.

    Args:
        behaviour: How the provider behaves.

    Example:
        >>> handler = RequestHandler(Behaviour(reply="Yes."))
        >>> plan = handler.receive("POST", "/v1/completions", {}, b'{"model":"m","prompt":"Well?"}')
        >>> plan.status, b"Yes." in plan.body
        (200, True)
        >>> handler.close(plan)
        >>> handler.ledger.count("Well?", of="billed")
        1
    """

    batches_class: ClassVar[type[Batches]] = Batches
    """What answers about files and batches."""

    limits_class: ClassVar[type[EnforcedLimits]] = EnforcedLimits
    """What enforces the limits."""

    def __init__(self, behaviour: Behaviour) -> None:
        self.behaviour = behaviour
        self.ledger = Ledger(keep_rows=behaviour.ledger == "rows")
        self.limits = self.limits_class(behaviour)
        self.errors: list[Exception] = []
        """What went wrong in the caller's own functions; raised when the provider is closed."""
        self._clock = behaviour.clock
        self.latency = latency_model(behaviour.latency)
        self._replier: Replier | None = as_replier(behaviour.reply)
        self._rule: Rule | None = None
        self.set_faults(behaviour.faults)
        self.started: float | None = None
        """When the first request came; outages count from there."""
        self.batches = self.batches_class(self.answer_in_batch, self.is_accepted)

    def set_faults(self, script: Script) -> None:
        """Replace the script of faults; a list begins with the next request."""
        self._rule = as_rule(script, start=self.ledger.totals().received)
        if self._rule is not None:
            self.ledger.counts_prompts = True

    def set_limits(self, settings: LimitSettings) -> None:
        """Replace the limits; the new ones begin full."""
        self.limits = self.limits_class(settings)

    # ---------------------------------------------------------------- what came in

    def receive(self, method: str, path: str, headers: Headers, raw: bytes) -> ReplyPlan:
        """Decide about a request; never raises because of what the request holds.

        Args:
            method: HTTP method.
            path: Path with its query.
            headers: The request's headers.
            raw: The body, read whole.
        """
        api = api_at(path) if method == "POST" else None
        if api is None:
            about_batches = self.batches.receive(method, path, headers, raw)
            return about_batches or self._look_up(method, path, headers)
        try:
            return self._decide(api, headers, raw)
        except Exception as error:
            # A function that the test gave (reply, faults) failed. The client gets
            # a 500; the test gets the exception itself when the provider is closed.
            self.errors.append(error)
            text = f"The simulated provider failed: {type(error).__name__}."
            return failure(500, api.profile.error(500, text))

    def _decide(self, api: Api, headers: Headers, raw: bytes) -> ReplyPlan:
        now, key = self._clock(), key_of(headers)
        problem = None
        try:
            request = api.read(Body.of(raw))
        except Rejected as rejected:
            problem = rejected
            request = SimulatedRequest(endpoint="", body={}, model="", prompt="", identity="")
        row = self._enter(request, now, key, raw)
        try:
            if problem is None:
                plan = self._plan(api, request, key, now)
            else:
                plan = failure(*api.profile.malformed(problem.message, problem.param))
        except Exception:
            self.ledger.close(row, finished=now, end="failed", status=500)
            raise
        plan.row, plan.request = row, request
        plan.headers[api.profile.request_id_header] = f"req_sim_{row.number:08x}"
        return plan

    def _enter(self, request: SimulatedRequest, now: float, key: str, raw: bytes) -> LedgerRow:
        charged = self.limits.charged(request)
        row = self.ledger.open(request, now=now, body=raw, key=key, charged_tokens=charged)
        if self.started is None:
            self.started = now
        request.number = row.number
        request.attempt = row.attempt
        request.time = now - self.started
        request.seed = self.behaviour.seed
        request.digest = int(row.prompt_hash[:16], 16)
        return row

    # --------------------------------------------------------------- what it gets

    def _plan(self, api: Api, request: SimulatedRequest, key: str, now: float) -> ReplyPlan:
        profile = api.profile
        if not self.is_accepted(key):
            return failure(*profile.mistake("wrong key"))
        if not request.model:
            return failure(*profile.malformed("You must provide a model parameter.", "model"))
        if self.behaviour.models is not None and request.model not in self.behaviour.models:
            return failure(*profile.mistake("unknown model", model=request.model))
        fault = None if self._rule is None else as_fault(self._rule(request))
        if (fault is None or fault.billed) and not self.limits.is_open:
            tokens, in_flight = self.limits.charged(request), self.ledger.in_flight
            refusal = self.limits.admit(tokens=tokens, now=now, in_flight=in_flight)
            if refusal is not None:
                return self._refusal_plan(profile, refusal, request, now)
        if fault is None or fault.billed or not _replaces_answer(fault):
            plan = self._answer_plan(api, request, fault, now)
        else:
            plan = ReplyPlan(status=200, delay=fault.delay or 0.0)
        plan.was_admitted = True
        if fault is not None:
            _strike(plan, fault, key, profile)
        return plan

    def _refusal_plan(
        self, profile: ProviderProfile, refusal: Refusal, request: SimulatedRequest, now: float
    ) -> ReplyPlan:
        hint = self.limits.settings.retry_hint if refusal.wait > 0 else None
        body = profile.refusal(refusal, model=request.model, tells_wait=hint is not None)
        headers = self.limit_headers(profile, now)
        if hint is not None:
            headers.update(profile.retry_headers(refusal.wait, hint))
        return ReplyPlan(status=429, body=body, headers=headers)

    def limit_headers(self, profile: ProviderProfile, now: float) -> dict[str, str]:
        """Return the headers that tell how the limits stand."""
        return profile.limit_headers(self.limits.standings(now))

    def _answer_plan(
        self, api: Api, request: SimulatedRequest, fault: Fault | None, now: float
    ) -> ReplyPlan:
        answer = make_answer(request, self._replier, fault if isinstance(fault, Bend) else None)
        plan = ReplyPlan(
            status=200,
            headers={} if self.limits.is_open else self.limit_headers(api.profile, now),
            answer=answer,
            is_billed=fault is None or fault.billed,
        )
        if request.is_streamed:
            plan.stream = api.stream(request, answer)
            plan.content_type = EVENTS
        else:
            plan.body = orjson.dumps(api.reply(request, answer))
        plan.delay, plan.pace = self.waits(request, plan)
        if fault is not None and fault.delay is not None:
            plan.delay = fault.delay
        return plan

    def waits(self, request: SimulatedRequest, plan: ReplyPlan) -> tuple[float, float | None]:
        """Return the seconds until the first byte, and the tokens a second after it."""
        seconds = self.latency.seconds(
            request.number, seed=self.behaviour.seed, in_flight=self.ledger.in_flight
        )
        pace = self.behaviour.tokens_per_second
        if plan.stream is None and pace is not None:
            # Not streamed, the first byte comes when the last token is made.
            seconds += plan.completion_tokens / pace
        return seconds, pace

    # -------------------------------------------------------------- how it ended

    def close(self, plan: ReplyPlan, *, price_factor: float = 1.0) -> None:
        """Enter that a plan was carried out; called before its last bytes leave."""
        end: End = "refused" if plan.status == 429 else plan.end
        has_status = not (isinstance(plan.fault, Break) and plan.fault.is_before_reply)
        self._enter_end(plan, end, plan.completion_tokens, has_status, price_factor)

    def leave(self, plan: ReplyPlan) -> None:
        """Enter that the client left before the reply was whole.

        What was asked for whole is finished and billed nevertheless; of a
        stream, what had been sent.
        """
        completion = plan.completion_tokens if plan.stream is None else plan.sent_tokens
        self._enter_end(plan, "cancelled", completion, plan.has_begun)

    def _enter_end(
        self, plan: ReplyPlan, end: End, completion: int, has_status: bool, price_factor: float = 1
    ) -> None:
        row = plan.row
        if row is None or not self.ledger.is_open(row):
            return
        now, usd = self._clock(), 0.0
        if plan.is_billed:
            self.limits.settle(row.prompt_tokens + completion, now=now)
            usd = self.behaviour.price(row.model).of(row.prompt_tokens, completion) * price_factor
        self.ledger.close(
            row,
            finished=now,
            end=end,
            status=plan.status if has_status else None,
            fault=None if plan.fault is None else plan.fault.name,
            billed=plan.is_billed,
            completion_tokens=completion,
            usd=usd,
        )

    # ---------------------------------------------------------- before a reply leaves

    async def passage(self, plan: ReplyPlan) -> None:
        """Wait until a reply may leave; here each may at once."""

    # --------------------------------------------------------------- other pages

    def answer_in_batch(self, path: str, headers: Headers, raw: bytes) -> ReplyPlan:
        """Answer one request of a batch, at a batch's price."""
        plan = self.receive("POST", path, headers, raw)
        self.close(plan, price_factor=PRICE_FACTOR)
        return plan

    def is_accepted(self, key: str) -> bool:
        """Return whether a key is good here."""
        accepted = self.behaviour.api_key
        if not accepted:
            return True
        return bool(key) if isinstance(accepted, bool) else key in accepted

    def _look_up(self, method: str, path: str, headers: Headers) -> ReplyPlan:
        """Answer a request for the list of models, for a model, or for the ledger."""
        path, _, query = path.partition("?")
        if path == LEDGER_PATH:
            return ReplyPlan(status=200, body=orjson.dumps(self.ledger_page(method, query)))
        _, separator, name = path.partition("/models")
        if not separator or method != "GET":
            return failure(404)
        if not self.is_accepted(key_of(headers)):
            return failure(*OPENAI.mistake("wrong key"))
        self.ledger.note_model_list()
        known = self.behaviour.models
        if name := name.lstrip("/"):
            if known is not None and name not in known:
                return failure(*OPENAI.mistake("unknown model", model=name))
            return ReplyPlan(status=200, body=orjson.dumps(_model_card(name)))
        cards = [_model_card(each) for each in (DEFAULT_MODELS if known is None else known)]
        return ReplyPlan(status=200, body=orjson.dumps({"object": "list", "data": cards}))

    def ledger_page(self, method: str, query: str) -> dict[str, Any]:
        """Return what the ledger's page shows."""
        return {"totals": dataclasses.asdict(self.ledger.totals())}


def _replaces_answer(fault: Fault) -> bool:
    return isinstance(fault, Instead) or (isinstance(fault, Break) and fault.is_before_reply)


def _strike(plan: ReplyPlan, fault: Fault, key: str, profile: ProviderProfile) -> None:
    """Apply a fault to a plan; a `Bend` has changed the answer already."""
    plan.fault = fault
    if not isinstance(fault, Bend):
        plan.end = "finished" if fault.is_whole else "failed"
    if isinstance(fault, Instead):
        instead = profile.worded(fault, key)
        plan.stream = None
        plan.status, plan.body = instead.status, instead.body
        plan.content_type = instead.content_type
        plan.headers.update(instead.headers)


def _model_card(name: str) -> dict[str, object]:
    return {"id": name, "object": "model", "created": CREATED, "owned_by": "llmnb-simulated"}


@functools.lru_cache(maxsize=256)
def api_at(path: str) -> Api | None:
    """Return the API that answers at a path, None where none does.

    Example:
        >>> api_at("/openai/v1/chat/completions").name
        'chat'
        >>> api_at("/v1beta/models/gemini-x:generateContent").model
        'gemini-x'
    """
    path = path.partition("?")[0]
    return next((found for api in APIS if (found := api.at(path)) is not None), None)
