from __future__ import annotations

import asyncio
import contextlib
import gc
import math
import socket
import threading
import urllib.request

import pytest
from aiohttp import ClientError
from hand_clock import HandClock
from laboratory import Laboratory
from laboratory.ledger_queries import is_within, max_in_window

from llmnb import LLM
from llmnb.errors import ConfigurationError, ProviderError, RequestRejected
from llmnb.testing import Price, SimulatedProvider, faults, outage, share, shared_provider


async def test_a_chat_is_answered_as_openai_answers_it(simulated, ask, chat):
    """
    Ids, choices, finish reason and usage stand where every client looks for them.
    """
    with simulated(reply="Hello there") as sim:
        came = await ask(sim, chat("Hi, who are you?"))

    assert (came.status, came.headers["content-type"]) == (200, "application/json")
    assert came.headers["x-request-id"].startswith("req_")
    body = came.json
    assert (body["object"], body["model"]) == ("chat.completion", "gpt-4o-mini")
    (choice,) = body["choices"]
    assert choice["message"]["role"] == "assistant"
    assert (choice["message"]["content"], choice["finish_reason"]) == ("Hello there", "stop")
    assert body["usage"]["prompt_tokens"] == 3 + 3 + 4
    assert body["usage"]["completion_tokens"] == 3
    assert body["usage"]["total_tokens"] == 13


async def test_a_text_completion_is_answered_as_openai_answers_it(simulated, ask):
    """
    Several prompts give several choices; without max_tokens sixteen tokens are made.
    """
    with simulated(reply=lambda prompt: prompt * 50) as sim:
        body = (await ask(sim, "ab")).json
        several = (await ask(sim, "", raw=b'{"model":"m","prompt":["ab","cd"],"n":2}')).json

    assert body["object"] == "text_completion"
    assert body["choices"][0]["text"] == "ab" * 32
    assert body["choices"][0]["finish_reason"] == "length"
    assert [choice["text"][:2] for choice in several["choices"]] == ["ab", "ab", "cd", "cd"]
    assert [choice["index"] for choice in several["choices"]] == [0, 1, 2, 3]


async def test_every_reply_says_that_it_is_simulated(simulated, ask, chat):
    """
    Answers, streams, errors and lists carry the mark that records are told by.
    """
    with simulated(faults=[None, None, 500], api_key="k") as sim:
        replies = [
            await ask(sim, chat("a"), key="k"),
            await ask(sim, chat("a"), key="k", stream=True),
            await ask(sim, chat("a"), key="k"),
            await ask(sim, chat("a")),
        ]

    assert [came.headers["x-llmnb-simulated"] for came in replies] == ["1"] * 4


@pytest.mark.parametrize("pace", [None, 2000.0])
async def test_a_stream_gives_the_same_text_token_by_token(simulated, ask, chat, pace):
    """
    Pieces joined are the unstreamed text; usage and finish marker come last.
    """
    with simulated(tokens_per_second=pace) as sim:
        whole = await ask(sim, chat("Tell me."))
        came = await ask(sim, chat("Tell me."), stream=True, stream_options={"include_usage": True})

    assert came.headers["content-type"].startswith("text/event-stream")
    *chunks, usage, done = came.events
    texts = [chunk["choices"][0]["delta"].get("content", "") for chunk in chunks]
    assert "".join(texts) == whole.text
    assert len(texts) == whole.json["usage"]["completion_tokens"] + 2
    assert chunks[0]["choices"][0]["delta"]["role"] == "assistant"
    assert chunks[-1]["choices"][0]["finish_reason"] == "stop"
    assert usage["choices"] == []
    assert usage["usage"] == whole.json["usage"]
    assert done == "[DONE]"
    assert len({chunk["id"] for chunk in chunks}) == 1


async def test_a_stream_tells_no_usage_unless_asked(simulated, ask):
    """
    As with OpenAI, the usage has to be asked for.
    """
    with simulated(reply="one two") as sim:
        came = await ask(sim, "Hi", stream=True)

    assert all("usage" not in event for event in came.events[:-1])
    assert "".join(event["choices"][0]["text"] for event in came.events[:-1]) == "one two"


