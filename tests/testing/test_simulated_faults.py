from __future__ import annotations

import asyncio
import gzip
import zlib

import aiohttp
import orjson
import pytest
from laboratory.hostile_replies import (
    awkward_stream,
    bomb,
    broken_chunk,
    deep,
    drip,
    huge,
    raw,
    truncated_gzip,
    truncated_json,
)

from llmnb.testing import faults, outage


async def exchange(
    sim, *, stream: bool = False, silent_after: bytes | None = None
) -> tuple[bytes, str]:
    """Send one request on a bare socket; return every byte that came and how it ended.

    Where silence is expected, `silent_after` names what comes before it: only
    after that a short wait is enough to call it silence.
    """
    body = orjson.dumps({"model": "m", "prompt": "Hi", "stream": stream, "max_tokens": 64})
    port = int(sim.origin.rpartition(":")[2])
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    head = f"POST /v1/completions HTTP/1.1\r\nhost: x\r\ncontent-length: {len(body)}\r\n"
    writer.write(f"{head}content-type: application/json\r\n\r\n".encode() + body)
    try:
        return await _read(reader, silent_after)
    finally:
        writer.close()


async def _read(reader: asyncio.StreamReader, silent_after: bytes | None) -> tuple[bytes, str]:
    came = b""
    while True:
        patience = 0.05 if silent_after is not None and silent_after in came else 30.0
        try:
            data = await asyncio.wait_for(reader.read(65536), timeout=patience)
        except TimeoutError:
            return came, "silent"
        except ConnectionResetError:
            return came, "reset"
        if not data:
            return came, "closed"
        came += data


@pytest.mark.parametrize(
    ("code", "kind", "billed"),
    [
        (400, "invalid_request_error", False),
        (401, "invalid_request_error", False),
        (403, "request_forbidden", False),
        (413, "invalid_request_error", False),
        (429, "requests", False),
        (500, "server_error", False),
        (503, "server_error", False),
        (529, "overloaded_error", False),
        (408, "timeout", True),
    ],
)
async def test_a_status_comes_with_the_body_that_providers_send(simulated, ask, code, kind, billed):
    """
    Type and place of the error are those of the provider; who failed to bill is not billed.
    """
    with simulated(faults=[code]) as sim:
        came = await ask(sim, "Hi")

        assert (came.status, came.error["type"]) == (code, kind)
        (row,) = sim.ledger.rows
        assert (row.status, row.fault, row.billed) == (code, str(code), billed)
        assert row.end == ("refused" if code == 429 else "failed")
        assert (row.usd > 0) == billed


@pytest.mark.parametrize("code", [502, 504])
async def test_what_a_proxy_sends_is_a_page(simulated, ask, code):
    """
    Gateways answer in HTML, whatever was asked for.
    """
    with simulated(faults=[code]) as sim:
        came = await ask(sim, "Hi")

    assert (came.status, came.headers["content-type"]) == (code, "text/html")
    assert b"<html>" in came.body


async def test_errors_can_bear_when_to_come_back(simulated, ask):
    """
    Whatever stands in the header is sent as it is, sensible or not.
    """
    script = [
        faults.rate_limited(retry_after=2),
        faults.status(503, retry_after="-1"),
        faults.rate_limited(headers={"retry-after-ms": "1500"}),
    ]
    with simulated(faults=script) as sim:
        replies = [await ask(sim, "Hi") for _ in script]

    assert [came.headers.get("retry-after") for came in replies] == ["2", "-1", None]
    assert replies[2].headers["retry-after-ms"] == "1500"


async def test_accounts_contexts_and_redirects_are_refused_as_providers_do(simulated, ask):
    """
    Codes that mean more than their status carry it in the body or the headers.
    """
    script = ["quota", "context_overflow", faults.redirect("http://127.0.0.1:9/v1/completions")]
    with simulated(faults=script) as sim:
        quota, context, redirect = [await ask(sim, "Hi") for _ in script]

    assert (quota.status, quota.error["code"]) == (429, "insufficient_quota")
    assert (context.status, context.error["code"]) == (400, "context_length_exceeded")
    assert (redirect.status, redirect.headers["location"][:19]) == (307, "http://127.0.0.1:9/")


