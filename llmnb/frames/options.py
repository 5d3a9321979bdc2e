"""What can be said about a run over a table, beside the prompt; one list for every door."""

from __future__ import annotations

import os
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal

from llmnb.errors import ConfigurationError
from llmnb.options import (
    PARAMS,
    RequestParams,
    body_of,
    checked,
    names,
    params_in,
    refuse_unknown,
    with_params,
)
from llmnb.progress import Bars
from llmnb.rates import Rate
from llmnb.records import Burst
from llmnb.running.asking import Duplicates, Model

Example = tuple[Any, Any]
"""An input and the answer to it: a few-shot turn of each side."""

OnError = Literal["null", "column", "raise"]
"""What becomes of rows that fail."""


class SharedOptions(RequestParams, total=False):
    """Keywords of every door, for type checkers; described in `Options`."""

    model: Model | Sequence[Model] | None
    into: Hashable | None
    overwrite: bool
    system: str | None
    examples: Sequence[Example] | None
    params: Any
    images: Hashable | None
    files_root: str | os.PathLike[str] | None
    fetch_files: bool
    project_name: str | None
    use_cache: bool
    share: bool | str | list[str]
    duplicates: Duplicates
    details: bool
    on_error: OnError
    max_requests_per_minute: Rate | None
    max_tokens_per_minute: Rate | None
    max_concurrent_requests: int | None
    burst: Burst | None
    max_attempts: int
    max_wait: float | None
    budget_usd: float | None
    time_limit: float | None
    hedge_after: float | Literal["p95"] | None
    good_finish: str | Sequence[str]
    mode: str
    progress: Bars


class PreviewOptions(SharedOptions, total=False):
    """Keywords of what asks every row once."""

    schema: Any


class ExtractOptions(SharedOptions, total=False):
    """Keywords of what brings a schema of its own."""

    n: int


