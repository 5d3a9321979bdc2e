"""The methods of `llm` on the tables of every library, each declared once.

Only names and signatures stand here, so that registering them costs little. What they do is in
the module that the accessor's class names (`_verbs`), loaded when a method is first called.
"""

from __future__ import annotations

import copy
import dataclasses
import functools
import importlib
import inspect
import re
import sys
from typing import (
    TYPE_CHECKING,
    Any,
    ClassVar,
    Concatenate,
    Generic,
    Literal,
    ParamSpec,
    TypeVar,
    cast,
)

from llmnb.display.escape import summary
from llmnb.display.html_fragments import box, facts, headline, line
from llmnb.display.palette import FAINT
from llmnb.display.texts import counted, cut, near_names
from llmnb.errors import ConfigurationError
from llmnb.signatures import full_signature, readable_signatures
from llmnb.user_code import warn

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Hashable, Mapping, Sequence
    from typing import Unpack

    import pandas as pd

    from llmnb.embeddings.model import EmbeddingModel
    from llmnb.frames.answers import Table
    from llmnb.frames.comparing import Comparison
    from llmnb.frames.exploring import Explorer
    from llmnb.frames.keywords import (
        CompareOptions,
        EmbedOptions,
        ExtractOptions,
        GenerateOptions,
        JudgeOptions,
        NearestOptions,
        PreviewOptions,
    )
    from llmnb.frames.labelling import Labeller
    from llmnb.frames.run import TableRun
    from llmnb.frames.scoring import Score
    from llmnb.frames.sharing import Shares
    from llmnb.frames.table_source import TableSource
    from llmnb.frames.verbs import Labels
    from llmnb.frames.workbench import Workbench
    from llmnb.running.asking import Model
    from llmnb.running.planning import Plan

T = TypeVar("T")
P = ParamSpec("P")
A = TypeVar("A", bound="Accessor")
Answers = TypeVar("Answers")
"""What a library gives for the answers: a column, a table, or a table that is still to be made."""


_COLUMNS_SHOWN = 20
"""Columns that the page of an accessor names."""


class Accessor:
    """One table, whose methods are done by the verbs of its library.

    Args:
        table: The table; never changed.
    """

    _verbs: ClassVar[str]
    """The module with a function for each verb: of the table, then of the verb's arguments."""

    _shown: ClassVar[str] = "generate, extract, classify, embed, plan, preview"

    _to_frame: ClassVar[str] = "make it a frame first"
    """How a person gets a frame that has every verb."""

    _is_preparing = False
    """Whether verbs are only prepared, to be awaited."""

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        readable_signatures(cls)

    def __init__(self, table: Any) -> None:
        self._table = table

    def _rows(self) -> int | None:
        """Return the number of rows; None where counting them would compute something."""
        return None

    def _columns(self) -> list[Any]:
        """Return the columns that a prompt may name; none where that would compute something."""
        return []

    def __repr__(self) -> str:
        rows = self._rows()
        size = "" if rows is None else f"of {counted(rows, 'row')}, "
        return summary(type(self).__name__, f"{size}with {self._shown}")

    def _repr_html_(self) -> str:
        from llmnb.frames.template import writable

        rows, columns = self._rows(), writable([str(name) for name in self._columns()])
        named = " ".join(cut(f"{{{name}}}", 40) for name in columns[:_COLUMNS_SHOWN])
        if len(columns) > _COLUMNS_SHOWN:
            named += f" and {len(columns) - _COLUMNS_SHOWN:,} more"
        kind = type(self)
        names = dict.fromkeys(name for base in reversed(kind.__mro__) for name in vars(base))
        verbs = [
            (name, (getattr(kind, name).__doc__ or "").partition("\n")[0].replace("`", ""))
            for name in names
            if not name.startswith("_") and name[1:] not in names
        ]
        return box(
            headline(".llm", "" if rows is None else counted(rows, "row")),
            line(f"In a prompt: {named}", "overflow-wrap:anywhere") if columns else "",
            facts(verbs),
            line("Shift-Tab behind a verb's bracket explains it.", f"margin-top:4px;{FAINT}"),
        )

    def __getattr__(self, name: str) -> Any:
        near = near_names(name, [verb for verb in dir(type(self)) if verb[0] != "_"])
        hint = f" Did you mean {near[0]}?" if near else f" It has {self._shown}."
        if name[:1] != "_" and hasattr(DataFrameLLM, name):
            hint = f" A frame in this process has it: {self._to_frame}."
        raise AttributeError(f".llm has no {name!r}.{hint}", name=name, obj=self)

    def _do(self, verb: str, *arguments: Any, **keywords: Any) -> Any:
        """Do a verb of the library, and block for what it prepares.

        Args:
            verb: Its function in `_verbs`; with a module's name before it, that module's.
            *arguments: What the function takes behind the table.
            **keywords: Likewise.
        """
        from llmnb.frames.prepared import PreparedVerb  # registering does without it

        module, _, function = verb.rpartition(".")
        home = importlib.import_module(f"llmnb.frames.{module}" if module else self._verbs)
        done = getattr(home, function)(self._table, *arguments, **keywords)
        if isinstance(done, PreparedVerb) and not self._is_preparing:
            return done.finish()
        return done


