"""Single requests at a vLLM engine: each joins in the midst of the others' answers.

One thread steps the engine for as long as there is anything to write. What arrives
meanwhile is taken in between two steps, so that requests that come one by one are
written together as a batch would be. A batch that waits for its turn gets it as soon
as what has been taken in is written.
"""

from __future__ import annotations

import itertools
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from llmnb.adapters.vllm_engine import Engine

YIELD_SECONDS = 0.001
"""How long single requests stand back before they look whether a batch has had its turn."""

Listener = Callable[[Any], None]
"""Called on the stepping thread with each output of vLLM's, or with the exception instead."""


@dataclass(slots=True, eq=False)
class _Asked:
    name: str
    prompt: list[int]
    sampling: Any
    listener: Listener


class Stepper:
    """Feeds an engine with single requests.

    Args:
        engine: Where they are written.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._numbers = itertools.count()
        self._news = threading.Condition()
        self._asked: deque[_Asked] = deque()
        self._dropped: deque[str] = deque()
        self._flying: dict[str, Listener] = {}
        self._thread: threading.Thread | None = None

    def submit(self, prompt: list[int], sampling: Any, listener: Listener) -> str:
        """Ask for one answer; returns the request's name."""
        name = f"llmnb-{next(self._numbers)}"
        with self._news:
            self._asked.append(_Asked(name, prompt, sampling, listener))
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._work, name="llmnb-vllm", daemon=True)
                self._thread.start()
            self._news.notify()
        return name

    def drop(self, name: str) -> None:
        """Have a request end where it is; its listener hears no more."""
        with self._news:
            self._dropped.append(name)
            self._news.notify()

    def _work(self) -> None:
        while True:
            with self._news:
                while not self._asked and not self._dropped:
                    self._news.wait()
            while self._engine.is_wanted_whole:
                time.sleep(YIELD_SECONDS)
            with self._engine.turn:
                self._write_all()

    def _write_all(self) -> None:
        """Step until nothing is left, or until a batch wants the engine for itself."""
        core = self._engine.core
        while True:
            self._take_back(core)
            if not self._engine.is_wanted_whole:
                self._take_in(core)
            if not self._flying:
                return
            try:
                outputs = core.step()
            except Exception as error:
                # The engine is broken: everybody who waits for it is told.
                listeners, self._flying = self._flying, {}
                for listener in listeners.values():
                    listener(error)
                return
            for output in outputs:
                self._hand_over(output)

    def _take_in(self, core: Any) -> None:
        with self._news:
            asked = list(self._asked)
            self._asked.clear()
        for one in asked:
            try:
                core.add_request(one.name, self._engine.prompt(one.prompt), one.sampling)
            except Exception as error:  # told to the one whose request it is
                one.listener(error)
            else:
                self._flying[one.name] = one.listener

    def _take_back(self, core: Any) -> None:
        with self._news:
            dropped = set(self._dropped)
            self._dropped.clear()
            for one in [one for one in self._asked if one.name in dropped]:
                self._asked.remove(one)
        for name in dropped & self._flying.keys():
            del self._flying[name]
            core.abort_request([name])

    def _hand_over(self, output: Any) -> None:
        listener = self._flying.get(output.request_id)
        if listener is None:
            return
        if output.finished:
            del self._flying[output.request_id]
        listener(output)


_steppers: weakref.WeakKeyDictionary[Engine, Stepper] = weakref.WeakKeyDictionary()
_making = threading.Lock()


def stepper_of(engine: Engine) -> Stepper:
    """Return an engine's one stepper: two would not write together."""
    with _making:
        found = _steppers.get(engine)
        if found is None:
            found = _steppers[engine] = Stepper(engine)
        return found
