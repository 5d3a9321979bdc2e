"""Promises of `llmnb score` and `llmnb compare`: the figures of the verbs, for a file."""

from __future__ import annotations

import pytest
from laboratory import Laboratory

from llmnb.cli import main

TABLE = """text,label,model,stars,said,shown
so good,positive,Positive,5,5,positive
fine,positive,negative,4,2,
bad,negative,negative,1,1,
awful,negative,,1,,
no label,,positive,,,
"""


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "reviews.csv"
    path.write_text(TABLE)
    return path


@pytest.fixture
def sim(monkeypatch):
    def reply(prompt):
        return "negative" if "bad" in prompt or "awful" in prompt else "positive"

    with Laboratory(reply=reply, latency=0) as sim:
        monkeypatch.setenv("OPENAI_BASE_URL", sim.base_url)
        monkeypatch.setenv("OPENAI_API_KEY", "k")
        yield sim


def test_a_column_is_scored_against_another(table, capsys):
    """
    An empty cell has no label, and an empty answer is a missing one.
    """
    assert main(["score", str(table), "--column", "model", "--truth", "label"]) == 0
    printed = capsys.readouterr().out
    assert "50 % right, 95 % interval 15 to 85" in printed
    assert (
        "2 right + 1 wrong + 1 without an answer = 4 labelled rows; 1 row has no label" in printed
    )


def test_numbers_and_examples_are_options(table, capsys):
    """
    As of the verb.
    """
    assert main(["score", str(table), "--column", "said", "--truth", "stars"]) == 0
    assert "0.67 off on average" in capsys.readouterr().out
    arguments = ["--column", "model", "--truth", "label", "--examples", "shown"]
    assert main(["score", str(table), *arguments]) == 0
    assert "1 example left out" in " ".join(capsys.readouterr().out.split())


def test_prompts_are_compared_and_the_best_is_named(sim, table, capsys):
    """
    Only rows with a label are asked; what is asked again is kept.
    """
    arguments = ["compare", str(table), "--prompt", "{text}", "--prompt", "Say bad. {text}"]
    arguments += ["--model", "openai/m", "--truth", "label", "--quiet"]
    assert main(arguments) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("prompt 1 is right most often: 100 % of 4 labelled rows")
    assert sim.ledger.totals().received == 8
    assert main(arguments) == 0
    assert sim.ledger.totals().received == 8


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["score", "--column", "modl", "--truth", "label"], "no column 'modl'"),
        (["score", "--column", "model", "--truth", "lable"], "no column 'lable'"),
        (
            ["score", "--column", "model", "--truth", "label", "--examples", "shwn"],
            "Did you mean 'shown'",
        ),
        (["compare", "--prompt", "{text}", "--model", "openai/m"], "at least two"),
    ],
)
def test_what_cannot_be_judged_is_a_single_sentence(sim, table, capsys, arguments, says):
    """
    The exit is 2, and nothing is sent.
    """
    command, *rest = arguments
    assert main([command, str(table), *rest]) == 2
    assert says in capsys.readouterr().err
    assert sim.ledger.totals().received == 0
