"""Promises of the two walks in docs/architecture.md: each goes as it is told there."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys

from laboratory import Laboratory
from tree import ROOT

TEXT = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
ASK = """
import pandas as pd
import llmnb

frame = pd.DataFrame({"review": ["Arrived a week late."]})
print(frame.llm.generate("Kind? {review}", into="kind", model="acme/m", progress=False)["kind"][0])
"""


def section(title: str) -> str:
    """Return the text of a section of docs/architecture.md."""
    _, _, rest = TEXT.partition(f"\n## {title}\n")
    return rest.partition("\n## ")[0]


def test_a_row_passes_the_functions_that_the_page_names_in_that_order():
    """
    From `df.llm.generate` to the socket and back, each function that is named is passed in turn.
    """
    named = re.findall(
        r"`(\w[\w/]*\.py)` `([\w.]+)`", section("One row, from the call to the socket and back")
    )
    traced = subprocess.run(
        [sys.executable, "-m", "benchmarks.trace", "--names"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=100,
        check=True,
    ).stdout
    passed = re.findall(r"^function: (\S+) (\S+)$", traced, re.MULTILINE)

    assert len(named) >= 25
    assert [function for function in named if function not in passed] == []
    places = [passed.index(function) for function in named]
    assert [named[n] for n in range(1, len(named)) if places[n] < places[n - 1]] == []


def test_a_table_in_the_catalog_is_a_provider(tmp_path):
    """
    A copy of llmnb with that table, and no other change, asks the new provider with its key.
    """
    (table,) = re.findall(
        r"^```toml\n(.*?)^```$",
        section("A provider that speaks OpenAI's dialect"),
        re.MULTILINE | re.DOTALL,
    )
    shutil.copytree(ROOT / "llmnb", tmp_path / "llmnb")
    with (tmp_path / "llmnb" / "wire" / "catalog.toml").open("a", encoding="utf-8") as catalog:
        catalog.write(f"\n{table}")

    with Laboratory(latency=0, reply="unkind", api_key="key-of-acme") as acme:
        own = {"ACME_API_KEY": "key-of-acme", "LLMNB_ACME_BASE_URL": acme.base_url}
        asked = subprocess.run(
            [sys.executable, "-c", ASK],
            cwd=tmp_path,
            env={**os.environ, **own, "PYTHONPATH": str(tmp_path)},
            capture_output=True,
            text=True,
            timeout=100,
        )

    assert asked.stdout.strip() == "unkind", asked.stderr
    assert acme.ledger.totals().finished == 1
