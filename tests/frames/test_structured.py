"""Promises about answers with a form: typed columns, labels, and the raw text where it fails."""

from __future__ import annotations

import dataclasses
import datetime
import enum
from decimal import Decimal
from typing import Literal, TypedDict

import dask
import dask.dataframe as dd
import pandas as pd
import polars as pl
import pydantic
import pytest
from asking import cells

from llmnb import errors
from llmnb.frames import dask_watching
from llmnb.models.llm import LLM
from llmnb.testing import SimulatedProvider


class Review(pydantic.BaseModel):
    stars: int
    mood: Literal["good", "bad"]
    price: float | None
    is_short: bool
    words: list[str]


@dataclasses.dataclass
class AsDataclass:
    stars: int
    mood: str


class Thread(pydantic.BaseModel):
    stars: int = pydantic.Field(ge=1, le=5)
    title: str
    answer: Thread | None
    tags: list[str]


class AsTypedDict(TypedDict):
    stars: int
    mood: str


AS_SCHEMA = {
    "type": "object",
    "properties": {"stars": {"type": "integer"}, "mood": {"type": "string"}},
    "required": ["stars", "mood"],
}

ANSWER = '{"stars": 5, "mood": "good", "price": null, "is_short": true, "words": ["a", "b"]}'


@pytest.fixture
def answering():
    """Return a model that gives these answers by prompt, and what it was asked."""

    def reply(prompt):
        # Asked to mend it, the model insists.
        return REPLIES["broken"] if "cannot be used" in prompt else REPLIES.get(prompt, ANSWER)

    with SimulatedProvider(reply=reply) as sim:
        yield LLM(url=sim.base_url, api_key="k", model="m")


TEXT = "string" if pd.__version__.startswith("2.") else "str"
"""The dtype of texts."""

REPLIES = {
    "broken": "five stars, I think",
    "negative": "bad",
    "positive": '{"value": "good"}',
    "number": '{"value": 7}',
}


@pytest.fixture
def frame():
    return pd.DataFrame({"text": ["fine", None, "well"]}, index=[4, 4, 2])


def test_a_schema_gives_typed_columns(answering, frame):
    """
    One for each field, in its order, missing where nothing was asked.
    """
    answers = frame.llm.generate("text", schema=Review, model=answering)

    assert {name: str(kind) for name, kind in answers.dtypes.items()} == {
        "stars": "Int64",
        "mood": "category",
        "price": "Float64",
        "is_short": "boolean",
        "words": "object",
    }
    assert answers.index.equals(frame.index)
    assert answers["stars"].tolist() == [5, pd.NA, 5]
    assert answers["words"].tolist()[0] == ["a", "b"]
    assert list(answers["mood"].cat.categories) == ["good", "bad"]
    assert answers.iloc[1].isna().all()


@pytest.mark.parametrize("schema", [AsDataclass, AsTypedDict, AS_SCHEMA], ids=lambda cell: "")
def test_every_kind_of_schema(answering, frame, schema):
    """
    A dataclass, a TypedDict, a JSON schema.
    """
    with SimulatedProvider(reply='{"stars": 4, "mood": "so so"}') as sim:
        model = LLM(url=sim.base_url, api_key="k", model="m")
        answers = frame.llm.generate("text", schema=schema, model=model)

    assert list(answers.columns) == ["stars", "mood"]
    assert answers["stars"].dtype == "Int64"
    assert cells(answers["mood"]) == ["so so", None, "so so"]


def test_into_names_the_columns_and_keeps_the_frame(answering, frame):
    """
    `<into>_<field>`, in a copy.
    """
    answers = frame.llm.generate("text", schema=Review, into="r", model=answering)

    assert list(answers.columns) == ["text", *(f"r_{name}" for name in Review.model_fields)]
    assert list(frame.columns) == ["text"]


def test_details_have_the_raw_text_and_the_typed_columns(answering, frame):
    """
    The fields stand after the figures.
    """
    answers = frame.llm.generate("text", schema=Review, details=True, model=answering)

    assert answers["response"].tolist()[0] == ANSWER
    assert answers["response_stars"].tolist() == [5, pd.NA, 5]
    assert list(answers.columns)[:2] == ["response", "error"]


def test_an_answer_that_is_a_single_value_is_a_single_column(answering):
    """
    A type that is no object gives a Series of its own dtype.
    """
    answers = pd.Series(["number", None]).llm.generate(schema=int, model=answering)

    assert answers.dtype == "Int64"
    assert answers.tolist() == [7, pd.NA]
    assert answers.name == "response"


