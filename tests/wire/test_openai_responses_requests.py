"""Promises about requests in the Responses API: chat's words go in, items and its own words out."""

from __future__ import annotations

import copy

import pytest

from llmnb import errors
from llmnb.wire.dialect import dialect

RESPONSES = dialect("openai.responses")
HI = {"role": "user", "content": "Hi"}
SCHEMA = {"type": "object", "properties": {"label": {"type": "string"}}}


def body(request, *, model="m", **params):
    return RESPONSES.body(request, model=model, params=params)


def items(*messages):
    return body({"messages": list(messages)})["input"]


# ------------------------------------------------------------------------ what is asked


@pytest.mark.parametrize("request_", [{"prompt": "Hi"}, {"input": "Hi"}, {"messages": [HI]}])
def test_however_it_is_asked_it_is_the_same_request(request_):
    """
    So all three share one entry in the store; nothing is kept by OpenAI.
    """
    assert body(request_) == {"model": "m", "input": [HI], "store": False}


def test_the_request_is_not_changed():
    """
    Neither the lists in it nor the parameters.
    """
    request = {
        "messages": [HI, {"role": "assistant", "content": [{"type": "text", "text": "a"}]}],
        "tools": [{"type": "function", "function": {"name": "now"}}],
        "text": {"verbosity": "low"},
        "include": ["reasoning.encrypted_content"],
        "logprobs": True,
    }
    params = {"response_format": {"type": "json_object"}, "reasoning_effort": "low"}
    before = copy.deepcopy((request, params))

    RESPONSES.body(request, model="m", params=params)

    assert (request, params) == before


def test_own_items_pass_through():
    """
    As the whole input, and between messages.
    """
    item = {"type": "item_reference", "id": "rs_1"}

    assert body({"input": [item, HI]})["input"] == [item, HI]
    assert items(HI, item) == [HI, item]


def test_a_stored_prompt_is_a_field_of_its_own():
    """
    With an input or without one; a text under that name is a question.
    """
    stored = {"id": "pmpt_1", "variables": {"city": "Rome"}}

    assert body({"prompt": stored}) == {"model": "m", "prompt": stored, "store": False}
    assert body({"prompt": stored, "input": "Hi"})["input"] == [HI]
    with pytest.raises(errors.InputError, match="give one of them"):
        body({"prompt": "Hi", "input": "Hi"})


@pytest.mark.parametrize("role", ["system", "developer", "user"])
def test_text_of_any_role_stays_as_it_is(role):
    """
    Instructions keep their place in the conversation.
    """
    message = {"role": role, "content": "Be brief."}

    assert items(message, HI) == [message, HI]


def test_parts_get_their_names_here():
    """
    Texts, images by address or with their bytes, files; own parts stay.
    """
    parts = [
        {"type": "text", "text": "What is this?"},
        {"type": "image_url", "image_url": {"url": "https://host/a.png", "detail": "low"}},
        {"type": "image_url", "image_url": "data:image/png;base64,aGk="},
        {
            "type": "file",
            "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,"},
        },
        {"type": "input_text", "text": "And this?"},
    ]

    assert items({"role": "user", "content": parts})[0]["content"] == [
        {"type": "input_text", "text": "What is this?"},
        {"type": "input_image", "image_url": "https://host/a.png", "detail": "low"},
        {"type": "input_image", "image_url": "data:image/png;base64,aGk=", "detail": "auto"},
        {
            "type": "input_file",
            "filename": "a.pdf",
            "file_data": "data:application/pdf;base64,",
        },
        {"type": "input_text", "text": "And this?"},
    ]


def test_what_a_model_said_becomes_its_items():
    """
    Text, parts, a refusal, calls with their arguments as text; and what the tools answered.
    """
    calls = [
        {"id": "call_1", "type": "function", "function": {"name": "now", "arguments": '{"a": 1}'}},
        {"id": "call_2", "type": "function", "function": {"name": "now", "arguments": {"b": 2}}},
    ]
    said = items(
        {"role": "assistant", "content": "Wait.", "tool_calls": calls, "reasoning_content": "Hm."},
        {"role": "tool", "tool_call_id": "call_1", "content": "noon"},
        {"role": "tool", "tool_call_id": "call_2", "content": [{"type": "text", "text": "one"}]},
        {
            "role": "assistant",
            "content": [{"type": "text", "text": "Noon."}],
            "phase": "commentary",
        },
        {"role": "assistant", "content": None, "refusal": "No."},
    )

    assert said == [
        {"role": "assistant", "content": "Wait."},
        {"type": "function_call", "call_id": "call_1", "name": "now", "arguments": '{"a": 1}'},
        {"type": "function_call", "call_id": "call_2", "name": "now", "arguments": '{"b":2}'},
        {"type": "function_call_output", "call_id": "call_1", "output": "noon"},
        {
            "type": "function_call_output",
            "call_id": "call_2",
            "output": [{"type": "input_text", "text": "one"}],
        },
        {
            "role": "assistant",
            "phase": "commentary",
            "content": [{"type": "output_text", "text": "Noon.", "annotations": []}],
        },
        {"role": "assistant", "content": [{"type": "refusal", "refusal": "No."}]},
    ]


