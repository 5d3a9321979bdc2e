"""Promises about Gemini's streams: together they are the unstreamed reply, or an error."""

from __future__ import annotations

import orjson
import pytest

from llmnb import errors
from llmnb.wire.dialect import dialect

GEMINI = dialect("gemini.generate")


def event(**fields) -> bytes:
    return b"data: " + orjson.dumps(fields) + b"\r\n\r\n"


def piece(*parts, reason=None, index=0, **fields):
    made = {
        "content": {
            "role": "model",
            "parts": [{"text": case} if isinstance(case, str) else case for case in parts],
        },
        "index": index,
        **fields,
    }
    return made if reason is None else {**made, "finishReason": reason}


def chunk(*pieces, **fields) -> bytes:
    head = {"modelVersion": "gemini-2.5-flash", "responseId": "r-1"}
    return event(candidates=list(pieces), **head, **fields)


HELLO = (
    chunk(piece("Grüße"), usageMetadata={"promptTokenCount": 9, "totalTokenCount": 9})
    + chunk(piece(" 🙂"))
    + chunk(piece(reason="STOP"), usageMetadata={"candidatesTokenCount": 2, "totalTokenCount": 11})
)


def whole(stream: bytes, **options) -> bytes:
    return GEMINI.assembler(**options).whole(stream)


def parsed(stream: bytes, **options):
    return GEMINI.parse(whole(stream, **options))


# --------------------------------------------------------------- the same as unstreamed


def test_a_stream_that_is_a_long_list_is_read():
    """
    So it comes where events were not asked for.
    """
    chunks = [line[6:] for line in HELLO.split(b"\r\n\r\n") if line]
    raw = b"[" + b",\r\n".join(chunks) + b"]"

    assert GEMINI.parse(raw).text == "Grüße 🙂"
    assert GEMINI.parse(HELLO).text == "Grüße 🙂"
    with pytest.raises(errors.IncompleteReply):
        GEMINI.parse(b"[" + b",".join(chunks[:2]) + b"]")
    with pytest.raises(errors.RateLimited):
        GEMINI.parse(b'[{"error": {"code": 429, "status": "RESOURCE_EXHAUSTED"}}]')


def test_thoughts_are_streamed_apart_and_signatures_kept():
    """
    Parts of one kind grow together; one that bears more than text stays for itself.
    """
    thoughts = [{"text": case, "thought": True} for case in ("2 ", "+ 2")]
    signed = {"text": "", "thoughtSignature": "c2ln"}
    stream = (
        chunk(piece(thoughts[0]))
        + chunk(piece(thoughts[1], "4"))
        + chunk(piece("!"))
        + chunk(piece(signed, reason="STOP"))
    )
    assembler = GEMINI.assembler()
    deltas = assembler.feed(stream)
    body = orjson.loads(assembler.finish())

    assert [(delta.text, delta.reasoning) for delta in deltas] == [
        ("", "2 "),
        ("4", "+ 2"),
        ("!", ""),
    ]
    assert body["candidates"][0]["content"]["parts"] == [
        {"text": "2 + 2", "thought": True},
        {"text": "4!"},
        signed,
    ]


def test_tool_calls_come_whole():
    """
    A call is progress, though it is no text.
    """
    call = {"functionCall": {"name": "now", "args": {"zone": "ü"}}, "thoughtSignature": "c2ln"}
    stream = chunk(piece("So:", call)) + chunk(piece(call, reason="STOP"))
    assembler = GEMINI.assembler()
    deltas = assembler.feed(stream)
    body = orjson.loads(assembler.finish())

    assert [delta.text for delta in deltas] == ["So:", ""]
    assert body["candidates"][0]["content"]["parts"] == [{"text": "So:"}, call, call]
    assert [case.name for case in parsed(stream).tool_calls] == ["now", "now"]


def test_log_probabilities_and_sources_add_up():
    """
    List to list; of everything else the last word counts.
    """

    def result(token):
        case = {"token": token, "logProbability": -0.5}
        return {"chosenCandidates": [case], "topCandidates": [{"candidates": [case]}]}

    stream = chunk(
        piece("a", logprobsResult=result("a"), citationMetadata={"citationSources": [1]})
    ) + chunk(
        piece(
            "b",
            reason="STOP",
            logprobsResult=result("b"),
            citationMetadata={"citationSources": [2]},
            avgLogprobs=-0.5,
        )
    )
    outcome = parsed(stream)

    assert [case["token"] for case in outcome.logprobs["chosenCandidates"]] == ["a", "b"]
    assert len(outcome.logprobs["topCandidates"]) == 2
    assert outcome.body["candidates"][0]["citationMetadata"] == {"citationSources": [1, 2]}
    assert outcome.body["candidates"][0]["avgLogprobs"] == -0.5


