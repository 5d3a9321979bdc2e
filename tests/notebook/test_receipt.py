"""Promises about the receipt: what stays in a notebook when a run, or a cell's runs, are over."""

from __future__ import annotations

import dataclasses
import re

import pytest
from markup import PAYLOADS, Census, about
from snapshots import CAUSES, NOW, SHARES, counts, finished, stopped

from llmnb.display.texts import counted
from llmnb.engine.handle import RowAnswer
from llmnb.engine.status import FailureCause, ModelShare, StatusSnapshot, StatusTracker
from llmnb.notebook import receipt
from llmnb.notebook.receipt import Entry

ELEMENTS = {
    *("div", "span", "p", "strong", "table", "tr", "th", "td", "code", "details", "summary"),
}
ATTRIBUTES = {"style", "class", "align", "scope", "cellpadding", "aria-hidden", "open"}
RETRY = "import llmnb; llmnb.last_run().retry_failed()"


def clean(*, rows: int = 120, reused: int = 30, **changes: object) -> StatusSnapshot:
    """Return a run in which every row was answered."""
    sent = rows - reused
    kind = "simulated_" if changes.get("simulated") else ""
    dollars = {
        f"{kind}usd": 0.0092 if sent else 0.0,
        f"{kind}saved_usd": 0.0031 if reused else 0.0,
    }
    tracker = StatusTracker(
        num_rows=rows,
        num_rows_done=rows,
        num_tasks_started=sent,
        num_tasks_succeeded=sent,
        num_cached=reused,
        num_requests=sent,
        **dollars,
    )
    share = ModelShare(name="openai/gpt-4o-mini", rows=sent, share=1.0, p50=1.1, usd=0.0092)
    usual = {
        "tracker": tracker,
        "total": rows,
        "launched": rows,
        "completed": rows,
        "causes": (),
        "seconds": 14.0,
        "project": "default",
        "shares": (share,) if sent else (),
        "waited_seconds": 0.0,
    }
    return finished(**{**usual, **changes})


def loop(number: int, *statuses: StatusSnapshot) -> list[Entry]:
    """Return as many runs of a cell, told apart by their temperature."""
    several = statuses or (clean(),)
    return [
        Entry(
            status=dataclasses.replace(several[n % len(several)], started_at=NOW + 14 * n),
            traits={"model": "m", "temperature": f"{n / 5:g}"},
        )
        for n in range(number)
    ]


def html(*entries: Entry, is_open: bool = False) -> str:
    return receipt.html(entries, prices_of="2026-11-14", is_open=is_open)


def html_of(status: StatusSnapshot, **more: object) -> str:
    return html(Entry(status=status, **more))


def words_of(*entries: Entry) -> str:
    return Census(html(*entries)).text


def text_of(status: StatusSnapshot) -> str:
    return receipt.text([Entry(status=status)])


def summary_of(page: str) -> str:
    return Census(page.partition("<summary")[2].partition(">")[2].partition("</summary>")[0]).text


def without_tags(page: str) -> list[str]:
    return [line for line in re.sub(r"<[^>]*>", "", page).split("\n") if line.strip()]


def hostile(payload: str, *, end: StatusSnapshot | None = None) -> Entry:
    """Return a run in which everything that is text holds the payload."""
    status = dataclasses.replace(
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
    return Entry(
        status=status,
        traits={payload: payload, "prompt": payload},
        notes={payload: payload},
        answers=[RowAnswer(payload, payload, payload)],
        code=payload,
    )


# --------------------------------------------------------------------------- safety


@pytest.mark.parametrize(
    "end", [clean(), finished(), stopped()], ids=["clean", "failed", "stopped"]
)
def test_markup_from_outside_stays_text(end):
    """
    In a run's receipt, its answers and the block of runs no element or address from outside lives.
    """
    for payload in PAYLOADS:
        with about(payload):
            other = dataclasses.replace(hostile(payload, end=end), traits={"prompt": payload * 2})
            for entries in ([hostile(payload, end=end)], [hostile(payload, end=end), other]):
                census = Census(receipt.html(entries, prices_of=payload, is_open=True))

                assert census.elements <= ELEMENTS
                assert census.attributes <= ATTRIBUTES
                assert census.others == []
                assert census.open == []
                assert not any("url(" in one or "//" in one for one in census.values)
                assert payload[:20].isprintable() is False or payload[:20] in census.text


def test_the_text_holds_no_control():
    """
    Nothing moves a cursor, opens a link or turns a line around; no table passes 90 columns.
    """
    hidden = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u202a-\u202e\u2066-\u2069]")
    for payload in PAYLOADS:
        with about(payload):
            both = [hostile(payload), dataclasses.replace(hostile(payload), traits={"a": payload})]
            told = receipt.text(both)

            assert not hidden.search(told)
            assert max(len(line) for line in told.split("\n")[1:-1]) <= 90
            assert receipt.line(both[0].status).count("\n") == 0


