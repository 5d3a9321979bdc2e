"""Promises about batches as bytes: whatever a provider sends is a result or our own error."""

from __future__ import annotations

import contextlib
import random

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmnb.errors import BadReply
from llmnb.wire.batches import AnthropicBatches, Capacity, OpenAIBatches, name_of, split, upload

OPENAI, ANTHROPIC = OpenAIBatches(), AnthropicBatches()
DIALECTS = (OPENAI, ANTHROPIC)


@given(
    st.lists(st.integers(1, 40)), st.builds(Capacity, requests=st.integers(1, 9), size=st.just(50))
)
def test_parts_hold_all_requests_within_the_limits(sizes, capacity):
    """Every request is in one part, in order; no part passes a limit."""
    counts = list(split(sizes, capacity))
    assert sum(counts) == len(sizes)
    for number, count in enumerate(counts):
        first = sum(counts[:number])
        assert 0 < count <= capacity.requests
        assert sum(sizes[first : first + count]) <= capacity.size


def test_ids_fit_every_provider():
    """An id has at most 64 plain characters, whatever the row."""
    name = name_of("f" * 40, 10**9)
    assert len(name) <= 64
    assert name.replace("-", "").isalnum()


def test_lines_are_what_providers_want():
    """Lines are JSON, one a request, and become the documents that are submitted."""
    line = OPENAI.line("k-0", b'{"model":"m"}', "/v1/chat/completions")
    assert orjson.loads(line) == {
        "custom_id": "k-0",
        "method": "POST",
        "url": "/v1/chat/completions",
        "body": {"model": "m"},
    }
    lines = [ANTHROPIC.line(f"k-{row}", b'{"model":"m"}', "") for row in range(2)]
    result = orjson.loads(ANTHROPIC.creation(b"".join(lines), "", ""))
    assert [case["custom_id"] for case in result["requests"]] == ["k-0", "k-1"]


def test_an_upload_that_holds_its_own_boundary():
    """A prompt that contains the boundary between the parts of a form does not end it."""
    boundary = upload("f", b"")[0].partition("boundary=")[2]
    kind, body = upload("f", f"--{boundary}--".encode())
    other = kind.partition("boundary=")[2]
    assert other != boundary
    assert body.count(f"--{other}\r\n".encode()) == 2


@pytest.mark.parametrize("dialect", DIALECTS)
def test_damaged_results_are_read_as_far_as_they_go(dialect):
    """Fuzzed results give results with a name, or none, or cannot be read at all."""
    rows = [
        {"custom_id": "a-0", "response": {"status_code": 200, "body": {"id": "x"}}},
        {"custom_id": "b-1", "error": {"code": "batch_expired"}, "response": None},
        {"custom_id": "c-2", "result": {"type": "errored", "error": {"error": {"type": 7}}}},
        {"custom_id": "d-3", "result": {"type": "succeeded", "message": {}}},
    ]
    whole = b"\n".join(map(orjson.dumps, rows))
    dice = random.Random(38)
    for _ in range(500):
        raw = bytearray(whole)
        for _ in range(dice.randint(0, 6)):
            raw[dice.randrange(len(raw))] = dice.randrange(256)
        with contextlib.suppress(BadReply):
            for case in dialect.results(bytes(raw[: dice.randint(0, len(raw))])):
                assert isinstance(case.name, str)


@pytest.mark.parametrize(
    "odd",
    [b"[" * 300 + b"]" * 300, b"[" * 1020 + b"]" * 1020, b'[NaN, 1e999, %d, "\\ud83d"]' % 2**70],
)
def test_an_odd_result_does_not_cost_the_others(odd):
    """Deep nesting and numbers beyond 64 bits in one answer leave the answers beside it whole."""
    rows = [
        b'{"custom_id":"a-0","response":{"status_code":200,"body":{"x":%b}}}' % odd,
        b'{"custom_id":"b-1","result":{"type":"succeeded","message":{"x":%b}}}' % odd,
        b'{"custom_id":"c-2","response":{"body":{"id":1}},"result":{"type":"succeeded"}}',
    ]
    for dialect in DIALECTS:
        assert [case.name for case in dialect.results(b"\n".join(rows))][-1] == "c-2"


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("raw", [b"", b"<html>", b"[1]", b"{}", b'{"id": 7}', b'{"id": ""}'])
def test_a_standing_that_cannot_be_read(dialect, raw):
    """What does not name a batch is a BadReply, which is asked for again."""
    with pytest.raises(BadReply):
        dialect.standing(raw)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_an_awkward_list(dialect):
    """A list without rows, or with strange ones, is an empty list."""
    for raw in (b"{}", b'{"data": null}', b'{"data": []}', b'{"data": [7, null]}'):
        assert dialect.listed(raw) == ([], None)
