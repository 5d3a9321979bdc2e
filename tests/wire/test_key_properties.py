"""What changes an answer's key, and what does not, from the request to the key (fault 21)."""

from __future__ import annotations

import copy

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from llmnb.running.asking import Asking
from llmnb.running.preparer import Preparer

fuzzed = settings(max_examples=100, derandomize=True, deadline=None, database=None)

BODY = {
    "messages": [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": [{"type": "text", "text": "Hi"}]},
    ],
    "temperature": 0.5,
    "top_p": 0.9,
    "max_tokens": 20,
    "stop": ["\n"],
    "seed": 1,
    "n": 1,
    "logprobs": True,
    "top_logprobs": 2,
    "frequency_penalty": 0.1,
    "presence_penalty": 0.1,
    "logit_bias": {"5": 1},
    "reasoning_effort": "low",
    "tools": [
        {
            "type": "function",
            "function": {
                "name": "f",
                "parameters": {"type": "object", "properties": {"a": {}, "b": {}}},
            },
        }
    ],
    "tool_choice": "auto",
    "response_format": {
        "type": "json_schema",
        "json_schema": {"name": "s", "schema": {"properties": {"a": {}, "b": {}}}},
    },
    "some_field_of_tomorrow": {"x": [1, 2]},
}
ASKING = {"model": "m", "api_provider": "openai", "api_key": "k-1", "url": "http://127.0.0.1:9/v1"}


def key(request=None, **asking):
    """Return the key of a request's answer."""
    row = Preparer(Asking(**{**ASKING, **asking}))(request or BODY, 0)
    assert row.error is None, row.error
    return row.call.key


def places(value, path=()):
    """Return the way to every value inside a value."""
    items = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    return [
        case for name, inner in items for case in [(*path, name), *places(inner, (*path, name))]
    ]


def changed(path, change):
    """Return the body with one value changed, and how it was."""
    body = copy.deepcopy(BODY)
    inner = body
    for name in path[:-1]:
        inner = inner[name]
    inner[path[-1]] = change(inner[path[-1]])
    return body


def other(value):
    """Return another value of the same kind."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, (int, float)):
        return value + 1
    if isinstance(value, str):
        return value + "x"
    return [*value, "x"] if isinstance(value, list) else {**value, "x": 1}


@pytest.mark.parametrize("path", places(BODY), ids=lambda path: ".".join(map(str, path)))
def test_every_single_value_changes_the_key(path):
    """
    At every depth, in fields that exist today and in those of tomorrow.
    """
    if path == ("messages",):
        body = {**BODY, "messages": [*BODY["messages"], {"role": "user", "content": "more"}]}
    else:
        body = changed(path, other)

    assert key(body) != key()


@pytest.mark.parametrize("name", [name for name in BODY if name != "messages"])
def test_leaving_a_field_out_changes_the_key(name):
    """
    The provider's own default may be another one.
    """
    assert key({case: value for case, value in BODY.items() if case != name}) != key()


@pytest.mark.parametrize(
    "asking",
    [{"model": "m2"}, {"url": "http://127.0.0.1:10/v1"}, {"url": "http://127.0.0.1:9/v2"},
     {"cache_vars": {"a": 1}}, {"cache_vars": {"a": 2}}, {"params": {"extra": 1}}],
    ids=str,
)  # fmt: skip
def test_who_is_asked_and_with_what_changes_the_key(asking):
    """
    Model, address, parameters, and the caller's own variables.
    """
    assert key(**asking) != key()


def test_the_kind_of_question_changes_the_key():
    """
    The same prompt as chat, as text, and through the Responses API: three answers.
    """
    request = {"prompt": "Hi"}

    assert len({key(request, gen_type=case) for case in ("chat", "text", "responses")}) == 3


@pytest.mark.parametrize("asking", [{"api_key": "k-2"}, {"allow_http": True}], ids=str)
def test_rotating_the_key_changes_nothing(asking):
    """
    What was bought with the old key is found with the new one.
    """
    assert key(**asking) == key()


@pytest.mark.parametrize(
    "field",
    [{"stream": True}, {"user": "me"}, {"metadata": {"row": 7}},
     {"stream_options": {"include_usage": True}}],
    ids=str,
)  # fmt: skip
def test_how_an_answer_travels_changes_nothing(field):
    """
    Streamed or not, whoever it is counted for.
    """
    assert key({**BODY, **field}) == key()


def test_a_field_means_the_same_in_the_request_and_in_the_parameters():
    """
    Where it was written is not part of the question.
    """
    rest = {name: value for name, value in BODY.items() if name != "temperature"}

    assert key(rest, params={"temperature": 0.5}) == key()


def test_the_order_of_fields_is_nothing_and_that_of_properties_is_something():
    """
    Models answer in the order they are asked in, so schemas and messages keep theirs.
    """
    assert key(dict(reversed(BODY.items()))) == key()

    def turned(value):
        return dict(reversed(value.items()))

    tools = ("tools", 0, "function", "parameters", "properties")
    schema = ("response_format", "json_schema", "schema", "properties")
    assert key(changed(tools, turned)) != key()
    assert key(changed(schema, turned)) != key()
    assert key({**BODY, "messages": BODY["messages"][::-1]}) != key()


scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**53), 2**53),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=6),
)
values = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=8,
)


def in_json(value):
    """Return a value as JSON tells it from others: 1 and 1.0 and true are three."""
    if isinstance(value, dict):
        return "{", [(name, in_json(case)) for name, case in value.items()]
    if isinstance(value, list):
        return "[", [in_json(case) for case in value]
    return type(value).__name__, repr(value)


@fuzzed
@given(case=values, two=values)
def test_two_values_share_a_key_only_if_they_are_written_alike(case, two):
    """
    Whatever they are; and the same value gives the same key every time.
    """
    assume(case is not None and two is not None)  # None takes a parameter back
    is_same = in_json(case) == in_json(two)

    assert key({**BODY, "field": case}) == key({**BODY, "field": copy.deepcopy(case)})
    assert (key({**BODY, "field": case}) == key({**BODY, "field": two})) == is_same


@fuzzed
@given(texts=st.lists(st.text(max_size=5), min_size=1, max_size=5), index=st.integers(0, 4))
def test_no_text_can_pass_for_another_by_running_into_its_neighbour(texts, index):
    """
    Moving characters from one message to the next is another conversation.
    """
    index %= len(texts)
    assume(texts[index])
    moved = [*texts]
    moved[index] = texts[index][:-1]
    if index + 1 < len(moved):
        moved[index + 1] = texts[index][-1] + moved[index + 1]
    else:
        moved.append(texts[index][-1])

    def asked(parts):
        return {"messages": [{"role": "user", "content": case} for case in parts]}

    assert key(asked(texts)) != key(asked(moved))
