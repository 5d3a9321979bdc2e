"""One thing to do with a table, made up of its questions, who is asked, and the form of answers."""

from __future__ import annotations

import asyncio
import dataclasses
import functools
import itertools
import logging
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any

from llmnb import bridge, progress
from llmnb.engine.handle import RunHandle
from llmnb.frames import placing
from llmnb.frames.answers import Form, Outcomes
from llmnb.frames.images import MOST_IN_HAND
from llmnb.frames.options import Options
from llmnb.frames.pandas_source import source_of
from llmnb.frames.questions import Questions
from llmnb.frames.run import TableRun
from llmnb.frames.table_source import PreparedVerb, Source
from llmnb.records import Outcome
from llmnb.running.asking import Asking
from llmnb.running.planning import Plan, plan
from llmnb.running.start import start
from llmnb.schemas import Output, output_of
from llmnb.targets.resolve import choose
from llmnb.wire.batches import PRICE_FACTOR

logger = logging.getLogger("llmnb")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Job(PreparedVerb):
    """A run that can be started, or only planned."""

    questions: Questions
    asking: Asking
    options: Options
    shape: Callable[[Outcomes], Any]
    """Makes of outcomes what the caller gets back."""

    def start(self, *, cache_dir: str | None = None) -> TableRun[Any]:
        """Start it and return at once.

        Args:
            cache_dir: Folder of all projects, where it is not this process's own.

        Raises:
            ConfigurationError: Before anything is sent.
        """
        _announce(self.asking)
        if self.options.mode == "batch":
            from llmnb.batches.start import start_batch

            run: RunHandle[list[Outcome]] = start_batch(
                self.questions, self.asking, **self.options.given_to("batch")
            )
        else:
            run = start(
                self.questions,
                self.asking,
                # Pictures are large: no more of them are in memory than are on their way.
                window=MOST_IN_HAND if self.questions.has_pictures else None,
                cache_dir=cache_dir,
                **self.options.given_to("start"),
            )
        return TableRun(run, self.questions, self.shape, on_error=self.options.on_error)

    def finish(self) -> Any:
        """Block until it is done, showing how far it is, and return what it gives.

        An interrupt stops it: in IPython the partial result comes back, in a script the
        interrupt is raised again once the answers are safe.
        """
        run = self.start()
        progress.attend(run, bars=self.options.progress)
        return run.result()

    async def afinish(self) -> Any:
        """Await what `finish` returns, on the caller's loop."""
        run = await bridge.begun(self.start, lambda late: late.stop())
        await progress.aattend(run, bars=self.options.progress)
        return run.told(await asyncio.to_thread(run.partial))

    def plan(self, *, cache_dir: str | None = None) -> Plan:
        """Reckon what it would take; nothing is sent.

        Args:
            cache_dir: Folder of all projects, where it is not this process's own.
        """
        empty = self.questions.rows - len(self.questions.positions)
        found = plan(
            itertools.chain(self.questions, itertools.repeat(None, empty)),
            self.asking,
            cache_dir=cache_dir,
            **self.options.given_to("plan"),
        )
        if self.options.mode == "batch":
            found = _at_batch_price(found)
        return dataclasses.replace(
            found,
            rows=self.questions.rows,
            samples=self.questions.group,
            begin=self._begin,
        )

    def _begin(self, rows: int | None = None) -> TableRun[Any]:
        return self.start() if rows is None else self.first(rows).start()

    def first(self, rows: int) -> Job:
        """Return the same for the first so many rows that ask something."""
        questions = self.questions.first(rows)
        shape = self.shape
        form = getattr(shape, "__self__", None)
        if isinstance(form, Form):
            shape = dataclasses.replace(form, positions=questions.positions).table
        return dataclasses.replace(self, questions=questions, shape=shape)


def _at_batch_price(found: Plan) -> Plan:
    """Return a plan at the price of batches; how long one takes is the provider's to say."""
    low, high = found.usd_low, found.usd_high
    return dataclasses.replace(
        found,
        usd_low=None if low is None else low * PRICE_FACTOR,
        usd_high=None if high is None else high * PRICE_FACTOR,
        max_requests_per_minute=None,
        max_tokens_per_minute=None,
    )


def job(
    table: Source,
    prompt: Hashable | None,
    options: Options,
    *,
    labels: Sequence[Any] | None = None,
    call: Callable[[], str] | None = None,
) -> Job:
    """Return what `generate` does with a table.

    Args:
        table: A frame, or a series whose values are what is asked about; or another library's.
        prompt: A column's name, or a text with names in braces.
        options: The keywords.
        labels: Categories of the answers, in order.
        call: Returns the call that replaces columns which are there already.

    Raises:
        InputError: If the prompt, an example or a column cannot be used, or a column that came
            with the table would be replaced; nothing was sent.
    """
    asked = questions(table, prompt, options)
    output = None if options.schema is None else output_of(options.schema)
    source = source_of(table)
    form = source.form(
        index=source.index,
        options=options,
        positions=asked.positions,
        output=output,
        labels=labels,
    )
    call = call or functools.partial(
        placing.call_text, "generate", (prompt,), {"into": options.into}
    )
    source.check_columns(form.names, into=options.into, overwrite=options.overwrite, call=call)
    return Job(
        questions=asked,
        asking=asking(options, output),
        options=options,
        shape=form.table,
    )


def questions(
    table: Source,
    prompt: Hashable | None,
    options: Options,
    ways: Sequence[Mapping[str, Any]] = ({},),
) -> Questions:
    """Return what is asked of a table."""
    return Questions(
        source_of(table).columns(),
        prompt,
        messages=options.messages,
        system=options.system,
        examples=options.examples,
        images=options.images,
        files_root=options.files_root,
        fetch_files=options.fetch_files,
        samples=options.n,
        ways=ways,
    )


def asking(options: Options, output: Output | None) -> Asking:
    """Return who is asked, and how."""
    return Asking(
        model=options.model,
        params=options.body,
        duplicates=options.duplicates,
        output=output,
    )


def _announce(asking: Asking) -> None:
    """Say who is asked where the person did not, once."""
    if asking.model is None and (words := choose(None).announcement):
        say_once(words)


@functools.lru_cache(maxsize=64)
def say_once(words: str) -> None:
    """Log a line that the person need not read twice."""
    logger.warning(words)
