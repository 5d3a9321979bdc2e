"""Promises about code that is not llmnb's: it may block or raise, and holds up only itself."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import pandas as pd
import pytest
from asking import ask, questions
from laboratory import Laboratory
from pydantic import BaseModel, field_validator

from llmnb import GLOBAL_COST_TRACKER, LLM, AsyncLLM, LLMModel, LLMResult, bridge, cost_tracking_ctx
from llmnb.embeddings.model import EmbeddingModel
from llmnb.errors import SchemaMismatch
from llmnb.wire.openai_embeddings import pack

PATIENCE = 30


@pytest.fixture(scope="module")
def sim():
    with Laboratory(latency=0, reply=lambda prompt: f'{{"word": "{prompt}"}}') as sim:
        yield sim


class Gate:
    """What a person's code passes: it notes where that runs, and holds it until it is opened."""

    def __init__(self):
        self.reached, self.opened = threading.Event(), threading.Event()
        self.threads = []

    def hold(self):
        self.threads.append(threading.current_thread().name)
        assert not bridge.is_loop_thread()
        self.reached.set()
        assert self.opened.wait(PATIENCE)


@pytest.fixture
def gate():
    gate = Gate()
    yield gate
    gate.opened.set()


@pytest.fixture
def form(gate):
    class Form(BaseModel):
        word: str

        @field_validator("word")
        @classmethod
        def check(cls, word):
            if word == "slow":
                gate.hold()
            if word == "odd":
                raise LookupError("nobody expects this")
            if word == "exit":
                raise SystemExit(3)
            return word

    return Form


def llm(sim):
    return LLM(sim.base_url, "k", "m")


def others_are_answered(sim, first):
    """Check that a run of its own goes on while somebody's code blocks."""
    (outcome,) = ask(sim, questions(1, first=first)).result(PATIENCE)
    assert outcome.text is not None, outcome.error


def wait_for(run, rows):
    """Wait until so many rows have their outcome."""
    seen = threading.Event()
    while not seen.wait(0.005) and run.status().completed < rows:
        assert not run.is_done
    return run.partial()


@pytest.mark.parametrize("is_stored", [False, True], ids=["answers that come", "stored answers"])
def test_a_slow_validator_holds_its_own_row_only(sim, gate, form, is_stored):
    """
    While it blocks, the other rows of its run are answered and checked, and other runs go on.
    """
    cells = [f"a{is_stored}", "slow", f"b{is_stored}"]
    if is_stored:
        pd.Series(cells).llm.generate(
            "{}", model=llm(sim), schema={"type": "object"}, progress=False
        )
        gate.opened.clear()
    run = pd.Series(cells).llm.start("{}", model=llm(sim), schema=form)
    assert gate.reached.wait(PATIENCE)

    table = wait_for(run, 2)
    others_are_answered(sim, 10 + is_stored)
    gate.opened.set()

    assert table["word"].isna().tolist() == [False, True, False]
    assert run.result(PATIENCE)["word"].tolist() == cells


def test_a_validator_that_raises_whatever_it_likes_costs_its_own_row(sim, gate, form):
    """
    An error of any kind, an exit included, is the row's; the others are answered.
    """
    run = pd.Series(["odd", "one", "exit", "two"]).llm.start("{}", model=llm(sim), schema=form)

    with pytest.warns(UserWarning, match="2 of 4 rows failed"):
        table = run.result(PATIENCE)

    assert table["word"].isna().tolist() == [True, False, True, False]
    assert isinstance(run.failures()[0].error, SchemaMismatch)
    others_are_answered(sim, 20)


def test_a_slow_cost_callback_holds_no_row_and_hears_all_in_order(sim, gate):
    """
    While it blocks all rows are answered; what it raises is logged, and later ones are told.
    """
    heard = []

    def listen(paid):
        gate.hold()
        heard.append(paid.usage.prompt)
        if len(heard) == 1:
            raise RuntimeError("accounts closed")

    GLOBAL_COST_TRACKER.add_callback(listen)
    try:
        with cost_tracking_ctx():
            run = ask(sim, questions(6, first=100), max_concurrent_requests=1)
            assert gate.reached.wait(PATIENCE)
            sent = [outcome.reply.usage.prompt for outcome in run.result(PATIENCE)]
            assert heard == []
            gate.opened.set()
            bridge.LISTENERS.submit(lambda: None).result(PATIENCE)
    finally:
        GLOBAL_COST_TRACKER.remove_callback(listen)

    assert heard == sent
    assert set(gate.threads) == {"llmnb-listeners"}