def test_several_answers_grow_side_by_side():
    """
    Pieces of several candidates come in any order, and all of them must come.
    """
    stream = (
        chunk(piece("b1", index=1), piece("a1"))
        + chunk(piece("a2", reason="STOP"))
        + chunk(piece("b2", reason="MAX_TOKENS", index=1))
    )
    outcome = parsed(stream, samples=2)

    assert outcome.texts == ("a1a2", "b1b2")
    assert (outcome.quality, outcome.finish_reason) == ("truncated", "MAX_TOKENS")
    with pytest.raises(errors.IncompleteReply):
        whole(stream, samples=3)


def test_a_prompt_that_was_blocked_is_a_filtered_answer():
    """
    It is whole, though no candidate came.
    """
    outcome = parsed(event(promptFeedback={"blockReason": "SAFETY"}))

    assert (outcome.quality, outcome.finish_reason) == ("filtered", "SAFETY")


def test_an_answer_that_was_withheld_in_mid_stream_is_filtered():
    """
    Its last event has a reason and no content.
    """
    outcome = parsed(chunk(piece("Once")) + event(candidates=[{"finishReason": "SAFETY"}]))

    assert (outcome.quality, outcome.text) == ("filtered", "Once")


# ---------------------------------------------------------------------------- not whole


@pytest.mark.parametrize(
    "stream",
    [
        chunk(piece("Hi")),
        chunk(piece("Hi", reason="FINISH_REASON_UNSPECIFIED")),
        chunk(piece("Hi", reason="")),
        HELLO[: HELLO.rindex(b"data:")],
        HELLO[:-60],
        chunk(piece("a", reason="STOP"), piece("b", index=1)),
    ],
)
def test_a_stream_without_its_end_is_no_answer(stream):
    """
    What came is kept with the error, for whoever paid for it.
    """
    with pytest.raises(errors.IncompleteReply, match="finish marker") as caught:
        whole(stream)

    assert orjson.loads(caught.value.raw)["candidates"]
    assert caught.value.maybe_billed


@pytest.mark.parametrize(
    "stream",
    [b"", b"\n\n", event(usageMetadata={}), event(candidates=[]), event(promptFeedback={})],
)
def test_a_stream_that_brings_nothing_says_so(stream):
    """
    Figures alone are no answer.
    """
    with pytest.raises(errors.IncompleteReply, match="no answer at all"):
        whole(stream)


@pytest.mark.parametrize("broken", [b"data: {\n\n", b"data: []\n\n", b"data: Hello\n\n"])
def test_a_piece_that_cannot_be_read_makes_a_hole(broken):
    """
    An answer with holes is no answer.
    """
    with pytest.raises(errors.IncompleteReply, match="holes"):
        whole(chunk(piece("a")) + broken + chunk(piece("b", reason="STOP")))


@pytest.mark.parametrize(
    ("code", "status", "error"),
    [
        (429, "RESOURCE_EXHAUSTED", errors.RateLimited),
        (503, "UNAVAILABLE", errors.ProviderError),
        (None, "SOMETHING_NEW", errors.BadReply),
    ],
)
def test_an_error_before_any_answer_is_what_it_says(code, status, error):
    """
    Nothing was bought, so it may be asked again where its kind may.
    """
    with pytest.raises(errors.LLMNBError) as caught:
        whole(event(error={"code": code, "status": status, "message": "No."}))

    assert type(caught.value) is error


def test_an_error_in_mid_stream_is_no_answer():
    """
    Something was answered and may have been billed, so it is never asked again by itself.
    """
    fault = event(error={"code": 503, "status": "UNAVAILABLE", "message": "Overloaded."})

    with pytest.raises(errors.IncompleteReply, match="Overloaded") as caught:
        whole(chunk(piece("Once upon")) + fault)

    assert b"Once upon" in caught.value.raw
