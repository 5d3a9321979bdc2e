"""Promises about JSON: the bytes that decide an answer, and patience in writing and reading it."""

from __future__ import annotations

import datetime
import json

import numpy
import orjson
import pytest

from llmnb import errors
from llmnb.wire import json_bytes
from llmnb.wire.canonical import canonical, json_body

BODY = {
    "model": "m",
    "messages": [{"role": "user", "content": "Hi"}],
    "temperature": 0.5,
    "tools": [{"type": "function", "function": {"name": "f", "parameters": {"b": 1, "a": 2}}}],
}


def test_the_order_of_fields_changes_nothing():
    """
    Two ways of writing one request are one request.
    """
    backwards = dict(reversed(BODY.items()))

    assert canonical(backwards) == canonical(BODY)


def test_the_order_inside_a_field_is_kept():
    """
    A model reads a schema's properties in order, so order can change its answer.
    """
    other = json.loads(json.dumps(BODY).replace('"b": 1, "a": 2', '"a": 2, "b": 1'))

    assert other == BODY
    assert canonical(other) != canonical(BODY)


@pytest.mark.parametrize("name", ["stream", "stream_options", "user", "service_tier"])
def test_what_changes_no_answer_is_left_out(name):
    """
    Streamed or not, for whomever, at whichever price: the answer is the same.
    """
    assert canonical({**BODY, name: {"include_usage": True}}) == canonical(BODY)


@pytest.mark.parametrize(
    "change",
    [
        {"model": "m2"},
        {"messages": [{"role": "user", "content": "Hi "}]},
        {"messages": [{"role": "system", "content": "Hi"}]},
        {"temperature": 0.6},
        {"temperature": None},
        {"seed": 0},
        {"n": 1},
        {"max_tokens": 1},
        {"stop": ["."]},
        {"response_format": {"type": "json_object"}},
        {"reasoning_effort": "low"},
        {"logit_bias": {"1": 2}},
        {"a field of tomorrow": True},
    ],
)
def test_every_other_field_counts(change):
    """
    Whatever might change the answer, known today or not, changes the bytes.
    """
    assert canonical({**BODY, **change}) != canonical(BODY)


def test_the_body_is_not_touched():
    """
    Not by sorting, not by leaving fields out.
    """
    body = {"stream": True, **BODY}
    before = json.dumps(body)

    canonical(body)

    assert json.dumps(body) == before


def test_whole_bodies_are_written_in_their_own_order():
    """
    What is sent has every field.
    """
    assert json_body({"b": 1, "a": 2, "user": "me"}) == b'{"b":1,"a":2,"user":"me"}'


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("\ud800", b'"\\ud800"'),
        ("a\udfffb", b'"a\\udfffb"'),
        (2**64, b"18446744073709551616"),
        (-(10**40), b"-1" + b"0" * 40),
        ({1: "a"}, b'{"1":"a"}'),
        ((1, 2), b"[1,2]"),
        (numpy.int64(3), b"3"),
        (numpy.float64(0.5), b"0.5"),
        (datetime.date(2026, 1, 2), b'"2026-01-02"'),
        ("\x00\x1f\u2028", '"\\u0000\\u001f\u2028"'.encode()),
        ("null", b'"null"'),
        ([None, "null", 1.5], b'[null,"null",1.5]'),
    ],
)
def test_odd_but_sayable_values_are_written(value, written):
    """
    Lone surrogates, huge integers, other kinds of keys, numbers out of a data frame.
    """
    assert canonical({"v": value}) == b'{"v":' + written + b"}"


def circle():
    body: dict = {}
    body["self"] = body
    return body


def deep(levels):
    value: list = []
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize(
    "value",
    [
        float("nan"),
        float("inf"),
        [1.0, {"deep": float("-inf")}],
        ["\ud800", float("nan")],
        numpy.float64("nan"),
        object(),
        {1, 2},
        b"bytes",
        1j,
        circle(),
        deep(100_000),
        10**5000,
        {(1, 2): 3},
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_json_cannot_express_is_an_input_error(value):
    """
    Before anything is sent, as a typed error.
    """
    for write in (canonical, json_body):
        with pytest.raises(errors.InputError, match="Nothing was sent") as caught:
            write({"v": value})
        assert caught.value.__cause__ is None
        assert len(caught.value.message) < 400


def test_field_names_must_be_text():
    """
    A body whose names cannot be sorted is the caller's mistake, not a crash.
    """
    with pytest.raises(errors.InputError):
        canonical({"model": "m", 3: "x", None: "y"})


def test_moderate_nesting_is_written():
    """
    Beyond the fast writer's limit, a schema of many levels still goes through.
    """
    assert canonical({"v": deep(300)}).count(b"[") == 301


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        (b'\xef\xbb\xbf{"a":1}', {"a": 1}),
        (b'{"a":"\\ud83d\\ude00"}', {"a": "\U0001f600"}),
        (b'{"a":"\\ud83d"}', {"a": "\ufffd"}),
        (b'{"a":"x\\ude00y"}', {"a": "x\ufffdy"}),
        (b'{"a":1e400}', {"a": float("inf")}),
        (b'{"a":' + b"9" * 5000 + b"}", {"a": float("inf")}),
        (b"  null ", None),
    ],
    ids=range(7),
)
def test_odd_but_readable_json_is_read(raw, value):
    """
    An answer that was paid for is not lost to a strict reader.
    """
    assert json_bytes.read(raw) == value
    result, readable = json_bytes.read_with_bytes(raw)
    assert result == value
    orjson.loads(readable)


@pytest.mark.parametrize(
    "raw",
    [b"", b" ", b"{", b'{"a":"\xff"}', b"[" * 100_000, b"<html>", b'{"a":1}{"b":2}', b"\x00"],
)
def test_what_is_no_json_is_a_single_kind_of_error(raw):
    """
    Broken, cut off, not UTF-8, or nested so deeply that readers give up.
    """
    with pytest.raises(json_bytes.NotJSON):
        json_bytes.read(raw)


def test_half_a_character_of_a_stream_waits_for_the_other_half():
    """
    Pieces are not mended one by one.
    """
    assert json_bytes.read(b'"\\ud83d"', mend=False) == "\ud83d"