def awaited(
    method: Callable[Concatenate[A, P], T],
) -> Callable[Concatenate[A, P], Coroutine[Any, Any, T]]:
    """Return the awaited twin of a method: the same work, on whatever loop the caller runs.

    What takes its time beside the answers (imports, reading the table, opening the store,
    shaping what comes back) is done on a thread, so that the caller's loop goes on.
    """

    @functools.wraps(method)
    async def twin(self: A, /, *arguments: P.args, **options: P.kwargs) -> T:
        from llmnb import bridge

        preparing = copy.copy(self)
        vars(preparing).update(_table=_as_now(self._table), _is_preparing=True)
        verb: Any = await bridge.made_in_thread(lambda: method(preparing, *arguments, **options))
        answers: T = await verb.afinish()
        return answers

    name = method.__name__
    _, _, described = (inspect.getdoc(method) or "").partition("\n\n")
    arguments, _, example = described.partition("\n\nExample:\n")
    call = re.search(rf"(?:>>> |\.\.\. +)((?:\w+ = )?)(.*\.llm\.){name}(\(.*)", example)
    twin.__name__ = f"a{name}"
    twin.__qualname__ = f"{method.__qualname__.rpartition('.')[0]}.{twin.__name__}"
    twin.__doc__ = f"Await what `{name}` returns; works on any running loop.\n\n{arguments}"
    if call is not None:
        twin.__doc__ += f"\n\nExample:\n    {call[1]}await {call[2]}a{name}{call[3]}"
    return twin


def _as_now(table: Any) -> Any:
    """Return a table as it is now, whatever the caller's loop does to it meanwhile; no copy."""
    pandas = sys.modules.get("pandas")  # a table of pandas has imported it
    if pandas is not None and isinstance(table, pandas.DataFrame | pandas.Series):
        return table.copy(deep=False)
    return table


class WholeTable(Accessor):
    """A table in this process, of pandas or behind a `TableSource`."""

    _verbs = "llmnb.frames.verbs"
    _shown = "generate, plan, preview, extract, classify, compare, …"

    def _rows(self) -> int:
        return self._source().rows

    def _source(self) -> TableSource:
        from llmnb.frames.pandas_source import source_of  # registering does without it

        return source_of(self._table)


def _with(options: Any, **named: Any) -> dict[str, Any]:
    return {**{name: value for name, value in named.items() if value is not None}, **options}


# ------------------------------------------------------------------------------- frames


