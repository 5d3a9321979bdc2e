"""Promises about an engine of vLLM's in this process, kept with a stand-in for vLLM itself."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from llmnb import AsyncLLM, VLLMModel
from llmnb.adapters.vllm_engine import Engine


class Core:
    """Writes one token of every request a step, as vLLM's `LLMEngine` does."""

    def __init__(self) -> None:
        self.model_config = SimpleNamespace(
            max_model_len=64,
            model="no/folder",
            tokenizer="no/folder",
            hf_config=None,
            dtype="float32",
            quantization=None,
        )
        self.vllm_config = SimpleNamespace(scheduler_config=SimpleNamespace(max_num_seqs=4))
        self.requests: dict[str, dict[str, Any]] = {}
        self.most_at_once = 0

    def add_request(self, name: str, prompt: Any, sampling: Any) -> None:
        if prompt["prompt_token_ids"] == [0]:
            raise ValueError("a prompt of nothing")
        self.requests[name] = {"prompt": prompt, "sampling": sampling, "tokens": 0}

    def abort_request(self, names: list[str]) -> None:
        for name in names:
            self.requests.pop(name, None)

    def step(self) -> list[Any]:
        self.most_at_once = max(self.most_at_once, len(self.requests))
        outputs = []
        for name, request in list(self.requests.items()):
            request["tokens"] += 1
            is_finished = request["tokens"] == request["sampling"].max_tokens
            if is_finished:
                del self.requests[name]
            outputs.append(self._output(name, request, is_finished))
        return outputs

    def _output(self, name: str, request: dict[str, Any], is_finished: bool) -> Any:
        answers = [
            SimpleNamespace(
                index=index,
                text="la " * request["tokens"],
                token_ids=[7] * request["tokens"],
                logprobs=None,
                finish_reason="length" if is_finished else None,
                stop_reason=None,
            )
            for index in range(getattr(request["sampling"], "n", 1))
        ]
        return SimpleNamespace(
            request_id=name,
            outputs=answers,
            finished=is_finished,
            prompt_token_ids=request["prompt"]["prompt_token_ids"],
            prompt_logprobs=None,
            num_cached_tokens=0,
        )


class Tokenizer:
    """One token for every word."""

    chat_template = "yes"

    def apply_chat_template(self, turns: list[dict[str, str]], **options: Any) -> str:
        return " ".join(turn["content"] for turn in turns)

    def __call__(self, texts: Any, **options: Any) -> dict[str, Any]:
        if isinstance(texts, str):
            return {"input_ids": [0] if texts == "nothing" else [1] * len(texts.split())}
        return {"input_ids": [[1] * len(text.split()) for text in texts]}


@pytest.fixture
def engine() -> Engine:
    """Return an engine around a stand-in."""
    native = SimpleNamespace(
        llm_engine=Core(), get_tokenizer=Tokenizer, generate=lambda *_, **__: []
    )
    library = SimpleNamespace(
        SamplingParams=lambda **fields: SimpleNamespace(logprobs=None, **fields)
    )
    return Engine(native, library, "no/folder", "0.0", closes=False)


def test_an_engine_is_asked_by_its_name_and_writes_for_many_at_once(engine):
    """
    Rows of one run are written together, each by its own parameters.
    """
    model = VLLMModel(engine, name="stand-in", llm_params={"max_tokens": 3})

    rows = AsyncLLM(model="vllm/stand-in").generate(
        [{"prompt": f"row {number}"} for number in range(8)], progress=False
    )

    assert model.name == "vllm/stand-in"
    assert [row[1]["choices"][0]["message"]["content"] for row in rows] == ["la la la "] * 8
    assert 1 < engine.core.most_at_once <= 6


def test_several_answers_to_a_request_come_in_a_single_reply(engine):
    """
    What `n` asks for is written by the engine itself.
    """
    model = VLLMModel(engine, name="several")

    ((_, reply),) = AsyncLLM(model=model).generate(
        [{"prompt": "hello", "max_tokens": 2, "n": 2}], progress=False
    )

    assert [choice["message"]["content"] for choice in reply["choices"]] == ["la la "] * 2


def test_a_stream_hands_over_what_an_answer_has_grown_by(engine):
    """
    Each piece once, and the whole at the end.
    """
    model = VLLMModel(engine, name="streamed", llm_params={"max_tokens": 4})
    fragments: list[str] = []

    answer = model.call_single_sync("hello", callbacks=[fragments.append])

    assert "".join(fragments) == answer.text == "la la la la "


def test_what_vllm_refuses_is_the_error_of_its_row_alone(engine):
    """
    The rows beside it are answered.
    """
    model = VLLMModel(engine, name="refusing", llm_params={"max_tokens": 2})

    rows = AsyncLLM(model=model).generate([{"prompt": "nothing"}, {"prompt": "x"}], progress=False)

    assert "vLLM refuses this request: a prompt of nothing" in rows[0][1][0]
    assert rows[1][1]["choices"][0]["message"]["content"] == "la la "
