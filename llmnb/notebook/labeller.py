"""The card in which a person labels rows: one key a row, saved before the next row shows."""

from __future__ import annotations

import functools
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import traitlets

from llmnb.display import spans
from llmnb.errors import StoreError
from llmnb.frames.labelling import Labeller
from llmnb.frames.pause import Pause
from llmnb.notebook import labeller_view
from llmnb.notebook.request_surface import FollowingSurface

RENEW_SECONDS = 2.0
"""What a saved notebook keeps is put anew this long after a label, and when all are done."""

_shown: weakref.WeakValueDictionary[tuple[Path, str], LabellerWidget] = (
    weakref.WeakValueDictionary()
)
"""The card of each question that is on display: a cell that is run again leaves none behind."""


class LabellerWidget(FollowingSurface):
    """The card of a `Labeller`.

    It stands wherever ipywidgets do, and its traits (`state`, `labelled`, `total`) can be observed
    and linked from. They are read-only; observers may be called on a thread of llmnb's own. Of
    two cards of one question the newer stays.

    Args:
        labeller: What `df.llm.label` returned.

    Example:
        >>> import pandas as pd
        >>> df = pd.DataFrame({"text": ["so good", "so bad"]})
        >>> labelled = df.llm.label("mood", ["kind", "unkind"], project_name="a labeller's card")
        >>> card = LabellerWidget(labelled)
        >>> labelled.give("kind")
        >>> card.labelled, card.total, card.state
        (1, 2, 'row')
        >>> card.close()
    """

    scripts = ("parts.js", "requests.js", "reading.js", "labeller.js")
    styles = ("tokens.css", "reading.css", "labeller.css")
    overtaken = frozenset({"text"})

    state = traitlets.Enum(("row", "done", "empty", "closed"), "row", read_only=True)
    """``"row"`` while a row is asked about, ``"done"``, ``"empty"`` where there is no row to ask
    about, or ``"closed"``."""

    labelled = traitlets.Int(0, read_only=True)
    """Rows of the sample that are labelled."""

    total = traitlets.Int(0, read_only=True)
    """Rows of the sample."""

    def __init__(self, labeller: Labeller) -> None:
        self.labeller = labeller
        self._rows = labeller_view.Rows(labeller) if labeller.asked else None
        self._notes = " ".join(labeller.earlier())
        self._is_hidden = False
        self._renewing = Pause(self.renew, RENEW_SECONDS)
        super().__init__(labeller, snapshot=labeller_view.head(labeller))
        self._set_traits()

    # ------------------------------------------------------------------- from the page

    def act(self, name: str) -> Callable[..., object] | None:
        """Return what does the requests of a name."""
        labeller = self.labeller
        acts: dict[str, Callable[[], None]] = {
            "skip": labeller.leave if labeller.is_reviewing else labeller.skip,
            "undo": labeller.undo,
            "save": labeller.save_again,
            "differ": labeller.review,
            "skipped": labeller.ask_skipped,
            "foreign": labeller.ask_again,
            "more": labeller.more,
        }
        return functools.partial(self._at, acts[name]) if name in acts else super().act(name)

    def _at(self, act: Callable[[], None], step: int) -> None:
        """Act if nothing was done since a page has shown that step."""
        if self.labeller.step != step:
            self._tell_view()
            return
        try:
            act()
        except StoreError:
            if self.labeller.unsaved is None:
                raise  # not of a label: nothing on the card says so yet

    def _do_give(self, label: int, step: int) -> None:
        if 0 <= label < len(self.labeller.choices):
            self._at(lambda: self.labeller.give(self.labeller.choices[label]), step)

    def _do_hide(self, on: bool) -> None:
        self._is_hidden = on
        self._tell_view()

    # --------------------------------------------------------------------- to the page

    def _view(self) -> dict[str, Any]:
        return labeller_view.card(self.labeller, self._rows, self._notes, is_hidden=self._is_hidden)

    def _do_look(self, turn: str) -> None:
        self.reply(turn, "labels", labels=labeller_view.choices(self.labeller))
        self.reply(turn, "view", view=self._view())

    def _tell_view(self) -> None:
        self.tell("view", view=self._view())

    def _do_text(self, turn: str, shown: int) -> None:
        row = self.labeller.position
        if self._rows is not None and row is not None and shown > 0:
            whole = self._rows.whole_text(row)
            self.reply(turn, "text", text=spans.block(whole, shown=shown))

    def _on_change(self) -> None:
        """Show what was done, here or in code: at once, for whoever presses the next key."""
        if self._rows is None and self.labeller.asked:
            self._rows = labeller_view.Rows(self.labeller)
        self._tell_view()
        self.snapshot = labeller_view.head(self.labeller)
        self._set_traits()
        if not self._outputs:
            return
        if self.labeller.position is None:
            self._renewing.begin(0.0)  # all are done: whoever saves the notebook now has that
        elif not self._renewing.is_waiting:  # to wait anew would take a thread at each key
            self._renewing.begin()

    def _set_traits(self) -> None:
        shown = self.snapshot
        self.set_traits_safely(labelled=shown["now"], total=shown["max"], state=shown["view"])

    # ---------------------------------------------------------------------- on display

    def _ipython_display_(self) -> None:
        store = self.labeller.rows.store
        question = store.project.labels, store.question
        earlier = _shown.get(question)
        if earlier is not None and earlier is not self:
            earlier.close()
        _shown[question] = self
        super()._ipython_display_()

    def on_close(self) -> None:
        """Say that it is closed."""
        super().on_close()
        self._renewing.cancel()
        self.set_traits_safely(state="closed")
