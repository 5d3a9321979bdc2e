"""Promises about the awaited twins: the same results, while the caller's loop goes on."""

from __future__ import annotations

import asyncio
import inspect

import pandas as pd
import pytest
from laboratory import Laboratory

from llmnb.frames.accessors import DataFrameLLM, SeriesLLM

VERBS = ("generate", "preview", "extract", "classify", "compare", "embed", "nearest")
MODELS = ["openai/first", "openai/second"]
LABELS = ["good", "bad"]
SCHEMA = {
    "type": "object",
    "properties": {"stars": {"type": "integer"}},
    "required": ["stars"],
}


@pytest.fixture
def texts():
    return pd.DataFrame({"text": ["good", None, "bad"]}, index=[7, 8, 8])


@pytest.fixture
def choosy(monkeypatch):
    """A provider that answers as the form of the question wants it."""

    def reply(prompt, request):
        form = str(request.body.get("response_format"))
        if "stars" in form:
            return '{"stars": 4}'
        return f'{{"value": "{prompt}"}}' if "value" in form else prompt

    with Laboratory(reply=reply, latency=0) as sim:
        monkeypatch.setenv("OPENAI_BASE_URL", sim.base_url)
        monkeypatch.setenv("OPENAI_API_KEY", "k")
        monkeypatch.setenv("LLMNB_MODEL", "openai/m")
        yield sim


@pytest.mark.parametrize("kind", [DataFrameLLM, SeriesLLM])
@pytest.mark.parametrize("verb", VERBS)
def test_a_twin_takes_what_its_verb_takes(kind, verb):
    """
    Same names in the same order; a keyword that one knows the other knows, too.
    """
    twin = getattr(kind, f"a{verb}")
    assert inspect.iscoroutinefunction(twin)
    here = list(inspect.signature(getattr(kind, verb)).parameters.values())
    there = list(inspect.signature(twin).parameters.values())
    assert [(parameter.name, parameter.kind, parameter.default) for parameter in there] == [
        (parameter.name, parameter.kind, parameter.default) for parameter in here
    ]


async def test_awaited_or_not_the_result_is_the_same(choosy, texts):
    """
    A frame's and a series' twins give what their verbs give, asked once.
    """
    frame, series = texts.llm, texts["text"].llm
    pairs = [
        (await frame.agenerate("text"), frame.generate("text")),
        (await series.agenerate(), series.generate()),
        (await frame.apreview("text", n=1), frame.preview("text", n=1)),
        (await series.apreview(n=1), series.preview(n=1)),
        (await frame.aextract("text", SCHEMA), frame.extract("text", SCHEMA)),
        (await series.aextract(SCHEMA), series.extract(SCHEMA)),
        (await frame.aclassify("text", LABELS), frame.classify("text", LABELS)),
        (await series.aclassify(LABELS), series.classify(LABELS)),
        (
            (await frame.acompare("text", MODELS)).answers,
            frame.compare("text", MODELS).answers,
        ),
        ((await series.acompare(models=MODELS)).answers, series.compare(models=MODELS).answers),
    ]

    for awaited, blocking in pairs:
        assert type(awaited) is type(blocking)
        assert awaited.equals(blocking)
    assert pairs[0][0].fillna("?").tolist() == ["good", "?", "bad"]
    assert pairs[6][0].cat.categories.tolist() == LABELS
    assert len(choosy.ledger.received) == 2 + 4 + 2 * len(MODELS)  # and a preview's are among them


async def test_several_are_awaited_at_once(choosy, texts):
    """
    Each stands at the server with all its rows before any has an answer.
    """
    choosy.hold()
    both = asyncio.gather(texts.llm.aclassify("text", LABELS), texts.llm.aextract("text", SCHEMA))
    await asyncio.to_thread(choosy.wait_received, 4)
    choosy.release()
    moods, stars = await both

    assert moods.tolist()[::2] == LABELS
    assert stars["stars"].fillna(0).tolist() == [4, 0, 4]


@pytest.mark.parametrize("on_error", ["null", "column", "raise"])
async def test_a_preview_takes_every_on_error(sim, on_error):
    """
    Beside the prompts stands what there is, whatever becomes of the rest.
    """
    frame = pd.DataFrame({"text": ["a", "fail"]})
    if on_error == "raise":
        with pytest.raises(Exception, match="1 of 2 rows failed") as caught:
            await frame.llm.apreview("text", on_error="raise")
        shown = caught.value.partial
    elif on_error == "null":
        with pytest.warns(UserWarning, match="1 of 2 rows failed"):
            shown = await frame.llm.apreview("text", on_error="null")
    else:
        shown = await frame.llm.apreview("text")

    assert shown["prompt"].tolist() == ["a", "fail"]
    assert shown["response"].fillna("?").tolist() == ["> a", "?"]
    assert ("response_error" in shown) is (on_error == "column")
