"""Promises about what a notebook keeps of a run, executed by a real kernel."""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import nbformat
import pytest
from jupyter_client.manager import KernelManager
from markup import Census
from nbclient import NotebookClient

SUPPORT = Path(__file__).parents[1] / "support"

CARD = """
from ipywidgets.widgets.widget import _instances
def failed_card():
    card, = (
        one for one in _instances.values()
        if isinstance(one, dashboard.RunDashboard) and "banner" in one.snapshot
    )
    return card
"""

BEGIN = f"""
import sys, threading
sys.path.insert(0, {str(SUPPORT)!r})
from asking import ask, questions
from llmnb import progress
from llmnb.notebook import dashboard
from llmnb.testing import faults
from fault_timing import at_numbers
from laboratory import Laboratory
dashboard.install(get_ipython())
KEY = "sk-" + "never" * 9

{CARD}
def wait_for_the_card():
    for thread in threading.enumerate():
        if thread.name == "llmnb-dashboard":
            thread.join(30)
"""


RESET = """
from ipywidgets import Widget
Widget.close_all()
%reset -f
"""


class Executed(Protocol):
    """Runs cells and returns the notebook as it would be saved."""

    def __call__(self, *cells: str) -> Any: ...


@pytest.fixture(scope="module")
def executed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Executed]:
    """Run notebooks in one kernel, each with no name and no widget of those before."""
    kernel = KernelManager(
        kernel_name="python3", client_factory="jupyter_client.asynchronous.AsyncKernelClient"
    )
    kernel.start_kernel(cwd=str(tmp_path_factory.mktemp("kernel")))

    def execute(*cells: str) -> Any:
        sources = [RESET, BEGIN, *cells]
        notebook = nbformat.v4.new_notebook(
            cells=[nbformat.v4.new_code_cell(textwrap.dedent(one)) for one in sources],
            metadata={"kernelspec": {"name": "python3", "display_name": "", "language": "python"}},
        )
        client = NotebookClient(notebook, km=kernel, timeout=100, store_widget_state=True)
        client.execute()
        client.kc.stop_channels()
        del notebook["cells"][0]
        return notebook

    try:
        yield execute
    finally:
        kernel.shutdown_kernel(now=True)


def outputs(cell: Any) -> list[dict[str, str]]:
    shown = [dict(one["data"]) for one in cell["outputs"] if "data" in one]
    return [data for data in shown if any(data.values())]


def widget_models(notebook: Any) -> list[dict[str, Any]]:
    """Return the states of what is kept of widgets; unlike a page, nbclient keeps them all."""
    saved = notebook["metadata"].get("widgets", {})
    models = saved.get("application/vnd.jupyter.widget-state+json", {}).get("state", {})
    return [one["state"] for one in models.values()]


def cards(notebook: Any) -> list[dict[str, Any]]:
    """Return what is kept of cards."""
    return [state for state in widget_models(notebook) if "snapshot" in state]


@pytest.fixture(scope="module")
def big(executed: Executed) -> Any:
    """Execute a run of 5,000 rows that a cell waits for."""
    return executed(
        """
        with Laboratory(latency=0) as sim:
            progress.attend(ask(sim, questions(5000), api_key=KEY))
        """
    )


def test_five_thousand_rows_are_a_small_receipt(big):
    """
    In the dashboard's place stands one output, HTML and text, of less than 200 kB.
    """
    (output,) = outputs(big["cells"][1])

    assert set(output) == {"text/html", "text/plain"}
    assert "All 5,000 rows answered" in Census(output["text/html"]).text
    assert "all 5,000 rows answered" in output["text/plain"]
    assert len(json.dumps(big["cells"][1])) < 200_000


def test_a_line_is_kept_of_the_card_and_nothing_secret(big):
    """
    Of the widget itself, in less than a kilobyte; the receipt is no part of it.
    """
    (card,) = cards(big)

    assert "all 5,000 rows answered" in card["snapshot"]["line"]
    assert len(json.dumps(card["snapshot"])) < 1000
    assert "never" * 9 not in json.dumps(big["cells"][1]) + json.dumps(big["metadata"])
    assert "question 17" not in json.dumps(big["cells"][1])


def test_a_notebook_of_twenty_runs_holds_the_widgets_code_once(executed):
    """
    And of each run less than eight kilobytes, outputs and widgets together.
    """
    notebook = executed(
        """
        with Laboratory(latency=0) as sim:
            for number in range(20):
                progress.attend(ask(sim, questions(3)))
        """
    )
    whole = len(json.dumps(notebook["metadata"])) + len(json.dumps(notebook["cells"][1]))
    codes = [state for state in widget_models(notebook) if "esm" in state]

    assert len(cards(notebook)) == 20
    assert len(codes) == 1
    assert (whole - len(json.dumps(codes))) / 20 < 8_000


