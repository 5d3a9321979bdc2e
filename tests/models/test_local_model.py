"""Promises of `LocalModel`, kept with the real engine and the real weights."""

from __future__ import annotations

import dataclasses
import shutil
import warnings
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

import llmnb
from llmnb.adapters import llamacpp
from llmnb.adapters import weights as weight_files
from llmnb.errors import ConfigurationError, LLMNBError
from llmnb.models.in_process import LocalModel
from llmnb.running.asking import Asking
from llmnb.running.start import start
from llmnb.wire.openai_embeddings import numbers

FORM = {
    "type": "object",
    "properties": {"label": {"enum": ["positive", "negative"]}},
    "required": ["label"],
}


@pytest.fixture(scope="module")
def model() -> Iterator[LocalModel]:
    model = LocalModel(n_parallel=2, n_ctx=512)
    yield model
    model.close()


@pytest.mark.local_model
def test_it_answers_wherever_a_model_is_named(model):
    """
    As an object and by its name: `generate`, `AsyncLLM`, a frame.
    """
    frame = pd.DataFrame({"text": ["one", "two"]})
    asked = {"model": model, "params": {"max_tokens": 3, "temperature": 0}}

    alone = model.generate("Say one", max_tokens=3, temperature=0)
    rows = frame.llm.generate("Say {text}", **asked, progress=False)
    named = llmnb.AsyncLLM(model=model.model).generate(
        [{"prompt": "Say one", "max_tokens": 3, "temperature": 0}], progress=False
    )

    assert rows[0] == alone == named[0][1]["choices"][0]["message"]["content"]


@pytest.mark.local_model
def test_log_probabilities_come_with_their_alternatives(model):
    """
    As many as tokens were written, each with the likeliest ones beside it.
    """
    ((_, reply),) = llmnb.AsyncLLM(model=model).generate(
        [{"prompt": "Hello", "temperature": 0, "logprobs": True, "top_logprobs": 3}],
        progress=False,
    )

    tokens = reply["choices"][0]["logprobs"]["content"]
    # The token that ends an answer is counted and not tokens.
    assert 0 <= reply["usage"]["completion_tokens"] - len(tokens) <= 1
    assert all(token["logprob"] <= 0 and len(token["top_logprobs"]) == 3 for token in tokens)


@pytest.mark.local_model
async def test_it_is_an_llm_model_like_any(model):
    """
    `call_single` gives a result with its figures, and its deltas come one by one.
    """
    fragments: list[str] = []

    result = await model.call_single("Say yes.", callbacks=[fragments.append], max_tokens=4)

    assert str(result) == result.text
    assert result.completion_count
    assert result.cost == 0
    assert fragments


@pytest.mark.local_model
def test_a_schema_is_obeyed(model):
    """
    The model can write nothing else.
    """
    frame = pd.DataFrame({"text": ["I love it.", "I hate it."]})

    answers = frame.llm.generate("Judge: {text}", model=model, schema=FORM, progress=False)

    assert set(answers["label"]) <= {"positive", "negative"}


@pytest.mark.local_model
def test_its_answers_stream(model):
    """
    The pieces come one by one and are the answer together.
    """
    fragments: list[str] = []
    run = start(
        [{"prompt": "Count to five.", "max_tokens": 12, "temperature": 0}],
        Asking(model=model),
        on_delta=lambda row, delta: fragments.append(delta.text),
    )

    (outcome,) = run.result(60)

    assert len(fragments) > 3
    assert "".join(fragments) == outcome.text


@pytest.mark.local_model
def test_it_embeds_with_a_vector_for_each_text(model):
    """
    What means the same lies nearer than what does not, and the order is the texts'.
    """
    texts = ["The cat sleeps on the sofa.", "A cat is asleep on a couch.", "Shares fell sharply."]
    run = start([{"input": texts}], Asking(model=model, gen_type="embedding"))

    (outcome,) = run.result(60)

    assert outcome.reply is not None
    same, alike, other = (list(numbers(vector)) for vector in outcome.reply.vectors)
    assert len(same) == len(alike) == len(other) == 576
    assert _cosine(same, alike) > _cosine(same, other)


def _cosine(left: list[float], right: list[float]) -> float:
    dot = sum(a * b for a, b in zip(left, right, strict=True))
    return float(dot / (sum(a * a for a in left) * sum(b * b for b in right)) ** 0.5)


@pytest.mark.local_model
def test_any_gguf_file_goes_by_its_path_and_keeps_no_folder(weights, tmp_path, isolated):
    """
    The answer is kept under the file's name; the same weights elsewhere need not be asked again.
    """
    first, second = tmp_path / "somebody" / "tiny.gguf", tmp_path / "other" / "tiny.gguf"
    for answer in (first, second):
        answer.parent.mkdir()
        shutil.copy(weights, answer)
    hi = [{"prompt": "Hi", "max_tokens": 2}]

    (sent,) = start(hi, Asking(model=LocalModel(first))).result(60)
    (kept,) = start(hi, Asking(model=LocalModel(second))).result(60)

    assert sent.model == kept.model == "tiny"
    assert "somebody" not in str(sent.reply.body)
    assert kept.is_cached
    assert repr(LocalModel(first)) == "<LocalModel local/tiny, 4 slots of 2048 tokens>"
    LocalModel(first).close()


