"""Reading rows in code: over runs, columns, details frames, projects, and two of them."""

from __future__ import annotations

import asyncio
import json
import threading
from dataclasses import dataclass

import numpy as np
import pandas as pd
import polars as pl
import pytest
from laboratory import Laboratory

import llmnb
from llmnb.display import moments
from llmnb.errors import ConfigurationError, InputError
from llmnb.frames import exploring
from llmnb.frames.row_sources import WHOLE
from llmnb.notebook import explorer_view as view
from llmnb.notebook.explorer_row import OpenRow
from llmnb.records import Outcome
from llmnb.store import clearing, layout
from llmnb.store.project import open_project
from llmnb.store.run_index import RunHeader
from llmnb.store.run_index_writer import RunIndexWriter


@pytest.fixture
def frame():
    texts = ["pay me back", None, "fail here", "Pay twice", "pay me back"]
    return pd.DataFrame({"text": texts, "kind": list("aabbb")}, index=[10, 11, 12, 13, 14])


@pytest.fixture
def run(sim, frame):
    run = frame.llm.start("Ask {text}", system="Be kind.", on_error="column", project_name="read")
    run.result(60)
    return run


def test_a_run_is_read_row_by_row(run):
    """
    Prompt, answer, error and model of each row of the table; what asks nothing says so.
    """
    ex = run.explore()

    row = ex.row(0)
    assert (row["prompt"], row["answer"], row["model"]) == (
        "Ask pay me back",
        "> Ask pay me back",
        "m",
    )
    assert (row["outcome"], row["error"], row["system"]) == ("answered", None, "Be kind.")
    assert ex.row(2)["outcome"] == "failed"
    assert "400" in ex.row(2)["error"]
    assert ex.row(2)["answer"] is None
    assert [ex.row(place)["outcome"] for place in (1, 4, -1)] == ["empty", "merged", "merged"]
    assert len(ex) == 5


def test_rows_are_filtered_searched_and_marked(run, frame):
    """
    Each narrows what the other leaves; without arguments a filter clears everything.
    """
    ex = run.explore()

    ex.filter(outcome="failed")
    assert ex.positions.tolist() == [2]
    ex.filter(outcome=["answered", "merged"])
    assert ex.positions.tolist() == [0, 3, 4]
    ex.search("PAY TW")
    assert ex.positions.tolist() == [3]
    ex.filter()
    ex.search("is empty")  # which the list says of a row that asks nothing
    assert ex.positions.tolist() == []
    ex.filter(outcome=["answered", "merged"])
    ex.search("PAY TW")
    ex.filter(outcome="merged")
    assert ex.positions.tolist() == []
    ex.filter()
    assert ex.positions.tolist() == [0, 1, 2, 3, 4]

    ex.mark(3)
    ex.mark(0)
    ex.mark(0, on=False)
    ex.filter(marked=True)
    assert ex.positions.tolist() == [3]
    assert ex.marks.index.equals(frame.index)
    assert frame[ex.marks].text.tolist() == ["Pay twice"]


def test_a_search_is_literal_and_knows_no_capitals(run):
    """
    Signs of patterns are signs, and a composed letter is found decomposed.
    """
    frame = pd.DataFrame(
        {"text": ["a.c", "abc", "Cafe\u0301", "x"], "said": ["1", "2", "3", "(A.C"]}
    )
    ex = frame.llm.explore("said")

    ex.search("a.c")
    assert ex.positions.tolist() == [0, 3]
    ex.search("CAF\u00c9")
    assert ex.positions.tolist() == [2]
    ex.search("")
    assert len(ex.positions) == 4


def test_a_run_under_way_fills_as_it_goes(sim, frame):
    """
    Rows wait at their places; `refresh` takes what has come, and marks stay.
    """
    sim.hold()
    run = frame.llm.start("{text}", on_error="column")
    ex = run.explore()
    ex.mark(3)
    ex.filter(outcome="waiting")
    assert ex.positions.tolist() == [0, 2, 3, 4]
    assert ex.source.is_running

    sim.release()
    run.wait(60)
    assert ex.refresh()
    assert ex.positions.tolist() == []
    ex.filter(outcome=["answered", "merged"], marked=True)
    assert ex.positions.tolist() == [3]
    assert not ex.source.is_running