class FrameAccessor(Accessor, Generic[Answers]):
    """Questions about the rows of a frame, of whichever library."""

    @full_signature
    def generate(
        self, prompt: Hashable | None = None, **options: Unpack[GenerateOptions]
    ) -> Answers:
        """Ask about every row and return the answers in their rows.

        n rows in; a column of n out, missing where a row failed. A frame with `into`, `details`,
        ``on_error="column"``, or a schema with fields.

        Args:
            prompt: A column's name, or a text with columns' names in braces; left out where
                `messages` is given.
            **options: See `llmnb.options`.

        Raises:
            InputError: If the prompt names what is no column; nothing was sent.
            ConfigurationError: If a model, key or option is wrong; nothing was sent.
            RowsFailed: With ``on_error="raise"``.
            KeyboardInterrupt: In scripts, once the answers so far are safe. In IPython the
                partial result is returned.

        Example:
            >>> import llmnb
            >>> import pandas as pd
            >>> df = pd.DataFrame({"text": ["so good", None]})
            >>> answers = df.llm.generate("Is this kind? {text}", model="sim/any", max_tokens=5)
            >>> answers.isna().tolist()
            [False, True]
        """
        return cast("Answers", self._do("generate", prompt, options))

    @full_signature
    def extract(
        self, text_column: Hashable, schema: Any, **options: Unpack[ExtractOptions]
    ) -> Answers:
        """Take from each text what a schema asks for, and return typed columns.

        Args:
            text_column: Column of the texts, or a prompt with names in braces.
            schema: A pydantic model, a dataclass, a TypedDict, a type or a JSON schema.
            **options: As for `generate`.

        Example:
            >>> from typing import TypedDict
            >>> import llmnb
            >>> import pandas as pd
            >>> df = pd.DataFrame({"text": ["seven apples"]})
            >>> class Fruit(TypedDict):
            ...     name: str
            ...     count: int
            >>> from llmnb.testing import SimulatedProvider
            >>> with SimulatedProvider(reply='{"name": "apple", "count": 7}') as sim:
            ...     model = llmnb.LLM(sim.base_url, "key", "any")
            ...     fruit = df.llm.extract("text", Fruit, model=model)
            >>> fruit.to_dict("records")
            [{'name': 'apple', 'count': 7}]
        """
        return cast("Answers", self._do("extract", text_column, schema, options))

    @full_signature
    def classify(
        self, text_column: Hashable, labels: Labels, **options: Unpack[ExtractOptions]
    ) -> Answers:
        """Give each text one of the labels, and return a categorical column.

        Args:
            text_column: Column of the texts, or a prompt with names in braces.
            labels: A list of them, a mapping from each to what it means, or an `Enum`.
            **options: As for `generate`.

        Example:
            >>> import llmnb
            >>> import pandas as pd
            >>> df = pd.DataFrame({"text": ["so good"]})
            >>> from llmnb.testing import SimulatedProvider
            >>> with SimulatedProvider(reply="kind") as sim:
            ...     model = llmnb.LLM(sim.base_url, "key", "any")
            ...     moods = df.llm.classify("text", ["kind", "unkind"], model=model)
            >>> moods.tolist()
            ['kind']
        """
        return cast("Answers", self._do("classify", text_column, labels, options))

    @full_signature
    def embed(
        self,
        column: Hashable,
        *,
        model: Model | EmbeddingModel | None = None,
        into: Hashable | None = None,
        **options: Unpack[EmbedOptions],
    ) -> Any:
        """Return a vector for each row's text.

        n rows in; a column of n out: arrays of numpy's `float32` in pandas and Dask, lists of
        `Float32` in Polars, missing where the cell is missing or failed. Such a column can be
        written to Parquet. Texts are kept, so none is bought twice; empty ones get zeros.

        Args:
            column: The column's name.
            model: A name, an `LLM`, a `LocalModel` or an `EmbeddingModel`; None:
                ``LLMNB_EMBEDDING_MODEL``, else the configured provider's own.
            into: Column for the vectors: then a copy of the frame with it is returned.
            **options: See `llmnb.options`.

        Raises:
            InputError: If there is no such column; nothing was sent.
            ConfigurationError: If the model or an option cannot be used; nothing was sent.

        Example:
            >>> import pandas as pd
            >>> df = pd.DataFrame({"text": ["so good", None]})
            >>> vectors = df.llm.embed("text", model="sim/any", dimensions=64)
            >>> vectors[0].shape, vectors.isna().tolist()
            ((64,), [False, True])
        """
        return self._do("embed", column, _with(options, model=model, into=into))

    @full_signature
    def plan(self, prompt: Hashable | None = None, **options: Unpack[GenerateOptions]) -> Plan:
        """Return rows, tokens, cost and time that `generate` would take; nothing is sent.

        Of a lazy table the columns that the prompt needs are computed.

        Args:
            prompt: As for `generate`.
            **options: As for `generate`.

        Example:
            >>> import pandas as pd
            >>> df = pd.DataFrame({"text": ["so good", "so good", None]})
            >>> plan = df.llm.plan("Is this kind? {text}", model="sim/new")
            >>> plan.rows, plan.empty, plan.merged, plan.to_ask
            (3, 1, 1, 1)
        """
        return cast("Plan", self._do("plan", prompt, options))

    @full_signature
    def preview(
        self, prompt: Hashable, *, n: int = 3, **options: Unpack[PreviewOptions]
    ) -> pd.DataFrame:
        """Ask about the first rows and return their prompts beside the answers.

        The answers are kept, so that the whole run does not ask for them again.

        Args:
            prompt: As for `generate`.
            n: Rows.
            **options: As for `generate`.

        Example:
            >>> import pandas as pd
            >>> df = pd.DataFrame({"text": ["so good", "so bad"]})
            >>> rows = df.llm.preview("Is this kind? {text}", n=1, model="sim/any")
            >>> rows["prompt"].tolist()
            ['Is this kind? so good']
        """
        return cast("pd.DataFrame", self._do("preview", prompt, n, options))


class LocalFrameAccessor(FrameAccessor[Answers]):
    """Questions about the rows of a frame that this process has, or can have, as a whole."""

    @full_signature
    def start(
        self, prompt: Hashable | None = None, **options: Unpack[GenerateOptions]
    ) -> TableRun[Any]:
        """Start `generate` in the background and return its run at once.

        Args:
            prompt: As for `generate`.
            **options: As for `generate`.

        Example:
            >>> import pandas as pd
            >>> df = pd.DataFrame({"text": ["so good", None]})
            >>> run = df.llm.start("Is this kind? {text}", model="sim/any", max_tokens=5)
            >>> len(run.result(timeout=60))
            2
        """
        return cast("TableRun[Any]", self._do("start", prompt, options))

    @full_signature
    def compare(
        self,
        prompts: Hashable | Sequence[Hashable] | Mapping[str, Hashable],
        models: Model | Sequence[Model] | None = None,
        *,
        truth: Any = None,
        rows: Literal["labelled", "all"] = "labelled",
        params: Any = None,
        **options: Unpack[CompareOptions],
    ) -> Comparison:
        """Ask several prompts, models or settings the same, and return answers side by side.

        Every mixture of them has a column, named by what differs. `answers` has those and how far
        they agree, disagreements first; `models` has cost and latency of each. With truth the
        best stands first, beside how many rows each has wrong that the best has right, and the
        exact McNemar test of that, corrected for the number of rivals (Holm).

        Args:
            prompts: A prompt as for `generate`, a list of them, or a mapping from their names.
            models: One or several; None: the configured one.
            truth: True labels, as for `score`: then `models` says who is right most often, and
                whether that is shown.
            rows: With truth, ``"labelled"`` asks only rows that have a label, ``"all"`` all.
            params: Fields of the request; a list of them compares settings.
            **options: As for `generate`, but for model, into, details and n.

        Example:
            >>> import pandas as pd
            >>> df = pd.DataFrame({"text": ["so good"]})
            >>> comparison = df.llm.compare("Is this kind? {text}", ["sim/any", "sim/other"])
            >>> list(comparison.answers.columns)
            ['sim/any', 'sim/other', 'agreement']
            >>> prompts = {"short": "Kind? {text}", "long": "Is this kind? {text}"}
            >>> rivals = df.llm.compare(prompts, "sim/any", truth=["yes"])
            >>> list(rivals.models.columns[:3]), int(rivals.models["worse"].sum())
            (['accuracy', 'low', 'high'], 0)
        """
        keywords = _with(options, params=params)
        return cast("Comparison", self._do("compare", prompts, models, truth, rows, keywords))


