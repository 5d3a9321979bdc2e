"""What models, tables and providers write, on a page of JupyterLab: text, and nothing else."""

from __future__ import annotations

import json

import pytest
from markup import PAYLOADS
from playwright.sync_api import expect

from llmnb.testing import SimulatedProvider

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

LOAD = """\
%load_ext llmnb
import json, pathlib, warnings
import pandas as pd
import llmnb
from llmnb import LLM
warnings.simplefilter("ignore")
payloads = json.loads(pathlib.Path("payloads.json").read_text())
df = pd.DataFrame({"<b>{text}": payloads, "text": payloads})
model = LLM(model="<img src=x onerror=alert(1)>", api_provider="openai")
options = {"model": model, "project_name": "<svg onload=alert(1)>"}
pd.set_option("display.max_rows", 200, "display.max_colwidth", None)
"""
CELLS = [
    "run = df.llm.start('text', **options)\nrun",  # dashboard, receipt, banner
    "df.llm.plan('Ask {text}', **options)",
    "df.head(20).llm.compare('{text}', models=[model, 'openai/m'], progress=False)",
    "llmnb.configure(model='openai/m')\n%llm say <script>alert(1)</script>",
    "%llm_cache",
    "%llm_cost",
    "%llm_models openai",
    "df.llm.generate('text', details=True, **options)[['response', 'error']].head(3)",
    "%llm_status",
    "labelled = df.llm.label('text', payloads[:20], fields=['<b>{text}'])\n"
    "labelled.skip()\nlabelled.give(payloads[7])\nlabelled",
    "df.llm.generate('text', details=True, **options).llm.explore()",
    "run.explore(df.llm.start('{text} <i>now</i>', **options))",
    "x = df.llm.generate('text', **options)",  # its answers in the receipt
    "for tag in ('<svg onload=alert(1)>', '</details><script>alert(1)</script>'):\n"
    "    x = df.head(20).llm.generate(tag + ' {text}', **options)",
]

BENCH = 10
CELLS.insert(
    BENCH - 1,
    "bench = df.llm.workbench('<script>{text}', truth=payloads, n=len(payloads), **options)\n"
    "bench.ask()\nbench.prompt = '<svg onload=alert(1)> {text}'\nbench.ask()\nbench",
)

UNFOLD = "(output) => output.querySelectorAll('details').forEach(one => { one.open = true; })"

LIVE = """(output) => {
  const found = [];
  for (const node of output.querySelectorAll("*")) {
    const name = node.localName;
    const ours = node.closest(".llmnb") || name === "svg" || node.closest("svg");
    if (name.startsWith("mjx-")) found.push(name);
    if (["script", "iframe", "object", "embed", "img", "form", "link", "meta", "base", "video",
         "audio", "math", "template", "marquee"].includes(name)) found.push(name);
    if (name === "details" && !node.closest(".llmnb-receipt, .explore")) found.push(name);
    if (name === "svg" && !node.closest(".llmnb, [data-icon]")) found.push(node.outerHTML);
    if (name === "a" && !node.getAttribute("href")?.startsWith("http://127.0.0.1")) found.push("a");
    const isOfPandas = node.textContent.trim().startsWith(".dataframe");
    if (name === "style" && !ours && !isOfPandas) found.push(node.outerHTML);
    for (const one of node.attributes) {
      if (one.name.startsWith("on") || /javascript:/i.test(one.value) && one.name !== "title"
          && !one.name.startsWith("aria-")) found.push(`${name} ${one.name}`);
    }
  }
  return found;
}"""


@pytest.fixture
def provider():
    """A provider that repeats what it is told, and every fifth time as an error."""

    def fault(request):
        return 400 if request.number % 5 == 0 else None

    with SimulatedProvider(reply=lambda prompt: prompt, faults=fault, latency=0) as sim:
        yield sim


def test_nothing_that_was_written_outside_is_live_on_a_page(open_notebook, lab, provider):
    """
    Dashboard, banner, receipts with answers, plan, comparison, answer, cache manager and reports:
    no script runs, no node of theirs stands in the page, nothing is typeset, no request leaves
    this machine.
    """
    notebook = open_notebook("hostile", [LOAD, *CELLS], provider)
    (notebook.path.parent / "payloads.json").write_text(json.dumps(PAYLOADS))
    alarms, strangers = [], []
    notebook.page.on("dialog", lambda one: (alarms.append(one.message), one.dismiss()))
    notebook.page.on("request", lambda one: strangers.append(one.url))
    notebook.done(0)
    expect(notebook.done(1)).to_contain_text("rows answered")
    for number in range(2, len(CELLS) + 1):
        notebook.done(number)
    banner = notebook.output(1).get_by_role("region", name="Failed rows")
    banner.get_by_role("button", name="Show").click()
    manager = notebook.output(5).get_by_role("region", name="Cache manager")
    manager.get_by_role("button", name="<svg onload=alert(1)>", exact=True).click()
    expect(manager).to_contain_text("answers, newest first")
    bench = notebook.output(BENCH).get_by_role("region", name="Workbench")
    bench.get_by_role("button", name="Copy as code").click()
    expect(bench).to_contain_text("as a cell")
    expect(bench.locator("td .txt").first).to_be_visible()

    for number in (12, 13):  # rows to read, and what changed in them
        rows = notebook.output(number).get_by_role("listbox", name="Rows")
        expect(rows.get_by_role("option").first).to_be_visible()
        rows.focus()
        for _ in range(4):
            notebook.page.keyboard.press("PageDown")
        expect(rows.get_by_role("option", selected=True)).to_be_visible()

    notebook.output(len(CELLS)).evaluate(UNFOLD)
    expect(notebook.output(len(CELLS))).to_contain_text("</details><script>alert(1)</script>")
    expect(notebook.output(len(CELLS) - 1)).to_contain_text(PAYLOADS[0])

    for number in range(1, len(CELLS) + 1):
        found = notebook.output(number).evaluate(LIVE)
        assert found == [], (CELLS[number - 1], found)
    assert alarms == []
    ours = (
        f"http://127.0.0.1:{lab.port}/",
        f"ws://127.0.0.1:{lab.port}/",
        "data:",
        "blob:",
    )
    assert [one for one in strangers if not one.startswith(ours)] == []
