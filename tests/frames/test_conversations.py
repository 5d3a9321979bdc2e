"""Promises about columns of conversations, and about system messages filled from the row."""

from __future__ import annotations

import json

import dask.dataframe as dd
import numpy as np
import pandas as pd
import polars as pl
import pytest

from llmnb.errors import ConfigurationError, InputError

HELLO = [{"role": "user", "content": "Hi"}]
LONG = [*HELLO, {"role": "assistant", "content": "Yes?"}, {"role": "user", "content": "{Why}"}]


def sent(asked):
    return [body["messages"] for body in asked]


@pytest.fixture
def frame():
    return pd.DataFrame({"chat": [HELLO, json.dumps(LONG), None, np.array(LONG), []]})


def test_a_column_of_conversations_is_asked_as_it_stands(sim, asked, frame):
    """
    Lists, arrays and JSON text of them; braces in them are text; empty ones are not asked.
    """
    answers = frame.llm.generate(messages="chat", duplicates="sample")

    assert answers.isna().tolist() == [False, False, True, False, True]
    assert sorted(sent(asked), key=len) == [HELLO, LONG, LONG]


def test_a_wrong_conversation_fails_its_own_row(sim, asked):
    """
    The others are asked.
    """
    frame = pd.DataFrame({"chat": [HELLO, "no json", [1], {"role": "user"}, [{"content": "x"}]]})

    answers = frame.llm.generate(messages="chat", on_error="column")

    assert answers["response"].isna().tolist() == [False, True, True, True, True]
    assert answers["response_error"].str.contains("role").tolist()[1:] == [True] * 4
    assert sent(asked) == [HELLO]


def test_conversations_exclude_a_prompt(sim, asked, frame):
    """
    Both, or neither, is an error before anything is sent; so it is where a verb has no use of it.
    """
    with pytest.raises(InputError, match="messages"):
        frame.llm.generate("Say {chat}", messages="chat")
    with pytest.raises(InputError, match="messages"):
        frame.llm.generate()
    with pytest.raises(InputError, match="no column 'talk'"):
        frame.llm.plan(messages="talk")
    with pytest.raises(ConfigurationError, match="images"):
        frame.llm.generate(messages="chat", images="chat")
    with pytest.raises(ConfigurationError, match="messages"):
        frame.llm.classify("chat", ["a", "b"], messages="chat")

    assert asked == []


def test_every_library_asks_conversations(sim, asked, frame):
    """
    Polars, its lazy frames and Dask send what pandas sends; plan and start take them too.
    """
    chats = pl.DataFrame({"chat": [HELLO, LONG, None]})
    texts = frame.assign(
        chat=[None if cell is None else json.dumps(list(cell)) for cell in frame.chat]
    )

    texts = [
        frame.llm.start(messages="chat").result().tolist()[0],
        chats.llm.generate(messages="chat").to_list()[0],
        chats.lazy().llm.generate(messages="chat").collect()["response"].to_list()[0],
        dd.from_pandas(texts.head(1), npartitions=1).llm.generate(messages="chat").compute()[0],
    ]

    assert set(texts) == {"> Hi"}
    assert frame.llm.plan(messages="chat").rows == 5


def test_a_system_message_is_filled_from_the_row(sim, asked):
    """
    As a prompt is, doubled braces being braces; with prompts and with conversations.
    """
    frame = pd.DataFrame({"text": ["a", "b"], "tongue": ["French", None], "chat": [HELLO, HELLO]})

    frame.llm.generate("Say {text}", system="Speak {tongue}. {{}}")
    frame.llm.generate(messages="chat", system="{tongue}")

    # Two rows that are sent at once may arrive in either order.
    assert sorted([message["content"] for message in messages] for messages in sent(asked)) == [
        ["French", "Hi"],
        ["Hi"],
        ["Speak . {}", "Say b"],
        ["Speak French. {}", "Say a"],
    ]
    with pytest.raises(InputError, match="tongue"):
        frame.llm.generate("Say {text}", system="Speak {tonge}")


def test_labels_with_braces_are_labels(sim, asked):
    """
    What classify adds to a system message is no template.
    """
    frame = pd.DataFrame({"text": ["a"], "who": ["me"]})

    frame.llm.classify("text", ["{x}", "y"], system="For {who}", on_error="column")

    system = sent(asked)[0][0]["content"]
    assert system.startswith("For me\n\n")
    assert "- {x}" in system


def test_systems_of_other_libraries_are_templates_too(sim, asked):
    """
    In Polars' lazy frames and expressions, and on Dask.
    """
    table = {"text": ["a"], "tongue": ["Thai"]}
    pl.LazyFrame(table).llm.generate("{text}", system="In {tongue}").collect()
    both = pl.struct("text", "tongue").llm.generate("{text}", system="In {tongue}", use_cache=False)
    pl.DataFrame(table).select(both)
    ddf = dd.from_pandas(pd.DataFrame(table), npartitions=1)
    ddf.llm.generate("{text}", system="In {tongue}", use_cache=False).compute()

    assert [messages[0]["content"] for messages in sent(asked)] == ["In Thai"] * 3