async def test_log_probabilities_belong_to_the_tokens(simulated, ask, chat):
    """
    One entry per token, each with as many alternatives as asked for, streamed or not.
    """
    with simulated(reply="one two three") as sim:
        came = await ask(sim, chat("Hi"), logprobs=True, top_logprobs=2)
        streamed = await ask(sim, chat("Hi"), logprobs=True, top_logprobs=2, stream=True)
        text = await ask(sim, "Hi", logprobs=1)

    content = came.json["choices"][0]["logprobs"]["content"]
    assert "".join(token["token"] for token in content) == "one two three"
    assert all(len(token["top_logprobs"]) == 2 for token in content)
    assert all(token["logprob"] == token["top_logprobs"][0]["logprob"] <= 0 for token in content)
    texts = [event["choices"][0]["logprobs"] for event in streamed.events[:-1]]
    assert [piece["content"][0] for piece in texts if piece] == content
    logprobs = text.json["choices"][0]["logprobs"]
    assert "".join(logprobs["tokens"]) == text.text == "one two three"
    assert logprobs["text_offset"][:2] == [0, 4]


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"max_tokens": 0}, "max_tokens"),
        ({"n": "two"}, "n"),
        ({"stop": 7}, "stop"),
        ({"stream_options": {"include_usage": True}}, "stream_options"),
        ({"top_logprobs": 3}, "top_logprobs"),
        ({"model": ""}, "model"),
        ({"messages": []}, "messages"),
        ({"messages": [{"content": "x"}]}, "messages[0]"),
    ],
)
async def test_a_wrong_parameter_is_named(simulated, ask, chat, fields, param):
    """
    400 with the parameter's name, as a provider answers, and nothing billed.
    """
    with simulated() as sim:
        came = await ask(sim, chat("Hi"), **fields)

        assert came.status == 400
        assert came.error["param"] == param
        assert sim.ledger.totals().failed == 1
        assert sim.ledger.totals().billed == 0


@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b"null", b'{"a": \xff}', b'"x"'])
async def test_a_body_that_is_no_object_is_refused(simulated, ask, raw):
    """
    Whatever comes, the answer is a 400 and a row in the ledger.
    """
    with simulated() as sim:
        came = await ask(sim, "Hi", raw=raw)

        assert (came.status, came.error["type"]) == (400, "invalid_request_error")
        assert [row.status for row in sim.ledger.failed] == [400]


async def test_keys_are_asked_for_where_they_are_set(simulated, ask):
    """
    The right key passes, a wrong one or none gets 401; True takes any key, but one.
    """
    with simulated(api_key="right") as sim:
        statuses = [(await ask(sim, "Hi", key=key)).status for key in ("right", "wrong", None)]
        assert statuses == [200, 401, 401]
        assert sim.api_key == "right"
    with simulated(api_key=True) as sim:
        assert [(await ask(sim, "Hi", key=key)).status for key in ("any", None)] == [200, 401]


async def test_models_are_listed_and_unknown_ones_refused(simulated, ask, session):
    """
    With a list of models others are 404; without one every name is good.
    """
    with simulated(models=["one", "two"]) as sim:
        async with session.get(f"{sim.base_url}/models") as reply:
            names = [card["id"] for card in (await reply.json())["data"]]
        async with session.get(f"{sim.base_url}/models/three") as reply:
            missing = reply.status
        assert names == ["one", "two"]
        assert missing == 404
        assert (await ask(sim, "Hi", model="two")).status == 200
        came = await ask(sim, "Hi", model="three")
        assert (came.status, came.error["code"]) == (404, "model_not_found")
        assert sim.ledger.totals().model_lists == 2
    with simulated() as sim:
        assert (await ask(sim, "Hi", model="whatever")).status == 200


async def test_any_path_before_the_endpoint_will_do(simulated, session):
    """
    Providers put different things before the endpoint's name; others are 404.
    """
    with simulated() as sim:
        body = {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}
        statuses = []
        for path in ("/openai/v1/chat/completions", "/chat/completions?api-version=1", "/v1/x"):
            async with session.post(sim.origin + path, json=body) as reply:
                statuses.append(reply.status)

    assert statuses == [200, 200, 404]


async def test_limits_refuse_with_openai_s_headers_and_body(simulated, ask, chat):
    """
    429 names the limit, tells its numbers and says when to come back, four times over.
    """
    clock = HandClock()
    with simulated(requests_per_minute=60, burst_seconds=1, clock=clock) as sim:
        first = await ask(sim, chat("a"))
        second = await ask(sim, chat("b"))
        clock.now += 1.0
        third = await ask(sim, chat("c"))

        assert [first.status, second.status, third.status] == [200, 429, 200]
        assert first.headers["x-ratelimit-remaining-requests"] == "0"
        assert first.headers["x-ratelimit-reset-requests"] == "1s"
        assert second.headers["retry-after"] == "1"
        assert second.headers["retry-after-ms"] == "1000"
        assert second.error["code"] == "rate_limit_exceeded"
        assert second.error["type"] == "requests"
        assert "Limit 60, Used 1, Requested 1. Please try again in 1s." in second.error["message"]
        assert [row.end for row in sim.ledger.rows] == ["finished", "refused", "finished"]
        assert sim.ledger.totals().usd == pytest.approx(sum(r.usd for r in sim.ledger.finished))


