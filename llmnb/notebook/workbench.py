"""The workbench's card: where a prompt is written, read and decided on.

All that is asked and reckoned is `llmnb.frames.workbench`; this shows it and hands on what the
page wishes. Texts of rows, prompts and answers travel as messages: none is part of its state.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from llmnb.errors import InputError
from llmnb.frames.pause import Pause
from llmnb.frames.workbench import Workbench
from llmnb.frames.workbench_version import Version
from llmnb.notebook import workbench_settings, workbench_texts, workbench_view
from llmnb.notebook.job_queue import JobQueue
from llmnb.notebook.request_surface import RequestSurface
from llmnb.notebook.surface import Bundle
from llmnb.progress import DRAW_SECONDS

STATIC_SECONDS = 1.0
"""What a saved notebook keeps is put anew once nothing has changed for so long."""

_UNFOLDED = 4_000
"""Characters more of an answer at each unfolding."""

_LONGEST_PROMPT = 1_000_000
"""Characters of a prompt that a page may send."""


class WorkbenchWidget(RequestSurface):
    """The card of a workbench, on every page that shows it.

    Args:
        bench: What ``df.llm.workbench(…)`` returned.

    Example:
        >>> import pandas as pd
        >>> df = pd.DataFrame({"text": ["one", "two"]})
        >>> bench = df.llm.workbench("Say {text}", model="sim/any")
        >>> widget = WorkbenchWidget(bench)
        >>> widget.snapshot["end"]["button"].startswith("Ask 2 rows")
        True
        >>> widget.close()
    """

    scripts = ("parts.js", "requests.js", "reading.js", "workbench_parts.js", "workbench.js")
    styles = ("tokens.css", "reading.css", "workbench.css")
    overtaken = frozenset({"type"})

    def __init__(self, bench: Workbench) -> None:
        self.bench = bench
        self._picked: list[int] | None = None
        self._unfolded: dict[tuple[int, int], int] = {}
        self._news = JobQueue()
        self._rest = threading.Event()
        self._sent: dict[str, Any] = {}
        self._ended: Any = None
        self._renewing = Pause(self.renew, STATIC_SECONDS)
        super().__init__(snapshot=workbench_view.snapshot(bench))
        bench.listen(self._on_change)
        if bench.error is None:
            bench.estimate_later()

    # ------------------------------------------------------------------------- to pages

    def static(self) -> Bundle:
        """Return the last prompt, the versions and their figures; no text of a row."""
        return {"text/html": self.bench._repr_html_(), "text/plain": str(self.bench)}

    def on_close(self) -> None:
        """Follow the workbench no more."""
        self._rest.set()
        self._renewing.cancel()

    def _on_change(self) -> None:
        if not self._is_closed:
            self._news.put(self._publish, only="publish")

    def _publish(self) -> None:
        """Show the workbench as it is, and again once the run of the whole table has gone on."""
        if self._is_closed:
            return
        self.snapshot = workbench_view.snapshot(self.bench, self._picked)
        if (texts := self._texts()) != self._sent:
            self._sent = texts
            self.tell("texts", texts=texts)
            self._renewing.begin()
        self._rest.wait(DRAW_SECONDS)
        run = self.bench.table_run
        if run is None or run is self._ended:
            return
        if run.is_done:
            self._ended = run
            self.bench.estimate_later()
        self._news.put(self._publish, only="publish")

    def _texts(self) -> dict[str, Any]:
        revision = self.bench.revision  # before the prompt: a page never takes it for newer
        texts = workbench_texts.texts(self.bench, self._picked, self._unfolded)
        return {**texts, "rev": revision, "settings": workbench_settings.fields(self.bench)}

    # ----------------------------------------------------------------------- from pages

    def job(self, request: dict[str, Any], turn: str) -> Callable[[], object] | None:
        """Return what does a request; None where it is none."""
        bench = self.bench
        match request:
            case {"do": "look"}:
                return lambda: self.reply(turn, "texts", texts=self._texts())
            case {"do": "type", "prompt": str(prompt)} if len(prompt) <= _LONGEST_PROMPT:
                return lambda: self._type(prompt, turn)
            case {"do": "edit", "version": int(number)}:
                return lambda: bench.select(self._version(number))
            case {"do": "step", "by": 1 | -1 as by}:
                return lambda: bench.step(by)
            case {"do": "pick", "version": int(number)}:
                return lambda: self._pick(number)
            case {"do": "rows", "of": "labelled" | "all" | "wrong" | None as rows}:
                return lambda: bench.other_rows(rows)
            case {"do": "unfold", "version": int(number), "row": int(row)}:
                return lambda: self._unfold(number, row)
            case {"do": "code"}:
                return lambda: self.reply(turn, "code", code=bench.code)
        return self._setting(request) or self._simple_job(request.get("do"))

    def _setting(self, request: dict[str, Any]) -> Callable[[], object] | None:
        bench, settings = self.bench, workbench_settings
        match request:
            case {"do": "set", "name": str(name), "text": str(text)}:
                return lambda: settings.put(bench, name, text)
            case {"do": "drop_example", "which": int(which)}:
                return lambda: settings.drop_example(bench, which)
            case {"do": "add_pair", "told": str(told), "answer": str(answer)}:
                return lambda: settings.add_pair(bench, told, answer)
            case {"do": "add_field", "name": str(name), "type": str(kind), "about": str(about)}:
                return lambda: settings.add_field(bench, name, kind, about)
            case {"do": "drop_field", "name": str(name)}:
                return lambda: settings.drop_field(bench, name)
            case {"do": "take_class", "name": str(name)}:
                return lambda: settings.take_class(bench, name)
        return None

    def _simple_job(self, what: Any) -> Callable[[], object] | None:
        """Return what does a request that consists of a name alone."""
        bench, run = self.bench, self.bench.table_run
        acts: dict[Any, Callable[[], object]] = {
            "ask": lambda: bench.begin_ask(with_failed=True),
            "score": bench.begin_score,
            "local": lambda: bench.change(model=workbench_view.LOCAL_MODEL),
            "add_label": lambda: workbench_settings.add_label(bench),
            "run": bench.run,
            "retry": bench.retry,
            "allow": self._allow,
        }
        if run is not None and what in ("pause", "resume", "stop"):
            return lambda: self._show_after(getattr(run, what))
        return acts.get(what) if isinstance(what, str) else None

    def _type(self, prompt: str, turn: str) -> None:
        self.bench.change(prompt=prompt)
        self.reply(turn, "typed", rev=self.bench.revision)

    def _show_after(self, act: Callable[[], object]) -> None:
        act()
        self._on_change()

    def _allow(self) -> None:
        self.bench.budget_usd += self.bench.budget_usd or 0.25

    def _version(self, number: int) -> Version:
        for version in self.bench.versions:
            if version.number == number:
                return version
        raise InputError("There is no such version.")

    def _pick(self, number: int) -> None:
        self._version(number)
        shown = workbench_view.shown_versions(self.bench, self._picked)
        numbers = [version.number for version in shown if version is not self.bench.current]
        if number in numbers:
            numbers.remove(number)
        else:
            numbers = [*numbers, number][-(workbench_view.ACROSS - 1) :]
        self._picked = numbers
        self._on_change()

    def _unfold(self, number: int, row: int) -> None:
        self._version(number)
        key = number, row
        self._unfolded[key] = self._unfolded.get(key, workbench_texts.ANSWER_SHOWN) + _UNFOLDED
        self._on_change()