class GenerateOptions(PreviewOptions, ExtractOptions, total=False):
    """Keywords of `generate`."""

    messages: Hashable | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Keywords of `generate`, checked.

    Raises:
        ConfigurationError: If two of them exclude each other, or one has no such value.
    """

    model: Model | Sequence[Model] | None = None
    """One model, or several in the order of fallback; None: the configured one."""

    into: Hashable | None = None
    """Column for the answers, in a copy of the frame."""

    overwrite: bool = False
    """Whether columns that came with the frame may be replaced."""

    messages: Hashable | None = None
    """Column of whole conversations, in place of a prompt."""

    system: str | None = None
    """A system message before every question; names in braces are filled from the row."""

    examples: Sequence[Example] | None = None
    """Few-shot turns: pairs of an input and its answer."""

    params: Any = None
    """Fields of the request's body, such as ``temperature``: a mapping or an `LLMParams`. Those of
    `llmnb.options.PARAMS` may stand beside it."""

    schema: Any = None
    """Form of the answers: a pydantic model, a dataclass, a type, labels or a JSON schema."""

    images: Hashable | None = None
    """Column of pictures: paths, addresses or bytes."""

    files_root: str | os.PathLike[str] | None = None
    """Folder below which texts in that column may name files; None: the working folder."""

    fetch_files: bool = False
    """Whether pictures on the web are fetched here instead of left to the provider."""

    n: int = 1
    """Answers to every row; above 1 a cell holds the list of them."""

    project_name: str | None = None
    """Project that keeps the answers."""

    use_cache: bool = True
    """False asks anew what is kept; answers are kept all the same."""

    share: bool | str | list[str] = True
    """Whether other projects' answers are used: True, False or the projects' names."""

    duplicates: Duplicates = "merge"
    """Identical rows are asked once, or each for itself."""

    details: bool = False
    """A frame that also tells model, tokens, dollars, seconds and more."""

    on_error: OnError = "null"
    """Failed rows: missing with one warning, told in a further column, or raised at the end."""

    max_requests_per_minute: Rate | None = None
    max_tokens_per_minute: Rate | None = None
    max_concurrent_requests: int | None = None
    burst: Burst | None = None
    """Whether what a server says is left of its limits is spent at once (``"announced"``) or at a
    smooth rate (``"smooth"``); None: that of `configure`."""

    max_attempts: int = 3
    """Attempts for a row that were unsent or surely unbilled."""

    max_wait: float | None = None
    """Seconds that a model may refuse without one success; None: `configure`'s, else 600."""

    budget_usd: float | None = None
    """Dollars that are not overshot beyond what is in flight."""

    time_limit: float | None = None
    """Seconds for a row from its first dispatch."""

    hedge_after: float | Literal["p95"] | None = None
    """Seconds without a first token after which the next model is asked as well."""

    good_finish: str | Sequence[str] = ()
    """Finish reasons that are good though llmnb does not know them."""

    mode: str = "live"
    """``"live"`` asks now; ``"batch"`` through the provider's batch API, for half the price."""

    progress: Bars = "auto"
    """Whether to show how far it is; ``"auto"``: on a terminal and in a notebook."""

    def __post_init__(self) -> None:
        checked({name: getattr(self, name) for name in names("frames")})
        if self.mode == "batch":
            for name in ("time_limit", "hedge_after"):
                if getattr(self, name) is not None:
                    raise ConfigurationError(
                        f"{name} does not go with mode='batch', which takes up to a day: leave one "
                        "of them out. Nothing was sent."
                    )
        if self.details and self.into is not None:
            raise ConfigurationError(
                "details=True gives a frame of its own, so it does not go with into=…: leave one "
                "of them out. Nothing was sent."
            )
        if self.messages is not None and self.images is not None:
            raise ConfigurationError(
                "images= goes with a prompt: in messages=… pictures are parts of the messages. "
                "Nothing was sent."
            )
        n = body_of(self.params).get("n") or 1
        if n not in (1, self.n):
            raise ConfigurationError(
                f"A cell has room for one answer: write n={n!r} beside params, and not in it, for "
                "a list of them in each. Nothing was sent."
            )

    @property
    def name(self) -> Hashable:
        """What the answers are called."""
        return "response" if self.into is None else self.into

    @property
    def body(self) -> Mapping[str, Any]:
        """The fields of the request's body; several answers to a row are requests of their own."""
        body = body_of(self.params)
        return {name: one for name, one in body.items() if name != "n" or one in (1, None)}

    def limits(self) -> dict[str, Any]:
        """Return what `start` is told beside who is asked."""
        return {name: getattr(self, name) for name in _FOR_START}

    def for_batch(self) -> dict[str, Any]:
        """Return what `start_batch` is told beside who is asked."""
        return {name: getattr(self, name) for name in _FOR_BATCH}

    def for_plan(self) -> dict[str, Any]:
        """Return what `plan` is told beside who is asked."""
        return {name: getattr(self, name) for name in _FOR_PLAN}


_FOR_PLAN = (
    "project_name",
    "share",
    "use_cache",
    "max_requests_per_minute",
    "max_tokens_per_minute",
    "max_concurrent_requests",
    "budget_usd",
)
_FOR_START = (
    *_FOR_PLAN,
    *("burst", "max_attempts", "max_wait", "time_limit", "hedge_after", "good_finish"),
)

_FOR_BATCH = ("project_name", "share", "use_cache", "budget_usd", "good_finish")

_NAMES = tuple(field.name for field in fields(Options))


def options_of(given: Mapping[str, Any]) -> Options:
    """Return the options that keywords describe; ``max_tokens`` and the like become `params`.

    Raises:
        TypeError: If there is no such keyword; the message names the nearest.
        ConfigurationError: If one has no such value.

    Example:
        >>> options_of({"n": 2}).n
        2
        >>> options_of({"max_rpm": 5})
        Traceback (most recent call last):
        TypeError: .llm has no keyword 'max_rpm'...
        >>> options_of({"max_tokens": 9}).body
        {'max_tokens': 9}
    """
    refuse_unknown(given, (*_NAMES, *PARAMS), ".llm")
    beside, rest = params_in(given)
    if beside:
        rest["params"] = with_params(rest.get("params"), beside)
    return Options(**rest)


def said(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the keywords that say something else than is so anyway.

    Example:
        >>> said({"n": 1, "into": "answer", "max_tokens": 9})
        {'into': 'answer', 'max_tokens': 9}
    """
    usual = {field.name: field.default for field in fields(Options)}
    return {name: value for name, value in given.items() if value is not usual.get(name)}
