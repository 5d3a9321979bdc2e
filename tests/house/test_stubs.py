"""Promises about what editors and type checkers are told of options: the table, and all of it."""

from __future__ import annotations

import ast
import inspect
import re
import subprocess
import sys

import pytest
from tree import ROOT, source_files

import llmnb
from llmnb import generation, settings
from llmnb.batches.start import start_batch
from llmnb.engine.handle import RunHandle
from llmnb.frames.accessors import DataFrameLLM, SeriesLLM
from llmnb.frames.dask import DaskFrameLLM, DaskSeriesLLM
from llmnb.frames.polars import ExprLLM, LazyFrameLLM, PolarsFrameLLM, PolarsSeriesLLM
from llmnb.notebook import options as magic_options
from llmnb.options import OPTIONS, PARAMS, names
from llmnb.running.planning import plan
from llmnb.running.start import start
from llmnb.signatures import KEYWORDS


def test_the_stub_is_the_table():
    """
    The generated file says what the table of options says today.
    """
    done = subprocess.run(
        [sys.executable, ROOT / "tools" / "stubs", "--check"], capture_output=True, text=True
    )

    assert done.returncode == 0, done.stdout + done.stderr


ACCESSORS = [
    *(DataFrameLLM, SeriesLLM, PolarsFrameLLM, PolarsSeriesLLM, LazyFrameLLM, ExprLLM),
    *(DaskFrameLLM, DaskSeriesLLM),
]
VERBS = {
    f"{kind.__name__}.{name}": getattr(kind, name)
    for kind in ACCESSORS
    for name in dir(kind)
    if not name.startswith("_")
}
MODELS = {
    f"{kind.__name__}.{name}": getattr(kind, name)
    for kind in (llmnb.LLM, llmnb.LiteLLMModel)
    for name in ("call", "call_single", "call_sync", "call_single_sync", "acompletion")
}
DOORS = {
    "AsyncLLM": llmnb.AsyncLLM,
    **{
        f"AsyncLLM.{name}": getattr(llmnb.AsyncLLM, name)
        for name in ("generate", "agenerate", "start", "iterate", "aiterate")
    },
    "GenerationMaster": llmnb.GenerationMaster,
    **{name: getattr(generation, name) for name in dir(generation) if "requests" in name[8:24]},
    "openai_parallel_generate": generation.openai_parallel_generate,
    "openai_parallel_generate_sync": generation.openai_parallel_generate_sync,
    "configure": llmnb.configure,
    "set_limits": RunHandle.set_limits,
    "SimulatedProvider": llmnb.testing.SimulatedProvider,
}


def shown(function):
    """Return the parameters that a function shows."""
    return list(inspect.signature(function).parameters.values())


def test_a_door_shows_its_whole_signature_and_describes_all_of_it():
    """
    No keyword hides behind ``**options``, and each has its line among the arguments.
    """
    doors = {**VERBS, **DOORS}
    hidden = [
        name
        for name, door in doors.items()
        if shown(door)[-1].kind is inspect.Parameter.VAR_KEYWORD
    ]
    undescribed = [
        f"{name}: {parameter.name}"
        for name, door in doors.items()
        for parameter in shown(door)
        if f"\n    {parameter.name}: " not in inspect.getdoc(door) and parameter.name != "self"
    ]

    assert hidden == []
    assert undescribed == []


def test_a_call_of_a_model_shows_options_before_further_fields():
    """
    What the engine takes stands by name, and what is left of ``**kw`` are fields of the request.
    """
    for name, method in MODELS.items():
        *named, rest = shown(method)
        single = {"n"} if "single" in name else set()

        assert rest.kind is rest.VAR_KEYWORD
        assert {*names("call"), *PARAMS} - single <= {parameter.name for parameter in named}, name


def test_types_can_be_read():
    """
    A signature names types as a person writes them: unquoted, and without what wraps options.
    """
    soup = ("Unpack", "ForwardRef", ": 'str", "| None'")
    unreadable = [
        f"{name}: {word}"
        for name, function in {**VERBS, **DOORS, **MODELS}.items()
        for word in soup
        if word in str(inspect.signature(function))
    ]

    assert unreadable == []


