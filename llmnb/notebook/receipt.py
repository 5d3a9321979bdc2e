"""The receipt of a run, or of the runs of one cell: what stays when the dashboard is gone.

Static HTML for pages (no script, no style sheet, no address, readable with every style and even
with every tag gone), text for terminals and logs. Whatever a model, a provider or a person wrote
is escaped, and what would hide in it is made visible.
"""

from __future__ import annotations

import dataclasses
import functools
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import accumulate, chain, repeat
from operator import attrgetter

from llmnb.display import durations, html_fragments, moments, money
from llmnb.display.aligned import columns, hanging
from llmnb.display.escape import html_text, visible
from llmnb.display.html_fragments import Html, cell, figure_table, note
from llmnb.display.palette import FAINT
from llmnb.display.texts import counted, cut, inside
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

SHARES = (1, 2, 4, 8, 16, 32, 64)
"""Of models, causes, examples and runs ever smaller parts are shown until the page is small."""

ANSWERS_SHOWN = 5
LONGEST_ANSWER = 200
"""Characters of a prompt or an answer that are shown."""

MOST_RUNS = 50
"""Up to so many runs of a cell are all shown; of more the first, the last, and the failed ones:"""

FIRST_RUNS, LAST_RUNS = 3, 20  # and as many of the failed ones


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

    how_to_repeat: str = "Run this cell"
    """What is done again to have its failed rows asked, where no line of code does that."""

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
    def is_clean(self) -> bool:
        """Whether nothing went wrong and nobody stopped it."""
        return not self.rows.failed and self.status.state != "stopped"

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