def test_a_started_run_becomes_its_receipt_in_its_own_cell(executed):
    """
    The cell that showed the run keeps the receipt, though another cell runs when it ends.
    """
    notebook = executed(
        """
        sim = Laboratory(latency=0).start()
        sim.hold()
        run = ask(sim, questions(30))
        run
        """,
        "run",
        "sim.release(); len(run.result(60)); wait_for_the_card(); sim.stop()",
        "run",
    )
    _, first, second, last, after = notebook["cells"]

    for cell in (first, second, after):
        assert "All 30 rows answered" in Census(outputs(cell)[0]["text/html"]).text
    assert outputs(last) == []


def test_failed_rows_leave_a_strip_in_an_output_of_its_own(executed):
    """
    The receipt stays whatever becomes of the banner, and names the call that its button makes.
    """
    notebook = executed(
        """
        sim = Laboratory(latency=0, faults=at_numbers([3, 5], faults.refusal())).start()
        run = ask(sim, questions(10), api_key=KEY)
        progress.attend(run)
        """,
        "sim.stop()",
    )
    told, banner = outputs(notebook["cells"][1])

    assert "8 of 10 rows answered" in Census(told["text/html"]).text
    assert "application/vnd.jupyter.widget-view+json" in banner
    assert "retry_failed()" in told["text/plain"]
    (card,) = cards(notebook)
    assert card["snapshot"]["banner"]["headline"] == "2 rows failed."
    assert card["snapshot"]["banner"]["code"] == "import llmnb; llmnb.last_run().retry_failed()"
    assert "never" * 9 not in json.dumps(widget_models(notebook))


@pytest.mark.parametrize(
    "again", ["press(banner, do='retry'); press(banner, do='retry')", "run.retry_failed()"]
)
def test_the_banner_follows_who_asks_the_failed_rows_again(executed, again):
    """
    Its button, and a cell, send only them; when all are answered a sentence takes its place.
    """
    notebook = executed(
        """
        from messages import press
        sim = Laboratory(latency=0, faults=at_numbers([3, 5], faults.refusal())).start()
        run = ask(sim, questions(10))
        progress.attend(run)
        """,
        f"""
        banner = failed_card()
        {again}
        wait_for_the_card()
        print(len(sim.ledger.received), sum(one.is_answer for one in run.result(60))); sim.stop()
        """,
    )
    _, asking, retrying = notebook["cells"]

    assert retrying["outputs"][0]["text"].split()[:2] == ["12", "10"]
    (told,) = outputs(asking)
    assert "8 of 10 rows answered" in Census(told["text/html"]).text
    assert "All 2 rows that failed are answered now" in Census(told["text/html"]).text


def test_the_strip_asks_the_rows_of_one_cause_alone(executed):
    """
    What the dashboard was told is asked at the end, the rest stays on the banner until it is asked.
    """
    notebook = executed(
        """
        from messages import press
        broken = {3: faults.refusal(), 5: faults.content_filter(), 7: faults.refusal()}
        sim = Laboratory(latency=0, faults=lambda request: broken.get(request.number))
        sim.start()
        run = ask(sim, questions(10))
        card = dashboard.show_card(run, holds_kernel=True)
        run.wait(60)
        press(card, do="retry", cause="Filtered")
        card.end(run.status())
        wait_for_the_card()
        banner = failed_card()
        shown = banner.snapshot["banner"]
        print(len(sim.ledger.received), shown["headline"], shown["rest"])
        press(banner, do="retry", cause="Filtered")  # nothing failed for it any more
        press(banner, do="retry", cause="Refused")
        wait_for_the_card()
        print(len(sim.ledger.received), sum(one.is_answer for one in run.result(60))); sim.stop()
        """
    )
    printed = "".join(one["text"] for one in notebook["cells"][1]["outputs"] if "text" in one)

    assert printed.splitlines() == ["11 2 rows still fail. 2 refused by the model", "13 10"]
    (told,) = outputs(notebook["cells"][1])
    assert "7 of 10 rows answered" in Census(told["text/html"]).text
    assert "All 3 rows that failed are answered now" in Census(told["text/html"]).text


# ------------------------------------------------------------- what a person's cells keep

FRAME = """
import os, pandas as pd
%load_ext llmnb
refused = lambda request: faults.refusal() if "refuse" in request.prompt else None
sim = Laboratory(latency=0, reply=lambda prompt: f"{prompt} <b>!", faults=refused).start()
os.environ.update(sim.environment)
df = pd.DataFrame({"text": [f"row {number}" for number in range(12)]})
bad = pd.DataFrame({"text": ["fine", "refuse this", "well"]})
options = {"model": "openai/gpt-4o-mini", "use_cache": False}
"""


def shown(cell: Any) -> list[dict[str, str]]:
    """Return the outputs in which something is seen."""
    return [data for data in outputs(cell) if any(data.values())]


def printed(cell: Any) -> str:
    return "".join(part.get("text", "") for part in cell["outputs"])