@pytest.mark.local_model
def test_it_can_be_closed_and_asked_again():
    """
    After `close` the next request loads it anew.
    """
    model = LocalModel(n_parallel=1, n_ctx=512)
    first = model.generate("Hi", max_tokens=2, temperature=0)
    model.close()

    assert model.generate("Hi there", max_tokens=2, temperature=0)
    assert first
    model.close()


@pytest.mark.local_model
def test_other_load_settings_are_another_model():
    """
    A prompt beyond a small context is refused there, whatever the default would do.
    """
    small, prompt = LocalModel(n_parallel=1, n_ctx=256), "word " * 400

    with pytest.raises(LLMNBError):
        small.generate(prompt, max_tokens=2)

    assert small.model != LocalModel().model == "local/smollm2"
    small.close()


@pytest.mark.parametrize(
    "wrong",
    [
        *({"n_parallel": 0}, {"n_parallel": "4"}, {"n_ctx": 1}, {"n_ctx": 99.5}),
        *({"n_threads": 0}, {"pooling": "sum"}, {"model": 5}),
    ],
)
def test_load_settings_that_make_no_sense_are_refused_at_once(wrong):
    """
    Before anything is loaded, by name.
    """
    with pytest.raises(ConfigurationError, match=next(iter(wrong))):
        LocalModel(**wrong)


def test_the_small_model_answers_with_at_most_512_tokens():
    """
    Where nobody says how many: it may never end by itself.
    """
    assert weight_files.SMOLLM2.answer_tokens == 512


@pytest.mark.local_model
def test_an_answer_cut_at_the_models_own_length_is_good_and_names_max_tokens(monkeypatch):
    """
    One warning counts them; `max_tokens` wins, and a length that was chosen is no surprise.
    """
    short = dataclasses.replace(weight_files.SMOLLM2, answer_tokens=4)
    monkeypatch.setitem(weight_files.KNOWN, "smollm2", short)
    model = LocalModel(n_parallel=1, n_ctx=320)
    frame = pd.DataFrame({"text": ["Tell a long story.", "Count to a hundred."]})
    options = {"model": model, "temperature": 0, "progress": False, "details": True}

    with pytest.warns(UserWarning, match="^2 answers were cut off.* max_tokens"):
        cut = frame.llm.generate("{text}", **options)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        longer = frame.llm.generate("{text}", max_tokens=6, **options)
    model.close()

    assert cut["finish_reason"].tolist() == ["length", "length"]
    assert cut["response"].notna().all()
    assert (cut["completion_tokens"].tolist(), longer["completion_tokens"].tolist()) == (
        [4, 4],
        [6, 6],
    )


@pytest.mark.local_model
def test_a_plan_fetches_no_weights(monkeypatch, isolated):
    """
    It counts rows of a model that is not on this machine; a run of the same would fetch it.
    """
    monkeypatch.setattr(weight_files, "find", lambda name: None)
    monkeypatch.setattr(weight_files, "pull", lambda *_, **__: pytest.fail("it was fetched"))
    frame = pd.DataFrame({"text": ["one", "two"]})
    model = LocalModel(n_parallel=1, n_ctx=333)

    assert frame.llm.plan("{text}", model=model).to_ask == 2


def test_an_address_is_no_local_model():
    """
    The error says that a file is wanted, and shows nothing that stands in the address.
    """
    with pytest.raises(ConfigurationError, match="download the GGUF file") as caught:
        LocalModel("http://127.0.0.1:9/some/tiny.gguf?token=secret").generate("Hi")

    assert "secret" not in str(caught.value)


def test_a_bar_is_shown_while_weights_are_fetched(monkeypatch, isolated):
    """
    Where a surface has hung one up, a model's first use moves it.
    """
    seen: list[tuple[int, int]] = []
    monkeypatch.setenv("LLMNB_DATA_DIR", str(isolated / "data"))
    monkeypatch.setattr(weight_files, "find", lambda name: None)

    def pull(name: str, *, progress: weight_files.Progress | None = None) -> Path:
        assert progress is not None
        progress(1, 2)
        raise ConfigurationError("no network here")

    class Bar:
        def __init__(self, expected: int) -> None:
            self.expected = expected

        def __enter__(self) -> weight_files.Progress:
            return lambda come, all_: seen.append((come, all_))

        def __exit__(self, *_: object) -> None:
            seen.append((-1, self.expected))

    monkeypatch.setattr(weight_files, "pull", pull)
    monkeypatch.setattr(weight_files, "_bar", Bar)

    with pytest.raises(ConfigurationError):
        LocalModel("smollm2").generate("Hi")

    assert seen == [(1, 2), (-1, weight_files.SMOLLM2.download_bytes)]


def test_the_bar_of_the_surfaces_is_hung_up():
    """
    Whoever imports a surface gets the bar of `llmnb pull`.
    """
    from llmnb import progress

    assert weight_files._bar is progress.byte_bar


@pytest.mark.local_model
def test_pooling_is_part_of_what_a_model_is(weights):
    """
    Vectors that were pooled otherwise are other vectors; answers keep the keys they had.
    """
    settings = llamacpp.LoadSettings

    plain = llamacpp.identity(weights, settings())
    kinds = [llamacpp.identity(weights, settings(pooling=item)) for item in ("mean", "last")]

    assert plain.endswith("n_ctx=2048")
    assert len({plain, *kinds}) == 3
