"""Promises about %llm and %%llm: what is sent, what comes back, what fails and how."""

from __future__ import annotations

import pandas as pd
import pytest
from inert import check_inert
from markup import PAYLOADS, Census, about

from llmnb import LLMModel, LLMResult
from llmnb.errors import MissingKey, SchemaMismatch, UnknownModel
from llmnb.notebook.answer import Answer
from llmnb.options import FORMATS
from llmnb.records import Outcome, Reply
from llmnb.testing import always


def test_a_line_is_a_prompt(shell, desk):
    """
    What stands behind %llm is sent word for word, and the answer is the value of the cell.
    """
    desk.answer = "It scatters."
    ran = shell.run('%llm Why\'s the sky "blue" -m {x} $HOME?')

    assert ran.error is None
    assert desk.bodies[-1]["messages"] == [
        {"role": "user", "content": 'Why\'s the sky "blue" -m {x} $HOME?'}
    ]
    assert isinstance(ran.value, Answer)
    assert (str(ran.value), ran.value.text) == ("It scatters.", "It scatters.")
    assert (ran.out, ran.err) == ("", "{x} is sent as it stands: there is no such variable.\n")


@pytest.mark.parametrize(
    "cell",
    [
        "%llm Why is the sky blue?",
        "%llm  Why is the sky blue?",
        "answer = %llm Why is the sky blue?",
        "if True:\n    %llm Why is the sky blue?\n",
        "1 + 1\n%llm Why is the sky blue?\n2 + 2",
    ],
)
def test_a_question_mark_at_the_end_belongs_to_the_prompt(shell, desk, cell):
    """
    IPython does not take it for a look at some documentation.
    """
    ran = shell.run(cell)

    assert (ran.error, ran.out) == (None, "")
    assert desk.prompts == ["Why is the sky blue?"]


@pytest.mark.parametrize("cell", ["%llm?", "%llm??", "%%llm?", "?%llm", "len?", "t = 'x %llm y?'"])
def test_help_is_still_help(shell, desk, cell):
    """
    A question about the magic, or about anything else, is sent to nobody.
    """
    assert shell.run(cell).error is None
    assert desk.prompts == []


def test_an_answer_knows_where_it_came_from(shell, desk):
    """
    Model, dollars, seconds and the whole outcome stand on the answer.
    """
    answer = shell.run("%llm Hi").value

    assert answer.model.startswith("openai/")
    assert answer.seconds > 0
    assert answer.outcome.source == "sent"
    again = shell.run("%llm Hi").value
    assert again.outcome.is_cached
    assert again.usd == 0
    assert "from the cache" in again.foot
    assert len(desk.bodies) == 1


def test_options_stand_before_the_prompt_of_a_line(shell, desk):
    """
    They are read off its front, and only there.
    """
    shell.run('%llm -m openai/other -s "Be brief." -o kept What is -o good for?')

    (body,) = desk.bodies
    assert body["model"] == "other"
    assert body["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "What is -o good for?"},
    ]
    assert str(shell.names["kept"])


def test_a_cell_is_a_prompt(shell, desk):
    """
    Its lines are sent as they are, indentation and blank lines included.
    """
    shell.run('%%llm -m openai/other -s "Two words"\nFirst\n\n    second {"a": 1} $x\n')

    assert desk.prompts[-1] == 'First\n\n    second {"a": 1} $x'


def test_variables_are_filled_in(shell, desk):
    """
    Names, attributes, items, earlier cells and the last exception; nothing is run.
    """
    shell.run("word = 'sky'\nrow = {'k': '{word}'}")
    shell.run("1 + 1")
    shell.run("1 / 0")
    shell.run("%%llm\n{word} {row['k']} {word.upper()} {In[2]} {Out[2]} {Err} {open} {unknown}")

    assert desk.prompts[-1] == (
        "sky {word} {word.upper()} 1 + 1 2 ZeroDivisionError: division by zero {open} {unknown}"
    )


def test_an_answer_can_be_bound_and_referred_to(shell, desk):
    """
    -o gives it a name; in the next prompt the name stands for its text.
    """
    desk.answer = "blue"
    shell.run("%%llm -o colour\nWhich?")
    shell.run("%llm Why {colour}?")

    assert desk.prompts[-1] == "Why blue?"


def test_no_cache_asks_anew_and_keeps_the_answer(shell, desk):
    """
    The next question finds the newer answer.
    """
    shell.run("%llm Hi")
    desk.answer = "anew"
    assert str(shell.run("%llm --no-cache Hi").value) == "anew"
    assert str(shell.run("%llm Hi").value) == "anew"
    assert len(desk.bodies) == 2


def test_several_models_are_the_order_of_fallback(shell, desk):
    """
    Where the first fails the second is asked, and the answer says who it was.
    """
    desk.sim.set_faults(lambda request: 404 if request.model == "first" else None)
    answer = shell.run("%llm -m openai/first -m openai/second Hi").value

    assert answer.model == "openai/second"


