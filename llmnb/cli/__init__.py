"""The command line; nothing is imported before its command is typed."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence

COMMANDS = {
    "demo": ("demo", "answer a real table with a model, and see what it costs"),
    "run": ("run", "ask a model about every row of a table"),
    "plan": ("run", "say what a run would take and cost; sends nothing"),
    "score": ("judging", "say how often a column is right, and where it is wrong; sends nothing"),
    "compare": ("judging", "ask several prompts or models the same, and say who is right"),
    "cache": ("cache", "list, show, clear, bring back, export and import kept answers"),
    "models": ("machine", "list providers, whether a key is found, and their default models"),
    "pull": ("machine", "fetch the weights of the small local model"),
    "doctor": ("machine", "say what works here"),
    "simulate": ("simulate", "serve a simulated provider to try things against"),
}
"""Every command's module and description. A function of its name does it, and
``add_NAME_arguments`` describes its options, where it has any."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        arguments: Words after ``llmnb``; None takes those of the process.

    Returns:
        0 when all is well, 1 when rows failed, 2 for what the caller can fix, 130 when interrupted.
    """
    typed = list(sys.argv[1:] if arguments is None else arguments)
    parser = _parser(typed[0] if typed and typed[0] in COMMANDS else None)
    options = parser.parse_args(typed)
    if not hasattr(options, "command"):
        parser.print_help()
        return 0
    from llmnb.errors import LLMNBError

    try:
        return int(options.act(options))
    except LLMNBError as error:
        print(f"llmnb: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # the reader, such as `head`, has seen enough
        sys.stderr.close()
        return 0


def _parser(command: str | None) -> argparse.ArgumentParser:
    """Return the parser; only the command that was named is imported."""
    parser = argparse.ArgumentParser(
        prog="llmnb",
        description="Ask an LLM something about every row of a table: within the limits, "
        "resumable, never paid for twice.",
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="show the version and leave")
    commands = parser.add_subparsers(metavar="COMMAND", title="commands")
    for name, (home, description) in COMMANDS.items():
        subparser = commands.add_parser(
            name, help=description, description=f"{description[0].upper()}{description[1:]}."
        )
        if name == command:
            module = importlib.import_module(f"llmnb.cli.{home}")
            getattr(module, f"add_{name}_arguments", lambda _: None)(subparser)
            subparser.set_defaults(command=name, act=getattr(module, name))
    return parser


class _Version(argparse.Action):
    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        import llmnb

        print(f"llmnb {llmnb.__version__}")
        parser.exit()
