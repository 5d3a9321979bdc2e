"""Promises about the magics in a real kernel, message by message."""

from __future__ import annotations

import json
import re

from kernels import WIDGET

import llmnb

KEY = "sk-" + "secret" * 6


def test_an_answer_is_the_value_of_its_cell(bench):
    """
    Safe HTML, safe Markdown and plain text come as the cell's result.
    """
    ran = bench.run("%llm --no-stream plain question?")

    assert ran.status == "ok"
    assert "<strong>plain question?</strong>" in ran.value["text/html"]
    assert "openai/" in ran.value["text/plain"]
    assert ran.of("display_data") == []  # a run of a cell before may still renew its own


def test_an_answer_is_streamed_into_a_single_output(bench):
    """
    One display, replaced in place, the last time by the finished answer; no result beside it.
    Its Markdown is rendered as it comes.
    """
    text = "**word** " * 60
    ran = bench.run(
        "from llmnb.testing import SimulatedProvider\n"
        f"slow = SimulatedProvider(latency=0, tokens_per_second=120, reply={text!r}).start()\n"
        "import os\n"
        "before, os.environ['OPENAI_BASE_URL'] = os.environ['OPENAI_BASE_URL'], slow.base_url"
    )
    assert ran.status == "ok"
    try:
        ran = bench.run("%llm streamed question")
    finally:
        bench.run("os.environ['OPENAI_BASE_URL'] = before; slow.stop()")

    assert ran.status == "ok"
    assert ran.value == {}
    first, *later = ran.shown
    assert later
    assert "<strong>word</strong>" in later[0]["data"]["text/html"]
    assert {output["transient"]["display_id"] for output in ran.shown} == {
        first["transient"]["display_id"]
    }
    assert len(first["data"]["text/plain"]) < len(later[-1]["data"]["text/plain"])
    assert "openai/" in later[-1]["data"]["text/html"]
    assert bench.run("print(str(_) == " + repr(text) + ")").text.strip() in ("True", "False")


def test_a_mistake_in_a_verb_shows_the_persons_line_and_the_message(bench):
    """
    In the kernel's own error message, after whatever this notebook has run before.
    """
    ran = bench.run(
        "import pandas as pd\n"
        "pd.DataFrame({'text': ['a']}).llm.generate('Mood of {txet}?', progress=False)"
    )

    first, line, *rest = "\n".join(ran.reply["traceback"]).splitlines()
    assert first.startswith("Cell In[")
    assert line.strip().startswith("pd.DataFrame(")
    assert rest[0].startswith("UnknownField: The table has no column 'txet'")
    assert len(rest) <= 6


def test_a_failure_is_a_single_message_and_stops_run_all(bench):
    """
    The reply is an error without a page of traceback; the cells behind it are not run.
    """
    ran, after = bench.run_all("%llm -m nobody/nothing Hi", "print('not reached')")

    assert (ran.status, ran.reply["ename"]) == ("error", "UnknownProvider")
    assert len(ran.reply["traceback"]) == 1
    assert "Traceback" not in ran.reply["traceback"][0]
    assert after.status == "aborted"


def test_a_wrong_option_stops_run_all(bench):
    """
    A usage error is an error, too.
    """
    assert bench.run("%%llm --nonsense\nHi").status == "error"


def test_each_row_of_a_frame_shows_a_dashboard_that_becomes_a_receipt(bench):
    """
    Beside the widget stands what a saved notebook can show, which stays alone at the end.
    """
    bench.frame("rows", 12)
    ran = bench.run("%%llm --df df --into answer\n{text}")

    assert ran.status == "ok", ran.reply
    static, card = (output["data"] for output in ran.shown[:2])
    assert static["text/plain"].startswith("0 of 12 rows ")
    assert "What is answered is kept." in static["text/plain"]
    assert WIDGET in card
    last = [output for output in ran.shown if "update" in str(output) or output][-1]["data"]
    assert WIDGET not in last
    assert "12 rows answered" in "".join(
        output["data"].get("text/plain", "") for output in ran.shown
    )
    assert bench.run("print(df['answer'].notna().sum(), list(df.columns))").text == (
        "12 ['text', 'answer']\n"
    )


def test_a_key_is_typed_unseen(bench):
    """
    It is asked for as a password, and no message, history or variable ever holds it.
    """
    begun = bench.kernel.begin("%llm_key groq", allow_stdin=True)
    asked = bench.kernel.client.get_stdin_msg(timeout=60)
    assert asked["content"]["password"] is True
    bench.kernel.client.input(KEY)
    ran = bench.kernel.end(begun)

    assert ran.status == "ok"
    assert "groq" in ran.text
    seen = json.dumps([ran.reply, ran.messages], default=str)
    search = bench.run(
        "print([name for name, value in globals().items() if 'secret' in repr(value)])\n"
        "print(any('secret' * 2 in line for line in In[:-1]))\n"
        "print([row for row in get_ipython().history_manager.get_tail(100) if 'secretsecret' in "
        "str(row[:0])])"
    )
    assert KEY not in seen
    assert KEY not in search.text
    assert bench.run("%llm_models").value["text/plain"].count("found") > 1


