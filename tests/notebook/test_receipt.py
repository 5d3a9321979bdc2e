"""Promises about the receipt: what stays in a notebook when a run is over."""

from __future__ import annotations

import dataclasses
import re

import pytest
from markup import PAYLOADS, Census, about
from snapshots import CAUSES, NOW, SHARES, counts, finished, snapshot, stopped

from llmnb.engine.status import FailureCause, ModelShare, StatusSnapshot, StatusTracker
from llmnb.notebook import receipt

ELEMENTS = {"div", "span", "p", "strong", "table", "tr", "th", "td", "code"}
ATTRIBUTES = {"style", "class", "align", "scope", "cellpadding", "aria-hidden"}


def html(status: StatusSnapshot) -> str:
    return receipt.html(status, ended=NOW + 393, prices_of="2026-11-14")


def text(status: StatusSnapshot) -> str:
    return receipt.text(status, ended=NOW + 393, prices_of="2026-11-14")


def hostile(payload: str, *, end: StatusSnapshot | None = None) -> StatusSnapshot:
    """Return a finished run in which everything that is text holds the payload."""
    return dataclasses.replace(
        end or finished(),
        project=payload,
        waiting_on=payload,
        models={payload: 3},
        shares=(ModelShare(name=payload, rows=1, share=0.5, p50=1.0, usd=None), *SHARES),
        causes=(
            FailureCause(kind=payload, words=payload, rows=2, first_row=0, example=payload),
            *CAUSES,
        ),
    )


# --------------------------------------------------------------------------- safety


@pytest.mark.parametrize("end", [finished(), stopped()], ids=["finished", "stopped"])
def test_markup_from_outside_stays_text(end):
    """
    Whatever a project, a model or an error is called: no element, attribute or address of it lives.
    """
    for payload in PAYLOADS:
        with about(payload):
            census = Census(receipt.html(hostile(payload, end=end), ended=NOW, prices_of=payload))

            assert census.elements <= ELEMENTS
            assert census.attributes <= ATTRIBUTES
            assert census.others == []
            assert census.open == []
            assert not any("url(" in one or "//" in one or "import" in one for one in census.values)
            assert payload[:20].isprintable() is False or payload[:20] in census.text


def test_the_text_holds_no_control():
    """
    Nothing moves a cursor, opens a link or turns a line around; no line passes 90 columns.
    """
    hidden = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u202a-\u202e\u2066-\u2069]")
    for payload in PAYLOADS:
        with about(payload):
            told = receipt.text(hostile(payload), ended=NOW, prices_of=payload)

            assert not hidden.search(told)
            assert max(len(one) for one in told.split("\n")) <= 90
            assert receipt.line(hostile(payload)).count("\n") == 0


def test_every_element_of_a_receipt_is_closed_and_known():
    """
    Tables, text and inline styles: no script, no style sheet, no address.
    """
    census = Census(html(finished()))

    assert census.elements <= ELEMENTS
    assert census.attributes <= ATTRIBUTES
    assert not any("://" in one or "url(" in one for one in [*census.values, census.text])


# -------------------------------------------------------------------------- content


def test_the_text_is_the_receipt_of_the_design():
    """
    Line for line: what was answered, what it took, what failed, what to do.
    """
    told = text(finished(project="tickets")).split("\n")

    assert told[0].startswith("llmnb receipt · tickets · 14 Nov 2026, ")
    assert told[2] == "2,391 of 2,400 rows answered in 7 min 4 s for $3.21"
    assert told[4:9] == [
        "  rows ................ 2,400",
        "    answered .......... 2,058",
        "    reused ............   214   saved $0.33",
        "    merged ............   119   saved $0.19",
        "    failed ............     9",
    ]
    assert "  tokens .............. 1.00M in, 1.24M out" in told
    assert "  openai/gpt-5-mini" in "\n".join(told)
    assert told[-2:] == ["Retry the failed rows: run.retry_failed()", "Prices of 2026-11-14."]


@pytest.mark.parametrize("of", [html, text], ids=["html", "text"])
@pytest.mark.parametrize("status", [finished(), stopped()], ids=["finished", "stopped"])
def test_both_receipts_tell_the_same(of, status):
    """
    Counters, models, failures and the next step stand in the HTML and in the text.
    """
    told = Census(of(status)).text if of is html else of(status)

    for share in SHARES:
        assert share.name in told
    for cause in CAUSES:
        assert cause.words in told
        assert cause.example in told
    for figure in ("2,400", "214", "31", "12", "p50 11.2 s", "p95 26.1 s"):
        assert figure in told


def test_a_stopped_run_says_how_to_go_on():
    """
    What was not sent is counted apart, and running the cell again is the next step.
    """
    told = Census(html(stopped())).text

    assert "Stopped: 1,393 of 2,400 rows answered" in told
    assert "1,083 answered + 214 reused + 96 merged + 9 failed + 998 not sent = 2,400 rows" in told
    assert "Run the cell again: only the 998 rows not sent and the 9 failed are asked" in told
    assert "retry_failed" not in told


def test_a_clean_run_names_no_next_step():
    """
    All rows answered is all there is to say.
    """
    tracker = StatusTracker(num_tasks_succeeded=120, num_tasks_started=120, num_requests=120)
    status = finished(tracker=tracker, total=120, launched=120, completed=120, causes=())

    assert "All 120 rows answered" in Census(html(status)).text
    assert "Retry the failed" not in text(status) + html(status)


def test_no_rows_are_told_in_a_sentence():
    """
    No progress bar, no table of zeros.
    """
    status = finished(tracker=StatusTracker(), total=0, launched=0, completed=0, causes=())

    assert "Nothing to send" in Census(html(status)).text
    assert "table" not in Census(html(status)).elements
    assert "Nothing to send" in text(status)


def test_an_unknown_price_is_not_called_free():
    """
    Replies without a price are said to be unpriced.
    """
    status = finished(tracker=counts(usd=0.0, num_unpriced=7))

    assert "an unknown price" in Census(html(status)).text
    assert "$1.59 + 7 of unknown price" in text(finished(tracker=counts(num_unpriced=7)))


def test_simulated_answers_are_said_to_be():
    """
    Nobody takes a rehearsal for a result.
    """
    status = finished(simulated=True)

    assert "simulated" in Census(html(status)).text
    assert "simulated" in text(status)


def test_many_models_and_causes_stay_short():
    """
    The size does not grow with the rows, and a hundred models are a table of thirteen lines.
    """
    many = tuple(
        ModelShare(name=f"sim/model-{place}", rows=1, share=0.01, p50=1.0, usd=0.01)
        for place in range(100)
    )
    causes = tuple(
        FailureCause(
            kind=f"Kind{place}", words=f"cause {place}", rows=1, first_row=place, example="x" * 5000
        )
        for place in range(50)
    )
    status = finished(shares=many, causes=causes)

    assert "88 others" in Census(html(status)).text
    assert "40 other causes" in Census(html(status)).text
    assert len(html(status)) < 40_000


def test_a_line_for_a_terminal_tells_how_far_it_is():
    """
    While it runs: rows, dollars and why it is not faster.
    """
    assert receipt.line(snapshot()) == (
        "llmnb run · tickets · 1,338 of 2,400 rows, $1.59. "
        "Waiting on replies: all 64 places in flight are taken."
    )
    assert receipt.line(finished()).endswith("2,391 of 2,400 rows answered in 7 min 4 s for $3.21")