class DataFrameLLM(LocalFrameAccessor["Table"], WholeTable):
    """Questions about the rows of a frame.

    In a prompt the text between braces is the exact name of a column, spaces included;
    ``{{`` and ``}}`` are braces. Rows whose fields are all missing are not asked.

    Args:
        table: The frame; never changed.

    Example:
        >>> import pandas as pd
        >>> from llmnb.frames.registration import register_accessor
        >>> register_accessor("llm")
        >>> df = pd.DataFrame({"text": ["a", None]})
        >>> df.llm.generate("Say {text}", model="sim/any").isna().tolist()
        [False, True]
    """

    def _columns(self) -> list[Any]:
        return self._source().columns().names

    @full_signature
    def nearest(
        self,
        query: Any,
        column: Hashable,
        *,
        k: int = 5,
        model: Model | EmbeddingModel | None = None,
        **options: Unpack[NearestOptions],
    ) -> pd.DataFrame:
        """Return the rows whose vectors are nearest to a question's, the nearest first.

        A further column tells how near each is: the cosine, from -1 to 1.

        Args:
            query: A text, which is embedded, or a vector.
            column: The column of vectors, as `embed` gives it.
            k: Rows.
            model: As it was given to `embed`.
            **options: ``params`` and ``project_name`` as they were given to `embed`.

        Raises:
            InputError: If the column holds no vectors, or others than the model makes.

        Example:
            >>> import pandas as pd
            >>> df = pd.DataFrame({"text": ["a cat", "a car"]})
            >>> df = df.llm.embed("text", into="vector", model="sim/any")
            >>> near = df.llm.nearest("a cat", "vector", k=1, model="sim/any")
            >>> near["text"].tolist()
            ['a cat']
        """
        near = self._do("vectors.Search", query, column, k, _with(options, model=model))
        return cast("pd.DataFrame", near)

    @full_signature
    def judge(
        self,
        criterion: str,
        column: Hashable,
        against: Hashable | None = None,
        *,
        scale: tuple[int, int] = (1, 5),
        **options: Unpack[JudgeOptions],
    ) -> Table:
        """Have a model judge the answers of a column, or which of two columns is better.

        A frame of `score`, a whole number of the scale, and `reason`. With `against` both orders
        of the two texts are asked, and a column of names comes back: the better column's, or
        ``"undecided"`` where the judge says otherwise once the texts change places.

        Args:
            criterion: What is judged, such as ``"polite and to the point"``.
            column: The column of texts.
            against: Another column.
            scale: The lowest and the highest score; what is off the scale is an error.
            **options: As for `generate`.

        Raises:
            InputError: If there is no such column; nothing was sent.
            ConfigurationError: If an option cannot be used; nothing was sent.

        Example:
            >>> import llmnb
            >>> import pandas as pd
            >>> df = pd.DataFrame({"reply": ["With pleasure."]})
            >>> from llmnb.testing import SimulatedProvider
            >>> with SimulatedProvider(reply='{"score": 5, "reason": "polite"}') as sim:
            ...     model = llmnb.LLM(sim.base_url, "key", "any")
            ...     verdicts = df.llm.judge("politeness", "reply", model=model)
            >>> verdicts["score"].tolist(), verdicts["reason"].tolist()
            ([5], ['polite'])
        """
        return cast("Table", self._do("judge", criterion, column, against, scale, options))

    def workbench(
        self,
        prompt: str = "",
        *,
        truth: Any = None,
        model: Model | Sequence[Model] | None = None,
        params: Any = None,
        system: str | None = None,
        schema: Any = None,
        examples: Any = None,
        into: Hashable = "response",
        n: int = 5,
        seed: int = 0,
        budget_usd: float = 0.25,
        project_name: str | None = None,
    ) -> Workbench:
        """Return a workbench for writing a prompt: a few rows are asked at each change of it.

        In a notebook it shows as a card to write in. Showing it sends nothing. Typing, or setting
        `.prompt`, asks `n` rows once nothing was changed for 0.6 s; each text that was asked is a
        version, and going back to one sends nothing. Answers are kept like all others.

        In code: `.prompt`, `.ask()`, `.versions` (each `.prompt`, `.answers`, `.score`),
        `.score()` over all labelled rows, `.spent`, `.code` (lines that assign the column) and
        `.run()`, which starts the whole table.

        Args:
            prompt: A text with columns' names in braces.
            truth: True labels, as for `score`: then answers are marked right or wrong.
            model: As for `generate`, as are `params`, `system`, `schema` and `examples`; examples
                that are labels of rows are left out of scores.
            params: Fields of the request, such as ``{"temperature": 0}``.
            system: The system message; columns' names in braces.
            schema: The form that answers must have.
            examples: Labels of rows (a series or a dictionary), or a list of pairs of an input and
                its answer.
            into: The column that `.code` assigns.
            n: Rows that are asked as the prompt changes: at random among those with a label, or
                among all where none has one.
            seed: Which rows those are.
            budget_usd: Dollars that may be spent here; the run of the whole table is no part.
            project_name: Project that keeps the answers.

        Raises:
            InputError: If truth or examples cannot be matched with rows.
            ConfigurationError: If a setting has no such value.

        Example:
            >>> import pandas as pd
            >>> df = pd.DataFrame({"text": ["so good", "too late"]})
            >>> bench = df.llm.workbench("Is this kind? {text}", model="sim/any", into="kind")
            >>> len(bench.ask().answers)
            2
            >>> print(bench.code)
            df["kind"] = df.llm.generate("Is this kind? {text}", model="sim/any")
        """
        return cast(
            "Workbench",
            self._do(
                "workbench.Workbench",
                prompt,
                truth=truth,
                model=model,
                params=params,
                system=system,
                schema=schema,
                examples=examples,
                into=into,
                n=n,
                seed=seed,
                budget_usd=budget_usd,
                project_name=project_name,
            ),
        )

    def score(
        self,
        column: Hashable,
        truth: Any,
        *,
        examples: Any = None,
        kind: Literal["label", "number"] | None = None,
    ) -> Score:
        """Return how often a column is right, how sure that is, and where it is wrong.

        Nothing is sent. Labels are compared without capitals and outer blanks. Rows without a
        true label are left out, rows without an answer count as wrong. What comes back shows
        itself as a small card; `Score` names its figures.

        Args:
            column: The column of answers.
            truth: A series, matched by the index (in Polars by position), a list in the rows'
                order, a dictionary from the rows' labels, or the name of a column.
            examples: Labels of rows that were examples of the prompt, likewise; these rows are
                left out.
            kind: ``"number"`` measures how far answers are off, ``"label"`` how often they are
                right; None: numbers where truth is numbers.

        Raises:
            InputError: If there is no such column, no row, no label for any row, an index value
                twice, a list of another length, or numbers stand against texts.

        Example:
            >>> import pandas as pd
            >>> df = pd.DataFrame({"mood": ["kind", "unkind", "Kind", None]})
            >>> score = df.llm.score("mood", ["kind", "unkind", "unkind", "kind"])
            >>> score.accuracy, score.missing, score.wrong.index.tolist()
            (0.5, 1, [2, 3])
        """
        return cast("Score", self._do("scoring.column_score", column, truth, examples, kind))

    def explore(
        self, column: Hashable | None = None, other: Any = None, *, truth: Any = None
    ) -> Explorer:
        """Return a widget to read rows with their answers: search, filter, mark, correct.

        Nothing is sent. The same can be done in code: see `Explorer`.

        Args:
            column: The column of answers; None in a frame made with ``details=True``, which has
                its own.
            other: Another column, run or details frame of the same rows: what changed most since
                then comes first, its words marked.
            truth: The true labels, as for `score`: right and wrong answers can be told apart.

        Raises:
            InputError: If there is no such column, or the other has more rows or fewer.

        Example:
            >>> import pandas as pd
            >>> df = pd.DataFrame({"text": ["good", "bad"], "mood": ["kind", "kind"]})
            >>> ex = df.llm.explore("mood", truth=["kind", "unkind"])
            >>> ex.filter(Truth="wrong")
            >>> [ex.row(position)["prompt"] for position in ex.positions]
            ['bad']
        """
        return cast("Explorer", self._do("explorers.explore_column", column, other, truth))

    def shares(self, column: Hashable, truth: Any) -> Shares:
        """Return how often each label is among these rows, corrected by a few true labels.

        Nothing is sent. A model that confuses labels counts them wrongly; labels of some rows,
        drawn at random, say by how much (prediction-powered inference). `labels` of what comes
        back has share, low and high of its 95 % interval, and naive, the model's own count.

        Args:
            column: The column of answers.
            truth: As for `score`. Which rows are labelled must be chance.

        Raises:
            InputError: As for `score`.

        Example:
            >>> import pandas as pd
            >>> df = pd.DataFrame({"mood": ["kind"] * 60 + ["unkind"] * 40})
            >>> truth = pd.Series(["kind", "unkind", "unkind", "unkind"], index=[0, 1, 60, 61])
            >>> shares = df.llm.shares("mood", truth).labels
            >>> float(shares.loc["kind", "naive"]), bool(shares.loc["kind", "share"] < 0.6)
            (0.6, True)
        """
        return cast("Shares", self._do("sharing.column_shares", column, truth))

    def label(
        self,
        column: Hashable,
        labels: Labels,
        n: int = 50,
        sample: Literal["random", "disagreement", "uncertain"] = "random",
        seed: int = 0,
        fields: Hashable | Sequence[Hashable] | None = None,
        comparison: Any = None,
        confidence: Any = None,
        *,
        project_name: str | None = None,
    ) -> Labeller:
        """Return a card in which a person labels rows, one key a row; nothing is sent.

        Each label is on the disk before the next row shows, is known by the content of the row's
        fields, and outlives the kernel and the clearing of the project. Rows of the same content
        are asked once and share the label. What comes back stands wherever truth does: in `score`,
        `shares`, `compare` and `examples=`; `labels` is its column.

        Args:
            column: What the question is called: the column of the model's answers, which need not
                be there. The answer to a row is shown once the person's is given.
            labels: As for `classify`.
            n: Rows.
            sample: Which rows: ``"random"``; those on which the answers of a `comparison` differ;
                or those of which the model is least sure. Only a random sample says something of
                the whole table.
            seed: Of chance.
            fields: Columns that are shown and make a row's key; None: those of the labels given
                before, and at first all that hold no answer.
            comparison: For ``"disagreement"``: what `compare` returned.
            confidence: For ``"uncertain"``: a column's name, or a number for each row; None:
                ``<column>_confidence``.
            project_name: Where labels are kept; None: the project in use.

        Raises:
            InputError: If there is no such column, or no row.
            ConfigurationError: If a label or an option cannot be used.
            StoreError: If the labels given before cannot be read.

        Example:
            >>> import pandas as pd
            >>> df = pd.DataFrame({"text": ["so good", "so bad"], "mood": ["kind", "kind"]})
            >>> labelled = df.llm.label("mood", ["kind", "unkind"], fields="text")
            >>> for _ in range(2):
            ...     text = df.text[labelled.position]
            ...     labelled.give("kind" if "good" in text else "unkind")
            >>> labelled.position, labelled.labels.tolist()
            (None, ['kind', 'unkind'])
            >>> df.llm.score("mood", labelled).accuracy
            0.5
        """
        sampling = n, sample, seed, fields, comparison, confidence, project_name
        return cast("Labeller", self._do("label", column, labels, *sampling))

    def apply_labels(self, column: Hashable, *, project_name: str | None = None) -> Table:
        """Return the frame with people's labels in place of a column's answers, and say how many.

        Nothing is sent. What was said in `label`, and what was corrected in `explore`, replaces
        the answers of all rows of the same content; all other rows stay.

        Args:
            column: The column; it is made where it is not there.
            project_name: Where labels are kept; None: the project in use.

        Raises:
            InputError: If nobody said anything of a row of this frame.

        Example:
            >>> import pandas as pd
            >>> df = pd.DataFrame({"text": ["so nice", "so bad"], "tone": ["cold", "cold"]})
            >>> df.llm.label("tone", ["warm", "cold"], n=2, fields="text").give("warm")
            >>> sorted(df.llm.apply_labels("tone")["tone"])
            ['cold', 'warm']
        """
        return cast("Table", self._do("row_labels.apply_labels", column, project_name))

    agenerate = awaited(FrameAccessor.generate)
    aextract = awaited(FrameAccessor.extract)
    aclassify = awaited(FrameAccessor.classify)
    aembed = awaited(FrameAccessor.embed)
    apreview = awaited(FrameAccessor.preview)
    acompare = awaited(LocalFrameAccessor.compare)
    ajudge = awaited(judge)
    anearest = awaited(nearest)


