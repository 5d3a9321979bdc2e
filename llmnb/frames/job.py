"""A job: the requests about a table, the models that are asked, and the form of the answers."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any

from llmnb.display.texts import cut
from llmnb.engine.handle import About, RunHandle
from llmnb.errors import ConfigurationError
from llmnb.frames.answers import AnswerForm
from llmnb.frames.failures import log_once
from llmnb.frames.images import MOST_IN_HAND
from llmnb.frames.options import Options
from llmnb.frames.overwriting import VerbCall
from llmnb.frames.pandas_source import source_of
from llmnb.frames.prepared import Outline, PreparedRun
from llmnb.frames.questions import Questions
from llmnb.frames.run import TableRun
from llmnb.frames.table_source import Source
from llmnb.frames.template import escaped, writable
from llmnb.frames.truth import truth_of
from llmnb.records import Outcome
from llmnb.running.asking import Asking
from llmnb.running.planning import Plan, plan
from llmnb.running.start import start
from llmnb.schemas import output_of, quoted
from llmnb.schemas.quotes import INSTRUCTIONS
from llmnb.store.run_index import RunHeader
from llmnb.targets.resolve import choose
from llmnb.user_code import warn
from llmnb.wire.batches import PRICE_FACTOR

_LONGEST_PROMPT = 20_000
"""Characters of a prompt's template that are written down of a run."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Job(PreparedRun):
    """A run that can be started, or only planned."""

    questions: Questions
    asking: Asking
    form: AnswerForm
    """Makes of outcomes what the caller gets back."""

    verb: str = "generate"
    """What was called; empty: a look at a few rows, of which nothing is written down."""

    @property
    def options(self) -> Options:
        """The options of the call."""
        return self.form.options

    @property
    def outline(self) -> Outline:
        """What a lazy table has to know of it."""
        return Outline(self.options.name, self.questions.fields, self.form.table([]))

    def about(self, positions: Sequence[int]) -> Job:
        """Return the same about some of the rows that ask something."""
        questions = self.questions.about(positions)
        form = dataclasses.replace(self.form, asked=questions)
        return dataclasses.replace(self, questions=questions, form=form)

    def start(self, *, cache_dir: str | None = None, allow_http: bool = False) -> TableRun[Any]:
        """Start it and return at once; see `PreparedRun.start`."""
        asking = dataclasses.replace(self.asking, allow_http=allow_http)
        if asking.model is None and (announcement := choose(None).announcement):
            log_once(announcement)
        if self.options.mode == "batch":
            from llmnb.batches.records import write_table
            from llmnb.batches.start import start_batch

            batch = start_batch(self.questions, asking, **self.options.for_door("batch"))
            header = self._header()
            if batch.run_id and header.form:
                write_table(batch.folder, header, self.questions.positions)
            run: RunHandle[list[Outcome]] = batch
        else:
            run = start(
                self.questions,
                asking,
                # Pictures are large: no more of them are in memory than are on their way.
                window=MOST_IN_HAND if self.questions.has_pictures else None,
                cache_dir=cache_dir,
                # A part of a run elsewhere is not listed as a run of its own.
                header=self._header() if self.verb and cache_dir is None else None,
                row_of=None if self.questions.asks_each_row else self.questions.row_of,
                **self.options.for_door("start"),
            )
        questions, options = self.questions, self.options
        about = About(
            traits={**self._traits(), "project": run.project},
            empty=questions.empty,
            shows_answers=options.progress is not False,
        )
        return TableRun(run, self.form, about=about)

    def _header(self) -> RunHeader:
        """Return what is written down of the run before its first row."""
        questions = self.questions
        return RunHeader(
            verb=self.verb,
            prompt=cut(questions.prompt, _LONGEST_PROMPT),
            column=str(self.options.name),
            rows=questions.rows,
            group=questions.group,
            form=self.form.recipe(),
            traits=self._traits(),
            empty=questions.empty,
        )

    def _traits(self) -> dict[str, str]:
        """Return what may tell this run from others of the same cell, in words."""
        options = self.options
        models = options.model if isinstance(options.model, list | tuple) else [options.model]
        traits = {"model": ", ".join([str(getattr(model, "model", model)) for model in models])}
        for name, value in options.params.items():
            traits[name] = f"{value:g}" if isinstance(value, float) else str(value)
        if options.system:
            traits["system"] = str(options.system)
        return {**traits, "prompt": self.questions.prompt}

    def table_of(self, run: TableRun[Any]) -> Any:
        """Return the table as far as the run has come."""
        return run.partial()

    def report(self, run: TableRun[Any], table: Any) -> None:
        """Warn of the rows that failed, or raise."""
        run.reported(table)

    def plan(self, *, cache_dir: str | None = None) -> Plan:
        """Estimate what it would take and cost; nothing is sent.

        Args:
            cache_dir: Folder of all projects, where it is not this process's own.
        """
        questions, options = self.questions, self.options.for_door("plan")
        rows = itertools.chain(questions, itertools.repeat(None, questions.empty))
        whole = plan(rows, self.asking, cache_dir=cache_dir, **options)
        if self.options.mode == "batch":
            whole = _at_batch_price(whole)
        return dataclasses.replace(
            whole, rows=questions.rows, samples=questions.group, begin=self._begin
        )

    def _begin(self, rows: int | None = None) -> TableRun[Any]:
        """Start it, or the same for the first so many rows that ask something."""
        return (self if rows is None else self.about(self.questions.positions[:rows])).start()


