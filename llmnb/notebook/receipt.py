"""The receipt of a run, or of the runs of one cell: what stays when the dashboard is gone.

Static HTML for pages (no script, no style sheet, no address, readable with every style and even
with every tag gone), text for terminals and logs. Whatever a model, a provider or a person wrote
is escaped, and what would hide in it is made visible.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence
from operator import attrgetter

from llmnb.display import durations, html_fragments, moments, money, numbers
from llmnb.display.aligned import columns, hanging
from llmnb.display.escape import html_text, visible
from llmnb.display.html_fragments import cell, note, strong
from llmnb.display.palette import FAINT
from llmnb.display.texts import counted, cut
from llmnb.engine.handle import RowAnswer
from llmnb.engine.status import Clock, StatusSnapshot
from llmnb.notebook import facts
from llmnb.notebook.facts import RowCounts

WIDEST = 90
"""Columns of the text at most."""

MOST_BYTES = 8_000
"""Bytes of one run's HTML, the table of its answers apart."""

MOST_BYTES_OF_ANSWERS = 6_000
MOST_BYTES_OF_RUNS = 60_000
"""Bytes of the HTML of all runs of a cell."""

ANSWERS_SHOWN = 5
LONGEST_ANSWER = 200
"""Characters of a prompt or an answer that are shown."""

MOST_RUNS = 50
"""Up to so many runs of a cell are all shown; of more these:"""

FIRST_RUNS, LAST_RUNS, FAILED_RUNS = 3, 20, 20

RUNS_KEPT = 100
"""Runs of a cell that are kept one by one."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One run at its end, as a receipt shows it."""

    status: StatusSnapshot
    traits: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """What may tell it from other runs of its cell, by name: model, settings, prompt, project."""

    number: int = 0
    """Which run of its cell it is, from 1; 0 as long as none before it was left out."""

    empty: int = 0
    """Rows of the table that ask nothing."""

    notes: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """Further lines among its figures, by name."""

    answers: Sequence[RowAnswer] = ()
    """Its first rows; empty where they are not shown."""

    code: str = ""
    """A line that asks its failed rows again; empty: the cell has to be run again."""

    again: str = "Run this cell again"
    """What asks its failed rows again where no line of code does."""

    read_code: str = ""
    """A line that shows its rows to be read; empty: there is none."""

    runs: int = 1
    """Runs that are added up in it."""

    result_code: str = ""
    """A line that gives its result, where nothing else holds it."""

    @property
    def rows(self) -> RowCounts:
        """How its rows divide."""
        return facts.row_counts(self.status)

    @property
    def ended(self) -> float:
        """Seconds since the epoch."""
        return self.status.ended_at or Clock.wall()


def _summed(entries: Sequence[Entry]) -> Entry:
    """Return several runs as one, which tells what came of all of them together."""
    if len(entries) == 1:
        return entries[0]
    statuses = [entry.status for entry in entries]
    is_stopped = any(status.state == "stopped" for status in statuses)
    whole = StatusSnapshot.merge(
        statuses, state="stopped" if is_stopped else "finished", seconds=_seconds(entries)
    )
    return Entry(
        status=dataclasses.replace(
            whole,
            total=sum(entry.rows.whole for entry in entries),
            waited_seconds=sum(status.waited_seconds for status in statuses),
        ),
        empty=sum(entry.empty for entry in entries),
        runs=sum(entry.runs for entry in entries),
    )


def _seconds(entries: Sequence[Entry]) -> float:
    """Return the seconds in which at least one of the runs was on."""
    whole = end = 0.0
    for status in sorted((entry.status for entry in entries), key=attrgetter("started_at")):
        first = max(end, status.started_at)
        end = max(end, status.started_at + status.seconds)
        whole += end - first
    return whole