async def test_a_refusal_can_leave_open_when_to_come_back(simulated, ask, chat):
    """
    No header, no words: what a client has to find out by itself.
    """
    with simulated(
        tokens_per_minute=60, burst_seconds=1, retry_hint=None, limit_headers=False
    ) as sim:
        await ask(sim, chat("a"), max_tokens=100)
        came = await ask(sim, chat("b"), max_tokens=100)

    assert (came.status, came.error["type"]) == (429, "tokens")
    assert "try again" not in came.error["message"]
    assert not [name for name in came.headers if name.startswith(("x-ratelimit", "retry"))]


async def test_no_window_of_time_holds_more_answers_than_the_limit_allows(simulated, ask):
    """
    Whatever knocks at once, what is answered keeps to rate and burst in every window.
    """
    with simulated(requests_per_minute=600, burst_seconds=1.0) as sim:
        came = await asyncio.gather(*[ask(sim, str(number)) for number in range(120)])

        statuses = {reply.status for reply in came}
        assert statuses == {200, 429}
        assert is_within(sim.ledger, 600, burst=1.0, of="finished")
        assert max_in_window(sim.ledger, 60.0) == 120


async def test_limits_can_be_changed_while_it_runs(simulated, ask):
    """
    The new limits hold from the next request on, and begin full.
    """
    with simulated() as sim:
        assert (await ask(sim, "a")).status == 200
        sim.set_limits(requests_per_minute=60, burst_seconds=1)
        assert [(await ask(sim, "a")).status for _ in range(2)] == [200, 429]


async def test_more_at_once_than_its_places_are_refused(simulated, ask):
    """
    The cap on concurrency counts what is in flight, and nothing is queued.
    """
    with simulated(concurrency=2) as sim:
        sim.hold()
        tasks = [asyncio.create_task(ask(sim, str(number))) for number in range(2)]
        await sim.await_received(2)
        third = await ask(sim, "third")
        sim.release()
        late = await asyncio.gather(*tasks)

        assert third.status == 429
        assert third.error["code"] == "concurrency_limit_exceeded"
        assert [came.status for came in late] == [200, 200]
        assert sim.ledger.totals().max_in_flight == 3


async def test_replies_on_hold_leave_in_order_when_released(simulated, ask):
    """
    Nothing is answered while held; release lets so many go, then all.
    """
    with simulated(reply=lambda prompt: prompt) as sim:
        sim.hold()
        tasks = []
        for number in range(4):
            tasks.append(asyncio.create_task(ask(sim, str(number))))
            await sim.await_received(number + 1)
        assert sim.ledger.totals().finished == 0

        sim.release(2)
        await sim.await_until(lambda totals: totals.finished == 2)
        assert [row.end for row in sim.ledger.rows] == ["finished"] * 2 + ["open"] * 2

        sim.release()
        assert [(await task).text for task in tasks] == ["0", "1", "2", "3"]
        assert (await ask(sim, "later")).text == "later"


async def test_some_replies_can_be_put_on_hold(simulated, ask):
    """
    A condition on the request picks whom to hold; permits are for those to come, too.
    """
    with simulated() as sim:
        sim.hold(lambda request: "slow" in request.prompt)
        task = asyncio.create_task(ask(sim, "slow one"))
        await sim.await_received(1)
        assert (await ask(sim, "quick one")).status == 200
        assert not task.done()
        sim.release(2)
        assert (await task).status == 200
        assert (await ask(sim, "slow again")).status == 200


