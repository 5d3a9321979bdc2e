"""Promises about what an installation brings along."""

from __future__ import annotations

import re
from itertools import chain

import pytest
from tree import project_file

CORE = {
    "aiohttp": "the HTTP client",
    "anywidget": "the dashboard, the cache manager",
    "diskcache": "a project's answers",
    "filelock": "one writer between processes",
    "genai-prices": "prices, offline",
    "ipywidgets": "where anywidgets live",
    "jsonschema": "checks answers against JSON schemas that are given as such",
    "limits": "reads rates such as '100/minute'",
    "markdown-it-py": "answers on a page, with nothing live in them",
    "nest-asyncio": "asyncio.run() in a cell, opt-in",
    "orjson": "bodies and replies, several times faster than json",
    "pandas": "the tables",
    "platformdirs": "where weights are kept on each system",
    "pydantic": "schemas of structured answers",
    "python-dotenv": "keys in .env",
    "tiktoken": "token counts",
    "tqdm": "bars where no widget can show",
}
"""Everything that `pip install llmnb` brings, and the reason for it."""

EXTRAS = {
    "local": {"xllamacpp"},
    "parquet": {"pyarrow"},
    "excel": {"openpyxl"},
    "redis": {"redis"},
    "dask": {"dask"},
    "polars": {"polars"},
    "litellm": {"litellm"},
    "vllm": {"vllm"},
    "sentence-transformers": {"sentence-transformers"},
    "speed": {"uvloop"},
    "voila": {"voila"},
}
"""Everything heavy, under the name that an error tells the person to install."""


def names(requirements: list[str]) -> set[str]:
    """Return the packages that requirements name."""
    return {re.match(r"[A-Za-z0-9._-]+", requirement)[0].lower() for requirement in requirements}  # type: ignore[index]


def test_an_installation_brings_what_is_listed_here_and_no_more():
    """
    A new core dependency needs a reason in this file.
    """
    assert names(project_file()["project"]["dependencies"]) == set(CORE)


@pytest.mark.parametrize("extra", EXTRAS)
def test_what_is_heavy_is_an_extra(extra):
    """
    Each extra brings what its name says.
    """
    assert names(project_file()["project"]["optional-dependencies"][extra]) == EXTRAS[extra]


def test_all_is_every_extra_for_users():
    """
    `llmnb[all]` leaves nothing out and brings no tools of development.
    """
    extras = project_file()["project"]["optional-dependencies"]

    (everything,) = extras["all"]

    assert everything == f"llmnb[{','.join(extra for extra in extras if extra in EXTRAS)}]"
    assert set(extras) == {*EXTRAS, "all", "dev", "docs"}


def test_every_dependency_has_a_floor():
    """
    No requirement admits versions that nobody has tried.
    """
    extras = project_file()["project"]["optional-dependencies"]
    requirements = [*project_file()["project"]["dependencies"], *chain(*extras.values())]

    loose = [
        requirement
        for requirement in requirements
        if not re.search(r"[>=]=", requirement) and "llmnb[" not in requirement
    ]

    assert loose == []
