"""Promises of `score` and `shares`: truth is matched, counted and shown, and nothing is dropped."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from markup import PAYLOADS, Census, about

from llmnb.errors import ConfigurationError, InputError
from llmnb.evaluation.labels import label_text

MOODS = ["kind", "Kind ", None, "unkind", "rude", "kind"]
TRUTH = ["kind", "kind", "kind", "unkind", "unkind", "unkind"]


@pytest.fixture
def frame():
    return pd.DataFrame(
        {"text": ["so good", "great", "fine", "so bad", "awful", "mean"], "mood": MOODS},
        index=[10, 11, 12, 13, 14, 15],
    )


def test_figures_and_tables_of_a_score(frame):
    """
    Labels without capitals and outer blanks; a missing answer is wrong, an unknown one too.
    """
    score = frame.llm.score("mood", TRUTH)
    assert (score.n, score.right, score.missing, score.accuracy) == (6, 3, 1, 0.5)
    assert score.accuracy_answered == 0.6
    assert score.labels["rows"].to_dict() == {"kind": 3, "unkind": 3}
    assert score.labels.loc["unkind"].tolist() == [3, 1.0, pytest.approx(1 / 3), 0.5]
    assert score.matrix.columns.tolist() == ["kind", "unkind", "rude", "none"]
    assert score.matrix.loc["unkind"].tolist() == [1, 1, 1, 0]
    assert score.matrix.to_numpy().sum() == 6
    assert score.mae is None


def test_wrong_rows_keep_their_index_and_stand_commonest_confusion_first():
    """
    Rows without an answer stand last.
    """
    frame = pd.DataFrame({"mood": [None, "b", "c", "c", "a"]}, index=list("vwxyz"))
    score = frame.llm.score("mood", ["a", "a", "a", "a", "a"])
    assert score.wrong.index.tolist() == ["x", "y", "w", "v"]
    assert score.wrong.columns.tolist() == ["mood"]


def test_the_page_says_where_the_rows_without_an_answer_stand():
    """
    Where not all wrong rows are shown; what gives the others can be copied.
    """
    frame = pd.DataFrame({"mood": ["b", None] * 20})
    page = frame.llm.score("mood", ["a", "b"] * 20)._repr_html_()
    assert "<code>score.wrong</code> · those without an answer stand last in it" in page


def test_wrong_rows_stand_by_the_models_confidence_where_it_is_known():
    """
    What the model was surest of comes first.
    """
    frame = pd.DataFrame({"mood": ["b", "b", "c"], "mood_confidence": [0.4, 0.9, None]})
    score = frame.llm.score("mood", ["a", "a", "a"])
    assert score.wrong.index.tolist() == [1, 0, 2]


def test_truth_is_matched_by_index_and_counts_what_belongs_to_no_row(frame):
    """
    In any order; rows without a label are left out, labels without a row are told.
    """
    labelled = pd.Series({13: "unkind", 10: "kind", 99: "kind", 12: None}, name="by hand")
    score = frame.llm.score("mood", labelled)
    assert (score.n, score.right) == (2, 2)
    assert "1 label belongs to no row" in " ".join(str(score).split())
    assert "against by hand" in str(score)
    assert frame.llm.score("mood", {13: "unkind", 14: "rude"}).accuracy == 1.0


def test_equal_indexes_are_matched_by_position_though_values_are_repeated(frame):
    """
    Two frames that were cut from one are the same row for row.
    """
    twice = frame.set_axis([1, 1, 2, 2, 3, 3])
    truth = pd.Series(TRUTH, index=twice.index)
    assert twice.llm.score("mood", truth).accuracy == 0.5


def test_a_column_of_the_frame_is_truth_by_its_name(frame):
    """
    Where the labels stand in the table already.
    """
    assert frame.assign(label=TRUTH).llm.score("mood", "label").n == 6


def test_examples_are_left_out_and_counted(frame):
    """
    A row that the prompt has shown with its label proves nothing.
    """
    score = frame.llm.score("mood", TRUTH, examples=pd.Series({10: "kind", 11: "kind"}))
    assert (score.n, score.right, score.examples) == (4, 1, 2)
    assert "2 examples left out" in " ".join(str(score).split())


def test_a_label_called_none_keeps_its_own_column():
    """
    The column of missing answers takes another name.
    """
    score = pd.DataFrame({"a": ["none", None]}).llm.score("a", ["none", "none"])
    assert score.matrix.columns.tolist() == ["none", "no answer"]
    assert score.matrix.loc["none"].tolist() == [1, 1]


def test_numbers_are_measured_and_labels_that_are_numbers_are_not(frame):
    """
    Numeric truth means numbers, answers are converted; `kind="label"` compares them as labels.
    """
    frame = pd.DataFrame({"stars": ["4", 2.0, "none", 5]})
    score = frame.llm.score("stars", [5, 2, 1, 5])
    assert (score.n, score.missing, score.accuracy) == (4, 1, None)
    assert score.mae == pytest.approx(1 / 3)
    assert score.wrong.index.tolist() == [2, 0]
    assert frame.llm.score("stars", [5, 2, 1, 5], kind="label").accuracy == 0.5


def test_booleans_and_categories_are_labels():
    """
    As `filter` and `classify` give them.
    """
    frame = pd.DataFrame({"keep": pd.array([True, None, False], dtype="boolean")})
    assert frame.llm.score("keep", [True, True, True]).right == 1
    moods = pd.Series(["a", "b"], dtype="category")
    assert moods.llm.score(pd.Series(["a", "a"], dtype="category")).accuracy == 0.5


@pytest.mark.parametrize(
    ("column", "truth", "says"),
    [
        ("mood", ["kind"], "truth= has 1 value and the table 6 rows"),
        ("mood", pd.Series({99: "kind"}), "none of them belongs to a row"),
        ("mood", [None] * 6, "no label for any row"),
        ("mood", None, "truth= is a series, a list .* not NoneType"),
        ("mood", pd.DataFrame({"mood": TRUTH}), "not DataFrame"),
        (
            "mood",
            pd.Series(["a", "b"], index=[10, 10]),
            "truth= has the index value 10 more than once",
        ),
        ("mood", set("abcdef"), "truth= is a series, a list .* not set"),
        ("mood", b"abcdef", "not bytes"),
        ("mood", "mood", "'mood' is the very column that is compared"),
        ("mood", ["", " ", None, "", "", "\t"], "no label for any row"),
        (
            "mood",
            [*TRUTH[:5], ["kind", "rude"]],
            r'has \["kind","rude"\] for the row at position 5',
        ),
        ("mood", np.zeros((6, 2)), "one true label for each row"),
        (
            "mood",
            [1, 2, 3, 4, 5, 6],
            "Truth is numbers, such as 1, and the answers are texts, such",
        ),
        ("length", TRUTH, "Truth is texts, such as 'kind', and the answers are numbers, such as 7"),
        ("length", [True] * 6, "Truth is booleans, such as True, and the answers are numbers"),
        ("length", [1, 2, 3, 4, 5, float("inf")], "Truth has inf, which is no finite number"),
        ("length", [10**400, 2, 3, 4, 5, 6], "Truth has 1000.*, which is no finite number"),
        (
            "moood",
            TRUTH,
            r"no column 'moood'. Did you mean 'mood'\? It has: 'text', 'mood', 'length'",
        ),
    ],
)
def test_truth_that_does_not_fit_is_an_error_that_says_how(frame, column, truth, says):
    """
    Another length, nothing in common, all missing, repeated, without an order, the column itself,
    two labels for a row, numbers against texts or booleans, no finite number, a misspelt column.
    """
    with pytest.raises(InputError, match=says):
        frame.assign(length=frame["text"].str.len()).llm.score(column, truth)


def test_a_frame_with_repeated_labels_or_without_rows_is_an_error(frame):
    """
    Nobody can say which label is whose.
    """
    with pytest.raises(InputError, match="The table has the index value 1 more than once"):
        frame.set_axis([1] * 6).llm.score("mood", pd.Series({1: "kind"}))
    with pytest.raises(InputError, match="no rows"):
        frame.head(0).llm.score("mood", [])
    with pytest.raises(InputError, match="Every labelled row is an example"):
        frame.llm.score("mood", TRUTH, examples=TRUTH)
    with pytest.raises(ConfigurationError, match="kind="):
        frame.llm.score("mood", TRUTH, kind="labels")


def test_labels_are_the_same_however_their_letters_are_composed():
    """
    An accent of its own, capitals, outer blanks; a blank text is no label.
    """
    score = pd.Series(["caf\u00e9", "CAFE\u0301 ", "tea"]).llm.score(
        ["cafe\u0301", "Caf\u00e9", " "]
    )
    assert (score.n, score.right) == (2, 2)


def test_lists_are_compared_where_answers_are_lists_too():
    """
    As they are written, arrays among them.
    """
    tags = pd.Series([["a", "b"], np.array(["a", "b"], dtype=object), ["b"]])
    assert tags.llm.score([["a", "b"], ["a", "b"], ["b", "a"]]).right == 2


def test_pairs_that_were_examples_leave_no_row_out(frame):
    """
    They are of no row, so that what `classify` took does for `score`.
    """
    assert frame.llm.score("mood", TRUTH, examples=[("so nice", "kind")]).n == 6


@pytest.mark.parametrize("kind", [pd, pl], ids=["pandas", "polars"])
def test_answers_whose_quotes_are_not_in_their_text_are_counted(kind):
    """
    With those that are wrong among them; where nobody has looked, nothing is said.
    """
    table = kind.DataFrame(
        {"m": ["a", "b", "b", None], "m_supported": [True, False, False, None], "t": list("aaba")}
    )
    score = table.llm.score("m", "t")
    assert score.unsupported == 2
    told = " ".join(str(score).split())
    assert "2 answers quote words that are not in the text; 1 of these is wrong." in told
    as_text = kind.DataFrame({"m": ["a", "b"], "m_supported": ["True", "False"]})
    assert as_text.llm.score("m", ["a", "b"]).unsupported == 1
    assert kind.DataFrame({"m": ["a"]}).llm.score("m", ["a"]).unsupported is None


def test_a_table_of_any_kind_scores_as_row_by_row():
    """
    Figures do not depend on how cells are read: the same of texts, booleans, mixed and lists.
    """
    values: list[Any] = ["a", "A ", True, 1, 1.0, "1", None, float("nan"), 2.5, "2.5", "true"]
    answers = [value for value in values for _ in values]
    truth = [value for _ in values for value in values]
    score = pd.Series(answers, dtype=object).llm.score(pd.Series(truth, dtype=object))
    pairs = [
        (label_text(said), label_text(true))
        for said, true in zip(answers, truth, strict=True)
        if label_text(true) is not None
    ]
    assert score.n == len(pairs)
    assert score.right == sum(said.casefold() == true.casefold() for said, true in pairs if said)
    assert score.missing == sum(said is None for said, _ in pairs)


def test_shares_tell_of_rows_without_an_answer_and_of_kinds_that_cannot_be_compared(frame):
    """
    Nothing is dropped without a word.
    """
    told = " ".join(str(frame.llm.shares("mood", TRUTH[:3] + [None] * 3)).split())
    assert "1 row has no answer." in told
    apart = " ".join(str(frame.llm.shares("mood", ["x", "y", *[None] * 4])).split())
    assert "No answer is one of the true labels" in apart
    assert "No answer is one of the true labels" not in told
    score = " ".join(str(frame.llm.score("mood", list("xyzxyz"))).split())
    assert "No answer is one of the true labels" in score
    with pytest.raises(InputError, match="Truth is numbers, such as 1, and the answers are texts"):
        frame.llm.shares("mood", [1, 2, None, None, None, None])


def test_polars_is_matched_by_position_and_numbers_its_rows():
    """
    Its tables come back as Polars' own.
    """
    frame = pl.DataFrame({"text": list("abcdef"), "mood": MOODS})
    score = frame.llm.score("mood", pl.Series(TRUTH))
    assert score.accuracy == 0.5
    assert score.wrong["row"].to_list() == [5, 4, 2]
    assert score.labels["label"].to_list() == ["kind", "unkind"]
    assert frame["mood"].llm.score(TRUTH).right == 3
    with pytest.raises(InputError, match="by position"):
        frame.llm.score("mood", ["kind"])
    assert frame.llm.shares("mood", TRUTH).labels["share"].sum() == pytest.approx(1)


def test_shares_are_a_table_with_the_largest_first():
    """
    As corrected, with an interval, beside what the answers alone say.
    """
    frame = pd.DataFrame({"mood": ["kind"] * 60 + ["unkind"] * 40})
    truth = pd.Series({row: "kind" if row < 50 else "unkind" for row in range(0, 100, 4)})
    shares = frame.llm.shares("mood", truth)
    assert shares.n == 25
    assert shares.labels.index.tolist() == ["kind", "unkind"]
    assert shares.labels.columns.tolist() == ["share", "low", "high", "naive"]
    assert shares.labels.loc["kind", "naive"] == 0.6
    assert shares.labels.loc["kind", "share"] == pytest.approx(0.5, abs=0.05)
    assert "The model says kind too often" in str(shares)
    assert frame["mood"].llm.shares(truth).labels.equals(shares.labels)


def test_few_labels_one_label_and_all_right_are_told_in_words(frame):
    """
    Figures that mean nothing are left out.
    """
    score = frame.llm.score("mood", pd.Series({10: "kind", 11: "kind"}))
    said = " ".join(str(score).split())
    assert "All 2 right, 95 % interval 34 to 100" in said
    assert "All 2 are kind: kappa and macro F1 mean nothing" in said
    assert "So few labels say little." in said
    assert "one error in 2 could still hide" in said
    assert "macro F1 ..." not in said


def test_more_than_ten_labels_show_pairs_instead_of_a_matrix():
    """
    The commonest confusions and the weakest labels; `matrix` has all.
    """
    truth = [f"label {n % 12}" for n in range(120)]
    said = [f"label {(n + (n % 24 == 0)) % 12}" for n in range(120)]
    score = pd.DataFrame({"a": said}).llm.score("a", truth)
    assert "confused most often" in str(score)
    assert "Weakest labels" in score._repr_html_()
    assert score.matrix.shape == (12, 13)


def test_long_labels_are_whole_in_pages_and_told_apart_as_text():
    """
    On lines of at most 89 characters truth, answer and text have their share each.
    """
    names = [f"a rather long label of number {number} in this table" for number in range(14)]
    frame = pd.DataFrame({"text": ["some words about it " * 5] * 28, "label": names * 2})
    score = frame.llm.score("label", [*names[1:], names[0], *names])
    lines = str(score).splitlines()
    assert max(map(len, lines)) < 90
    confused = lines[lines.index("  confused most often") + 2]
    assert "number 1 in" in confused
    assert "number 0 in" in confused
    assert names[1] in score._repr_html_()
    assert "of number 1…" not in score._repr_html_()


def test_nothing_that_a_table_or_a_model_wrote_is_live_markup(frame):
    """
    Column names, labels, answers and texts, in HTML and in a terminal.
    """
    calm = frame.assign(other="x")
    plain = Census(calm.llm.score("mood", TRUTH)._repr_html_())
    shares = Census(calm.llm.shares("mood", TRUTH)._repr_html_())
    for payload in PAYLOADS:
        with about(payload):
            hostile = pd.DataFrame(
                {
                    payload: [payload, payload, None, "unkind", "rude", payload],
                    "text": payload,
                }
            )
            truth = pd.Series([payload] * 3 + ["unkind"] * 3, name=payload)
            for made, usual in (
                (hostile.llm.score(payload, truth), plain),
                (hostile.llm.shares(payload, truth), shares),
            ):
                page = Census(made._repr_html_())
                assert page.elements == usual.elements
                assert page.attributes <= usual.attributes | {"colspan"}
                assert page.others == page.open == []
                shown = f"{made}{made!r}{page.text}"
                assert {sign for sign in shown if not sign.isprintable()} <= {"\n"}


def test_a_score_is_one_line_of_repr_and_narrow_text(frame):
    """
    Below 90 columns, below 200 characters.
    """
    wide = frame.assign(text="a word " * 60)
    score = wide.llm.score("mood", TRUTH)
    assert max(map(len, str(score).splitlines())) < 90
    assert repr(score) == "<Score: 50 % right, 95 % interval 19 to 81: mood against truth>"


def test_labels_named_after_the_column_are_told_from_it():
    """
    What a person labelled bears the name of the very column; the card says against what it stands.
    """
    frame = pd.DataFrame({"text": ["so good", "so bad"], "mood": ["kind", "kind"]})
    score = frame.llm.score("mood", pd.Series(["kind", "harsh"], name="mood"))
    assert "mood against the labels" in str(score)


def test_a_wrong_row_whose_longest_text_is_missing_shows_the_next():
    """
    An answer of another verb may be the longest column, and is missing where its row failed.
    """
    frame = pd.DataFrame(
        {
            "text": ["the first", "the second"],
            "reply": [None, "a reply that is longer than texts"],
            "mood": ["x", "x"],
            "label": ["y", "y"],
        }
    )

    shown = str(frame.llm.score("mood", "label"))

    assert "the first" in shown
    assert "a reply that is longer" in shown
