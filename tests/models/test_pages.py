"""Promises of the pages about models, limits and embeddings: what stands there runs."""

from __future__ import annotations

import ast
import inspect
import re

import pandas as pd
import pytest
from tree import ROOT

from llmnb import GLOBAL_COST_TRACKER
from llmnb.embeddings.run import EmbeddingRun
from llmnb.rate_limiter import GLOBAL_LIMITER
from llmnb.testing import SimulatedProvider, redirect

PROVIDERS = {
    "OPENAI_API_KEY": "https://api.openai.com",
    "TOGETHER_API_KEY": "https://api.together.xyz",
    "ANTHROPIC_API_KEY": "https://api.anthropic.com",
}
BLOCK = re.compile(r"```python\n(.*?)```", re.DOTALL)


@pytest.fixture
def providers(monkeypatch):
    """Redirect every provider of the pages to a simulated one."""
    was_counting = GLOBAL_COST_TRACKER.enabled
    for variable in PROVIDERS:
        monkeypatch.setenv(variable, "not-a-key")
    with (
        SimulatedProvider(latency=0, limit_headers=False) as sim,
        redirect(dict.fromkeys(PROVIDERS.values(), sim.base_url)),
    ):
        yield sim
    GLOBAL_LIMITER.rate_config.clear()
    GLOBAL_COST_TRACKER.enabled = was_counting


@pytest.mark.parametrize("page", ["models", "limits", "embeddings"])
async def test_every_example_of_a_page_runs(page, providers, capsys):
    """
    One after the other, as a reader would type them into the cells of one notebook.
    """
    names = {
        "df": pd.DataFrame({"text": ["a", "b"]}),
        "texts": ["one", "two"],
        "token_count": 5,
    }
    blocks = BLOCK.findall((ROOT / "docs" / f"{page}.md").read_text(encoding="utf-8"))
    assert blocks
    for number, block in enumerate(blocks):
        code = compile(block, f"{page} {number}", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        result = eval(code, names)
        if inspect.iscoroutine(result):
            await result
    for made in names.values():
        if isinstance(made, EmbeddingRun):  # else it would ask the next test's provider
            assert made.wait(60)
