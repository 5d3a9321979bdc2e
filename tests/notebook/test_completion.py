"""Promises about the Tab key: behind magics, in prompts, in calls; with jedi and without."""

from __future__ import annotations

import pandas as pd
import pytest
from IPython.core.completer import provisionalcompleter
from markup import PAYLOADS

import llmnb
from llmnb import settings
from llmnb.frames.accessors import DataFrameLLM
from llmnb.notebook import completion
from llmnb.options import OPTIONS


@pytest.fixture(params=[False, True], ids=["plain", "jedi"])
def tab(request, shell):
    """Return what is offered at the end of a cell."""
    shell.ip.Completer.use_jedi = request.param
    frame = pd.DataFrame({"text": ["a"], "the label": ["b"], 7: [1]})
    shell.names.update(pd=pd, llmnb=llmnb, reviews=frame, kind=llmnb.LLM(model="sim/any"))

    def offered(cell):
        with provisionalcompleter():
            return [one.text for one in shell.ip.Completer.completions(cell, len(cell))]

    return offered


@pytest.mark.parametrize(
    ("cell", "offered"),
    [
        ("%llm -m openai/gpt-4o-m", ["openai/gpt-4o-mini"]),
        ("%llm -m anth", ["anthropic/"]),
        ("%%llm -m kin", ["kind"]),
        ("%%llm --burst ", ["announced", "smooth"]),
        ("%%llm --df re", ["reviews"]),
        ("%%llm --df reviews --into t", ["text"]),
        ("%%llm --df reviews --into x\nSay {the", ["the label"]),
        ("%%llm\nSay {revi", ["reviews"]),
        ("answer = %llm -f js", ["json"]),
        ("%llm_config model=anthropic/claude-haiku", None),
        ("%llm_config stream=", ["off", "on"]),
        ("%llm_config format=ta", ["table"]),
        ("%llm_config rp", ["rpm="]),
        ("%llm_key openr", ["openrouter"]),
        ("reviews.llm.generate('Say {the", ["the label"]),
        ("llmnb.confi", ["configure"]),
        ("llmnb.sig", []),
    ],
)
def test_what_can_stand_there_is_offered_and_nothing_else(tab, cell, offered):
    """
    Options, models, columns, variables and settings; no word of Python's between them.
    """
    found = tab(cell)

    if offered is None:
        assert found
        assert all(word.startswith(cell.partition("=")[2]) for word in found)
    else:
        assert [word.lstrip(".") for word in found] == offered


@pytest.mark.parametrize(
    ("cell", "kind"),
    [
        ("%llm_config rp", "option"),
        ("%%llm\nSay {revi", "variable"),
        ("%%llm --df reviews\nSay {te", "column"),
        ("reviews.llm.generate('Say {te", "column"),
        ("reviews.llm.generate('Say', mo", "param"),
        ("llmnb.confi", "attribute"),
    ],
)
def test_a_list_says_what_it_offers(shell, cell, kind):
    """
    JupyterLab shows it beside each name; where nothing is said it shows "<unknown>".
    """
    shell.names.update(llmnb=llmnb, reviews=pd.DataFrame({"text": ["a"]}))

    with provisionalcompleter():
        found = list(shell.ip.Completer.completions(cell, len(cell)))

    assert found[0].type == kind


@pytest.mark.parametrize(
    "call", ["llmnb.AsyncLLM('openai', max_tokens=5, ma", "llmnb.configure(ma"]
)
def test_keywords_are_completed(tab, call):
    """
    Those of functions and classes, whatever stands before on the line.
    """
    assert {*tab(call)} >= _WANTED


