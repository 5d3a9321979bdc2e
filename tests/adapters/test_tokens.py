"""Promises of counting tokens: exact where it can be, marked where not, never on the network."""

from __future__ import annotations

import base64
import hashlib
import inspect
import json
import os
import re
import socket
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import tiktoken
from hypothesis import given, settings
from hypothesis import strategies as st

from llmnb.adapters import tokens
from llmnb.adapters.tokens import (
    TokenCount,
    count_tokens,
    fast_estimate,
    longest_fitting,
    may_exceed,
    upper_bound,
)
from llmnb.errors import ConfigurationError

QUESTION = {
    "model": "gpt-4o-mini",
    "messages": [
        {"role": "system", "content": "Answer with one word."},
        {"role": "user", "name": "ann", "content": "Is water wet?"},
    ],
}


@pytest.fixture
def no_tables(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Let no table be found on this machine."""
    monkeypatch.setattr(tokens, "_encodings", {})
    monkeypatch.setattr(tokens, "_folders", lambda: iter([tmp_path]))


# ---------------------------------------------------- a small encoding of our own

BYTES = [bytes([value]) for value in range(256)]
MERGES = [b"he", b"ll", b"hell", b"hello"]
PATTERN = r"\s+(?!\S)|\S+|\s+"
"""White space before a word is looked back on, as OpenAI's own patterns do."""

TABLE = b"".join(
    base64.b64encode(token) + b" " + str(rank).encode() + b"\n"
    for rank, token in enumerate([*BYTES, *MERGES])
)


class Encoding:
    """An encoding that tiktoken finds as a plug-in, and whose table lies at an address of ours."""

    def __init__(self, folder: Path, port: int) -> None:
        self.cache = folder / "cache"
        self.cache.mkdir()
        address = f"http://127.0.0.1:{port}/small.tiktoken"
        self.file = hashlib.sha1(address.encode()).hexdigest()
        self.sha256 = hashlib.sha256(TABLE).hexdigest()
        plugins = folder / "plugins" / "tiktoken_ext"
        plugins.mkdir(parents=True)
        (plugins / "small.py").write_text(
            textwrap.dedent(f"""
                from tiktoken.load import load_tiktoken_bpe

                def small():
                    return {{
                        "name": "small",
                        "pat_str": {PATTERN!r},
                        "mergeable_ranks": load_tiktoken_bpe({address!r}, {self.sha256!r}),
                        "special_tokens": {{"<|endoftext|>": 300}},
                    }}

                ENCODING_CONSTRUCTORS = {{"small": small}}
            """),
            encoding="utf-8",
        )
        self.plugins = plugins.parent

    def run(self, script: str, **environment: str) -> Any:
        """Run a script that knows the encoding; return what it printed as JSON."""
        begin = (
            "import json\nfrom llmnb.adapters import tokens\n"
            f"tokens._TABLES['small'] = ({self.file!r}, {self.sha256!r})\n"
            "tokens._TABLE_OF['small'] = 'small'\n"
            "def show(count): print(json.dumps([count.tokens, count.is_estimate]))\n"
        )
        search = os.pathsep.join([str(self.plugins), os.environ["PYTHONPATH"]])
        done = subprocess.run(
            [sys.executable, "-c", begin + textwrap.dedent(script)],
            env={**os.environ, "PYTHONPATH": search, **environment},
            capture_output=True,
            text=True,
            timeout=110,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """Listen where the table would be fetched from, and answer nobody."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.setblocking(False)
        yield listening


@pytest.fixture
def small(tmp_path: Path, listener: socket.socket) -> Encoding:
    return Encoding(tmp_path, listener.getsockname()[1])


def was_asked(listener: socket.socket) -> bool:
    """Whether anybody has connected."""
    try:
        connection, _ = listener.accept()
    except BlockingIOError:
        return False
    connection.close()
    return True


# ----------------------------------------------------------------- exact counts


@pytest.mark.parametrize("variable", ["TIKTOKEN_CACHE_DIR", "DATA_GYM_CACHE_DIR"])
def test_a_table_in_tiktokens_cache_is_used(small, listener, variable):
    """
    With its table here an encoding counts exactly, and nothing is asked for it.
    """
    (small.cache / small.file).write_bytes(TABLE)

    counted = small.run(
        "show(tokens.count_tokens('hello hells', 'small'))", **{variable: str(small.cache)}
    )

    assert counted == [4, False]  # hello, a space, hell, s
    assert not was_asked(listener)


def test_a_table_in_the_temporary_folder_is_used(small, listener):
    """
    Where tiktoken itself would have put it, without a word in the environment.
    """
    folder = small.cache / "data-gym-cache"
    folder.mkdir()
    (folder / small.file).write_bytes(TABLE)

    counted = small.run("show(tokens.count_tokens('hello', 'small'))", TMPDIR=str(small.cache))

    assert counted == [1, False]
    assert not was_asked(listener)


def test_tables_that_litellm_carries_are_used(small, listener):
    """
    They are found where LiteLLM lies, and LiteLLM is not imported.
    """
    package = small.plugins / "litellm"
    carried = package / "litellm_core_utils" / "tokenizers"
    carried.mkdir(parents=True)
    (package / "__init__.py").write_text("raise RuntimeError('takes five seconds')\n")
    (carried / small.file).write_bytes(TABLE)

    counted = small.run("show(tokens.count_tokens('hello', 'small'))", TMPDIR=str(small.cache))

    assert counted == [1, False]
    assert not was_asked(listener)


def test_special_tokens_in_somebodys_data_are_text(small):
    """
    "<|endoftext|>" in a cell is counted as the characters it is.
    """
    (small.cache / small.file).write_bytes(TABLE)

    counted = small.run(
        "show(tokens.count_tokens('<|endoftext|>', 'small'))", TIKTOKEN_CACHE_DIR=str(small.cache)
    )

    assert counted == [len("<|endoftext|>"), False]


def test_long_texts_are_counted_in_parts(small):
    """
    A million characters are counted as exactly as ten, whatever they are.
    """
    (small.cache / small.file).write_bytes(TABLE)

    counted = small.run(
        "show(tokens.count_tokens('hello ' * 200_000, 'small'))",
        TIKTOKEN_CACHE_DIR=str(small.cache),
    )

    assert counted == [400_000, False]


def test_a_panic_of_the_counting_code_becomes_an_estimate(small):
    """
    tiktoken's Rust panics, as a BaseException; a row does not take the run down.
    """
    (small.cache / small.file).write_bytes(TABLE)
    ask = "show(tokens.count_tokens(' ' * 1_000_000 + 'x', 'small'))"

    whole = small.run(
        f"tokens.LARGEST_PIECE = 10**9\n{ask}",  # as if nothing were cut
        TIKTOKEN_CACHE_DIR=str(small.cache),
    )
    cut = small.run(ask, TIKTOKEN_CACHE_DIR=str(small.cache))

    assert whole == [2, True]
    assert cut == [1_000_001, False]


# ------------------------------------------------------------ without the network


def test_without_its_table_an_encoding_estimates_and_asks_nobody(small, listener):
    """
    No download that could hang: the count is there, and marked as an estimate.
    """
    counted = small.run("show(tokens.count_tokens('hello', 'small'))", TMPDIR=str(small.cache))

    assert counted == [1, True]
    assert not was_asked(listener)


def test_a_broken_table_is_not_shown_to_tiktoken(small, listener):
    """
    tiktoken would delete it and fetch it again; here it is left alone.
    """
    broken = small.cache / small.file
    broken.write_bytes(TABLE[:-10])

    counted = small.run(
        "show(tokens.count_tokens('hello', 'small'))", TIKTOKEN_CACHE_DIR=str(small.cache)
    )

    assert counted == [1, True]
    assert broken.exists()
    assert not was_asked(listener)


def test_the_pinned_tables_are_tiktokens_own():
    """
    File names and hashes agree with the addresses and hashes in the installed tiktoken.
    """
    from tiktoken_ext import openai_public

    source = inspect.getsource(openai_public)
    pattern = r'"(https://[^"]+/(\w+)\.tiktoken)",\s*expected_hash="(\w+)"'
    theirs = {
        name: (hashlib.sha1(address.encode()).hexdigest(), sha256)
        for address, name, sha256 in re.findall(pattern, source)
    }

    assert theirs == tokens._TABLES
    assert set(tokens._TABLE_OF) == set(tiktoken.list_encoding_names())


# ---------------------------------------------------------------------- requests


@pytest.mark.usefixtures("no_tables")
def test_a_request_costs_its_texts_and_the_published_overhead():
    """
    Three a message, one for a name, three for the reply, beside every text in it.
    """
    texts = ["system", "Answer with one word.", "user", "ann", "Is water wet?"]

    counted = count_tokens(QUESTION)

    assert counted.tokens == sum(count_tokens(text).tokens for text in texts) + 2 * 3 + 1 + 3
    assert counted.is_estimate


def test_a_count_is_exact_or_says_that_it_is_not():
    """
    The figure is cl100k_base's own, or an estimate that says so.
    """
    counted = count_tokens("The service was outstanding, and we will be back.", "cl100k_base")

    assert counted.is_estimate or counted.tokens == 11


@pytest.mark.usefixtures("no_tables")
@pytest.mark.parametrize(
    ("body", "texts"),
    [
        ({"prompt": "one two"}, ["one two"]),
        ({"prompt": ["one", "two"]}, ["one", "two"]),
        ({"input": ["one", "two"]}, ["one", "two"]),
        ({"prompt": [1, 2, 3]}, None),
        ({"input": [[1, 2], [3]]}, None),
    ],
)
def test_completions_and_embeddings_have_no_overhead(body, texts):
    """
    Texts are summed; what comes as tokens already is counted as such.
    """
    expected = 3 if texts is None else sum(count_tokens(text).tokens for text in texts)

    assert count_tokens(body).tokens == expected


def test_tools_and_pictures_make_a_count_an_estimate():
    """
    What no published rule counts is counted about, and said to be.
    """
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 9000}}
    parts = {"messages": [{"role": "user", "content": [{"type": "text", "text": "hi"}, picture]}]}
    tools = {**QUESTION, "tools": [{"type": "function", "function": {"name": "look_up"}}]}

    assert count_tokens(parts).is_estimate
    assert tokens.TOKENS_PER_IMAGE < count_tokens(parts).tokens < tokens.TOKENS_PER_IMAGE + 20
    assert count_tokens(tools).is_estimate
    assert count_tokens(tools).tokens > count_tokens(QUESTION).tokens


def test_a_model_that_tiktoken_does_not_know_is_estimated():
    """
    Another maker's tokenizer is not OpenAI's; the same text with a known model may be exact.
    """
    assert count_tokens("hello", model="anthropic/claude-sonnet-4-5").is_estimate
    known = count_tokens("hello", model="openai/gpt-4o")

    assert known == count_tokens("hello", "o200k_base")


def test_an_unknown_encoding_is_an_error_that_lists_them():
    """
    A slip in the name is not counted with something else.
    """
    with pytest.raises(ConfigurationError, match="cl100k_base"):
        count_tokens("hello", "cl100k")


# --------------------------------------------------------------------- estimates


@settings(deadline=None)  # the first text may load a table
@given(st.text(max_size=300))
def test_the_upper_bound_holds_for_any_text(text):
    """
    No text has more tokens than bytes.
    """
    assert count_tokens(text).is_estimate or count_tokens(text).tokens <= upper_bound(text)
    assert upper_bound(text) == len(text.encode("utf-8", "surrogatepass"))


def test_lone_surrogates_are_counted():
    """
    Half a character in a cell is no reason to fail.
    """
    broken = "half \ud83d a smile"

    assert count_tokens(broken).tokens > 0
    assert fast_estimate({"messages": [{"role": "user", "content": broken}]}) > 0
    assert upper_bound(broken) > len(broken)


@pytest.mark.usefixtures("no_tables")
@pytest.mark.parametrize(
    ("text", "exact", "least", "most"),
    [  # exact: by cl100k_base
        ("The food was delicious, our bartender was attentive and personable.", 13, 1.0, 1.3),
        ('{"id": 17, "name": "item 17", "price": 21.25, "ok": true}', 26, 0.8, 1.2),
        ("2024-01-17,17,38,12.427", 14, 0.9, 1.1),
        ("人人生而自由，在尊严和权利上一律平等。", 25, 1.0, 2.0),
        ("Все люди рождаются свободными и равными в своем достоинстве.", 27, 1.0, 2.7),
        ("", 0, 0, 0),
    ],
)
def test_the_estimate_is_near_for_english_and_high_for_other_scripts(text, exact, least, most):
    """
    Without a table: prose, JSON and figures within a third, other scripts never far too low.
    """
    estimated = count_tokens(text)

    assert estimated == TokenCount(estimated.tokens, True)
    assert least * exact <= estimated.tokens <= most * exact


@pytest.mark.parametrize(
    "body",
    [
        QUESTION,
        {"messages": [{"role": "user", "content": None, "tool_calls": [{"id": "1"}]}]},
        {"messages": [{"role": "user", "content": [{"type": "text", "text": "hi"}]}]},
        {"messages": ["not a message", {"content": 5}, {}]},
        {"messages": "not a list"},
        {"prompt": "hello"},
        {"input": ["hello", "there"]},
        {**QUESTION, "tools": [{"type": "function"}]},
        {},
    ],
)
def test_the_fast_estimate_takes_any_body(body):
    """
    On the hot path nothing raises, whatever a caller put into a request.
    """
    assert fast_estimate(body) >= 0


def test_the_fast_estimate_and_the_count_agree_about_prose():
    """
    Two ways to the same figure differ by less than a third of it.
    """
    text = (
        "Answer with one word: positive or negative. The battery died after two days, "
        "and I would not buy this again: a waste of money, whatever they say about it. "
    )
    body = {"messages": [{"role": "user", "content": text * 5}]}
    counted = count_tokens(body).tokens

    assert abs(fast_estimate(body) - counted) < counted / 3


@pytest.mark.parametrize(
    "body",
    [
        {"system": "Be brief. " * 50, "messages": [{"role": "user", "content": "Hi"}]},
        {"contents": [{"role": "user", "parts": [{"text": "Be brief. " * 50}]}]},
        {"contents": [], "systemInstruction": {"parts": [{"text": "Be brief. " * 50}]}},
    ],
)
def test_texts_of_anthropic_and_gemini_are_counted_too(body):
    """
    The system's text and the conversation stand under other names there.
    """
    assert 100 < fast_estimate(body) < 200
    assert 100 < count_tokens(body).tokens < 200


def test_the_bytes_of_an_image_are_no_text():
    """
    A picture of a megabyte is not a quarter of a million tokens.
    """
    image = {"inlineData": {"mimeType": "image/png", "data": "a" * 1_000_000}}

    assert fast_estimate({"contents": [{"role": "user", "parts": [image]}]}) < 10_000


@given(st.text(max_size=60), st.integers(0, 300))
def test_a_text_that_surely_fits_need_not_be_counted(text, room):
    """
    With a token for every byte, the most there can be, it would still fit.
    """
    if not may_exceed(text, room):
        assert len(text.encode()) <= room


@given(st.lists(st.integers(0, 3), min_size=1, max_size=200), st.data())
def test_the_longest_part_that_fits_is_exact_to_the_character(weights, data):
    """
    However unevenly tokens lie in a text; one character more would not fit.
    """
    total = sum(weights)
    most = data.draw(st.integers(0, max(0, total - 1)))

    length = longest_fitting(len(weights), total, most, lambda some: sum(weights[:some]))

    assert sum(weights[:length]) <= most or total <= most
    assert total <= most or sum(weights[: length + 1]) > most


def test_the_search_for_what_fits_ends_early_where_nearly_all_is_used():
    """
    A part that is enough, or a number of counts, ends it.
    """
    counts = []

    def count(some):
        counts.append(some)
        return some * some // 1_000

    assert count(longest_fitting(10_000, 100_000, 50_000, count, enough=0.9)) >= 45_000
    assert len(counts) < 6
    counts.clear()
    longest_fitting(10_000, 100_000, 50_000, count, tries=2)
    assert len(counts) == 2