def test_failed_rows_are_asked_again_from_the_explorer(sim, frame):
    """
    A retry asks the rows that failed for the same; their answers appear in their places.
    """
    run = frame.llm.start("{text}", on_error="column")
    run.wait(60)
    ex = run.explore()
    assert ex.source.alike(2) == 1
    with pytest.raises(ConfigurationError, match="not failed"):
        ex.source.retry(0)

    sim.hold()
    assert ex.source.retry(2) == 1
    ex.refresh()
    assert ex.source.is_running
    sim.release()
    llmnb.last_run().wait(60)
    assert not ex.source.is_running
    assert ex.row(2)["outcome"] == "failed"


def test_a_column_of_a_frame_is_read_without_a_run():
    """
    The longest texts stand for the prompt, few values are a facet, missing answers failed.
    """
    frame = pd.DataFrame(
        {
            "id": [1, 2, 3],
            "body": ["long text", "other text", "third"],
            "mood": ["kind", None, "un"],
        }
    )
    ex = frame.llm.explore("mood")

    assert (ex.row(0)["prompt"], ex.row(0)["answer"]) == ("long text", "kind")
    ex.filter(mood=["kind", "un"])
    assert ex.positions.tolist() == [0, 2]
    ex.filter(outcome="failed")
    assert ex.positions.tolist() == [1]
    with pytest.raises(InputError, match=r"outcome, marked, 'mood'"):
        ex.filter(nothing="x")
    with pytest.raises(InputError, match="kind, un"):
        ex.filter(mood="happy")


def test_a_row_whose_longest_text_is_missing_shows_another():
    """
    The next longest, which a search finds; where there is none, that it is empty.
    """
    frame = pd.DataFrame(
        {
            "body": ["a much longer text", float("nan"), None, ""],
            "title": ["title", "instead", None, None],
            "number": [1, 2, 3, 4],
            "mood": ["kind", "un", "kind", "un"],
        }
    )
    ex = frame.llm.explore("mood")

    asked = ["a much longer text", "instead", "{body} is empty", "{body} is empty"]
    assert [ex.row(position)["prompt"] for position in range(4)] == asked
    assert "instead" in str(ex)
    ex.search("instead")
    assert ex.positions.tolist() == [1]


def test_no_row_is_about_its_truth():
    """
    A row without a text shows none, though it has a label.
    """
    frame = pd.DataFrame({"text": ["so kind", ""], "said": "kind", "label": ["kind", "unkind"]})

    assert frame.llm.explore("said", truth="label").row(1)["prompt"] == "{text} is empty"
    assert frame[["said", "label"]].llm.explore("said", truth="label").row(1)["prompt"] == ""


def test_a_details_frame_names_its_own_columns(sim, frame):
    """
    `df.llm.explore()` of it needs no column; errors, models and prices stand in their rows.
    """
    details = frame.llm.generate("Ask {text}", details=True, on_error="column")
    ex = details.llm.explore()

    assert ex.row(0)["answer"] == "> Ask pay me back"
    assert ex.row(0)["model"] == "m"
    assert "400" in ex.row(2)["error"]
    with pytest.raises(InputError, match="Which column"):
        frame.llm.explore()


def test_polars_has_the_same():
    """
    Marks and corrections come back as Polars' own series.
    """
    ex = pl.DataFrame({"text": ["a", "b"], "mood": ["kind", None]}).llm.explore("mood")
    ex.mark(1)

    assert isinstance(ex.marks, pl.Series)
    assert ex.marks.to_list() == [False, True]
    assert ex.row(0)["prompt"] == "a"


def test_a_series_is_read_by_itself():
    """
    Its values are the answers, once, whatever it is called.
    """
    ex = pd.Series(["kind", None, "un"], name="mood").llm.explore()

    assert [facet.name for facet in ex.facets] == ["answer"]
    ex.filter(answer="un")
    assert ex.positions.tolist() == [2]
    assert ex.row(0)["prompt"] == ""


