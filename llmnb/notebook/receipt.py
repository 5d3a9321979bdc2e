"""The receipt of a run, or of the runs of one cell: what stays when the dashboard is gone.

Static HTML for pages (no script, no style sheet, no address, readable with every style and even
with every tag gone), text for terminals and logs. Whatever a model, a provider or a person wrote
is escaped, and what would hide in it is made visible.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

from llmnb.display import durations, html_fragments, moments, money, numbers
from llmnb.display.aligned import columns, hanging
from llmnb.display.escape import html_text, visible
from llmnb.display.html_fragments import cell, note, strong
from llmnb.display.palette import FAINT
from llmnb.display.texts import counted, cut
from llmnb.engine.handle import RowAnswer
from llmnb.engine.status import Clock, State, StatusSnapshot, StatusTracker
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


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One run at its end, as a receipt shows it."""

    status: StatusSnapshot
    traits: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """What may tell it from other runs of its cell, by name: model, settings, prompt, project."""

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
        return Clock.wall() if self.status.ended_at is None else self.status.ended_at


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
    sentence = _Sentence(entries)
    projects = dict.fromkeys(visible(entry.status.project, longest=40) for entry in entries)
    said = sentence.first[:1].lower() + sentence.first[1:] + sentence.after
    lines = [f"llmnb · {', '.join(projects)} · {said}"]
    for part in sentence.details:
        if len(lines[0]) + len(part) + 3 <= WIDEST:
            lines[0] += f" · {part}"
    if len(entries) > 1:
        shown = [row for row in _run_rows(entries) if isinstance(row, _Row)]
        cells = [
            (
                row.name,
                counted(row.rows.whole, "row"),
                f"{kept:,} reused" if (kept := row.rows.reused + row.rows.merged) else "",
                f"{row.rows.failed:,} failed" if row.rows.failed else "",
                row.time,
                row.cost,
            )
            for row in shown
        ]
        used = [place for place in range(6) if any(row[place] for row in cells)]
        cells = [[row[place] for place in used] for row in cells]  # type: ignore[misc]
        lines += [f"  {row}" for row in columns(cells, right=range(1, 6), width=WIDEST - 2)]
    results = [f"Its answers: {entry.result_code}" for entry in entries if entry.result_code]
    if sentence.is_clean:
        return "\n".join(lines + results)
    if causes := _causes(entries):
        heads = columns([cells[:2] for cells in causes], right={0}, gap=3)
        wide = max(map(len, heads))
        for head, (_, _, example) in zip(heads, causes, strict=True):
            lines += hanging(f"  {head:<{wide}}   ", example, WIDEST)
    words, code = _next_step(entries)
    lines.append(f"{words}: {visible(code)}" if code else f"{words}.")
    if read_code := _read_code(entries):
        lines.append(f"{READ}: {read_code}")
    return "\n".join(lines + results)


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

    last_runs: int
    failed_runs: int


_DETAILS = (
    _Detail(10, 8, facts.EXAMPLE_LENGTH, LAST_RUNS, FAILED_RUNS),
    _Detail(3, 8, facts.EXAMPLE_LENGTH, LAST_RUNS, 15),
    _Detail(2, 6, 120, LAST_RUNS, 10),
    _Detail(2, 4, 80, 10, 5),
    _Detail(2, 3, 30, 5, 3),
    _Detail(2, 2, 12, 1, 1),
)


