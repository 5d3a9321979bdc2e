"""Promises about Gemini: asked in OpenAI's words faithfully, read without trust."""

from __future__ import annotations

import copy

import orjson
import pytest

from llmnb import errors
from llmnb.decide.quality import chosen_length
from llmnb.wire.catalog import endpoint, provider, stream_url
from llmnb.wire.dialect import dialect

GEMINI = dialect("gemini.generate")
HI = [{"role": "user", "content": "Hi"}]
PNG = "iVBORw0KGgo="
SCHEMA = {
    "type": "object",
    "properties": {"zebra": {"type": "string"}, "ant": {"type": "integer"}},
    "required": ["zebra", "ant"],
}
NOW = {
    "type": "function",
    "function": {
        "name": "now",
        "description": "Tells the time.",
        "parameters": {"type": "object", "properties": {"zone": {"type": "string"}}},
    },
}


def body(request=None, *, model="gemini-2.5-flash", **params):
    return GEMINI.body(request or {"messages": HI}, model=model, params=params)


def asked(*messages, **params):
    return body({"messages": list(messages)}, **params)["contents"]


def configured(**params):
    return body(**params).get("generationConfig")


def turn(role, *parts):
    return {
        "role": role,
        "parts": [{"text": case} if isinstance(case, str) else case for case in parts],
    }


# -------------------------------------------------------------------------- conversation


def test_a_conversation_goes_in():
    """
    The assistant is called model there; which model is asked stands in the address.
    """
    made = body(
        {"messages": [*HI, {"role": "assistant", "content": "Hello."}, *HI], "model": "other"}
    )

    assert made == {"contents": [turn("user", "Hi"), turn("model", "Hello."), turn("user", "Hi")]}


@pytest.mark.parametrize("name", ["prompt", "input"])
def test_a_prompt_becomes_a_user_turn(name):
    """
    Under both names that callers know.
    """
    assert body({name: "Hi"}) == {"contents": [turn("user", "Hi")]}


def test_nothing_of_the_request_is_changed():
    """
    Whatever is translated.
    """
    request = {
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "a"},
            {"role": "user", "content": "b", "parts": [{"text": "c"}]},
        ],
        "tools": [NOW],
        "tool_choice": "required",
        "response_format": {"type": "json_schema", "json_schema": {"schema": SCHEMA}},
        "generationConfig": {"topK": 3},
        "systemInstruction": {"parts": [{"text": "0."}]},
    }
    before = copy.deepcopy(request)

    body(request, stop_tokens=["!"], seed=1)

    assert request == before


def test_system_messages_become_the_system_instruction():
    """
    Behind one in Gemini's own spelling, in their order.
    """
    made = body(
        {
            "messages": [
                {"role": "system", "content": "A."},
                *HI,
                {"role": "developer", "content": "B."},
            ],
            "systemInstruction": {"parts": [{"text": "0."}]},
        }
    )

    assert made["systemInstruction"] == {"parts": [{"text": case} for case in ("0.", "A.", "B.")]}
    assert made["contents"] == [turn("user", "Hi")]
    assert body({"prompt": "Hi", "system_instruction": "0."})["systemInstruction"] == {
        "parts": [{"text": "0."}]
    }


def test_messages_of_a_side_are_joined_to_a_turn():
    """
    Gemini wants user and model by turns.
    """
    made = asked({"role": "user", "content": "a"}, {"role": "user", "content": "b"})

    assert made == [turn("user", "a", "b")]


def test_media_go_in_by_value_or_by_address():
    """
    Images, sound and documents, each with its type where it is known.
    """
    parts = [
        {"type": "text", "text": "What is it?"},
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}},
        {"type": "image_url", "image_url": {"url": "https://host/a.JPG?x=1"}},
        {"type": "image_url", "image_url": "https://host/b"},
        {"type": "input_audio", "input_audio": {"data": "aGk=", "format": "mp3"}},
        {"type": "file", "file": {"file_data": "data:application/pdf;base64,JVBE"}},
    ]
    (made,) = asked({"role": "user", "content": parts})

    assert made["parts"] == [
        {"text": "What is it?"},
        {"inlineData": {"mimeType": "image/png", "data": PNG}},
        {"fileData": {"mimeType": "image/jpeg", "fileUri": "https://host/a.JPG?x=1"}},
        {"fileData": {"fileUri": "https://host/b"}},
        {"inlineData": {"mimeType": "audio/mpeg", "data": "aGk="}},
        {"inlineData": {"mimeType": "application/pdf", "data": "JVBE"}},
    ]