# ------------------------------------------------------------------------------- values


class ValuesAccessor(Accessor, Generic[Answers]):
    """Questions about the values of a series or an expression, of whichever library."""

    @full_signature
    def generate(self, prompt: str = "{}", **options: Unpack[GenerateOptions]) -> Answers:
        """Ask about every value and return the answers in their rows.

        n values in; a column of n out, missing where one failed.

        Args:
            prompt: Text in which ``{}``, or the series' name in braces, is the value; left out,
                the values are the prompts. Of a struct the names of its fields in braces.
            **options: As for `DataFrameLLM.generate`.

        Example:
            >>> import llmnb
            >>> import pandas as pd
            >>> texts = pd.Series(["so good", None])
            >>> answers = texts.llm.generate("Is this kind? {}", model="sim/any", max_tokens=5)
            >>> answers.isna().tolist()
            [False, True]
        """
        return cast("Answers", self._do("generate", prompt, options))

    @full_signature
    def extract(self, schema: Any, **options: Unpack[ExtractOptions]) -> Answers:
        """Take from each text what a schema asks for: typed columns, or a column of structs.

        Args:
            schema: A pydantic model, a dataclass, a TypedDict, a type or a JSON schema.
            **options: As for `generate`.

        Example:
            >>> import llmnb
            >>> import pandas as pd
            >>> texts = pd.Series(["seven apples"])
            >>> from llmnb.testing import SimulatedProvider
            >>> with SimulatedProvider(reply="7") as sim:
            ...     model = llmnb.LLM(sim.base_url, "key", "any")
            ...     counts = texts.llm.extract(int, model=model)
            >>> counts.tolist()
            [7]
        """
        return cast("Answers", self._do("extract", "{}", schema, options))

    @full_signature
    def classify(self, labels: Labels, **options: Unpack[ExtractOptions]) -> Answers:
        """Give each text one of the labels, and return a categorical column.

        Args:
            labels: A list of them, a mapping from each to what it means, or an `Enum`.
            **options: As for `generate`.

        Example:
            >>> import llmnb
            >>> import pandas as pd
            >>> texts = pd.Series(["so good"])
            >>> from llmnb.testing import SimulatedProvider
            >>> with SimulatedProvider(reply="kind") as sim:
            ...     model = llmnb.LLM(sim.base_url, "key", "any")
            ...     moods = texts.llm.classify(["kind", "unkind"], model=model)
            >>> moods.tolist()
            ['kind']
        """
        return cast("Answers", self._do("classify", "{}", labels, options))

    @full_signature
    def embed(
        self,
        *,
        model: Model | EmbeddingModel | None = None,
        into: Hashable | None = None,
        **options: Unpack[EmbedOptions],
    ) -> Any:
        """Return a vector for each text, as `DataFrameLLM.embed` does.

        Args:
            model: As for `DataFrameLLM.embed`.
            into: What the column is called; None: ``embedding``.
            **options: As for `DataFrameLLM.embed`.

        Example:
            >>> import pandas as pd
            >>> texts = pd.Series(["so good", None])
            >>> vectors = texts.llm.embed(model="sim/any", dimensions=64)
            >>> vectors[0].shape, vectors.isna().tolist()
            ((64,), [False, True])
        """
        return self._do("embed", "{}", _with(options, model=model, into=into))


