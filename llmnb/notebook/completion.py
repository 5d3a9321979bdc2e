"""What the Tab key offers: behind the magics, in their prompts, and in calls of ``df.llm``.

One matcher of IPython's documented kind (``Completer.custom_matchers``). Variables are looked at,
never asked: no property of theirs is read but the columns of frames.
"""

from __future__ import annotations

import inspect
import re
import shlex
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from IPython.core.completer import CompletionContext, SimpleCompletion, context_matcher

import llmnb
from llmnb import settings
from llmnb.frames.template import writable
from llmnb.notebook.magics_ask import LLMMagics
from llmnb.notebook.options import WORDS
from llmnb.options import FORMATS, OPTIONS
from llmnb.wire.catalog import load_catalog

Names = Mapping[str, Any]
"""The notebook's variables."""

_OF_IPYTHON = ("In", "Out", "exit", "quit", "open", "get_ipython")

_MOST = 200
"""Names that are offered at most, and columns of a frame that are looked at."""


def matcher(shell: Any) -> Callable[[CompletionContext], Any]:
    """Return the matcher for a shell, to be put among its `custom_matchers`."""

    @context_matcher(identifier="llmnb")  # type: ignore[untyped-decorator, unused-ignore]
    def llmnb_matcher(context: CompletionContext) -> Any:
        """Offer what can stand at the cursor."""
        offer = offered(context.full_text, _cursor(context), shell.user_ns)
        found = [word for word in dict.fromkeys(offer.words) if word.startswith(offer.fragment)]
        return {
            "completions": [SimpleCompletion(text, type=offer.kind) for text in found[:_MOST]],
            "matched_fragment": offer.fragment,
            "suppress": bool(found) and offer.is_all,
        }

    return llmnb_matcher  # type: ignore[no-any-return]


def _cursor(context: CompletionContext) -> int:
    """Return the cursor's place in the whole text."""
    above = context.full_text.split("\n")[: context.cursor_line]
    return sum(len(line) + 1 for line in above) + context.cursor_position


class Offer(NamedTuple):
    """What may stand at the cursor."""

    fragment: str = ""
    """What is typed of it."""

    words: Iterable[str] = ()
    is_all: bool = True
    """Whether nothing else may stand there."""

    kind: str = "option"
    """What they are, as the list beside the cursor says it."""


def offered(text: str, cursor: int, names: Names) -> Offer:
    """Return what may stand at a place in a cell.

    Args:
        text: The cell.
        cursor: The place.
        names: The notebook's variables.

    Example:
        >>> offer = offered("%llm -f js", 10, {})
        >>> offer.fragment, "json" in offer.words
        ('js', True)
    """
    before = text[:cursor]
    line = before.rpartition("\n")[2]
    first = text.partition("\n")[0].strip()
    field = re.search(r"\{([^{}]*)$", line)
    if first.startswith("%%llm ") or re.match(r"\s*(?:\w+ = )?%llm ", line) or first == "%%llm":
        if field is not None:
            frame = names.get(_after(first, "--df"))
            if frame is None:
                return Offer(field[1], _named(names), kind="variable")
            return Offer(field[1], _columns(frame), kind="column")
        if (magic := re.match(r"\s*(?:\w+ = )?%%?llm\s+(.*)", line)) is not None:
            return Offer(*_of_prompt(magic[1], names))
    if (magic := re.match(r"\s*%(llm_\w+)\s+(.*)", line)) is not None:
        return Offer(*_of_settings(magic[1], magic[2], magic[2].rpartition(" ")[2]))
    module = re.search(r"(?<![\w.])(\w+)\.(\w*)$", line)
    if module is not None and names.get(module[1]) is llmnb:
        return Offer(module[2], dir(llmnb), kind="attribute")
    if field is not None and (call := re.search(_FRAME_IN_PROMPT, before)) is not None:
        return Offer(field[1], _columns(names.get(call[1])), kind="column")
    if (call := re.search(_KEYWORD, before)) is not None:
        return Offer(call[2], [f"{name}=" for name in _keywords(call[1])], False, "param")
    return Offer()


# ----------------------------------------------------------------------------- magics


