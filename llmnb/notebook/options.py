"""What the magics share: interrupts, how options and settings are read, and their reports."""

from __future__ import annotations

import argparse
import functools
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from configparser import RawConfigParser
from dataclasses import dataclass
from typing import Any, ParamSpec, TypeVar

from IPython.core import magic_arguments
from IPython.core.error import UsageError
from IPython.core.magic import line_magic, no_var_expand

from llmnb.display.aligned import columns
from llmnb.display.escape import visible
from llmnb.display.html_fragments import box, figure_table, line
from llmnb.display.palette import FAINT
from llmnb.options import OPTIONS, PARAMS, checked
from llmnb.signatures import KEYWORDS
from llmnb.user_code import message

F = TypeVar("F", bound=Callable[..., Any])
P = ParamSpec("P")
T = TypeVar("T")


def plain_interrupts(magic: Callable[P, T]) -> Callable[P, T]:
    """Let a magic that is interrupted show a message only; the interrupt is raised all the same.

    The cell fails, so that running all cells stops here. Errors of llmnb show little by themselves.
    """

    @functools.wraps(magic)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return magic(*args, **kwargs)
        except KeyboardInterrupt as error:
            text = message(error)
            # IPython asks an exception for its own traceback before it makes one.
            error._render_traceback_ = lambda: [text]  # type: ignore[attr-defined]
            raise

    return wrapper


def plain_line_magic(method: Callable[..., Any]) -> Any:
    """Make a method a line magic whose line is taken as it is typed, with plain interrupts."""
    return no_var_expand(line_magic(plain_interrupts(method)))


arguments: Callable[[], Callable[[F], F]] = magic_arguments.magic_arguments
"""Declare a magic that takes arguments; stands above those of `argument`."""

argument: Callable[..., Callable[[F], F]] = magic_arguments.argument
"""Declare one argument of a magic, as `argparse` describes it."""


FROM_TABLE = ("max_tokens", "temperature", "max_wait", "good_finish", "burst")
"""Options of the one table that the magics take."""


def table_options() -> Callable[[F], F]:
    """Declare the options of `FROM_TABLE`; stands among those of `argument`."""

    def declare(magic: F) -> F:
        for name in reversed(FROM_TABLE):
            option = {**OPTIONS, **PARAMS}[name]
            described: dict[str, Any] = {"help": option.meaning, "metavar": "VALUE"}
            if option.default == ():
                described["action"] = "append"
            elif option.kind.typed is not str:
                described["type"] = number
            magic = argument(f"--{name.replace('_', '-')}", **described)(magic)
        return magic

    return declare


_WORD = re.compile(r"""(?:"[^"]*"|'[^']*'|\S)+""")
_QUOTED = re.compile(r"""(["'])(.*?)\1""")


def split_words(line: str) -> list[str]:
    """Split a line into words as a shell does, but take backslashes as any other character.

    What is quoted stays together and loses its quotes. A quote without a partner, such as an
    apostrophe, is kept, so no line is an error.

    Example:
        >>> split_words("clear Reviews 'My questions'")
        ['clear', 'Reviews', 'My questions']
        >>> split_words("what it's called")
        ['what', "it's", 'called']
    """
    return [_QUOTED.sub(r"\2", word) for word in _WORD.findall(line)]


def parsed(magics: object, name: str, line: str) -> argparse.Namespace:
    """Return the arguments of a magic as they stand on a line, a prompt behind them word for word.

    Args:
        magics: The magics that it belongs to.
        name: Its name.
        line: Its arguments. A lone ``--`` ends the options.

    Raises:
        UsageError: If they are not such as it takes.
    """
    parser: argparse.ArgumentParser = getattr(magics, name).parser
    parser.allow_abbrev = False  # a prompt may hold what looks like the beginning of options
    args, rest = parser.parse_known_args(split_words(line))
    if rest:
        raise UsageError(
            f"{' '.join(rest)[:80]!r} is no argument of this magic; %{name}? lists them.\n"
            "A text that begins with a dash stands behind two: %llm -- -5 + 3 = ?"
        )
    if words := getattr(args, "prompt", ()):
        start = [word.start() for word in _WORD.finditer(line)][-len(words)]
        args.prompt = line[start:].removeprefix("--").strip()
    return args


def variable(namespace: Mapping[str, Any], name: str, option: str) -> Any:
    """Return the value of a variable that an option names.

    Raises:
        UsageError: If there is none.
    """
    try:
        return namespace[name]
    except KeyError:
        raise UsageError(
            f"{option} {name}: there is no variable {name!r}. Nothing was sent."
        ) from None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Report:
    """A table with notes under it; all of it text, whatever it holds.

    Example:
        >>> Report(head=("name", "rows"), rows=[("m", 3)], notes=["One."])
        name  rows
        m     3
        <BLANKLINE>
        One.
    """

    head: Sequence[str] = ()
    rows: Sequence[Sequence[object]] = ()
    right: Collection[int] = ()
    """Columns that hold figures."""

    notes: Sequence[str] = ()

    def __repr__(self) -> str:
        cells = (self.head, *self.rows) if self.rows else ()
        lines = [*columns(cells, right=self.right, longest=60), "", *map(visible, self.notes)]
        return "\n".join(lines).strip("\n")

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        table = figure_table(self.head, self.rows, self.right) if self.rows else ""
        page = box(table, *(line(note, FAINT) for note in self.notes))
        return {"text/html": page, "text/plain": repr(self)}


# --------------------------------------------------------- what `%llm_config` sets

LIMITS = tuple(KEYWORDS["RunLimits"])

WORDS = tuple(KEYWORDS["ConfigureOptions"])
"""What `%llm_config` and `llmnb.configure` take."""

_NOTHING = ("", "none", "null")


def value_of(name: str, text: str) -> Any:
    """Return the value of a setting, None where it is taken back.

    Args:
        name: Full name of the setting.
        text: As it was typed; ``none`` or nothing takes it back.

    Raises:
        ConfigurationError: If the text is no such value.

    Example:
        >>> value_of("max_requests_per_minute", "5 per second"), value_of("model", "none")
        (300.0, None)
    """
    text = text.strip()
    if text.lower() in _NOTHING:
        return None
    option = OPTIONS[name]
    value: Any = text
    if name == "model":
        from llmnb.targets.resolve import choose

        choose(text)  # raises, with suggestions
    elif option.default == ():
        value = [word.strip() for word in text.split(",")]
    elif option.kind.choices == (True, False):
        value = RawConfigParser.BOOLEAN_STATES.get(text.lower(), text)
    elif option.kind.typed is not str:
        value = number(text)
    return checked({name: value})[name]


def number(text: str) -> float | str:
    """Return a number as a person types it; what is none is returned for the table to refuse.

    Example:
        >>> number("1,000"), number("$2.50"), number("many")
        (1000, 2.5, 'many')
    """
    plain = text.strip().lstrip("$").replace(",", "")
    for kind in (int, float):
        try:
            return kind(plain)
        except ValueError:
            continue
    return text
