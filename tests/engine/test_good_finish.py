"""Promises about ends that only the caller knows: `good_finish` at every door, one by one."""

from __future__ import annotations

import json

import orjson
import pandas as pd
import pytest
from script_server import ScriptServer, reply

import llmnb
from llmnb import LLM, AsyncLLM, GenerationMaster, LiteLLMModel
from llmnb.generation import __main__ as command
from llmnb.generation import openai_parallel_generate_sync, process_api_requests_from_file_sync

TEXT = "All of it."


def choice(index, text, reason):
    message = {"role": "assistant", "content": text}
    return {"index": index, "message": message, "finish_reason": reason}


def serving(*ends, texts=None):
    """Return a server whose replies hold one answer for each end."""
    said = texts or [TEXT] * len(ends)
    choices = [choice(index, said[index], end) for index, end in enumerate(ends)]
    usage = {"prompt_tokens": 3, "completion_tokens": 5}
    body = {"id": "1", "object": "chat.completion", "model": "m", "choices": choices}
    return ScriptServer([reply(orjson.dumps({**body, "usage": usage}), "connection: close")])


def where(server):
    return {"url": server.base_url, "api_key": "k", "model": "m"}


def by_call(server, _folder, **options):
    return LLM(**where(server)).call_single_sync("Hi", **options).text


def by_generate(server, _folder, **options):
    return LLM(**where(server)).generate("Hi", **options)


def by_config(server, _folder, **options):
    config = {"api_base": server.base_url, "api_key": "k", **options}
    return LiteLLMModel("gpt-4o", config).call_single_sync("Hi").text


def said(row):
    response = row[1]
    return response["choices"][0]["message"]["content"] if isinstance(response, dict) else None


def by_constructor(server, _folder, **options):
    return said(AsyncLLM(**where(server), **options).generate([{"prompt": "Hi"}])[0])


def by_argument(server, _folder, **options):
    return said(AsyncLLM(**where(server)).generate([{"prompt": "Hi"}], **options)[0])


def by_frame(server, _folder, **options):
    llmnb.register_accessor("llm")
    answers = pd.Series(["Hi"]).llm.generate(model=LLM(**where(server)), **options)
    return None if answers.isna()[0] else answers[0]


def by_master(server, _folder, **options):
    master = GenerationMaster([LLM(**where(server))], ["Hi"], bars=False, **options)
    return llmnb.bridge.call(master.run())[0]


def by_list(server, _folder, **options):
    rows = openai_parallel_generate_sync(
        [REQUEST], request_url=server.base_url, api_key="k", progress=False, **options
    )
    return said(rows[0])


REQUEST = {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}


def by_file(server, folder, **options):
    path = folder / "requests.jsonl"
    path.write_text(json.dumps(REQUEST))
    report = process_api_requests_from_file_sync(
        path, request_url=server.base_url, api_key="k", progress=False, **options
    )
    return said(json.loads(report.save_filepath.read_text()))


def by_command(server, folder, *, good_finish):
    path, out = folder / "requests.jsonl", folder / "out.jsonl"
    path.write_text(json.dumps(REQUEST))
    arguments = ["--requests_filepath", str(path), "--save_filepath", str(out), "--api_key", "k"]
    arguments += ["--request_url", server.base_url]
    for word in good_finish:
        arguments += ["--good_finish", word]
    command.main(arguments)
    return said(json.loads(out.read_text()))


@pytest.mark.parametrize(
    "ask",
    [
        by_call,
        by_generate,
        by_config,
        by_constructor,
        by_argument,
        by_frame,
        by_master,
        by_list,
        by_file,
        by_command,
    ],
)
def test_every_door_takes_the_word_of_an_end(ask, tmp_path):
    """
    An answer that ended for a reason that llmnb does not know is an answer where the word is given.
    """
    with serving("fin") as server:
        assert ask(server, tmp_path, good_finish=["fin"]) == TEXT


@pytest.mark.parametrize(
    ("ends", "good_finish", "is_answer"),
    [
        (("fin", "fin"), ["fin"], True),
        (("fin", "odd"), ["fin"], False),
        (("odd", "fin"), ["fin"], False),
        (("fin", "odd"), ["fin", "odd"], True),
        (("stop", "fin"), ["fin"], True),
        (("stop", "abort"), ["abort"], False),
        (("length", "odd"), [], False),
        (("length", "stop"), [], True),
    ],
)
def test_each_of_several_answers_is_judged_by_its_own_end(ends, good_finish, is_answer):
    """
    A reply with several answers is good where every one of them is: for one, the word must be
    given; another may end at the length that was asked for.
    """
    with serving(*ends) as server:
        llm = AsyncLLM(**where(server), max_tokens=5)
        ((_, response),) = llm.generate([{"prompt": "Hi", "n": 2}], good_finish=good_finish)

    assert isinstance(response, dict) is is_answer


def test_a_further_answer_without_a_text_is_none():
    """
    A text of null in the second answer is not passed over because the first one is good.
    """
    with serving("stop", "stop", texts=["Hi", None]) as server:
        ((_, response),) = AsyncLLM(**where(server)).generate([{"prompt": "Hi", "n": 2}])

    assert "no answer" in response[-1]


def test_samples_are_judged_each_by_itself():
    """
    Of three samples the one that broke off has its error, and the others are answers.
    """
    bodies = []
    for reason in ("stop", "abort", "stop"):
        body = {"object": "chat.completion", "model": "m", "choices": [choice(0, TEXT, reason)]}
        usage = {"prompt_tokens": 3, "completion_tokens": 5}
        bodies.append([reply(orjson.dumps({**body, "usage": usage}), "connection: close")])
    with ScriptServer(*bodies) as server:
        results = LLM(**where(server)).call_sync("Hi", n=3, max_concurrent_requests=1)

    assert sorted(type(outcome.error).__name__ for outcome in results) == [
        "NoneType",
        "NoneType",
        "Truncated",
    ]


def test_the_embedded_models_own_end_is_an_answer(tmp_path):
    """
    An answer that fills the local model's context is kept and says "length".
    """
    from llmnb.targets.local import local_target

    (tmp_path / "toy.gguf").write_bytes(b"GGUF")
    target = local_target(str(tmp_path / "toy.gguf"), "chat")
    body = {"object": "chat.completion", "model": "toy", "choices": [choice(0, TEXT, "length")]}

    read = target.read(orjson.dumps(body))

    assert (read.text, read.finish_reason, read.quality) == (TEXT, "length", "good")


def test_the_embedded_model_that_says_nothing_has_not_answered(tmp_path):
    """
    Without a text there is no answer, wherever it was cut.
    """
    from llmnb.targets.local import local_target

    (tmp_path / "toy.gguf").write_bytes(b"GGUF")
    target = local_target(str(tmp_path / "toy.gguf"), "chat")
    body = {"object": "chat.completion", "model": "toy", "choices": [choice(0, "", "length")]}

    assert target.read(orjson.dumps(body)).quality == "truncated"