def test_what_is_in_geminis_own_form_stays_as_it_is():
    """
    Parts among OpenAI's, whole turns, and whole conversations, so a reply can be handed back.
    """
    part = {"functionCall": {"name": "now", "args": {}}, "thoughtSignature": "c2ln"}
    contents = [turn("user", "Hi"), turn("model", part)]

    assert body({"contents": contents, "topK": 3}) == {
        "contents": contents,
        "generationConfig": {"topK": 3},
    }
    assert asked(*HI, {"role": "model", "parts": [part]}) == contents
    assert asked({"role": "user", "content": [{"text": "x"}]}) == [turn("user", "x")]


def test_tool_calls_and_their_results_go_both_ways():
    """
    A result bears the name of the function that was called, which OpenAI's words leave out.
    """
    made = asked(
        *HI,
        {
            "role": "assistant",
            "content": "",
            "tool_calls": [
                {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}},
                {"id": "", "type": "function", "function": {"name": "g", "arguments": {}}},
            ],
        },
        {"role": "tool", "tool_call_id": "c1", "content": "one"},
        {"role": "tool", "name": "g", "content": [{"type": "text", "text": "two"}]},
    )

    assert made[1] == turn(
        "model",
        {"functionCall": {"name": "f", "args": {"a": 1}, "id": "c1"}},
        {"functionCall": {"name": "g", "args": {}}},
    )
    assert made[2] == turn(
        "user",
        {"functionResponse": {"name": "f", "response": {"result": "one"}, "id": "c1"}},
        {"functionResponse": {"name": "g", "response": {"result": "two"}}},
    )


def test_calls_that_gemini_3_did_not_sign_are_marked_so():
    """
    It refuses a call without a signature; one that is there is kept.
    """
    calls = [{"id": case, "function": {"name": "f", "arguments": "{}"}} for case in "ab"]
    signed = {**calls[0], "extra_content": {"google": {"thought_signature": "c2ln"}}}

    def signatures(first, model):
        message = {"role": "assistant", "content": None, "tool_calls": [first, calls[1]]}
        outcome = asked(*HI, message, model=model)[1]["parts"]
        return [part.get("thoughtSignature") for part in outcome]

    assert signatures(calls[0], "gemini-2.5-flash") == [None, None]
    assert signatures(calls[0], "gemini-3-pro") == ["skip_thought_signature_validator", None]
    assert signatures(signed, "gemini-3.5-flash-lite") == ["c2ln", None]
    assert signatures(signed, "gemini-2.5-flash") == ["c2ln", None]


# ------------------------------------------------------------------------------ settings


def test_settings_have_geminis_names():
    """
    Those of OpenAI and those of `LLMParams`.
    """
    assert configured(
        max_tokens=50,
        temperature=0,
        top_p=0.5,
        top_k=3,
        seed=7,
        n=2,
        stop_tokens=["."],
        presence_penalty=0.1,
        frequency_penalty=0.2,
    ) == {
        "maxOutputTokens": 50,
        "temperature": 0,
        "topP": 0.5,
        "topK": 3,
        "seed": 7,
        "candidateCount": 2,
        "stopSequences": ["."],
        "presencePenalty": 0.1,
        "frequencyPenalty": 0.2,
    }
    assert configured(stop="END") == {"stopSequences": ["END"]}
    assert configured(n=1) is None


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens", "max_output_tokens"])
def test_a_length_has_a_single_name_and_is_known_as_chosen(name):
    """
    Whoever chose it, in whichever spelling; where nobody did, none is sent.
    """
    made = body({"prompt": "Hi", name: 50})

    assert made["generationConfig"] == {"maxOutputTokens": 50}
    assert chosen_length(made) is not None
    assert chosen_length(body(generationConfig={"max_output_tokens": 5})) is not None
    assert chosen_length(body(temperature=0)) is None


