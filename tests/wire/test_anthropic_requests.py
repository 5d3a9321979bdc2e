"""Promises about asking Anthropic in OpenAI's words: translated faithfully, or refused in words."""

from __future__ import annotations

import copy

import orjson
import pytest

from llmnb import errors
from llmnb.decide.quality import chosen_length
from llmnb.wire.anthropic_messages import ANSWER_TOOL, DEFAULT_LENGTH
from llmnb.wire.canonical import canonical
from llmnb.wire.dialect import dialect

CLAUDE = dialect("anthropic.messages")
HI = [{"role": "user", "content": "Hi"}]
PNG = "iVBORw0KGgo="
SCHEMA = {
    "type": "object",
    "properties": {"zebra": {"type": "string"}, "ant": {"type": "integer"}},
    "required": ["zebra", "ant"],
    "additionalProperties": False,
}
NOW = {
    "type": "function",
    "function": {
        "name": "now",
        "description": "Tells the time.",
        "parameters": {"type": "object", "properties": {"zone": {"type": "string"}}},
    },
}


def body(request=None, *, model="claude-haiku-4-5", **params):
    return CLAUDE.body(request or {"messages": HI}, model=model, params=params)


def asked(*messages, **params):
    return body({"messages": list(messages)}, **params)["messages"]


# -------------------------------------------------------------------------- conversation


def test_a_conversation_goes_in():
    """
    Model, turns, length: no more than was asked.
    """
    turns = [*HI, {"role": "assistant", "content": "Hello."}, {"role": "user", "content": "Bye"}]

    made = body({"messages": turns}, max_tokens=5, temperature=0)

    assert made == {
        "model": "claude-haiku-4-5",
        "messages": turns,
        "max_tokens": 5,
        "temperature": 0,
    }


@pytest.mark.parametrize("name", ["prompt", "input"])
def test_a_prompt_becomes_a_user_message(name):
    """
    Under both names that callers know.
    """
    assert body({name: "Hi"})["messages"] == HI


def test_nothing_of_the_request_is_changed():
    """
    Whatever is translated.
    """
    request = {
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": [{"type": "text", "text": "a"}]},
            {"role": "user", "content": "b"},
        ],
        "tools": [NOW],
        "tool_choice": "required",
        "stop": ["."],
        "response_format": {"type": "json_schema", "json_schema": {"schema": SCHEMA}},
        "output_config": {"effort": "low"},
    }
    before = copy.deepcopy(request)

    body(request, stop_tokens=["!"])

    assert request == before


def test_the_request_wins_over_parameters():
    """
    So does a None: it takes a parameter back.
    """
    made = body({"prompt": "Hi", "top_p": None, "top_k": 3}, top_p=0.5, top_k=9, model="m")

    assert "top_p" not in made
    assert made["top_k"] == 3


def test_system_messages_become_the_system_text():
    """
    Wherever they stand, under both names, in their order, behind one in Anthropic's own spelling.
    """
    made = body(
        {
            "messages": [
                {"role": "system", "content": "A."},
                *HI,
                {"role": "developer", "content": [{"type": "text", "text": "B."}]},
            ],
            "system": "0.",
        }
    )

    assert made["system"] == "0.\n\nA.\n\nB."
    assert made["messages"] == HI


def test_system_blocks_keep_their_marks():
    """
    A mark for the cache is not lost by joining texts.
    """
    marked = {"type": "text", "text": "A.", "cache_control": {"type": "ephemeral"}}
    made = body({"messages": [{"role": "system", "content": [marked]}, *HI], "system": "0."})

    assert made["system"] == [{"type": "text", "text": "0."}, marked]


def test_messages_of_a_side_are_joined_to_a_turn():
    """
    Anthropic wants user and assistant by turns.
    """
    made = asked(
        {"role": "user", "content": "a"},
        {"role": "user", "content": ""},
        {"role": "user", "content": [{"type": "text", "text": "b"}]},
        {"role": "assistant", "content": "c"},
    )

    assert made == [
        {"role": "user", "content": [{"type": "text", "text": case} for case in "ab"]},
        {"role": "assistant", "content": "c"},
    ]


