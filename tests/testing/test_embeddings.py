"""Promises about simulated embeddings: the same everywhere, near where the words are."""

from __future__ import annotations

import math
import subprocess
import sys

import orjson
import pytest
from laboratory.hostile_replies import truncated_json

from llmnb import errors
from llmnb.testing.openai_embeddings import vector
from llmnb.testing.options import Behaviour
from llmnb.testing.request_handler import RequestHandler
from llmnb.wire.dialect import dialect
from llmnb.wire.openai_embeddings import numbers, with_every_vector

EMBEDDINGS = dialect("openai.embeddings")


def handler(**options) -> RequestHandler:
    return RequestHandler(Behaviour.of(options))


def served(at: RequestHandler, texts, **fields):
    body = EMBEDDINGS.body({"input": texts, **fields}, model="m", params={})
    plan = at.receive("POST", "/v1/embeddings", {}, orjson.dumps(body))
    at.close(plan)
    return plan


def embedded(texts, **fields):
    return EMBEDDINGS.parse(served(handler(), texts, **fields).body)


def product(first, other):
    return math.fsum(a * b for a, b in zip(first, other, strict=True))


@pytest.mark.parametrize("text", ["a red fox", "fox", "  ", "!?", "Grüße 世界", "word " * 500])
@pytest.mark.parametrize("size", [1, 2, 64, 1536])
def test_a_vector_has_a_length_of_1(text, size):
    """
    Whatever the text and the size.
    """
    assert product(vector(text, size), vector(text, size)) == pytest.approx(1.0, abs=1e-5)


def test_texts_that_share_vocabulary_lie_near():
    """
    The more they share, the nearer; those that share none are nearly at right angles.
    """
    fox = vector("the quick brown fox jumps", 1536)
    near = product(fox, vector("The quick brown FOX sleeps.", 1536))
    far = product(fox, vector("the stock market closed lower", 1536))
    none = product(fox, vector("ein ganz anderer Satz", 1536))

    assert near > 0.7 > 0.4 > far > 0.1 > abs(none)


def test_the_same_text_has_the_same_vector_in_every_process():
    """
    So a test may be run again, or its provider stand in another process.
    """
    code = "from llmnb.testing.openai_embeddings import vector; print(vector('a red fox', 32))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert out.stdout.strip() == str(vector("a red fox", 32))


def test_each_text_has_its_vector_in_order():
    """
    Of the model's size, or of the one that is asked for.
    """
    parsed = with_every_vector(embedded(["a", "b", "a"]), 3)

    assert parsed.vectors[0] == parsed.vectors[2] != parsed.vectors[1]
    assert [len(numbers(first)) for first in parsed.vectors] == [1536] * 3
    assert len(numbers(embedded("a", dimensions=8).vectors[0])) == 8


def test_base64_says_the_same_as_numbers():
    """
    Bit by bit.
    """
    assert (
        embedded(["a red fox"], encoding_format="base64").vectors == embedded(["a red fox"]).vectors
    )


def test_tokens_can_be_embedded():
    """
    One text as its numbers, or several.
    """
    assert len(embedded([1, 2, 3]).vectors) == 1
    assert len(embedded([[1, 2], [3]]).vectors) == 2


def test_only_the_prompt_is_billed():
    """
    Nothing is said, so nothing is paid for saying it; the reply function is not asked.
    """
    at = handler(reply=lambda prompt: 1 / 0, tokens_per_second=1.0, latency=0.5)
    plan = served(at, ["four", "fours"])
    row = at.ledger.rows[0]

    assert EMBEDDINGS.parse(plan.body).usage.total == 3
    assert (row.endpoint, row.prompt_tokens, row.completion_tokens) == ("embedding", 3, 0)
    assert row.usd == pytest.approx(3 * 0.15e-6)
    assert plan.delay == 0.5


def test_limits_count_the_prompt():
    """
    As they do for answers.
    """
    at = handler(tokens_per_minute=60, burst_seconds=10)

    assert [served(at, "four" * 8).status for _ in range(2)] == [200, 429]


def test_faults_strike_here_too():
    """
    Errors, a list without vectors, a usage that is missing.
    """
    at = handler(faults=[500, "no_choices", "no_usage", truncated_json()])

    assert served(at, "a").status == 500
    with pytest.raises(errors.BadReply):
        EMBEDDINGS.parse(served(at, "a").body)
    assert EMBEDDINGS.parse(served(at, "a").body).usage is None
    assert served(at, "a").fault is not None


async def test_both_servers_embed(simulated, session):
    """
    Over the wire.
    """
    body = orjson.dumps({"model": "m", "input": ["a", "b"], "dimensions": 4})
    with simulated() as sim:
        async with session.post(f"{sim.base_url}/embeddings", data=body) as reply:
            parsed = EMBEDDINGS.parse(await reply.read())

    assert len(parsed.vectors) == 2