# ------------------------------------------------------------------------- a clean run


def test_a_clean_run_is_one_line_that_unfolds():
    """
    Rows, time, dollars, what was saved and who answered; counters and tokens are folded.
    """
    page = html_of(clean())

    assert summary_of(page) == (
        "All 120 rows answered in 14 s for $0.0092 · 30 reused, saved $0.0031 · openai/gpt-4o-mini"
    )
    assert page.count("<details") == 1
    assert "<details open" not in page
    assert "90 answered + 30 reused = 120 rows" in Census(page).text
    assert text_of(clean()) == (
        "llmnb · default · all 120 rows answered in 14 s for $0.0092 · 30 reused, saved $0.0031"
    )


def test_a_model_s_name_is_not_broken_at_a_hyphen():
    """
    On a narrow page it moves to the next line whole.
    """
    unbroken = '<span style="white-space:nowrap">openai/gpt-4o-mini</span>'

    assert unbroken in html_of(clean())


def test_a_run_from_the_store_says_all_reused():
    """
    No table of zeros stands under it: nothing was sent.
    """
    page = html_of(clean(reused=120))

    assert summary_of(page) == "All 120 rows answered in 14 s for $0 · all reused, saved $0.0031"
    assert "succeeded" not in Census(page).text


@pytest.mark.parametrize(
    ("status", "more", "told"),
    [
        (clean(rows=1, reused=0), {}, "1 row answered in 14 s for $0.0092 · openai/gpt-4o-mini"),
        (clean(simulated=True), {}, "for $0.0092 (simulated) · 30 reused"),
        (clean(waited_seconds=12.0), {}, "12 s waited · openai/gpt-4o-mini"),
        (clean(shares=SHARES), {}, " · 3 models"),
        (clean(rows=108, reused=0), {"empty": 12}, "12 empty, not asked"),
    ],
    ids=["one-row", "simulated", "waited", "models", "empty"],
)
def test_the_line_tells_what_was_out_of_the_ordinary(status, more, told):
    """
    Only what is not zero stands in it.
    """
    assert told in summary_of(html_of(status, **more))


def test_an_unknown_price_is_not_called_free():
    """
    Replies without a price are said to be unpriced.
    """
    status = finished(tracker=counts(usd=0.0, num_unpriced=7))

    assert "for an unknown price" in Census(html_of(status)).text
    assert "$1.59 + 7 of unknown price" in text_of(finished(tracker=counts(num_unpriced=7)))


def test_simulated_dollars_are_not_added_to_spent_ones():
    """
    A cell with a rehearsal and a run names both sums.
    """
    told = receipt.text(loop(2, clean(), clean(simulated=True)))

    assert "for $0.0092 + $0.0092 simulated" in told


def test_no_rows_are_told_in_a_sentence():
    """
    No progress bar, no table of zeros, nothing to unfold.
    """
    status = finished(tracker=StatusTracker(), total=0, launched=0, completed=0, causes=())

    assert Census(html_of(status)).text.strip() == (
        "Nothing to send · there were no rows; no request was sent"
    )
    assert Census(html_of(status)).elements <= {"div", "p", "strong", "span"}
    assert "nothing to send · 12 rows without content" in receipt.text(
        [Entry(status=status, empty=12)]
    )


def test_a_line_can_be_added_to_a_receipt():
    """
    What a verb counts stands among the figures, by its name.
    """
    entry = Entry(status=clean(), notes={"quotes": "3 of 120 are not in their text"})

    assert "Quotes 3 of 120 are not in their text" in without_tags(html(entry))


