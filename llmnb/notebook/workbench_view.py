"""What the workbench's page shows: figures and words for its state, texts for its messages.

The page lays out and never computes. A sentence with stressed parts is a list: plain, stressed,
plain, and so on. No text of a row, of a prompt or of an answer is part of a snapshot.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from llmnb.display import durations, moments, money, numbers
from llmnb.display.escape import visible
from llmnb.display.texts import counted, cut, single_line
from llmnb.engine.status import StatusSnapshot
from llmnb.errors import LLMNBError, MissingKey, UnknownField
from llmnb.evaluation.comparison_card import p_text
from llmnb.evaluation.statistics import mcnemar
from llmnb.frames.scoring import Score
from llmnb.frames.template import wrong_field
from llmnb.frames.workbench import Workbench
from llmnb.frames.workbench_text import share_words
from llmnb.frames.workbench_version import Question, Version
from llmnb.notebook import facts, plan_card
from llmnb.notebook.card import view_of
from llmnb.notebook.workbench_settings import models_text
from llmnb.running.planning import Plan
from llmnb.user_code import key_offer

ACROSS = 3
"""Versions that stand side by side at most."""

NO_BREAK = "\N{NO-BREAK SPACE}"

SHORT_ANSWER = 60
"""Characters up to which an answer is a label or the like, whose words are not told apart."""

LOCAL_MODEL = "local/smollm2"
"""What is offered where there is no key."""


def shown_versions(bench: Workbench, picked: Collection[int] | None) -> list[Version]:
    """Return the versions that stand side by side; the one in the editor is the last.

    Args:
        bench: The workbench.
        picked: Numbers of those that were chosen; None: the newest.
    """
    current = bench.current
    others = [version for version in bench.versions if version is not current]
    if picked is not None:
        others = [version for version in others if version.number in picked]
    return [*others[-(ACROSS - 1) :], current] if current is not None else others[-ACROSS:]


# ------------------------------------------------------------------------------ figures


def snapshot(bench: Workbench, picked: Collection[int] | None = None) -> dict[str, Any]:
    """Return what all pages show of a workbench, beside the texts."""
    shown = shown_versions(bench, picked)
    budget = bench.budget_usd
    foot = _foot(bench)
    return {
        "region": "Workbench",
        "subject": _subject(bench),
        "spent": [
            "spent here ",
            money.usd(bench.spent, more_unknown=bench.spending.has_unpriced),
            "" if bench.spending.has_unpriced and not bench.spent else f" of {money.usd(budget)}",
        ],
        "share": round(min(1.0, bench.spent / budget) if budget else 1.0, 3),
        "quiet": _quiet(bench),
        "end": _end(bench),
        "picks": _picks(bench, shown),
        "versions": [_head(bench, version) for version in shown],
        "sample": _sample(bench),
        "rail": _rail(bench),
        "foot": foot,
        "says": _says(bench, foot),
        "line": str(bench).split("\n", 1)[0],
    }


def _subject(bench: Workbench) -> str:
    labels = len(bench.truth)
    known = f"{labels:,} labelled" if labels else "no labels"
    project = bench.project_name or (bench.estimates.whole.project if bench.estimates else "")
    rows = counted(bench.rows, "row")
    return " · ".join([*([visible(project, longest=60)] if project else []), rows, known])


def model_words(question: Question, plan: Plan | None) -> list[str]:
    """Return who is asked with which settings: plain, stressed, plain."""
    known = models_text(question.model) or "the configured model"
    name = known if plan is None else plan.model
    return [
        "",
        visible(name, longest=80),
        "".join(f", {words}" for words in setting_words(question)),
    ]


def setting_words(question: Question) -> list[str]:
    """Return the request's fields in words, such as ``"temperature 0"``."""
    words = []
    for name, value in question.params.items():
        if name in ("max_tokens", "max_completion_tokens"):
            words.append(f"at most {counted(value, 'token') if type(value) is int else value}")
        else:
            shown = f"{value:g}" if isinstance(value, float) else str(value)
            words.append(visible(f"{name.replace('_', ' ')} {shown}", longest=60))
    return words