def _html(
    entries: Sequence[Entry], answers: str, prices_of: str, is_open: bool, detail: _Detail
) -> str:
    sentence = _Sentence(entries)
    cost = f" for {strong(sentence.cost)}" if sentence.cost else ""
    tail = "".join(f" · {_kept_together(part)}" for part in sentence.details)
    tail = f'<span style="{FAINT}">{tail}</span>' if tail else ""
    said = f"{strong(sentence.first)}{html_text(sentence.time)}{cost}{html_text(sentence.tag)}"
    if sentence.is_nothing:
        inside = f'<p style="{_SENTENCE}">{said}{tail}</p>\n'
    elif sentence.is_clean:
        said = f"{_small_bar(_sum(entries), '8px')}{said}{tail}"
        body = _body(entries, prices_of, detail) + _reading(entries)
        if is_open:
            body = _folded(FIGURES, body)
        whole = answers + body if len(entries) == 1 else body + answers
        inside = html_fragments.details(said, whole, is_open=is_open)
    else:
        for part in sentence.missing:
            said += f", {strong(part)}" if part.endswith("failed") else f", {html_text(part)}"
        words, code = _next_step(entries)
        step = f"{html_text(words)}: <code>{html_text(code)}</code>" if code else html_text(words)
        title = FIGURES if len(entries) == 1 else f"The {_runs(entries):,} runs, one by one"
        if answers and not is_open and len(entries) == 1:
            answers = _folded("Answers", answers)
        inside = (
            f"{_bar(_sum(entries))}"
            f'<p style="{_SENTENCE}">{said}{tail}</p>\n'
            f"{_cause_table(entries, detail)}{note(step + ('' if code else '.'))}"
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
    return _run_table(entries, detail) + _foot(entries, prices_of)


def _single(entry: Entry, detail: _Detail) -> str:
    status, rows = entry.status, entry.rows
    parts = [f"{part:,} {name}" for name, part in rows.parts.items() if part]
    found = note(html_text(f"{' + '.join(parts)} = {counted(rows.whole, 'row')}"))
    if status.counts.num_tasks_started:
        found += _counter_tables(status)
    figures = {
        **facts.figures(status),
        "limits": "; ".join(facts.limits(status)),
        **entry.notes,
    }
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
            [
                cell(model, longest=80),
                *(_figure_cell(figure) for figure in figures),
            ]
            for model, *figures in map(facts.model_cells, facts.shares(status, detail.models))
        ]
        tables += html_fragments.table(
            [
                [cell("Model", head="col"), *heads],
                *models,
            ],
            first_rows=[FAINT],
        )
    style = "display:flex;flex-wrap:wrap;gap:7px 28px;align-items:flex-start"
    return f'{found}<div style="{style}">{tables}</div>\n'


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


def _cause_table(entries: Sequence[Entry], detail: _Detail) -> str:
    causes = _causes(entries, detail.causes, detail.example)
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

    def __init__(self, entries: Sequence[Entry]) -> None:
        statuses = [entry.status for entry in entries]
        rows = _sum(entries)
        self.is_nothing = rows.total == 0
        self.is_clean = not rows.failed and not any(s.state == "stopped" for s in statuses)
        self.missing = [f"{rows.failed:,} failed"] if rows.failed else []
        if rows.not_sent:
            self.missing.append(f"{rows.not_sent:,} not sent")
        self.first = facts.headline(statuses[0], rows)
        if len(entries) > 1 and not self.is_nothing:
            runs = f"{_runs(entries):,} runs"
            first = self.first.removeprefix("Stopped: ")
            is_all = first.startswith("All")
            self.first = f"{runs}, {first[:1].lower()}{first[1:]}" if is_all else f"{runs}: {first}"
        self.time = self.cost = self.tag = ""
        if self.is_nothing:
            empty = sum(entry.empty for entry in entries)
            asked = f"{counted(empty, 'row')} without content" if empty else "there were no rows"
            self.details = [f"{asked}; no request was sent"]
        else:
            self.time = f" in {durations.span(_seconds(entries))}"
            self.cost = facts.cost(statuses)
            is_spent = any(status.counts.usd for status in statuses)
            is_any = any(status.simulated for status in statuses)
            self.tag = " (simulated)" if is_any and not is_spent else ""
            self.details = _tail(entries, rows)
        cost = f" for {self.cost}" if self.cost else ""
        missing = "".join(f", {part}" for part in self.missing)
        self.after = f"{self.time}{cost}{self.tag}{missing}"


def _tail(entries: Sequence[Entry], rows: RowCounts) -> list[str]:
    """Return what was out of the ordinary, and who answered; nothing that is zero."""
    counts = [entry.status.counts for entry in entries]
    kept = rows.reused + rows.merged
    parts = []
    if kept:
        how = " or ".join(
            n for n, part in (("reused", rows.reused), ("merged", rows.merged)) if part
        )
        is_all = rows.reused == rows.whole
        usd = StatusTracker.sum(counts).shown().saved_usd
        saved = f", saved {money.usd(usd)}" if usd > 1e-9 else ""
        parts.append((f"all {how}" if is_all else f"{kept:,} {how}") + saved)
    if rows.failed or rows.not_sent:
        parts = []  # the sentence is long enough, and what went wrong comes first
    again = []
    if retried := sum(count.num_retried for count in counts):
        again.append(f"{retried:,} sent again")
    if (waited := sum(entry.status.waited_seconds for entry in entries)) >= 1:
        again.append(f"{durations.span(round(waited))} waited")
    if again and not (rows.failed or rows.not_sent):
        parts.append(", ".join(again))
    if unsaved := sum(count.num_unsaved for count in counts):
        parts.append(f"{counted(unsaved, 'answer')} not saved, kept in memory")
    if cut_off := sum(count.num_cut for count in counts):
        parts.append(f"{counted(cut_off, 'answer')} cut off at max_tokens")
    if empty := sum(entry.empty for entry in entries):
        parts.append(f"{empty:,} empty, not asked")
    models = dict.fromkeys(share.name for entry in entries for share in entry.status.shares)
    if models and not (rows.failed or rows.not_sent):
        name = visible(next(iter(models)), longest=60)
        parts.append(name if len(models) == 1 else f"{len(models):,} models")
    return parts