def test_settings_in_geminis_own_spelling_go_where_they_belong_and_win():
    """
    Given beside the prompt or in a `generationConfig`.
    """
    assert configured(
        top_k=9, thinkingConfig={"thinkingBudget": 0}, generationConfig={"topK": 3, "new": 1}
    ) == {"topK": 3, "thinkingConfig": {"thinkingBudget": 0}, "new": 1}


def test_other_fields_of_its_own_pass_through():
    """
    And tomorrow's, which nobody knows yet.
    """
    own = {
        "safetySettings": [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "OFF"}],
        "cachedContent": "cachedContents/1",
        "toolConfig": {"retrievalConfig": {}},
        "tomorrow": [1],
    }

    assert own.items() <= body(**own).items()


@pytest.mark.parametrize(
    ("params", "made"),
    [
        ({"logprobs": True}, {"responseLogprobs": True}),
        ({"logprobs": True, "top_logprobs": 3}, {"responseLogprobs": True, "logprobs": 3}),
        ({"logprobs": 5}, {"responseLogprobs": True, "logprobs": 5}),
        ({"logprobs": False, "top_logprobs": 3}, None),
    ],
)
def test_log_probabilities_are_asked_for(params, made):
    """
    In chat's words and in those of text completions.
    """
    assert configured(**params) == made


@pytest.mark.parametrize(
    ("model", "effort", "made"),
    [
        ("gemini-2.5-flash", "none", {"thinkingBudget": 0}),
        ("gemini-2.5-flash", "medium", {"thinkingBudget": 8192}),
        ("gemini-3.5-flash-lite", "minimal", {"thinkingLevel": "minimal"}),
        ("models/gemini-3-pro", "high", {"thinkingLevel": "high"}),
    ],
)
def test_reasoning_effort_is_translated_for_gemini(model, effort, made):
    """
    Tokens for the older models, a level for the newer.
    """
    assert configured(model=model, reasoning_effort=effort) == {"thinkingConfig": made}


def test_what_says_nothing_is_left_out():
    """
    Gemini knows nothing of its callers' users, and they change no answer.
    """
    assert body(user="u", store=True, logit_bias={}, echo=False).keys() == {"contents"}


def test_a_stream_is_the_same_body_at_another_address():
    """
    With the events of a stream instead of one long list.
    """
    made = body(temperature=0)
    address = endpoint(provider("gemini"), "https://host/v1beta", "chat", "gemini-x")

    assert GEMINI.stream_body(made) == made
    assert GEMINI.stream_body(made) is not made
    assert "stream" not in body({"prompt": "Hi", "stream": True, "stream_options": {}})
    assert (
        stream_url(address) == "https://host/v1beta/models/gemini-x:streamGenerateContent?alt=sse"
    )


@pytest.mark.parametrize(
    ("base", "model", "address"),
    [
        ("https://host/v1beta", "gemini-x", "https://host/v1beta/models/gemini-x:generateContent"),
        ("https://host/v1beta/", "models/a", "https://host/v1beta/models/a:generateContent"),
        ("https://host/v1beta/models", "a", "https://host/v1beta/models/a:generateContent"),
        ("https://host/v1beta?k=1", "a", "https://host/v1beta/models/a:generateContent?k=1"),
        (
            "https://host/v1beta",
            "a/../b?c",
            "https://host/v1beta/models/a%2F..%2Fb%3Fc:generateContent",
        ),
        ("https://host/x/models/b:generateContent", "a", "https://host/x/models/b:generateContent"),
        (
            "https://host/x/models/b:streamGenerateContent?alt=sse&k=1",
            "a",
            "https://host/x/models/b:generateContent?k=1",
        ),
    ],
)
def test_the_model_stands_in_the_address(base, model, address):
    """
    Whichever a provider's page shows can be pasted; a name never leaves its place in the path.
    """
    assert endpoint(provider("gemini"), base, "chat", model) == address