def _quiet(bench: Workbench) -> list[list[Any]]:
    question, known = bench.question, bench.estimates
    plan = known.whole if known is not None and known.question.model == question.model else None
    system = len((question.system or "").split())
    examples = len(question.pairs) or len(question.examples)
    return [
        ["model", model_words(question, plan)],
        ["system", ["system: ", counted(system, "word")] if system else ["no system text"]],
        [
            "examples",
            ["", f"{examples:,}", " example" + "s" * (examples != 1)]
            if examples
            else ["no examples"],
        ],
        ["schema", _schema_words(question)],
    ]


def _schema_words(question: Question) -> list[str]:
    output = question.output
    if output is None:
        return ["no schema"]
    if output.is_wrapped:
        values = output.json_schema["properties"]["value"].get("enum")
        return ["schema: ", counted(len(values), "label") if values else "one value"]
    return ["schema: ", counted(len(output.fields), "field")]


def _end(bench: Workbench) -> dict[str, str]:
    """Return what a pause does, or what is being done: a text, or a button that asks."""
    current, rows = bench.current, len(bench.sample)
    error = bench.error
    if isinstance(error, UnknownField):
        return {"text": "nothing is asked until then", "button": ""}
    if error is not None:
        return {"text": "", "button": ""}
    if current is not None and (pending := [row for row in bench.sample if row in current.pending]):
        return {"text": f"{rows - len(pending)} of {counted(rows, 'row')} answered", "button": ""}
    if current is not None and current.pending:
        return {"text": f"{len(current.pending):,} labelled rows are being asked", "button": ""}
    if bench.spending.is_over:
        return {"text": "nothing is asked as you type", "button": ""}
    price = _sample_price(bench)
    if not bench.is_due and (current is None or current.missing(bench.sample)):
        return {"text": "", "button": f"Ask {counted(rows, 'row')}, {price}"}
    if current is not None and not bench.is_due:
        failed = len(current.missing(bench.sample, with_failed=True))
        if failed:
            return {"text": "", "button": f"Ask the {failed} failed again"}
    return {"text": f"a pause asks {counted(rows, 'row')}, {price}", "button": ""}


def _sample_price(bench: Workbench) -> str:
    rows = len(bench.sample)
    current = bench.current or (bench.versions[-1] if bench.versions else None)
    each = None if current is None else current.usd_per_row
    if each is not None:
        return _near(each * rows)
    return "price unknown" if bench.estimates is None else _about(bench.estimates.sample)


def _about(plan: Plan) -> str:
    return "price unknown" if plan.usd_high is None else _near(plan.usd_high)


def _near(usd: float) -> str:
    """Return about how many dollars, such as ``"≈ $0.0012"``."""
    shown = money.usd(usd)
    return shown if shown[0] == "<" or not usd else f"≈ {shown}"


def _picks(bench: Workbench, shown: Sequence[Version]) -> list[dict[str, Any]]:
    """Return the chips that choose which versions stand below; from four versions on."""
    if len(bench.versions) <= ACROSS:
        return []
    chips = []
    for version in bench.versions[-20:]:
        score = version.score
        share = (
            "now" if version is bench.current else "" if score is None else share_words(score)[0]
        )
        chip = {
            "value": version.number,
            "text": f"v{version.number}",
            "isPressed": version in shown,
        }
        chips.append({**chip, "count": share} if share else chip)
    return chips


def _head(bench: Workbench, version: Version) -> dict[str, Any]:
    is_now, score = version is bench.current, version.score
    usd, seconds = version.usd_per_row, version.seconds
    figures = (
        ["price unknown" if usd is None else f"{money.usd(usd)} a row"] if version.rows else []
    )
    words = [len(text.split()) for row in bench.sample if (text := version.text(row))]
    if words and is_long(bench, [version]):
        figures.insert(0, counted(round(sum(words) / len(words)), "word"))
    late = "" if seconds is None else f"p50 {durations.latency(seconds)}"
    may_score = is_now and score is None and not version.pending and bool(bench.labelled)
    return {
        "number": version.number,
        "when": "now, in the editor" if is_now else moments.clock(version.made)[:5],
        "now": int(is_now),
        "score": None if score is None else _score(score),
        "ask": _score_button(bench, version) if may_score and not bench.spending.is_over else "",
        "figures": " · ".join(figures),
        "late": late,
    }