def test_rows_are_about_texts_that_begin_far_below():
    """
    A table may begin with rows that have none.
    """
    texts = [None] * 150 + ["the first text"]
    frame = pd.DataFrame({"text": texts, "mood": "kind"})

    ex = frame.llm.explore("mood")

    assert ex.row(150)["prompt"] == "the first text"
    ex.search("first text")
    assert ex.positions.tolist() == [150]


@pytest.mark.parametrize(
    ("answers", "truth"),
    [
        ([3.0, None, 2.0], [3, 1, 1]),
        (["Caf\u0065\u0301", None, "tea"], ["caf\u00e9", "tea", "café"]),
        ([["a", 1], None, ["b"]], [["a", 1], ["a"], ["a"]]),
    ],
    ids=["numbers", "accents", "lists"],
)
def test_an_answer_is_right_where_a_score_counts_it_as_right(answers, truth):
    """
    Whole numbers that a missing one has made floats, letters with their accents behind them, lists.
    """
    frame = pd.DataFrame({"said": answers})
    ex = frame.llm.explore("said", truth=truth)

    wrong = frame.llm.score("said", truth, kind="label").wrong.index.tolist()
    ex.filter(Truth="wrong")
    assert ex.positions.tolist() == sorted(wrong) == [1, 2]
    opened = OpenRow(ex, 0).as_json()["parts"]
    assert next("right" in row for part in opened for row in part.get("rows", ()))


def test_truth_tells_right_from_wrong():
    """
    Right, wrong and unlabelled rows can be filtered, and so can each pair that was confused.
    """
    frame = pd.DataFrame({"text": list("abcd"), "mood": ["kind", "kind", "un", "un"]})
    ex = frame.llm.explore("mood", truth=["Kind ", "un", "un", None])

    ex.filter(Truth="wrong")
    assert ex.positions.tolist() == [1]
    assert ex.row(1)["truth"] == "un"
    ex.filter(Truth="right")
    assert ex.positions.tolist() == [0, 2]
    ex.filter(Pair="un → kind")
    assert ex.positions.tolist() == [1]


def test_two_runs_show_what_changed_most_first(sim, run, frame):
    """
    Rows whose answers changed come first, by the number of words; each tells both.
    """
    now = pd.DataFrame({"text": list("abcd"), "new": ["a b c", "x y", "same", None]})
    now["old"] = ["a b d", "p q r s", "same", "gone"]
    ex = now.llm.explore("new", "old")

    assert ex.positions.tolist() == [1, 0]
    assert (ex.row(1)["added"], ex.row(1)["removed"]) == (2, 4)
    assert ex.row(1)["before"]["answer"] == "p q r s"
    ex.filter(Answer="same")
    assert ex.positions.tolist() == [2]
    ex.filter()
    assert ex.positions.tolist() == [1, 0, 3, 2]

    both = run.explore(frame.llm.start("Ask {text} now", on_error="column"))
    assert len(both) == 5
    with pytest.raises(InputError, match="compared by position"):
        run.explore(now.llm.explore("new"))


def test_a_corrected_answer_is_kept_as_a_label(run, frame):
    """
    On disk at once, known to the next explorer, and taken back again.
    """
    ex = run.explore()
    ex.correct(0, "right")

    assert ex.corrections.tolist()[:1] == ["right"]
    again = run.explore()
    assert again.correction(0) == "right"
    assert again.corrections.index.equals(frame.index)
    assert again.corrections.isna().tolist()[1:4] == [True, True, True]

    for wrong in (["right"], None, {"mood": "right"}):
        with pytest.raises(InputError):
            ex.correct(3, wrong)
    ex.correct(3, "other")
    ex.take_back(3)
    assert ex.correction(3) is None


@pytest.fixture
def kept(run):
    return llmnb.explore("read")


def test_a_project_is_read_from_its_store(kept):
    """
    Its answers, oldest first, with what was asked; a search looks into both.
    """
    prompts = [kept.row(place)["prompt"] for place in range(len(kept))]
    assert sorted(prompts) == ["Ask Pay twice", "Ask pay me back"]
    assert kept.row(0)["system"] == "Be kind."
    kept.search("TWICE")
    assert [kept.row(place)["answer"] for place in kept.positions] == ["> Ask Pay twice"]
    with pytest.raises(ConfigurationError, match="'read'"):
        llmnb.explore("another")


