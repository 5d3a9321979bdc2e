"""One prompt and its answer: asked, shown while it comes, and then as safe Markdown."""

from __future__ import annotations

import abc
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from llmnb import bridge
from llmnb.display import durations, money
from llmnb.display.escape import html_text, visible, visible_lines
from llmnb.display.html_fragments import INERT, figure_table, line
from llmnb.display.texts import counted, cut
from llmnb.engine.status import Clock
from llmnb.notebook import markdown, prompt_formats
from llmnb.notebook.prompt_formats import Format
from llmnb.notebook.surface import Bundle, OutputSlot
from llmnb.progress import DRAW_SECONDS, Interrupts
from llmnb.records import Delta, Outcome
from llmnb.running.asking import Asking, Model
from llmnb.running.start import start
from llmnb.targets.resolve import choose
from llmnb.user_code import shell

ROWS_SHOWN = 200
"""Rows of a table on a page; all of them are in its value."""

LONGEST_LIVE = 8_000
"""Characters on show while more are coming: the whole of it is sent with every update."""


@dataclass(eq=False, repr=False, slots=True, weakref_slot=True)
class Answer:
    """What a model answered to one prompt.

    ``str(answer)`` is the text. Displayed, it is Markdown in which nothing is live:
    HTML is shown as text, links and images as plain text, formulas as they were written.
    """

    outcome: Outcome
    """The whole outcome: reply, usage, attempts, key, …"""

    form: Format = "markdown"
    """How it was asked for."""

    value: Any = None
    """What was read out of it: JSON, code, a DataFrame, an object of the schema; else the text."""

    shown_in: int = field(default=-1, kw_only=True)
    """Number of the cell in which it is shown already since it was streamed."""

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return f"<Answer {visible(self.text, longest=60)!r} {self.foot}>"

    @property
    def text(self) -> str:
        """The answer as the model wrote it."""
        return self.outcome.text or ""

    @property
    def model(self) -> str:
        """Who answered, as ``provider/model``."""
        parts = (self.outcome.provider, self.outcome.model)
        return "/".join(part for part in parts if part)

    @property
    def usd(self) -> float | None:
        """What it cost; None where the price is unknown, 0 where it was kept already."""
        return self.outcome.usd

    @property
    def seconds(self) -> float | None:
        """From sending to the last byte; None where nothing was sent."""
        return self.outcome.seconds

    @property
    def foot(self) -> str:
        """Who answered, how fast, for how much; on one line."""
        parts = [visible(self.model, longest=100) or "unknown model"]
        if self.outcome.simulated:
            parts.append("simulated")
        if self.outcome.is_cached:
            parts.append("from the cache")
        elif self.seconds is not None:
            parts.append(durations.latency(self.seconds))
        parts.append(money.usd(self.usd))
        return " · ".join(parts)

    # -------------------------------------------------------------------------- on show

    def bundle(self) -> dict[str, str]:
        """Return what a page and a terminal show, by media type."""
        return {
            "text/html": self._html(),
            "text/plain": f"{visible_lines(self._body)}\n\n— {self.foot}",
        }

    @property
    def _body(self) -> str:
        """What is shown of it: its text, or what was read out of that."""
        if self.form == "json":
            return _pretty_json(self.value)
        return str(self.value) if self.form == "code" else self.text

    def _html(self) -> str:
        if self.form == "table":
            rows = list(self.value.itertuples(index=False, name=None))
            body = figure_table(list(self.value.columns), rows[:ROWS_SHOWN], ())
            if (more := len(rows) - ROWS_SHOWN) > 0:
                body += line(f"… {counted(more, 'further row')}")
        elif self.form == "markdown":
            body = markdown.to_html(self.text)
        else:
            write = markdown.preformatted if self.form == "text" else markdown.code_block
            body = write(cut(self._body, markdown.LONGEST))
        foot = f'<div style="font-size:12px;opacity:.7;margin-top:6px">{html_text(self.foot)}</div>'
        return f'<div class="{INERT}">{body}{foot}</div>'

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        if self._is_shown() and not hasattr(shell(), "kernel"):
            return {"text/plain": self.foot}  # the text stands above
        return self.bundle()

    def _ipython_display_(self) -> None:
        if not (self._is_shown() and hasattr(shell(), "kernel")):
            raise NotImplementedError  # IPython goes on to `_repr_mimebundle_`

    def _is_shown(self) -> bool:
        return getattr(shell(), "execution_count", None) == self.shown_in


def _pretty_json(value: Any) -> str:
    """Return a value as JSON with its parts on lines of their own."""

    def plain(part: Any) -> Any:
        dump = getattr(part, "model_dump", None)
        return dump(mode="json") if callable(dump) else str(part)

    option = orjson.OPT_INDENT_2 | orjson.OPT_NON_STR_KEYS | orjson.OPT_SERIALIZE_NUMPY
    return orjson.dumps(value, default=plain, option=option).decode()