@pytest.fixture(scope="module")
def day(executed: Executed) -> Any:
    """Execute what a person does with tables on a first day."""
    return executed(
        FRAME,
        "df['a'] = df.llm.generate('Say {text}', **options)",
        "df.llm.generate('Say {text}', **options)",
        "a_cell_that = 'runs nothing and shows nothing'",
        """
        for number in range(10):
            df.llm.generate('Say {text}', params={'temperature': number / 10}, **options)
        """,
        "x = df.llm.generate('Say {text}', progress=False, **options)",
        """
        import llmnb
        llmnb.configure(show_answers=False)
        x = df.llm.generate('Tell {text}', **options)
        llmnb.configure(show_answers=True);
        """,
        "x = bad.llm.generate('{text}', **options)",
        """
        for word in ('One', 'Two'):
            bad.llm.generate(word + ' {text}', **options)
        """,
        "x = df.llm.preview('See {text}', **options)",
        """
        from messages import press
        from llmnb.notebook.plan_card import PlanCard
        card = PlanCard(df.llm.plan('Plan {text}', **options))
        card._ipython_display_()
        press(card, do="first_rows")
        wait_for_the_card()
        """,
        "import llmnb; print(llmnb.last_run().result())",
        "sim.stop()",
    )["cells"][2:]


ASSIGNED, DISPLAYED, _, LOOP, SILENT, PRIVATE, FAILED, FAILING_LOOP, PREVIEW, PLANNED, PASTED = (
    range(11)
)


def test_answers_that_a_cell_does_not_show_stand_open_in_its_receipt(day):
    """
    Prompt, answer and status of five rows as text; a cell that shows its result folds them, and
    they stay so when the next cell shows nothing.
    """
    (assigned,) = shown(day[ASSIGNED])
    (displayed, _) = shown(day[DISPLAYED])
    (preview,) = shown(day[PREVIEW])

    for bundle in (assigned, displayed, preview):
        text = Census(bundle["text/html"]).text
        assert "row 0" in text
        assert "<b>!" in text
        assert bundle["text/html"].count("answered</td>") == (3 if bundle is preview else 5)
    assert "<details open" in assigned["text/html"]
    assert "<details open" in preview["text/html"]
    assert "<details open" not in displayed["text/html"]


def test_ten_runs_of_a_cell_leave_one_receipt(day):
    """
    One line with all rows, the runs by what differs; below 60 kB, in one output.
    """
    (bundle,) = shown(day[LOOP])

    assert "10 runs, all 120 rows answered" in Census(bundle["text/html"]).text
    assert "temperature 0.9" in Census(bundle["text/html"]).text
    assert "<details open" not in bundle["text/html"]
    assert len(bundle["text/html"]) < 20_000
    assert len(bundle["text/plain"].split("\n")) == 11


def test_a_run_takes_eight_kilobytes_in_a_saved_notebook(day):
    """
    The table of its answers, which has six of its own, apart.
    """
    assert len(json.dumps(day[PRIVATE]["outputs"])) <= 8_000
    assert len(json.dumps(day[ASSIGNED]["outputs"])) <= 14_000
    assert len(json.dumps(day[LOOP]["outputs"])) <= 8_000 * 10


def test_without_progress_or_answers_no_text_of_a_table_is_saved(day):
    """
    `progress=False` shows nothing, `configure(show_answers=False)` no prompt and no answer.
    """
    assert shown(day[SILENT]) == []
    (bundle,) = shown(day[PRIVATE])
    assert "All 12 rows answered" in Census(bundle["text/html"]).text
    assert "row 0" not in json.dumps(day[PRIVATE]["outputs"])


def test_failures_are_told_once(day):
    """
    In the receipt: no warning repeats them, the banner names no cause, a loop has no banner.
    """
    receipt, _ = shown(day[FAILED])
    (both,) = shown(day[FAILING_LOOP])

    assert "refused by the model" in Census(receipt["text/html"]).text
    assert printed(day[FAILED]) == printed(day[FAILING_LOOP]) == ""
    assert "2 runs: 4 of 6 rows answered" in Census(both["text/html"]).text
    assert "One {text}, row 1: " in Census(both["text/html"]).text


def test_the_code_of_a_receipt_works_when_it_is_pasted(day):
    """
    After *Run 10* a line gives the answers, where nothing but the extension was loaded.
    """
    receipt, *_ = shown(day[PLANNED])

    assert "import llmnb; llmnb.last_run().result()" in re.findall(
        "<code>(.*?)</code>", receipt["text/html"]
    )
    assert "Plan row 9 <b>!" in printed(day[PASTED])


def test_a_cache_manager_leaves_its_list_in_an_output_of_its_own(executed):
    """
    A page that knows no such widget any more shows the list all the same, as it was last.
    """
    notebook = executed(
        """
        from llmnb.widgets import CacheManager
        manager = CacheManager(cache_dir="kept")
        display(manager)
        with Laboratory(latency=0) as sim:
            progress.attend(ask(sim, questions(3), api_key=KEY, cache_dir="kept"))
        manager.look()
        """
    )
    list_alone, card, *_ = outputs(notebook["cells"][1])

    assert "3 answers kept in 1 project" in Census(list_alone["text/html"]).text
    assert "application/vnd.jupyter.widget-view+json" in card
