"""Promises of the simulated provider in every protocol it speaks; llmnb's own dialects judge."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator
from email.utils import formatdate

import orjson
import pytest
from hand_clock import HandClock
from laboratory.hostile_replies import awkward_stream

from llmnb import errors
from llmnb.testing import SimulatedProvider, faults, prompt_hash
from llmnb.testing.options import Behaviour
from llmnb.testing.plan import ReplyPlan
from llmnb.testing.request_handler import RequestHandler
from llmnb.wire.catalog import provider, stream_url
from llmnb.wire.classify import classify
from llmnb.wire.dialect import dialect
from llmnb.wire.limits import limit_reports

CALL = {"id": "call_1", "type": "function", "function": {"name": "now", "arguments": '{"a":1}'}}


@dataclasses.dataclass(frozen=True)
class Spoken:
    """One protocol: who speaks it, and where."""

    dialect: str
    provider: str
    path: str

    def body(self, text="Hi", *, stream=False, **fields) -> bytes:
        speaks = dialect(self.dialect)
        body = speaks.body({"prompt": text, **fields}, model="m", params={})
        return orjson.dumps(speaks.stream_body(body) if stream else body)

    def at(self, stream=False) -> str:
        return stream_url(self.path) if stream else self.path

    def read(self, raw: bytes):
        return dialect(self.dialect).parse(raw)

    def assembled(self, stream: bytes):
        return self.read(dialect(self.dialect).assembler().whole(stream))

    def error(self, plan: ReplyPlan) -> errors.LLMNBError:
        return classify(
            plan.status, plan.headers, plan.body, provider=self.provider, model="m", now=0.0,
            secret=None,
        )  # fmt: skip


CHAT = Spoken("openai.chat", "openai", "/v1/chat/completions")
RESPONSES = Spoken("openai.responses", "openai", "/v1/responses")
ANTHROPIC = Spoken("anthropic.messages", "anthropic", "/v1/messages")
GEMINI = Spoken("gemini.generate", "gemini", "/v1beta/models/m:generateContent")
ALL = [CHAT, RESPONSES, ANTHROPIC, GEMINI]


@pytest.fixture(params=ALL, ids=lambda item: item.dialect)
def spoken(request) -> Spoken:
    return request.param


def handler(**options) -> RequestHandler:
    return RequestHandler(Behaviour.of(options))


def served(
    at: RequestHandler, spoken: Spoken, text="Hi", *, stream=False, key="", **fields
) -> ReplyPlan:
    """Ask without any socket."""
    headers = {"authorization": f"Bearer {key}"} if key else {}
    body = spoken.body(text, stream=stream, **fields)
    plan = at.receive("POST", spoken.at(stream), headers, body)
    at.close(plan)
    return plan


# ------------------------------------------------------------------------------- answers


def test_an_answer_is_read_by_its_dialect(spoken):
    """
    Text, usage, model and id stand where the protocol has them.
    """
    at = handler(reply="Hello there")
    parsed = spoken.read(served(at, spoken).body)
    row = at.ledger.rows[0]

    assert (parsed.text, parsed.quality, parsed.model) == ("Hello there", "good", "m")
    assert (parsed.usage.prompt, parsed.usage.completion) == (row.prompt_tokens, 3)
    assert "sim" in parsed.response_id
    assert row.completion_tokens == 3
    assert row.billed


def test_a_stream_becomes_the_same_answer(spoken):
    """
    Token by token, then why it ended and what it took.
    """
    at = handler(reply="Grüße from the sea")
    whole = spoken.read(served(at, spoken).body)
    plan = served(at, spoken, stream=True)
    assembler = dialect(spoken.dialect).assembler()
    texts = [delta.text for delta in assembler.feed(plan.stream.whole()) if delta.text]
    parsed = spoken.read(assembler.finish())

    assert texts == ["Grüß", "e fr", "om t", "he s", "ea"]
    assert len(plan.stream.token_events) == 5
    assert plan.content_type.startswith("text/event-stream")
    same = {"raw": b"", "response_id": None}
    assert dataclasses.replace(parsed, **same) == dataclasses.replace(whole, **same)


def test_calls_and_thoughts_come_through(spoken):
    """
    In one piece and streamed.
    """
    at = handler(reply=lambda prompt: {"tool_calls": [CALL], "reasoning_content": "Hm, the time."})
    for parsed in (
        spoken.read(served(at, spoken).body),
        spoken.assembled(served(at, spoken, stream=True).stream.whole()),
    ):
        (call,) = parsed.tool_calls
        assert (call.name, orjson.loads(call.arguments)) == ("now", {"a": 1})
        assert parsed.reasoning == "Hm, the time."
        assert (parsed.text, parsed.quality) == ("", "good")


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("fault", "qualities"),
    [
        (faults.truncated(), {"truncated"}),
        (faults.content_filter(), {"filtered", "refused"}),
        (faults.refusal(), {"refused", "filtered"}),
    ],
    ids=lambda item: getattr(item, "name", ""),
)
def test_an_answer_that_is_none_says_so_in_its_protocol(spoken, fault, qualities, stream):
    """
    Cut off, withheld, refused.
    """
    plan = served(handler(faults=[fault]), spoken, stream=stream)
    parsed = spoken.assembled(plan.stream.whole()) if stream else spoken.read(plan.body)

    assert parsed.quality in qualities


def test_an_answer_ends_at_the_length_that_is_asked_for(spoken):
    """
    Whatever the protocol calls it.
    """
    parsed = spoken.read(served(handler(reply="word " * 100), spoken, max_tokens=20).body)

    assert (len(parsed.text), parsed.usage.completion, parsed.quality) == (80, 20, "truncated")


def test_usage_can_be_left_out(spoken):
    """
    As some servers do.
    """
    at = handler(faults=["no_usage", "no_usage"])

    assert spoken.read(served(at, spoken).body).usage is None
    assert spoken.assembled(served(at, spoken, stream=True).stream.whole()).usage is None


def test_an_answer_without_anything_in_it(spoken):
    """
    Is a bad reply, or at least an empty text.
    """
    plan = served(handler(faults=["no_choices"]), spoken)
    try:
        assert spoken.read(plan.body).text == ""
        assert spoken is ANTHROPIC
    except errors.BadReply:
        assert spoken is not ANTHROPIC


def test_a_prompt_is_the_same_prompt_in_the_ledger(spoken):
    """
    However it was asked: the same hash, counted under the name of the endpoint.
    """
    at = handler()
    served(at, spoken, "Same?")
    row = at.ledger.rows[0]

    assert row.prompt_hash == prompt_hash("Same?")
    assert (
        row.endpoint
        == {
            "openai.chat": "chat",
            "openai.responses": "responses",
            "anthropic.messages": "messages",
            "gemini.generate": "generate",
        }[spoken.dialect]
    )


def test_a_rule_sees_the_prompt(spoken):
    """
    The faults of a prompt strike in every protocol.
    """
    at = handler(faults=lambda request: 500 if request.prompt == "bad" else None)

    assert [served(at, spoken, text).status for text in ("good", "bad")] == [200, 500]


# -------------------------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (400, errors.RequestRejected),
        (401, errors.AuthenticationError),
        (403, errors.AuthenticationError),
        (404, errors.RequestRejected),
        (429, errors.RateLimited),
        (500, errors.ProviderError),
        (502, errors.ProviderError),
        (503, errors.ProviderError),
        (504, errors.MaybeBilled),
        (529, errors.ProviderError),
        (faults.status(503, retry_after=2), errors.Overloaded),
        ("quota", errors.QuotaExhausted),
        ("context_overflow", errors.ContextOverflow),
    ],
    ids=str,
)
def test_an_error_is_the_providers_own(spoken, fault, kind):
    """
    In its shape, and understood as what it means.
    """
    if spoken is GEMINI and kind is errors.Overloaded:
        kind = errors.ProviderError  # it says in the body when to come back, which only paces
    plan = served(handler(faults=[fault]), spoken)
    error = spoken.error(plan)

    assert type(error) is kind
    if plan.content_type == "application/json" and plan.status != 529:
        assert set(orjson.loads(plan.body)) == (
            {"type", "error"} if spoken is ANTHROPIC else {"error"}
        )
    if spoken is GEMINI and plan.content_type == "application/json" and plan.status != 529:
        assert orjson.loads(plan.body)["error"]["code"] == plan.status


def test_an_error_in_a_200_is_the_providers_own(spoken):
    """
    And no answer.
    """
    plan = served(handler(faults=["error_in_200"]), spoken)

    assert plan.status == 200
    with pytest.raises(errors.ProviderError):
        spoken.read(plan.body)


def test_a_body_that_a_test_gives_stays_as_it_is(spoken):
    """
    Only the usual words are translated.
    """
    at = handler(faults=[faults.status(500, body=b"mine"), faults.reply(200, b"mine")])

    assert [served(at, spoken).body for _ in range(2)] == [b"mine", b"mine"]


def test_a_key_is_refused_as_each_provider_does(spoken):
    """
    Gemini calls it an invalid argument.
    """
    plan = served(handler(api_key="right"), spoken, key="wrong")

    assert plan.status == (400 if spoken is GEMINI else 401)
    assert type(spoken.error(plan)) is errors.AuthenticationError
    plan = served(handler(faults=["echo_key"]), spoken, key="sk-of-somebody")
    assert b"sk-of-somebody" in plan.body


def test_an_unknown_model_is_refused(spoken):
    """
    With a 404.
    """
    plan = served(handler(models=["other"]), spoken)

    assert plan.status == 404
    assert type(spoken.error(plan)) is errors.RequestRejected


def test_a_function_that_fails_is_a_500_and_is_kept(spoken):
    """
    The test hears of its own mistake.
    """
    at = handler(reply=lambda prompt: 1 / 0)
    plan = served(at, spoken)

    assert (plan.status, type(at.errors[0])) == (500, ZeroDivisionError)
    assert type(spoken.error(plan)) is errors.ProviderError


@pytest.mark.parametrize(
    ("path", "body", "expected"),
    [
        ("/v1/responses", {"model": "m"}, "input"),
        ("/v1/responses", {"model": "m", "input": []}, "input"),
        ("/v1/responses", {"model": "m", "input": [7]}, "input[0]"),
        ("/v1/responses", {"model": "m", "input": [{"role": "user", "content": 7}]}, "content"),
        (
            "/v1/responses",
            {"model": "m", "input": [{"role": "user", "content": [{"type": "text"}]}]},
            "'text'",
        ),
        ("/v1/responses", {"model": "m", "input": "Hi", "max_output_tokens": 1}, "max_output"),
        ("/v1/responses", {"input": "Hi"}, "model"),
        ("/v1/embeddings", {"model": "m"}, "input"),
        ("/v1/embeddings", {"model": "m", "input": []}, "input"),
        ("/v1/embeddings", {"model": "m", "input": ["a", ""]}, "empty"),
        ("/v1/embeddings", {"model": "m", "input": ["a", 7]}, "input"),
        ("/v1/embeddings", {"model": "m", "input": ["a"] * 2049}, "2048"),
        ("/v1/embeddings", {"model": "m", "input": "a", "dimensions": 10**9}, "dimensions"),
        ("/v1/embeddings", {"model": "m", "input": "a", "encoding_format": "x"}, "encoding"),
        ("/v1/messages", {"model": "m", "max_tokens": 9}, "messages"),
        ("/v1/messages", {"model": "m", "messages": [{"role": "user", "content": "a"}]}, "max_to"),
        (
            "/v1/messages",
            {"model": "m", "max_tokens": 9, "messages": [{"role": "system", "content": "a"}]},
            "role",
        ),
        (
            "/v1/messages",
            {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": 7}]},
            "content",
        ),
        ("/v1beta/models/m:generateContent", {}, "contents"),
        ("/v1beta/models/m:generateContent", {"contents": [{"role": "user"}]}, "parts"),
        (
            "/v1beta/models/m:generateContent",
            {"contents": [{"role": "assistant", "parts": [{"text": "a"}]}]},
            "role",
        ),
    ],
)
def test_what_the_protocol_does_not_know_is_refused(path, body, expected):
    """
    Strictly, so that a wrong request is found by the test and not by the real provider.
    """
    plan = handler().receive("POST", path, {}, orjson.dumps(body))

    assert plan.status == 400
    assert expected in orjson.loads(plan.body)["error"]["message"]


# -------------------------------------------------------------------------------- limits


def test_limits_are_announced_as_each_provider_announces_them(spoken):
    """
    OpenAI in durations, Anthropic in dates, Google not at all.
    """
    at = handler(
        requests_per_minute=60, tokens_per_minute=6000, burst_seconds=10, clock=HandClock()
    )
    plan = served(at, spoken, max_tokens=20)
    row = provider(spoken.provider)

    if spoken is GEMINI:
        assert not any("ratelimit" in name for name in plan.headers)
        return
    headers = plan.headers | {"date": formatdate(time.time(), usegmt=True)}
    requests, tokens, *_ = limit_reports(headers, row.limit_headers)
    assert (requests.kind, requests.limit, requests.left) == ("requests", 60.0, 9.0)
    assert (tokens.kind, tokens.limit, tokens.left) == ("tokens", 6000.0, 980.0)
    assert 0 < requests.reset <= 3.0


@pytest.mark.parametrize("kind", ["requests", "tokens"])
def test_a_refusal_says_when_to_come_back(spoken, kind):
    """
    In the header, or in the body where there is none; or nowhere, where that is wanted.
    """
    limits = {f"{kind}_per_minute": 60, "burst_seconds": 1, "clock": HandClock()}
    at = handler(**limits)
    served(at, spoken, "four" * 10)
    plan = served(at, spoken, "four" * 10)
    error = spoken.error(plan)

    assert (plan.status, at.ledger.rows[1].end) == (429, "refused")
    assert type(error) is errors.RateLimited
    assert error.retry_after >= 1.0
    assert ("retry-after" in plan.headers) is (spoken is not GEMINI)
    silent = handler(**limits, retry_hint=None, limit_headers=False)
    served(silent, spoken)
    assert spoken.error(served(silent, spoken)).retry_after is None


def test_requests_at_once_are_limited_in_every_protocol(spoken):
    """
    One more is refused.
    """
    at = handler(concurrency=1)
    at.receive("POST", spoken.path, {}, spoken.body())
    plan = served(at, spoken)

    assert plan.status == 429
    assert type(spoken.error(plan)) is errors.RateLimited


def test_a_wait_in_a_fault_stands_where_the_provider_puts_it(spoken):
    """
    Gemini's stands in the body; what is no number stays where the test has put it.
    """
    date = "Wed, 21 Oct 2026 07:28:00 GMT"
    at = handler(faults=[faults.status(429, retry_after=7), faults.status(429, retry_after=date)])
    plan = served(at, spoken)

    assert spoken.error(plan).retry_after == 7.0
    assert ("retry-after" in plan.headers) is (spoken is not GEMINI)
    assert served(at, spoken).headers["retry-after"] == date


# ------------------------------------------------------------------------- own peculiarities


def test_anthropic_says_at_which_word_it_stopped():
    """
    Otherwise that the turn ended.
    """
    at = handler(reply="one two three")
    parsed = orjson.loads(served(at, ANTHROPIC, stop=["two"]).body)
    whole = orjson.loads(served(at, ANTHROPIC).body)

    assert (parsed["stop_reason"], parsed["stop_sequence"]) == ("stop_sequence", "two")
    assert parsed["content"] == [{"type": "text", "text": "one "}]
    assert (whole["stop_reason"], whole["stop_sequence"]) == ("end_turn", None)


def test_gemini_gives_as_many_candidates_as_asked():
    """
    In one piece and streamed.
    """
    at = handler()
    parsed = GEMINI.read(served(at, GEMINI, n=3).body)
    plan = served(at, GEMINI, n=3, stream=True)
    streamed_ = GEMINI.read(
        dialect("gemini.generate").assembler(samples=3).whole(plan.stream.whole())
    )

    assert len(set(parsed.texts)) == 3
    assert streamed_.texts == parsed.texts


def test_a_response_brings_log_probabilities_when_they_are_included():
    """
    One entry a token, streamed or not.
    """
    at = handler(reply="one two three")
    whole = RESPONSES.read(served(at, RESPONSES, logprobs=True, top_logprobs=2).body)
    plan = served(at, RESPONSES, logprobs=True, top_logprobs=2, stream=True)

    assert "".join(token["token"] for token in whole.logprobs) == "one two three"
    assert all(len(token["top_logprobs"]) == 2 for token in whole.logprobs)
    assert RESPONSES.assembled(plan.stream.whole()).logprobs == whole.logprobs
    assert RESPONSES.read(served(at, RESPONSES).body).logprobs is None


# --------------------------------------------------------------------------- over the wire


@pytest.fixture
def wired(simulated) -> Iterator:
    """Starts a provider on either server."""
    running: list[SimulatedProvider] = []

    def wired(**options) -> SimulatedProvider:
        running.append(simulated(**options).start())
        return running[-1]

    yield wired
    for sim in running:
        sim.stop()


async def posted(session, sim, spoken, **options):
    """Ask over HTTP; returns status, headers and what came."""
    body = spoken.body(**options)
    at = sim.origin + spoken.at(options.get("stream", False))
    async with session.post(at, data=body) as reply:
        return reply.status, reply.headers, await reply.read()


@pytest.mark.parametrize("pace", [None, 2000.0])
async def test_both_servers_carry_every_protocol(wired, session, spoken, pace):
    """
    In one piece, and streamed at a pace or at once; every reply has its number and its mark.
    """
    sim = wired(reply="Hello there", tokens_per_second=pace)
    status, headers, whole = await posted(session, sim, spoken)
    _, streamed_headers, stream = await posted(session, sim, spoken, stream=True)

    assert (status, headers["x-llmnb-simulated"]) == (200, "1")
    assert headers["request-id" if spoken is ANTHROPIC else "x-request-id"].startswith("req_sim")
    assert streamed_headers["content-type"].startswith("text/event-stream")
    assert spoken.read(whole).text == spoken.assembled(stream).text == "Hello there"
    assert sim.ledger.totals().billed == 2


@pytest.mark.parametrize("after", [0, 2])
async def test_a_stream_that_breaks_off_is_no_answer(wired, session, spoken, after):
    """
    Properly ended without its marker, or with an error in the provider's own shape.
    """
    script = [faults.cut_stream(after), faults.stream_error(after)]
    sim = wired(reply="Hello there, you", faults=script)
    _, _, cut = await posted(session, sim, spoken, stream=True)
    _, _, broken = await posted(session, sim, spoken, stream=True)

    with pytest.raises(errors.IncompleteReply):
        spoken.assembled(cut)
    with pytest.raises((errors.IncompleteReply, errors.ProviderError, errors.Overloaded)) as caught:
        spoken.assembled(broken)
    assert any(word in str(caught.value).lower() for word in ("error", "overloaded"))


async def test_a_stream_written_awkwardly_is_the_same_answer(wired, session, spoken):
    """
    Byte by byte, with comments and foreign line ends.
    """
    sim = wired(reply="Grüße", faults=[awkward_stream()])
    _, _, stream = await posted(session, sim, spoken, stream=True)

    assert spoken.assembled(stream).text == "Grüße"