def condensed(
    entries: Sequence[Entry],
    most: int = RUNS_KEPT,
    last: int = LAST_RUNS,
    failed: int = FAILED_RUNS,
) -> list[Entry]:
    """Return the same runs; of many only some one by one, the others added up in one entry.

    So a loop of ten thousand runs costs no more at its end than at its beginning.

    Args:
        entries: The runs, in the order in which they began.
        most: Up to so many are all left as they are.
        last: How many of the last stay, beside the first.
        failed: How many of those with failed or unsent rows stay.
    """
    runs = 0
    numbered = []
    for entry in entries:
        numbered.append(dataclasses.replace(entry, number=entry.number or runs + 1))
        runs += entry.runs
    bad = [i for i, entry in enumerate(entries) if entry.rows.failed or entry.rows.not_sent]
    shown = {*range(FIRST_RUNS), *range(len(entries) - last, len(entries)), *bad[-failed:]}
    kept = [entry for i, entry in enumerate(numbered) if i in shown and entry.runs == 1]
    rest = [entry for i, entry in enumerate(numbered) if i not in shown or entry.runs > 1]
    if runs <= most or not rest:
        return list(entries)
    return [*kept[:FIRST_RUNS], _summed(rest), *kept[FIRST_RUNS:]]


def line(status: StatusSnapshot) -> str:
    """Return a run in one line: for a terminal, and until the page shows more."""
    if status.state in ("finished", "stopped"):
        return text([Entry(status=status)]).partition("\n")[0]
    rows = facts.row_counts(status)
    of = "" if rows.total is None else f" of {rows.total:,}"
    because = visible(status.waiting_on, longest=200)
    start = f"llmnb · {visible(status.project, longest=60)} · "
    return f"{start}{rows.completed:,}{of} rows, {facts.cost([status])}. {because}".rstrip()


# --------------------------------------------------------------------------- as text


def text(entries: Sequence[Entry]) -> str:
    """Return the receipt as text: a line, its runs, why rows failed.

    Tables are at most 90 columns wide; sentences are never cut.
    """
    entries = condensed(entries, MOST_RUNS)
    whole = _summed(entries)
    sentence = _Sentence(entries, whole)
    projects = dict.fromkeys(visible(entry.status.project, longest=40) for entry in entries)
    said = sentence.first[:1].lower() + sentence.first[1:] + sentence.after
    lines = [f"llmnb · {', '.join(projects)} · {said}"]
    for part in sentence.details:
        if len(lines[0]) + len(part) + 3 <= WIDEST:
            lines[0] += f" · {part}"
    if len(entries) > 1:
        cells = [
            [name, *(_with_unit(figure, head) for head, figure in figures.items())]
            for name, figures in zip(_names(entries), _run_figures(entries), strict=True)
        ]
        lines += [f"  {row}" for row in columns(cells, right=range(1, 7), width=WIDEST - 2)]
    results = [f"Its answers: {entry.result_code}" for entry in entries if entry.result_code]
    if sentence.is_clean:
        return "\n".join(lines + results)
    if causes := _causes(entries, whole):
        heads = columns([cells[:2] for cells in causes], right={0}, gap=3)
        wide = max(map(len, heads))
        for head, (_, _, example) in zip(heads, causes, strict=True):
            lines += hanging(f"  {head:<{wide}}   ", example, WIDEST)
    words, code = _next_step(entries, whole)
    lines.append(f"{words}: {visible(code)}" if code else f"{words}.")
    if read_code := _read_code(entries):
        lines.append(f"{READ}: {read_code}")
    return "\n".join(lines + results)


def _with_unit(figure: str, head: str) -> str:
    if head in ("time", "cost") or not figure:
        return figure
    return f"{figure} {'row' if (figure, head) == ('1', 'rows') else head}"


# --------------------------------------------------------------------------- as HTML


def html(entries: Sequence[Entry], *, prices_of: str = "", is_open: bool = False) -> str:
    """Return the receipt as HTML without script, style sheet or address.

    Args:
        entries: The runs of a cell, in the order in which they began; at least one.
        prices_of: Day of the price table; empty leaves it out.
        is_open: Whether it stands unfolded, its answers with it.
    """
    answers = _answers(entries)
    is_open = is_open and bool(answers)
    most = MOST_BYTES if len(entries) == 1 else MOST_BYTES_OF_RUNS
    for detail in _DETAILS:
        page = _html(entries, answers, prices_of, is_open, detail)
        if len(page.encode()) - len(answers.encode()) <= most:
            break
    return page


@dataclasses.dataclass(frozen=True, slots=True)
class _Detail:
    """How much is shown, so that nothing that comes from outside makes a notebook heavy."""

    models: int
    causes: int
    example: int
    """Characters of a cause's example."""

    runs: tuple[int, int, int] = (MOST_RUNS, LAST_RUNS, FAILED_RUNS)
    """What `condensed` leaves of the runs."""