def test_an_image_goes_in_by_value_or_by_address():
    """
    As base64 with its type, or as a link; its detail is for OpenAI alone.
    """
    parts = [
        {"type": "text", "text": "What is it?"},
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}},
        {"type": "image_url", "image_url": {"url": "https://host/a.jpg", "detail": "low"}},
        {"type": "image_url", "image_url": "https://host/b"},
    ]
    (turn,) = asked({"role": "user", "content": parts})

    assert turn["content"] == [
        parts[0],
        {
            "type": "image",
            "source": {"type": "base64", "media_type": "image/png", "data": PNG},
        },
        {"type": "image", "source": {"type": "url", "url": "https://host/a.jpg"}},
        {"type": "image", "source": {"type": "url", "url": "https://host/b"}},
    ]


def test_a_document_goes_in():
    """
    A PDF among the parts is a document.
    """
    part = {"type": "file", "file": {"file_data": "data:application/pdf;base64,JVBE"}}
    (turn,) = asked({"role": "user", "content": [part]})

    assert turn["content"] == [
        {
            "type": "document",
            "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBE"},
        }
    ]


def test_blocks_in_anthropics_own_form_stay_as_they_are():
    """
    So a reply's content can be handed back, signed thoughts and all.
    """
    blocks = [
        {"type": "thinking", "thinking": "Hm.", "signature": "c2ln"},
        {"type": "tool_use", "id": "t1", "name": "now", "input": {}},
    ]
    result = [{"type": "tool_result", "tool_use_id": "t1", "content": "noon", "is_error": False}]
    turns = [
        *HI,
        {"role": "assistant", "content": blocks},
        {"role": "user", "content": result},
    ]

    assert asked(*turns) == turns


def test_tool_calls_and_their_results_go_both_ways():
    """
    A call is the assistant's, its result the user's, and both bear the same id.
    """
    made = asked(
        *HI,
        {
            "role": "assistant",
            "content": "Let me see.",
            "tool_calls": [
                {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}},
                {"id": "c2", "type": "function", "function": {"name": "g", "arguments": ""}},
            ],
        },
        {"role": "tool", "tool_call_id": "c1", "content": "one"},
        {"role": "tool", "tool_call_id": "c2", "content": [{"type": "text", "text": "two"}]},
        {"role": "user", "content": "And?"},
    )

    assert made[1]["content"] == [
        {"type": "text", "text": "Let me see."},
        {"type": "tool_use", "id": "c1", "name": "f", "input": {"a": 1}},
        {"type": "tool_use", "id": "c2", "name": "g", "input": {}},
    ]
    assert made[2] == {
        "role": "user",
        "content": [
            {"type": "tool_result", "tool_use_id": "c1", "content": "one"},
            {
                "type": "tool_result",
                "tool_use_id": "c2",
                "content": [{"type": "text", "text": "two"}],
            },
            {"type": "text", "text": "And?"},
        ],
    }


def test_what_an_answer_of_openai_carries_is_not_sent_back():
    """
    Unsigned reasoning would be refused; empty fields say nothing.
    """
    message = {
        "role": "assistant",
        "content": None,
        "refusal": "I cannot.",
        "reasoning_content": "Hm.",
        "annotations": [],
        "audio": None,
    }

    assert asked(*HI, message)[1] == {
        "role": "assistant",
        "content": [{"type": "text", "text": "I cannot."}],
    }


# -------------------------------------------------------------------------------- length


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens", "max_output_tokens"])
def test_a_length_has_a_single_name(name):
    """
    Whoever chose it under whichever name has chosen it.
    """
    made = body({"prompt": "Hi", name: 50})

    assert made["max_tokens"] == 50
    assert chosen_length(made) is not None
    assert not {"max_completion_tokens", "max_output_tokens"} & made.keys()


@pytest.mark.parametrize(
    ("model", "length"),
    [
        ("claude-haiku-5-5", DEFAULT_LENGTH),
        ("claude-sonnet-4-20250514", DEFAULT_LENGTH),
        ("claude-3-5-haiku-latest", 8192),
        ("claude-3-7-sonnet-20250219", 8192),
        ("claude-3-opus-20240229", 4096),
        ("anthropic/claude-3-haiku", 4096),
    ],
)
def test_a_length_that_nobody_chose_is_filled_in_and_known_as_such(model, length):
    """
    The protocol demands one, and an answer cut off there is not what was asked for.
    """
    made = body(model=model)

    assert made["max_tokens"] == length
    assert orjson.loads(canonical(made))["max_tokens"] == length
    assert chosen_length(made) is None
    assert chosen_length(made) is None


