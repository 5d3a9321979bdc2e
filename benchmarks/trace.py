"""Which functions one row of `df.llm.generate` passes, and which of them are handed the prompt.

Run as ``python -m benchmarks.trace [--tree FOLDER] [--names]``, with Python 3.11, for which the
figures are compared. It counts: it times nothing.

Two rows are asked of a simulated provider in a process of its own, one after another: one that has
to be sent, and the same one again, which is answered from the store. All threads are watched,
because the profile is set before the engine starts. A function is counted once, however often it
is called, by its file and its qualified name; modules and class bodies, which run when they are
imported, are not counted, nor is what a dataclass writes for itself.

The value `prompt` is followed by identity: a function counts when one of its arguments is that very
object, be it among `*args` or `**kwargs`. A climb is a call by which the prompt comes to a higher
floor than that of the function of llmnb that made the call; floors are those of the contract in
pyproject.toml.
"""

from __future__ import annotations

import argparse
import dataclasses
import inspect
import json
import sys
import tempfile
import threading
import tomllib
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

from laboratory import Laboratory

HERE = Path(__file__).resolve().parents[1]
ASIDE = ("testing",)
"""Folders that stand beside the house, whose functions are not counted."""

FRONT_DOOR = 1_000
"""The height of `__init__.py`, which no floor names: above everything."""

Function = tuple[str, str]
"""A file below llmnb/ and a qualified name in it."""


@dataclasses.dataclass(frozen=True, slots=True)
class Trace:
    """What one row passed.

    Args:
        functions: Every function, by file and qualified name, in the order of their first call.
        prompt: Those of them that were handed the prompt, in the same order.
        climbs: The calls, as caller and callee, that took the prompt to a higher floor.
    """

    functions: tuple[Function, ...]
    prompt: tuple[Function, ...]
    climbs: tuple[tuple[Function, Function], ...]

    def figures(self) -> dict[str, int]:
        """Return the counts by their names."""
        return {
            "functions": len(self.functions),
            "files": files(self.functions),
            "functions handed the prompt": len(self.prompt),
            "files handed the prompt": files(self.prompt),
            "climbs of the prompt": len(self.climbs),
        }


def files(functions: Iterable[Function]) -> int:
    """Return how many files some functions stand in."""
    return len({file for file, _ in functions})


def floors(tree: Path) -> dict[str, int]:
    """Return the height of each room, from the contract of the floors; 0 is the ground."""
    settings = tomllib.loads((tree / "pyproject.toml").read_text(encoding="utf-8"))
    (layers,) = [
        contract["layers"]
        for contract in settings["tool"]["importlinter"]["contracts"]
        if contract["type"] == "layers"
    ]
    return {
        name.strip(" ()"): height
        for height, layer in enumerate(reversed(layers))
        for name in layer.split("|")
    }


def room(file: str) -> str:
    """Return the room of a file, as the contract names it."""
    top, slash, _ = file.partition("/")
    return top if slash else top.removesuffix(".py")


class Watch:
    """Notes the functions of a package that are called while it is on.

    Args:
        package: The folder of the package.
        heights: The height of each room.
        prompt: The value to follow.
    """

    def __init__(self, package: Path, heights: dict[str, int], prompt: object) -> None:
        self._root = f"{package}/"
        self._heights = heights
        self._prompt = prompt
        self._functions_of: dict[CodeType, Function | None] = {}
        self._functions: dict[Function, None] = {}
        self._handed: dict[Function, None] = {}
        self._climbs: dict[tuple[Function, Function], None] = {}

    def begin(self) -> None:
        """Watch this thread and all that start from now on."""
        threading.setprofile(self._note)
        sys.setprofile(self._note)

    def end(self) -> None:
        """Stop watching this thread and new ones."""
        sys.setprofile(None)
        threading.setprofile(None)  # type: ignore[arg-type]

    def taken(self) -> Trace:
        """Return what was noted and begin anew."""
        trace = Trace(tuple(self._functions), tuple(self._handed), tuple(self._climbs))
        self._functions, self._handed, self._climbs = {}, {}, {}
        return trace

    def _note(self, frame: FrameType, event: str, _: object) -> None:
        if event != "call" or (function := self._function(frame.f_code)) is None:
            return
        self._functions[function] = None
        if any(value is self._prompt for value in arguments(frame)):
            self._handed[function] = None
            caller = self._caller(frame)
            if caller is not None and self._height(caller) < self._height(function):
                self._climbs[caller, function] = None

    def _function(self, code: CodeType) -> Function | None:
        if code in self._functions_of:
            return self._functions_of[code]
        file = code.co_filename.removeprefix(self._root)
        is_ours = file != code.co_filename and room(file) not in ASIDE
        # Bodies of modules and classes lack this flag.
        is_function = bool(code.co_flags & inspect.CO_OPTIMIZED)
        function = (file, code.co_qualname) if is_ours and is_function else None
        self._functions_of[code] = function
        return function

    def _caller(self, frame: FrameType) -> Function | None:
        above = frame.f_back
        while above is not None:
            if (function := self._function(above.f_code)) is not None:
                return function
            above = above.f_back
        return None

    def _height(self, function: Function) -> int:
        return self._heights.get(room(function[0]), FRONT_DOOR)