def test_every_verb_has_an_example():
    """
    Whoever asks for help of a verb sees how it is called, the awaited twins included.
    """
    lacking = [
        name
        for name, verb in VERBS.items()
        if f".llm.{verb.__name__}(" not in inspect.getdoc(verb).partition("\nExample:\n")[2]
    ]

    assert lacking == []


@pytest.mark.parametrize(
    ("door", "shown", "without"),
    [
        ("frames", DataFrameLLM.generate, ()),
        ("frames", DataFrameLLM.agenerate, ()),
        ("embed", SeriesLLM.embed, ()),
        ("AsyncLLM", llmnb.AsyncLLM.generate, ("cache_dir",)),
        ("AsyncLLM", llmnb.AsyncLLM.start, ("cache_dir", "progress")),
        ("AsyncLLM", llmnb.AsyncLLM, ("use_cache", "mode", "progress", "cooldown")),
        ("GenerationMaster", llmnb.GenerationMaster, ()),
        ("generation", generation.process_api_requests_from_file, ()),
        ("generation", generation.process_api_requests_from_file_sync, ()),
        ("generation", generation.openai_parallel_generate, ("allow_urls",)),
        ("generation", generation.openai_parallel_generate_sync, ("allow_urls",)),
        ("configure", llmnb.configure, ()),
    ],
)
def test_every_option_of_a_door_is_in_its_signature(door, shown, without):
    """
    What the table has for a door can be seen there.
    """
    parameters = inspect.signature(shown).parameters
    has_params = door in ("frames", "AsyncLLM", "GenerationMaster", "generation")

    assert {*names(door), *(PARAMS if has_params else ())} - {*without} <= parameters.keys()


@pytest.mark.parametrize(
    ("door", "function"), [("start", start), ("plan", plan), ("batch", start_batch)]
)
def test_the_engine_s_own_doors_take_every_option_of_theirs(door, function):
    """
    Behind the public ones the list that the signature names has what the table has for the door.
    """
    *_, rest = shown(function)
    (keywords,) = re.findall(r"Unpack\[(\w+)\]", rest.annotation)

    assert {*KEYWORDS[keywords]} == {*names(door)}


def test_defaults_are_those_of_the_table():
    """
    A signature shows the default that holds.
    """
    for verb in (DataFrameLLM.generate, DataFrameLLM.agenerate):
        parameters = inspect.signature(verb).parameters
        for name in {*names("frames"), *PARAMS}:
            table = OPTIONS if name in OPTIONS else PARAMS
            assert parameters[name].default == table[name].default


def test_an_option_is_declared_by_hand_in_three_places_at_most():
    """
    In the table, where its value is held, and once more where a signature is given by others.
    """
    nodes = [
        node
        for path in source_files()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.arg | ast.AnnAssign | ast.Dict)
    ]
    options = ("time_limit", "hedge_after", "max_wait", "cooldown", "max_rps", "files_root")
    places = {option: sum(declares(node, option) for node in nodes) for option in options}

    assert {option: count for option, count in places.items() if not 1 <= count <= 3} == {}


def declares(node: ast.AST, option: str) -> bool:
    """Return whether a piece of code is a parameter, a field, or an entry of a table so called."""
    match node:
        case ast.arg(arg=name) | ast.AnnAssign(target=ast.Name(id=name)):
            return name == option and node.annotation is not None
        case ast.Dict():
            keys = [key.value for key in node.keys if isinstance(key, ast.Constant)]
            calls = [value for value in node.values if isinstance(value, ast.Call)]
            return option in keys and len(calls) == len(node.values)
    return False


def test_configure_and_its_magic_take_the_same_names():
    """
    `llmnb.configure` and `%llm_config` have one list, whose full names are all the settings.
    """
    parameters = [*inspect.signature(llmnb.configure).parameters]

    assert parameters == [*magic_options.WORDS]
    assert {*map(settings.full_name, parameters)} == {*settings.Settings.__dataclass_fields__}
