"""Promises about options: one table, and at every door the same names, values and sentences."""

from __future__ import annotations

import ast
import json
import math
import re
from pathlib import Path

import dask
import dask.dataframe as dd
import pandas as pd
import polars as pl
import pytest
from claims import claimed_bursts

import llmnb
from llmnb import LLM, AsyncLLM, GenerationMaster, LiteLLMModel, settings
from llmnb.chat.run_tools import run_tools
from llmnb.errors import ConfigurationError
from llmnb.frames import dask_watching
from llmnb.generation import (
    openai_parallel_generate_sync,
    process_api_requests_from_file_sync,
)
from llmnb.options import OPTIONS, PARAMS, checked, names
from llmnb.testing import SimulatedProvider

NAN, INFINITE = math.nan, math.inf

WRONG = {
    "model": [5],
    "system": [5],
    "format": ["xml", 1],
    "stream": ["yes", 1],
    "project_name": [5],
    "cache_dir": [5, ""],
    "share": ["", 1, [1], None],
    "use_cache": [1, "no", None],
    "max_requests_per_minute": [0, "fast", True, NAN],
    "max_tokens_per_minute": [-1, [], "0/minute"],
    "max_concurrent_requests": [0, "20", 2.5, True],
    "burst": ["quick", 1, True],
    "max_rps": [1, "yes"],
    "max_attempts": [0, "20", 1.5, True, None],
    "max_wait": [-1, "1200", NAN, INFINITE, True],
    "cooldown": [-1, "1"],
    "time_limit": [0, "5", NAN, INFINITE, True, 10**400],
    "hedge_after": ["p99", 0, -1, NAN, True],
    "budget_usd": ["five", -1, NAN, True],
    "good_finish": [5, [""], [7]],
    "n": [0, "2", 1025, True],
    "duplicates": ["twice", None],
    "mode": ["later", None],
    "on_error": ["ignore"],
    "details": [1, "yes"],
    "files_root": [5, ""],
    "overwrite": [1, "yes", None],
    "fetch_files": ["yes", 1],
    "quotes": ["yes", 1, None],
    "batch_size": [0, "8"],
    "progress": ["no", 1],
    "truncate": ["middle"],
    "allow_urls": [1],
    "allow_http": ["yes"],
    "show_answers": ["yes", 1],
    "max_rounds": [0, "8"],
    "max_calls": [0],
    "max_result_characters": [0],
    "tool_timeout": [0, "1"],
}

RIGHT = {
    "project_name": "p",
    "share": "Maths",
    "use_cache": True,
    "max_requests_per_minute": "1000 per second",
    "max_tokens_per_minute": 1_000_000,
    "max_concurrent_requests": 3,
    "burst": "smooth",
    "max_rps": False,
    "max_attempts": 2,
    "max_wait": 1200,
    "cooldown": 0,
    "time_limit": 60,
    "hedge_after": "p95",
    "good_finish": "done",
    "n": 1,
    "duplicates": "sample",
    "mode": "live",
    "on_error": "raise",
    "details": False,
    "fetch_files": True,
    "quotes": False,
    "batch_size": 8,
    "progress": False,
    "truncate": "start",
    "allow_urls": False,
    "allow_http": False,
    "show_answers": False,
}