class SeriesAccessor(ValuesAccessor[Answers]):
    """Questions about the values of a series."""

    @full_signature
    def plan(self, prompt: str = "{}", **options: Unpack[GenerateOptions]) -> Plan:
        """Return rows, tokens, cost and time that `generate` would take; nothing is sent.

        Args:
            prompt: As for `generate`.
            **options: As for `generate`.

        Example:
            >>> import pandas as pd
            >>> plan = pd.Series(["so good", None]).llm.plan("Is this kind? {}", model="sim/new")
            >>> plan.rows, plan.empty, plan.to_ask
            (2, 1, 1)
        """
        return cast("Plan", self._do("plan", prompt, options))

    @full_signature
    def preview(
        self, prompt: str = "{}", *, n: int = 3, **options: Unpack[PreviewOptions]
    ) -> pd.DataFrame:
        """Ask about the first values and return their prompts beside the answers.

        Args:
            prompt: As for `generate`.
            n: Rows.
            **options: As for `generate`.

        Example:
            >>> import pandas as pd
            >>> texts = pd.Series(["so good", "so bad"])
            >>> rows = texts.llm.preview("Is this kind? {}", n=1, model="sim/any")
            >>> rows["prompt"].tolist()
            ['Is this kind? so good']
        """
        return cast("pd.DataFrame", self._do("preview", prompt, n, options))


