"""Promises of the pages that tell how to do things: what they show runs, and does what it says."""

from __future__ import annotations

import ast
import asyncio
import inspect
import re
import shlex
import shutil
from pathlib import Path
from typing import Any

import pytest
from laboratory import Laboratory
from needs import ROOT

import llmnb.settings
from llmnb import cli
from llmnb.batches import poller
from llmnb.testing import SimulatedRequest

DOCS = ROOT / "docs"
GUIDES = ("evaluation", "models", "embeddings", "batches", "limits", "generation", "notebooks")
LOCAL = DOCS / "how-to" / "local-model.md"
COMMANDS = DOCS / "reference" / "command-line.md"
PAGES = [DOCS / "start.md", COMMANDS, *sorted({*(DOCS / "how-to").glob("*.md")} - {LOCAL})]
NOT_OURS = ("pull", "demo", "doctor", "simulate")
"""Commands that fetch, ask the local model or serve: they have tests of their own."""


def blocks(path: Path, language: str) -> list[str]:
    """Return a page's blocks of code in one language."""
    text = path.read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.M | re.S)


def answer(prompt: str, request: SimulatedRequest) -> str:
    """Answer as each page's question wants to be answered."""
    form = str(request.body.get("response_format"))
    if "stars_quote" in form:
        return '{"topic": "food", "topic_quote": "it", "stars": 4, "stars_quote": "it"}'
    if "bars" in form:
        return '{"title": "Sales", "bars": 3}'
    if "stars" in form:
        return '{"topic": "food", "stars": 4}'
    return "negative" if "not" in prompt.lower() else "positive"


@pytest.fixture(scope="module")
def sim():
    """Answer for OpenAI, Groq and a server of one's own."""
    with Laboratory(latency=0, reply=answer) as laboratory:
        yield laboratory


@pytest.fixture
def folder(sim, tmp_path, monkeypatch):
    """Be where a reader is: beside the table, with keys of providers that are simulated."""
    shutil.copy(ROOT / "examples" / "data" / "reviews.csv", tmp_path)
    (tmp_path / "photos").mkdir()
    for name in ("one", "two"):
        shutil.copy(DOCS / "pictures" / "receipt-loop.png", tmp_path / "photos" / f"{name}.png")
    for provider in ("OPENAI", "GROQ"):
        monkeypatch.setenv(f"{provider}_API_KEY", sim.api_key)
        monkeypatch.setenv(f"LLMNB_{provider}_BASE_URL", sim.base_url)
    monkeypatch.setattr(poller, "FIRST_SECONDS", 0.05)  # until a batch is asked after
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(code: str, names: dict[str, Any]) -> None:
    """Run a block as a notebook does: `await` may stand anywhere."""
    compiled = compile(code, "block", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    if compiled.co_flags & inspect.CO_COROUTINE:
        asyncio.run(eval(compiled, names))
    else:
        exec(compiled, names)


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_a_page_runs_from_top_to_bottom(path, sim):
    """
    Each block of Python and each command runs after the one before it.
    """
    text = path.read_text(encoding="utf-8")
    names: dict[str, Any] = {"__name__": "__main__"}
    for language, code in re.findall(r"^```(python|bash)\n(.*?)^```$", text, re.M | re.S):
        # The address that a page makes up is the simulated one.
        code = code.replace("http://127.0.0.1:8000/v1", sim.base_url)
        if language == "python":
            run(code, names)
            continue
        for line in code.splitlines():
            command, *arguments = shlex.split(line, comments=True) or [""]
            if command == "llmnb" and arguments[0] not in NOT_OURS:
                assert cli.main(arguments) == 0, line


GIVEN = """
import asyncio, llmnb, pandas as pd, pydantic
df = pd.read_csv("reviews.csv").head(24)
df = df.assign(subject=df.about, body=df.text, letter=df.text, reply=df.text, reply_before=df.label)
df["category"], df["older reply"] = ["billing", "delivery", "returns"] * 8, df.text
labels, texts, token_count = ["billing", "delivery", "returns"], list(df.text[:5]), 5
labelled = df.llm.label("category", labels, n=50)
while labelled.position is not None:
    labelled.give(df["category"].iloc[labelled.position])
class Ticket(pydantic.BaseModel):
    topic: str
class Order(pydantic.BaseModel):
    buyer: str
    amount: float
run = before = df.llm.start("Given: {text}", progress=False)
run.wait()
ex = df.llm.explore("reply")
llm = llmnb.LLM(model="openai/gpt-4o-mini")
"""
"""What a reader of a guide has: tickets with a person's labels, forms, and a run."""


@pytest.mark.usefixtures("folder")
@pytest.mark.filterwarnings("ignore::UserWarning")  # rows whose made-up answer fits no schema
@pytest.mark.parametrize("guide", GUIDES)
def test_a_guide_runs_from_top_to_bottom(guide, monkeypatch, sim):
    """
    Each block of Python runs after the one before it, for a reader who has labels and a run.
    """
    for provider in ("TOGETHER", "ANTHROPIC"):
        monkeypatch.setenv(f"{provider}_API_KEY", sim.api_key)
        monkeypatch.setenv(f"LLMNB_{provider}_BASE_URL", sim.base_url)
    monkeypatch.setenv("LLMNB_MODEL", "openai/gpt-4o-mini")
    monkeypatch.setenv("LLMNB_EMBEDDING_MODEL", "openai/text-embedding-3-small")
    names: dict[str, Any] = {"__name__": "__main__"}
    run(GIVEN, names)
    for code in blocks(DOCS / f"{guide}.md", "python"):
        if "marimo" not in code:  # its own notebooks are tried elsewhere
            code = re.sub(r'"(run|batch)-\d{8}-\d{6}-\w+"', "before.run_id", code)
            run(code.replace('"…"', '"any"'), names)


def test_the_local_model_is_asked_as_the_readme_asks_it():
    """
    Its page has the README's own question, whose answers are scored where the README is tested.
    """
    (code,) = blocks(LOCAL, "python")
    (question,) = re.findall(r"df = df\.llm\.generate\(.*?^\)\n.*?\n", code, re.M | re.S)

    assert question in (ROOT / "README.md").read_text(encoding="utf-8")


def test_a_project_some_or_all_are_cleared(folder):
    """
    After the last line of its page only what that line asked is kept.
    """
    *_, clearing = blocks(DOCS / "how-to" / "cache.md", "python")
    run("import llmnb\n" + clearing, {})
    cache = llmnb.settings.cache_dir()

    assert [path.name.rpartition("-")[0] for path in cache.glob("[!.]*")] == ["new"]


def test_five_dollars_are_not_overshot(folder, sim):
    """
    Of a table that costs more a budget buys a part, on the command line as well, and the same
    command with more money buys the rest.
    """
    arguments = "run reviews.csv --prompt {text} --model openai/gpt-4o-mini --max-tokens 4 --quiet"
    before = sim.ledger.totals()

    assert cli.main([*arguments.split(), "--budget", "0.0005"]) == 1
    part = sim.ledger.totals()
    assert cli.main([*arguments.split(), "--budget", "5"]) == 0

    assert 0 < part.finished - before.finished < 240
    assert 0 < part.usd - before.usd <= 0.0005
    assert sim.ledger.totals().finished - before.finished == 240


def test_every_task_has_its_page():
    """
    The overview names each page, and no other.
    """
    overview = (DOCS / "how-to" / "index.md").read_text(encoding="utf-8")
    pages = {path.name for path in (DOCS / "how-to").glob("*.md")} - {"index.md"}

    assert set(re.findall(r"\]\(([\w-]+\.md)\)", overview)) == pages
