"""Promises of `ModelGenerator` and `VLLMModel`, kept with a real vLLM and a model made on the spot.

One process loads the model once and tries everything; each test reads what it told.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import vllm_venv
from tree import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

EXAMPLE = ROOT / "examples" / "vllm" / "membership_scores.py"
SESSION = Path(__file__).with_name("vllm_session.py")


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Return what the process saw."""
    folder = tmp_path_factory.mktemp("vllm")
    python = vllm_venv.find_python(tmp_path_factory.getbasetemp())
    env = {**vllm_venv.environment(folder), "LLMNB_CACHE_DIR": str(folder / "cache")}
    done = subprocess.run(
        [str(python), "-P", str(SESSION), str(folder)],
        env=env,
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    result = folder / "told.json"
    assert result.exists(), done.stdout[-1000:] + done.stderr[-3000:]
    return json.loads(result.read_text(encoding="utf-8"))


@pytest.fixture
def section(report: dict[str, Any], request: pytest.FixtureRequest) -> dict[str, Any]:
    """Return one section of what was told."""
    results = report[request.param]
    assert "broken" not in results, results["broken"]
    return results


def of(name: str) -> pytest.MarkDecorator:
    """Read a section in a test."""
    return pytest.mark.parametrize("section", [name], indirect=True, ids=[""])


# ---------------------------------------------------------------- the generator


@of("loaded")
def test_a_model_that_can_do_less_than_the_default_is_loaded_with_what_it_can(section):
    """
    2,048 tokens are a default: a model of 512 is loaded with 512.
    """
    assert section["max_len"] == 512
    assert "sha256:" in section["identity"]


@of("loaded")
def test_loading_a_model_leaves_other_peoples_dice_alone(section):
    """
    What `random` gives next is what it would have given.
    """
    assert section["dice"]


@of("basics")
def test_every_prompt_gets_a_text_and_the_log_probabilities_of_all_its_tokens(section):
    """
    Four lists with an entry for each prompt; the first token of a prompt has nothing before it.
    """
    assert section["final"][1] == "The label of the text is"
    assert [type(item) for item in section["outputs"]] == [str] * 3
    assert section["prompt_counts"] == section["tokens"]
    assert section["firsts"] == [None] * 3
    assert all(all(item) and item for item in section["numbers"])
    assert section["empty"] == [[], [], [], []]


@of("basics")
def test_without_sampling_an_answer_repeats(section):
    """
    sample=False takes the likeliest token each time.
    """
    assert section["greedy"][0] == section["greedy"][1]


@of("basics")
def test_several_answers_to_each_prompt(section):
    """
    n=3 gives three answers and the log-probabilities of each.
    """
    assert [len(item) for item in section["several"]] == [3, 3, 3]
    assert section["several_told"] == [[4, 4, 4]] * 3
    assert section["without"] == [[None] * 3, [None] * 3]


@of("limits")
def test_each_prompt_may_have_its_own_longest_answer(section):
    """
    A list of lengths holds prompt by prompt.
    """
    assert section["lengths"] == [1, 5, 9]


@of("limits")
def test_an_answer_ends_before_a_stop_text(section):
    """
    What stands before the stop text is the answer, and the stop text is no part of it.
    """
    assert section["stop"] in section["whole"]
    assert section["stop"] not in section["stopped"]
    assert section["whole"].startswith(section["stopped"])


@pytest.mark.parametrize("side", ["left", "right"])
@of("truncation")
def test_a_prompt_that_is_too_long_is_cut_with_a_warning(section, side):
    """
    The model reads what fits beside the answer; the warning says which prompts lost how much.
    """
    results, room = section[side], section["max_len"]

    assert results["short"] == "short"
    assert results["read"][1:] == [room - 40, room - 100]
    assert results["is_part"] == [True, True]
    assert results["cuts"] == [
        [1, section["tokens"], room - 40],
        [2, section["tokens"], room - 100],
    ]
    (line,) = results["logged"]
    assert f"prompt 1 lost {section['tokens'] - room + 40} of {section['tokens']} tokens" in line
    assert ("beginning" if side == "left" else "end") in line


@of("oracle")
def test_log_probabilities_are_those_of_transformers(section):
    """
    Of prompts and answers, each differs by less than 0.0001 from another implementation's.
    """
    assert section["worst"] < 1e-4
    assert section["tops_agree"]


@of("outside")
def test_nearly_all_the_time_is_spent_inside_vllm(section):
    """
    At most 2 % of `generate_vllm` is not vLLM's own `LLM.generate`, for 200 prompts.
    """
    assert min(section["shares"]) < 0.02


@of("errors")
def test_arguments_that_make_no_sense_are_refused_before_anything_is_generated(section):
    """
    Each error is a configuration error that says what is wrong.
    """
    wrong_options = {
        "text": "list of texts",
        "lengths": "1 numbers for 3 prompts",
        "too long": "1 to 511",
        "greedy": "likeliest token",
        "unknown": "colour",
        "value": "top_p",
        "side": "'left' or 'right'",
    }
    for name, expected in wrong_options.items():
        assert section[name].startswith("ConfigurationError: "), section[name]
        assert expected in section[name]
    assert section["empty_prompt"] == "nothing", "an empty prompt begins a text"


@of("interrupted")
def test_after_an_interrupt_the_next_batch_gets_its_own_answers(section):
    """
    What was under way is dropped, not handed to whoever asks next.
    """
    assert section["seen"] == "KeyboardInterrupt"
    assert section["again"] == section["expected"]


# -------------------------------------------------------------------- the model


@of("asked")
def test_an_engine_answers_asyncllm_like_any_model(section):
    """
    Chat completions come with usage and log-probabilities in OpenAI's form.
    """
    assert section["name"] == "vllm/tiny"
    for row in section["rows"]:
        (choice,) = row["choices"]
        assert len(choice["logprobs"]["content"]) == row["usage"]["completion_tokens"]
        assert all(len(item["top_logprobs"]) == 2 for item in choice["logprobs"]["content"])


@of("asked")
def test_its_answers_are_kept_and_read_again(section):
    """
    Asked again, nothing is generated, and the rows are the same to the byte.
    """
    assert section["same"]
    assert section["stored"]


@of("asked")
def test_it_is_asked_by_its_name_and_does_n_and_text_completions(section):
    """
    `vllm/tiny` means the loaded engine; prompt log-probabilities come as vLLM's server gives them.
    """
    assert len(section["n"]["choices"]) == 2
    assert section["text"]["choices"][0]["logprobs"]["tokens"]
    assert len(section["text"]["prompt_logprobs"]) == section["text"]["usage"]["prompt_tokens"]


@of("asked")
def test_a_frame_asks_it_row_by_row(section):
    """
    Texts and schema columns are aligned with the rows; NA stays NA.
    """
    assert [item is None for item in section["frame"]] == [False, False, True, False]
    assert section["labels"][2] is None
    assert {section["labels"][row] for row in (0, 1, 3)} <= {"yes", "no"}


@of("asked")
def test_requests_are_written_together(section):
    """
    Forty answers of sixteen tokens with eight places take a fifth of 640 steps, not all of them.
    """
    assert section["crowd"] == [True] * 40
    assert section["crowd_steps"] < 160


@of("refused")
def test_what_an_engine_cannot_do_is_an_error_of_that_row(section):
    """
    Tools, pictures, prompts beyond the window and wrong parameters are refused by name; the
    other rows are answered.
    """
    tools, long, picture, value, fine = section["errors"]

    assert "does not take tools" in tools
    assert "at most 512 tokens" in long
    assert "text only" in picture
    assert "top_p" in value
    assert fine == "none"
    assert section["embedding"].startswith("ConfigurationError: ")


@of("streamed")
def test_answers_stream_as_they_are_written(section):
    """
    The pieces come one by one and are the answer together; it costs nothing.
    """
    assert section["pieces"] > 3
    assert section["joined"]
    assert section["first"] < section["seconds"]
    assert section["usd"] == 0


@of("dropped")
def test_a_cancelled_run_leaves_the_engine_free(section):
    """
    Nothing goes on being written for a run that was cancelled.
    """
    assert section["errors"] == ["Stopped"] * 6
    assert section["left"] == 0
    assert len(section["next"]) == 3


@of("beside")
def test_batches_and_single_requests_share_an_engine(section):
    """
    Each gets what is its own, whoever else asks at the same time.
    """
    assert section["batches"] == [True] * 3
    assert section["rows"] == [True] * 30


@of("awaited")
def test_it_can_be_awaited(section):
    """
    `agenerate` in a running loop asks it too.
    """
    assert section["answered"]


@of("magic")
def test_a_cell_asks_it_by_name(section):
    """
    `%%llm -m vllm/tiny` is answered by the engine of this process.
    """
    assert section["answer"]


def test_the_example_scores_texts(tmp_path_factory):
    """
    `examples/vllm/membership_scores.py` runs as its first lines say, and the self-check too.
    """
    folder = tmp_path_factory.mktemp("example")
    python = vllm_venv.find_python(tmp_path_factory.getbasetemp())
    env = vllm_venv.environment(folder)

    scored, checked = (
        subprocess.run(
            [str(python), *command],
            env=env,
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
        )
        for command in ([str(EXAMPLE)], ["-m", "llmnb.generation.vllm_generate"])
    )

    assert scored.returncode == 0, scored.stderr[-2000:]
    assert "least likely fifth" in scored.stdout
    assert checked.returncode == 0, checked.stderr[-2000:]
    assert "vLLM works here." in checked.stdout