# ------------------------------------------------------------------- while it comes


class LiveText(abc.ABC):
    """An answer's text as it comes: taken on any thread, shown when it is told to draw.

    Nothing is shown before the first text, so an answer from the cache never flickers.
    """

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._drawn = float("-inf")
        self._count = 0
        """Characters on show."""

    def take(self, _row: int, delta: Delta) -> None:
        """Take more of the text; called on the engine's thread."""
        self._parts.append(delta.text)

    @property
    def text(self) -> str:
        """What has come so far."""
        return "".join(self._parts)

    def draw(self) -> None:
        """Show what is new; call it as often as you like."""
        now = Clock.monotonic()
        if now - self._drawn >= DRAW_SECONDS and len(text := self.text) > self._count:
            self._drawn = now
            self._show(text)
            self._count = len(text)

    def end(self, bundle: Bundle) -> bool:
        """Show the finished answer where its beginning stood; False where nothing stood."""
        if self._count:
            self._end(bundle)
        return bool(self._count)

    @abc.abstractmethod
    def _show(self, text: str) -> None: ...

    @abc.abstractmethod
    def _end(self, bundle: Bundle) -> None: ...


class PageText(LiveText):
    """Text in an output of a notebook, replaced in place; Markdown is rendered as it comes.

    Args:
        form: How the answer was asked for.
    """

    def __init__(self, form: Format = "markdown") -> None:
        super().__init__()
        self._html = markdown.to_html if form == "markdown" else markdown.preformatted
        self._slot: OutputSlot | None = None

    def _show(self, text: str) -> None:
        tail = text[-LONGEST_LIVE:]
        shown = "… " + tail if len(tail) < len(text) else tail
        bundle = {
            "text/html": f'<div class="{INERT}">{self._html(shown)}</div>',
            "text/plain": visible_lines(shown),
        }
        if self._slot is None:
            self._slot = OutputSlot(bundle)
        else:
            self._end(bundle)

    def _end(self, bundle: Bundle) -> None:
        assert self._slot is not None
        self._slot.put(bundle)


class TerminalText(LiveText):
    """Text printed as it comes; what was printed stays."""

    def _show(self, text: str) -> None:
        print(visible_lines(text[self._count :]), end="", flush=True)

    def _end(self, bundle: Bundle) -> None:
        print(visible_lines(self.text[self._count :]), flush=True)


def live_text(shell: Any, form: Format) -> LiveText | None:
    """Return what shows an answer as it comes; None where that cannot be seen."""
    if hasattr(shell, "kernel"):
        return PageText(form)
    return TerminalText() if sys.stdout is not None and sys.stdout.isatty() else None


# --------------------------------------------------------------------------- asking


_announced: set[str] = set()


def announce(model: Model | Sequence[Model] | None) -> None:
    """Say once in this kernel who is asked, where nobody named a model."""
    announcement = None if model else choose().announcement
    if announcement and announcement not in _announced:
        _announced.add(announcement)
        print(announcement, file=sys.stderr)


def ask(
    prompt: str, asking: Asking, live: LiveText | None, *, system: str, form: Format, **options: Any
) -> Answer:
    """Block for the answer to one prompt; show it while it comes.

    An interrupt stops the wait. What is in flight goes to the store, so that the
    cell run again finds it there.

    Args:
        prompt: What is asked.
        asking: Who is asked, and for which schema.
        live: What shows the answer as it comes; None: it is asked for whole.
        system: The system message; empty for none.
        form: The format in which the answer is wanted.
        **options: Project, cache, limits and patience, as `llmnb.running.start.start` takes them.

    Raises:
        LLMNBError: What it failed with, once retries are used up.
        KeyboardInterrupt: If the person interrupts.
    """
    announce(asking.model)
    messages = [{"role": "user", "content": prompt}]
    if system := prompt_formats.system_message(system, form):
        messages.insert(0, {"role": "system", "content": system})
    take, draw = (live.take, live.draw) if live else (None, lambda: None)
    run = start([{"messages": messages}], asking, on_delta=take, **options)
    with Interrupts(run) as interrupts:
        interrupts.wait(draw, bridge.SLICE_SECONDS / 2)
    (outcome,) = run.result()
    if interrupts.count and not outcome.is_answer:
        raise KeyboardInterrupt("Stopped: run the cell again to ask anew.")
    if outcome.error is not None:
        raise outcome.error
    if asking.output is not None:
        return Answer(outcome, "json", outcome.value)
    return Answer(outcome, form, prompt_formats.read(outcome.text or "", form))