def test_thinking_gets_its_room_beside_the_answer():
    """
    A budget as long as the whole answer would be refused.
    """
    made = body(thinking={"type": "enabled", "budget_tokens": 20_000})

    assert made["max_tokens"] == 20_000 + DEFAULT_LENGTH
    assert made["thinking"] == {"type": "enabled", "budget_tokens": 20_000}
    assert chosen_length(made) is None


# ------------------------------------------------------------------------------ settings


def test_stops_are_called_stop_sequences():
    """
    Under all names, one or many.
    """
    assert body(stop="END")["stop_sequences"] == ["END"]
    assert body(stop_tokens=[".", "!"])["stop_sequences"] == [".", "!"]
    assert body(stop_sequences=["own"], stop=["x"])["stop_sequences"] == ["own"]
    assert "stop" not in body(stop="END")


def test_a_user_is_metadata():
    """
    Anthropic's name for whom a request is made.
    """
    assert body(user="u-1")["metadata"] == {"user_id": "u-1"}


def test_fields_in_anthropics_own_spelling_pass_through():
    """
    And tomorrow's, which nobody knows yet.
    """
    own = {
        "thinking": {"type": "adaptive", "display": "summarized"},
        "service_tier": "standard_only",
        "container": "c",
        "tomorrow": [1],
    }

    assert own.items() <= body(**own).items()


@pytest.mark.parametrize(
    ("effort", "made"),
    [
        ("high", {"output_config": {"effort": "high"}}),
        ("minimal", {"output_config": {"effort": "low"}}),
        ("none", {"thinking": {"type": "disabled"}}),
    ],
)
def test_reasoning_effort_is_translated_for_anthropic(effort, made):
    """
    None is no thinking at all.
    """
    outcome = body(reasoning_effort=effort)

    assert made.items() <= outcome.items()
    assert "reasoning_effort" not in outcome


def test_whether_it_is_streamed_is_decided_elsewhere():
    """
    A `stream` left in the request would bring a reply that nobody reads as such.
    """
    made = body({"prompt": "Hi", "stream": True, "stream_options": {}})

    assert not {"stream", "stream_options"} & made.keys()
    assert CLAUDE.stream_body(made) == {**made, "stream": True}
    assert "stream" not in made


def test_what_says_nothing_is_left_out():
    """
    Fields that ask for what everybody does anyway, and those for OpenAI's own accounts.
    """
    made = body(n=1, logprobs=False, top_logprobs=0, frequency_penalty=0, logit_bias={}, store=True)

    assert made.keys() == {"model", "messages", "max_tokens"}


# --------------------------------------------------------------------------------- tools


def test_tools_are_described_as_anthropic_does():
    """
    The schema is handed on as it is, in its own order.
    """
    marked = {
        "type": "function",
        "function": {"name": "f", "parameters": SCHEMA},
        "cache_control": {"type": "ephemeral"},
    }
    bare = {"type": "function", "function": {"name": "g"}}
    flat = {"type": "function", "name": "h", "parameters": SCHEMA}
    own = {"type": "web_search_20260318", "name": "web_search"}
    custom = {"name": "mine", "input_schema": {"type": "object"}}

    made = body(tools=[NOW, marked, bare, flat, own, custom])["tools"]

    assert made[0] == {
        "name": "now",
        "description": "Tells the time.",
        "input_schema": NOW["function"]["parameters"],
    }
    assert made[1] == {
        "name": "f",
        "input_schema": SCHEMA,
        "cache_control": {"type": "ephemeral"},
    }
    assert made[1]["input_schema"] is SCHEMA
    assert made[2] == {"name": "g", "input_schema": {"type": "object", "properties": {}}}
    assert made[3] == {"name": "h", "input_schema": SCHEMA}
    assert made[4:] == [own, custom]


@pytest.mark.parametrize(
    ("choice", "made"),
    [
        ("auto", {"type": "auto"}),
        ("none", {"type": "none"}),
        ("required", {"type": "any"}),
        ({"type": "function", "function": {"name": "now"}}, {"type": "tool", "name": "now"}),
        ({"type": "function", "name": "now"}, {"type": "tool", "name": "now"}),
        ({"type": "any"}, {"type": "any"}),
    ],
)
def test_whether_a_tool_must_be_used_is_said(choice, made):
    """
    In OpenAI's words or Anthropic's.
    """
    assert body(tools=[NOW], tool_choice=choice)["tool_choice"] == made


