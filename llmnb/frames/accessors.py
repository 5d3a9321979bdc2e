"""`df.llm` and `series.llm`: what can be asked of a table, one method each.

Only names and signatures stand here, so that registering them costs nothing;
what they do is in `llmnb.frames.verbs`, loaded when one is first called.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from llmnb.frames.awaited import AwaitedFrame, AwaitedSeries
from llmnb.frames.embedding import EmbeddingFrame, EmbeddingSeries

if TYPE_CHECKING:
    import os
    from collections.abc import Hashable, Sequence
    from typing import Unpack

    import pandas as pd

    from llmnb.frames.answers import Table
    from llmnb.frames.comparing import Comparison
    from llmnb.frames.options import (
        Example,
        ExtractOptions,
        GenerateOptions,
        OnError,
        PreviewOptions,
    )
    from llmnb.frames.run import TableRun
    from llmnb.frames.table_source import TableSource
    from llmnb.frames.verbs import Labels
    from llmnb.options import RequestParams
    from llmnb.progress import Bars
    from llmnb.rates import Rate
    from llmnb.records import Burst
    from llmnb.running.asking import Duplicates, Model
    from llmnb.running.planning import Plan


class DataFrameLLM(AwaitedFrame, EmbeddingFrame):
    """Questions about the rows of a frame.

    In a prompt the text between braces is the exact name of a column, spaces included;
    ``{{`` and ``}}`` are braces. Rows whose fields are all missing are not asked.

    Args:
        frame: The frame; never changed.

    Example:
        >>> import pandas as pd
        >>> from llmnb.frames.registration import register_accessor
        >>> register_accessor("llm")
        >>> df = pd.DataFrame({"text": ["a", None]})
        >>> df.llm.generate("Say {text}", model="sim/any").isna().tolist()
        [False, True]
    """

    def __init__(self, frame: pd.DataFrame | TableSource) -> None:
        self._frame = frame

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: generate, plan, preview, extract, classify, compare, …>"

    def generate(
        self,
        prompt: Hashable | None = None,
        *,
        model: Model | Sequence[Model] | None = None,
        into: Hashable | None = None,
        overwrite: bool = False,
        messages: Hashable | None = None,
        system: str | None = None,
        examples: Sequence[Example] | None = None,
        params: Any = None,
        schema: Any = None,
        images: Hashable | None = None,
        files_root: str | os.PathLike[str] | None = None,
        fetch_files: bool = False,
        n: int = 1,
        project_name: str | None = None,
        use_cache: bool = True,
        share: bool | str | list[str] = True,
        duplicates: Duplicates = "merge",
        details: bool = False,
        on_error: OnError = "null",
        max_requests_per_minute: Rate | None = None,
        max_tokens_per_minute: Rate | None = None,
        max_concurrent_requests: int | None = None,
        max_attempts: int = 3,
        max_wait: float | None = None,
        budget_usd: float | None = None,
        time_limit: float | None = None,
        hedge_after: float | Literal["p95"] | None = None,
        burst: Burst | None = None,
        good_finish: str | Sequence[str] = (),
        mode: str = "live",
        progress: Bars = "auto",
        **more: Unpack[RequestParams],
    ) -> Table:
        """Ask about every row and return the answers in their rows.

        n rows in; a Series of n out, same index, `<NA>` where a row failed.

        Args:
            prompt: A column's name, or a text with columns' names in braces; left out where
                `messages` is given.
            model: ``"provider/model"``, an `LLM`, or a list of them: the order of fallback;
                None: the configured one.
            into: Column for the answers: then a copy of the frame with it is returned.
            overwrite: Whether a column that came with the frame may be replaced. Columns that
                an earlier call wrote are written anew without it.
            messages: Column of whole conversations in place of a prompt: lists of mappings with
                role and content, or JSON text of them.
            system: A system message before every question; a template as `prompt` is.
            examples: Pairs of an input and its answer, shown before every question. An input
                that is a mapping fills the prompt's own fields.
            params: Fields of the request, such as ``{"temperature": 0, "max_tokens": 50}``.
            schema: Form of the answers: a pydantic model, a dataclass, a TypedDict, a type, a
                tuple of labels or a JSON schema. Typed columns come back, one for each field.
            images: Column of pictures: paths, addresses, bytes, or lists of them. A text names
                a file only below the working folder; a `pathlib.Path` may lie anywhere.
            files_root: Folder below which texts may name files, instead of the working folder.
            fetch_files: True has pictures on the web fetched here and sent along; else their
                addresses are passed on to providers that take them.
            n: Answers to every row; above 1 a cell holds the list of them.
            project_name: Project that keeps the answers; None: ``LLMNB_PROJECT``, else
                ``default``.
            use_cache: False asks anew what is kept; answers are kept all the same.
            share: Whether other projects' answers are used: True, False or the projects' names.
            duplicates: ``"merge"`` asks identical rows once, ``"sample"`` each for itself.
            details: True gives a frame: response, error, model, provider, finish_reason,
                prompt_tokens, completion_tokens, usd, seconds, first_token_seconds, attempts,
                hedged, cached, key.
            on_error: ``"null"``: failed rows are missing, with one warning; ``"column"``: their
                messages stand in a column more; ``"raise"``: an error when every row is done,
                which carries the partial result.
            max_requests_per_minute: A number, or a text such as ``"5 per second"``.
            max_tokens_per_minute: In the same forms.
            max_concurrent_requests: Requests in flight at once; None: found by trying.
            burst: ``"announced"``: what the provider says is left of its limits is spent at once;
                ``"smooth"``: at an even rate; None: that of `llmnb.configure`, else
                ``"announced"``. Limits that are given here are always smooth.
            max_attempts: Attempts for a row that were unsent or surely unbilled.
            max_wait: Seconds that a model may refuse without one success; None: that of
                `llmnb.configure`, else 600. A server that asks to wait for more than two
                minutes is waited for only where this covers it.
            budget_usd: Dollars that are not overshot beyond what is in flight.
            time_limit: Seconds for a row from its first dispatch.
            hedge_after: Seconds without a first token, or ``"p95"``, after which the next model
                is asked as well.
            good_finish: Finish reasons that are good though llmnb does not know them; answers
                that are kept under them are read again for nothing.
            mode: ``"live"`` asks now; ``"batch"`` through the provider's batch API: half the price,
                within a day.
            progress: Whether to show how far it is; ``"auto"``: on a terminal and in a notebook.
            **more: ``max_tokens``, ``temperature``, ``top_p``, ``top_k``, ``stop``,
                ``frequency_penalty``, ``presence_penalty``, ``seed``: the same as in `params`.

        Returns:
            A Series; a frame with `into`, `details`, ``on_error="column"``, or a schema with
            fields.

        Raises:
            InputError: If the prompt names what is no column; nothing was sent.
            ConfigurationError: If a model, key or option is wrong; nothing was sent.
            RowsFailed: With ``on_error="raise"``.
            KeyboardInterrupt: In scripts, once the answers so far are safe. In IPython the
                partial result is returned.
        """
        named = dict(locals())
        given = {name: named[name] for name in named.keys() - {"self", "prompt", "more"}} | more
        from llmnb.frames import verbs

        return verbs.generate(self._frame, prompt, given)

    def start(
        self, prompt: Hashable | None = None, **options: Unpack[GenerateOptions]
    ) -> TableRun[Table]:
        """Start `generate` in the background and return its run at once."""
        from llmnb.frames import verbs

        return verbs.start(self._frame, prompt, options)

    def plan(self, prompt: Hashable | None = None, **options: Unpack[GenerateOptions]) -> Plan:
        """Return rows, tokens, cost and time that `generate` would take; nothing is sent."""
        from llmnb.frames import verbs

        return verbs.plan(self._frame, prompt, options)

    def preview(
        self, prompt: Hashable, *, n: int = 3, **options: Unpack[PreviewOptions]
    ) -> pd.DataFrame:
        """Ask about the first rows and return their prompts beside the answers.

        The answers are kept, so that the whole run does not ask for them again.

        Args:
            prompt: As for `generate`.
            n: Rows.
            **options: As for `generate`.
        """
        from llmnb.frames import verbs

        return verbs.preview(self._frame, prompt, n, options)

    def extract(
        self, text_column: Hashable, schema: Any, **options: Unpack[ExtractOptions]
    ) -> Table:
        """Take from each text what a schema asks for, and return typed columns.

        Args:
            text_column: Column of the texts, or a prompt with names in braces.
            schema: A pydantic model, a dataclass, a TypedDict, a type or a JSON schema.
            **options: As for `generate`.
        """
        from llmnb.frames import verbs

        return verbs.extract(self._frame, text_column, schema, options)

    def classify(
        self, text_column: Hashable, labels: Labels, **options: Unpack[ExtractOptions]
    ) -> Table:
        """Give each text one of the labels, and return a categorical Series.

        Args:
            text_column: Column of the texts, or a prompt with names in braces.
            labels: A list of them, a mapping from each to what it means, or an `Enum`.
            **options: As for `generate`.
        """
        from llmnb.frames import verbs

        return verbs.classify(self._frame, text_column, labels, options)

    def compare(
        self, prompt: Hashable, models: Sequence[Model], **options: Unpack[PreviewOptions]
    ) -> Comparison:
        """Ask several models the same, and return their answers side by side.

        Args:
            prompt: As for `generate`.
            models: At least two.
            **options: As for `generate`, but for model, into, details and n.

        Returns:
            `answers`: a column for each model and how far they agree, disagreements first;
            `models`: cost and latency of each.
        """
        from llmnb.frames import verbs

        return verbs.compare(self._frame, prompt, models, options)


class SeriesLLM(AwaitedSeries, EmbeddingSeries):
    """Questions about the values of a series; in a prompt ``{}`` is the value.

    Args:
        series: The series; never changed.

    Example:
        >>> import pandas as pd
        >>> from llmnb.frames.registration import register_accessor
        >>> register_accessor("llm")
        >>> pd.Series(["a", None]).llm.generate("Say {}", model="sim/any").isna().tolist()
        [False, True]
    """

    def __init__(self, series: pd.Series[Any] | TableSource) -> None:
        self._series = series

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: generate, plan, preview, extract, classify, compare, …>"

    def generate(self, prompt: str = "{}", **options: Unpack[GenerateOptions]) -> Table:
        """Ask about every value and return the answers in their rows.

        n values in; a Series of n out, same index, `<NA>` where one failed.

        Args:
            prompt: Text in which ``{}``, or the series' name in braces, is the value; left out,
                the values are the prompts.
            **options: As for `DataFrameLLM.generate`.
        """
        from llmnb.frames import verbs

        return verbs.generate(self._series, prompt, options)

    def start(self, prompt: str = "{}", **options: Unpack[GenerateOptions]) -> TableRun[Table]:
        """Start `generate` in the background and return its run at once."""
        from llmnb.frames import verbs

        return verbs.start(self._series, prompt, options)

    def plan(self, prompt: str = "{}", **options: Unpack[GenerateOptions]) -> Plan:
        """Return rows, tokens, cost and time that `generate` would take; nothing is sent."""
        from llmnb.frames import verbs

        return verbs.plan(self._series, prompt, options)

    def preview(
        self, prompt: str = "{}", *, n: int = 3, **options: Unpack[PreviewOptions]
    ) -> pd.DataFrame:
        """Ask about the first values and return their prompts beside the answers.

        Args:
            prompt: As for `generate`.
            n: Rows.
            **options: As for `generate`.
        """
        from llmnb.frames import verbs

        return verbs.preview(self._series, prompt, n, options)

    def extract(self, schema: Any, **options: Unpack[ExtractOptions]) -> Table:
        """Take from each text what a schema asks for, and return typed columns.

        Args:
            schema: A pydantic model, a dataclass, a TypedDict, a type or a JSON schema.
            **options: As for `generate`.
        """
        from llmnb.frames import verbs

        return verbs.extract(self._series, "{}", schema, options)

    def classify(self, labels: Labels, **options: Unpack[ExtractOptions]) -> Table:
        """Give each text one of the labels, and return a categorical Series.

        Args:
            labels: A list of them, a mapping from each to what it means, or an `Enum`.
            **options: As for `generate`.
        """
        from llmnb.frames import verbs

        return verbs.classify(self._series, "{}", labels, options)

    def compare(
        self, prompt: str = "{}", *, models: Sequence[Model], **options: Unpack[PreviewOptions]
    ) -> Comparison:
        """Ask several models the same, and return their answers side by side.

        Args:
            prompt: As for `generate`.
            models: At least two.
            **options: As for `generate`, but for model, into, details and n.
        """
        from llmnb.frames import verbs

        return verbs.compare(self._series, prompt, models, options)
