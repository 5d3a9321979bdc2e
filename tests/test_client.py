"""Promises of AsyncLLM beyond the documents it comes from."""

from __future__ import annotations

import asyncio
import logging
import os
import subprocess
import sys

import pandas as pd
import pytest
from laboratory.ledger_queries import is_within

import llmnb
from llmnb import AsyncLLM, errors
from llmnb.testing import SimulatedProvider


def question(text):
    return {"messages": [{"role": "user", "content": text}]}


@pytest.fixture
def sim():
    with SimulatedProvider(reply=lambda prompt: f"answer to {prompt}", api_key=True) as sim:
        yield sim


def make(sim, **changes):
    return AsyncLLM(**{"model": "m", "api_key": "k", "url": sim.base_url, **changes})


def content(row):
    return row[1]["choices"][0]["message"]["content"]


def test_a_failed_row_holds_the_texts_of_its_attempts():
    """
    A list of texts in place of a response, in the row's place.
    """
    with SimulatedProvider(faults=lambda request: 500 if request.prompt == "a" else None) as sim:
        rows = make(sim).generate([question("a"), question("b")])

    assert isinstance(rows[0][1], list)
    assert len(rows[0][1]) == 3
    assert all("500" in text for text in rows[0][1])
    assert content(rows[1])


def test_a_request_with_odd_fields_costs_only_its_own_row():
    """
    Tools, an address, a provider or a key that are none: the rows around it are answered.
    """
    odd = [
        {"tools": 7},
        {"url": float("nan")},
        *({name: ["sk-secret"]} for name in ("api_provider", "url", "api_key")),
    ]
    with SimulatedProvider() as sim:
        model = make(sim, api_provider="anthropic", model="claude-haiku-4-5")
        rows = model.generate([{**question("a"), **fields} for fields in ({}, *odd, {})])

    assert isinstance(rows[0][1], dict)
    assert isinstance(rows[-1][1], dict)
    for row, fields in zip(rows[1:-1], odd, strict=True):
        (text,) = row[1]
        assert next(iter(fields)) in text
        assert "Nothing was sent" in text
        assert "secret" not in text


def test_prompt_and_text_completions(sim):
    """
    `prompt` becomes a message for chat, and stays a prompt for `gen_type="text"`.
    """
    assert content(make(sim).generate([{"prompt": "hello"}])[0]) == "answer to hello"
    row = make(sim, gen_type="text").generate([{"prompt": "hello"}])[0]
    assert row[1]["choices"][0]["text"] == "answer to hello"


def test_each_request_may_name_its_own_model_and_address(sim):
    """
    The row shows the request without address and key; the other server was asked.
    """
    with SimulatedProvider(reply="other") as other:
        requests = [
            question("a"),
            {**question("a"), "url": other.base_url, "api_key": "x", "model": "m2"},
        ]
        rows = make(sim).generate(requests)

        assert content(rows[0]) == "answer to a"
        assert content(rows[1]) == "other"
        assert rows[1][0] == {**question("a"), "model": "m2"}
        assert len(other.ledger.finished) == 1


def test_a_key_for_an_address_never_goes_to_another(sim, monkeypatch):
    """
    Neither the object's key nor one lying in the environment: the other server gets none.
    """
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-the-environment")
    with SimulatedProvider(api_key=True) as other:
        rows = make(sim).generate([{**question("a"), "url": other.base_url}])

        assert "401" in rows[0][1][-1]
        assert [row.key_hash for row in other.ledger.received] == [""]


def test_a_server_of_ones_own_needs_no_key(monkeypatch):
    """
    A stranger's address with a bare model name: asked without a key, none is demanded.
    """
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with SimulatedProvider(reply="hello") as own:
        rows = AsyncLLM(model="my-model", url=own.base_url).generate([question("a")])

        assert content(rows[0]) == "hello"


def test_body_fields_of_a_request_win_over_sampling_params():
    """
    `max_tokens` in the request holds, `temperature` comes from the object.
    """
    with SimulatedProvider(reply="one two three four five") as sim:
        llm = make(sim, sampling_params={"max_tokens": 1, "temperature": 0.5})
        rows = llm.generate([{**question("a"), "max_tokens": 3}])

    assert rows[0][1]["usage"]["completion_tokens"] == 3


async def test_it_works_inside_a_running_loop(sim):
    """
    Blocking and awaited, as in a notebook's cell.
    """
    llm = make(sim)

    assert content((await llm.agenerate([question("a")]))[0]) == "answer to a"
    assert content(llm.generate([question("b")])[0]) == "answer to b"
    rows = await asyncio.gather(*(llm.agenerate([question(str(row))]) for row in range(20)))
    assert [content(row) for (row,) in rows] == [f"answer to {row}" for row in range(20)]


def test_it_works_under_uvloop(sim):
    """
    In a program whose own loop is uvloop's.
    """
    import uvloop

    async def main():
        llm = make(sim)
        return (await llm.agenerate([question("a")])) + llm.generate([question("b")])

    rows = uvloop.run(main())

    assert [content(row) for row in rows] == ["answer to a", "answer to b"]