def arguments(frame: FrameType) -> list[object]:
    """Return the values a function was called with, those of `*args` and `**kwargs` included."""
    code = frame.f_code
    named = code.co_argcount + code.co_kwonlyargcount
    values = [frame.f_locals.get(name) for name in code.co_varnames[:named]]
    rest = code.co_varnames[named : named + 2]
    if code.co_flags & inspect.CO_VARARGS:
        values += frame.f_locals.get(rest[0], ())
        rest = rest[1:]
    if code.co_flags & inspect.CO_VARKEYWORDS:
        values += frame.f_locals.get(rest[0], {}).values()
    return values


def traces(tree: Path) -> tuple[Trace, Trace]:
    """Ask one row twice; return what the sent one passed, and what the cached one did.

    Args:
        tree: The folder that holds llmnb/. Nothing of llmnb may have been imported before.
    """
    sys.path.insert(0, str(tree))
    import pandas as pd

    import llmnb

    package = Path(llmnb.__file__).parent
    if package != tree / "llmnb":
        raise RuntimeError(f"{package} was imported instead of {tree / 'llmnb'}")
    prompt = "".join(["Is this kind or unkind? ", "{review}"])  # no constant, so that it is one
    watch = Watch(package, floors(tree), prompt)
    frame = pd.DataFrame({"review": ["Arrived a week late."]})
    taken = []
    # What became of the rows may still be written down while the folder goes.
    kept_in = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
    with Laboratory.spawn() as provider, kept_in as folder:
        llmnb.configure(cache_dir=folder, project_name="trace")
        model: Callable[..., Any] = llmnb.LLM  # the options differ between the trees compared
        asked = model(url=provider.base_url, api_key="k", model="m")
        watch.begin()
        try:
            for _ in range(2):
                answers = frame.llm.generate(prompt, model=asked, into="answer", progress=False)
                assert answers["answer"].notna().all()
                taken.append(watch.taken())
        finally:
            watch.end()
        sent = provider.ledger.totals().received
    if sent != 1:
        raise RuntimeError(f"{sent} requests were sent where the second row should be cached")
    return taken[0], taken[1]


def lines(sent: Trace, cached: Trace, names: bool) -> list[str]:
    """Return the figures as text, and on request every name."""
    either = dict.fromkeys(sent.functions + cached.functions)
    figures = {"sent": sent.figures(), "cached": cached.figures()}
    printed = [f"either: {len(either)} functions in {files(either)} files"]
    for row, counts in figures.items():
        printed += [f"{row}: {count} {what}" for what, count in counts.items()]
    for caller, callee in sent.climbs:
        printed.append(f"climb: {' '.join(caller)} -> {' '.join(callee)}")
    if names:
        printed += [f"prompt: {file} {name}" for file, name in sent.prompt]
        printed += [f"function: {file} {name}" for file, name in either]
    return printed


def main(arguments_: Sequence[str] | None = None) -> None:
    """Print the figures of a tree."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.trace")
    parser.add_argument("--tree", type=Path, default=HERE, metavar="FOLDER")
    parser.add_argument("--names", action="store_true", help="list every function, as first called")
    parser.add_argument("--json", action="store_true", help="the counts as JSON")
    options = parser.parse_args(arguments_)
    sent, cached = traces(options.tree.resolve())
    if options.json:
        print(json.dumps({"sent": sent.figures(), "cached": cached.figures()}))
    else:
        print(*lines(sent, cached, options.names), sep="\n")


if __name__ == "__main__":
    main()