def _next_step(entries: Sequence[Entry]) -> tuple[str, str]:
    """Return what to do where rows failed or were not sent, and a line of code that does it."""
    rows = _sum(entries)
    if rows.not_sent:
        return facts.next_step(rows).removesuffix("."), ""
    kinds = {cause.kind for entry in entries for cause in entry.status.causes}
    pools = [pool for entry in entries for pool in entry.status.pools]
    if kinds == {"AuthenticationError"} and pools:
        return "Set the key, then run the cell again", f"%llm_key {pools[0].provider}"
    if len(entries) == 1 and entries[0].code:
        return "Retry the failed rows", entries[0].code
    what = "row that failed is" if rows.failed == 1 else f"{rows.failed:,} rows that failed are"
    return f"{entries[0].again}: only the {what} asked", ""


def _sum(entries: Sequence[Entry]) -> RowCounts:
    if len(entries) == 1:
        return entries[0].rows
    parts = [entry.rows for entry in entries]
    names = [field.name for field in dataclasses.fields(RowCounts) if field.name != "total"]
    sums = {name: sum(getattr(rows, name) for rows in parts) for name in names}
    return RowCounts(total=sum(rows.whole for rows in parts), **sums)


def _runs(entries: Sequence[Entry]) -> int:
    return sum(entry.runs for entry in entries)


def _seconds(entries: Sequence[Entry]) -> float:
    """Return the seconds in which at least one of the runs was on."""
    if len(entries) == 1:
        return entries[0].status.seconds
    whole = end = 0.0
    for entry in sorted(entries, key=lambda entry: entry.status.started_at):
        first = max(end, entry.status.started_at)
        end = max(end, entry.status.started_at + entry.status.seconds)
        whole += end - first
    return whole


def _causes(
    entries: Sequence[Entry], most: int = 5, longest: int = facts.EXAMPLE_LENGTH
) -> list[list[str]]:
    """Return count, words and example of the causes; of several runs the example names its own."""
    if len(entries) == 1:
        return facts.causes(entries[0].status.causes, most, longest)
    named = zip(entries, _names(entries), strict=True)
    first: dict[str, str] = {}
    for entry, name in named:
        for cause in entry.status.causes:
            first.setdefault(cause.kind, name)
    whole = StatusSnapshot.merge([entry.status for entry in entries], state="finished", seconds=0)
    return facts.causes(whole.causes, most, longest, first)


# ------------------------------------------------------------------- runs of one cell


@dataclasses.dataclass(frozen=True, slots=True)
class _Row:
    """A line of the table of runs."""

    name: str
    rows: RowCounts
    time: str
    cost: str


def _run_rows(
    entries: Sequence[Entry], last: int = LAST_RUNS, failed: int = FAILED_RUNS
) -> list[_Row]:
    """Return a line a run: all of few; of many the first, the last, the failed, and the rest."""
    names = _names(entries)
    shown = set(range(len(entries)))
    if _runs(entries) > MOST_RUNS or last < LAST_RUNS:
        shown = _named_ones(entries, last, failed)
    lines: list[_Row] = []
    rest = [entry for place, entry in enumerate(entries) if place not in shown]
    for place, (entry, name) in enumerate(zip(entries, names, strict=True)):
        if place in shown:
            status = entry.status
            lines.append(
                _Row(name, entry.rows, durations.span(status.seconds), facts.cost([status]))
            )
        elif rest:
            name = counted(_runs(rest), "other run")
            statuses = [entry.status for entry in rest]
            time = durations.span(sum(status.seconds for status in statuses))
            lines.append(_Row(name, _sum(rest), time, facts.cost(statuses)))
            rest = []
    return lines