class SeriesLLM(SeriesAccessor["Table"], WholeTable):
    """Questions about the values of a series; in a prompt ``{}`` is the value.

    Args:
        table: The series; never changed.

    Example:
        >>> import pandas as pd
        >>> from llmnb.frames.registration import register_accessor
        >>> register_accessor("llm")
        >>> pd.Series(["a", None]).llm.generate("Say {}", model="sim/any").isna().tolist()
        [False, True]
    """

    @full_signature
    def start(self, prompt: str = "{}", **options: Unpack[GenerateOptions]) -> TableRun[Table]:
        """Start `generate` in the background and return its run at once.

        Args:
            prompt: As for `generate`.
            **options: As for `generate`.

        Example:
            >>> import pandas as pd
            >>> texts = pd.Series(["so good", None])
            >>> run = texts.llm.start("Is this kind? {}", model="sim/any", max_tokens=5)
            >>> len(run.result(timeout=60))
            2
        """
        return cast("TableRun[Table]", self._do("start", prompt, options))

    @full_signature
    def compare(
        self,
        prompts: str | Sequence[str] | Mapping[str, str] = "{}",
        *,
        models: Model | Sequence[Model] | None = None,
        truth: Any = None,
        rows: Literal["labelled", "all"] = "labelled",
        params: Any = None,
        **options: Unpack[CompareOptions],
    ) -> Comparison:
        """Ask several prompts, models or settings the same, and return answers side by side.

        Args:
            prompts: A prompt as for `generate`, a list of them, or a mapping from their names.
            models: One or several; None: the configured one.
            truth: True labels, as for `score`: then `models` says who is right most often, and
                whether that is shown.
            rows: With truth, ``"labelled"`` asks only rows that have a label, ``"all"`` all.
            params: Fields of the request; a list of them compares settings.
            **options: As for `generate`, but for model, into, details and n.

        Example:
            >>> import pandas as pd
            >>> texts = pd.Series(["so good"])
            >>> comparison = texts.llm.compare("Is this kind? {}", models=["sim/any", "sim/other"])
            >>> list(comparison.answers.columns)
            ['sim/any', 'sim/other', 'agreement']
        """
        keywords = _with(options, params=params)
        return cast("Comparison", self._do("compare", prompts, models, truth, rows, keywords))

    @full_signature
    def nearest(
        self,
        query: Any,
        *,
        k: int = 5,
        model: Model | EmbeddingModel | None = None,
        **options: Unpack[NearestOptions],
    ) -> pd.Series[Any]:
        """Return how near the nearest of these vectors are to a question's, by their labels.

        Args:
            query: A text, which is embedded, or a vector.
            k: How many.
            model: As it was given to `embed`.
            **options: As for `DataFrameLLM.nearest`.

        Example:
            >>> import pandas as pd
            >>> vectors = pd.Series(["a cat", "a car"]).llm.embed(model="sim/any")
            >>> near = vectors.llm.nearest("a cat", k=1, model="sim/any")
            >>> near.index.tolist()
            [0]
        """
        near = self._do("vectors.Search", query, "{}", k, _with(options, model=model))
        return cast("pd.Series[Any]", near)

    def score(
        self,
        truth: Any,
        *,
        examples: Any = None,
        kind: Literal["label", "number"] | None = None,
    ) -> Score:
        """Return how often these answers are right; nothing is sent.

        Args:
            truth: As for `DataFrameLLM.score`.
            examples: Likewise.
            kind: Likewise.

        Example:
            >>> import pandas as pd
            >>> pd.Series(["kind", "unkind"]).llm.score(["kind", "kind"]).accuracy
            0.5
        """
        return cast("Score", self._do("scoring.column_score", "", truth, examples, kind))

    def explore(self, other: Any = None, *, truth: Any = None) -> Explorer:
        """Return a widget to read these answers: search, filter, mark; nothing is sent.

        Args:
            other: As for `DataFrameLLM.explore`.
            truth: Likewise.

        Example:
            >>> import pandas as pd
            >>> pd.Series(["kind", None]).llm.explore().row(0)["answer"]
            'kind'
        """
        return cast("Explorer", self._do("explorers.explore_column", "", other, truth))

    def shares(self, truth: Any) -> Shares:
        """Return how often each of these labels is, corrected by a few true ones.

        Args:
            truth: As for `DataFrameLLM.shares`.

        Example:
            >>> import pandas as pd
            >>> moods = pd.Series(["kind"] * 3 + ["unkind"])
            >>> moods.llm.shares(["kind", "kind", "unkind", "unkind"]).labels["share"].tolist()
            [0.5, 0.5]
        """
        return cast("Shares", self._do("sharing.column_shares", "", truth))

    def label(
        self,
        column: Hashable,
        labels: Labels,
        n: int = 50,
        sample: Literal["random", "disagreement", "uncertain"] = "random",
        seed: int = 0,
        *,
        comparison: Any = None,
        confidence: Any = None,
        project_name: str | None = None,
    ) -> Labeller:
        """Return a card in which a person labels values, one key a value; nothing is sent.

        Args:
            column: What the question is called.
            labels: As for `classify`.
            n: Values.
            sample: As for `DataFrameLLM.label`, as is what follows.
            seed: Likewise.
            comparison: Likewise.
            confidence: A number for each value.
            project_name: Likewise.

        Example:
            >>> import pandas as pd
            >>> texts = pd.Series(["so good", "so bad"], name="text")
            >>> labelled = texts.llm.label("kindness", ["kind", "unkind"])
            >>> labelled.skip()
            >>> labelled
            <Labeller of kindness: 0 of 2 rows labelled, 1 skipped>
        """
        sampling = n, sample, seed, None, comparison, confidence, project_name
        return cast("Labeller", self._do("label", column, labels, *sampling))

    agenerate = awaited(ValuesAccessor.generate)
    aextract = awaited(ValuesAccessor.extract)
    aclassify = awaited(ValuesAccessor.classify)
    aembed = awaited(ValuesAccessor.embed)
    apreview = awaited(SeriesAccessor.preview)
    acompare = awaited(compare)
    anearest = awaited(nearest)