def test_a_variable_may_name_a_model_that_is_an_object(shell, desk):
    """
    `-m NAME` asks the model that the variable holds, for one prompt and for a frame's rows.
    """

    class Upper(LLMModel):
        async def acompletion(self, messages, **kw):
            return [LLMResult(text=messages[-1].text.upper())]

    shell.names["mine"] = Upper()
    shell.names["df"] = pd.DataFrame({"text": ["a", "b"]})

    assert str(shell.run("%llm -m mine -f text hello").value) == "HELLO"
    shell.run("%%llm -m mine --df df --into answer\n{text}")
    assert shell.names["df"]["answer"].tolist() == ["A", "B"]
    assert desk.prompts == []


def test_a_model_that_nobody_named_is_announced_once(shell, desk, monkeypatch):
    """
    Who is asked, why, and at which price; on one line, in the first cell only.
    """
    monkeypatch.delenv("LLMNB_MODEL")
    first, second = shell.run("%llm One"), shell.run("%llm Two")

    assert first.err.startswith("No model named: asking openai/")
    assert second.err == ""


def test_an_answer_fills_a_schema(shell, desk):
    """
    --schema names a form, and the value is an object of it.
    """
    desk.answer = '{"city": "Bonn", "people": 330000}'
    shell.run(
        "import dataclasses\n@dataclasses.dataclass\nclass City:\n    city: str\n    people: int"
    )
    ran = shell.run("%%llm --schema City\nWhere?")

    assert ran.error is None
    assert ran.value.value.city == "Bonn"
    assert "330000" in ran.value_shown["text/html"]


# ---------------------------------------------------------------------------- forms


def test_json_is_parsed(shell, desk):
    """
    -f json says so to the model and hands the value over, a fence notwithstanding.
    """
    desk.answer = 'Here: ```json\n{"stars": [5]}\n```'
    ran = shell.run("%%llm -f json\nRate it.")

    assert ran.value.value == {"stars": [5]}
    assert "JSON" in desk.bodies[-1]["messages"][0]["content"]
    assert "&quot;stars&quot;" in ran.value_shown["text/html"]


def test_code_is_taken_out_of_its_fence(shell, desk):
    """
    -f code gives the code alone; it is shown, never run.
    """
    desk.answer = "Sure!\n```python\nboom = 1\n```\nDone."
    ran = shell.run("%%llm -f code\nWrite it.")

    assert ran.value.value == "boom = 1"
    assert "boom" not in shell.names
    assert ran.value_shown["text/plain"].startswith("boom = 1")


def test_a_table_becomes_a_frame(shell, desk):
    """
    -f table reads a Markdown table, numbers as numbers.
    """
    desk.answer = "| city | people |\n|---|---|\n| Bonn | 330000 |\n| Köln | 1080000 |"
    frame = shell.run("%%llm -f table\nCities").value.value

    assert list(frame.columns) == ["city", "people"]
    assert frame["people"].sum() == 1410000


def test_text_is_shown_as_it_is(shell, desk):
    """
    -f text looks for nothing in it.
    """
    desk.answer = "**not bold**"
    ran = shell.run("%%llm -f text\nHi")

    assert "<strong>" not in ran.value_shown["text/html"]
    assert "**not bold**" in ran.value_shown["text/html"]


@pytest.mark.parametrize("form", ["json", "table"])
def test_an_answer_of_another_form_is_an_error_that_quotes_its_start(shell, desk, form):
    """
    The cell fails and says how to go on.
    """
    desk.answer = "I cannot do that."
    ran = shell.run(f"%%llm -f {form}\nHi")

    assert isinstance(ran.error, SchemaMismatch)
    assert "I cannot do that." in str(ran.error)


# --------------------------------------------------------------------------- on show


def test_an_answer_on_show_is_inert(shell, desk):
    """
    Nothing that a model writes is live in a notebook, whichever form it has.
    """
    desk.answer = "\n\n".join(PAYLOADS)
    for form in ("markdown", "text", "code"):
        shown = shell.run(f"%%llm -f {form} --no-cache\nHi").value_shown
        check_inert(shown["text/html"], wrapped=True)
        assert "evil.test" in shown["text/html"]
        assert not set(shown["text/plain"]) & set("\x1b\u202e")


@pytest.mark.parametrize("form", FORMATS)
def test_every_text_of_an_answer_is_inert(form):
    """
    What was answered, what was read out of it and the names of who answered are text, in each form.
    """
    values = {
        "json": lambda text: {text: [text]},
        "table": lambda text: pd.DataFrame({text: [text]}),
    }
    for payload in PAYLOADS:
        with about(payload):
            who = {"provider": payload, "model": payload}
            outcome = Outcome(row=0, reply=Reply(text=payload), seconds=1.0, **who)
            value = values.get(form, str)(payload)
            shown = Answer(outcome, form=form, value=value).bundle()

            if form == "table":  # whose own styles stand there, too
                page = Census(shown["text/html"])
                assert page.elements <= {"div", "table", "tr", "th", "td"}
                assert page.others == page.open == []
            else:
                check_inert(shown["text/html"], wrapped=True)
            assert not set(shown["text/plain"]) & set("\x1b\u202e\x00\r\x07")