@pytest.mark.parametrize(
    "request_",
    [
        {},
        {"prompt": None},
        {"prompt": 7},
        {"input": []},
        {"input": {"role": "user"}},
        {"messages": []},
        {"messages": "Hi"},
        {"messages": ["Hi"]},
        {"messages": [{"content": "Hi"}]},
        {"messages": [{"role": "user", "content": 7}]},
        {"messages": [{"role": "user", "content": "Hi", "name": "Ann"}]},
        {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}]},
        {"messages": [{"role": "user", "content": [{"type": "file", "file": "a.pdf"}]}]},
        {"messages": [{"role": "tool", "content": "noon"}]},
        {"messages": [{"role": "function", "name": "now", "content": "noon"}]},
        {"messages": [{"role": "assistant", "tool_calls": [{"id": "call_1"}]}]},
        {"messages": [HI], "prompt": "Hi"},
    ],
)
def test_what_asks_nothing_is_an_input_error(request_):
    """
    And so is what the API would refuse anyway, before it is sent.
    """
    with pytest.raises(errors.InputError, match="Nothing was sent"):
        body(request_)


# ------------------------------------------------------------------------- how it is asked


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens", "max_output_tokens"])
def test_a_length_has_a_single_name_here(name):
    """
    Whichever the caller knows.
    """
    made = body({"prompt": "Hi", name: 50})

    assert made == {"model": "m", "input": [HI], "max_output_tokens": 50, "store": False}


def test_own_spelling_wins_over_what_is_translated():
    """
    Length, effort and format alike.
    """
    made = body(
        {
            "prompt": "Hi",
            "max_output_tokens": 100,
            "max_tokens": 50,
            "reasoning": {"effort": "high", "summary": "auto"},
            "reasoning_effort": "low",
            "verbosity": "low",
            "text": {"verbosity": "high"},
            "store": True,
        }
    )

    assert made["max_output_tokens"] == 100
    assert made["reasoning"] == {"effort": "high", "summary": "auto"}
    assert made["text"] == {"verbosity": "high"}
    assert made["store"] is True


def test_effort_and_verbosity_move_a_level_down():
    """
    To where this API has them.
    """
    made = body({"prompt": "Hi", "reasoning_effort": "low", "verbosity": "low"})

    assert made["reasoning"] == {"effort": "low"}
    assert made["text"] == {"verbosity": "low"}
    assert not {"reasoning_effort", "verbosity"} & made.keys()


def test_structured_output_is_asked_for_in_text_format():
    """
    A schema with its name and strictness, any JSON object, or text, which is what comes anyway.
    """
    wanted = {"name": "labels", "strict": True, "schema": SCHEMA}
    made = body({"prompt": "Hi", "response_format": {"type": "json_schema", "json_schema": wanted}})

    assert made["text"] == {"format": {"type": "json_schema", **wanted}}
    assert "response_format" not in made
    made = body({"prompt": "Hi", "response_format": {"type": "json_object"}})
    assert made["text"] == {"format": {"type": "json_object"}}
    assert "text" not in body({"prompt": "Hi", "response_format": {"type": "text"}})


def test_a_schema_without_a_name_is_named():
    """
    The API demands it.
    """
    wanted = {"type": "json_schema", "json_schema": {"schema": SCHEMA}}

    assert body({"prompt": "Hi", "response_format": wanted})["text"]["format"]["name"] == "answer"


def test_tools_lose_a_level_and_functions_declare_themselves_not_strict():
    """
    In chat a function is strict where it says so, here unless it says otherwise.
    """
    chat = {"name": "now", "description": "The time.", "parameters": SCHEMA}
    own = {"type": "function", "name": "then", "parameters": SCHEMA}
    search = {"type": "web_search"}
    made = body(
        {
            "prompt": "Hi",
            "tools": [
                {"type": "function", "function": chat},
                {"type": "function", "function": {"name": "f", "strict": True}},
                {"type": "custom", "custom": {"name": "code"}},
                own,
                search,
            ],
        }
    )

    assert made["tools"] == [
        {"type": "function", "strict": False, **chat},
        {
            "type": "function",
            "name": "f",
            "strict": True,
            "parameters": {"type": "object", "properties": {}},
        },
        {"type": "custom", "name": "code"},
        own,
        search,
    ]