def test_a_single_tool_at_a_time_can_be_demanded():
    """
    It is a part of the choice at Anthropic's.
    """
    made = body(tools=[NOW], parallel_tool_calls=False)

    assert made["tool_choice"] == {"type": "auto", "disable_parallel_tool_use": True}
    assert "tool_choice" not in body(tools=[NOW], parallel_tool_calls=True)
    assert body(tools=[NOW], tool_choice="none", parallel_tool_calls=False)["tool_choice"] == {
        "type": "none"
    }


def test_a_choice_without_tools_is_left_out_where_it_chooses_nothing():
    """
    Anthropic refuses it.
    """
    assert "tool_choice" not in body(tool_choice="auto")
    assert "tools" not in body(tools=[])


# --------------------------------------------------------------------- structured output


def test_a_schema_is_enforced_by_the_apis_own_means():
    """
    Its properties keep their order; what else was said of the output stays.
    """
    made = body(
        response_format={"type": "json_schema", "json_schema": {"name": "x", "schema": SCHEMA}},
        reasoning_effort="low",
    )

    assert made["output_config"] == {
        "effort": "low",
        "format": {"type": "json_schema", "schema": SCHEMA},
    }
    assert list(made["output_config"]["format"]["schema"]["properties"]) == ["zebra", "ant"]
    assert "response_format" not in made


def test_what_only_narrows_a_schema_stands_in_descriptions():
    """
    Anthropic refuses it, as it refuses objects that are not closed; the caller's schema stays.
    """
    schema = {
        "type": "object",
        "properties": {
            "count": {"type": "integer", "minimum": 1, "maximum": 9, "description": "How many"},
            "names": {"type": "array", "items": {"type": "string", "maxLength": 5}, "minItems": 2},
            "either": {"oneOf": [{"type": "null"}, {"$ref": "#/$defs/inner"}]},
            "free": {"type": "object", "additionalProperties": {"type": "integer"}},
        },
        "$defs": {"inner": {"type": "object", "properties": {}}},
    }
    before = copy.deepcopy(schema)
    wanted = {"type": "json_schema", "json_schema": {"schema": schema}}
    made = body(response_format=wanted)["output_config"]["format"]["schema"]

    assert made == {
        "type": "object",
        "properties": {
            "count": {"type": "integer", "description": "How many (minimum: 1, maximum: 9)"},
            "names": {
                "type": "array",
                "items": {"type": "string", "description": "(maxLength: 5)"},
                "description": "(minItems: 2)",
            },
            "either": {"anyOf": [{"type": "null"}, {"$ref": "#/$defs/inner"}]},
            "free": {"type": "object", "additionalProperties": {"type": "integer"}},
        },
        "$defs": {"inner": {"type": "object", "properties": {}, "additionalProperties": False}},
        "additionalProperties": False,
    }
    assert schema == before
    strict = {"type": "function", "function": {"name": "f", "strict": True, "parameters": schema}}
    assert body(tools=[strict])["tools"] == [{"name": "f", "strict": True, "input_schema": made}]


@pytest.mark.parametrize(
    ("model", "is_native"),
    [
        ("claude-haiku-4-5", True),
        ("claude-opus-4-5-20251101", True),
        ("claude-sonnet-4-6", True),
        ("claude-haiku-5-5", True),
        ("us.anthropic.claude-sonnet-4-5-20250929-v1:0", True),
        ("qwen3", True),
        ("claude-sonnet-4-20250514", False),
        ("claude-opus-4-1-20250805", False),
        ("claude-opus-4-0", False),
        ("claude-sonnet-4@20250514", False),
        ("claude-3-7-sonnet-latest", False),
        ("anthropic/claude-3-haiku", False),
        ("claude-instant-1.2", False),
    ],
)
def test_older_models_get_a_schema_as_a_tool(model, is_native):
    """
    They know no schema of the output, but call a tool that they must.
    """
    made = body(model=model, response_format={"type": "json_schema", "schema": SCHEMA})

    assert ("output_config" in made) is is_native
    if not is_native:
        (tool,) = made["tools"]
        assert (tool["name"], tool["input_schema"]) == (ANSWER_TOOL, SCHEMA)
        assert made["tool_choice"] == {"type": "tool", "name": ANSWER_TOOL}


