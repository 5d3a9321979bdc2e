"""Promises of `label` in code: which rows are asked, what is kept, and where labels count."""

from __future__ import annotations

import enum
import os

import numpy as np
import pandas as pd
import polars as pl
import pytest
from shells import new_shell

from llmnb.errors import ConfigurationError, InputError, StoreError

LABELS = ["kind", "unkind"]


@pytest.fixture
def frame():
    return pd.DataFrame(
        {
            "text": [f"text {number}" for number in range(12)],
            "channel": ["mail", "chat"] * 6,
            "mood": ["kind"] * 6 + ["unkind"] * 5 + [None],
        },
        index=range(100, 112),
    )


def label_all(labelled, label="kind"):
    """Label every row of a sample; returns the positions in the order in which they were asked."""
    asked = []
    while (row := labelled.position) is not None:
        asked.append(row)
        labelled.give(label)
    return asked


# -------------------------------------------------------------------------------- asking


def test_a_sample_is_asked_row_by_row_and_ends_with_none(frame):
    """
    Each row of the sample is asked about once, and the labels stand over the whole frame.
    """
    labelled = frame.llm.label("mood", LABELS, n=5)

    asked = label_all(labelled)

    assert len(asked) == len(set(asked)) == 5
    assert labelled.position is None
    labels = labelled.labels
    assert labels.index.equals(frame.index)
    assert labels.dropna().index.tolist() == sorted(frame.index[row] for row in asked)
    assert labels.cat.categories.tolist() == LABELS
    assert labels.name == "mood"


def test_a_seed_draws_the_same_rows_whatever_was_added_or_sorted(frame):
    """
    Chance goes by the rows' content: sorting the frame and adding a column changes no sample.
    """
    texts = [frame["text"].iloc[row] for row in label_all(frame.llm.label("a", LABELS, n=4))]
    other = frame.iloc[::-1]
    again = [other["text"].iloc[row] for row in label_all(other.llm.label("b", LABELS, n=4))]
    others = [
        frame["text"].iloc[row] for row in label_all(frame.llm.label("c", LABELS, n=4, seed=1))
    ]

    assert texts == again != others


def test_rows_of_the_same_content_are_asked_once_and_share_the_label():
    """
    Ten rows of two contents are two questions, and ten labels.
    """
    frame = pd.DataFrame({"text": ["so good", "so bad"] * 5})
    labelled = frame.llm.label("mood", LABELS)

    assert len(label_all(labelled)) == 2
    assert labelled.labels.tolist() == ["kind"] * 10


def test_rows_with_nothing_in_them_are_not_asked_about():
    """
    A row whose fields are all missing is no row to label.
    """
    labelled = pd.DataFrame({"text": [None, "so good", None]}).llm.label("mood", LABELS)

    assert label_all(labelled) == [1]


@pytest.mark.parametrize("kind", [pd.DataFrame, pl.DataFrame])
def test_disagreement_asks_first_where_answers_agree_least(kind):
    """
    Only rows on which a comparison's answers differ are asked about, the most disputed first.
    """
    frame = kind({"text": ["all", "two", "none", "four"]})
    answers = kind({"row": [3, 0, 1, 2], "a": list("xxyx"), "agreement": [0.75, 1.0, 0.5, 0.3]})
    if kind is pd.DataFrame:
        answers = answers.set_index("row")
    labelled = frame.llm.label("mood", LABELS, sample="disagreement", comparison=answers)

    assert label_all(labelled) == [2, 1, 3]


@pytest.mark.parametrize("given", ["sure", "series", None])
def test_uncertain_asks_first_of_what_the_model_is_least_sure(given):
    """
    By a column, a series, or the question's own column of confidence; rows without one never.
    """
    sure = [0.9, 0.1, None, 0.5]
    frame = pd.DataFrame({"text": list("abcd"), "sure": sure, "mood_confidence": sure})
    confidence = frame["sure"] if given == "series" else given
    labelled = frame.llm.label(
        "mood", LABELS, sample="uncertain", confidence=confidence, fields="text"
    )

    assert label_all(labelled) == [1, 3, 0]