_DETAILS = (
    _Detail(10, 8, facts.EXAMPLE_LENGTH),
    _Detail(3, 8, facts.EXAMPLE_LENGTH, (MOST_RUNS, LAST_RUNS, 15)),
    _Detail(2, 6, 120, (MOST_RUNS, LAST_RUNS, 10)),
    _Detail(2, 4, 80, (0, 10, 5)),
    _Detail(2, 3, 30, (0, 5, 3)),
    _Detail(2, 2, 12, (0, 1, 1)),
)


def _html(
    entries: Sequence[Entry], answers: str, prices_of: str, is_open: bool, detail: _Detail
) -> str:
    entries = condensed(entries, *detail.runs)
    whole = _summed(entries)
    sentence = _Sentence(entries, whole)
    cost = f" for {strong(sentence.cost)}" if sentence.cost else ""
    tail = "".join(f" · {_kept_together(part)}" for part in sentence.details)
    tail = f'<span style="{FAINT}">{tail}</span>' if tail else ""
    said = f"{strong(sentence.first)}{html_text(sentence.time)}{cost}{html_text(sentence.tag)}"
    if sentence.is_nothing:
        inside = f'<p style="{_SENTENCE}">{said}{tail}</p>\n'
    elif sentence.is_clean:
        said = f"{html_fragments.small_bar(_parts(whole.rows), '8px')}{said}{tail}"
        body = _body(entries, prices_of, detail) + _reading(entries)
        if is_open:
            body = _folded(FIGURES, body)
        body = answers + body if len(entries) == 1 else body + answers
        inside = html_fragments.details(said, body, is_open=is_open)
    else:
        for part in sentence.missing:
            said += f", {strong(part)}" if part.endswith("failed") else f", {html_text(part)}"
        words, code = _next_step(entries, whole)
        step = f"{html_text(words)}: <code>{html_text(code)}</code>" if code else html_text(words)
        title = FIGURES if len(entries) == 1 else f"The {whole.runs:,} runs, one by one"
        if answers and not is_open and len(entries) == 1:
            answers = _folded("Answers", answers)
        causes = _causes(entries, whole, detail.causes, detail.example)
        inside = (
            f"{html_fragments.bar(_parts(whole.rows))}"
            f'<p style="{_SENTENCE}">{said}{tail}</p>\n'
            f"{_cause_table(causes)}{note(step + ('' if code else '.'))}"
            f"{_reading(entries)}{answers}"
            f"{_folded(title, _body(entries, prices_of, detail))}"
        )
    for entry in entries:
        if entry.result_code and entry.rows.good:
            inside += note(f"Its answers: <code>{html_text(entry.result_code)}</code>")
    return html_fragments.box(inside, name="llmnb-receipt")


def _folded(title: str, body: str) -> str:
    return html_fragments.details(f'<span style="{FAINT}">{html_text(title)}</span>', body)


READ = "Read the rows"


def _read_code(entries: Sequence[Entry]) -> str:
    """Return the line that shows the rows of a run; of several runs none is named by one."""
    return entries[0].read_code if len(entries) == 1 and entries[0].rows.completed else ""


def _reading(entries: Sequence[Entry]) -> str:
    code = _read_code(entries)
    return note(f"{READ}: <code>{html_text(code)}</code>") if code else ""


FIGURES = "Counters, tokens, speed, models"
_MODEL_FIGURES = ("rows", "share", "p50", "cost")
_SENTENCE = "margin:0;line-height:22px"
_FIGURE = "padding:2px 0 2px 16px"
_HEAD = f"font-size:11px;{FAINT}"
_NAME = f"padding:2px 14px 2px 0;{FAINT};white-space:nowrap"
_SHORT = 30
"""Characters of a name that need not be broken on a narrow page."""


def _body(entries: Sequence[Entry], prices_of: str, detail: _Detail) -> str:
    """Return what stands folded."""
    if len(entries) == 1:
        return _single(entries[0], detail) + _foot(entries, prices_of)
    return _run_table(entries) + _foot(entries, prices_of)