def is_long(bench: Workbench, versions: Sequence[Version]) -> bool:
    """Whether an answer is more than a label or the like."""
    return any(
        len(version.text(row) or "") > SHORT_ANSWER for version in versions for row in bench.sample
    )


def _score_button(bench: Workbench, version: Version) -> str:
    rows = bench.labelled
    missing, each = len(version.missing(rows)), version.usd_per_row
    if each is not None:
        price = _near(each * missing)
    else:
        plan = None if bench.estimates is None else bench.estimates.labelled
        price = "price unknown" if plan is None else _about(plan)
    return f"Score on {len(rows):,}, {price.replace(' ', NO_BREAK)}"


def _score(score: Score) -> dict[str, Any]:
    share, interval = share_words(score)
    if score.accuracy is None:
        return {"share": share, "of": f"on {counted(score.n, 'row')}", "at": None, "says": ""}
    low, high = score.interval or (0.0, 1.0)
    return {
        "share": share,
        "of": f"{score.right:,} of {score.n:,}",
        "at": [round(100 * part, 1) for part in (score.accuracy, low, high - low)],
        "says": f"95 % interval {interval}",
    }


def _sample(bench: Workbench) -> dict[str, Any]:
    rows = len(bench.sample)
    options = []
    if bench.labelled:
        options.append(["labelled", f"{rows} with a label"])
    options.append(["all", f"{rows} at random"])
    if (scored := bench.last_scored) is not None:
        options.append(["wrong", f"{rows} that v{scored.number} has wrong"])
    return {"options": options, "value": bench.rows_from}


# --------------------------------------------------------------------- rail and foot


def _rail(bench: Workbench) -> dict[str, Any]:
    run = bench.table_run
    if run is not None and not run.is_done:
        rows = facts.row_counts(run.status())
        whole = rows.total or 1
        done = {"reused": rows.reused, "merged": rows.merged, "done": rows.answered}
        parts = {**done, "failed": rows.failed}
        return {
            "parts": [[name, round(part / whole, 4)] for name, part in parts.items()],
            "says": f"{rows.completed:,} of {counted(whole, 'row')} done",
        }
    if bench.estimates is None or (bench.error is not None and bench.current is None):
        return {"parts": [], "says": "What running would send"}
    progress: dict[str, Any] = plan_card.figures(bench.estimates.whole)["progress"]
    return progress


def _line(
    parts: list[str], buttons: list[list[Any]], *, glyph: str = "arrow", tone: str = ""
) -> dict[str, Any]:
    """Return the foot: a sentence and buttons, each its name, its text, and whether it acts."""
    return {"glyph": glyph, "tone": tone, "parts": parts, "buttons": buttons}


def _foot(bench: Workbench) -> dict[str, Any]:
    run = bench.table_run
    if run is not None and not run.is_done:
        return _running(bench, run.status())
    error = bench.error
    if not bench.prompt.strip():
        off = [["code", "Copy as code", 0], ["run", "Run", 0]]
        return _line(["Nothing is sent before there is a prompt."], off)
    if error is not None:
        return _refused(bench, error)
    copy, start = ["code", "Copy as code", 1], ["run", _run_label(bench), 1]
    if bench.spending.is_over:
        more = ["allow", f"Allow {money.usd(bench.budget_usd or 0.25)} more", 1]
        rest = " Versions can be read and run; typing asks nothing more."
        parts = ["", bench.spending.end_text(), rest]
        return _line(parts, [more, copy, start], glyph="alert", tone="bad")
    if bench.is_asking and is_waiting(bench.waits_for):
        parts = [f"{bench.waits_for} The rows come after it."]
        return _line(parts, [copy], glyph="clock", tone="wait")
    if run is not None and bench.table_version is not None and bench.table_version is bench.current:
        return _over(bench, run.status(), [copy])
    return _line(_plan_words(bench), [copy, start])


def is_waiting(words: str) -> bool:
    """Whether a run waits for something else than replies."""
    return words.startswith("Waiting on") and not words.startswith("Waiting on replies")