async def test_a_provider_can_repeat_the_key(simulated, ask):
    """
    The echo stands in the body of the 401; the ledger holds a hash only.
    """
    with simulated(faults=["echo_key"]) as sim:
        came = await ask(sim, "Hi", key="secret-key")

        assert came.status == 401
        assert "secret-key" in came.error["message"]
        assert "secret-key" not in repr(sim.ledger.rows)


@pytest.mark.parametrize(
    ("fault", "body"),
    [
        ("empty", b""),
        ("null", b"null"),
        ("array", b'[{"choices":[]}]'),
        ("html", b"<!doctype html>"),
        ("garbage", b'{"choices":[{"index":0,\xff'),
        ("error_in_200", b'{"error":{'),
        (deep(), b"[[[["),
        (truncated_json(), b'{"id":"cmpl'),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
async def test_a_200_can_be_no_answer(simulated, ask, fault, body, stream):
    """
    Status 200 and something else than a completion, streamed or not.
    """
    name = faults.as_fault(fault).name
    with simulated(faults=[fault]) as sim:
        came = await ask(sim, "Hi", stream=stream)

        assert came.status == 200
        if not (stream and name == "truncated_json"):
            assert came.body.startswith(body)
        assert (sim.ledger.rows[0].end, sim.ledger.rows[0].fault) == ("failed", name)


async def test_an_answer_can_be_bent(simulated, ask, chat):
    """
    No usage, no choices, no content, filtered, refused, cut: each as a provider would send it.
    """
    names = ["no_usage", "no_choices", "no_content", "content_filter", "refusal", "truncated"]
    with simulated(faults=names, reply="Yes.") as sim:
        bodies = [(await ask(sim, chat("Hi"))).json for _ in names]
        assert sim.ledger.totals().finished == len(names)

    usage, choices, content, filtered, refused, cut = bodies
    assert "usage" not in usage
    assert choices["choices"] == []
    assert content["choices"][0]["message"]["content"] is None
    assert filtered["choices"][0]["finish_reason"] == "content_filter"
    assert refused["choices"][0]["message"]["refusal"]
    assert (cut["choices"][0]["finish_reason"], cut["choices"][0]["message"]["content"]) == (
        "length",
        "Yes.",
    )


async def test_a_stream_can_be_bent_alike(simulated, ask, chat):
    """
    The same faults reach streams: no usage chunk, a refusal in pieces, another finish reason.
    """
    options = {"stream": True, "stream_options": {"include_usage": True}}
    with simulated(faults=["no_usage", "refusal", "content_filter"]) as sim:
        usage, refusal, filtered = [await ask(sim, chat("Hi"), **options) for _ in range(3)]

    assert all(event["choices"] for event in usage.events[:-1])
    deltas = [event["choices"][0]["delta"] for event in refusal.events[:-2]]
    assert "".join(delta.get("refusal") or "" for delta in deltas) == "I cannot help with that."
    reasons = [event["choices"][0]["finish_reason"] for event in filtered.events[:-2]]
    assert reasons[-1] == "content_filter"


async def test_gzip_can_end_too_early(simulated, ask):
    """
    A well-framed reply whose compressed body lacks its end.
    """
    with simulated(faults=[truncated_gzip()]) as sim:
        came = await ask(sim, "Hi")

    assert came.headers["content-encoding"] == "gzip"
    assert int(came.headers["content-length"]) == len(came.body)
    with pytest.raises(EOFError):
        gzip.decompress(came.body)


async def test_a_small_body_can_unpack_to_a_huge_body(simulated, ask):
    """
    A compression bomb is a few kilobytes on the wire.
    """
    with simulated(faults=[bomb(4 * 2**20), huge(100_000)]) as sim:
        packed, large = await ask(sim, "Hi"), await ask(sim, "Hi")

    assert len(packed.body) < 10_000
    assert len(zlib.decompress(packed.body, wbits=31)) == 4 * 2**20
    assert len(large.body) > 100_000


@pytest.mark.parametrize(
    ("fault", "ends", "has_head"),
    [
        (faults.reset(), "reset", False),
        (faults.lost_reply(), "reset", False),
        (faults.closed(), "closed", False),
        (faults.stall(), "silent", False),
        (faults.reset("head"), "reset", True),
        (faults.stall("head"), "silent", True),
        (faults.reset("body"), "reset", True),
        (faults.stall("body"), "silent", True),
        (faults.short_body(), "closed", True),
        (faults.cut_stream(), "closed", True),
    ],
)
async def test_the_line_can_be_cut_anywhere(simulated, fault, ends, has_head):
    """
    Before the reply, after its head, in its body; by reset, end or silence.
    """
    with simulated(faults=[fault]) as sim:
        before = {"before": b"", "head": b"\r\n\r\n", "body": b'{"id"'}[fault.at]
        came, end = await exchange(sim, silent_after=before if ends == "silent" else None)
        await sim.await_idle()

        # What was under way when a connection is reset may or may not be delivered.
        assert end == ends
        if end != "reset":
            assert came.startswith(b"HTTP/1.1 200") == has_head
        if has_head and end != "reset":
            head, _, body = came.partition(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length:")[2].split()[0])
            assert len(body) < length
        (row,) = sim.ledger.rows
        assert row.end == ("cancelled" if ends == "silent" else "failed")
        assert row.status == (200 if has_head else None)
        assert row.billed == fault.billed


async def test_a_stream_can_be_cut_without_its_finish_marker(simulated, ask, chat):
    """
    Proper HTTP, some tokens, no finish reason and no [DONE]; or an error in place of the rest.
    """
    script = [faults.cut_stream(after=2), faults.stream_error(after=1), faults.cut_stream()]
    with simulated(faults=script, reply="abcdefghijklmnop") as sim:
        cut, error, half = [await ask(sim, chat("Hi"), stream=True) for _ in script]
        assert sim.ledger.totals().failed == 3

    def spoken(came):
        events = [event for event in came.events if "choices" in event]
        return "".join(event["choices"][0]["delta"].get("content", "") for event in events)

    assert (spoken(cut), spoken(error), spoken(half)) == ("abcdefgh", "abcd", "abcdefgh")
    assert "[DONE]" not in cut.events
    assert error.events[-1]["error"]["type"] == "server_error"


@pytest.mark.parametrize("fault", [faults.reset("body", after=2), faults.stall("body", after=2)])
async def test_a_stream_can_be_reset_or_stall_in_its_middle(simulated, fault):
    """
    Two tokens, then nothing more.
    """
    with simulated(faults=[fault], reply="abcdefghijklmnop") as sim:
        is_silent = "stall" in fault.name
        second = b'"efgh"' if is_silent else None
        came, end = await exchange(sim, stream=True, silent_after=second)
        await sim.await_idle()

    assert b"[DONE]" not in came
    assert end == ("silent" if is_silent else "reset")


async def test_an_awkward_stream_is_right(simulated, ask, chat):
    """
    Comments, CRLF, event names, one byte at a time: the same events to who reads by the rules.
    """
    with simulated(faults=[awkward_stream()], reply="Grüße, 世界 🎈") as sim:
        awkward = await ask(sim, chat("Hi"), stream=True)
        plain = await ask(sim, chat("Hi"), stream=True)
        assert sim.ledger.totals().finished == 2

    lines = awkward.body.split(b"\r\n")
    assert b": a comment" in lines
    assert b"\n" not in b"".join(lines)
    data = [line for line in lines if line.startswith(b"data: ")]
    same = plain.body.replace(b"sim-00000001", b"sim-00000000").split(b"\n")
    assert data == [line for line in same if line]


async def test_an_answer_can_drip(simulated, ask):
    """
    One byte at a time, and whole in the end.
    """
    with simulated(faults=[drip(0.0)]) as sim:
        came = await ask(sim, "Hi")

        assert came.json["object"] == "text_completion"
        assert sim.ledger.totals().finished == 1


async def test_literal_bytes_can_be_sent(simulated):
    """
    Whatever conversation a test needs, it can script.
    """
    script = [
        raw(b"SSH-2.0-x\r\n"),
        raw(b"HT", then="stall"),
        broken_chunk(),
    ]
    with simulated(faults=script) as sim:
        assert await exchange(sim) == (b"SSH-2.0-x\r\n", "closed")
        assert await exchange(sim, silent_after=b"HT") == (b"HT", "silent")
        came, end = await exchange(sim)

    assert (came[-4:], end) == (b"zz\r\n", "closed")


async def test_a_bare_client_sees_broken_replies_as_such(simulated, ask):
    """
    An independent client gives its own error for each: nothing here is only nearly broken.
    """
    script = [
        "reset",
        "closed",
        "short_body",
        broken_chunk(),
        raw(b"HTTP/1.1 200 OK\r\n"),
    ]
    with simulated(faults=script) as sim:
        for _ in script:
            with pytest.raises(aiohttp.ClientError):
                await ask(sim, "Hi")
        assert (await ask(sim, "Hi")).status == 200


async def test_a_fault_that_costs_nothing_takes_nothing_from_the_limits(simulated, ask):
    """
    What makes the provider work must pass its limits; what does not, does not.
    """
    with simulated(faults=[500, 408, None], requests_per_minute=60, burst_seconds=1) as sim:
        statuses = [(await ask(sim, "Hi")).status for _ in range(3)]

    assert statuses == [500, 408, 429]


async def test_the_script_can_change_while_it_runs(simulated, ask):
    """
    A new list begins with the next request, and None ends all faults.
    """
    with simulated(faults=lambda request: 500) as sim:
        statuses = [(await ask(sim, "Hi")).status]
        sim.set_faults([None, 503])
        statuses += [(await ask(sim, "Hi")).status for _ in range(3)]
        sim.set_faults(None)
        statuses += [(await ask(sim, "Hi")).status]

    assert statuses == [500, 200, 503, 200, 200]


async def test_time_runs_from_the_first_request(simulated, ask):
    """
    An outage at its beginning strikes the first request however long the provider has idled.
    """
    with simulated(faults=[outage(0.0, 60.0)]) as sim:
        assert (await ask(sim, "Hi")).status == 503


async def test_a_rule_that_fails_is_the_test_s_own_mistake(simulated, ask):
    """
    It is raised when the provider is closed, and nothing stays in flight.
    """
    sim = simulated(faults=lambda request: 1 // 0)

    async def use() -> None:
        async with sim:
            assert (await ask(sim, "Hi")).status == 500

    with pytest.raises(ZeroDivisionError):
        await use()
    assert sim.ledger.totals().in_flight == 0


async def test_a_condition_for_holding_that_fails_is_raised_too(simulated, ask):
    """
    The client is cut off, the test is told.
    """
    sim = simulated()
    sim.hold(lambda request: bool(1 // 0))

    async def use() -> None:
        async with sim:
            with pytest.raises(aiohttp.ClientError):
                await ask(sim, "Hi")

    with pytest.raises(ZeroDivisionError):
        await use()


async def test_many_faults_at_once_leave_nothing_in_flight(simulated, ask):
    """
    Two hundred requests through every quick fault, all at once: the book balances.
    """
    names = [
        "reset",
        "closed",
        "short_body",
        "html",
        "empty",
        "cut_stream",
        truncated_gzip(),
    ]

    async def send(sim, number: int) -> None:
        try:
            await ask(sim, str(number), stream=bool(number % 3))
        except aiohttp.ClientError:
            pass  # what is looked at is the server

    script = [[None, 500, *names][number % 9] for number in range(200)]
    with simulated(faults=script) as sim:
        await asyncio.gather(*[send(sim, number) for number in range(200)])
        await sim.await_idle()
        totals = sim.ledger.totals()

    assert totals.received >= 200  # aiohttp sends some again that died before their reply
    assert totals.finished + totals.failed + totals.cancelled == totals.received
