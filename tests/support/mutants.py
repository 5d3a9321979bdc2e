r"""
Sixty small faults, put into the code one at a time, to see whether the tests notice each.

    python tests/support/mutants.py list # what would be changed
    python tests/support/mutants.py run --out killed.jsonl   # a line a fault; resumes
    python tests/support/mutants.py run --out new.jsonl --only-killed-in killed.jsonl \
        --drawn-from OLD

The faults are drawn with a seed from the code of ``--drawn-from`` (default: ``--code``), ten of
each group, put into the code of ``--code`` (default: this tree) and tried by the tests of
``--tests`` (default: this tree), so that an old and a new suite can be compared on the very same
faults. A fault whose line is no more in ``--code`` is left out, and said. A fault that hangs
the tests is noticed.
"""

from __future__ import annotations

import argparse
import ast
import json
import random
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

ROOT = Path(__file__).parents[2]
SEED = 12
EACH = 10

GROUPS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    # group: (code, tests that are asked first to last)
    "decide": (("decide",), ("decide", "engine", "rate_limiter")),
    "wire": (("wire",), ("wire", "models", "faults", "protocol")),
    "store": (("store",), ("store", "test_client.py", "cli", "notebook")),
    "engine": (("engine",), ("engine", "faults", "test_client.py", "frames", "cost")),
    "frames": (("frames",), ("frames", "notebook", "cli")),
    "escapers": (
        ("display", "notebook/markdown.py", "store/transfer.py", "batches/card.py"),
        ("display", "notebook", "store", "batches", "cli", "models", "frames", "browser"),
    ),
}

_COMPARED = {"<=": "<", ">=": ">", "<": "<=", ">": ">=", "==": "!=", "!=": "=="}
_COMPARED |= {"is not": "is", "is": "is not", "not in": "in", "in": "not in"}


@dataclass(frozen=True)
class Mutant:
    """One change of one place."""

    group: str
    file: str
    line: int
    start: int
    end: int
    old: str
    new: str

    @property
    def name(self) -> str:
        """Where it is and what it changes."""
        return f"{self.file}:{self.line} {self.old!r} -> {self.new!r}"


class _Places(ast.NodeVisitor):
    """Collects the spans of a source that can be changed, and what to."""

    def __init__(self, source: str) -> None:
        self.source = source
        starts = [0]
        for line in source.encode().splitlines(keepends=True):
            starts.append(starts[-1] + len(line))
        self._starts = starts
        self._bytes = source.encode()
        self.changes: list[tuple[int, int, int, str]] = []
        self.visit(ast.parse(source))

    def _span(self, node: ast.expr) -> tuple[int, int]:
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        return (
            self._starts[node.lineno - 1] + node.col_offset,
            self._starts[node.end_lineno - 1] + node.end_col_offset,
        )

    def _between(self, left: ast.expr, right: ast.expr, signs: dict[str, str]) -> None:
        start, end = self._span(left)[1], self._span(right)[0]
        text = self._bytes[start:end].decode()
        for word in sorted(signs, key=len, reverse=True):
            if word in text:
                at = start + len(text[: text.index(word)].encode())
                self.changes.append((left.lineno, at, at + len(word), signs[word]))
                return

    def visit_Compare(self, node: ast.Compare) -> None:
        self._between(node.left, node.comparators[0], _COMPARED)
        self.generic_visit(node)

    def visit_BoolOp(self, node: ast.BoolOp) -> None:
        self._between(node.values[0], node.values[1], {"and": "or", "or": "and"})
        self.generic_visit(node)

    def visit_BinOp(self, node: ast.BinOp) -> None:
        if isinstance(node.op, ast.Add | ast.Sub | ast.Mult):
            signs = {"+": "-", "-": "+", "*": "+"}
            self._between(node.left, node.right, signs)
        self.generic_visit(node)

    def visit_UnaryOp(self, node: ast.UnaryOp) -> None:
        if isinstance(node.op, ast.Not):
            start, _ = self._span(node)
            self.changes.append((node.lineno, start, start + len("not "), ""))
        self.generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> None:
        start, end = self._span(node)
        if isinstance(node.value, bool):
            self.changes.append((node.lineno, start, end, repr(not node.value)))
        elif isinstance(node.value, int):
            self.changes.append((node.lineno, start, end, repr(node.value + 1)))

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if node.value is not None:  # what stands in an annotation decides nothing
            self.visit(node.value)

    def visit_arguments(self, node: ast.arguments) -> None:
        for value in [*node.defaults, *node.kw_defaults]:
            if value is not None:
                self.visit(value)


def mutants(code: Path) -> list[Mutant]:
    """Draw the faults, ten of each group, the same for the same code."""
    drawn = []
    for group, (places, _) in GROUPS.items():
        group_mutants = []
        for part in places:
            path = code / "llmnb" / part
            for file in sorted(path.rglob("*.py")) if path.is_dir() else [path]:
                if not file.exists():
                    continue
                source = file.read_text()
                name = file.relative_to(code).as_posix()
                for line, start, end, new in _Places(source).changes:
                    old = source.encode()[start:end].decode()
                    group_mutants.append(Mutant(group, name, line, start, end, old, new))
        drawn += random.Random(f"{SEED} {group}").sample(
            group_mutants, min(EACH, len(group_mutants))
        )
    return drawn