def _of_prompt(typed: str, names: Names) -> tuple[str, Iterable[str]]:
    """Return what may stand on the line of `%llm` or `%%llm`."""
    fragment = typed.rpartition(" ")[2]
    option = typed[: len(typed) - len(fragment)].split(" ")[-2:-1]
    match option:
        case ["-f" | "--format"]:
            return fragment, FORMATS
        case ["-m" | "--model"]:
            return fragment, [*_models(fragment), *_named(names, _is_model)]
        case ["--burst"]:
            return fragment, OPTIONS["burst"].kind.choices or ()
        case ["-o" | "--output"]:
            return fragment, _named(names)
        case ["--schema"]:
            return fragment, _named(names, lambda value: isinstance(value, type | dict))
        case ["--df"]:
            return fragment, _named(names, _is_frame)
        case ["--into"]:
            return fragment, map(shlex.quote, _columns(names.get(_after(typed, "--df"))))
    if not fragment.startswith("-"):
        return fragment, ()
    magic: Any = LLMMagics.llm
    return fragment, sorted({*re.findall(r"--[a-z][a-z-]+", magic.parser.format_usage())})


def _of_settings(magic: str, typed: str, fragment: str) -> tuple[str, Iterable[str]]:
    """Return what may stand behind the other magics."""
    if magic in ("llm_key", "llm_models"):
        further = ["--forget"] if magic == "llm_key" else []
        return fragment, [*load_catalog(), *further]
    if magic == "llm_cache":
        if "clear" not in typed.split():
            return fragment, ("list", "clear", "undo")
        return fragment, ["--all", *map(shlex.quote, _projects())]
    if magic != "llm_config":
        return fragment, ()
    name, equals, value = fragment.partition("=")
    if not equals:
        return fragment, [f"{word}=" for word in WORDS]
    if name == "model":
        return value, _models(value)
    if name in ("project", "project_name"):
        return value, map(shlex.quote, _projects())
    choices = OPTIONS[name].kind.choices if name in OPTIONS else None
    switch = {True: "on", False: "off"}
    return value, [switch.get(choice, str(choice)) for choice in choices or ()]


def _models(fragment: str) -> list[str]:
    """Return providers, or the models that are known of the provider that is typed."""
    catalog = load_catalog()
    provider, slash, _ = fragment.partition("/")
    if not slash or provider not in catalog:
        return [f"{name}/" for name in catalog]
    row = catalog[provider]
    known = [row.default_models.get("chat"), *row.known_models]
    named = [model for model in known if model and "*" not in model and "embed" not in model]
    return [f"{provider}/{model}" for model in named]


def _projects() -> list[str]:
    from llmnb.store import layout

    return [project.name for project in layout.stored_projects(settings.cache_dir())]


def _after(line: str, option: str) -> str:
    """Return the word behind an option; empty where there is none."""
    word = re.search(rf"{option}[ =]+(\S+)", line)
    return "" if word is None else word[1]


# -------------------------------------------------------------------------- variables


def _named(names: Names, is_wanted: Callable[[Any], bool] = lambda value: True) -> list[str]:
    return [
        name
        for name, value in names.items()
        if not name.startswith("_") and name not in _OF_IPYTHON and is_wanted(value)
    ]


def _is_model(value: Any) -> bool:
    models = sys.modules.get("llmnb.chat.llm_model")  # else there is no such object
    return models is not None and isinstance(value, models.LLMModel)


def _is_frame(value: Any) -> bool:
    library = type(value).__module__.partition(".")[0]
    return library in ("pandas", "polars", "dask") and type(value).__name__ == "DataFrame"


def _columns(frame: Any) -> list[str]:
    """Return the columns that can be written between braces; of what is no frame none."""
    if not _is_frame(frame):
        return []
    names = [name for name in frame.columns[:_MOST] if isinstance(name, str)]
    return [name for name in writable(names) if name.isprintable()]


# ------------------------------------------------------------------- calls of ``df.llm``

_FRAME_IN_PROMPT = r"""(\w+)\.llm\.\w+\(\s*(?:prompt=)?(?:"[^"\n]*|'[^'\n]*)$"""
"""The frame, where the cursor is in the prompt of a verb."""

_KEYWORD = r"\.llm\.(\w+)\((?:[^()]*,)?\s*(\w*)$"
"""The verb, and what is typed of a keyword."""


def _keywords(verb: str) -> list[str]:
    from llmnb.frames.accessors import DataFrameLLM

    function = getattr(DataFrameLLM, verb, None)
    if function is None or verb.startswith("_"):
        return []
    parameters = inspect.signature(function).parameters.values()
    return [each.name for each in parameters if each.kind is each.KEYWORD_ONLY]
