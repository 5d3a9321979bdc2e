"""OpenAI's own SDK as a judge: it must take the simulated provider for the real one."""

from __future__ import annotations

import openai
import pytest

from llmnb.testing import faults


@pytest.fixture
def sdk(simulated):
    """Opens OpenAI's client, its own retries off, on a provider with these options."""
    opened = []

    def sdk(**options):
        sim = simulated(**options).start()
        client = openai.OpenAI(
            base_url=sim.base_url, api_key="simulated", max_retries=0, timeout=30.0
        )
        opened.append((client, sim))
        return client

    yield sdk
    for client, sim in opened:
        client.close()
        sim.stop()


CHAT = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Hi"}]}


def test_it_reads_a_chat(sdk):
    """
    Every field that the SDK's own types promise is there.
    """
    reply = sdk(reply="Hello you").chat.completions.create(**CHAT, n=2, logprobs=True)

    assert [choice.message.content for choice in reply.choices] == ["Hello you"] * 2
    assert reply.choices[0].finish_reason == "stop"
    assert reply.choices[0].logprobs.content[0].token == "Hell"
    assert reply.usage.total_tokens == reply.usage.prompt_tokens + reply.usage.completion_tokens
    assert type(reply).model_validate(reply.model_dump(), strict=True) == reply
    assert reply._request_id.startswith("req_")


def test_it_reads_a_stream(sdk):
    """
    Pieces, finish reason, usage, and the end of it.
    """
    chunks = list(
        sdk(reply="Hello you", tokens_per_second=1e6).chat.completions.create(
            **CHAT, stream=True, stream_options={"include_usage": True}
        )
    )

    texts = [chunk.choices[0].delta.content for chunk in chunks if chunk.choices]
    assert "".join(piece or "" for piece in texts) == "Hello you"
    assert chunks[-2].choices[0].finish_reason == "stop"
    assert chunks[-1].usage.completion_tokens == 3
    for chunk in chunks:
        type(chunk).model_validate(chunk.model_dump(), strict=True)


def test_it_reads_text_completions(sdk):
    """
    Whole and streamed.
    """
    client = sdk(reply="Hello you")
    reply = client.completions.create(model="m", prompt=["a", "b"], logprobs=1)
    stream = list(client.completions.create(model="m", prompt="a", stream=True))

    assert [choice.text for choice in reply.choices] == ["Hello you"] * 2
    assert type(reply).model_validate(reply.model_dump(), strict=True) == reply
    assert "".join(chunk.choices[0].text for chunk in stream) == "Hello you"


def test_it_reads_tool_calls(sdk):
    """
    A reply that calls a tool is read as such, streamed or not.
    """
    call = {"id": "c1", "type": "function", "function": {"name": "look", "arguments": '{"x":1}'}}
    client = sdk(reply=lambda prompt: {"tool_calls": [call]})
    whole = client.chat.completions.create(**CHAT).choices[0]
    chunks = list(client.chat.completions.create(**CHAT, stream=True))
    deltas = [chunk.choices[0].delta.tool_calls for chunk in chunks]

    assert whole.finish_reason == "tool_calls"
    assert whole.message.tool_calls[0].function.arguments == '{"x":1}'
    assert [item[0].function.name for item in deltas if item] == ["look"]


def test_it_lists_models(sdk):
    """
    All of them, and one by its name.
    """
    client = sdk(models=["a", "b"])

    assert [model.id for model in client.models.list()] == ["a", "b"]
    assert client.models.retrieve("b").id == "b"
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("c")


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (400, openai.BadRequestError),
        (401, openai.AuthenticationError),
        (403, openai.PermissionDeniedError),
        (404, openai.NotFoundError),
        (409, openai.ConflictError),
        (422, openai.UnprocessableEntityError),
        (429, openai.RateLimitError),
        ("quota", openai.RateLimitError),
        ("context_overflow", openai.BadRequestError),
        (500, openai.InternalServerError),
        (502, openai.InternalServerError),
        (503, openai.InternalServerError),
        (504, openai.InternalServerError),
        (529, openai.InternalServerError),
        (408, openai.APIStatusError),
        ("reset", openai.APIConnectionError),
        ("closed", openai.APIConnectionError),
    ],
)
def test_errors_become_the_sdk_s_own(sdk, fault, error):
    """
    Each fault is the exception that the real provider's would be, body included.
    """
    client = sdk(faults=[fault])

    with pytest.raises(error) as caught:
        client.chat.completions.create(**CHAT)

    if fault == "quota":
        assert caught.value.code == "insufficient_quota"
    if fault == "context_overflow":
        assert caught.value.code == "context_length_exceeded"