def moved(mutant: Mutant, old: Path, new: Path) -> Mutant | None:
    """Return the same fault in another version of the code, `None` where its line is gone."""
    was = (old / mutant.file).read_bytes()
    if not (new / mutant.file).exists():
        return None
    start = was.rfind(b"\n", 0, mutant.start) + 1
    end = was.index(b"\n", mutant.start) + 1
    before = was[was.rfind(b"\n", 0, start - 1) + 1 : start] if start else b""
    whole = (new / mutant.file).read_bytes()
    # With the line before it, where the line alone is not unique.
    for context in (b"", before):
        wanted = context + was[start:end]
        if (b"\n" + whole).count(b"\n" + wanted) == 1:
            at = (b"\n" + whole).index(b"\n" + wanted) + len(context) + mutant.start - start
            line = whole.count(b"\n", 0, at) + 1
            size = mutant.end - mutant.start
            return replace(mutant, line=line, start=at, end=at + size)
    return None


def _tree(code: Path, tests: Path, folder: Path) -> None:
    for name in ("llmnb", "examples", "docs", "benchmarks", "notebooks", "tools"):
        shutil.copytree(code / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(tests / "tests", folder / "tests", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("README.md", "CHANGELOG.md", "Makefile"):
        shutil.copy(code / name, folder)
    shutil.copy(tests / "pyproject.toml", folder)
    for name in (".venv", ".tools"):
        (folder / name).symlink_to((ROOT / name).resolve())


def _is_killed(folder: Path, group: str, limit: float, first: str = "") -> str:
    """Return what noticed the fault in a tree, nothing where it lives."""
    for target in [*filter(None, [first]), *GROUPS[group][1]]:
        if not (folder / "tests" / target).exists():
            continue
        asked = [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-x",
            "-p",
            "no:nbmake",
            "--timeout=120",
            "--tb=no",
        ]
        try:
            done = subprocess.run(
                [*asked, "-p", "no:cacheprovider", "-p", "no:nbmake", f"tests/{target}"],
                cwd=folder, capture_output=True, text=True, timeout=limit,
                stdin=subprocess.DEVNULL,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            return f"tests/{target} hangs"
        if done.returncode not in (0, 5):
            lines = [
                line for line in done.stdout.splitlines() if line.startswith(("FAILED", "ERR"))
            ]
            return lines[0] if lines else f"tests/{target}: exit {done.returncode}"
    return ""


def run(
    code: Path,
    tests: Path,
    out: Path,
    chosen: list[Mutant],
    limit: float,
    *,
    drawn_from: Path,
    killers: dict[str, str],
) -> None:
    """Try each fault, the file that noticed it elsewhere first; append a line for each."""
    known = {row["name"] for row in _rows(out)}
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made) / "tree"
        folder.mkdir()
        _tree(code, tests, folder)
        for mutant in chosen:
            if mutant.name in known:
                continue
            here = moved(mutant, drawn_from, code)
            if here is None:
                print("gone  ", mutant.name, flush=True)
                continue
            file = folder / here.file
            whole = file.read_bytes()
            changed = whole[: here.start] + here.new.encode() + whole[here.end :]
            try:
                file.write_bytes(changed)
                by = _is_killed(folder, mutant.group, limit, killers.get(mutant.name, ""))
            finally:
                file.write_bytes(whole)
            row = {"name": mutant.name, **asdict(mutant), "killed_by": by}
            with out.open("a") as lines:
                lines.write(json.dumps(row) + "\n")
            print("killed" if by else "LIVES ", mutant.name, "|", by, flush=True)


def _rows(file: Path | None) -> Iterator[dict[str, str]]:
    if file is not None and file.exists():
        yield from map(json.loads, file.read_text().splitlines())


def main() -> None:
    """Run as a command."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0] if __doc__ else "")
    parser.add_argument("do", choices=["list", "run"])
    parser.add_argument("--code", type=Path, default=ROOT)
    parser.add_argument("--tests", type=Path, default=ROOT)
    parser.add_argument("--drawn-from", type=Path)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--only-killed-in", type=Path)
    parser.add_argument(
        "--limit", type=float, default=400.0, help="seconds for one folder of tests"
    )
    parser.add_argument("--part", default="0/1", help="k/n: every n-th fault, beginning with k")
    asked = parser.parse_args()
    drawn_from = asked.drawn_from or asked.code
    chosen = mutants(drawn_from)
    killers = {
        row["name"]: "".join(re.findall(r"tests/([\w/]+\.py)", row["killed_by"])[:1])
        for row in _rows(asked.only_killed_in)
        if row["killed_by"]
    }
    if asked.only_killed_in:
        chosen = [mutant for mutant in chosen if mutant.name in killers]
    part, parts = map(int, asked.part.split("/"))
    chosen = chosen[part::parts]
    if asked.do == "list":
        for mutant in chosen:
            print(mutant.name)
        return
    if asked.out is None:
        parser.error("run needs --out FILE")
    run(
        asked.code,
        asked.tests,
        asked.out,
        chosen,
        asked.limit,
        drawn_from=drawn_from,
        killers=killers,
    )


if __name__ == "__main__":
    main()