def _at_batch_price(live: Plan) -> Plan:
    """Return a plan at the price of batches; how long one takes is the provider's to say."""
    low, high = live.usd_low, live.usd_high
    return dataclasses.replace(
        live,
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
    labelled: Mapping[int, Any] | None = None,
    call: VerbCall | None = None,
    kind: Callable[..., AnswerForm] = AnswerForm,
    variants: Sequence[Mapping[str, Any]] = ({},),
    prompts: Sequence[Hashable] = (),
) -> Job:
    """Return what `generate` does with a table.

    Args:
        table: A frame, or a series whose values are what is asked about; or another library's.
        prompt: A column's name, or a text with names in braces.
        options: The keywords.
        labels: Categories of the answers, in order.
        labelled: Answers by the rows that they are known of: these are examples to all others.
        call: What the caller asked for.
        kind: Makes the form of the answers.
        variants: Fields that tell several requests for one row apart, such as their model.
        prompts: The prompt of each variant, where they are asked in different words.

    Raises:
        InputError: If the prompt, an example or a column cannot be used, or a column that came
            with the table would be replaced; nothing was sent.
    """
    source = source_of(table)
    output = None if options.schema is None else output_of(options.schema)
    if options.quotes:
        if output is None:
            raise ConfigurationError(
                "quotes=True goes with a schema, for each of whose fields it asks for the words "
                "of the text. Nothing was sent."
            )
        output = quoted(output)
        system = with_instructions(options.system, INSTRUCTIONS)
        options = dataclasses.replace(options, system=system)
    columns = source.columns()
    if not isinstance(options.examples, list | tuple | None):
        if isinstance(options.examples, str):
            columns.cells(options.examples)  # so that lazy tables know what is read
        if source.rows:
            shown = truth_of(source, options.examples, "examples").labels
            labelled = {row: label for row, label in enumerate(shown) if label is not None}
        options = dataclasses.replace(options, examples=None)
    questions = Questions(
        columns, prompt, options, variants=variants, prompts=prompts, labelled=labelled
    )
    if questions.is_constant and questions.rows > 1:
        names = ", ".join(f"{{{name}}}" for name in writable(columns.names)) or "none"
        warn(
            "The prompt names no column, so every row asks the same. A column stands in braces; "
            f"there is: {cut(names, 600)}."
        )
    form = kind(
        # The answers go into the table as it was when they were asked for.
        source=source if options.into is None else source.snapshot(),
        options=options,
        asked=questions,
        output=output,
        labels=labels,
    )
    call = call or VerbCall("generate", (prompt,), {"into": options.into})
    source.check_columns(form.names, into=options.into, overwrite=options.overwrite, call=call)
    asking = Asking(
        model=options.model, params=options.params, duplicates=options.duplicates, output=output
    )
    return Job(questions=questions, asking=asking, form=form, verb=call.verb)


def with_instructions(system: str | None, instructions: str) -> str:
    """Return a system message with instructions of ours after the caller's."""
    return f"{system}\n\n{escaped(instructions)}" if system else escaped(instructions)