# ------------------------------------------------------------------- failed or stopped


def test_failed_rows_are_never_folded():
    """
    The sentence, the causes and the next step are seen; the counters are folded.
    """
    page = html(Entry(status=finished(), code=RETRY))
    seen = Census(page.partition("<details")[0] + "</div>").text

    assert "2,391 of 2,400 rows answered in 7 min 4 s for $3.21, 9 failed" in seen
    for cause in CAUSES:
        assert f"{cause.rows}" in seen
        assert cause.words in seen
        assert cause.example in seen
    assert f"Retry the failed rows: {RETRY}" in seen
    assert f"<code>{RETRY}</code>" in page
    assert "p50 11.2 s" not in seen
    assert "p50 11.2 s, p95 26.1 s" in Census(page).text


def test_a_receipt_offers_the_rows_to_be_read():
    """
    In the open where rows failed, folded where all is well; not where nothing came, nor of several.
    """
    read = "llmnb.last_run().explore()"
    line = f"Read the rows: <code>{read}</code>"

    assert line in html(Entry(status=finished(), read_code=read)).partition("<details")[0]
    assert f"Read the rows: {read}" in receipt.text([Entry(status=finished(), read_code=read)])
    folded = html(Entry(status=clean(), read_code=read))
    assert line in folded.partition("<summary")[2]
    assert line not in folded.partition("<summary")[0]
    several = [Entry(status=clean(), read_code=read)] * 2
    nothing = finished(tracker=StatusTracker(), total=0, launched=0, completed=0, causes=())
    assert "explore" not in receipt.html(several) + html(Entry(status=nothing, read_code=read))


def test_the_text_of_a_failed_run_is_that_of_the_design():
    """
    Line for line: what was answered, what failed, what to do.
    """
    assert receipt.text([Entry(status=finished(project="tickets"), code=RETRY)]).split("\n") == [
        "llmnb · tickets · 2,391 of 2,400 rows answered in 7 min 4 s for $3.21, 9 failed",
        "  5   longer than the context   row 1,871: 412,806 tokens where gpt-5-mini takes 400,000",
        "  3   refused by the model      row 640: “I can’t help with that request.”",
        "  1   no answer in time         row 97: 120 s, three attempts",
        f"Retry the failed rows: {RETRY}",
    ]


def test_a_receipt_never_names_a_variable():
    """
    Where a later run hides the failed one the cell is run again; no `run` is invented.
    """
    told = Census(html_of(finished())).text + text_of(finished())

    assert "Run this cell again: only the 9 rows that failed are asked." in told
    assert not re.search(r"(?<!last_)\brun\.", told)


def test_a_stopped_run_says_how_to_go_on():
    """
    What was not sent is counted apart, and running the cell again is the next step.
    """
    told = words_of(Entry(status=stopped(), code=RETRY))

    assert "Stopped: 1,393 of 2,400 rows answered in 3 min 31 s for $1.69, 9 failed, 998 " in told
    assert "1,083 answered + 214 reused + 96 merged + 9 failed + 998 not sent = 2,400 rows" in told
    assert "Run the cell again: only the 998 rows not sent and the 9 failed are asked." in told
    assert "retry_failed" not in told


def test_a_run_that_read_no_kept_answer_says_how_only_the_rest_is_asked():
    """
    With use_cache=False the same call would ask, and buy, every row again.
    """
    without = "Run the cell again without use_cache=False: only the 998 rows not sent and"
    assert without in words_of(Entry(status=dataclasses.replace(stopped(), uses_cache=False)))


def test_a_refused_key_is_asked_for():
    """
    The next step is the magic that takes a key.
    """
    cause = FailureCause(
        kind="AuthenticationError", words="key not accepted", rows=9, first_row=0, example="401"
    )
    page = html(Entry(status=finished(causes=(cause,)), code=RETRY))

    assert "Set the key, then run the cell again: <code>%llm_key openai</code>" in page


# ------------------------------------------------------------------- runs of one cell