def test_a_run_ends_when_quick_cost_callbacks_have_heard_of_it(sim):
    """
    What they have noted is there when the answers are.
    """
    heard = []
    GLOBAL_COST_TRACKER.add_callback(heard.append)
    try:
        with cost_tracking_ctx():
            ask(sim, questions(50, first=200)).result(PATIENCE)
            assert len(heard) == 50
    finally:
        GLOBAL_COST_TRACKER.remove_callback(heard.append)


def test_async_inputs_that_block_hold_no_other_run(sim, gate):
    """
    An async generator of the caller's may block its thread between two requests.
    """

    async def inputs():
        yield {"prompt": "before"}
        gate.hold()
        yield {"prompt": "after"}

    outcomes = AsyncLLM(model="m", url=sim.base_url, api_key="k").iterate(inputs())
    texts = []
    reading = threading.Thread(target=lambda: texts.extend(outcome.text for outcome in outcomes))
    reading.start()
    assert gate.reached.wait(PATIENCE)
    others_are_answered(sim, 30)
    gate.opened.set()
    reading.join(PATIENCE)

    assert texts == ['{"word": "before"}', '{"word": "after"}']


class Slow(Sequence):
    """Requests that somebody's code makes one by one, and blocks at one of them."""

    def __init__(self, gate, rows, at):
        self.gate, self.rows, self.at = gate, rows, at

    def __len__(self):
        return self.rows

    def __getitem__(self, index):
        if index >= self.rows:
            raise IndexError(index)
        if index == self.at:
            self.gate.hold()
        return {"prompt": f"number {index}"}


def test_a_sequence_that_blocks_holds_no_other_run(sim, gate):
    """
    What is no plain list is read beside the engine's loop, and every row still has its place.
    """
    run = ask(sim, Slow(gate, 20, 10))
    assert gate.reached.wait(PATIENCE)
    others_are_answered(sim, 40)
    gate.opened.set()

    assert [outcome.tag["prompt"] for outcome in run.result(PATIENCE)] == [
        f"number {n}" for n in range(20)
    ]


def test_a_run_stopped_while_a_sequence_blocks_keeps_every_row_in_its_position(sim, gate):
    """
    Rows that were read when the run was stopped, and those after, can be asked again as they are.
    """
    run = ask(sim, Slow(gate, 20, 10))
    assert gate.reached.wait(PATIENCE)
    run.stop()
    others_are_answered(sim, 41)
    gate.opened.set()

    outcomes = run.result(PATIENCE)
    assert [outcome.tag["prompt"] for outcome in outcomes] == [f"number {n}" for n in range(20)]
    run.retry_failed().result(PATIENCE)
    assert [outcome.text for outcome in run.result()] == [
        f'{{"word": "number {n}"}}' for n in range(20)
    ]


class Own(EmbeddingModel):
    """Makes vectors by itself, and takes its time."""

    def __init__(self, gate):
        super().__init__("own", 1)
        self.gate = gate

    async def packed_vectors(self, texts):
        self.gate.hold()
        return [pack([float(len(text))]) for text in texts]


@pytest.mark.parametrize(
    "embed",
    [
        lambda model: pd.Series(["a", "bb"]).llm.embed(model=model).iloc[1].tolist(),
        lambda model: model.embed_document_sync("bb"),
        lambda model: [
            2.0
            * pd.DataFrame({"v": [[1.0], [2.0]]})
            .llm.nearest("bb", "v", k=1, model=model)["similarity"]
            .iloc[0]
        ],
    ],
    ids=["a column", "a text", "a question"],
)
def test_an_embedding_model_of_ones_own_that_blocks_holds_no_run(sim, gate, embed):
    """
    Its coroutine runs on a loop beside the engine's, where it may block.
    """
    vectors = []
    asking = threading.Thread(target=lambda: vectors.append(embed(Own(gate))))
    asking.start()
    assert gate.reached.wait(PATIENCE)
    others_are_answered(sim, 50)
    gate.opened.set()
    asking.join(PATIENCE)

    assert vectors == [[2.0]]
    others_are_answered(sim, 60)


def test_a_model_of_ones_own_may_block_for_vectors_of_another(gate):
    """
    It runs where the embedding model would, and still does not wait for itself.
    """
    gate.opened.set()
    vectors = Own(gate)

    class Measures(LLMModel):
        async def acompletion(self, messages, **kw):
            (length,) = vectors.embed_document_sync(messages[-1].text)
            return [LLMResult(text=f"{length:g}")]

    assert pd.Series(["bb"]).llm.generate(model=Measures(), progress=False).tolist() == ["2"]