def test_json_without_a_schema_comes_by_a_tool_too():
    """
    The API has no other way to it.
    """
    made = body(response_format={"type": "json_object"})

    assert made["tools"][0]["input_schema"] == {"type": "object"}
    assert "tools" not in body(response_format={"type": "text"})


# ------------------------------------------------------------------- what cannot be asked


@pytest.mark.parametrize(
    "request_",
    [
        {},
        {"temperature": 0},
        {"prompt": None},
        {"messages": []},
        {"messages": "Hi"},
        {"messages": ["Hi"]},
        {"messages": [{"content": "Hi"}]},
        {"messages": [{"role": 7, "content": "Hi"}]},
        {"messages": [{"role": "narrator", "content": "Hi"}]},
        {"messages": [{"role": "user", "content": 7}]},
        {"messages": [{"role": "user", "content": ["Hi"]}]},
        {"messages": [{"role": "user", "content": "Hi", "name": "Bob"}]},
        {"messages": [{"role": "system", "content": "Be brief."}]},
        {"messages": [*HI, {"role": "tool", "content": "1"}]},
        {"messages": [*HI, {"role": "assistant", "tool_calls": [{}]}]},
        {
            "messages": [
                *HI,
                {
                    "role": "assistant",
                    "tool_calls": [{"function": {"name": "f", "arguments": "["}}],
                },
            ]
        },
        {"messages": HI, "prompt": "Hi"},
        {"prompt": ["Hi"]},
        {"prompt": "Hi", "tools": ["now"]},
        {"prompt": "Hi", "tools": [{"type": "function", "function": {}}]},
        {"prompt": "Hi", "tool_choice": "required"},
        {"prompt": "Hi", "tools": [NOW], "tool_choice": "maybe"},
        {"prompt": "Hi", "tools": [NOW], "tool_choice": {"type": "allowed_tools"}},
        {"prompt": "Hi", "tools": [NOW], "tool_choice": {"type": "function"}},
        {"prompt": "Hi", "response_format": {"type": "grammar"}},
        {"prompt": "Hi", "response_format": {"type": "json_schema"}},
        {"prompt": "Hi", "response_format": {"type": "json_object"}, "tools": [NOW]},
        {
            "prompt": "Hi",
            "response_format": {"type": "json_object"},
            "thinking": {"type": "adaptive"},
        },
        {"prompt": "Hi", "temperature": 1.5},
    ],
)
def test_what_asks_nothing_that_can_be_asked_is_an_input_error(request_):
    """
    Before anything is sent, with what is wrong.
    """
    with pytest.raises(errors.InputError, match="Nothing was sent"):
        CLAUDE.body(request_, model="claude-haiku-4-5", params={})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("n", 2),
        ("logprobs", True),
        ("top_logprobs", 3),
        ("seed", 7),
        ("logit_bias", {"50256": -100}),
        ("frequency_penalty", 0.5),
        ("functions", [{"name": "f"}]),
        ("modalities", ["text", "audio"]),
    ],
)
def test_what_anthropic_lacks_is_refused_by_name(name, value):
    """
    A field that was dropped in silence would be missed much later.
    """
    with pytest.raises(errors.InputError, match=f"Anthropic has no {name}"):
        body({"prompt": "Hi", name: value})


@pytest.mark.parametrize(
    "part",
    [
        {"type": "input_audio", "input_audio": {"data": "aGk=", "format": "mp3"}},
        {"type": "file", "file": {"file_id": "file-1"}},
        {"type": "image_url", "image_url": {}},
        {"type": "image_url", "image_url": {"url": "data:image/png,raw"}},
        {"type": "image_url", "image_url": {"url": "data:;base64,aGk="}},
    ],
)
def test_parts_that_cannot_be_carried_over_are_refused(part):
    """
    Sound, files that lie with OpenAI, addresses that hold nothing.
    """
    with pytest.raises(errors.InputError, match=r"messages\[0\]"):
        asked({"role": "user", "content": [part]})


def test_a_long_prompt_is_not_repeated_in_an_error():
    """
    No message shows a whole prompt.
    """
    with pytest.raises(errors.InputError) as caught:
        body({"messages": [{"role": "x" * 100_000, "content": "y" * 100_000}]})

    assert len(str(caught.value)) < 300