def test_ten_runs_are_one_line_with_a_table():
    """
    The line has the sums; each run is named by what differs from the others.
    """
    page = html(*loop(10))

    assert summary_of(page).startswith("10 runs, all 1,200 rows answered in 2 min 20 s for $0.092")
    lines = without_tags(page)
    assert lines[1] == "run  rows reused time cost"
    assert lines[2:5] == [
        "temperature 0  120 30 14 s $0.0092",
        "temperature 0.2  120 30 14 s $0.0092",
        "temperature 0.4  120 30 14 s $0.0092",
    ]
    assert len(receipt.text(loop(10)).split("\n")) == 11


def test_runs_that_differ_in_nothing_are_numbered():
    """
    Whatever else two runs share, their names are two.
    """
    same = [Entry(status=clean(), traits={"model": "m"})] * 2
    twice = [*loop(2), loop(1)[0]]

    assert "run 1" in words_of(*same)
    assert "run 2" in words_of(*same)
    assert "temperature 0 (2)" in words_of(*twice)


def test_what_failed_in_a_loop_is_never_folded():
    """
    Causes are added up, with an example that names its run; the runs stand folded.
    """
    page = html(*loop(10, clean(), finished()))
    seen = page.partition("<details")[0]

    assert "10 runs: 12,555 of 12,600 rows answered in " in Census(seen + "</div>").text
    assert "25 longer than the context temperature 0.2, row 1,871: 412,806" in Census(page).text
    assert "Run this cell again: only the 45 rows that failed are asked." in Census(page).text
    assert "The 10 runs, one by one" in Census(page).text
    assert "retry_failed" not in page


def test_of_many_runs_the_first_the_last_and_the_failed_are_shown():
    """
    From 51 on; the others are added up, and no run's rows are lost.
    """
    entries = loop(120)
    entries[60] = dataclasses.replace(entries[60], status=finished())
    names = [line.split("  ")[0] for line in without_tags(html(*entries)) if "$" in line]

    assert "temperature 9.8" in words_of(*loop(50))
    shown = [name for name in names if name.startswith("temperature")]
    assert shown[:4] == ["temperature 0", "temperature 0.2", "temperature 0.4", "temperature 12"]
    assert len(shown) == 3 + 1 + 20
    assert names[4] == "96 other runs" or "96 other runs" in names


def test_thousands_of_runs_are_kept_as_a_hundred_and_lose_no_row():
    """
    What a loop of many runs shows is the same whether or not those in its middle are added up.
    """
    entries: list[Entry] = []
    for number, entry in enumerate(loop(400, clean(), clean(), stopped(), finished())):
        entries = receipt.condensed([*entries, entry])
        assert len(entries) <= 100, number
    whole = loop(400, clean(), clean(), stopped(), finished())

    assert summary_of_failed(html(*entries)) == summary_of_failed(html(*whole))
    first, same = (receipt.text(runs).split("\n")[1:4] for runs in (entries, whole))
    assert [line.split() for line in first] == [line.split() for line in same]
    assert "367 other runs" in words_of(*entries)
    assert "temperature 79.8" in words_of(*entries)


def test_a_failed_run_keeps_its_number_when_others_are_added_up():
    """
    In the middle of a long loop it is still called by its place among all runs.
    """
    same = [dataclasses.replace(entry, traits={}) for entry in loop(200)]
    same[16] = dataclasses.replace(same[16], status=dataclasses.replace(finished(), started_at=NOW))
    entries: list[Entry] = []
    for entry in same:
        entries = receipt.condensed([*entries, entry])

    for runs in (entries, same):
        assert "5 longer than the context run 17, row 1,871" in words_of(*runs)


def summary_of_failed(page: str) -> str:
    return Census(page.partition("<table")[0] + "</div>").text


# ------------------------------------------------------------------------- the answers

ANSWERS = [
    RowAnswer(f"question {row}", f"answer {row} " + "long " * 100, "answered") for row in range(5)
]


def test_answers_stand_in_the_receipt():
    """
    Prompt, answer and status of the first rows, cut; folded unless they are to be seen.
    """
    entry = Entry(status=clean(), answers=ANSWERS)
    opened = html(entry, is_open=True)

    assert "prompt answer status" in without_tags(html(entry))
    assert "question 4" in Census(opened).text
    cells = re.findall(r"answer \d [^<]*", opened)
    assert [len(cell) for cell in cells] == [receipt.LONGEST_ANSWER] * 5
    assert opened.count("<details open") == 1
    assert "<details open" not in html(entry)
    assert opened.index("question 4") < opened.index("Counters, tokens")