def _named_ones(entries: Sequence[Entry], last: int, failed: int) -> set[int]:
    """Return the positions of the runs that are shown of many."""
    bad = [i for i, entry in enumerate(entries) if entry.rows.failed or entry.rows.not_sent]
    shown = {*range(FIRST_RUNS), *range(len(entries) - last, len(entries)), *bad[-failed:]}
    return {place for place in shown if entries[place].runs == 1}


def condensed(entries: Sequence[Entry]) -> list[Entry]:
    """Return the same runs, of many those that no table will name added up in one entry.

    So a loop of ten thousand runs costs no more at its end than at its beginning.
    """
    if len(entries) <= 2 * MOST_RUNS:
        return list(entries)
    named = _named_ones(entries, LAST_RUNS, FAILED_RUNS)
    rest = [entry for place, entry in enumerate(entries) if place not in named]
    statuses = [entry.status for entry in rest]
    is_stopped = any(status.state == "stopped" for status in statuses)
    state: State = "stopped" if is_stopped else "finished"
    whole = StatusSnapshot.merge(statuses, state=state, seconds=_seconds(rest))
    total = sum(entry.rows.whole for entry in rest)
    one = Entry(
        status=dataclasses.replace(whole, total=total),
        empty=sum(entry.empty for entry in rest),
        runs=_runs(rest),
    )
    kept = [entry for place, entry in enumerate(entries) if place in named]
    return [*kept[:FIRST_RUNS], one, *kept[FIRST_RUNS:]]


def _run_table(entries: Sequence[Entry], detail: _Detail) -> str:
    lines = _run_rows(entries, detail.last_runs, detail.failed_runs)
    kept = any(line.rows.reused or line.rows.merged for line in lines)
    failed = any(line.rows.failed for line in lines)
    unsent = any(line.rows.not_sent for line in lines)
    heads = ["rows"]
    heads += [
        name
        for name, is_any in (("reused", kept), ("failed", failed), ("not sent", unsent))
        if is_any
    ]
    heads += ["time", "cost"]
    rows = [
        [
            cell("run", "padding:2px 0", head="col"),
            cell("", _FIGURE),
            *(cell(head, _FIGURE, align="right", head="col") for head in heads),
        ]
    ]
    for line in lines:
        figures = {
            "rows": numbers.count(line.rows.whole),
            "reused": _or_nothing(line.rows.reused + line.rows.merged),
            "failed": _or_nothing(line.rows.failed),
            "not sent": _or_nothing(line.rows.not_sent),
            "time": line.time,
            "cost": line.cost,
        }
        rows.append(
            [
                cell(
                    line.name,
                    f"padding:2px 0{_unbroken(line.name)}",
                    head="row",
                ),
                html_fragments.raw_cell(_small_bar(line.rows), _FIGURE),
                *(
                    _figure_cell(figures[head], ";font-weight:600" if head == "failed" else "")
                    for head in heads
                ),
            ]
        )
    return html_fragments.table(rows, first_rows=[_HEAD])


def _or_nothing(number: int) -> str:
    return numbers.count(number) if number else ""


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
    seen: dict[str, int] = {}
    number = 0
    for entry in entries:
        number += entry.runs
        values = {key: visible(entry.traits.get(key, ""), longest=32) for key in differing}
        parts = [
            value if key in ("model", "prompt") else f"{visible(key, longest=32)} {value}"
            for key, value in values.items()
            if value
        ]
        name = cut(", ".join(parts), 48) or f"run {number:,}"
        seen[name] = seen.get(name, 0) + 1
        names.append(f"{name} ({seen[name]:,})" if seen[name] > 1 else name)
    return names


# -------------------------------------------------------------------------- the bars


def _parts(rows: RowCounts) -> list[tuple[str, float]]:
    shown = ("reused", "merged", "answered", "failed", "not sent")
    return [
        ("rest" if name == "not sent" else name, rows.parts.get(name, 0) / (rows.whole or 1))
        for name in shown
    ]


def _bar(rows: RowCounts) -> str:
    return html_fragments.bar(_parts(rows))


def _small_bar(rows: RowCounts, space: str = "0") -> str:
    """Return the bar as long as a word."""
    return html_fragments.small_bar(_parts(rows), space)


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