async def test_a_client_that_leaves_is_entered_as_cancelled_and_billed(simulated, ask):
    """
    What was asked for whole is made and billed whole, though nobody reads it.
    """
    with simulated() as sim:
        sim.hold()
        task = asyncio.create_task(ask(sim, "Hi"))
        await sim.await_received(1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await sim.await_idle()

        (row,) = sim.ledger.cancelled
        assert row.cancelled
        assert row.status is None
        assert row.billed
        assert row.usd > 0
        assert sim.ledger.totals().cancelled == 1


async def test_of_a_stream_that_is_left_only_what_was_sent_is_billed(simulated, session):
    """
    Tokens that never were made cost nothing.
    """
    price = Price(prompt=0.0, completion=1.0)
    stall = [faults.stall("body", after=3)]
    with simulated(reply="x" * 4000, prices=price, faults=stall) as sim:
        body = {"model": "m", "prompt": "Hi", "stream": True, "max_tokens": 1000}
        async with session.post(f"{sim.base_url}/completions", json=body) as reply:
            got = b""
            while got.count(b"data: ") < 3:
                got += await reply.content.readany()
            reply.close()
        await sim.await_idle()

        (row,) = sim.ledger.cancelled
        assert (row.status, row.completion_tokens, row.usd) == (200, 3, 3.0)


async def test_the_ledger_is_complete_when_the_reply_is_there(simulated, ask):
    """
    Whoever holds a reply finds it entered, without waiting.
    """
    with simulated() as sim:
        for number in range(20):
            await ask(sim, str(number), stream=bool(number % 2))
            assert sim.ledger.totals().finished == number + 1


async def test_the_price_is_that_of_the_model(simulated, ask):
    """
    Tokens times the price given for the model, or for all.
    """
    prices = {"dear": Price(1.0, 10.0)}
    with simulated(prices=prices, reply="12345678") as sim:
        await ask(sim, "1234", model="dear")
        await ask(sim, "1234", model="gpt-4o-mini")

    assert [row.usd for row in sim.ledger.rows] == [21.0, pytest.approx(1.35e-6)]


async def test_the_ledger_can_be_read_and_begun_anew_over_http(simulated, ask, session):
    """
    Totals always, rows when asked for, and an empty book after a DELETE.
    """
    with simulated() as sim:
        await ask(sim, "Hi")
        url = f"{sim.origin}/__ledger__"
        async with session.get(url) as reply:
            page = await reply.json()
        async with session.get(f"{url}?rows") as reply:
            rows = (await reply.json())["rows"]
        async with session.delete(url) as reply:
            after = await reply.json()

    assert page["totals"]["received"] == 1
    assert page["cpu_seconds"]["thread"] >= 0
    assert "rows" not in page
    assert len(rows) == 1
    assert after["totals"]["received"] == 0


async def test_two_runs_with_the_same_seed_are_the_same(simulated, ask, chat):
    """
    Same seed, same requests: same bytes; another seed: other texts.
    """

    async def run(seed: int) -> list[bytes]:
        with simulated(seed=seed) as sim:
            return [(await ask(sim, chat(str(number)))).body for number in range(5)]

    assert await run(1) == await run(1) != await run(2)


async def test_what_a_test_s_own_function_raises_comes_out(simulated, ask):
    """
    The client sees a 500; the test sees its own mistake.
    """

    def reply(prompt: str) -> str:
        raise KeyError("typo")

    sim = simulated(reply=reply)

    async def use() -> None:
        async with sim:
            assert (await ask(sim, "Hi")).status == 500

    with pytest.raises(KeyError, match="typo"):
        await use()
    assert sim.ledger.totals().in_flight == 0
    assert len(sim.errors) == 1


async def test_it_works_as_an_async_context(simulated, ask):
    """
    Starting and stopping do not block the loop.
    """
    async with simulated() as sim:
        assert (await ask(sim, "Hi")).status == 200
    with pytest.raises(ClientError):
        await ask(sim, "Hi")


def test_it_works_without_any_loop(simulated):
    """
    A blocking client in a script or a thread is served alike.
    """
    with simulated() as sim:
        body = b'{"model":"m","prompt":"Hi"}'
        with urllib.request.urlopen(f"{sim.base_url}/completions", body, timeout=10) as reply:
            assert reply.status == 200


def test_stopping_leaves_nothing_behind(simulated):
    """
    No thread, no open socket, and a second stop is harmless; held requests are dropped.
    """
    before = threading.active_count()
    sim = simulated().start()
    sim.hold()
    port = int(sim.origin.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port)) as client:
        client.sendall(
            b"POST /v1/completions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
            b'content-length: 27\r\n\r\n{"model":"m","prompt":"Hi"}'
        )
        sim.wait_received(1)
        sim.stop()
        sim.stop()
        assert client.recv(100) == b""
    gc.collect()

    assert threading.active_count() == before
    assert sim.ledger.totals().cancelled == 1
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", port)).close()


