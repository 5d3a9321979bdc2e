"""`llmnb demo`: answer a small table with a model, and show answers, accuracy and cost."""

from __future__ import annotations

import argparse
import itertools
import sys
from importlib import resources
from pathlib import Path

from llmnb.cli import text
from llmnb.display import numbers
from llmnb.display.escape import visible
from llmnb.errors import ConfigurationError
from llmnb.frames.table_files import Row
from llmnb.frames.tables import open_table
from llmnb.options import ROWS
from llmnb.progress import attend
from llmnb.records import Outcome
from llmnb.running.asking import Asking
from llmnb.running.start import start

PROJECT = "demo"
SYSTEM = "Answer with one word: positive or negative."
SHOTS = (
    ("The battery died after two days.", "negative"),
    ("Great food and friendly staff!", "positive"),
    ("I would not buy this again, a waste of money.", "negative"),
    ("Works perfectly, I love it.", "positive"),
    ("Not worth the money.", "negative"),
    ("A lovely place, we will be back.", "positive"),
)
"""Chosen on sentences that are not in the table; `examples/data/README.md` tells how."""

_SHOWN = 8


def add_demo_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the options."""
    add = parser.add_argument
    add("--model", default="local/smollm2", help="default: local/smollm2, which runs here")
    add("--rows", type=int, metavar="N", help="the first N rows only")


def demo(options: argparse.Namespace) -> int:
    """Run the command."""
    limit = ROWS.checked("--rows", options.rows)
    rows = list(open_table(table_path()).rows())[:limit]
    _fetch_weights(options.model)
    print(
        f"Asking {visible(options.model)} about {len(rows):,} sentences from reviews: "
        "positive or negative?\n",
        flush=True,
    )
    run = start(
        [question(row["text"]) for row in rows],
        Asking(model=options.model, params=_params(options.model)),
        project_name=PROJECT,
    )
    attend(run, bars=True)
    outcomes = run.result()
    print("\n" + _first_rows(rows, outcomes), end="\n\n")
    print(_accuracy(rows, outcomes), end="\n\n")
    print(text.receipt(run.status()), end="\n\n")
    print(_next_steps(options.model, run.status().counts.num_requests))
    if run.error is not None:
        print(f"llmnb: {run.error}", file=sys.stderr)
    return 1 if run.status().counts.num_tasks_failed else 0


def _params(model: str) -> dict[str, object]:
    """Return the parameters: strict for the small model, roomy for those that think first."""
    if model.startswith("local/"):
        return {"temperature": 0, "max_tokens": 4}
    return {"max_tokens": 1000}


def table_path() -> Path:
    """Return where the table is: inside the package, or in a checkout's examples."""
    packaged = Path(str(resources.files("llmnb"))) / "data" / "reviews.csv"
    checkout = Path(__file__).parents[2] / "examples" / "data" / "reviews.csv"
    for path in (packaged, checkout):
        if path.is_file():
            return path
    raise ConfigurationError("The demo's table is missing from this installation of llmnb.")


def question(sentence: str) -> dict[str, object]:
    """Return the few-shot question about one sentence."""
    contents = [SYSTEM, *itertools.chain(*SHOTS), sentence]
    roles = ["system", *["user", "assistant"] * len(SHOTS), "user"]
    turns = zip(roles, contents, strict=True)
    return {"messages": [{"role": role, "content": content} for role, content in turns]}


def _fetch_weights(model: str) -> None:
    """Fetch the small model's weights with a bar, where they are needed and missing."""
    from llmnb.adapters import llamacpp, weights

    name = model.removeprefix("local/")
    if name not in weights.KNOWN or not model.startswith("local/"):
        return
    if llamacpp.is_installed() and weights.find(name) is None:
        from llmnb.cli.machine import fetch_weights

        fetch_weights(name)


def label_of(answer: str | None) -> str:
    """Return the label an answer means, whatever its case and full stop; empty for neither."""
    word = (answer or "").strip().strip(".!\"'").lower()
    return word if word in ("positive", "negative") else ""


def _first_rows(rows: list[Row], outcomes: list[Outcome]) -> str:
    shown = []
    for row, outcome in list(zip(rows, outcomes, strict=True))[:_SHOWN]:
        answer = f"({type(outcome.error).__name__})" if outcome.text is None else outcome.text
        shown.append((row["text"], row["label"], answer.strip()))
    rest = f"\n… {len(rows) - _SHOWN:,} more" if len(rows) > _SHOWN else ""
    return text.table(("text", "a person said", "the model said"), shown) + rest


def _accuracy(rows: list[Row], outcomes: list[Outcome]) -> str:
    right = sum(
        label_of(outcome.text) == row["label"] for row, outcome in zip(rows, outcomes, strict=True)
    )
    share = right / len(rows) if rows else 0.0
    of = f"{right:,} of {len(rows):,} rows ({numbers.share(share)})"
    return f"The model agrees with the person on {of}."


def _next_steps(model: str, requests: int) -> str:
    from llmnb.store.project import open_project

    folder = open_project(PROJECT).folder
    lines = [f"The answers lie in {_short(folder)}."]
    if requests:
        lines.append("Type `llmnb demo` again: it is instant and sends nothing.")
    else:
        lines.append("Nothing was sent: every answer was kept from the last time.")
    if model.startswith("local/"):
        lines.append(
            "This was a model of 135M parameters, running inside this process.\n"
            "The same with a large one, once you have a key:\n"
            "  llmnb demo --model openai/gpt-4o-mini"
        )
    lines.append(
        "\nIn a notebook:\n\n"
        "  from llmnb import AsyncLLM\n"
        f'  llm = AsyncLLM(model="{visible(model)}")\n'
        '  rows = llm.generate([{"prompt": "Name a colour."}, {"prompt": "Name a planet."}])\n'
        '  [response["choices"][0]["message"]["content"] for request, response in rows]\n\n'
        "On a table of yours:\n\n"
        '  llmnb run table.csv --prompt "Is this positive or negative? {text}" '
        f"--model {visible(model)}"
    )
    return "\n".join(lines)


def _short(path: Path) -> str:
    try:
        return f"./{path.relative_to(Path.cwd())}"
    except ValueError:
        return str(path)
