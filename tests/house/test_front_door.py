"""Promises about `import llmnb`: light, silent, and every public name behind it."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tree import PACKAGE, ROOT

import llmnb

WATCHED_IMPORT = """
import sys
seen = []
sys.addaudithook(lambda event, args: seen.append((event, str(args[0]) if args else "")))
import llmnb
here = len(seen)
import json
print(json.dumps({"events": seen[:here], "modules": sorted(sys.modules)}))
"""

HEAVY = [
    "IPython",
    "aiohttp",
    "anywidget",
    "asyncio",
    "ipywidgets",
    "numpy",
    "orjson",
    "pandas",
    "pydantic",
    "tiktoken",
    "tqdm",
]


@pytest.fixture
def watched(tmp_path: Path) -> dict:
    """What `import llmnb` did in a process with no home, in a folder that it may not write to."""
    folder = tmp_path / "read-only"
    folder.mkdir(mode=0o500)
    done = subprocess.run(
        [sys.executable, "-B", "-c", WATCHED_IMPORT],
        cwd=folder,
        env={"PYTHONPATH": str(ROOT), "PATH": os.defpath},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    return json.loads(done.stdout)


def test_import_loads_nothing_heavy(watched):
    """
    Neither the HTTP library nor IPython, widgets, pandas or a tokenizer is loaded.
    """
    assert [name for name in HEAVY if name in watched["modules"]] == []


def test_import_loads_a_single_file_of_its_own(watched):
    """
    Of llmnb itself the front door is all that is loaded.
    """
    own = [name for name in watched["modules"] if name.partition(".")[0] == "llmnb"]

    assert own == ["llmnb"]


def test_import_opens_no_socket_and_starts_nothing(watched):
    """
    No socket, no process, no thread.
    """
    forbidden = ("socket.", "subprocess.", "os.system", "os.fork", "os.exec", "_thread.")

    assert [event for event, _ in watched["events"] if event.startswith(forbidden)] == []


def test_import_reads_no_file_but_code(watched):
    """
    No configuration, no .env, no cache is looked at, and nothing is written.
    """
    opened = [Path(what) for event, what in watched["events"] if event == "open"]

    assert [path for path in opened if path.suffix not in {".py", ".pyc"}] == []


def test_public_names_are_sorted_and_exist():
    """
    Every name in `__all__` can be had, and the list reads in order.
    """
    assert list(llmnb.__all__) == sorted(llmnb.__all__)
    assert [name for name in llmnb.__all__ if getattr(llmnb, name, None) is None] == []
    assert set(llmnb.__all__) <= set(dir(llmnb))


def test_type_checkers_see_what_the_lazy_table_gives():
    """
    Each public name is imported for type checkers from the module where it is found at run time.
    """
    tree = ast.parse((PACKAGE / "__init__.pyi").read_text(encoding="utf-8"))
    shown = {
        alias.name: node.module
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }

    assert shown == {**dict.fromkeys(llmnb.MODULES, "llmnb"), **llmnb.HOMES}
    assert set(llmnb.__all__) == {*shown, "__version__"}


def test_an_unknown_name_is_an_attribute_error():
    """
    A misspelling is what it is in any module.
    """
    with pytest.raises(AttributeError, match="AsyncLLm"):
        _ = llmnb.AsyncLLm


def test_star_import_gives_the_public_names():
    """
    `from llmnb import *` works, lazy as the names are.
    """
    names: dict[str, object] = {}

    exec("from llmnb import *", names)

    assert set(llmnb.__all__) <= set(names)