def test_an_answer_shows_who_answered(shell, desk):
    """
    Model, time and dollars stand under it, on a page and as plain text.
    """
    shown = shell.run("%llm Hi").value_shown

    for mime in ("text/html", "text/plain"):
        assert "openai/" in shown[mime]


def test_invented_answers_are_marked(shell):
    """
    What the simulated provider answers says so on every display.
    """
    shown = shell.run("%llm -m sim/demo Hi").value_shown

    for mime in ("text/html", "text/plain"):
        assert "simulated" in shown[mime]


# ------------------------------------------------------------------------- each row


def test_each_row_of_a_frame_is_asked(shell, desk):
    """
    --df and --into: the cell is a template over its columns, and the name gets a new frame.
    """
    desk.answer = lambda prompt: prompt.upper()
    shell.run("import pandas as pd\nseen = df = pd.DataFrame({'a b': ['x', None, 'z']})")
    ran = shell.run("%%llm --df df --into answer\nSay {a b} {{sic}}")

    assert ran.error is None
    assert ran.value is None
    assert shell.names["df"]["answer"].tolist()[::2] == ["SAY X {SIC}", "SAY Z {SIC}"]
    assert shell.names["df"]["answer"].isna().tolist() == [False, True, False]
    assert list(shell.names["seen"].columns) == ["a b"]


def test_the_new_frame_can_have_another_name(shell, desk):
    """
    With -o the first frame keeps its name.
    """
    shell.run("import pandas as pd\ndf = pd.DataFrame({'a': ['x']})")
    shell.run("%%llm --df df --into b -o wide\n{a}")

    assert list(shell.names["df"].columns) == ["a"]
    assert list(shell.names["wide"].columns) == ["a", "b"]


# --------------------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("cell", "words"),
    [
        ("%llm", "There is no prompt"),
        ("%%llm\n   ", "There is no prompt"),
        ("%llm --nonsense Hi", "'--nonsense' is no argument"),
        ("%llm -m", "expected one argument"),
        ("%%llm openai/m\nHi", "named with -m"),
        ("%%llm -f xml\nHi", "xml"),
        ("%%llm -o 1x\nHi", "cannot be the name of a variable"),
        ("%%llm --df df\n{a}", "go together"),
        ("%%llm --into b\n{a}", "go together"),
        ("%%llm --df missing --into b\n{a}", "no variable 'missing'"),
        ("%%llm --df word --into b\n{a}", "is no table"),
        ("%%llm --schema missing\nHi", "no variable 'missing'"),
    ],
)
def test_a_mistake_is_told_in_a_sentence_before_anything_is_sent(shell, desk, cell, words):
    """
    The cell fails with what is wrong and how it is written, without a traceback.
    """
    shell.run("word = 'x'")
    ran = shell.run(cell)

    assert ran.error is not None
    assert words in ran.err + ran.out
    assert "Traceback" not in ran.err + ran.out
    assert desk.bodies == []


def test_a_failure_is_raised_with_its_message_alone(shell, desk, monkeypatch):
    """
    Run All stops; the person sees one message, a program catches the usual error.
    """
    monkeypatch.delenv("OPENAI_API_KEY")
    ran = shell.run("%llm Hi")

    assert isinstance(ran.error, MissingKey)
    assert ran.out.startswith("MissingKey: openai needs an API key")
    assert "Traceback" not in ran.out
    caught = shell.run(
        "import llmnb\ntry:\n    %llm Hi\nexcept llmnb.errors.MissingKey:\n    print('caught')"
    )
    assert caught.out == "caught\n"


def test_a_refused_prompt_is_an_error(shell, desk):
    """
    What the provider refuses is raised, not shown as an answer.
    """
    desk.sim.set_faults(always(400))
    assert shell.run("%llm Hi").error is not None


def test_an_unknown_model_is_an_error_with_suggestions(shell):
    """
    Nothing is asked of anybody else instead.
    """
    assert isinstance(shell.run("%llm -m gpt-4o-minni Hi").error, UnknownModel)


# -------------------------------------------------------------------------- options


def test_options_are_traitlets(shell, desk):
    """
    %config sets them, for every prompt from then on.
    """
    shell.run('%config LLMMagics.model = "openai/second"')
    shell.run('%config LLMMagics.system = "Be kind."')
    shell.run('%config LLMMagics.project_name = "Kind words"')
    shell.run("%llm Hi")

    (body,) = desk.bodies
    assert body["model"] == "second"
    assert body["messages"][0]["content"] == "Be kind."
    assert "Kind words" in shell.run("%llm_cache list").out


def test_a_wrong_option_is_refused(shell, caplog):
    """
    A limit that is none is told, and nothing is changed.
    """
    shell.run('%config LLMMagics.limits = {"per_second": 3}')

    assert "per_second" in caplog.text
    assert shell.run("%config LLMMagics.limits").value == {}


def test_a_program_can_ask_too(shell, desk):
    """
    run_line_magic and run_cell_magic return the answer.
    """
    desk.answer = "yes"
    assert str(shell.ip.run_line_magic("llm", "Hi")) == "yes"
    assert str(shell.ip.run_cell_magic("llm", "-f text", "Hi")) == "yes"