def _refused(bench: Workbench, error: LLMNBError) -> dict[str, Any]:
    off = [["code", "Copy as code", 0], ["run", _run_label(bench), 0]]
    text = visible(single_line(error.message, 400), longest=400)
    if isinstance(error, UnknownField):
        field, _ = wrong_field(bench.prompt, bench.columns)
        shown = f": {{{cut(visible(field), 60)}}}" if field else ""
        return _line([f"The prompt cannot be run as it is{shown}."], off)
    if isinstance(error, MissingKey):
        provider = text.partition(" ")[0]  # it begins with who wants one
        use = [["local", f"Use {LOCAL_MODEL}", 1]]
        rest = f" Give one with {key_offer(provider)}, or choose {LOCAL_MODEL}."
        return _line(["", f"No key for {provider}.", rest], use, glyph="alert", tone="bad")
    if bench.current is None and type(error).__name__ == "InputError":
        return _line([text], off)
    return _line(["", "Not asked.", f" {text}"], off, glyph="alert", tone="bad")


def _run_label(bench: Workbench) -> str:
    known = bench.estimates
    if known is None:
        return "Run"
    if known.counted is not None:
        return f"Run {bench.rows:,}…"
    return f"Run {known.whole.to_ask:,}" if known.whole.to_ask else "Fill from cache"


def _plan_words(bench: Workbench) -> list[str]:
    known = bench.estimates
    if known is None:
        return ["Counting what the whole table would send…"]
    plan, scale = known.whole, 1.0
    if known.counted is not None:
        scale = bench.rows / known.counted
    sent = round(plan.to_ask * scale)
    about = "≈ " if known.counted is not None else ""
    if not sent:
        first, rest = (
            "Nothing to send",
            ": every answer is kept, running fills the column from them.",
        )
    else:
        first = f"{about}{counted(sent, 'row')} to send"
        rest = f"{_time(bench, plan, sent)}, {about}{_range(plan, scale)}."
    if known.counted is not None:
        rest += f" Counted on {known.counted:,} rows at random; Run counts all first."
    if plan.wrong:
        rest += f" {counted(round(plan.wrong * scale), 'row')} cannot be asked."
    return ["", first, f"{rest}{_comparison(bench)}"]


def _range(plan: Plan, scale: float) -> str:
    if plan.usd_high is None:
        return f"{visible(plan.model, longest=60)} has no price"
    return money.usd_range((plan.usd_low or 0.0) * scale, plan.usd_high * scale)


def _time(bench: Workbench, plan: Plan, sent: int) -> str:
    current = bench.current
    if plan.minutes is not None:
        return f", about {durations.rough(60 * plan.minutes * sent / max(1, plan.to_ask))}"
    places = plan.max_concurrent_requests
    if current is None or current.seconds is None or not places:
        return ""
    return f", about {durations.rough(sent * current.seconds / places)}"


def _comparison(bench: Workbench) -> str:
    """Return whether the version in the editor is shown to be better, in words."""
    current = bench.current
    if current is None:
        return ""
    older = [version for version in bench.versions if version.number < current.number]
    if not bench.truth:
        return _changed_answers(bench, current, older)
    if not current.is_scored:
        return f" v{current.number} is not scored yet."
    scored = next((version for version in reversed(older) if version.is_scored), None)
    if scored is None or current.score is None or current.score.accuracy is None:
        return ""
    return " " + against(bench, current, scored)


def against(bench: Workbench, current: Version, other: Version) -> str:
    """Return which of two versions is right where, and whether that is shown."""
    rows = [row for row in bench.labelled if row not in other.question.examples]
    pairs = [(bool(current.is_right(row)), bool(other.is_right(row))) for row in rows]
    better, worse = pairs.count((True, False)), pairs.count((False, True))
    new, old = f"v{current.number}", f"v{other.number}"
    if not better and not worse:
        return f"{new} is right on the same rows as {old}."
    p = mcnemar(better, worse)
    if p < 0.05:
        said = "shown to be better" if better > worse else "shown to be worse"
    else:
        said = "not yet shown to be better" if better > worse else "not shown to be better"
    return (
        f"{new} is right on {counted(better, 'row')} where {old} is wrong, wrong on {worse:,}: "
        f"{said} (exact McNemar {p_text(p).replace(' ', NO_BREAK)})."
    )