class Doors:
    """One question at every door, with what the door is given beside it."""

    def __init__(self, sim, folder):
        self.sim, self.folder = sim, folder
        self.llm = LLM(url=sim.base_url, api_key="k", model="m")
        self.where = {"url": sim.base_url, "api_key": "k", "model": "m"}

    def call(self, **options):
        return self.llm.call_single_sync("Hi", **options).text

    def generate_of_llm(self, **options):
        return self.llm.generate("Hi", **options)

    def config(self, **options):
        config = {"api_base": self.sim.base_url, "api_key": "k", **options}
        return LiteLLMModel("gpt-4o", config).call_single_sync("Hi").text

    def tools(self, **options):
        def now() -> str:
            """Return the time."""
            return "noon"

        return llmnb.bridge.call(run_tools(self.llm, "Hi", [now], **options)).text

    def asyncllm(self, **options):
        return self._row(AsyncLLM(**self.where, **options).generate([{"prompt": "Hi"}]))

    def generate_of_asyncllm(self, **options):
        return self._row(AsyncLLM(**self.where).generate([{"prompt": "Hi"}], **options))

    def start_of_asyncllm(self, **options):
        (outcome,) = AsyncLLM(**self.where).start([{"prompt": "Hi"}], **options).result(60)
        return outcome.text

    def pandas(self, **options):
        return pd.Series(["Hi"]).llm.generate(model=self.llm, **options)[0]

    def polars(self, **options):
        return pl.Series(["Hi"]).llm.generate(model=self.llm, **options)[0]

    def dask(self, **options):
        where = LLM(url=self.sim.base_url, model="m")
        series = dd.from_pandas(pd.Series(["Hi"]), npartitions=1)
        with dask.config.set(scheduler="synchronous"):
            return series.llm.generate(model=where, **options).compute()[0]

    def master(self, **options):
        master = GenerationMaster([self.llm], ["Hi"], **{"bars": False, **options})
        return llmnb.bridge.call(master.run())[0]

    def many(self, **options):
        request = {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}
        return self._row(
            openai_parallel_generate_sync(
                [request],
                **{"request_url": self.sim.base_url, "api_key": "k", "progress": False, **options},
            )
        )

    def file(self, **options):
        path = self.folder / "requests.jsonl"
        path.write_text('{"model": "m", "messages": [{"role": "user", "content": "Hi"}]}\n')
        report = process_api_requests_from_file_sync(
            path,
            **{"request_url": self.sim.base_url, "api_key": "k", "progress": False, **options},
        )
        return self._row([json.loads(report.save_filepath.read_text())])

    def embed(self, **options):
        vectors = pd.Series(["Hi"]).llm.embed(model=self.llm, **options)
        return "OK" if len(vectors[0]) else None

    def config_of_vectors(self, **options):
        config = {"kwargs": {"api_base": self.sim.base_url, "api_key": "k"}, **options}
        model = llmnb.LiteLLMEmbeddingModel(config=config)
        return "OK" if model.embed_document_sync("Hi") else None

    def configure(self, **options):
        settings.configure(**options)
        return self.call()

    @staticmethod
    def _row(rows):
        response = rows[0][1]
        assert isinstance(response, dict), response
        return response["choices"][0]["message"]["content"]


def of(door, *without):
    return tuple(name for name in names(door) if name not in without)


AT = {
    "call": of("call"),
    "generate_of_llm": of("call", "n", "allow_http"),
    "config": of("call", "allow_http"),
    "tools": (*of("run_tools"), "budget_usd", "max_wait"),
    "asyncllm": of("AsyncLLM", "use_cache", "mode", "progress", "cooldown"),
    "generate_of_asyncllm": of("AsyncLLM", "cache_dir"),
    "start_of_asyncllm": of("AsyncLLM", "cache_dir", "progress"),
    "pandas": of("frames"),
    "polars": of("frames"),
    "dask": of("frames"),
    "master": of("GenerationMaster"),
    "many": of("generation", "allow_urls"),
    "file": of("generation"),
    "embed": of("embed"),
    "config_of_vectors": (
        *("max_requests_per_minute", "max_tokens_per_minute", "max_concurrent_requests"),
        *("burst", "max_attempts", "max_wait", "budget_usd", "batch_size"),
    ),
    "configure": of("configure"),
}
"""The options that each door takes."""


@pytest.fixture(scope="module")
def sim():
    with SimulatedProvider(reply="OK", latency=0) as provider:
        yield provider


@pytest.fixture
def doors(sim, tmp_path):
    llmnb.register_accessor("llm")
    settings.configure(cache_dir=str(tmp_path / "cache"))
    yield Doors(sim, tmp_path)
    dask_watching.close()


