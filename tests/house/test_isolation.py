"""What a process remembers is forgotten between tests, whoever adds to it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import isolation
import pytest

import llmnb

PACKAGE = Path(llmnb.__file__).parent
EMPTY = {"dict", "list", "set", "WeakSet", "WeakKeyDictionary", "WeakValueDictionary"}
TELLS = {"logger", "log", "warn", "print"}


def last_name(call: ast.expr) -> str:
    return ast.unparse(call).partition("(")[0].rpartition(".")[2]


def is_empty(value: ast.expr | None) -> bool:
    """Whether a value is a collection that is there to be filled."""
    if isinstance(value, ast.Call):
        return not value.args and last_name(value) in EMPTY
    return ast.unparse(value) in ("{}", "[]") if value is not None else False


def tells_once(node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Whether a function remembers that it has told something."""
    is_kept = any(last_name(part) in ("lru_cache", "cache") for part in node.decorator_list)
    called = [part.func for part in ast.walk(node) if isinstance(part, ast.Call)]
    return is_kept and any(ast.unparse(part).partition(".")[0] in TELLS for part in called)


def remembered(path: Path) -> Iterator[str]:
    """Yield the names in a file that outlive whoever changes them."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in tree.body:
        if isinstance(node, ast.Assign | ast.AnnAssign) and is_empty(node.value):
            name = ast.unparse(node.targets[0] if isinstance(node, ast.Assign) else node.target)
            if not name.isupper():  # a constant
                yield name
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and tells_once(node):
            yield node.name
    for node in ast.walk(tree):
        if isinstance(node, ast.Global):
            yield from node.names


def name_of(path: Path) -> str:
    return ".".join(("llmnb", *path.relative_to(PACKAGE).with_suffix("").parts))


def test_whatever_a_process_remembers_is_forgotten_between_tests_or_said_why_it_may_stay():
    """
    Collections that are filled, names that functions rebind, and what is told once, in every
    module.
    """
    state = {
        f"{name_of(path).removesuffix('.__init__')}.{name}"
        for path in PACKAGE.rglob("*.py")
        for name in remembered(path)
    }
    forgotten = {
        f"{module}.{name}"
        for names in (isolation.CLEARED, isolation.NONE)
        for module, several in names.items()
        for name in several
    }

    assert state <= forgotten | isolation.STAYS.keys()
    assert isolation.STAYS.keys() <= state - forgotten
    assert forgotten <= state | {"llmnb.adapters.egress.safe_url"}


@pytest.mark.parametrize("turn", [1, 2])
def test_a_test_finds_nothing_of_an_earlier_test(turn, provider, caplog):
    """
    Neither a level, a price, a word told once, a breaker of the same address, nor a run.
    """
    import logging

    from llmnb import bridge, cost
    from llmnb.adapters import prices
    from llmnb.engine import handle
    from llmnb.engine.shared import engine
    from llmnb.frames import failures
    from llmnb.rate_limiter import GLOBAL_LIMITER
    from llmnb.records import Usage

    async def gates() -> int:
        return len(engine().gates)

    assert bridge.call(gates()) == 0
    assert handle.last_run() is None
    assert prices.price("openai", "dear", Usage(prompt=1)) is None
    assert not cost.GLOBAL_COST_TRACKER.enabled
    assert not GLOBAL_LIMITER.rate_config
    failures.log_once("A word.")
    assert caplog.messages == ["A word."]

    llm = llmnb.AsyncLLM(
        model="openai/a", url=provider.base_url, api_key="k", logging_level="ERROR"
    )
    llm.generate([{"prompt": "a"}], progress=False)
    provider.hold()
    llm.start([{"prompt": "b"}], progress=False)
    provider.wait_received(2)
    prices.set_price("dear", 1.0)
    cost.GLOBAL_COST_TRACKER.enabled = True
    GLOBAL_LIMITER.rate_config["client", "a"] = "100/minute"
    assert bridge.call(gates()) == 1
    assert handle.last_run() is not None
    assert logging.getLogger("llmnb").level == logging.ERROR