# -------------------------------------------------------------------------- registration

NAME = "llm"

Kind = tuple[Any, "Callable[[str], Callable[[Any], Any]]", type]
"""A class, the library's own way of giving it an accessor, and the accessor."""


@dataclasses.dataclass(slots=True)
class AccessorRegistration:
    """Gives the classes of one library their accessors.

    Args:
        library: As a sentence names it, such as ``"pandas"``.
        kinds: Its classes, and what each is given.
    """

    library: str
    kinds: tuple[Kind, ...]
    _has_warned: bool = dataclasses.field(default=False, init=False)

    def attach(self) -> None:
        """Register the accessors; where somebody else has the name, say so once."""
        owner = self._other_owner(NAME)
        if owner is None:
            self.enter(NAME)
        elif not self._has_warned:
            self._has_warned = True
            warn(
                f".{NAME} of {self.library} frames belongs to {owner}, and llmnb leaves it alone. "
                'Use another name: llmnb.register_accessor("other"), then df.other.generate(…).'
            )

    def require_free(self, name: str) -> None:
        """Refuse a name that somebody else has.

        Raises:
            ConfigurationError: If one of the classes has something else of it.
        """
        if owner := self._other_owner(name):
            raise ConfigurationError(
                f".{name} of {self.library} frames belongs to {owner}: choose another name."
            )

    def enter(self, name: str) -> None:
        """Register the accessors under a name that is free."""
        for kind, enter, accessor in self.kinds:
            if name in vars(kind):  # our own, of an earlier import; libraries would warn of it
                delattr(kind, name)
            enter(name)(accessor)

    def _other_owner(self, name: str) -> str | None:
        """Return which other package has the name; None if none has."""
        for kind, _, accessor in self.kinds:
            if (present := getattr(kind, name, None)) is not None:
                home = getattr(present, "__module__", None) or type(present).__module__
                if home != accessor.__module__:
                    return f"{home}.{getattr(present, '__qualname__', type(present).__qualname__)}"
        return None