def _changed_answers(bench: Workbench, current: Version, older: Sequence[Version]) -> str:
    if not older:
        return ""
    pairs = [(older[-1].text(row), current.text(row)) for row in bench.sample]
    both = [(old, new) for old, new in pairs if old is not None and new is not None]
    if not both:
        return ""
    changed = sum(old != new for old, new in both)
    return f" Without labels: {changed} of {counted(len(both), 'answer')} changed."


def _running(bench: Workbench, status: StatusSnapshot) -> dict[str, Any]:
    rows = facts.row_counts(status)
    total = rows.total or bench.rows
    done = f"{rows.completed:,} of {total:,}"
    parts = [f"{numbers.percent(rows.completed, max(1, total))} %", done]
    counts = status.counts.shown()
    if counts.num_unpriced and not counts.usd:
        parts.append("price unknown")
    elif (projected := status.projected_usd) is not None:
        parts.append(f"{money.usd(counts.usd)} of about {money.usd(projected)}")
    else:
        parts.append(money.usd(counts.usd))
    if status.eta_seconds is not None:
        parts.append(f"about {durations.remaining(status.eta_seconds)} left")
    failed = f", {rows.failed:,} failed" if rows.failed else ""
    first = ["resume", "Resume", 1] if status.state == "paused" else ["pause", "Pause", 1]
    acts = int(status.state != "stopping")
    buttons = [[*first[:2], acts], ["stop", "Stop", acts]]
    glyph, tone, more = "running", "", " You may go on writing."
    if view_of(status) == "waiting":
        glyph, tone, more = "clock", "wait", f" {visible(status.waiting_on, longest=200)}"
    state = {"paused": "is paused", "stopping": "stops"}.get(status.state, "runs on all rows")
    sentence = f" {', '.join(parts)}{failed}.{more}"
    return _line(["", f"{_whose(bench)} {state}:", sentence], buttons, glyph=glyph, tone=tone)


def _whose(bench: Workbench) -> str:
    version = bench.table_version
    return "The prompt" if version is None else f"v{version.number}"


def _over(bench: Workbench, status: StatusSnapshot, copy: list[list[Any]]) -> dict[str, Any]:
    rows = facts.row_counts(status)
    spent = money.usd(status.counts.shown().usd)
    answered = f"{rows.good:,} of {counted(rows.whole, 'row')} answered, {spent}."
    if rows.not_sent or rows.failed:
        again = rows.not_sent + rows.failed
        said = f"{rows.failed:,} failed" if rows.failed else ""
        stopped = f"{rows.not_sent:,} not sent" if rows.not_sent else ""
        left = " and ".join(part for part in (said, stopped) if part)
        parts = ["", f"{_whose(bench)}: {answered}", f" {left}."]
        retry = ["retry", f"Ask these {again:,}", 1]
        return _line(parts, [*copy, retry], glyph="alert" if rows.failed else "stop")
    rest = " Copy as code gives the column; nothing is asked for it again."
    return _line(["", f"{_whose(bench)}: {answered}", rest], copy, glyph="check")


def _says(bench: Workbench, foot: Mapping[str, Any]) -> str:
    """Return the state in a breath, for a screen reader; no figure that moves all the time."""
    if foot["tone"] == "bad":
        return "".join(foot["parts"])
    run = bench.table_run
    if run is not None and not run.is_done:
        status = run.status()
        rows = facts.row_counts(status)
        tenths = 10 * (10 * rows.completed // max(1, rows.whole))
        return f"The whole table is {status.state}, {tenths} %."
    current = bench.current
    if current is None:
        return "".join(foot["parts"]) if bench.error is not None else ""
    if current.pending:
        return f"v{current.number}: {counted(len(current.pending), 'row')} asked."
    rows_right = [right for row in bench.sample if (right := current.is_right(row)) is not None]
    answered = sum(current.text(row) is not None for row in bench.sample)
    said = f"v{current.number}: {answered} of {counted(len(bench.sample), 'row')} answered"
    if rows_right:
        said += f", {sum(rows_right)} right"
    score = current.score
    if score is not None and score.accuracy is not None:
        said += f"; {share_words(score)[0]} right on {counted(score.n, 'label')}"
    return f"{said}."