def test_it_works_in_ipython(sim, tmp_path):
    """
    Blocking in a cell, awaited at top level.
    """
    code = (
        "from llmnb import AsyncLLM\n"
        f"llm = AsyncLLM(model='m', api_key='k', url={sim.base_url!r})\n"
        "rows = llm.generate([{'prompt': 'a'}]) + await llm.agenerate([{'prompt': 'b'}])\n"
        "print([row[1]['choices'][0]['message']['content'] for row in rows])\n"
    )
    script = tmp_path / "cell.ipy"
    script.write_text(code)
    done = subprocess.run(
        [sys.executable, "-m", "IPython", "--quick", "--colors=NoColor", str(script)],
        env={**os.environ, "LLMNB_CACHE_DIR": str(tmp_path / "cache"), "IPYTHONDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert "['answer to a', 'answer to b']" in done.stdout, done.stderr


def test_check_model_exists_asks_the_provider():
    """
    True for a model it lists, False for another.
    """
    with SimulatedProvider(models=["m", "m2"]) as sim:
        llm = make(sim)
        assert llm.check_model_exists()
        assert llm.check_model_exists("m2")
        assert not llm.check_model_exists("m3")


def test_a_task_id_generator_is_taken_as_it_comes(sim):
    """
    Ids 0, 3, 6, … name the rows in log lines; rows stay in order.
    """

    def threes():
        number = 0
        while True:
            yield number
            number += 3

    rows = make(sim).generate([question("a"), question("b")], task_id_generator=threes())

    assert [content(row) for row in rows] == ["answer to a", "answer to b"]


def test_a_returned_object_may_be_changed(sim):
    """
    What a caller does to a response does not change the cache.
    """
    llm = make(sim)
    llm.generate([question("a")])[0][1]["choices"].clear()

    assert content(llm.generate([question("a")])[0]) == "answer to a"


def test_wrong_arguments_are_errors_before_anything_is_sent(sim):
    """
    An unknown argument, a single dictionary, an unknown level.
    """
    llm = make(sim)
    with pytest.raises(TypeError, match="max_request_per_minute"):
        llm.generate([question("a")], max_request_per_minute=5)
    for word, near in [("progres", "progress"), ("task_id_generater", "task_id_generator")]:
        with pytest.raises(errors.UnknownOption, match=f"Did you mean {near}"):
            llm.generate([question("a")], **{word: True})
    with pytest.raises(errors.UnknownOption, match="Did you mean model"):
        AsyncLLM(modle="openai/m")
    with pytest.raises(errors.ConfigurationError, match="progress is"):
        llm.start([question("a")], progress="yes")
    with pytest.raises(errors.UnknownOption, match="no keyword 'task_id_generator'"):
        llm.start([question("a")], task_id_generator=iter([1]))
    with pytest.raises(errors.UnknownOption, match="no keyword 'progress'"):
        next(llm.iterate([question("a")], progress=False))
    for clear in (5, [5]):
        with pytest.raises(errors.ConfigurationError, match="clear_project_cache is"):
            llm.generate([question("a")], clear_project_cache=clear)
    for given in (None, 5):
        with pytest.raises(errors.ConfigurationError, match="list of requests"):
            llm.generate(given)
    with pytest.raises(errors.ConfigurationError, match="to_dict"):
        llm.generate(pd.DataFrame([question("a")]))
    with pytest.raises(errors.ConfigurationError, match="list of requests"):
        llm.generate(question("a"))
    with pytest.raises(errors.ConfigurationError, match="WARNING"):
        make(sim, logging_level="loud")
    with pytest.raises(errors.UnknownProvider):
        AsyncLLM(api_provider="opnai")
    assert len(sim.ledger.received) == 0


def test_the_key_shows_nowhere(sim, tmp_path):
    """
    Not in the repr, not in the rows, not in any file of the cache.
    """
    secret = "sk-0123456789-very-secret"
    llm = make(sim, api_key=secret, cache_dir=tmp_path / "cache")

    rows = llm.generate([{**question("a"), "api_key": secret, "url": sim.base_url}])

    assert secret not in repr(llm) + repr(rows) + repr(llm.last_run.status())
    for path in (tmp_path / "cache").rglob("*"):
        if path.is_file():
            assert secret.encode() not in path.read_bytes()


def test_limits_hold_and_the_last_run_is_at_hand(sim):
    """
    One hundred requests at 6,000 a minute take their time: no window has more than the limit.
    """
    make(sim).generate([question(str(row)) for row in range(100)], max_requests_per_minute=6000)

    assert is_within(sim.ledger, 6000)
    assert llmnb.last_run().status().completed == 100


def test_what_a_caller_does_to_an_answer_does_not_reach_the_cache(sim):
    """
    A changed row is changed for its owner only; the next run reads what came.
    """
    (row,) = make(sim).generate([question("a")])
    before = content(row)
    row[1]["choices"][0]["message"]["content"] = "changed"

    (again,) = make(sim).generate([question("a")])

    assert content(again) == before
    assert len(sim.ledger.received) == 1


@pytest.mark.parametrize("level", [30, "30", "WARNING", "logging.warning"])
def test_a_level_of_logging_is_a_number_or_its_name(level, caplog):
    """
    A number may be a text, as settings and command lines have it.
    """
    caplog.set_level(logging.DEBUG, logger="llmnb")  # afterwards it is as it was

    AsyncLLM(model="sim/m", logging_level=level)

    assert logging.getLogger("llmnb").level == logging.WARNING
