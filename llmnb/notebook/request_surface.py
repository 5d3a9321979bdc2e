"""What widgets share whose page asks for what it shows: the cache manager, and those for reading.

Texts of rows travel as messages to the page that asked. None is ever part of a widget's state,
nor of a saved notebook.
"""

from __future__ import annotations

import functools
import inspect
import logging
import threading
from collections.abc import Callable
from types import UnionType
from typing import Any, ClassVar, Literal, Union, get_args, get_origin

from llmnb.display.escape import visible
from llmnb.display.texts import single_line
from llmnb.errors import LLMNBError
from llmnb.frames.shown import Followed
from llmnb.notebook.job_queue import JobQueue
from llmnb.notebook.surface import Bundle, Surface, page_of
from llmnb.progress import DRAW_SECONDS

logger = logging.getLogger("llmnb")

LONGEST_TURN = 40
"""Characters of what a page calls one of its requests."""


class RequestSurface(Surface):
    """A widget that does what its page asks for, one thing after the other, on its own thread.

    A request is a dictionary: ``do`` says what is wanted, ``turn`` is what the page calls it. The
    page gets any number of replies with that turn, then one whose ``kind`` is ``"done"``, or
    ``"fault"`` with a ``text`` of what went wrong. Nothing that a page sends is believed: it is
    looked at before anything is done.

    A subclass says what is done (methods ``_do_…``, or `act`) and what stands where no widget shows
    (`static`); what it has opened it gives back in `on_close`.
    """

    overtaken: ClassVar[frozenset[str]] = frozenset()
    """What is asked for anew before it was begun, such as a search: only the newest is done, and
    the page waits for no other (`makeRequests` of the page gets the same names)."""

    _is_closed = True  # until it has been made

    def __init__(self, *, snapshot: dict[str, Any]) -> None:
        self._jobs = JobQueue()
        self._closing = threading.Lock()
        super().__init__(snapshot=snapshot)
        self._is_closed = False
        self.on_msg(self._on_request)

    # --------------------------------------------------------------- of each subclass

    def act(self, name: str) -> Callable[..., object] | None:
        """Return what does the requests of a name: the method ``_do_NAME``; None: nothing.

        Its arguments without a default are taken from the request, if each has just the type that
        is annotated; ``turn`` is one only where it replies. What it raises is told the page.
        """
        act: Callable[..., object] | None = getattr(self, f"_do_{name}", None)
        return act

    def on_close(self) -> None:
        """Give back what was opened."""

    # ------------------------------------------------------------------- from the page

    def _on_request(self, _widget: Any, content: Any, _buffers: Any) -> None:
        if not isinstance(content, dict) or self._is_closed:
            return
        turn = content.get("turn")
        turn = turn if isinstance(turn, str) and len(turn) <= LONGEST_TURN else ""
        if (job := self.job(content, turn)) is not None:
            wanted = content["do"]
            only = f"{turn.partition('#')[0]} {wanted}" if wanted in self.overtaken else ""
            self._jobs.put(lambda: self._try(job, turn), only=only)

    def job(self, request: dict[str, Any], turn: str) -> Callable[[], object] | None:
        """Return what does a request; None where it is none."""
        act = self.act(str(request.get("do")))
        if act is None:
            return None
        values: dict[str, object] = {}
        for name, wanted in inspect.signature(act, eval_str=True).parameters.items():
            if name == "turn":
                values[name] = turn
            elif wanted.default is wanted.empty and wanted.kind is not wanted.VAR_KEYWORD:
                if name not in request or not _fits(request[name], wanted.annotation):
                    return None
                values[name] = request[name]
        return functools.partial(act, **values)

    def _try(self, job: Callable[[], object], turn: str) -> None:
        try:
            job()
        except LLMNBError as error:
            self.reply(turn, "fault", text=visible(single_line(str(error))))
        except Exception as error:  # the page must learn of a fault of ours, too
            logger.exception("%s could not do it; please report this", type(self).__name__)
            self.reply(turn, "fault", text=f"This could not be done ({type(error).__name__}).")
        else:
            self.reply(turn, "done")

    # --------------------------------------------------------------------- to the page

    def reply(self, turn: str, kind: str, **more: Any) -> None:
        """Tell the page that asked."""
        self.tell(kind, turn=turn, **more)

    def tell(self, kind: str, **more: Any) -> None:
        """Tell every page."""
        if not self._is_closed:
            self.send({"kind": kind, **more})

    # ---------------------------------------------------------------------- on display

    def renew(self) -> None:
        """Put the static form anew, for whoever saves the notebook now."""
        if not self._is_closed:
            super().renew()

    def end(self) -> bool:
        """Take no more requests and give back what was opened; False where that was done before."""
        with self._closing:
            if self._is_closed:
                return False
            self._is_closed = True
        self.on_close()
        return True

    def close(self) -> None:
        """Close the widget; its static form stands where it was shown."""
        if self._is_closed:
            return
        static = self.static()
        if not self.end():
            return
        for output in self._outputs:
            output.finish(static, is_live=False)
        super().close()


class FollowingSurface(RequestSurface):
    """The widget of an object that can be used in code as well: it follows what is done there.

    A subclass says what its pages are told of a change (`publish`), a few times a second at most.

    Args:
        shown: The object.
        snapshot: What pages show at first.
    """

    def __init__(self, shown: Followed, *, snapshot: dict[str, Any]) -> None:
        self._shown = shown
        self._news = JobQueue()
        self._ended = threading.Event()
        super().__init__(snapshot=snapshot)
        self._end_listening = shown.listen(self._on_change)

    def publish(self) -> None:
        """Tell the pages how the object is now."""
        raise NotImplementedError

    def _on_change(self) -> None:
        self._news.put(self._publish, only="publish")

    def _publish(self) -> None:
        if not self._is_closed:
            self.publish()
            self._ended.wait(DRAW_SECONDS)

    def static(self) -> Bundle:
        """Return the object's own HTML and text: what stands where no widget shows."""
        return page_of(self._shown)

    def on_close(self) -> None:
        """Follow the object no more."""
        self._ended.set()
        self._end_listening()


def _fits(value: object, annotation: Any) -> bool:
    """Whether a value has just the type that an annotation names, or is one of its literals."""
    kind, parts = get_origin(annotation), get_args(annotation)
    if kind in (Union, UnionType):
        return any(_fits(value, part) for part in parts)
    if kind is Literal:
        return any(type(value) is type(part) and value == part for part in parts)
    return type(value) is (kind or annotation)