# --------------------------------------------------------------------------------- tools


def test_tools_are_described_as_gemini_does():
    """
    All functions in one list, their schemas as they are; its own tools stand beside it.
    """
    bare = {"type": "function", "function": {"name": "g"}}
    own = {"googleSearch": {}}
    made = body(tools=[own, NOW, bare])["tools"]

    assert made == [
        {
            "functionDeclarations": [
                {
                    "name": "now",
                    "description": "Tells the time.",
                    "parametersJsonSchema": NOW["function"]["parameters"],
                },
                {"name": "g"},
            ]
        },
        own,
    ]


@pytest.mark.parametrize(
    ("choice", "made"),
    [
        ("auto", {"mode": "AUTO"}),
        ("none", {"mode": "NONE"}),
        ("required", {"mode": "ANY"}),
        (
            {"type": "function", "function": {"name": "now"}},
            {"mode": "ANY", "allowedFunctionNames": ["now"]},
        ),
    ],
)
def test_whether_a_tool_must_be_used_is_said(choice, made):
    """
    One that must is the only one allowed.
    """
    outcome = body(tools=[NOW], tool_choice=choice)

    assert outcome["toolConfig"] == {"functionCallingConfig": made}
    assert "toolConfig" not in body(tool_choice="auto")


def test_a_schema_is_enforced():
    """
    Its properties keep their order; without a schema any JSON will do.
    """
    made = configured(response_format={"type": "json_schema", "json_schema": {"schema": SCHEMA}})

    assert made == {"responseMimeType": "application/json", "responseJsonSchema": SCHEMA}
    assert list(made["responseJsonSchema"]["properties"]) == ["zebra", "ant"]
    assert configured(response_format={"type": "json_object"}) == {
        "responseMimeType": "application/json"
    }
    assert configured(response_format={"type": "text"}) is None


# ------------------------------------------------------------------- what cannot be asked


@pytest.mark.parametrize(
    "request_",
    [
        {},
        {"temperature": 0},
        {"prompt": None},
        {"messages": []},
        {"messages": ["Hi"]},
        {"messages": [{"content": "Hi"}]},
        {"messages": [{"role": "narrator", "content": "Hi"}]},
        {"messages": [{"role": "user", "content": 7}]},
        {"messages": [{"role": "user", "content": "Hi", "name": "Bob"}]},
        {"messages": [{"role": "user", "content": [{"type": "hologram"}]}]},
        {"messages": [{"role": "system", "content": "Be brief."}]},
        {"messages": [*HI, {"role": "tool", "tool_call_id": "c9", "content": "1"}]},
        {"messages": HI, "contents": []},
        {"contents": [], "prompt": "Hi"},
        {"prompt": ["Hi"]},
        {"prompt": "Hi", "tools": ["now"]},
        {"prompt": "Hi", "tools": [NOW], "parallel_tool_calls": False},
        {"prompt": "Hi", "tool_choice": "required"},
        {"prompt": "Hi", "tools": [NOW], "tool_choice": {"type": "allowed_tools"}},
        {"prompt": "Hi", "response_format": {"type": "grammar"}},
        {"prompt": "Hi", "reasoning_effort": "extreme"},
    ],
)
def test_what_asks_nothing_that_can_be_asked_is_an_input_error(request_):
    """
    Before anything is sent, with what is wrong.
    """
    with pytest.raises(errors.InputError, match="Nothing was sent"):
        GEMINI.body(request_, model="gemini-2.5-flash", params={})


@pytest.mark.parametrize("name", ["logit_bias", "best_of", "echo", "suffix", "functions"])
def test_what_gemini_lacks_is_refused_by_name(name):
    """
    A field that was dropped in silence would be missed much later.
    """
    with pytest.raises(errors.InputError, match=f"Gemini has no {name}"):
        body({"prompt": "Hi", name: 3})