def test_what_does_not_fit_keeps_its_raw_text(answering):
    """
    After one attempt at mending it; the row is missing, the others are not.
    """
    frame = pd.DataFrame({"text": ["broken", "fine"]})

    with pytest.warns(UserWarning, match="1 of 2 rows failed"):
        answers = frame.llm.generate("text", schema=Review, details=True, model=answering)

    assert answers["response"].tolist()[0] == "five stars, I think"
    assert answers["response_stars"].isna().tolist() == [True, False]
    assert answers["error"].isna().tolist() == [False, True]


def test_several_samples_fill_every_column_with_lists(answering):
    """
    A cell holds the values of all of them.
    """
    answers = pd.Series(["fine"]).llm.generate(schema=Review, n=2, model=answering)

    assert answers["stars"].tolist() == [[5, 5]]


def test_extract_fills_columns_from_a_text(answering, frame):
    """
    The texts are the questions; what to do with them stands in the system message.
    """
    answers = frame.llm.extract("text", Review, model=answering)
    same = frame["text"].llm.extract(Review, model=answering)

    assert answers["stars"].tolist() == [5, pd.NA, 5]
    pd.testing.assert_frame_equal(answers, same)


class Mood(enum.Enum):
    UP = "good"
    DOWN = "bad"


@pytest.mark.parametrize(
    "labels",
    [["good", "bad"], ("good", "bad"), {"good": "happy", "bad": "unhappy"}, Mood],
    ids=["list", "tuple", "mapping", "enum"],
)
def test_classify_gives_categories_in_the_order_of_the_labels(answering, labels):
    """
    Missing where nothing was asked; whatever else the model says is no label.
    """
    texts = pd.Series(["positive", None, "negative", "broken"])

    with pytest.warns(UserWarning, match="1 of 3 rows failed"):
        answers = texts.llm.classify(labels, model=answering)

    assert answers.dtype == pd.CategoricalDtype(["good", "bad"])
    assert [None if pd.isna(cell) else cell for cell in answers] == ["good", None, "bad", None]


def test_the_meaning_of_labels_is_sent(sim, asked, frame):
    """
    After what the caller says.
    """
    with pytest.warns(UserWarning, match="rows failed"):
        frame.llm.classify("text", {"good": "happy", "bad": "sad"}, system="Be kind.")

    system = asked[0]["messages"][0]["content"]
    assert system.startswith("Be kind.")
    assert "- good: happy" in system


def test_wrong_labels_and_schemas_are_said_before_anything_is_sent(sim, frame):
    """
    Labels are several; a schema is given once.
    """
    with pytest.raises(errors.ConfigurationError):
        frame.llm.classify("text", "good")
    with pytest.raises(errors.ConfigurationError):
        frame.llm.classify("text", [])
    with pytest.raises(errors.ConfigurationError):
        frame.llm.generate("text", schema=5)
    with pytest.raises(TypeError, match="schema"):
        frame.llm.extract("text", Review, **{"schema": Review})
    assert len(sim.ledger.received) == 0


def test_numbers_too_large_for_a_column_of_numbers(answering):
    """
    The column holds objects instead of losing them.
    """
    with SimulatedProvider(reply=f'{{"stars": {2**80}, "mood": "x"}}') as sim:
        model = LLM(url=sim.base_url, api_key="k", model="m")
        answers = pd.Series(["a"]).llm.generate(schema=AS_SCHEMA, model=model)

    assert answers["stars"].tolist() == [2**80]


class Times(pydantic.BaseModel):
    day: datetime.date
    at: datetime.datetime | None
    told: pydantic.AwareDatetime
    span: datetime.timedelta
    hour: datetime.time
    price: Decimal
    days: list[datetime.date]
    mood: Mood | None


TIMES = (
    '{"day": "2026-01-02", "at": "2026-01-02T10:00:00+02:00", "told": "2026-01-02T10:00:00+02:00",'
    ' "span": "P1DT2H", "hour": "10:00", "price": "1.10", "days": ["2026-01-02"], "mood": "good"}'
)
MOMENT = datetime.datetime(2026, 1, 2, 8)


@pytest.fixture
def computing_here():
    """Have Dask compute in this thread; the display of a test ends with it."""
    with dask.config.set(scheduler="synchronous"):
        yield
    dask_watching.close()


