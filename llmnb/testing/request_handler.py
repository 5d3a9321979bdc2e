"""What the simulated provider decides about each request, without any socket.

A transport hands in what came (`RequestHandler.receive`) and gets a `Plan`: what to
answer, when, and what is to go wrong on the way. It reports back how it ended
(`close`, `leave`), and the ledger knows everything. The order of the
decisions is that of a real provider's front door: is this understood, is the
key good, does the script of faults strike, do the limits let it pass; then
the answer is made.

Whatever makes the provider work must pass its limits, so a fault that is
billed is subject to them and one that costs nothing is not.

A provider with more endpoints or other manners is a subclass of `RequestHandler`,
named by `handler_class` in a subclass of `SimulatedProvider`: `batches_class`,
`holds_back` and `passage` are there to be replaced.
"""

from __future__ import annotations

import time
from collections.abc import Collection
from typing import ClassVar

import orjson

from llmnb.testing import error_bodies
from llmnb.testing.answers import Replier, as_replier, make_answer
from llmnb.testing.batches import PRICE_FACTOR, Batches
from llmnb.testing.endpoints import Endpoint, endpoint_of
from llmnb.testing.fault_rules import Rule, Script, as_rule
from llmnb.testing.faults import Bend, Break, Drip, EchoKey, Fault, Garble, Instead, Raw, as_fault
from llmnb.testing.latency import latency_model, rest_of
from llmnb.testing.ledger import End, Ledger, OpenRow
from llmnb.testing.limits import EnforcedLimits, LimitSettings, Refusal
from llmnb.testing.options import Behaviour, price_of
from llmnb.testing.plan import JSON, Headers, Plan
from llmnb.testing.provider_profiles import OPENAI, ProviderProfile, StatusAndBody
from llmnb.testing.request import Rejected, SimulatedRequest