def _single(entry: Entry, detail: _Detail) -> str:
    status, rows = entry.status, entry.rows
    parts = [f"{part:,} {name}" for name, part in rows.parts.items() if part]
    page = note(html_text(f"{' + '.join(parts)} = {counted(rows.whole, 'row')}"))
    if status.counts.num_tasks_started:
        page += _counter_tables(status)
    limits = "; ".join(facts.limits(status))
    figures = {**facts.figures(status), "limits": limits, **entry.notes}
    tables = html_fragments.table(
        (
            cell(visible(name[:1].upper() + name[1:], longest=40), _NAME, head="row"),
            cell(value, longest=600),
        )
        for name, value in figures.items()
        if value
    )
    if status.shares:
        heads = [cell(name, _FIGURE, align="right", head="col") for name in _MODEL_FIGURES]
        models = [
            [cell(model, longest=80), *map(_figure_cell, cells)]
            for model, *cells in map(facts.model_cells, facts.shares(status, detail.models))
        ]
        head = [cell("Model", head="col"), *heads]
        tables += html_fragments.table([head, *models], first_rows=[FAINT])
    style = "display:flex;flex-wrap:wrap;gap:7px 28px;align-items:flex-start"
    return f'{page}<div style="{style}">{tables}</div>\n'


def _counter_tables(status: StatusSnapshot) -> str:
    """Return the eight counters as two tables of four, side by side where there is room."""
    style = "padding:0 18px 0 0"
    counters = list(zip(facts.COUNTERS, facts.counters(status), strict=True))
    tables = "".join(
        html_fragments.table(
            (
                [cell(counter, f"{style};white-space:nowrap", head="col") for counter, _ in four],
                [cell(count, style) for _, count in four],
            ),
            first_rows=[f"font-size:11px;{FAINT}", "font-size:14px;font-weight:500"],
        )
        for four in (counters[:4], counters[4:])
    )
    return f'<div style="display:flex;flex-wrap:wrap;gap:4px 0;margin:0 0 5px">{tables}</div>\n'


def _cause_table(causes: list[list[str]]) -> str:
    if not causes:
        return ""
    rows = (
        (
            cell(count, "padding:2px 0;vertical-align:top", align="right"),
            cell(cause, f"padding:2px 14px 2px 10px;vertical-align:top{_unbroken(cause)}"),
            cell(example, f"padding:2px 0;vertical-align:top;{FAINT};overflow-wrap:anywhere"),
        )
        for count, cause, example in causes
    )
    return html_fragments.table(rows, "margin:2px 0 4px")


def _figure_cell(figure: str, style: str = "") -> str:
    # A figure without a blank cannot be broken.
    return cell(
        figure, f"{_FIGURE}{_unbroken(figure) if ' ' in figure else ''}{style}", align="right"
    )


def _kept_together(part: str) -> str:
    """Return a short part of a sentence, such as a model's name, on one line."""
    if len(part) > _SHORT or " " in part:
        return html_text(part)
    return f'<span style="white-space:nowrap">{html_text(part)}</span>'


def _unbroken(text: str) -> str:
    return ";white-space:nowrap" if len(text) <= _SHORT else ""


def _foot(entries: Sequence[Entry], prices_of: str) -> str:
    projects = dict.fromkeys(entry.status.project for entry in entries)
    names = ", ".join(html_text(name, longest=80) for name in list(projects)[:3])
    if len(projects) > 3:
        names += f" and {len(projects) - 3:,} more"
    parts = [f"{'Project' if len(projects) == 1 else 'Projects'} {names}"]
    when = moments.moment(entries[0].ended)
    if len(entries) > 1:
        first = min(entry.status.started_at for entry in entries)
        last = max(entry.ended for entry in entries)
        when = f"{moments.moment(first)} to {moments.clock(last)}"
    parts.append(html_text(when))
    if prices_of:
        parts.append(f"prices of {html_text(prices_of, longest=40)}")
    return note(" · ".join(parts), "5px 0 0")


# ------------------------------------------------------------------------ the sentence


