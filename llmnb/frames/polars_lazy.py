"""`llm` of Polars' lazy frames and expressions: asked when the frame is collected.

Only names and signatures stand here; what they do is in `llmnb.frames.polars_asking`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Unpack

    import polars as pl

    from llmnb.frames.options import ExtractOptions, GenerateOptions, PreviewOptions
    from llmnb.frames.run import TableRun
    from llmnb.frames.vectors import EmbedOptions
    from llmnb.frames.verbs import Labels
    from llmnb.running.asking import Model
    from llmnb.running.planning import Plan


class LazyFrameLLM:
    """Questions about the rows of a lazy frame; each method but the last few is lazy itself.

    What is wrong with a prompt or an option is said at once; nothing is sent before the frame is
    collected, and nothing at all where the answers' columns are not among those collected. The
    answers of the whole frame are one run, within one budget and its limits.

    Args:
        frame: The lazy frame.

    Example:
        >>> import polars as pl
        >>> lazy = pl.LazyFrame({"text": ["a", None]}).llm.generate(
        ...     "Say {text}", into="said", model="sim/any"
        ... )
        >>> lazy.collect()["said"].is_null().to_list()
        [False, True]
    """

    def __init__(self, frame: pl.LazyFrame) -> None:
        self._frame = frame

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: generate, extract, classify, embed, plan, start, …>"

    def generate(
        self, prompt: str | None = None, **options: Unpack[GenerateOptions]
    ) -> pl.LazyFrame:
        """Return a lazy frame of the answers, or with ``into=`` this one with them.

        Args:
            prompt: A column's name, or a text with columns' names in braces.
            **options: As for `DataFrameLLM.generate`.

        Raises:
            InputError: If the prompt names what is no column; nothing was sent.
            ConfigurationError: If an option is wrong; nothing was sent.
        """
        from llmnb.frames import polars_asking

        return polars_asking.generated(self._frame, prompt, options)

    def extract(
        self, text_column: str, schema: Any, **options: Unpack[ExtractOptions]
    ) -> pl.LazyFrame:
        """Return typed columns of what a schema asks for.

        Args:
            text_column: Column of the texts, or a prompt with names in braces.
            schema: A pydantic model, a dataclass, a TypedDict, a type or a JSON schema.
            **options: As for `generate`.
        """
        from llmnb.frames import polars_asking

        return polars_asking.extracted(self._frame, text_column, schema, options)

    def classify(
        self, text_column: str, labels: Labels, **options: Unpack[ExtractOptions]
    ) -> pl.LazyFrame:
        """Return one of the labels for each text.

        Args:
            text_column: Column of the texts, or a prompt with names in braces.
            labels: A list of them, a mapping from each to what it means, or an `Enum`.
            **options: As for `generate`.
        """
        from llmnb.frames import polars_asking

        return polars_asking.classified(self._frame, text_column, labels, options)

    def embed(
        self, column: str, *, into: str | None = None, **options: Unpack[EmbedOptions]
    ) -> pl.LazyFrame:
        """Return a vector for each text: a list of `Float32`.

        Args:
            column: Column of the texts.
            into: Column for the vectors.
            **options: As for `DataFrameLLM.embed`.
        """
        from llmnb.frames import polars_asking

        return polars_asking.embedded(self._frame, column, into, options)

    def plan(self, prompt: str | None = None, **options: Unpack[GenerateOptions]) -> Plan:
        """Collect the columns that the prompt needs, and reckon; nothing is sent."""
        from llmnb.frames import polars_asking

        return polars_asking.collected(self._frame, prompt, options).plan(prompt, **options)

    def preview(
        self, prompt: str, *, n: int = 3, **options: Unpack[PreviewOptions]
    ) -> pl.DataFrame:
        """Collect the columns that the prompt needs, and ask about the first rows."""
        from llmnb.frames import polars_asking

        frame = polars_asking.collected(self._frame, prompt, options)
        shown: Any = frame.preview(prompt, n=n, **options)
        return shown  # type: ignore[no-any-return]

    def compare(
        self, prompt: str, models: Sequence[Model], **options: Unpack[PreviewOptions]
    ) -> Any:
        """Collect the columns that the prompt needs, and ask several models the same."""
        from llmnb.frames import polars_asking

        frame = polars_asking.collected(self._frame, prompt, options)
        return frame.compare(prompt, models, **options)

    def start(self, prompt: str | None = None, **options: Unpack[GenerateOptions]) -> TableRun[Any]:
        """Collect what is needed, and start `generate` in the background."""
        from llmnb.frames import polars_asking

        return polars_asking.collected(self._frame, prompt, options).start(prompt, **options)

    async def agenerate(
        self, prompt: str | None = None, **options: Unpack[GenerateOptions]
    ) -> pl.DataFrame:
        """Collect what is needed, and await the answers; works on any running loop."""
        from llmnb import bridge

        def collected() -> Any:
            from llmnb.frames import polars_asking

            return polars_asking.collected(self._frame, prompt, options)

        frame = await bridge.begun(collected)
        found: Any = await frame.agenerate(prompt, **options)
        return found  # type: ignore[no-any-return]


class ExprLLM:
    """Questions about the values of an expression, asked when its frame is collected.

    In a prompt ``{}`` is the value. Of several columns, ``pl.struct("a", "b").llm`` knows each
    by its name. The answers are called ``response``, or as ``into=`` says; several fields come
    back as one column of structs.

    Args:
        expr: The expression.

    Example:
        >>> import polars as pl
        >>> frame = pl.DataFrame({"text": ["a", None]})
        >>> asked = pl.col("text").llm.generate("Say {}", model="sim/any", into="said")
        >>> frame.with_columns(asked)["said"].is_null().to_list()
        [False, True]
    """

    def __init__(self, expr: pl.Expr) -> None:
        self._expr = expr

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: generate, extract, classify, embed>"

    def generate(self, prompt: str = "{}", **options: Unpack[GenerateOptions]) -> pl.Expr:
        """Return the answers.

        Args:
            prompt: Text in which ``{}`` is the value, or the names of a struct's fields in braces.
            **options: As for `DataFrameLLM.generate`.

        Raises:
            ConfigurationError: If an option is wrong; nothing was sent.
        """
        from llmnb.frames import polars_asking

        return polars_asking.generate(self._expr, prompt, options)

    def extract(self, schema: Any, **options: Unpack[ExtractOptions]) -> pl.Expr:
        """Return what a schema asks for: a column of structs, or of single values.

        Args:
            schema: A pydantic model, a dataclass, a TypedDict, a type or a JSON schema.
            **options: As for `generate`.
        """
        from llmnb.frames import polars_asking

        return polars_asking.extract(self._expr, schema, options)

    def classify(self, labels: Labels, **options: Unpack[ExtractOptions]) -> pl.Expr:
        """Return one of the labels for each value.

        Args:
            labels: A list of them, a mapping from each to what it means, or an `Enum`.
            **options: As for `generate`.
        """
        from llmnb.frames import polars_asking

        return polars_asking.classify(self._expr, labels, options)

    def embed(self, *, into: str | None = None, **options: Unpack[EmbedOptions]) -> pl.Expr:
        """Return a vector for each value: a list of `Float32`.

        Args:
            into: What the column is called; None: ``embedding``.
            **options: As for `DataFrameLLM.embed`.
        """
        from llmnb.frames import polars_asking

        return polars_asking.embed(self._expr, into, options)