def condensed(entries: Sequence[Entry], share: int = 1) -> list[Entry]:
    """Return the same runs; of many only some one by one, the others added up in one entry.

    So a loop of ten thousand runs costs no more at its end than at its beginning.

    Args:
        entries: The runs, in the order in which they began.
        share: What the usual numbers of runs are divided by.
    """
    counts = list(accumulate(entry.runs for entry in entries))
    last = max(1, LAST_RUNS // share)
    bad = [i for i, entry in enumerate(entries) if entry.rows.failed or entry.rows.not_sent]
    shown = {*range(FIRST_RUNS), *range(len(entries) - last, len(entries)), *bad[-last:]}
    kept, rest = [], []
    for i, (entry, runs) in enumerate(zip(entries, counts, strict=True)):
        if i in shown and entry.runs == 1:
            kept.append(dataclasses.replace(entry, number=entry.number or runs))
        else:
            rest.append(entry)
    if counts[-1] <= MOST_RUNS // share or not rest:
        return list(entries)
    return [*kept[:FIRST_RUNS], _summed(rest), *kept[FIRST_RUNS:]]


def line(status: StatusSnapshot) -> str:
    """Return a run that is over in one line, until the page shows more."""
    return text([Entry(status=status)]).partition("\n")[0]


# --------------------------------------------------------------------------- as text


def text(entries: Sequence[Entry]) -> str:
    """Return the receipt as text: a line, its runs, why rows failed.

    Tables are at most 90 columns wide; sentences are never cut.
    """
    entries = condensed(entries)
    whole = _summed(entries)
    projects = dict.fromkeys(visible(entry.status.project, longest=40) for entry in entries)
    lines = [f"llmnb · {', '.join(projects)} · {inside(''.join(_sentence(whole)))}"]
    for part in _details(whole):
        if len(lines[0]) + len(part) + 3 <= WIDEST:
            lines[0] += f" · {part}"
    if whole.runs > 1:
        cells = [
            [name, *(_with_unit(figure, head) for head, figure in figures.items())]
            for name, figures in zip(_names(entries), _run_figures(entries), strict=True)
        ]
        lines += [f"  {row}" for row in columns(cells, right=range(1, 7), width=WIDEST - 2)]
    if not whole.is_clean:
        if causes := _causes(entries, whole, 5, facts.EXAMPLE_LENGTH):
            heads = columns([cells[:2] for cells in causes], right={0}, gap=3)
            wide = max(map(len, heads))
            for head, (_, _, example) in zip(heads, causes, strict=True):
                lines += hanging(f"  {head:<{wide}}   ", example, WIDEST)
        words, code = _next_step(entries, whole)
        lines.append(f"{words}: {visible(code)}" if code else f"{words}.")
        if read_code := _read_code(whole):
            lines.append(f"{READ}: {read_code}")
    lines += [f"Its answers: {entry.result_code}" for entry in entries if entry.result_code]
    return "\n".join(lines)


def _with_unit(figure: str, head: str) -> str:
    if head in ("time", "cost") or not figure:
        return figure
    return f"{figure} {'row' if (figure, head) == ('1', 'rows') else head}"


# --------------------------------------------------------------------------- as HTML

READ = "Read the rows"
FIGURES = "Counters, tokens, speed, models"
_SENTENCE = "margin:0;line-height:22px"
_UNBROKEN = 32
"""Characters, such as those of a model's name, that are kept on one line."""


def html(entries: Sequence[Entry], *, prices_of: str = "", is_open: bool = False) -> str:
    """Return the receipt as HTML without script, style sheet or address.

    Args:
        entries: The runs of a cell, in the order in which they began; at least one.
        prices_of: Day of the price table; empty leaves it out.
        is_open: Whether it stands unfolded, its answers with it.
    """
    answers = _answers(entries)
    most = MOST_BYTES if len(entries) == 1 else MOST_BYTES_OF_RUNS
    page = functools.partial(_html, entries, answers, prices_of, is_open and bool(answers))
    return html_fragments.fitting(page, SHARES, most + len(answers.encode()))


def _html(entries: Sequence[Entry], answers: str, prices_of: str, is_open: bool, share: int) -> str:
    entries = condensed(entries, share)
    whole = _summed(entries)
    is_single = whole.runs == 1
    tail = "".join(f" · {_unbroken(part)}" for part in _details(whole))
    said = html_fragments.sentence(_sentence(whole))
    said += f'<span style="{FAINT}">{tail}</span>' if tail else ""
    body = _single(whole, share) if is_single else _run_table(entries)
    body += _foot(entries, prices_of)
    read_code = _read_code(whole)
    reading = note(f"{READ}: <code>{html_text(read_code)}</code>") if read_code else ""
    if whole.rows.total == 0:
        inside = f'<p style="{_SENTENCE}">{said}</p>\n'
    elif whole.is_clean:
        body += reading
        if is_open:
            body = _folded(FIGURES, body)
        body = answers + body if is_single else body + answers
        bar = html_fragments.small_bar(_parts(whole.rows), "8px")
        inside = html_fragments.details(bar + said, body, is_open=is_open)
    else:
        words, code = _next_step(entries, whole)
        step = f"{html_text(words)}: <code>{html_text(code)}</code>" if code else f"{words}."
        if answers and not is_open and is_single:
            answers = _folded("Answers", answers)
        causes = _causes(entries, whole, max(2, 8 // share), max(12, facts.EXAMPLE_LENGTH // share))
        inside = (
            f"{html_fragments.bar(_parts(whole.rows))}"
            f'<p style="{_SENTENCE}">{said}</p>\n'
            f"{_cause_table(causes)}{note(step)}{reading}{answers}"
            f"{_folded(FIGURES if is_single else f'The {whole.runs:,} runs, one by one', body)}"
        )
    for entry in entries:
        if entry.result_code and entry.rows.good:
            inside += note(f"Its answers: <code>{html_text(entry.result_code)}</code>")
    return html_fragments.box(inside, name="llmnb-receipt")


def _unbroken(text: str) -> str:
    """Return a text that fits a narrow page as one that no hyphen in it breaks."""
    short = len(text) <= _UNBROKEN and "-" in text
    return (
        f'<span style="white-space:nowrap">{html_text(text)}</span>' if short else html_text(text)
    )


def _folded(title: str, body: str) -> str:
    return html_fragments.details(f'<span style="{FAINT}">{html_text(title)}</span>', body)


def _single(entry: Entry, share: int) -> str:
    """Return the sum, the counters, the figures and the models of a run."""
    status, rows = entry.status, entry.rows
    parts = [f"{part:,} {name}" for name, part in rows.parts.items() if part]
    page = note(html_text(f"{' + '.join(parts)} = {counted(rows.whole, 'row')}"))
    if status.counts.num_tasks_started:
        page += figure_table(facts.COUNTERS, [facts.counters(status)], ())
    limits = "; ".join(facts.limits(status))
    named = {**facts.figures(status), "limits": limits, **entry.notes}
    page += html_fragments.facts(
        ((visible(name[:1].upper() + name[1:], longest=40), text) for name, text in named.items()),
        600,
    )
    if status.shares:
        models = facts.shares(status, max(2, 10 // share))
        head = ("Model", "rows", "share", "p50", "cost")
        page += figure_table(head, map(facts.model_cells, models))
    return page


def _cause_table(causes: list[list[str]]) -> str:
    top = "vertical-align:top"
    widths = chain([";min-width:min(12em,25vw)"], repeat(""))  # the first row's is the column's
    rows = (
        (
            cell(count, f"padding:2px 0;{top}", align="right"),
            cell(cause, f"padding:2px 14px 2px 10px;{top}{room}"),
            cell(example, f"padding:2px 0;{top};{FAINT};overflow-wrap:anywhere"),
        )
        for (count, cause, example), room in zip(causes, widths, strict=False)
    )
    return html_fragments.table(rows, "margin:2px 0 4px") if causes else ""


def _run_table(entries: Sequence[Entry]) -> str:
    runs = _run_figures(entries)
    rows = [
        [name, Html(html_fragments.small_bar(_parts(entry.rows))), *figures.values()]
        for entry, name, figures in zip(entries, _names(entries), runs, strict=True)
    ]
    return figure_table(["run", "", *runs[0]], rows, range(2, 8))


def _foot(entries: Sequence[Entry], prices_of: str) -> str:
    projects = list(dict.fromkeys(entry.status.project for entry in entries))
    named = "Project " if len(projects) == 1 else "Projects "
    when = moments.moment(entries[0].ended)
    if len(entries) > 1:
        first = min(entry.status.started_at for entry in entries)
        when = f"{moments.moment(first)} to {moments.clock(max(entry.ended for entry in entries))}"
    parts = [named + html_text(", ".join(projects), longest=240), when]
    if prices_of:
        parts.append(f"prices of {html_text(prices_of, longest=40)}")
    return note(" · ".join(parts), "5px 0 0")


def _answers(entries: Sequence[Entry]) -> str:
    """Return the first rows of the last run with their answers; empty where none are shown."""
    entry = entries[-1]
    if not entry.answers:
        return ""

    def page(share: int) -> str:
        longest = LONGEST_ANSWER // share
        rows = [[visible(text, longest=longest) for text in row] for row in entry.answers]
        table = figure_table(("prompt", "answer", "status"), rows, ())
        return table if len(entries) == 1 else _folded(f"Answers of {_names(entries)[-1]}", table)

    return html_fragments.fitting(page, SHARES, MOST_BYTES_OF_ANSWERS)


# ------------------------------------------------------------------------ the sentence


def _sentence(whole: Entry) -> list[str]:
    """Return what came of all runs together, in parts: plain and stressed ones in turn."""
    status, rows = whole.status, whole.rows
    first = facts.headline(status, rows)
    if rows.total == 0:
        return ["", first]
    if whole.runs > 1:
        first = first.removeprefix("Stopped: ")
        between = "," if first.startswith("All") else ":"
        first = f"{whole.runs:,} runs{between} {inside(first)}"
    tag = " (simulated)" if status.simulated and not status.counts.usd else ""
    parts = [
        "",
        first,
        f" in {durations.span(status.seconds)} for ",
        facts.cost(status.counts),
        tag,
    ]
    if rows.failed:
        parts[-1] += ", "
        parts += [f"{rows.failed:,} failed", ""]
    if rows.not_sent:
        parts[-1] += f", {rows.not_sent:,} not sent"
    return parts


def _details(whole: Entry) -> list[str]:
    """Return what was out of the ordinary, and who answered; nothing that is zero."""
    counts, rows = whole.status.counts, whole.rows
    if rows.total == 0:
        asked = f"{counted(whole.empty, 'row')} without content"
        return [f"{asked if whole.empty else 'there were no rows'}; no request was sent"]
    parts = []
    # Where something went wrong the sentence is long enough, and that comes first.
    if whole.is_clean and (kept := rows.reused + rows.merged):
        hows = {"reused": rows.reused, "merged": rows.merged}
        how = " or ".join(name for name, part in hows.items() if part)
        usd = counts.shown().saved_usd
        saved = f", saved {money.usd(usd)}" if usd > 1e-9 else ""
        parts.append(f"{'all' if rows.reused == rows.whole else f'{kept:,}'} {how}{saved}")
    if whole.is_clean:
        waited = whole.status.waited_seconds
        again = [f"{counts.num_retried:,} sent again"] if counts.num_retried else []
        again += [f"{durations.span(round(waited))} waited"] if waited >= 1 else []
        parts += [", ".join(again)] if again else []
    if counts.num_unsaved:
        parts.append(f"{counted(counts.num_unsaved, 'answer')} not saved, kept in memory")
    if counts.num_cut:
        parts.append(f"{counted(counts.num_cut, 'answer')} cut off at max_tokens")
    if whole.empty:
        parts.append(f"{whole.empty:,} empty, not asked")
    if whole.is_clean and (models := {share.name for share in whole.status.shares}):
        several = f"{len(models):,} models"
        parts.append(visible(*models, longest=60) if len(models) == 1 else several)
    return parts


def _next_step(entries: Sequence[Entry], whole: Entry) -> tuple[str, str]:
    """Return what to do where rows failed or were not sent, and a line of code that does it."""
    rows, pools = whole.rows, whole.status.pools
    if rows.not_sent:
        missing = f"{counted(rows.not_sent, 'row')} not sent"
        missing += f" and the {rows.failed:,} failed" if rows.failed else ""
        verb = "is" if (rows.not_sent, rows.failed) == (1, 0) else "are"
        return f"Run the cell {whole.status.again}: only the {missing} {verb} asked", ""
    if pools and {cause.kind for cause in whole.status.causes} == {"AuthenticationError"}:
        return "Set the key, then run the cell again", f"%llm_key {pools[0].provider}"
    if whole.code:
        return "Retry the failed rows", whole.code
    what = "row that failed is" if rows.failed == 1 else f"{rows.failed:,} rows that failed are"
    return f"{entries[0].how_to_repeat} {whole.status.again}: only the {what} asked", ""


def _read_code(whole: Entry) -> str:
    """Return the line that shows the rows of a run; of several runs none is named by one."""
    return whole.read_code if whole.rows.completed else ""


def _causes(entries: Sequence[Entry], whole: Entry, most: int, longest: int) -> list[list[str]]:
    """Return count, words and example of the causes; of several runs the example names its own."""
    run_of: dict[str, str] = {}
    if len(entries) > 1:
        for entry, name in zip(entries, _names(entries), strict=True):
            run_of = {cause.kind: name for cause in entry.status.causes} | run_of
    return facts.causes(whole.status.causes, most, longest, run_of)


# ------------------------------------------------------------------- runs of one cell


def _run_figures(entries: Sequence[Entry]) -> list[dict[str, str]]:
    """Return the figures of each run by their heads; a column that is empty is left out."""
    runs = []
    for entry in entries:
        status, rows = entry.status, entry.rows
        counts = {
            "rows": rows.whole,
            "reused": rows.reused + rows.merged,
            "failed": rows.failed,
            "not sent": rows.not_sent,
        }
        run = {head: f"{n:,}" if n or head == "rows" else "" for head, n in counts.items()}
        time, cost = durations.span(status.seconds), facts.cost(status.counts)
        runs.append({**run, "time": time, "cost": cost})
    used = [head for head in runs[0] if any(run[head] for run in runs)]
    return [{head: run[head] for head in used} for run in runs]


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
    order = ("reused", "merged", "answered", "failed", "not sent")
    return [
        ("rest" if name == "not sent" else name, rows.parts[name] / (rows.whole or 1))
        for name in order
    ]