@pytest.mark.parametrize("jedi", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_keywords_of_verbs_are_completed(shell, jedi):
    """
    Of a frame, of a column that is looked up on the way, and over several lines.
    """
    shell.ip.Completer.use_jedi = jedi  # which reads all of pandas once, and takes its time
    shell.names["reviews"] = pd.DataFrame({"text": ["a"]})
    for call in (
        "reviews.llm.generate('{text}', ma",
        "reviews['text'].llm.generate('{}', ma",
        "run = reviews.llm.start(\n    'Say {text}',\n    ma",
    ):
        with provisionalcompleter():
            found = {one.text for one in shell.ip.Completer.completions(call, len(call))}

        assert found >= _WANTED, call


_WANTED = {"max_requests_per_minute=", "max_tokens_per_minute=", "max_wait="}


def test_every_keyword_of_a_verb_is_offered():
    """
    Each option of the table that the verb has.
    """
    call = "reviews.llm.generate('{text}', "
    offered = {word.rstrip("=") for word in completion.offered(call, len(call), {}).words}

    assert {name for name, option in OPTIONS.items() if "frames" in option.doors} <= offered


@pytest.mark.parametrize(
    "cell",
    [
        *("%llm ", "%%llm ", "%llm -", "%%llm -m", "%%llm --df", "%%llm --df nothing --into "),
        *(
            "%llm_config =",
            "%llm_config model=x/y/",
            "%llm_cache clear ",
            "%llm_cost ",
            "%llm_xyz ",
        ),
        *(
            "%%llm --df reviews --into x\n{",
            "%%llm --df 'broken\n{t",
            "%llm {",
            "x.llm.y(",
        ),
        *(
            "'.llm.generate({",
            "llmnb.",
            "(((.llm.generate(",
            "%%llm --df reviews\n{}{",
            "é.llm.generate(",
        ),
    ],
)
def test_nothing_that_is_typed_ends_in_an_exception(tab, cell, capfd):
    """
    Half an option, a variable that is not there, a bracket too many: no trace is printed.
    """
    tab(cell)

    assert "".join(capfd.readouterr()) == ""


def test_hostile_names_are_offered_as_they_are_or_not_at_all(tab, shell, capfd):
    """
    Columns with controls or braces are left out, and no property of a variable is run.
    """

    class Trap:
        def __getattr__(self, name):
            raise RuntimeError(name)

        @property
        def columns(self):
            raise RuntimeError("asked")

    shell.names.update(trap=Trap(), odd=pd.DataFrame({name: [1] for name in PAYLOADS}))
    found = tab("%%llm --df odd --into x\n{")

    assert all(name.isprintable() and not {*"{}"} & {*name} for name in found)
    for cell in ("%%llm --df tr", "%%llm --df trap --into ", "trap.llm.generate('{", "%llm -m tr"):
        tab(cell)
    assert "".join(capfd.readouterr()) == ""


def test_dir_lists_the_public_names_only():
    """
    No room of the house, no helper of the front door.
    """
    assert dir(llmnb) == list(llmnb.__all__)


def test_the_help_of_the_package_names_where_to_begin():
    """
    ``llmnb?`` names the extension, the verbs, and what is set and looked at.
    """
    for name in (
        *("%load_ext llmnb", "df.llm.generate", "AsyncLLM", "configure", "set_key", "last_run"),
        *("runs", "%llm_config"),
    ):
        assert name in llmnb.__doc__


def test_the_help_of_configure_describes_every_setting():
    """
    ``configure?`` has a line for each, also for the short names.
    """
    for name in (*settings.Settings.__dataclass_fields__, "rpm", "budget"):
        assert f"\n    {name}: " in (llmnb.configure.__doc__ or "").replace("\n        ", "\n    ")


def test_the_help_of_a_verb_can_be_read(shell):
    """
    What Shift-Tab shows: the signature with types as a person writes them, arguments, an example.
    """
    shell.names["DataFrameLLM"] = DataFrameLLM
    shown = shell.ip.object_inspect_text("DataFrameLLM.generate")

    assert "Unpack" not in shown
    assert "**options" not in shown
    for words in ("model: Model | Sequence[Model] | None", "max_wait: How many", ">>> answers ="):
        assert words in shown