def test_an_error_in_a_stream_is_raised(sdk):
    """
    What comes as an error event ends the stream with an exception.
    """
    client = sdk(faults=[faults.stream_error(after=1)])

    with pytest.raises(openai.APIError, match="server had an error"):
        list(client.chat.completions.create(**CHAT, stream=True))


def test_a_limit_stands_in_the_headers_that_it_looks_at(sdk):
    """
    The refusal carries the wait in both headers, and answers carry the rest.
    """
    client = sdk(requests_per_minute=1, burst_seconds=1)
    raw = client.chat.completions.with_raw_response.create(**CHAT)
    with pytest.raises(openai.RateLimitError) as caught:
        client.chat.completions.create(**CHAT)

    assert raw.headers["x-ratelimit-remaining-requests"] == "0"
    assert 0 < float(caught.value.response.headers["retry-after-ms"]) <= 60_000
    assert 0 < float(caught.value.response.headers["retry-after"]) <= 60
    assert caught.value.code == "rate_limit_exceeded"


RESPONSE = {"model": "gpt-4o-mini", "input": "Hi"}
TOOL_CALL = {"id": "c1", "type": "function", "function": {"name": "now", "arguments": '{"a": 1}'}}


def test_it_reads_a_response(sdk):
    """
    Every field that the SDK's own types promise is there.
    """
    reply = sdk(reply="Hello you").responses.create(
        **RESPONSE, include=["message.output_text.logprobs"]
    )

    assert (reply.output_text, reply.status) == ("Hello you", "completed")
    assert reply.output[0].content[0].logprobs[0].token == "Hell"
    assert reply.usage.total_tokens == reply.usage.input_tokens + reply.usage.output_tokens
    assert reply._request_id.startswith("req_")


def test_it_reads_a_streamed_response(sdk):
    """
    The SDK puts the events together itself, and trusts no event it does not know.
    """
    answer = {"content": "Hello you", "reasoning_content": "Hm.", "tool_calls": [TOOL_CALL]}
    client = sdk(reply=lambda prompt: answer, tokens_per_second=1e6)
    with client.responses.stream(**RESPONSE) as stream:
        kinds = [event.type for event in stream]
        final = stream.get_final_response()

    assert final.output_text == "Hello you"
    assert [item.type for item in final.output] == ["reasoning", "message", "function_call"]
    assert (final.output[2].name, final.output[2].arguments) == ("now", '{"a": 1}')
    assert kinds[0] == "response.created"
    assert kinds[-1] == "response.completed"
    assert kinds.count("response.output_text.delta") == 3


def test_it_knows_the_error_that_ends_a_streamed_response(sdk):
    """
    By its type; the SDK hands it on as an event like any other.
    """
    client = sdk(reply="Hello you", faults=[faults.stream_error(1)])
    events = list(client.responses.create(**RESPONSE, stream=True))

    assert isinstance(events[-1], openai.types.responses.ResponseErrorEvent)
    assert events[-1].code == "server_error"


def test_it_reads_embeddings(sdk):
    """
    The SDK asks for base64 and unpacks it; numbers are the same.
    """
    client = sdk()
    packed = client.embeddings.create(model="text-embedding-3-small", input=["a", "b"])
    plain = client.embeddings.create(
        model="text-embedding-3-small", input=["a", "b"], encoding_format="float"
    )

    assert [item.index for item in packed.data] == [0, 1]
    assert [item.embedding for item in packed.data] == [item.embedding for item in plain.data]
    assert len(packed.data[0].embedding) == 1536
    assert packed.usage.prompt_tokens == 2