def test_more_rows_follow_in_the_same_order(frame):
    """
    After a sample is done, more of the same are asked about, never one twice.
    """
    labelled = frame.llm.label("mood", LABELS, n=4)
    first = label_all(labelled)
    labelled.more(3)

    second = label_all(labelled)

    assert len(second) == 3
    assert not set(first) & set(second)
    fields = ["text", "channel"]
    other = frame.llm.label("other", LABELS, n=7, fields=fields)
    assert label_all(other) == first + second


# ------------------------------------------------------------------------ skip and undo


def test_a_skipped_row_has_no_label_and_can_be_asked_about_again(frame):
    """
    What was skipped is passed over, also by a later labeller, until it is asked for.
    """
    labelled = frame.llm.label("mood", LABELS, n=3)
    skipped = labelled.position
    labelled.skip()
    label_all(labelled)
    assert (labelled.labelled, labelled.skipped) == (2, 1)

    again = frame.llm.label("mood", LABELS, n=3)
    assert again.position is None
    again.ask_skipped()

    assert label_all(again) == [skipped]
    assert (again.labelled, again.skipped) == (3, 0)


def test_undo_goes_back_step_by_step_to_the_first_row(frame):
    """
    Each undo opens the row that was last said something of, labels and skips alike.
    """
    labelled = frame.llm.label("mood", LABELS, n=4)
    asked = []
    for step in range(4):
        asked.append(labelled.position)
        labelled.skip() if step == 1 else labelled.give("kind")

    back = []
    for _ in range(4):
        labelled.undo()
        back.append(labelled.position)

    assert back == asked[::-1]
    assert labelled.labels.isna().all()
    with pytest.raises(InputError, match="Nothing was said"):
        labelled.undo()
    assert label_all(labelled, "unkind") == asked
    assert labelled.labels.dropna().tolist() == ["unkind"] * 4


def test_undo_reaches_labels_of_an_earlier_kernel(frame):
    """
    A new labeller takes back what an old one has kept.
    """
    first = frame.llm.label("mood", LABELS, n=2)
    asked = label_all(first)

    again = frame.llm.label("mood", LABELS, n=2)
    again.undo()

    assert again.position == asked[1]
    assert again.labelled == 1


# ------------------------------------------------------------------------- what is kept


def test_a_new_column_loses_no_label_and_a_changed_text_does(frame):
    """
    Fields are remembered at the first label; a row whose text changed has none any more, and
    that is told.
    """
    asked = label_all(frame.llm.label("mood", LABELS, n=3))
    frame["new"] = "x"
    again = frame.llm.label("mood", LABELS, n=3)
    assert again.labels.notna().sum() == 3

    frame.iloc[asked[0], 0] = "another text"
    changed = frame.llm.label("mood", LABELS, n=3)

    assert changed.labels.notna().sum() == 2
    assert "1 label matches no row of this table" in str(changed)
    assert "1 label matches no row of this table" in changed._repr_html_()


def test_a_table_without_a_remembered_field_says_which(frame):
    """
    Rows can be told apart only by what they were known by: the error names it and the way out.
    """
    label_all(frame.llm.label("mood", LABELS, n=3))
    less = frame.drop(columns="channel")

    with pytest.raises(InputError, match=r"known by 'text', 'channel'.* no 'channel'.*fields="):
        less.llm.label("mood", LABELS)
    assert less.llm.label("mood", LABELS, fields="text").rows.unmatched == 3


