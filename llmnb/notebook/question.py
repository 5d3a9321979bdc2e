"""One prompt on its way to one answer, on show while it comes."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from llmnb import bridge
from llmnb.engine.run import Run
from llmnb.errors import LLMNBError
from llmnb.notebook import forms
from llmnb.notebook.answer import Answer
from llmnb.notebook.forms import Form, Table
from llmnb.notebook.live import LiveText, NoText
from llmnb.progress import Interrupts
from llmnb.records import Outcome
from llmnb.running.asking import Asking, Model
from llmnb.running.start import start
from llmnb.schemas import Output
from llmnb.targets.resolve import choose


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is asked, whom, and in which form the answer is wanted."""

    prompt: str
    system: str = ""
    model: Model | list[Model] | None = None
    """One, or several in the order of fallback; None: the configured one, else one is chosen."""

    project_name: str | None = None
    form: Form = "markdown"
    output: Output | None = None
    use_cache: bool = True
    budget_usd: float | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    """Limits and patience, as `llmnb.running.start.start` takes them."""

    params: Mapping[str, Any] = field(default_factory=dict)
    """Fields of the request, such as ``max_tokens``."""


_announced: set[str] = set()


def announce(model: Model | list[Model] | None) -> None:
    """Say once in this kernel who is asked, where nobody named a model."""
    words = None if model else choose().announcement
    if words and words not in _announced:
        _announced.add(words)
        print(words, file=sys.stderr)


def ask(question: Question, live: LiveText) -> Answer:
    """Block for the answer; show it while it comes.

    An interrupt stops the wait. What is in flight goes to the store, so that the
    cell run again finds it there.

    Args:
        question: What is asked.
        live: What shows the answer as it comes.

    Raises:
        LLMNBError: What it failed with, once retries are used up.
        KeyboardInterrupt: If the person interrupts.
    """
    announce(question.model)
    run = _start(question, live)
    with Interrupts(run) as interrupts:
        interrupts.wait(live.draw, bridge.SLICE_SECONDS / 2)
    (outcome,) = run.result()
    if interrupts.count and not outcome.is_answer:
        raise KeyboardInterrupt("Stopped: run the cell again to ask anew.")
    return _answer(question, outcome)


def _start(question: Question, live: LiveText) -> Run:
    system = forms.system_message(question.system, question.form)
    messages = [{"role": "user", "content": question.prompt}]
    if system:
        messages.insert(0, {"role": "system", "content": system})
    return start(
        [{"messages": messages}],
        Asking(model=question.model, output=question.output, params=question.params),
        project_name=question.project_name,
        use_cache=question.use_cache,
        budget_usd=question.budget_usd,
        on_delta=None if isinstance(live, NoText) else live.take,
        **question.options,
    )


def _answer(question: Question, outcome: Outcome) -> Answer:
    if outcome.error is not None:
        raise outcome.error
    text = outcome.text
    if text is None:
        raise LLMNBError("The row has neither an answer nor an error; please report this.")
    if question.output is not None:
        return Answer(outcome, "json", outcome.value)
    value = forms.read(text, question.form)
    if isinstance(value, Table):
        from llmnb.frames.text_table import frame_of

        value = frame_of(value.columns, value.rows)
    return Answer(outcome, question.form, value)