def test_a_project_cleared_under_an_open_explorer_says_so(kept, cache_dir):
    """
    Rows keep their places, and tell that their answers were cleared.
    """
    kept.mark(1)
    clearing.clear(["read"], cache_dir)

    assert kept.refresh()
    assert len(kept) == 2
    assert kept.source.cleared == 2
    assert kept.source.read([0])[0].is_cleared
    assert kept.row(0)["answer"] is None
    assert kept.is_marked(1)


def test_an_answer_bought_after_clearing_stands_in_no_row_of_before(kept, run, frame, cache_dir):
    """
    Of a project and of a run by its name: each row says that it was cleared, refreshed or not.
    """
    of_run = llmnb.explore(run.run_id)
    clearing.clear(["read"], cache_dir)
    frame.llm.generate("Now {text}", on_error="column", project_name="read")
    again = frame.llm.start("Ask {text}", system="Be kind.", on_error="column", project_name="read")
    again.wait(60)

    for ex, answered in ((kept, (0, 1)), (of_run, (0, 3, 4))):
        for _ in range(2):
            for place in answered:
                row = ex.row(place)
                assert (row["answer"], row["prompt"]) == (None, "")
                assert row["error"] == "cleared from the project"
            assert ex.source.cleared == len(answered)
            ex.search("pay")
            assert ex.positions.tolist() == []
            assert ex.refresh() is (_ == 0)
            ex.filter()
        assert f"{len(answered)} cleared from the project" in str(ex)
    assert len(llmnb.explore("read")) == 4
    assert llmnb.explore(again.run_id).row(0)["answer"] == "> Ask pay me back"


def test_a_deleted_answer_leaves_its_row_and_later_ones_stand_below(kept, frame, cache_dir):
    """
    No row moves up, nor takes the number of the one that is gone.
    """
    first, last = kept.row(0), kept.row(1)
    clearing.forget(layout.paths_of(cache_dir, "read"), last["key"])
    assert kept.refresh()
    frame.llm.generate("Now {text}", on_error="column", project_name="read")

    assert kept.refresh()
    assert (kept.row(0), kept.row(1)["error"]) == (first, "cleared from the project")
    assert [kept.row(place)["prompt"][:3] for place in range(2, len(kept))] == ["Now", "Now"]
    assert kept.source.cleared == 1


def test_a_head_says_whose_rows_they_are_and_of_when(sim, run, frame):
    """
    Project, model and minute, of the run itself and by its name; of two runs what tells them apart.
    """
    when = moments.minute(run.status().ended_at)

    assert run.explore().source.subject == f"read · openai/m · {when}"
    assert llmnb.explore(run.run_id).source.subject == f"read · openai/m · {when}"
    short = moments.minute(run.status().ended_at, has_year=False)
    assert run.explore(run.run_id).source.subject == (f"now m, {short} · before m, {short}")
    sim.hold()
    under_way = frame.llm.start("Later {text}", on_error="column", project_name="read")
    assert ":" not in under_way.explore().source.subject
    sim.release()
    under_way.wait(60)


def test_each_field_of_a_structured_answer_is_corrected_for_its_column(sim, monkeypatch):
    """
    Typed as the field is, given by a frame of corrections, written by `apply_labels`, taken back.
    """
    frame = pd.DataFrame({"text": ["Ann", "Bob"]}, index=[7, 8])
    kind = {"mood": {"enum": ["kind", "cold"]}, "stars": {"type": "integer"}}
    kind |= {"paid": {"type": "boolean"}, "tags": {"type": "array", "items": {"type": "string"}}}
    schema = {"type": "object", "properties": kind, "required": list(kind)}
    reply = json.dumps({"mood": "kind", "stars": 3, "paid": True, "tags": ["a"]})
    with Laboratory(reply=lambda prompt: reply, latency=0) as typed:
        monkeypatch.setenv("OPENAI_BASE_URL", typed.base_url)
        run = frame.llm.start("{text}", schema=schema, into="said", project_name="fields")
        answered = run.result(60)
    ex = run.explore()
    ex.correct(1, {"mood": "cold", "stars": "4", "paid": "no"})

    assert ex.correction(1) == {"mood": "cold", "stars": 4, "paid": False}
    assert list(ex.corrections) == ["said_mood", "said_stars", "said_paid", "said_tags"]
    assert ex.corrections.index.tolist() == [7, 8]
    assert ex.corrections["said_stars"].tolist()[1] == 4
    for column, right in (("said_mood", "cold"), ("said_stars", 4), ("said_paid", False)):
        written = answered.llm.apply_labels(column, project_name="fields")
        assert written[column].tolist()[1] == right
        assert written[column].dtype == answered[column].dtype

    for wrong in ("cold", {"speed": "1"}, {"stars": "many"}, {"paid": "maybe"}, {"tags": "b"}):
        with pytest.raises(InputError):
            ex.correct(0, wrong)
    ex.take_back(1)
    assert ex.correction(1) is None
    assert ex.corrections.isna().all(axis=None)