def test_labels_of_an_earlier_question_are_kept_named_and_asked_again(frame):
    """
    A label that is none of the labels any more is NA, told in words, and asked about again.
    """
    old = frame.llm.label("mood", ["kind", "refund"], n=3)
    first = old.position
    label_all(old, "refund")

    new = frame.llm.label("mood", LABELS, n=2)

    assert new.labels.isna().all()
    assert "3 earlier labels say “refund”, which is not among the labels" in str(new)
    assert new.position == first
    new.ask_again()
    assert len(label_all(new)) == 3
    assert new.labels.notna().sum() == 3
    assert "refund" not in str(new)


def test_what_the_model_wrote_makes_no_key(sim, frame):
    """
    Columns that hold answers are no fields, so asking anew loses no label.
    """
    answered = frame.llm.generate("Say {text}", into="said")
    labelled = answered.llm.label("mood", LABELS)

    assert labelled.rows.fields == ["text", "channel"]


def test_what_nobody_reads_makes_no_key_either(frame):
    """
    Pictures and vectors are no fields unless they are named.
    """
    frame["picture"] = [b"png"] * 12
    frame["vector"] = [np.zeros(3)] * 12

    assert frame.llm.label("mood", LABELS).rows.fields == ["text", "channel"]
    assert frame.llm.label("mood", LABELS, fields=["picture", "text"]).position is not None


@pytest.mark.parametrize("make", [pd.Series, pl.Series])
def test_a_series_shares_labels_with_the_frame_that_it_is_a_column_of(make, frame):
    """
    The values of a series are the content of its rows.
    """
    texts = frame["text"].tolist()
    series = pd.Series(texts, name="text") if make is pd.Series else pl.Series("text", texts)
    label_all(series.llm.label("mood", LABELS, n=2))

    assert frame.llm.label("mood", LABELS, fields="text").labels.notna().sum() == 2


def test_polars_has_labels_as_an_enumeration():
    """
    The labels are a column of Polars, null where there is none.
    """
    frame = pl.DataFrame({"text": ["a", "b"]})
    labelled = frame.llm.label("mood", LABELS, n=1)
    row = labelled.position
    labelled.give("kind")

    assert labelled.labels.dtype == pl.Enum(LABELS)
    assert labelled.labels.to_list() == ["kind" if place == row else None for place in (0, 1)]


