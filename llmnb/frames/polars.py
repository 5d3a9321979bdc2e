"""Polars' frames, series, lazy frames and expressions with their `llm`.

Importing this file registers it; `import llmnb` does so as soon as Polars is imported.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from llmnb.frames.accessors import (
    AccessorRegistration,
    DataFrameLLM,
    LocalFrameAccessor,
    SeriesLLM,
    ValuesAccessor,
)
from llmnb.signatures import full_signature

if TYPE_CHECKING:
    from collections.abc import Hashable
    from typing import Unpack

    from llmnb.frames.keywords import GenerateOptions
    from llmnb.frames.polars_source import PolarsSource


def _source(table: pl.DataFrame | pl.Series) -> PolarsSource:
    from llmnb.frames.polars_source import PolarsSource  # registering does without it

    return PolarsSource(table)


class PolarsFrameLLM(DataFrameLLM):
    """Questions about the rows of a frame, as `DataFrameLLM` asks them of pandas'.

    Answers are columns of Polars, whose types are known beforehand: text, numbers, an `Enum`
    for labels, lists of simple values; what is deeper is JSON text.

    Args:
        frame: The frame; never changed.

    Example:
        >>> import polars as pl
        >>> frame = pl.DataFrame({"text": ["a", None]})
        >>> frame.llm.generate("Say {text}", model="sim/any").is_null().to_list()
        [False, True]
    """

    def __init__(self, frame: pl.DataFrame) -> None:
        super().__init__(_source(frame))


class PolarsSeriesLLM(SeriesLLM):
    """Questions about the values of a series; in a prompt ``{}`` is the value.

    Args:
        series: The series; never changed.

    Example:
        >>> import polars as pl
        >>> pl.Series(["a", None]).llm.generate("Say {}", model="sim/any").is_null().to_list()
        [False, True]
    """

    def __init__(self, series: pl.Series) -> None:
        super().__init__(_source(series))


class LazyFrameLLM(LocalFrameAccessor["pl.LazyFrame"]):
    """Questions about the rows of a lazy frame; what gives columns of answers is lazy itself.

    What is wrong with a prompt or an option is said at once; nothing is sent before the frame is
    collected, and nothing at all where the answers' columns are not among those collected. The
    answers of the whole frame are one run, within one budget and its limits.

    `plan`, `preview`, `start` and `agenerate` collect the columns that they need, and `compare`
    collects the frame.

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

    _verbs = "llmnb.frames.polars_asking"
    _to_frame = "collect() this one first"
    _shown = "generate, extract, classify, embed, plan, start, …"

    @full_signature
    async def agenerate(
        self, prompt: Hashable | None = None, **options: Unpack[GenerateOptions]
    ) -> pl.DataFrame:
        """Collect what is needed, and await the answers; works on any running loop.

        Args:
            prompt: As for `generate`.
            **options: As for `generate`.

        Example:
            answers = await lazy.llm.agenerate("Is this kind? {text}", model="sim/any")
        """
        from llmnb import bridge

        frame = await bridge.made_in_thread(lambda: self._do("collected", prompt, options))
        answers: pl.DataFrame = await frame.agenerate(prompt, **options)
        return answers


class ExprLLM(ValuesAccessor["pl.Expr"]):
    """Questions about the values of an expression, asked when its frame is collected.

    In a prompt ``{}`` is the value. Of several columns, ``pl.struct("a", "b").llm`` knows each
    by its name. The answers are called ``response``, or as ``into=`` says; several fields come
    back as a column of structs.

    Args:
        expr: The expression.

    Example:
        >>> import polars as pl
        >>> frame = pl.DataFrame({"text": ["a", None]})
        >>> asked = pl.col("text").llm.generate("Say {}", model="sim/any", into="said")
        >>> frame.with_columns(asked)["said"].is_null().to_list()
        [False, True]
    """

    _verbs = "llmnb.frames.polars_asking"
    _shown = "generate, extract, classify, embed"


REGISTRATION = AccessorRegistration(
    "Polars'",
    (
        (pl.DataFrame, pl.api.register_dataframe_namespace, PolarsFrameLLM),
        (pl.Series, pl.api.register_series_namespace, PolarsSeriesLLM),
        (pl.LazyFrame, pl.api.register_lazyframe_namespace, LazyFrameLLM),
        (pl.Expr, pl.api.register_expr_namespace, ExprLLM),
    ),
)
attach = REGISTRATION.attach

attach()
