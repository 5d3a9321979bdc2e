"""What the magics share: interrupts, how options and settings are declared and read."""

from __future__ import annotations

import argparse
import functools
import re
import shlex
from collections.abc import Callable, Mapping
from typing import Any, ParamSpec, TypeVar

from IPython.core import magic_arguments
from IPython.core.error import UsageError
from IPython.core.magic import line_magic, no_var_expand

from llmnb.errors import ConfigurationError
from llmnb.options import OPTIONS, PARAMS, checked
from llmnb.settings import full_name
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


_declaring: Any = magic_arguments  # it carries no types


def arguments() -> Callable[[F], F]:
    """Declare a magic that takes arguments; stands above those of `argument`."""
    return _declaring.magic_arguments()  # type: ignore[no-any-return]


def argument(*names: str, **described: Any) -> Callable[[F], F]:
    """Declare one argument of a magic, as `argparse` describes it."""
    return _declaring.argument(*names, **described)  # type: ignore[no-any-return]


FROM_TABLE = {
    "max_tokens": "200",
    "temperature": "0",
    "max_wait": "1200",
    "good_finish": "done",
    "burst": "smooth",
}
"""Options of the one table that the magics take, each with an example."""


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
            magic = argument(_flag(name), **described)(magic)
        return magic

    return declare


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def split_words(line: str) -> list[str]:
    """Return the words of a line; quotes hold words together, backslashes are letters.

    Raises:
        UsageError: If a quotation mark is not closed.

    Example:
        >>> split_words("clear Reviews 'My questions'")
        ['clear', 'Reviews', 'My questions']
    """
    lexer = shlex.shlex(line, posix=True)
    lexer.whitespace_split = True
    lexer.commenters = lexer.escape = ""
    try:
        return list(lexer)
    except ValueError:
        raise UsageError("A quotation mark is not closed on this line.") from None


VALUED = frozenset(
    (
        *("-m", "--model", "-o", "--output", "-s", "--system", "-f", "--format"),
        *map(_flag, FROM_TABLE),
    )
)
"""Options of a line magic that are followed by a value."""

SWITCHES = frozenset(("--no-cache", "--stream", "--no-stream"))

OF_CELL = frozenset(("--schema", "--df", "--into"))
"""Options of the cell magic alone."""

_WORD = re.compile(r"""\s*(?:"[^"]*"|'[^']*'|\S)+""")


def split_line(line: str) -> tuple[str, str]:
    r"""Return the options at the front of a line, and the prompt behind them as it stands.

    A lone ``--`` ends the options.

    Raises:
        UsageError: If the line begins with an option that there is not.

    Example:
        >>> split_line('-m openai/gpt-5-mini -s "Be brief." What\'s -m for?')
        ('-m openai/gpt-5-mini -s "Be brief."', "What's -m for?")
    """
    place = 0
    while (word := _WORD.match(line, place)) is not None:
        name = word[0].strip()
        if name == "--":
            return line[:place].strip(), line[word.end() :].strip()
        if not re.match(r"--?[A-Za-z]", name):
            break
        if name in VALUED:
            value = _WORD.match(line, word.end())
            if value is None:
                raise UsageError(f"{name} needs a value, such as {name} {_EXAMPLES[name]}.")
            place = value.end()
        elif name in SWITCHES or name.partition("=")[0] in VALUED:
            place = word.end()
        else:
            raise UsageError(
                f"%llm has no option {name}. It has {', '.join(sorted(VALUED | SWITCHES))}; "
                "%%llm has more, see %%llm?.\n"
                "A prompt that begins with a dash stands behind two: %llm -- -5 + 3 = ?"
            )
    return line[:place].strip(), line[place:].strip()


def parsed(magics: object, name: str, line: str) -> argparse.Namespace:
    """Return the arguments of a magic as they stand on a line.

    Args:
        magics: The magics that it belongs to.
        name: Its name.
        line: Its arguments.

    Raises:
        UsageError: If they are not such as it takes.
    """
    parser: argparse.ArgumentParser = getattr(magics, name).parser
    args, rest = parser.parse_known_args(split_words(line))
    if rest:
        raise UsageError(
            f"{' '.join(rest)[:80]!r} is no argument of this magic; %{name}? lists them."
            + _HINTS.get(name, "")
        )
    return args


_HINTS = {
    "llm": "\nA model is named with -m MODEL, and a prompt stands in the lines below.",
}

_EXAMPLES = {
    **dict.fromkeys(("-m", "--model"), "openai/gpt-4o-mini"),
    **dict.fromkeys(("-o", "--output"), "answer"),
    **dict.fromkeys(("-s", "--system"), '"Be brief."'),
    **dict.fromkeys(("-f", "--format"), "json"),
    **{_flag(name): example for name, example in FROM_TABLE.items()},
}


def variable_name(name: str, option: str) -> str:
    """Return a name that can be bound.

    Raises:
        UsageError: If it cannot.
    """
    if not name.isidentifier():
        raise UsageError(f"{option} {name}: {name!r} cannot be the name of a variable.")
    return name


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
    if text.strip().lower() in _NOTHING:
        return None
    return checked({name: _reader(name)(text)})[name]


def check_limits(limits: Mapping[str, Any]) -> dict[str, Any]:
    """Return limits under their full names.

    Raises:
        ConfigurationError: If one is unknown or is no rate.
    """
    known: dict[str, Any] = {}
    for name, value in limits.items():
        full = full_name(str(name))
        if full not in LIMITS:
            raise ConfigurationError(f"{name!r} is no limit. Limits are: {', '.join(LIMITS)}.")
        if value is not None:
            known[full] = value_of(full, str(value))
    return known


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


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",")]


def _truth(text: str) -> bool:
    truths = {"true": True, "yes": True, "on": True, "1": True}
    truths |= {"false": False, "no": False, "off": False, "0": False}
    try:
        return truths[text.strip().lower()]
    except KeyError:
        raise ConfigurationError(f"{text!r} is neither on nor off.") from None


def _model(text: str) -> str:
    from llmnb.targets.resolve import choose

    choose(text)  # raises, with suggestions
    return text


def _reader(name: str) -> Callable[[str], Any]:
    """Return what reads the text of a setting."""
    if name == "model":
        return _model
    option = OPTIONS[name]
    if option.default == ():
        return _words
    if option.kind.choices == (True, False):
        return _truth
    return str if option.kind.typed is str else number