def test_a_label_that_cannot_be_saved_stays_and_is_saved_again(frame, monkeypatch):
    """
    Nothing goes on while a label is not on the disk, and saving again counts it once.
    """
    labelled = frame.llm.label("mood", LABELS, n=2)
    row = labelled.position
    sync = os.fsync

    def fail(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(StoreError, match="Not saved: the disk is full"):
        labelled.give("kind")
    assert labelled.unsaved.label == "kind"
    assert labelled.position == row
    monkeypatch.setattr(os, "fsync", sync)
    labelled.save_again()

    assert labelled.unsaved is None
    assert labelled.position != row
    labelled.undo()
    assert labelled.labels.isna().all()


# ----------------------------------------------------------------------------- labels


def test_a_label_means_what_it_is_whatever_its_capitals(frame):
    """
    Labels are compared without capitals and outer blanks, and kept as they were given first.
    """
    labelled = frame.llm.label("mood", LABELS, n=1)
    labelled.give(" KIND ")

    assert labelled.labels.dropna().tolist() == ["kind"]


def test_labels_are_those_of_classify(frame):
    """
    A mapping to meanings, an enumeration, and whole numbers are labels.
    """

    class Mood(enum.Enum):
        GOOD = "kind"
        BAD = "unkind"

    assert frame.llm.label("a", Mood).choices == ("kind", "unkind")
    assert frame.llm.label("b", {"kind": "is nice"}).meanings == {"kind": "is nice"}
    stars = frame.llm.label("c", pd.Series([1, 2, 3]).unique().tolist(), n=1)
    stars.give("2")
    assert stars.labels.dropna().tolist() == [2]


@pytest.mark.parametrize(
    ("labels", "options", "error", "message"),
    [
        ([], {}, ConfigurationError, "empty"),
        ("kind", {}, ConfigurationError, "not .kind."),
        (["kind", None], {}, ConfigurationError, "not None"),
        (["kind", ["unkind"]], {}, ConfigurationError, "holds a list"),
        (["Yes", "yes "], {}, ConfigurationError, "are the same"),
        ([2**70, 1], {}, InputError, "at most 64 bits"),
        ([1.5, float("inf")], {}, InputError, "not inf"),
        (LABELS, {"n": 0}, ConfigurationError, "from 1 on"),
        (LABELS, {"sample": "best"}, ConfigurationError, "not 'best'"),
        (LABELS, {"sample": "disagreement"}, ConfigurationError, "comparison="),
        (LABELS, {"sample": "disagreement", "comparison": 3}, ConfigurationError, "not int"),
        (LABELS, {"sample": "uncertain"}, ConfigurationError, "'mood_confidence'"),
        (LABELS, {"sample": "uncertain", "confidence": "no"}, InputError, "no column"),
        (LABELS, {"fields": ["text", "nope"]}, InputError, "nope"),
    ],
)
def test_what_cannot_be_used_is_named_at_once(frame, labels, options, error, message):
    """
    A wrong label, option or field is an error that says which, before anything is asked.
    """
    with pytest.raises(error, match=message):
        frame.llm.label("mood", labels, **options)


def test_a_question_has_one_name(frame):
    """
    A list of columns is refused, and no label is kept under its text.
    """
    with pytest.raises(InputError, match="given by its name, not as list"):
        frame.llm.label(["mood"], LABELS)


@pytest.mark.parametrize("kind", ["pandas", "polars"])
def test_half_a_character_in_a_label_spoils_no_column(frame, kind):
    """
    It becomes the mark of what cannot be read, in labels, columns and scores alike.
    """
    table = pl.from_pandas(frame) if kind == "polars" else frame
    labelled = table.llm.label("mood", ["half\ud800", "kind"], n=4)
    label_all(labelled, "half\ud800")

    assert labelled.choices == ("half\ufffd", "kind")
    assert labelled.labels.to_list().count("half\ufffd") == 4
    assert table.llm.score("channel", ["half\ud800"] * 12, kind="label").n == 12


def test_two_labellers_of_one_question_come_to_the_same_labels(frame):
    """
    Both open at once: what either was told is what both give as truth.
    """
    first, second = (frame.llm.label("mood", LABELS, n=3) for _ in range(2))
    first.give("kind")
    second.give("unkind")
    first.undo()

    assert first.labels.equals(second.labels)


def test_a_table_without_a_row_has_none_to_label(frame):
    """
    Giving a label says so.
    """
    with pytest.raises(InputError, match="no row that could be labelled"):
        frame.head(0).llm.label("mood", LABELS).give("kind")


def test_an_unknown_label_is_refused_by_name(frame):
    """
    Giving what is none of the labels says which there are, and keeps nothing.
    """
    labelled = frame.llm.label("mood", LABELS)

    with pytest.raises(InputError, match="'refund' is none of the labels: 'kind', 'unkind'"):
        labelled.give("refund")
    assert labelled.labelled == 0


# ------------------------------------------------------------------------ as truth


def test_labels_stand_wherever_truth_does(sim, frame):
    """
    `score`, `shares`, `compare` and `examples` take what `label` returned, as its column.
    """
    labelled = frame.llm.label("mood", LABELS, n=6)
    label_all(labelled)
    labels = labelled.labels

    score = frame.llm.score("mood", labelled)
    assert (score.n, score.accuracy) == (6, frame.llm.score("mood", labels).accuracy)
    shares = frame.llm.shares("mood", labelled).labels
    assert shares.equals(frame.llm.shares("mood", labels).labels)
    compared = frame.llm.compare({"a": "Say {text}", "b": "Tell {text}"}, truth=labelled)
    assert len(compared.answers) == 6
    rest = frame.llm.generate("What mood? {text}", examples=labelled)
    assert rest.notna().all()
    assert frame.llm.score("mood", labelled, examples=labels.iloc[:8]).examples > 0


def test_a_sample_that_is_not_random_warns_where_the_whole_is_meant(frame):
    """
    `score` and `shares` say so, also in a later kernel; a random sample never does.
    """
    confidence = [0.1 * number for number in range(12)]
    chosen = frame.llm.label("mood", LABELS, n=3, sample="uncertain", confidence=confidence)
    label_all(chosen)
    for again in (chosen, frame.llm.label("mood", LABELS, n=1, seed=5)):
        with pytest.warns(UserWarning, match="not of rows at random, but of . rows of low"):
            frame.llm.score("mood", again)
        with pytest.warns(UserWarning, match="not of rows at random"):
            frame.llm.shares("mood", again)
        assert "Not at random" in str(again)


def test_a_random_sample_warns_of_nothing(frame, recwarn):
    """
    Labels of rows drawn by chance score the whole without a word.
    """
    labelled = frame.llm.label("mood", LABELS, n=3)
    label_all(labelled)
    frame.llm.score("mood", labelled)
    frame.llm.shares("mood", labelled)

    assert not recwarn.list


# ------------------------------------------------------------------------- applying


@pytest.mark.parametrize("kind", ["object", "category", "polars"])
def test_labels_are_written_over_the_column_and_counted(frame, kind, capsys):
    """
    Labelled rows say what the person said, all others what they said before.
    """
    table = frame.astype({"mood": kind}) if kind == "category" else frame
    table = pl.from_pandas(table) if kind == "polars" else table
    labelled = table.llm.label("mood", ["kind", "unkind", "neither"], n=4)
    asked = label_all(labelled, "neither")

    applied = table.llm.apply_labels("mood")

    before = table["mood"].to_list() if kind == "polars" else table["mood"].tolist()
    after = applied["mood"].to_list() if kind == "polars" else applied["mood"].tolist()
    assert [after[row] for row in asked] == ["neither"] * 4
    others = [row for row in range(12) if row not in asked]
    assert [after[row] or None for row in others if before[row] == before[row]] == [
        before[row] for row in others if before[row] == before[row]
    ]
    assert "4 labels written over mood, 4 of them changed it." in capsys.readouterr().err
    assert "neither" not in before


def test_in_a_notebook_the_receipt_counts_what_labels_have_changed(frame):
    """
    One line that unfolds to each kind of change, the rows that stay, and where labels are.
    """
    frame["mood"] = "kind"
    label_all(frame.llm.label("mood", ["kind", "<b>un</b>"], n=4), "<b>un</b>")

    with new_shell(has_kernel=True) as shell:
        shell.names["frame"] = frame
        shown = shell.run("applied = frame.llm.apply_labels('mood')").shown

    (receipt,) = shown
    page, text = receipt["text/html"], receipt["text/plain"]
    assert text == "llmnb · 4 labels written over mood, 4 of them changed it."
    assert "<details>" in page
    assert "kind → &lt;b&gt;un&lt;/b&gt;" in page
    for figure in ("4 rows", "8 rows", "text, channel", "default"):
        assert figure in page


def test_corrected_numbers_stay_numbers(frame):
    """
    A typed number goes into a column of numbers as one.
    """
    frame["stars"] = [1, 2, 3] * 4
    labelled = frame.llm.label("stars", ["1", "2", "3"], n=2, fields="text")
    label_all(labelled, "3")

    assert frame.llm.apply_labels("stars")["stars"].dtype == frame["stars"].dtype


def test_nothing_to_write_is_an_error_that_says_why(frame):
    """
    Neither a question that nobody has answered nor labels of other rows change a frame.
    """
    with pytest.raises(InputError, match="Nobody has labelled"):
        frame.llm.apply_labels("mood")
    label_all(frame.llm.label("mood", LABELS, n=2))
    with pytest.raises(InputError, match=r"None of the 2 labels.*text, channel"):
        frame.assign(text="new").llm.apply_labels("mood")
