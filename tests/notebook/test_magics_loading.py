"""Promises about %load_ext and %unload_ext: silent, once, and without a trace."""

from __future__ import annotations

import subprocess
import sys

import pandas
import pytest
from IPython.core.completer import provisionalcompleter
from shells import Shell

import llmnb
from llmnb import progress
from llmnb.notebook import dashboard

NAMES = {
    "line": {
        "llm",
        "llm_cache",
        "llm_config",
        "llm_cost",
        "llm_key",
        "llm_models",
        "llm_status",
    },
    "cell": {"llm"},
}


def magics(shell: Shell) -> dict[str, dict[str, object]]:
    """Return all magics of a shell."""
    return {kind: dict(found) for kind, found in shell.ip.magics_manager.magics.items()}


def completers(shell: Shell) -> list[object]:
    """Return what the Tab key asks beside IPython's own."""
    return list(shell.ip.Completer.custom_matchers)


def test_loading_is_silent_and_brings_every_magic(bare):
    """
    Nothing is printed, nothing is shown; the magics are there, and frames have their llm.
    """
    before = magics(bare)
    ran = bare.run("%load_ext llmnb")

    assert (ran.error, ran.out, ran.err, ran.shown) == (None, "", "", [])
    new = {kind: set(found) - set(before[kind]) for kind, found in magics(bare).items()}
    assert new == NAMES
    assert progress._display_factory is dashboard.display_for
    assert bare.run("import pandas as pd; pd.DataFrame({'a': [1]}).llm").error is None


def test_loading_twice_is_loading_once(bare):
    """
    The second time changes nothing: options that were set stay set.
    """
    llmnb.load_ipython_extension(bare.ip)
    bare.run('%config LLMMagics.model = "openai/m"')
    first = magics(bare)
    llmnb.load_ipython_extension(bare.ip)

    assert magics(bare) == first
    assert bare.run("%config LLMMagics.model").value == "openai/m"
    assert [type(one).__name__ for one in bare.ip.configurables].count("LLMMagics") == 1


def test_plans_show_themselves_while_the_extension_is_loaded(bare, capsys):
    """
    A plan that ends a cell shows itself, and is a plain object again after unloading.
    """
    formatter = bare.ip.display_formatter.ipython_display_formatter
    bare.ip.extension_manager.load_extension("llmnb")
    plan = pandas.DataFrame({"text": ["a"]}).llm.plan("text", model="openai/m")

    assert formatter(plan) is True
    assert "Nothing was sent." in capsys.readouterr().out  # words, where no card can be

    bare.ip.extension_manager.unload_extension("llmnb")
    assert formatter(plan) is None


def test_unloading_leaves_nothing(bare):
    """
    Magics, options, completions and the dashboard's hook are as they were before.
    """
    if hasattr(bare.ip.magics_manager, "load_all_lazy_magics"):
        bare.ip.magics_manager.load_all_lazy_magics()  # else looking at them loads some
    rules = bare.ip.input_transformer_manager.token_transformers
    before = (magics(bare), completers(bare), list(bare.ip.configurables), list(rules))
    registry = dict(bare.ip.magics_manager.registry)
    printers = dict(bare.ip.display_formatter.ipython_display_formatter.type_printers)
    bare.run("%load_ext llmnb")
    ran = bare.run("%unload_ext llmnb")

    assert (ran.error, ran.out, ran.err) == (None, "", "")
    after = (magics(bare), completers(bare), list(bare.ip.configurables), list(rules))
    assert after == before
    assert dict(bare.ip.magics_manager.registry) == registry
    assert bare.ip.display_formatter.ipython_display_formatter.type_printers == printers
    assert progress._display_factory is None
    llmnb.unload_ipython_extension(bare.ip)  # once more does no harm


def test_a_magic_of_somebody_else_comes_back(bare):
    """
    Who had a %llm before has it again.
    """

    def llm(line: str) -> str:
        return "theirs"

    bare.ip.register_magic_function(llm, "line", "llm")
    bare.run("%load_ext llmnb")
    bare.run("%unload_ext llmnb")

    assert bare.run("%llm x").value == "theirs"


def test_a_magic_that_was_replaced_since_is_left_alone(bare):
    """
    What somebody registered after us is not ours to take out.
    """
    bare.run("%load_ext llmnb")
    bare.ip.register_magic_function(lambda line: "newer", "line", "llm")
    bare.run("%unload_ext llmnb")

    assert bare.run("%llm x").value == "newer"


def test_reloading_works(bare):
    """
    %reload_ext gives working magics.
    """
    bare.run("%load_ext llmnb")
    ran = bare.run("%reload_ext llmnb")

    assert ran.error is None
    assert bare.run("%llm_cache list").out.strip()


def test_every_magic_explains_itself(shell):
    """
    A question mark behind a magic shows what it does and its options.
    """
    for kind, names in NAMES.items():
        for name in names:
            text = shell.ip.magics_manager.magics[kind][name].__doc__
            assert text
            assert len(text.split()) > 8
    assert "--no-cache" in shell.ip.magics_manager.magics["cell"]["llm"].__doc__


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("%llm_key ope", "openai"),
        ("%llm_models ant", "anthropic"),
        ("%llm_config max_r", "max_requests_per_minute="),
        ("%llm_cache cl", "clear"),
        ("%%llm --sch", "--schema"),
        ("%%llm -f js", "json"),
        ("%%llm -m ant", "anthropic/"),
    ],
)
def test_the_tab_key_helps(shell, line, offered):
    """
    Providers, settings, actions, options and forms are completed.
    """
    with provisionalcompleter():
        found = [one.text for one in shell.ip.Completer.completions(line, len(line))]

    assert offered in found


@pytest.mark.parametrize("line", ["%llm", "%%llm", "%llm_key", "%llm_cache", "%llm_config"])
def test_the_tab_key_at_a_magics_own_name_prints_no_trace(shell, line, capfd):
    """
    A magic's name without a blank after it is completed like any other word.
    """
    with provisionalcompleter():
        offered = [one.text for one in shell.ip.Completer.completions(line, len(line))]

    assert line in offered
    assert "Traceback" not in "".join(capfd.readouterr())


def test_loading_brings_no_machinery():
    """
    What asks, counts, prices and renders is loaded when it is first used.
    """
    heavy = "aiohttp pydantic tiktoken genai_prices markdown_it jsonschema limits diskcache dotenv"
    script = (
        "import sys\n"
        "from IPython.core.interactiveshell import InteractiveShell\n"
        "InteractiveShell.instance().extension_manager.load_extension('llmnb')\n"
        f"print([name for name in {heavy.split()} if name in sys.modules])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=100, check=True
    )

    assert done.stdout == "[]\n"
    assert done.stderr == ""


def test_it_works_in_a_plain_terminal():
    """
    `ipython` without a notebook loads it, asks, prints the answer, and fails with one message.
    """
    script = (
        "%load_ext llmnb\n"
        "answer = get_ipython().run_line_magic('llm', '-m sim/demo Say something')\n"
        "assert str(answer)\n"
        "answer\n"
        "%llm_cost\n"
        "%llm -m nobody/x Hi\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "IPython", "--no-banner", "--simple-prompt", "--colors=NoColor"],
        input=script,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )

    assert "simulated" in done.stdout
    assert "sim/demo" in done.stdout
    assert "UnknownProvider" in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