@pytest.mark.parametrize(
    ("chat", "here"),
    [
        ("required", "required"),
        (
            {"type": "function", "function": {"name": "now"}},
            {"type": "function", "name": "now"},
        ),
        ({"type": "function", "name": "now"}, {"type": "function", "name": "now"}),
        ({"type": "custom", "custom": {"name": "c"}}, {"type": "custom", "name": "c"}),
        (
            {
                "type": "allowed_tools",
                "allowed_tools": {
                    "mode": "auto",
                    "tools": [{"type": "function", "function": {"name": "now"}}],
                },
            },
            {
                "type": "allowed_tools",
                "mode": "auto",
                "tools": [{"type": "function", "name": "now"}],
            },
        ),
        ({"type": "web_search"}, {"type": "web_search"}),
    ],
)
def test_a_choice_of_tools_loses_a_level(chat, here):
    """
    As the tools do.
    """
    assert body({"prompt": "Hi", "tool_choice": chat})["tool_choice"] == here


def test_log_probabilities_are_asked_for_by_an_include():
    """
    Beside what else is to be included; and by nothing where they are not wanted.
    """
    name = "message.output_text.logprobs"
    made = body({"prompt": "Hi", "logprobs": True, "top_logprobs": 3, "include": ["x"]})

    assert (made["include"], made["top_logprobs"]) == (["x", name], 3)
    assert "logprobs" not in made
    assert body({"prompt": "Hi", "top_logprobs": 3, "include": [name]})["include"] == [name]
    made = body({"prompt": "Hi", "logprobs": False, "top_logprobs": 0})
    assert not {"include", "top_logprobs", "logprobs"} & made.keys()


def test_own_fields_pass_through():
    """
    Today's and tomorrow's.
    """
    own = {"previous_response_id": "resp_1", "truncation": "auto", "top_k": 5, "temperature": 0}

    assert body({"prompt": "Hi", **own}).items() >= own.items()


@pytest.mark.parametrize(
    "field",
    [
        {"n": 2},
        {"stop": ["."]},
        {"stop_tokens": ["."]},
        {"seed": 7},
        {"frequency_penalty": 0.5},
        {"logit_bias": {"1": 2}},
        {"functions": [{"name": "now"}]},
        {"background": True},
        {"web_search_options": {"search_context_size": "low"}},
        {"response_format": {"type": "grammar"}},
        {"tools": ["now"]},
        {"tools": [{"type": "function", "function": {}}]},
        {"tool_choice": {"type": "function"}},
        {"text": "json", "verbosity": "low"},
    ],
)
def test_what_this_api_lacks_is_refused_with_a_sentence(field):
    """
    Dropping it in silence would answer another question.
    """
    with pytest.raises(errors.InputError, match="Nothing was sent"):
        body({"prompt": "Hi", **field})


@pytest.mark.parametrize(
    "field",
    [{"n": 1}, {"stop": []}, {"seed": None}, {"presence_penalty": 0}, {"background": False}],
)
def test_what_asks_for_nothing_special_is_left_out(field):
    """
    Chat's defaults may be said aloud.
    """
    assert body({"prompt": "Hi", **field}) == body({"prompt": "Hi"})


def test_whether_it_is_streamed_is_decided_elsewhere():
    """
    There are no options for it: the usage always comes.
    """
    made = body({"prompt": "Hi", "stream": True, "stream_options": {"include_usage": True}})

    assert made == body({"prompt": "Hi"})
    assert RESPONSES.stream_body(made) == {**made, "stream": True}
    assert "stream" not in made


def test_a_custom_tools_call_and_result_have_kinds_of_their_own():
    """
    In chat's words they are a call with text and a tool's message, as any other.
    """
    custom = {"id": "c1", "type": "custom", "custom": {"name": "sql", "input": "SELECT 1"}}
    plain = {"id": "c2", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    messages = [
        {"role": "assistant", "content": None, "tool_calls": [custom, plain]},
        {"role": "tool", "tool_call_id": "c1", "content": "1"},
        {"role": "tool", "tool_call_id": "c2", "content": "2"},
    ]

    assert body({"messages": messages})["input"] == [
        {"type": "custom_tool_call", "call_id": "c1", "name": "sql", "input": "SELECT 1"},
        {"type": "function_call", "call_id": "c2", "name": "f", "arguments": "{}"},
        {"type": "custom_tool_call_output", "call_id": "c1", "output": "1"},
        {"type": "function_call_output", "call_id": "c2", "output": "2"},
    ]