def test_thinking_cannot_be_forbidden_to_the_newer_models():
    """
    The message names what there is.
    """
    with pytest.raises(errors.InputError, match="minimal, low, medium, high"):
        body(model="gemini-3-pro", reasoning_effort="none")


# -------------------------------------------------------------------------------- replies


def candidate(*parts, reason="STOP", **fields):
    return {"content": turn("model", *parts), "finishReason": reason, "index": 0, **fields}


USAGE = {"promptTokenCount": 9, "candidatesTokenCount": 2, "totalTokenCount": 11}


def reply(*candidates, **fields):
    return orjson.dumps(
        {
            "candidates": list(candidates) or [candidate("Hello")],
            "usageMetadata": USAGE,
            "modelVersion": "gemini-2.5-flash",
            "responseId": "r-1",
            **fields,
        }
    )


def test_a_reply_is_read_whole():
    """
    Text, reason, model, id, tokens.
    """
    raw = reply()
    outcome = GEMINI.parse(raw)

    assert outcome.text == "Hello"
    assert (outcome.finish_reason, outcome.quality) == ("STOP", "good")
    assert (outcome.model, outcome.response_id) == ("gemini-2.5-flash", "r-1")
    assert (outcome.usage.prompt, outcome.usage.completion) == (9, 2)
    assert (outcome.texts, outcome.tool_calls, outcome.reasoning, outcome.logprobs) == (
        (),
        (),
        None,
        None,
    )
    assert outcome.raw == raw
    assert outcome.body == orjson.loads(raw)


def test_thoughts_are_reasoning_and_not_the_answer():
    """
    They are parts like others, with a mark.
    """
    thought = {"text": "2 + 2", "thought": True}
    outcome = GEMINI.parse(
        reply(candidate(thought, "It is ", {"text": "4.", "thoughtSignature": "c2ln"}))
    )

    assert (outcome.text, outcome.reasoning) == ("It is 4.", "2 + 2")


def test_tool_calls_are_read():
    """
    Their arguments as text; a call without an id gets one, so that its result can be matched.
    """
    outcome = GEMINI.parse(
        reply(
            candidate(
                {"functionCall": {"name": "f", "args": {"z": 1, "a": "ü"}}},
                {"functionCall": {"name": "g", "id": "own"}},
                {"functionCall": {}},
                {"executableCode": {"code": "1"}},
            )
        )
    )

    assert [(case.id, case.name, case.arguments) for case in outcome.tool_calls] == [
        ("call_0", "f", '{"z":1,"a":"ü"}'),
        ("own", "g", "{}"),
    ]
    assert (outcome.text, outcome.quality) == ("", "good")


@pytest.mark.parametrize(
    ("reason", "quality"),
    [
        ("STOP", "good"),
        ("FINISH_REASON_UNSPECIFIED", "good"),
        ("SOMETHING_NEW", "unknown"),
        (None, "good"),
        (7, "unknown"),
        ("MAX_TOKENS", "truncated"),
        ("SAFETY", "filtered"),
        ("RECITATION", "filtered"),
        ("PROHIBITED_CONTENT", "filtered"),
        ("BLOCKLIST", "filtered"),
        ("SPII", "filtered"),
        ("LANGUAGE", "filtered"),
        ("OTHER", "filtered"),
        ("IMAGE_SAFETY", "filtered"),
    ],
)
def test_what_an_answer_is_worth_is_judged(reason, quality):
    """
    Cut off and withheld ones are told from good ones.
    """
    assert GEMINI.parse(reply(candidate("Once upon", reason=reason))).quality == quality


@pytest.mark.parametrize("reason", ["SAFETY", "MAX_TOKENS"])
def test_an_answer_that_was_withheld_may_have_no_content(reason):
    """
    Thoughts can use up all the tokens there are, and a filter takes everything away.
    """
    outcome = GEMINI.parse(reply({"finishReason": reason, "index": 0}))

    assert (outcome.text, outcome.finish_reason) == ("", reason)
    assert outcome.quality in {"filtered", "truncated"}


