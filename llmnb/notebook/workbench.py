"""The workbench's card: where a prompt is written, read and decided on.

All that is asked and reckoned is `llmnb.frames.workbench`; this shows it and hands on what the
page wishes. Texts of rows, prompts and answers travel as messages: none is part of its state.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, Literal

from llmnb.errors import InputError
from llmnb.frames.pause import Pause
from llmnb.frames.workbench import Rows, Workbench
from llmnb.frames.workbench_version import Version
from llmnb.notebook import workbench_settings, workbench_texts, workbench_view
from llmnb.notebook.request_surface import FollowingSurface

STATIC_SECONDS = 1.0
"""What a saved notebook keeps is put anew once nothing has changed for so long."""

_UNFOLDED = 4_000
"""Characters more of an answer at each unfolding."""

_LONGEST_PROMPT = 1_000_000
"""Characters of a prompt that a page may send."""


class WorkbenchWidget(FollowingSurface):
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
        self._sent: dict[str, Any] = {}
        self._over: Any = None
        """The last run of the whole table whose end was told."""

        self._renewing = Pause(self.renew, STATIC_SECONDS)
        super().__init__(bench, snapshot=workbench_view.snapshot(bench))
        if bench.error is None:
            bench.estimate_later()

    # ------------------------------------------------------------------------- to pages

    def on_close(self) -> None:
        """Follow the workbench no more."""
        super().on_close()
        self._renewing.cancel()

    def publish(self) -> None:
        """Show the workbench as it is, and again once the run of the whole table has gone on."""
        self.snapshot = workbench_view.snapshot(self.bench, self._picked)
        if (texts := self._texts()) != self._sent:
            self._sent = texts
            self.tell("texts", texts=texts)
            self._renewing.begin()
        run = self.bench.table_run
        if run is None or run is self._over:
            return
        if run.is_done:
            self._over = run
            self.bench.estimate_later()
        self._on_change()

    def _texts(self) -> dict[str, Any]:
        revision = self.bench.revision  # before the prompt: a page never takes it for newer
        texts = workbench_texts.texts(self.bench, self._picked, self._unfolded)
        return {**texts, "rev": revision, "settings": workbench_settings.fields(self.bench)}

    # ----------------------------------------------------------------------- from pages

    def act(self, name: str) -> Callable[..., object] | None:
        """Return what does the requests of a name."""
        bench, settings, run = self.bench, workbench_settings, self.bench.table_run
        if run is not None and name in ("pause", "resume", "stop"):
            return functools.partial(self._show_after, getattr(run, name))
        acts: dict[str, Callable[..., object]] = {
            "ask": functools.partial(bench.begin_ask, with_failed=True),
            "score": bench.begin_score,
            "local": functools.partial(bench.change, model=workbench_view.LOCAL_MODEL),
            "run": bench.run,
            "retry": bench.retry,
            "set": functools.partial(settings.put, bench),
            "drop_example": functools.partial(settings.drop_example, bench),
            "add_label": functools.partial(settings.add_label, bench),
            "add_pair": functools.partial(settings.add_pair, bench),
            "add_field": functools.partial(settings.add_field, bench),
            "drop_field": functools.partial(settings.drop_field, bench),
            "take_class": functools.partial(settings.take_class, bench),
        }
        return acts.get(name) or super().act(name)

    def _do_look(self, turn: str) -> None:
        self.reply(turn, "texts", texts=self._texts())

    def _do_code(self, turn: str) -> None:
        self.reply(turn, "code", code=self.bench.code)

    def _do_type(self, prompt: str, turn: str) -> None:
        if len(prompt) <= _LONGEST_PROMPT:
            self.bench.change(prompt=prompt)
            self.reply(turn, "typed", rev=self.bench.revision)

    def _do_edit(self, version: int) -> None:
        self.bench.select(self._version(version))

    def _do_step(self, by: Literal[1, -1]) -> None:
        self.bench.step(by)

    def _do_rows(self, of: Rows | None) -> None:
        self.bench.other_rows(of)

    def _show_after(self, act: Callable[[], object]) -> None:
        act()
        self._on_change()

    def _do_allow(self) -> None:
        self.bench.budget_usd += self.bench.budget_usd or 0.25

    def _version(self, number: int) -> Version:
        for version in self.bench.versions:
            if version.number == number:
                return version
        raise InputError("There is no such version.")

    def _do_pick(self, version: int) -> None:
        self._version(version)
        shown = workbench_view.shown_versions(self.bench, self._picked)
        numbers = [each.number for each in shown if each is not self.bench.current]
        if version in numbers:
            numbers.remove(version)
        else:
            numbers = [*numbers, version][-(workbench_view.ACROSS - 1) :]
        self._picked = numbers
        self._on_change()

    def _do_unfold(self, version: int, row: int) -> None:
        self._version(version)
        key = version, row
        self._unfolded[key] = self._unfolded.get(key, workbench_texts.ANSWER_SHOWN) + _UNFOLDED
        self._on_change()