@pytest.mark.parametrize("turns", range(6))
def test_clients_that_come_as_it_stops_are_dropped(simulated, turns):
    """
    None is left open half-made, however few turns of its loop lie between the two.
    """
    sim = simulated().start()
    address, clients = sim.origin.rpartition("/")[2].split(":"), []
    loop = sim._serving.get_loop()

    def come():
        clients.extend(socket.create_connection(address, timeout=10) for _ in range(4))
        after(turns)

    def after(more):
        if more:
            loop.call_soon(after, more - 1)
        else:
            sim._serving.cancel()

    loop.call_soon_threadsafe(come)
    sim._thread.join()
    gc.collect()  # what was left open would be warned of here, and that is an error

    for client in clients:
        with client, contextlib.suppress(ConnectionResetError):
            assert client.recv(100) == b""


def test_mistakes_are_reported_before_anything_runs(transport):
    """
    Unknown keywords, a taken port, asking for an address too early: clear errors.
    """
    with pytest.raises(ConfigurationError, match="latency"):
        Laboratory(latancy=1)
    with pytest.raises(ConfigurationError, match="start"):
        _ = Laboratory().base_url
    with pytest.raises(ConfigurationError, match="transport"):
        Laboratory(transport="carrier pigeon").start()
    with Laboratory(transport=transport) as sim:
        port = int(sim.origin.rpartition(":")[2])
        with pytest.raises(ConfigurationError, match=str(port)):
            Laboratory(transport=transport, port=port).start()
        with pytest.raises(ConfigurationError, match="already"):
            sim.start()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("seed", "x"), ("seed", 1.5), ("latency", "x"), ("latency", -1), ("ledger", "x")),
        *(("requests_per_minute", "60"), ("requests_per_minute", True), ("concurrency", 1.5)),
        *(("tokens_per_second", math.inf), ("burst_seconds", None), ("charge", "x")),
        *(("retry_hint", "x"), ("limit_headers", "x"), ("api_key", 5), ("api_key", [])),
        *(("models", 5), ("prices", 5), ("prices", {"m": 3}), ("reply", 5)),
    ],
)
def test_a_setting_of_a_wrong_kind_is_refused(name, value):
    """
    By its name, before anything listens.
    """
    with pytest.raises(ConfigurationError, match=f"^{name} is"):
        SimulatedProvider(**{name: value})


@pytest.mark.parametrize(
    "made",
    [
        lambda: faults.status("500"),
        lambda: faults.status(99),
        lambda: faults.slow(-1),
        lambda: faults.reset("nowhere"),
        lambda: faults.stall("x"),
        lambda: share("x", 500),
        lambda: outage(0, -1),
    ],
)
def test_a_fault_of_a_wrong_kind_is_refused(made):
    """
    When it is written, not when a request meets it.
    """
    with pytest.raises(ConfigurationError):
        made()


def test_one_name_may_stand_for_the_models_that_exist():
    """
    A text is one model, not a place to look for letters in.
    """
    with SimulatedProvider(models="gpt", reply="yes") as sim:
        assert LLM(sim.base_url, "k", "gpt").generate("Hi") == "yes"
        with pytest.raises(RequestRejected):
            LLM(sim.base_url, "k", "g").generate("Hi")


@pytest.mark.parametrize("answer", [None, 5, b"x", {"content": 5}])
def test_a_reply_that_is_no_text_is_told_with_its_name(answer):
    """
    When the provider is closed: it is the test's own mistake.
    """

    def ask():
        with SimulatedProvider(reply=lambda prompt: answer) as sim, pytest.raises(ProviderError):
            LLM(sim.base_url, "k", "m").generate("Hi", max_attempts=1)

    with pytest.raises(ConfigurationError, match="reply returns"):
        ask()


def test_it_listens_on_this_machine_only(simulated):
    """
    No other machine can reach it, whatever the firewall.
    """
    with simulated() as sim:
        assert sim.origin.startswith("http://127.0.0.1:")
        assert sim.environment["OPENAI_BASE_URL"] == sim.base_url


def test_the_same_provider_stands_for_sim_in_a_process():
    """
    It is started once and shared; after a stop the next question finds a new one.
    """
    shared = shared_provider()
    try:
        assert shared_provider() is shared
        assert shared.base_url.endswith("/v1")
    finally:
        shared.stop()
    assert not shared.is_listening
    assert shared_provider().is_listening
