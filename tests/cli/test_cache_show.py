"""The promise of `llmnb cache show`: it reads the entries of every dialect."""

from __future__ import annotations

import json

import orjson
import pytest
from entries import entry

from llmnb.cli import main
from llmnb.store import layout
from llmnb.store.project import ProjectStore

USER = {"role": "user"}

REQUESTS = {
    "openai.chat": {"messages": [{**USER, "content": "the question"}]},
    "openai.responses": {"input": "the question", "instructions": "Be brief."},
    "openai.text": {"prompt": "the question"},
    "anthropic.messages": {
        "system": "Be brief.",
        "messages": [{**USER, "content": [{"type": "text", "text": "the question"}]}],
    },
    "gemini.generate": {"contents": [{**USER, "parts": [{"text": "the question"}]}]},
}


@pytest.mark.parametrize("dialect", REQUESTS)
def test_every_dialects_question_is_shown(tmp_path, capsys, dialect):
    """
    Gemini's as well, whose messages have another name.
    """
    store = ProjectStore(layout.paths_of(tmp_path, "p"))
    store.commit([entry(1, request=orjson.dumps(REQUESTS[dialect]), dialect=dialect)])

    assert main(["cache", "--cache-dir", str(tmp_path), "show", "p"]) == 0

    assert "asked     the question" in capsys.readouterr().out


def test_a_word_is_found_however_a_provider_has_written_it(tmp_path, capsys):
    """
    In any case, and where the reply holds its letters as escapes.
    """
    store = ProjectStore(layout.paths_of(tmp_path, "p"))
    reply = {"choices": [{"message": {"content": "Kein Müll"}, "finish_reason": "stop"}]}
    store.commit([entry(1, raw=json.dumps(reply).encode(), dialect="openai.chat"), entry(2)])

    assert main(["cache", "--cache-dir", str(tmp_path), "show", "p", "--search", "MÜLL kein"]) == 0

    assert capsys.readouterr().out.count("answered  Kein Müll") == 1
