"""Promises about mistakes in a cell: the person's line, the message, and offers that work."""

from __future__ import annotations

import warnings

import pytest

import llmnb
from llmnb import errors

SETUP = """
import pandas as pd, polars as pl, llmnb
df = pd.DataFrame({"text": ["good", "bad"], "stars": [5, 1]})
"""

MISTAKES = {
    "a misspelt column": ('df.llm.generate("Mood of {txet}?")', "Did you mean 'text'?"),
    "a single brace": ('df.llm.generate("As {mood: x}: {text}")', "double it"),
    "an unknown model": ('df.llm.generate("{text}", model="nix")', "%llm_models"),
    "an unknown provider": ('df.llm.generate("{text}", model="opnai/x")', "Did you mean openai"),
    "a missing key": ('df.llm.generate("{text}", model="groq/x")', "%llm_key groq"),
    "a wrong option": ('df.llm.generate("{text}", max_token=9)', "Did you mean max_tokens"),
    "a wrong value": ('df.llm.generate("{text}", max_tokens="many")', "whole number"),
    "an unknown limit": ('df.llm.generate("{text}", max_requests_per_minute="x")', "5 per second"),
    "a bad schema": ('df.llm.generate("{text}", schema={"type": "x"})', "no JSON schema"),
    "fields as a schema": (
        'df.llm.generate("{text}", schema={"mood": "string"})',
        "{'type': 'object', 'properties': {'mood': {'type': 'string'}}}",
    ),
    "a format as a schema": (
        'df.llm.generate("{text}", schema={"name": "x", "schema": {"type": "integer"}})',
        "under its 'schema'",
    ),
    "a table to explore": ("llmnb.explore(df)", "df.llm.explore(column)"),
    "a column of its own": ('df.llm.generate("{text}", into="stars")', "overwrite=True"),
    "several columns": ('df.llm.generate("{text}", into=["a", "b"])', "one column"),
    "a key in the call": ('df.llm.generate("{text}", api_key="k")', "llmnb.LLM(model=…, api_key="),
    "a model as address": ('llmnb.LLM("openai/m").generate("a")', "write model='openai/m'"),
    "a text as labels": ('df.llm.classify("text", "good")', "a list of texts"),
    "a series": ('df["text"].llm.generate("{}", modle="x")', "Did you mean"),
    "plan": ('df.llm.plan("{txet}")', "'stars'"),
    "start": ('df.llm.start("{txet}")', "'stars'"),
    "preview": ('df.llm.preview("{txet}")', "'stars'"),
    "extract": ('df.llm.extract("text", 5)', "JSON schema"),
    "compare": ('df.llm.compare("{text}", models=["openai/m", "nix"])', "'nix'"),
    "embed": ('df.llm.embed("txet")', "'stars'"),
    "nearest": ('df.llm.nearest("query", "txet")', "'stars'"),
    "an awaited verb": ('await df.llm.agenerate("{txet}")', "'stars'"),
    "polars": ('pl.DataFrame({"text": ["a"]}).llm.generate("{txet}")', "'text'"),
    "a lazy frame": ('pl.LazyFrame({"text": ["a"]}).llm.generate("{txet}")', "'text'"),
    "AsyncLLM": ('llmnb.AsyncLLM(model="groq/x").generate([{"prompt": "a"}])', "%llm_key groq"),
    "one call": ('llmnb.LLM(model="groq/x").call_single_sync("a")', "%llm_key groq"),
    "the master": ('llmnb.GenerationMaster([], ["a"])', "at least one model"),
    "a setting": ('llmnb.configure(modle="x")', "Settings are"),
    "a batch run": ('llmnb.attach("nope")', "llmnb.runs()"),
    "a price": ('llmnb.set_price("x", "a")', "number"),
    "a file": (
        'await llmnb.generation.process_api_requests_from_file("nix.jsonl")',
        "nix.jsonl",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_shows_the_persons_line_and_the_message(shell, desk, mistake):
    """
    At most eight lines from every door, with what to do; none of them of llmnb's own code.
    """
    line, words = MISTAKES[mistake]
    shell.run(SETUP)
    told = shell.run(f"x = 1\n{line}").out

    lines = [one for one in told.splitlines() if one.strip()]
    assert lines[:2] == ["Cell In[2], line 2", f"    {line}"]
    assert words in told
    assert len(lines) <= 8, told
    assert desk.bodies == []


def test_the_line_of_a_function_stands_under_the_line_that_called_it(shell):
    """
    Of the person's frames the first and the last are shown.
    """
    shell.run(SETUP)
    told = shell.run(
        "def ask(frame):\n    return frame.llm.plan('{txet}')\n\n"
        "def both(frame):\n    return ask(frame)\n\nboth(df)"
    ).out

    assert told.splitlines()[:4] == [
        "Cell In[2], line 7",
        "    both(df)",
        "Cell In[2], line 2, in ask",
        "    return frame.llm.plan('{txet}')",
    ]


def test_xmode_verbose_shows_all(shell):
    """
    Whoever looks for a fault in llmnb sees its frames, of magics as well.
    """
    shell.run(SETUP)
    shell.run("%xmode Verbose")
    try:
        assert "frames/template.py" in shell.run('df.llm.plan("{txet}")').out
        assert "magics_ask.py" in shell.run("%llm -m nix Hi").out
    finally:
        shell.run("%xmode Context")


RAISING = """
class Mine(llmnb.LLMModel):
    async def acompletion(self, messages, **kw):
        return 1 / 0

def watch(text):
    return 1 / 0
"""


@pytest.mark.parametrize(
    "line",
    [
        "await Mine().call_single('Hi')",
        "await llmnb.LLM(model='openai/m').call_single('Hi', callbacks=[watch])",
    ],
    ids=["a model", "a callback"],
)
def test_an_exception_of_the_persons_own_code_keeps_its_traceback(shell, desk, line):
    """
    The line that raised is found in it, whatever llmnb made of the exception.
    """
    shell.run(SETUP + RAISING)
    told = shell.run(line).out

    assert "Traceback (most recent call last)" in told
    assert "ZeroDivisionError" in told
    assert "return 1 / 0" in told


# ------------------------------------------------------------------- offers are accepted


def test_what_a_missing_key_offers_is_accepted(shell, desk, monkeypatch):
    """
    Each of the three ways lets the call that failed succeed; the model without a key is named.
    """
    shell.run(SETUP)
    monkeypatch.delenv("OPENAI_API_KEY")
    monkeypatch.setattr("getpass.getpass", lambda *_: "k")
    call = "df.llm.generate('{text}', model=%s, progress=False)"
    told = shell.run(call % "'openai/m'").out

    assert "%llm_key openai" in told
    assert "OPENAI_API_KEY=…" in told
    assert "llmnb.LLM(model='openai/m', api_key=…)" in told
    assert "local/smollm2" in told
    assert shell.run(call % "llmnb.LLM(model='openai/m', api_key='k')").error is None
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    assert shell.run(call % "'openai/m'").error is None
    monkeypatch.delenv("OPENAI_API_KEY")
    shell.run("%llm_key openai")
    assert shell.run(call % "'openai/m'").error is None
    llmnb.set_key("openai", None)


def test_a_script_is_offered_no_magic(bare, monkeypatch):
    """
    Where the magics are not loaded the function is named, as in a script.
    """
    monkeypatch.delenv("GROQ_API_KEY", raising=False)
    told = bare.run("import llmnb; llmnb.LLM(model='groq/x').call_single_sync('a')").out

    assert "llmnb.set_key('groq', …)" in told
    assert "%llm" not in told


def test_a_mistyped_verb_names_the_nearest(shell):
    """
    So does the accessor of every library; what is not there is no attribute.
    """
    shell.run(SETUP)

    assert "Did you mean generate?" in shell.run("df.llm.genrate('x')").out
    assert "Did you mean classify?" in shell.run("df['text'].llm.clasify").out
    assert shell.run("hasattr(df.llm, 'shape')").value is False


# ------------------------------------------------------------------------------ warnings


@pytest.mark.parametrize(
    "line",
    [
        "df.llm.generate('{text}', max_attempts=1)",
        "df.llm.start('{text}', max_attempts=1).result()",
        "await df.llm.agenerate('{text}', max_attempts=1)",
        "await df.llm.agenerate('Hi', max_attempts=1)",
        "df.llm.generate('Hi', max_attempts=1)",
        "df.llm.plan('Hi')",
        "pl.DataFrame({'text': ['a', 'b']}).llm.generate('{text}', max_attempts=1)",
        "pl.LazyFrame({'text': ['a', 'b']}).llm.generate('{text}', max_attempts=1).collect()",
    ],
)
def test_warnings_point_at_the_persons_line(shell, desk, line):
    """
    Of a blocking and an awaited verb, of a run's result and from another library's thread.
    """
    from llmnb.testing import always

    desk.sim.set_faults(always(400))
    shell.run(SETUP)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        ran = shell.run(f"x = 1\n{line}")

    assert ran.error is None
    ours = [one for one in caught if one.category is UserWarning]
    assert ours
    cell = "ipython-input"
    assert [(cell in one.filename, one.lineno) for one in ours] == [(True, 2)] * len(ours)


def test_a_prompt_without_a_column_has_one_warning_that_lists_them(shell, desk):
    """
    From generate, plan and preview; none where the system message names a column.
    """
    shell.run(SETUP)
    for verb in ("generate", "plan", "preview"):
        with pytest.warns(UserWarning, match="names no column") as caught:
            shell.run(f"df.llm.{verb}('What is the mood?')")
        (message,) = [str(one.message) for one in caught]
        assert "{text}, {stars}" in message
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert shell.run("df.llm.generate('Mood?', system='On {text}')").error is None


def test_answers_that_cannot_be_saved_are_warned_of(shell, desk, monkeypatch, tmp_path):
    """
    With the reason and what to do, though every row has its answer.
    """
    (tmp_path / "file").touch()
    monkeypatch.setenv("LLMNB_CACHE_DIR", str(tmp_path / "file" / "cache"))
    shell.run(SETUP)
    with pytest.warns(UserWarning, match=r"llmnb\.configure\(cache_dir"):
        ran = shell.run("df.llm.generate('{text}', progress=False)")

    assert ran.value.notna().all()


def test_an_unknown_reference_is_told_and_sent_as_it_stands(shell, desk):
    """
    With the variable that was meant; two braces and JSON are nobody's reference.
    """
    shell.run("article = 'A story.'")
    ran = shell.run('%%llm\nShorten {artcle}, {{this}} and {"a": 1}')

    assert ran.err == (
        "{artcle} is sent as it stands: there is no such variable. Did you mean {article}?\n"
    )
    assert desk.prompts == ['Shorten {artcle}, {{this}} and {"a": 1}']


def test_an_unknown_keyword_is_an_error_of_configuration_and_a_type_error():
    """
    Programs that catch either go on as they are.
    """
    assert issubclass(errors.UnknownOption, errors.ConfigurationError)
    assert issubclass(errors.UnknownOption, TypeError)