class _Sentence:
    """What came of all runs together, in the parts of which both receipts are made."""

    def __init__(self, entries: Sequence[Entry], whole: Entry) -> None:
        status, rows = whole.status, whole.rows
        self.is_nothing = rows.total == 0
        self.is_clean = not rows.failed and status.state != "stopped"
        self.missing = [f"{rows.failed:,} failed"] if rows.failed else []
        if rows.not_sent:
            self.missing.append(f"{rows.not_sent:,} not sent")
        self.first = facts.headline(status, rows)
        if len(entries) > 1 and not self.is_nothing:
            runs = f"{whole.runs:,} runs"
            first = self.first.removeprefix("Stopped: ")
            is_all = first.startswith("All")
            self.first = f"{runs}, {first[:1].lower()}{first[1:]}" if is_all else f"{runs}: {first}"
        self.time = self.cost = self.tag = ""
        if self.is_nothing:
            empty = f"{counted(whole.empty, 'row')} without content"
            asked = empty if whole.empty else "there were no rows"
            self.details = [f"{asked}; no request was sent"]
        else:
            self.time = f" in {durations.span(status.seconds)}"
            self.cost = facts.cost([entry.status for entry in entries])
            self.tag = " (simulated)" if status.simulated and not status.counts.usd else ""
            self.details = _tail(whole, rows)
        cost = f" for {self.cost}" if self.cost else ""
        missing = "".join(f", {part}" for part in self.missing)
        self.after = f"{self.time}{cost}{self.tag}{missing}"


def _tail(whole: Entry, rows: RowCounts) -> list[str]:
    """Return what was out of the ordinary, and who answered; nothing that is zero."""
    counts = whole.status.counts
    kept = rows.reused + rows.merged
    parts = []
    if kept:
        how = " or ".join(
            n for n, part in (("reused", rows.reused), ("merged", rows.merged)) if part
        )
        is_all = rows.reused == rows.whole
        usd = counts.shown().saved_usd
        saved = f", saved {money.usd(usd)}" if usd > 1e-9 else ""
        parts.append((f"all {how}" if is_all else f"{kept:,} {how}") + saved)
    if rows.failed or rows.not_sent:
        parts = []  # the sentence is long enough, and what went wrong comes first
    again = []
    if counts.num_retried:
        again.append(f"{counts.num_retried:,} sent again")
    if (waited := whole.status.waited_seconds) >= 1:
        again.append(f"{durations.span(round(waited))} waited")
    if again and not (rows.failed or rows.not_sent):
        parts.append(", ".join(again))
    if counts.num_unsaved:
        parts.append(f"{counted(counts.num_unsaved, 'answer')} not saved, kept in memory")
    if counts.num_cut:
        parts.append(f"{counted(counts.num_cut, 'answer')} cut off at max_tokens")
    if whole.empty:
        parts.append(f"{whole.empty:,} empty, not asked")
    models = list(dict.fromkeys(share.name for share in whole.status.shares))
    if models and not (rows.failed or rows.not_sent):
        several = f"{len(models):,} models"
        parts.append(visible(models[0], longest=60) if len(models) == 1 else several)
    return parts


def _next_step(entries: Sequence[Entry], whole: Entry) -> tuple[str, str]:
    """Return what to do where rows failed or were not sent, and a line of code that does it."""
    rows, pools = whole.rows, whole.status.pools
    if rows.not_sent:
        return facts.next_step(rows).removesuffix("."), ""
    if pools and {cause.kind for cause in whole.status.causes} == {"AuthenticationError"}:
        return "Set the key, then run the cell again", f"%llm_key {pools[0].provider}"
    if whole.code:
        return "Retry the failed rows", whole.code
    what = "row that failed is" if rows.failed == 1 else f"{rows.failed:,} rows that failed are"
    return f"{entries[0].again}: only the {what} asked", ""


def _causes(
    entries: Sequence[Entry],
    whole: Entry,
    most: int = 5,
    longest: int = facts.EXAMPLE_LENGTH,
) -> list[list[str]]:
    """Return count, words and example of the causes; of several runs the example names its own."""
    run_of: dict[str, str] = {}
    if len(entries) > 1:
        for entry, name in zip(entries, _names(entries), strict=True):
            run_of = {cause.kind: name for cause in entry.status.causes} | run_of
    return facts.causes(whole.status.causes, most, longest, run_of)


# ------------------------------------------------------------------- runs of one cell


