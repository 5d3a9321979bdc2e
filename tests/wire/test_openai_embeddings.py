"""Promises about embeddings: as many vectors as texts, in their order, or an error."""

from __future__ import annotations

import base64
import pickle
import struct

import orjson
import pytest

from llmnb import errors
from llmnb.wire.dialect import dialect
from llmnb.wire.openai_embeddings import inputs_in, numbers, pack, with_every_vector

EMBEDDINGS = dialect("openai.embeddings")


def body(request, **params):
    return EMBEDDINGS.body(request, model="m", params=params)


def reply(*vectors, **fields):
    data = [
        {"object": "embedding", "index": index, "embedding": vector}
        for index, vector in enumerate(vectors)
    ]
    usage = {"prompt_tokens": 5, "total_tokens": 5}
    return orjson.dumps({"object": "list", "data": data, "model": "m2", "usage": usage, **fields})


def in_base64(*values):
    return base64.b64encode(struct.pack(f"<{len(values)}f", *values)).decode()


@pytest.mark.parametrize("name", ["input", "prompt"])
@pytest.mark.parametrize("texts", ["a text", "", ["a", "b"], [1, 2, 3], [[1], [2, 3]]])
def test_texts_go_in_as_they_are(name, texts):
    """
    One or several, or their tokens; own fields pass through.
    """
    assert body({name: texts, "dimensions": 256}, encoding_format="base64") == {
        "model": "m",
        "input": texts,
        "dimensions": 256,
        "encoding_format": "base64",
    }


@pytest.mark.parametrize(
    "request_",
    [
        {},
        {"input": None},
        {"input": 7},
        {"input": []},
        {"input": ["a", None]},
        {"input": ["a", 7]},
        {"input": [None]},
        {"input": [1.5]},
        {"input": {"text": "a"}},
        {"input": "a", "prompt": "a"},
        {"messages": [{"role": "user", "content": "a"}]},
    ],
)
def test_what_is_no_text_is_an_input_error(request_):
    """
    A missing value among the texts would make the rows beside it fail, too.
    """
    with pytest.raises(errors.InputError, match="Nothing was sent"):
        body(request_)


def test_the_number_of_texts_is_known():
    """
    A list of numbers is the tokens of one text.
    """
    counts = [inputs_in(body({"input": case})) for case in ("a", ["a", "b"], [1, 2], [[1], [2]])]

    assert counts == [1, 2, 1, 2]


def test_a_reply_is_read():
    """
    Vectors as bytes, whatever the reply's size; tokens go in and none come out.
    """
    raw = reply([0.5, -1.0, 0.25], [1, 0, 0])
    result = EMBEDDINGS.parse(raw)

    assert [numbers(vector) for vector in result.vectors] == [[0.5, -1.0, 0.25], [1.0, 0.0, 0.0]]
    assert [len(vector) for vector in result.vectors] == [12, 12]
    assert (result.text, result.model, result.quality, result.raw) == ("", "m2", "good", raw)
    assert (result.usage.prompt, result.usage.completion) == (5, 0)


def test_base64_says_the_same_as_numbers():
    """
    Both ways lead to the same bytes.
    """
    plain = EMBEDDINGS.parse(reply([0.1, -2.5], [3.0, 4.0]))
    packed_ = EMBEDDINGS.parse(reply(in_base64(0.1, -2.5), in_base64(3.0, 4.0)))

    assert plain.vectors == packed_.vectors


def test_the_index_gives_the_order():
    """
    Not the order in which they stand.
    """
    data = [{"index": 1, "embedding": [1.0]}, {"index": 0, "embedding": [0.0]}]

    assert [numbers(case) for case in EMBEDDINGS.parse(reply(data=data)).vectors] == [[0.0], [1.0]]


def test_without_any_index_they_stand_in_order():
    """
    Some servers leave it out.
    """
    data = [{"embedding": [1.0]}, {"embedding": [0.0]}]

    assert [numbers(case) for case in EMBEDDINGS.parse(reply(data=data)).vectors] == [[1.0], [0.0]]


def test_a_reply_travels_as_any_other():
    """
    To another process, for example.
    """
    result = EMBEDDINGS.parse(reply([0.5]))

    assert pickle.loads(pickle.dumps(result)) == result


def test_a_vector_survives_the_round_trip():
    """
    With 32 bits a number, as the models make them.
    """
    assert numbers(pack([0.5, -1.0, 2.0**100])) == [0.5, -1.0, 2.0**100]


@pytest.mark.parametrize("count", [0, 1, 3])
def test_more_or_fewer_vectors_than_texts_are_a_bad_reply(count):
    """
    Nobody could tell which belongs to which text.
    """
    result = EMBEDDINGS.parse(reply([0.5], [0.25]))

    assert with_every_vector(result, 2) is result
    with pytest.raises(errors.BadReply, match="2 vectors") as caught:
        with_every_vector(result, count)
    assert caught.value.raw == result.raw


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b"<html>",
        b'{"data":[]}',
        b'{"data":{}}',
        b'{"data":[[0.5]]}',
        b'{"data":[{}]}',
        b'{"data":[{"embedding":null}]}',
        b'{"data":[{"embedding":[]}]}',
        b'{"data":[{"embedding":""}]}',
        b'{"data":[{"embedding":["a"]}]}',
        b'{"data":[{"embedding":[null]}]}',
        b'{"data":[{"embedding":[[0.5]]}]}',
        b'{"data":[{"embedding":[NaN]}]}',
        b'{"data":[{"embedding":[1e300]}]}',
        b'{"data":[{"embedding":[1' + b"0" * 400 + b"]}]}",
        b'{"data":[{"embedding":[Infinity,-Infinity]}]}',
        b'{"data":[{"embedding":"not base64!"}]}',
        b'{"data":[{"embedding":"AAAA"}]}',
        b'{"data":[{"embedding":"AADAfw=="}]}',
        b'{"data":[{"index":0,"embedding":[0.5]},{"index":0,"embedding":[0.5]}]}',
        b'{"data":[{"index":1,"embedding":[0.5]}]}',
        b'{"data":[{"index":0,"embedding":[0.5]},{"embedding":[0.5]}]}',
        b'{"data":[{"index":0,"embedding":[0.5]},{"index":1,"embedding":[0.5,0.5]}]}',
        b'{"choices":[{"message":{"content":"a"}}]}',
    ],
)
def test_what_is_no_list_of_vectors_is_a_bad_reply_that_keeps_its_bytes(raw):
    """
    Gaps in the numbering, different lengths, numbers that are none.
    """
    with pytest.raises(errors.BadReply) as caught:
        EMBEDDINGS.parse(raw)

    assert caught.value.raw == raw


def test_an_error_in_a_good_status_is_that_error():
    """
    As for chat.
    """
    with pytest.raises(errors.RateLimited):
        EMBEDDINGS.parse(b'{"error":{"code":429,"message":"Slower."}}')


def test_it_is_never_streamed():
    """
    The body asks for none; a stream that comes all the same brings no vectors.
    """
    made = body({"input": "a", "stream": True})

    assert EMBEDDINGS.stream_body(made) == made == {"model": "m", "input": "a"}
    with pytest.raises(errors.IncompleteReply):
        EMBEDDINGS.assembler().whole(b'data: {"data":[{"embedding":[0.5]}]}\n\n')
    with pytest.raises(errors.ProviderError):
        EMBEDDINGS.assembler().whole(b'data: {"error":{"code":500,"message":"It broke."}}\n\n')
