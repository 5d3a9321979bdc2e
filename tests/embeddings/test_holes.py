"""Promises of batches in whose reply one vector is none: it fails alone."""

from __future__ import annotations

import base64

import orjson
import pytest
from embedding import SIZE, embed, right
from script_server import ScriptServer, reply

from llmnb.wire.openai_embeddings import pack

TEXTS = ["red", "green", "blue", "white"]
BAD = {
    "null": b"null",
    "NaN": b"[NaN" + b",1" * (SIZE - 1) + b"]",
    "null within": b"[null" + b",1" * (SIZE - 1) + b"]",
    "NaN, packed": orjson.dumps(base64.b64encode(pack([float("nan")] * SIZE)).decode()),
    "words": b'"none at all"',
    "an object": b"{}",
    "empty": b"[]",
}


def reply_to(texts, bad=b"null", which=()):
    """Return the reply to a batch, with a bad vector for some of its texts."""
    rows = []
    for position, text in enumerate(texts):
        vector = orjson.dumps(base64.b64encode(right(text)).decode())
        rows.append(
            b'{"object":"embedding","index":%d,"embedding":%b}'
            % (position, bad if text in which else vector)
        )
    usage = b'{"prompt_tokens":8,"total_tokens":8}'
    body = b'{"object":"list","data":[%b],"model":"m","usage":%b}' % (b",".join(rows), usage)
    return [reply(body, "connection: close")]


@pytest.mark.parametrize("kind", BAD)
def test_a_vector_that_is_none_fails_its_own_row(kind):
    """
    The good ones of its batch are given and kept, and the next run asks for it alone.
    """
    with ScriptServer(reply_to(TEXTS, BAD[kind], ["green"]), reply_to(["green"])) as server:
        first = embed(server, TEXTS, batch_size=4)
        again = embed(server, TEXTS, batch_size=4)
        asked = [
            orjson.loads(request.partition(b"\r\n\r\n")[2])["input"] for request in server.requests
        ]

    assert list(first.errors) == [1]
    assert type(first.errors[1]).__name__ == "BadReply"
    assert [first.partial()[position] for position in (0, 2, 3)] == [
        right(text) for text in ("red", "blue", "white")
    ]
    assert not again.errors
    assert list(again.partial()) == [right(text) for text in TEXTS]
    assert asked == [TEXTS, ["green"]]


def test_a_reply_without_any_good_vector_is_a_bad_reply():
    """
    Then every row of the batch fails, with the reply's bytes.
    """
    with ScriptServer(reply_to(TEXTS, b"null", TEXTS)) as server:
        run = embed(server, TEXTS, batch_size=4)

    assert sorted(run.errors) == [0, 1, 2, 3]
    assert {type(error).__name__ for error in run.errors.values()} == {"BadReply"}
