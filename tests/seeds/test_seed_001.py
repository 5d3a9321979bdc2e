"""Every usage example of the caching document, imports renamed, requests redirected."""

from __future__ import annotations

import pytest
from dotenv import load_dotenv

from llmnb import AsyncLLM
from llmnb.store import projects
from llmnb.testing import SimulatedProvider, redirect

BOOKS = {"messages": [{"role": "user", "content": "Why should people read books?"}]}
CLOUDS = {
    "messages": [{"role": "user", "content": "What is the importance of clouds?"}],
    "api_provider": "together",
}
MEDALS = {
    "messages": [{"role": "user", "content": "Name people who have won medals at olympics 2024."}],
    "api_provider": "together",
}
SUM = {"messages": [{"role": "user", "content": "What is 2+10/2?"}]}
EQUATION = {
    "messages": [{"role": "user", "content": "Solve 5x+2x=0"}],
    "api_provider": "together",
}


@pytest.fixture
def sim():
    with SimulatedProvider() as sim, redirect({"https://api.together.xyz": sim.base_url}):
        yield sim


@pytest.fixture
def llm(sim, cache_dir, tmp_path, monkeypatch):
    """The document's setup: a key in ``.env``, `load_dotenv`, an object with a project."""
    (tmp_path / ".env").write_text("TOGETHER_API_KEY=not-a-key\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TOGETHER_API_KEY", raising=False)
    monkeypatch.setenv("LLMNB_CACHE_DIR", str(cache_dir))
    load_dotenv(tmp_path / ".env")

    yield AsyncLLM(api_provider="together", project_name="generate_Data", max_rps=False)

    monkeypatch.delenv("TOGETHER_API_KEY", raising=False)


def names(cache_dir):
    return {project.name for project in projects.list_projects(cache_dir)}


def texts(rows):
    return [row[1]["choices"][0]["message"]["content"] for row in rows]


def test_the_objects_own_project(llm, sim, cache_dir):
    """
    Without a project in the call, the object's own keeps the answers.
    """
    request_list = [BOOKS, CLOUDS]

    rows = llm.generate(request_list)

    assert len(texts(rows)) == 2
    assert names(cache_dir) == {"generate_Data"}


def test_each_call_may_name_its_project(llm, sim, cache_dir):
    """
    Three calls, three projects; a question answered in one is not bought in another.
    """
    llm.generate([BOOKS, CLOUDS])
    rows = llm.generate([BOOKS, MEDALS], project_name="Questions")
    llm.generate([SUM, EQUATION], project_name="Maths")

    assert len(texts(rows)) == 2
    assert names(cache_dir) == {"generate_Data", "Questions", "Maths"}
    assert len(sim.ledger.finished) == 5, "the books were bought twice"


def test_clearing_a_project_leaves_the_others(llm, sim, cache_dir):
    """
    The first request is answered by what another project still has; only the second is bought.
    """
    llm.generate([BOOKS, CLOUDS])
    llm.generate([BOOKS, MEDALS], project_name="Questions")
    before = len(sim.ledger.finished)

    rows = llm.generate([BOOKS, MEDALS], project_name="NewProject", clear_project_cache="Questions")

    assert len(texts(rows)) == 2
    assert names(cache_dir) == {"generate_Data", "NewProject"}
    assert len(sim.ledger.finished) - before == 1


def test_clearing_several_projects_whatever_their_spelling(llm, sim, cache_dir):
    """
    ``Generate_data`` is the project that was made as ``generate_Data``.
    """
    llm.generate([BOOKS, CLOUDS])
    llm.generate([SUM, EQUATION], project_name="Maths")

    llm.generate(
        [BOOKS, MEDALS], project_name="New", clear_project_cache=["Maths", "Generate_data"]
    )

    assert names(cache_dir) == {"New"}


def test_clearing_everything(llm, sim, cache_dir):
    """
    ``"full"`` empties all projects; everything is bought anew.
    """
    llm.generate([BOOKS, CLOUDS])
    llm.generate([SUM, EQUATION], project_name="Maths")
    before = len(sim.ledger.finished)

    llm.generate([BOOKS, MEDALS], project_name="New", clear_project_cache="full")

    assert names(cache_dir) == {"New"}
    assert len(sim.ledger.finished) - before == 2


def test_an_unknown_project_clears_nothing_and_says_so(llm, sim, cache_dir):
    """
    A name mistyped costs nothing but a warning.
    """
    llm.generate([BOOKS, CLOUDS])

    with pytest.warns(UserWarning, match="no project 'Qestions'"):
        llm.generate([BOOKS, CLOUDS], clear_project_cache="Qestions")

    assert len(sim.ledger.finished) == 2