def test_a_prompt_that_was_blocked_is_a_filtered_answer():
    """
    There are no candidates then, and a reason.
    """
    raw = orjson.dumps(
        {
            "promptFeedback": {"blockReason": "PROHIBITED_CONTENT", "blockReasonMessage": "No."},
            "usageMetadata": {"promptTokenCount": 9},
            "modelVersion": "gemini-2.5-flash",
        }
    )
    outcome = GEMINI.parse(raw)

    assert (outcome.quality, outcome.finish_reason) == ("filtered", "PROHIBITED_CONTENT")
    assert (outcome.text, outcome.usage.prompt, outcome.model) == ("No.", 9, "gemini-2.5-flash")


def test_several_answers_come_in_their_own_order_and_the_worst_judges():
    """
    Whatever the order in which they were written.
    """
    outcome = GEMINI.parse(
        reply(candidate("b", reason="MAX_TOKENS", index=1), candidate("a", index=0))
    )

    assert outcome.texts == ("a", "b")
    assert (outcome.text, outcome.quality, outcome.finish_reason) == (
        "a",
        "truncated",
        "MAX_TOKENS",
    )


def test_log_probabilities_keep_their_shape():
    """
    They are the provider's.
    """
    result = {"chosenCandidates": [{"token": "Hi", "logProbability": -0.1}], "topCandidates": []}

    assert GEMINI.parse(reply(candidate("Hi", logprobsResult=result))).logprobs == result


def test_tokens_are_read_in_detail():
    """
    Thoughts are counted apart there, and are a part of the answer here.
    """
    outcome = GEMINI.parse(
        reply(
            usageMetadata={
                "promptTokenCount": 100,
                "toolUsePromptTokenCount": 7,
                "cachedContentTokenCount": 80,
                "candidatesTokenCount": 20,
                "thoughtsTokenCount": 30,
                "totalTokenCount": 157,
            }
        )
    ).usage

    assert (outcome.prompt, outcome.completion, outcome.total) == (107, 50, 157)
    assert (outcome.cache_read, outcome.cache_write, outcome.reasoning) == (80, 0, 30)


@pytest.mark.parametrize(
    "usage",
    [
        None,
        {},
        [],
        "many",
        {"promptTokenCount": "9"},
        {"promptTokenCount": -1},
        {"totalTokenCount": 9},
    ],
)
def test_a_usage_that_says_nothing_is_unknown_not_zero(usage):
    """
    Unknown costs are shown as unknown.
    """
    assert GEMINI.parse(reply(usageMetadata=usage)).usage is None


def test_the_least_that_can_be_an_answer_counts_as_such():
    """
    No id, no usage, no reason, no model; a turn without parts is an empty answer.
    """
    outcome = GEMINI.parse(b'{"candidates":[{"content":{"parts":[{"text":"Hi"}]}}]}')

    assert (outcome.text, outcome.quality, outcome.usage, outcome.model) == (
        "Hi",
        "good",
        None,
        None,
    )
    assert GEMINI.parse(reply({"content": {"role": "model"}, "finishReason": "STOP"})).text == ""


@pytest.mark.parametrize(
    ("code", "status", "error"),
    [
        (429, "RESOURCE_EXHAUSTED", errors.RateLimited),
        (503, "UNAVAILABLE", errors.ProviderError),
        (500, "INTERNAL", errors.ProviderError),
        (504, "DEADLINE_EXCEEDED", errors.MaybeBilled),
        (400, "INVALID_ARGUMENT", errors.RequestRejected),
        (403, "PERMISSION_DENIED", errors.AuthenticationError),
        (None, "SOMETHING_NEW", errors.BadReply),
    ],
)
def test_an_error_in_a_good_status_is_an_error(code, status, error):
    """
    Gateways answer 200 before they know.
    """
    raw = orjson.dumps({"error": {"code": code, "status": status, "message": "No."}})

    with pytest.raises(errors.LLMNBError) as caught:
        GEMINI.parse(raw)

    assert type(caught.value) is error