def test_two_runs_over_many_rows_open_before_they_are_compared(run, frame, monkeypatch):
    """
    They stand in the frame's order until somebody asks for what changed.
    """
    monkeypatch.setattr(exploring, "_MOST_LOOKED_UP", 2)
    other = frame.llm.start("Now {text}", on_error="column")
    other.result(60)

    ex = other.explore(run)
    assert (ex.source.compared, ex.listed.tolist()) == (0, [0, 1, 2, 3, 4])
    assert ex.row(3)["added"] == 1
    assert view.state(ex, "", 1)["line"]["parts"][0].startswith("Comparing both runs: 0 of 5 rows")
    assert ex.source.compared == 0

    assert sorted(ex.positions.tolist()) == [0, 3, 4]
    assert ex.source.compared is None


def test_no_answer_stands_beside_that_of_another_row(sim, kept, frame):
    """
    Several requests a row are paired only where both runs asked them of the same rows; what a
    project keeps is of no row.
    """
    table = pd.DataFrame({"a": ["one", None, "two"], "b": ["one", "two", None]})
    runs = {column: table.llm.start(f"Ask {{{column}}}", n=2) for column in "ab"}
    for run in runs.values():
        run.result(60)
    for other in (runs["b"], llmnb.attach(runs["b"].run_id)):
        assert len(other.explore()) == 4
        with pytest.raises(InputError, match="not about the same rows"):
            runs["a"].explore(other)
    by_name = llmnb.attach(runs["a"].run_id).explore(runs["a"])
    for position in range(4):
        row = by_name.row(position)
        assert (row["prompt"], row["answer"]) == (row["before"]["prompt"], row["before"]["answer"])

    with pytest.raises(InputError, match="in no table’s order"):
        frame[frame["text"].notna()].iloc[:2].llm.explore("text", kept)


def test_a_marked_row_keeps_its_place_while_earlier_rows_are_written(cache_dir):
    """
    Of several requests a row that another process writes down, those that come later stand below.
    """
    store = open_project("other", cache_dir)
    told = {"project": "other", "model": "openai/m", "rows": 2, "begun": 1e9, "group": 2}
    header = RunHeader(run_id="run-1", verb="generate", **told)
    index = RunIndexWriter(
        store.paths, header, row_of=lambda request: request // 2, write_soon=lambda: None
    )

    async def add(*requests):
        for request in requests:
            index.add(Outcome(row=request, provider="openai", model=f"m{request}", source="sent"))
        index.write()

    asyncio.run(add(2, 3))
    ex = llmnb.explore("run-1", cache_dir=cache_dir)
    with pytest.raises(InputError, match="once it has ended"):
        llmnb.explore("run-1", ex, cache_dir=cache_dir)
    ex.mark(0)
    asyncio.run(add(0, 1))

    assert ex.refresh()
    assert ex.marks.tolist() == [True, False, False, False]
    assert [ex.row(position)["model"] for position in range(4)] == ["m2", "m3", "m0", "m1"]
    index.end({"state": "finished"})
    index.write()
    index.close()