def test_where_nobody_can_type_the_cell_fails_with_a_sentence(bench):
    """
    A notebook run by a machine is told where else a key can stand.
    """
    ran = bench.run("%llm_key groq", allow_stdin=False)

    assert ran.status == "error"
    assert "GROQ_API_KEY" in ran.reply["evalue"]


def test_status_shows_a_dashboard_whose_buttons_reach_the_run(bench):
    """
    Stop, pressed on the page of a started run, stops it.
    """
    bench.frame("pressed", 20)
    bench.sim.hold()
    begun = bench.begin("run = df.llm.start('text', max_concurrent_requests=4)")
    assert bench.kernel.end(begun).status == "ok"
    bench.wait_for_more(4)
    ran = bench.run("%llm_status")
    assert ran.status == "ok", ran.reply
    view = next(output["data"][WIDGET] for output in ran.shown if WIDGET in output["data"])
    bench.kernel.press(view["model_id"], do="stop")
    ran = bench.run("print(run.wait(60), run.status().state)")
    bench.sim.release()

    assert ran.text == "True stopped\n"
    bench.sim.wait_idle()
    assert bench.asked("pressed") == 4


def test_the_cache_manager_is_shown(bench):
    """
    A widget in a notebook, and before it what a saved notebook keeps, in words too.
    """
    ran = bench.run("%llm_cache")

    assert ran.status == "ok"
    shown = [output["data"] for output in ran.shown]
    assert any(WIDGET in data for data in shown)
    # The end of an earlier run may be shown in its place at the same time.
    (static,) = [data for data in shown if data["text/plain"].startswith("llmnb cache")]
    assert "answers kept in" in static["text/plain"]
    assert "<table" in static["text/html"]


def test_asyncio_run_in_a_cell_after_it_was_allowed(bench):
    """
    Code written as a script runs in a cell, and the kernel stays well.
    """
    code = "import asyncio\nasyncio.run(asyncio.sleep(0, 'done'))"
    ran = bench.run(f"import llmnb\nllmnb.allow_nested_asyncio()\n{code}")

    assert ran.status == "ok", ran.reply
    assert ran.value["text/plain"] == "'done'"
    ran = bench.run("answer = %llm after the patch\nprint(answer)")
    assert ran.text == "**after the patch**\n"
    ran = bench.run("await asyncio.sleep(0, 'awaited')")
    assert ran.value["text/plain"] == "'awaited'"


def test_unloading_in_a_kernel(bench):
    """
    The magics are gone, and loading again brings them back.
    """
    assert bench.run("%unload_ext llmnb").text == ""
    assert "not found" in bench.run("%llm Hi").text
    assert bench.run("%load_ext llmnb").text == ""
    assert bench.run("%llm Hi").status == "ok"


def test_tab_and_shift_tab_help_in_a_kernel(bench):
    """
    What the page asks for at Tab and Shift-Tab: columns, keywords, models; the whole signature.
    """
    bench.run(
        "%config IPCompleter.use_jedi = False\n"  # it would read all of pandas first
        "import llmnb, pandas as pd\n"
        "helped = pd.DataFrame({'text': ['a'], 'my label': [1]})"
    )
    client = bench.kernel.client

    def completed(code):
        return client.complete(code, reply=True, timeout=60)["content"]["matches"]

    assert completed("%%llm --df helped --into x\nSay {my") == ["my label"]
    assert completed("helped.llm.generate('Say {te") == ["text"]
    assert completed("helped.llm.generate('text', on_e") == ["on_error="]
    assert "openai/gpt-4o-mini" in completed("%llm -m openai/")
    assert set(completed("llmnb.")) == {*llmnb.__all__}

    def inspected(code):
        reply = client.inspect(code, len(code), 0, reply=True, timeout=60)["content"]
        return re.sub(r"\x1b\[[0-9;]*m", "", reply["data"]["text/plain"])

    shown = inspected("helped.llm.generate")
    assert "    budget_usd: float | None = None,\n" in shown
    assert "    budget_usd: The dollars that may be spent" in shown
    assert "%load_ext llmnb" in inspected("llmnb")
    assert bench.run("helped.llm").value.keys() == {"text/html", "text/plain"}