def sent(sim):
    return len(sim.ledger.rows)


@pytest.mark.parametrize("door", AT)
def test_a_wrong_value_is_refused_before_anything_is_sent(doors, sim, door):
    """
    At every door the sentence names option and value, and says that nothing was sent.
    """
    before = sent(sim)
    for name in AT[door]:
        for value in WRONG[name]:
            if value is None and (door, name) in LEFT_OUT:
                continue
            with pytest.raises(ConfigurationError) as caught:
                getattr(doors, door)(**{name: value})
            message = caught.value.message
            assert message.startswith(f"{name} is "), message
            assert f", not {value!r}"[:50] in message
            assert message.endswith("Nothing was sent."), message
    assert sent(sim) == before


LEFT_OUT = {
    *(("config", name) for name in ("share", "use_cache", "max_attempts")),
    *(("embed", name) for name in ("share", "use_cache", "max_attempts")),
    ("config_of_vectors", "max_attempts"),
}
"""Where None means that an option was not given."""


@pytest.mark.parametrize("door", AT)
@pytest.mark.parametrize(
    ("configured", "passed", "held"),
    [
        (None, None, "announced"),
        (None, "smooth", "smooth"),
        ("smooth", None, "smooth"),
        ("smooth", "announced", "announced"),
    ],
)
def test_a_call_says_how_limits_are_spent_else_the_settings(
    doors, monkeypatch, door, configured, passed, held
):
    """
    At every door burst= wins over `configure`; without either what is announced is spent at once.
    """
    claims = claimed_bursts(monkeypatch)
    settings.configure(burst=configured)

    assert getattr(doors, door)(**({} if passed is None else {"burst": passed})) == "OK"
    assert claims
    assert set(claims) == {held}


@pytest.mark.parametrize("door", AT)
def test_a_right_value_is_taken(doors, door):
    """
    Every option that the table has for a door is accepted there.
    """
    passed = {name: RIGHT[name] for name in AT[door] if name in RIGHT}
    if door == "many" or door == "file":
        passed |= {"cache_dir": str(doors.folder / "other")}

    assert getattr(doors, door)(**passed) == "OK"


def test_every_option_is_tried():
    """
    The table has no option that these tests leave out.
    """
    assert set(WRONG) == set(OPTIONS)
    assert {name for taken in AT.values() for name in taken} == set(OPTIONS)


def test_a_number_written_as_a_text_is_refused_as_such():
    """
    The message says how it is written.
    """
    with pytest.raises(ConfigurationError, match=r"It is a text: write max_attempts=20\."):
        checked({"max_attempts": "20"})


def test_a_project_may_be_named_alone(sim, doors):
    """
    share="Maths" shares with that project, and with no other.
    """
    doors.call(project_name="Maths")
    doors.call(project_name="Physics", use_cache=False)
    before = sent(sim)

    assert doors.call(project_name="new", share="Maths") == "OK"
    assert sent(sim) == before
    doors.call(project_name="newer", share="Chemistry")
    assert sent(sim) == before + 1


def test_numbers_of_numpy_are_numbers(doors):
    """
    A whole number and a fraction of numpy's are taken as what they are.
    """
    import numpy as np

    files = checked({"max_attempts": np.int64(3), "time_limit": np.float32(0.5)})

    assert files == {"max_attempts": 3, "time_limit": 0.5}
    assert type(files["max_attempts"]) is int


def test_an_option_of_a_call_is_no_field_of_its_request(doors, sim):
    """
    LLM.generate keeps use_cache and max_wait to itself, and sends what it does not know.
    """
    bodies = []

    def note(request):
        bodies.append(dict(request.body))

    with SimulatedProvider(reply="OK", faults=note, latency=0) as other:
        LLM(url=other.base_url, api_key="k", model="m").generate(
            "Hi", use_cache=False, max_wait=9, store=True
        )
    assert set(bodies[0]) == {"model", "messages", "store"}


