"""One answer as a notebook shows it: text for a program, safe Markdown for a person."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from typing import Any

from llmnb.display import durations, money
from llmnb.display.escape import markdown_text, visible, visible_lines
from llmnb.display.html_fragments import INERT
from llmnb.notebook import markdown, rewritten
from llmnb.notebook.forms import Form, Table
from llmnb.notebook.pieces import foot_html, pretty_json, table_html
from llmnb.records import Outcome


@dataclass(eq=False, repr=False, slots=True, weakref_slot=True)
class Answer:
    """What a model answered to one prompt.

    ``str(answer)`` is the text. Displayed, it is Markdown in which nothing is live:
    HTML is shown as text, links and images as words, formulas as they were written.
    """

    outcome: Outcome
    """The whole outcome: reply, usage, attempts, key, …"""

    form: Form = "markdown"
    """How it was asked for."""

    value: Any = None
    """What was read out of it: JSON, code, a DataFrame, an object of the schema; else the text."""

    _shown_in: int = field(default=-1, kw_only=True)
    """Number of the cell in which it stands on show since it was streamed."""

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
        """Return what a page, another page and a terminal show, by media type."""
        return {
            "text/html": self._html(),
            "text/markdown": self._markdown(),
            "text/plain": f"{self._plain()}\n\n— {self.foot}",
        }

    def _html(self) -> str:
        if self.form == "table" and isinstance(table := _table_of(self.value), Table):
            body = table_html(table)
        elif self.form == "json":
            body = markdown.code_block(markdown.cut(pretty_json(self.value))[0])
        elif self.form == "code":
            body = markdown.code_block(markdown.cut(str(self.value))[0])
        elif self.form == "text":
            body = markdown.preformatted(markdown.cut(self.text)[0])
        else:
            body = markdown.to_html(self.text)
        return f'<div class="{INERT}">{body}{foot_html(self.foot)}</div>'

    def _markdown(self) -> str:
        if self.form in ("markdown", "table"):
            body = rewritten.to_markdown(self.text)
        else:
            body = rewritten.fenced(markdown.cut(self._plain())[0])
        return f"{body}\n\n*{markdown_text(self.foot)}*"

    def _plain(self) -> str:
        if self.form == "json":
            return visible_lines(pretty_json(self.value))
        return visible_lines(str(self.value) if self.form == "code" else self.text)

    def stands_in(self, cell: int) -> None:
        """Note that a cell shows it already, so that it is not shown there twice."""
        self._shown_in = cell

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        if not _has_kernel() and self._is_on_show():
            return {"text/plain": self.foot}  # the text stands above
        return self.bundle()

    def _ipython_display_(self) -> None:
        if _has_kernel() and self._is_on_show():
            return
        raise NotImplementedError  # IPython goes on to `_repr_mimebundle_`

    def _is_on_show(self) -> bool:
        shell = _shell()
        return shell is not None and shell.execution_count == self._shown_in


def _table_of(value: Any) -> Any:
    """Return a table, or what a frame holds as one."""
    if isinstance(value, Table) or not hasattr(value, "itertuples"):
        return value
    rows = value.itertuples(index=False, name=None)
    return Table(tuple(map(str, value.columns)), tuple(rows))


def _shell() -> Any:
    ipython = sys.modules.get("IPython")
    return ipython.get_ipython() if ipython is not None else None


def _has_kernel() -> bool:
    return hasattr(_shell(), "kernel")