def test_each_prompt_of_a_comparison_stands_beside_its_own_answer(sim, frame):
    """
    A row that several prompts ask about shows each answer under what was asked for it.
    """
    frame.iloc[:1].llm.compare(["Ask {text}", "Or {kind}"])
    run = llmnb.last_run()

    rows = [run.explore().row(position) for position in (0, 1)]
    assert [row["answer"] for row in rows] == ["> Ask pay me back", "> Or a"]
    assert [row["prompt"] for row in rows] == ["Ask pay me back", "Or a"]
    assert [row.prompt for row in run.first_answers(2)] == ["Ask pay me back", "Or a"]


def test_any_run_is_read_by_its_name(run, frame, cache_dir):
    """
    As in the kernel that asked it: outcomes, causes, texts and places; cleared, its rows say so.
    """
    ex = llmnb.explore(run.run_id)

    own = run.explore()
    assert ex.source.codes.tolist()[:1] + ex.source.codes.tolist()[2:] == [0, 4, 0, 2]
    assert ex.row(1)["outcome"] == "empty"
    for place in (0, 3, 4):
        assert ex.row(place)["answer"] == own.row(place)["answer"]
        assert ex.row(place)["prompt"] == own.row(place)["prompt"]
    assert "400" in ex.row(2)["error"]
    ex.filter(Cause="rejected by the provider")
    assert ex.positions.tolist() == [2]
    ex.filter()
    ex.search("PAY")
    assert ex.positions.tolist() == [0, 3, 4]

    other = frame.llm.start("Now {text}", on_error="column")
    other.result(60)
    pair = llmnb.attach(other.run_id).explore(run.run_id)
    assert pair.row(3)["before"]["answer"] == "> Ask Pay twice"

    clearing.clear(["read"], cache_dir)
    assert ex.refresh()
    assert ex.source.cleared == 3


def test_fields_whose_quote_is_not_in_the_row_can_be_filtered(sim, monkeypatch):
    """
    Each such field is a chip, and the open row says which it is.
    """
    answers = {
        "Ann paid": {"name": "Ann", "name_quote": "Ann"},
        "Bob paid": {"name": "Carl", "name_quote": "Carl"},
    }
    frame = pd.DataFrame({"text": list(answers)})
    schema = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}
    with Laboratory(reply=lambda prompt: json.dumps(answers[prompt]), latency=0) as quoting:
        monkeypatch.setenv("OPENAI_BASE_URL", quoting.base_url)
        run = frame.llm.start("{text}", schema=schema, quotes=True)
        run.wait(60)
    ex = run.explore()

    ex.filter(**{"Not in the row": "name"})
    assert ex.positions.tolist() == [1]
    assert ex.source.read([1], WHOLE)[0].unsupported == {"name"}


@dataclass
class Slow:
    """Rows whose search waits at each look until it may go on."""

    inner: object

    def __post_init__(self):
        self.may_go, self.looked = threading.Event(), threading.Event()

    def __getattr__(self, name):
        return getattr(self.inner, name)

    def __len__(self):
        return len(self.inner)

    def find(self, pattern, positions):
        self.looked.set()
        assert self.may_go.wait(60)
        return self.inner.find(pattern, positions)


def test_a_search_can_be_stopped_and_keeps_what_it_found():
    """
    It reads in order, tells how far it is, and what was found until then stays shown.
    """
    frame = pd.DataFrame({"text": ["find me"] * 10_000, "said": ["x"] * 10_000})
    ex = frame.llm.explore("said")
    ex.source = slow = Slow(ex.source)

    ex.begin_search("find")
    assert slow.looked.wait(60)
    thread = ex._searching
    ex.stop()
    slow.may_go.set()
    thread.join(60)

    assert not ex.is_searching
    assert ex.rows_read < 10_000
    assert len(ex.positions) in (0, ex.rows_read)


def test_what_is_no_row_is_refused(run):
    """
    A number beyond the table, a text and a truth value are told apart from rows.
    """
    ex = run.explore()
    for position in (5, -6, "0", True, 1.0, None):
        with pytest.raises(InputError, match="row"):
            ex.row(position)
    with pytest.raises(InputError, match="outcome 'lost'"):
        ex.filter(outcome="lost")
    with pytest.raises(InputError, match="200 characters"):
        ex.search("x" * 201)
    assert np.array_equal(ex.positions, np.arange(5))
    assert "5 rows" in repr(ex)