LEDGER_PATH = "/__ledger__"
"""Where the ledger can be read (GET; ``?rows`` for all rows) and begun anew (DELETE)."""

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

    def __init__(self, behaviour: Behaviour) -> None:
        self.behaviour = behaviour
        self.ledger = Ledger(keep_rows=behaviour.ledger == "rows")
        self.limits = EnforcedLimits(behaviour.limits)
        self.errors: list[Exception] = []
        """What went wrong in the caller's own functions; raised when the provider is closed."""
        self._clock = behaviour.clock
        self._latency = latency_model(behaviour.latency)
        self._replier: Replier | None = as_replier(behaviour.reply)
        self._rule: Rule | None = None
        self.set_faults(behaviour.faults)
        self._keys = _accepted_keys(behaviour.api_key)
        self._started: float | None = None
        self.batches = self.batches_class(self.answer_in_batch, self.is_accepted)

    def set_faults(self, script: Script) -> None:
        """Replace the script of faults; a list begins with the next request."""
        self._rule = as_rule(script, start=self.ledger.totals().received)
        if self._rule is not None:
            self.ledger.counts_prompts = True

    def set_limits(self, settings: LimitSettings) -> None:
        """Replace the limits; the new ones begin full."""
        self.limits = EnforcedLimits(settings)

    # ---------------------------------------------------------------- what came in

    def receive(self, method: str, path: str, headers: Headers, raw: bytes) -> Plan:
        """Decide about a request; never raises because of what the request holds.

        Args:
            method: HTTP method.
            path: Path with its query.
            headers: The request's headers.
            raw: The body, read whole.
        """
        endpoint = endpoint_of(path) if method == "POST" else None
        if endpoint is None:
            about_batches = self.batches.receive(method, path, headers, raw)
            return about_batches or self._look_up(method, path, headers)
        try:
            return self._decide(endpoint, headers, raw)
        except Exception as error:
            # A function that the test gave (reply, faults) failed. The client gets
            # a 500; the test gets the exception itself when the provider is closed.
            self.errors.append(error)
            text = f"The simulated provider failed: {type(error).__name__}."
            return _error(endpoint.PROFILE.failed(text))

    def _decide(self, endpoint: Endpoint, headers: Headers, raw: bytes) -> Plan:
        now = self._clock()
        key = _key_of(headers)
        try:
            body = orjson.loads(raw)
            if not isinstance(body, dict):
                raise Rejected("The body must be a JSON object.")
            request = endpoint.read(body)
        except orjson.JSONDecodeError:
            problem = Rejected("We could not parse the JSON body of your request.")
            return self._enter_rejected(endpoint.PROFILE, problem, now, key, raw)
        except Rejected as rejected:
            return self._enter_rejected(endpoint.PROFILE, rejected, now, key, raw)
        row = self._enter(request, now, key, raw)
        try:
            plan = self._plan(endpoint, request, row, key, now)
        except Exception:
            self.ledger.close(row, now=now, end="failed", status=500)
            raise
        plan.row, plan.request = row, request
        plan.headers[endpoint.PROFILE.request_id_header] = f"req_sim_{row.number:08x}"
        return plan

    def _enter(self, request: SimulatedRequest, now: float, key: str, raw: bytes) -> OpenRow:
        row = self.ledger.open(
            now=now,
            endpoint=request.endpoint,
            model=request.model,
            prompt=request.identity,
            body=raw,
            key=key,
            streamed=request.is_streamed,
            prompt_tokens=request.prompt_tokens,
            charged_tokens=self._charged(request),
        )
        if self._started is None:
            self._started = now
        request.number = row.number
        request.attempt = row.attempt
        request.time = now - self._started
        request.seed = self.behaviour.seed
        request.digest = int(row.prompt_hash[:16], 16)
        return row

    def _enter_rejected(
        self, profile: ProviderProfile, problem: Rejected, now: float, key: str, raw: bytes
    ) -> Plan:
        row = self.ledger.open(now=now, endpoint="", model="", prompt="", body=raw, key=key)
        self.ledger.close(row, now=now, end="failed", status=400)
        return _error(profile.malformed(problem.message, problem.param))

    # --------------------------------------------------------------- what it gets

    def _plan(
        self, endpoint: Endpoint, request: SimulatedRequest, row: OpenRow, key: str, now: float
    ) -> Plan:
        profile = endpoint.PROFILE
        if not self._is_accepted(key):
            return _error(profile.wrong_key())
        if not request.model:
            return _error(profile.malformed("You must provide a model parameter.", "model"))
        if self.behaviour.models is not None and request.model not in self.behaviour.models:
            return _error(profile.unknown_model(request.model))
        fault = None if self._rule is None else as_fault(self._rule(request))
        if fault is not None:
            row.fault = fault.name
        if fault is None or fault.billed:
            refusal = self._refusal(request, now)
            if refusal is not None:
                row.fault = None
                return self._refused(profile, refusal, request, now)
        elif not _needs_answer(fault):
            plan = Plan(status=200, body=b"", end="failed", holds=True, delay=fault.delay or 0.0)
            return _struck(plan, fault, key, profile)
        return self._answered(endpoint, request, fault, key, now)

    def _refusal(self, request: SimulatedRequest, now: float) -> Refusal | None:
        if self.limits.is_open:
            return None
        return self.limits.admit(
            tokens=self._charged(request), now=now, in_flight=self.ledger.in_flight
        )

    def _charged(self, request: SimulatedRequest) -> int:
        """Return the tokens that the limit counts for a request before it is answered."""
        if self.limits.settings.charge == "sum":
            return request.prompt_tokens + (request.max_tokens or 0) * request.samples
        return request.charged_tokens

    def _refused(
        self, profile: ProviderProfile, refusal: Refusal, request: SimulatedRequest, now: float
    ) -> Plan:
        tells_wait = self.limits.settings.retry_hint is not None and refusal.wait > 0
        headers = profile.limit_headers(self.limits, now)
        if tells_wait:
            headers.update(profile.retry_headers(self.limits, refusal.wait))
        body = profile.refusal(refusal, model=request.model, tells_wait=tells_wait)
        return Plan(status=429, body=body, headers=headers, end="refused")

    def _answered(
        self,
        endpoint: Endpoint,
        request: SimulatedRequest,
        fault: Fault | None,
        key: str,
        now: float,
    ) -> Plan:
        """Plan an answer, and what befalls it."""
        bend = fault if isinstance(fault, Bend) else None
        answer = make_answer(request, self._replier, bend)
        plan = Plan(
            status=200,
            body=b"",
            headers={} if self.limits.is_open else endpoint.PROFILE.limit_headers(self.limits, now),
            answer=answer,
            is_billed=fault is None or fault.billed,
            holds=True,
        )
        first, rest = self._waits(request)
        if request.is_streamed:
            plan.stream = endpoint.stream(request, answer)
            plan.content_type = plan.stream.content_type
            plan.pace = self._pace(len(plan.stream.token_events), rest)
        else:
            plan.body = endpoint.write(request, answer)
            # Not streamed, the first byte comes when the last token is made.
            first += self._seconds(answer.completion_tokens, rest)
        plan.delay = first if fault is None or fault.delay is None else fault.delay
        if fault is None or bend is not None:
            return plan
        plan.end = "finished" if _is_whole(fault) else "failed"
        return _struck(plan, fault, key, endpoint.PROFILE)

    def _waits(self, request: SimulatedRequest) -> tuple[float, float | None]:
        """Return the time to the first token, and from there to the last where a model says it."""
        number, seed, busy = request.number, self.behaviour.seed, self.ledger.in_flight
        first = self._latency.seconds(number, seed=seed, in_flight=busy)
        return first, rest_of(self._latency, number, seed=seed, in_flight=busy)

    def _pace(self, tokens: int, rest: float | None) -> float | None:
        if rest is None:
            return self.behaviour.tokens_per_second
        return (tokens - 1) / rest if tokens > 1 and rest > 0 else None

    def _seconds(self, tokens: int, rest: float | None) -> float:
        pace = self.behaviour.tokens_per_second
        if rest is None:
            return 0.0 if pace is None else tokens / pace
        return rest if tokens > 1 else 0.0

    # -------------------------------------------------------------- how it ended

    def close(self, plan: Plan, *, price_factor: float = 1.0) -> None:
        """Enter that a plan was carried out; called before its last bytes leave."""
        completion = 0 if plan.answer is None else plan.answer.completion_tokens
        end: End = "refused" if plan.status == 429 else plan.end
        self._enter_end(plan, end, completion, status=_status_sent(plan), price_factor=price_factor)

    def leave(self, plan: Plan) -> None:
        """Enter that the client left before the reply was whole.

        What was asked for whole is finished and billed nevertheless; of a
        stream, what had been sent.
        """
        completion = plan.sent_tokens
        if plan.stream is None and plan.answer is not None:
            completion = plan.answer.completion_tokens
        status = plan.status if plan.has_begun else None
        self._enter_end(plan, "cancelled", completion, status=status)

    def _enter_end(
        self,
        plan: Plan,
        end: End,
        completion: int,
        *,
        status: int | None,
        price_factor: float = 1.0,
    ) -> None:
        row = plan.row
        if row is None or row.end != "open":
            return
        now = self._clock()
        usd = 0.0
        if plan.is_billed:
            self.limits.settle(row.prompt_tokens + completion, now=now)
            usd = self._usd(row, completion) * price_factor
        self.ledger.close(
            row,
            now=now,
            end=end,
            status=status,
            fault=row.fault,
            billed=plan.is_billed,
            completion_tokens=completion,
            usd=usd,
        )

    def _usd(self, row: OpenRow, completion_tokens: int) -> float:
        price = price_of(self.behaviour.prices, row.model)
        return price.of(row.prompt_tokens, completion_tokens)

    # ---------------------------------------------------------- before a reply leaves

    def holds_back(self, plan: Plan) -> bool:
        """Whether a reply waits for `passage` before it leaves; here none does."""
        return False

    async def passage(self, plan: Plan) -> None:
        """Wait until a reply that is held back may leave."""

    # --------------------------------------------------------------- other pages

    def is_accepted(self, headers: Headers) -> bool:
        """Whether a request bears a key that is good here."""
        return self._is_accepted(_key_of(headers))

    def answer_in_batch(self, path: str, headers: Headers, raw: bytes) -> Plan:
        """Answer one request of a batch, at a batch's price."""
        plan = self.receive("POST", path, headers, raw)
        self.close(plan, price_factor=PRICE_FACTOR)
        return plan

    def _is_accepted(self, key: str) -> bool:
        if self._keys is None:
            return True
        return bool(key) and (not self._keys or key in self._keys)

    def _look_up(self, method: str, path: str, headers: Headers) -> Plan:
        """Answer what asks for no completion: the list of models, one of them, the ledger."""
        path, _, query = path.partition("?")
        if path == LEDGER_PATH:
            return self._ledger_page(method, query)
        _, separator, name = path.partition("/models")
        if not separator or method != "GET":
            return _error((404, error_bodies.error_reply(404)[0]))
        if not self._is_accepted(_key_of(headers)):
            return _error(OPENAI.wrong_key())
        self.ledger.note_model_list()
        known = self.behaviour.models
        name = name.lstrip("/")
        if name:
            if known is not None and name not in known:
                return _error(OPENAI.unknown_model(name))
            return Plan(status=200, body=orjson.dumps(_model_card(name)))
        cards = [_model_card(each) for each in (DEFAULT_MODELS if known is None else known)]
        return Plan(status=200, body=orjson.dumps({"object": "list", "data": cards}))

    def _ledger_page(self, method: str, query: str) -> Plan:
        if method == "DELETE":
            self.ledger.reset()
            self._started = None
        book = self.ledger.dump(rows="rows" in query and self.ledger.keep_rows)
        book["cpu_seconds"] = {"thread": time.thread_time(), "process": time.process_time()}
        return Plan(status=200, body=orjson.dumps(book))