def _run_figures(entries: Sequence[Entry]) -> list[dict[str, str]]:
    """Return the figures of each run by their heads; a column that is empty is left out."""
    runs = [
        {
            "rows": numbers.count(rows.whole),
            "reused": _or_nothing(rows.reused + rows.merged),
            "failed": _or_nothing(rows.failed),
            "not sent": _or_nothing(rows.not_sent),
            "time": durations.span(status.seconds),
            "cost": facts.cost([status]),
        }
        for status, rows in ((entry.status, entry.rows) for entry in entries)
    ]
    used = [head for head in runs[0] if any(run[head] for run in runs)]
    return [{head: run[head] for head in used} for run in runs]


def _or_nothing(number: int) -> str:
    return numbers.count(number) if number else ""


def _run_table(entries: Sequence[Entry]) -> str:
    runs = _run_figures(entries)
    heads = [cell(head, _FIGURE, align="right", head="col") for head in runs[0]]
    rows = [[cell("run", "padding:2px 0", head="col"), cell("", _FIGURE), *heads]]
    for entry, name, figures in zip(entries, _names(entries), runs, strict=True):
        bar = html_fragments.small_bar(_parts(entry.rows))
        rows.append(
            [
                cell(name, f"padding:2px 0{_unbroken(name)}", head="row"),
                html_fragments.raw_cell(bar, _FIGURE),
                *(
                    _figure_cell(figure, ";font-weight:600" if head == "failed" else "")
                    for head, figure in figures.items()
                ),
            ]
        )
    return html_fragments.table(rows, first_rows=[_HEAD])


def _names(entries: Sequence[Entry]) -> list[str]:
    """Return a name for each run: what differs from the others, else its number.

    Example:
        >>> from llmnb.engine.status import StatusSnapshot
        >>> def entry(**traits):
        ...     status = StatusSnapshot(state="running", project="p")
        ...     return Entry(status=status, traits=traits)
        >>> _names([entry(model="m", temperature="0"), entry(model="m", temperature="1")])
        ['temperature 0', 'temperature 1']
        >>> _names([entry(model="m"), entry(model="m")])
        ['run 1', 'run 2']
    """
    single = [entry for entry in entries if entry.runs == 1]
    keys = dict.fromkeys(key for entry in single for key in entry.traits)
    differing = [key for key in keys if len({entry.traits.get(key) for entry in single}) > 1]
    names = []
    seen: Counter[str] = Counter()
    for place, entry in enumerate(entries, start=1):
        values = {key: visible(entry.traits.get(key, ""), longest=32) for key in differing}
        parts = [
            value if key in ("model", "prompt") else f"{visible(key, longest=32)} {value}"
            for key, value in values.items()
            if value
        ]
        name = cut(", ".join(parts), 48) or f"run {entry.number or place:,}"
        if entry.runs > 1:
            name = counted(entry.runs, "other run")
        seen[name] += 1
        names.append(f"{name} ({seen[name]:,})" if seen[name] > 1 else name)
    return names


def _parts(rows: RowCounts) -> list[tuple[str, float]]:
    """Return the parts of a bar, with their shares."""
    shown = ("reused", "merged", "answered", "failed", "not sent")
    return [
        ("rest" if name == "not sent" else name, rows.parts.get(name, 0) / (rows.whole or 1))
        for name in shown
    ]


# ------------------------------------------------------------------------- the answers


def _answers(entries: Sequence[Entry]) -> str:
    """Return the first rows of the last run with their answers; empty where none are shown."""
    entry = entries[-1]
    if not entry.answers:
        return ""
    for longest in (LONGEST_ANSWER, 120, 70, 40, 20, 8):
        table = _answer_table(entry.answers, longest)
        if len(entries) > 1:
            table = _folded(f"Answers of {_names(entries)[-1]}", table)
        if len(table.encode()) <= MOST_BYTES_OF_ANSWERS:
            break
    return table


def _answer_table(answers: Sequence[RowAnswer], longest: int) -> str:
    text = "padding:2px 18px 4px 0;vertical-align:top;overflow-wrap:anywhere;min-width:90px"
    rows = [[cell(name, head="col") for name in ("prompt", "answer", "status")]]
    rows += [
        [
            cell(row.prompt, f"{text};{FAINT}", longest=longest),
            cell(row.answer, text, longest=longest),
            cell(row.status, "padding:2px 0 4px;vertical-align:top", longest=40),
        ]
        for row in answers
    ]
    return html_fragments.table(rows, "margin:2px 0 5px", [_HEAD])