def test_times_and_decimals_fill_columns_of_their_own_kind(computing_here):
    """
    In pandas, Polars and Dask; so do enums, whose values are the categories.
    """
    texts = pd.DataFrame({"text": ["a", None]})
    with SimulatedProvider(reply=TIMES) as sim:
        model = LLM(url=sim.base_url, model="m")
        answers = texts.llm.extract("text", Times, model=model)
        lazy = dd.from_pandas(texts, npartitions=1).llm.extract("text", Times, model=model)
        computed = lazy.compute()
        table = pl.from_pandas(texts).llm.extract("text", Times, model=model)

    assert [str(kind) for kind in answers.dtypes] == [
        *("datetime64[us]", "datetime64[us]", "datetime64[us, UTC]", "timedelta64[us]"),
        *(TEXT, "object", "object", "category"),
    ]
    assert answers.iloc[0].tolist() == [
        *(pd.Timestamp("2026-01-02"), pd.Timestamp(MOMENT), pd.Timestamp(MOMENT, tz="UTC")),
        *(pd.Timedelta(hours=26), "10:00:00", Decimal("1.10"), ["2026-01-02"], "good"),
    ]
    assert answers.iloc[1].isna().all()
    assert answers["mood"].cat.categories.tolist() == ["good", "bad"]
    assert lazy.dtypes.equals(answers.dtypes)
    pd.testing.assert_frame_equal(computed, answers)
    assert table.dtypes == [
        *(pl.Date, pl.Datetime("us"), pl.Datetime("us", "UTC"), pl.Duration("us"), pl.Time),
        *(pl.Decimal(38, 10), pl.List(pl.Date), pl.Enum(["good", "bad"])),
    ]
    assert table["days"].to_list() == [[datetime.date(2026, 1, 2)], None]
    assert table["price"].to_list() == [Decimal("1.10"), None]


def test_a_text_that_is_no_date_leaves_its_column_as_it_was_answered():
    """
    A JSON schema's format is a wish; no answer is lost, and none is rounded.
    """
    schema = {"type": "object", "properties": {"day": {"type": "string", "format": "date"}}}
    with SimulatedProvider(reply='{"day": "May 2026"}') as sim:
        model = LLM(url=sim.base_url, api_key="k", model="m")
        answers = pd.Series(["a"]).llm.extract(schema, model=model)
        table = pl.Series("t", ["a"]).llm.extract(schema, model=model)
    with SimulatedProvider(reply='{"value": "1.00000000001"}') as sim:
        model = LLM(url=sim.base_url, api_key="k", model="m")
        exact = pl.Series("t", ["a"]).llm.extract(Decimal, model=model)

    assert answers["day"].tolist() == table["day"].to_list() == ["May 2026"]
    assert exact.to_list() == ["1.00000000001"]


@pytest.mark.parametrize(
    ("schema", "text", "value"),
    [
        ({"type": "object", "properties": {"a": True}}, '{"a": 7}', 7),
        ({"type": "object", "properties": {"a": {"enum": ["x", "x"]}}}, '{"a": "x"}', "x"),
    ],
)
def test_odd_schemas_give_tables(schema, text, value):
    """
    A field of any kind, and a label that is listed twice.
    """
    with SimulatedProvider(reply=text) as sim:
        model = LLM(url=sim.base_url, api_key="k", model="m")
        answers = pd.Series(["a"]).llm.extract(schema, model=model)

    assert answers["a"].tolist() == [value]


class Inverse(pydantic.BaseModel):
    of: int

    @pydantic.computed_field
    @property
    def is_one(self) -> float:
        return 1 / self.of


def test_code_of_the_callers_that_fails_costs_its_own_row():
    """
    A computed field that divides by zero is found with the answer, not when the table is made.
    """
    with SimulatedProvider(reply=lambda prompt: f'{{"of": {prompt[-1:] == "b":d}}}') as sim:
        model = LLM(url=sim.base_url, api_key="k", model="m")
        with pytest.warns(UserWarning, match="1 of 2 rows failed"):
            answers = pd.Series(["a", "b"]).llm.generate(schema=Inverse, model=model)

    assert answers["is_one"].tolist() == [pd.NA, 1.0]


def test_the_simulated_provider_s_own_answers_fit_what_is_asked_for():
    """
    So labels, fields and scores are tried without a key and without a function that replies; a
    schema that holds itself ends.
    """
    frame = pd.DataFrame({"text": [f"text {number}" for number in range(30)]})

    moods = frame.llm.classify("text", ["kind", "unkind"], model="sim/any")
    threads = frame.llm.extract("text", Thread, model="sim/any")
    scores = frame.llm.judge("politeness", "text", model="sim/any")

    fields = {"likes": {"type": "integer", "exclusiveMinimum": 20}, "by": {"$ref": "#/$defs/a~1b"}}
    dictionary = {"type": "object", "properties": fields, "required": [*fields]}
    dictionary["$defs"] = {"a/b": {"enum": ["me"]}}
    likes = frame.llm.extract("text", dictionary, model="sim/any")

    assert (likes["likes"].min(), set(likes["by"])) == (21, {"me"})
    assert set(moods) == {"kind", "unkind"}
    assert set(threads["stars"]) == {1, 2, 3, 4, 5}
    assert threads["title"].notna().all()
    assert scores["score"].between(1, 5).all()