# ----------------------------------------------------------------------------- parameters


def bodies_of(door, options, beside, folder):
    bodies = []

    def note(request):
        bodies.append(dict(request.body))

    with SimulatedProvider(reply="OK", faults=note, latency=0) as sim:
        doors = Doors(sim, folder)
        if door in TAKES_PARAMS:
            assert getattr(doors, door)(**{TAKES_PARAMS[door]: options}, **beside) == "OK"
        else:
            assert getattr(doors, door)(**options, **beside) == "OK"
    return bodies


TAKES_PARAMS = {
    "asyncllm": "sampling_params",
    "pandas": "params",
    "polars": "params",
    "dask": "params",
}


@pytest.mark.parametrize("door", [*TAKES_PARAMS, "generate_of_asyncllm", "master", "many", "file"])
def test_parameters_may_stand_beside_params(doors, door, tmp_path):
    """
    What stands beside them is sent as what stands in them.
    """
    beside = {"temperature": 0.5, "stop": ["."], "seed": 3}
    inside = {"max_tokens": 7}

    (body,) = bodies_of(door, inside, beside, tmp_path)

    assert {name: body[name] for name in (*beside, *inside)} == {**beside, **inside}


@pytest.mark.parametrize("door", TAKES_PARAMS)
def test_a_parameter_passed_twice_must_be_the_same(doors, sim, door, tmp_path):
    """
    Twice and equal is fine; twice and different is an error that names both.
    """
    (body,) = bodies_of(door, {"temperature": 0}, {"temperature": 0.0}, tmp_path)
    assert body["temperature"] == 0

    before = sent(sim)
    with pytest.raises(
        ConfigurationError, match="temperature is given twice, as 1 and in"
    ) as caught:
        getattr(doors, door)(**{TAKES_PARAMS[door]: {"temperature": 0}}, temperature=1)
    assert caught.value.message.endswith("Nothing was sent.")
    assert sent(sim) == before


def test_an_llm_takes_parameters_beside_its_params():
    """
    LLM(max_tokens=…) is the same as llm_params={"max_tokens": …}.
    """
    assert LLM(model="sim/m", llm_params={"seed": 1}, max_tokens=5).params == {
        "seed": 1,
        "max_tokens": 5,
    }
    with pytest.raises(ConfigurationError, match="seed is given twice"):
        LLM(model="sim/m", llm_params={"seed": 1}, seed=2)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("max_tokens", 0),
        ("max_tokens", "9"),
        ("temperature", -1),
        ("temperature", NAN),
        ("top_p", 2),
        ("top_k", 1.5),
        ("stop", [1]),
        ("seed", True),
    ],
)
def test_a_parameter_beside_params_is_checked(doors, sim, name, value):
    """
    It is refused as an option is, by the same sentence.
    """
    before = sent(sim)
    with pytest.raises(ConfigurationError, match=f"^{name} is .*Nothing was sent[.]$"):
        doors.pandas(**{name: value})
    assert sent(sim) == before


def test_vectors_take_their_length_beside_params(doors):
    """
    dimensions= is the same as params={"dimensions": …}; twice and different is an error.
    """
    series = pd.Series(["Hi"])

    assert len(series.llm.embed(model=doors.llm, dimensions=4)[0]) == 4
    with pytest.raises(ConfigurationError, match="dimensions is given twice"):
        series.llm.embed(model=doors.llm, dimensions=4, params={"dimensions": 5})


# --------------------------------------------------------------------------------- advice

RUNS = ("call", "AsyncLLM", "frames", "generation", "GenerationMaster")