def test_answers_of_any_script_stay_small():
    """
    What is shown of them has at most 6,000 bytes in a saved notebook.
    """
    for text in ("\u202e" * 300, '"' * 300, "漢字" * 300, "😀" * 300):
        entry = Entry(status=clean(), answers=[RowAnswer(text, text, text)] * 5)
        whole, bare = html(entry, is_open=True), html(Entry(status=clean()))

        assert len(whole.encode()) - len(bare.encode()) <= receipt.MOST_BYTES_OF_ANSWERS + 400


# ------------------------------------------------------------------------ size and text


@pytest.mark.parametrize(
    "entry", [clean(), finished(), stopped()], ids=["clean", "failed", "stopped"]
)
def test_a_run_is_below_eight_kilobytes(entry):
    """
    Also with a hundred models and fifty causes of five thousand characters.
    """
    many = tuple(
        ModelShare(name=f"sim/model-{place}", rows=1, share=0.01, p50=1.0, usd=0.01)
        for place in range(100)
    )
    causes = tuple(
        FailureCause(
            kind=f"Kind{place}", words=f"cause {place}", rows=1, first_row=place, example='"' * 5000
        )
        for place in range(50)
    )
    crowded = dataclasses.replace(entry, shares=many, causes=causes if entry.causes else ())

    assert len(html_of(entry).encode()) <= 8_000
    assert len(html_of(crowded).encode()) <= 8_000
    assert " others" in Census(html_of(crowded)).text


def test_a_block_of_runs_is_below_sixty_kilobytes():
    """
    However many runs there are and however they are called.
    """
    for name in ("t", '"' * 60, "漢" * 60):
        entries = [
            dataclasses.replace(entry, traits={"prompt": f"{number} {name}"})
            for number, entry in enumerate(loop(300, clean(), finished()))
        ]

        assert len(html(*entries).encode()) <= 60_000


@pytest.mark.parametrize("entries", [loop(1), loop(3, clean(), finished())], ids=["one", "three"])
def test_without_tags_sentences_cells_and_lines_stay_apart(entries):
    """
    As a page shows it that keeps no element at all.
    """
    with_tags = Census(html(*entries)).text
    lines = without_tags(html(*entries))

    assert not re.search(r"\d[A-Z]|[a-z]\d+ s|answered\+|[a-z][A-Z]", "\n".join(lines))
    assert lines[-1].startswith("Project")
    assert with_tags.count("\n") > len(lines)


def test_every_element_of_a_receipt_is_closed_and_known():
    """
    Tables, text and inline styles: no script, no style sheet, no address.
    """
    for entries in (loop(1), loop(1, finished()), loop(3, clean(), finished())):
        census = Census(html(*entries))

        assert census.elements <= ELEMENTS
        assert census.attributes <= ATTRIBUTES
        assert census.open == []
        assert not any("://" in one or "url(" in one for one in [*census.values, census.text])


def test_a_line_says_how_it_ended():
    """
    For as long as the page has no more of it.
    """
    assert "2,391 of 2,400 rows answered in 7 min 4 s for $3.21" in receipt.line(finished())


def test_rows_are_counted_in_words():
    """
    One row is no "1 rows".
    """
    one = clean(rows=1, reused=0)

    assert counted(1, "row") in receipt.text([Entry(status=one)])


@pytest.mark.browser
def test_a_cause_stands_in_one_line_where_there_is_room(browser):
    """
    However long the example beside it is.
    """
    example = "a long sentence about what happened " * 5
    causes = tuple(dataclasses.replace(cause, example=example) for cause in CAUSES)
    page = browser.new_page(viewport={"width": 900, "height": 600})
    page.set_content(html_of(dataclasses.replace(stopped(), causes=causes), code=RETRY))

    lines = "cell => { const all = document.createRange(); all.selectNodeContents(cell);"
    lines += " return all.getClientRects().length }"
    assert page.get_by_role("cell", name="refused by the model").evaluate(lines) == 1