def _error(error: StatusAndBody) -> Plan:
    status, body = error
    return Plan(status=status, body=body, end="failed")


def _needs_answer(fault: Fault) -> bool:
    """Return whether a fault cannot be shown without an answer to spoil."""
    if isinstance(fault, Instead | EchoKey | Raw):
        return False
    return not (isinstance(fault, Break) and fault.at == "before")


def _is_whole(fault: Fault) -> bool:
    """Return whether the answer arrives whole and right, if only in an unpleasant way."""
    return isinstance(fault, Drip) or (isinstance(fault, Garble) and fault.how == "awkward stream")


def _struck(plan: Plan, fault: Fault, key: str, profile: ProviderProfile) -> Plan:
    """Let a fault befall a plan: another reply at once, anything else when it is played."""
    if not isinstance(fault, Instead | EchoKey):
        plan.fault = fault
        return plan
    plan.stream = None
    if isinstance(fault, Instead):
        fault = profile.worded(fault)
        plan.status = fault.status
        plan.body = fault.body
        plan.content_type = fault.content_type
        plan.headers.update(fault.headers)
        return plan
    plan.status = fault.status
    plan.body = profile.echo_of(key)
    plan.content_type = JSON
    return plan


def _status_sent(plan: Plan) -> int | None:
    """Return the status of a plan that was carried out; None where none was sent."""
    if isinstance(plan.fault, Break) and plan.fault.at == "before":
        return None
    return plan.status


def _model_card(name: str) -> dict[str, object]:
    return {"id": name, "object": "model", "created": 1_700_000_000, "owned_by": "llmnb-simulated"}


def _key_of(headers: Headers) -> str:
    """Return the key in whichever header providers take it; empty without one."""
    bearer = headers.get("authorization", "")
    if bearer:
        return bearer.removeprefix("Bearer ")
    for name in ("api-key", "x-api-key", "x-goog-api-key"):
        key = headers.get(name, "")
        if key:
            return key
    return ""


def _accepted_keys(api_key: str | bool | Collection[str] | None) -> frozenset[str] | None:
    """Return the keys that are accepted: None needs no key, an empty set takes any."""
    if api_key is None or api_key is False:
        return None
    if api_key is True:
        return frozenset()
    return frozenset([api_key]) if isinstance(api_key, str) else frozenset(api_key)