SHOWN_AT = {
    "max_wait": (*RUNS, "embed", "magics"),
    "good_finish": (*RUNS, "magics"),
    "budget_usd": (*RUNS, "embed", "magics"),
    "time_limit": RUNS,
    "duplicates": ("AsyncLLM", "frames", "generation"),
    "mode": ("AsyncLLM", "frames"),
    "use_cache": RUNS,  # named only where somebody has given it
    "details": ("frames",),
    "files_root": ("frames",),
    "fetch_files": ("frames",),
    "quotes": ("frames",),
    "on_error": ("frames", "embed"),
    "allow_urls": ("generation",),
    "allow_http": ("configure",),  # it says so
    "cache_dir": ("configure",),  # likewise
    "model": ("configure",),  # and an argument of its own everywhere
    "system": ("configure",),  # likewise
}
"""At which doors a message is shown that names an option."""

OTHERS = {
    *("url", "api_key", "gen_type", "messages", "prompt", "input", "into", "sample"),
    *("labels", "schema", "even_if_open", "logging_level", "n_ctx", "n_parallel"),
    *(
        "api_base",
        "version",
        "rpm",
        "boundary",
        "filename",
        "name",
        "style",
        "kind",
        "params",
        "drop",
        "against",
        "fields",
        "comparison",
        "confidence",
        "examples",
        "truth",
    ),
}
"""What stands before an equals sign in texts and is none of the table's: arguments of one door
alone, the short names of `%llm_config`, and fields of files and pages."""


def advice():
    """Yield the names that sentences of the source write as ``name=…``, and where."""
    written = re.compile(r"\b([a-z]\w+)=(?=[…\[{'\"\d]|True|False|None)")
    root = Path(llmnb.__file__).parent
    others = {
        root / "options.py",
        root / "cli" / "simulate.py",
    }  # the table; other libraries' words
    for path in sorted(root.rglob("*.py")):
        if path in others or path.is_relative_to(root / "testing"):
            continue
        for text in sentences(ast.parse(path.read_text(encoding="utf-8"))):
            named = set(written.findall(text)) | {
                word for word in re.findall(r"\w+_\w+", text) if word in OPTIONS or word in PARAMS
            }
            yield from ((name, path.name) for name in named)


def sentences(tree):
    """Yield the texts with spaces that are no docstrings and no pages; ``{}`` is a value."""
    nodes = list(ast.walk(tree))
    left_out = {id(node.value) for node in nodes if isinstance(node, ast.Expr)}
    left_out |= {
        id(part) for node in nodes if isinstance(node, ast.JoinedStr) for part in node.values
    }
    for node in nodes:
        if id(node) in left_out:
            continue
        text = ""
        if isinstance(node, ast.JoinedStr):
            parts = (getattr(part, "value", "{}") for part in node.values)
            text = "".join(part if isinstance(part, str) else "{}" for part in parts)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            text = node.value
        if " " in text.strip() and "</" not in text and ">" not in text:
            yield text


def test_advice_can_be_followed():
    """
    Every option that a message names is accepted at the doors where the message is shown.
    """
    files = {}
    for name, file in advice():
        if name in OPTIONS:
            files.setdefault(name, set()).add(file)

    assert set(files) == set(SHOWN_AT), "say of a new one where it is shown"
    refused = [
        (name, door, files[name])
        for name, shown_at in SHOWN_AT.items()
        for door in shown_at
        if door not in OPTIONS[name].doors
    ]
    assert refused == []


def test_no_message_names_an_option_that_is_nowhere():
    """
    What a text writes as name=… is an option, a parameter, or an argument that is listed here.
    """
    known = {*OPTIONS, *PARAMS, *OTHERS}

    assert [(name, file) for name, file in advice() if name not in known] == []


@pytest.mark.parametrize(
    ("keyword", "hint"),
    [("rpm", "max_requests_per_minute"), ("cache_dir", "llmnb.configure(cache_dir=…)")],
)
def test_a_keyword_that_belongs_elsewhere_is_answered_with_its_place(keyword, hint):
    """
    A short name of `%llm_config` with the long one, a setting with `llmnb.configure`.
    """
    with pytest.raises(ConfigurationError, match=re.escape(hint)):
        pd.DataFrame({"a": ["b"]}).llm.generate("{a}", model="sim/any", **{keyword: 5})
