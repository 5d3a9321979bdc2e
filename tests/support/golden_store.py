"""A project's store as release 0.1.0 has written it, and the questions it answers.

`answers.json` was made once, by running this file with the code of release 0.1.0 on the path::

    PYTHONPATH=<the released tree> python tests/support/golden_store.py answers.json

and `tiers.json`, which asks for service tiers, in the same way under its own name.

It is never made anew: newer code must read it whole and find every answer in it.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from llmnb.embeddings.order import EMBEDS, Order
from llmnb.embeddings.run import EmbeddingRun
from llmnb.records import Outcome
from llmnb.running.asking import Asking
from llmnb.running.preparer import Sampled
from llmnb.running.start import start
from llmnb.schemas import output_of
from llmnb.store.entry import Entry
from llmnb.store.project import ProjectStore, databases, open_project
from llmnb.testing import SimulatedProvider, redirect

GOLDEN = Path(__file__).parent.parent / "store" / "golden"
KEPT, KEPT_TIERS = GOLDEN / "answers.json", GOLDEN / "tiers.json"

ORIGINS = (
    "https://api.openai.com",
    "https://api.groq.com",
    "https://api.anthropic.com",
    "https://generativelanguage.googleapis.com",
    "https://team.openai.azure.com",
)

FORM = {
    "type": "object",
    "properties": {"stars": {"type": "integer"}, "words": {"type": "string"}},
    "required": ["stars", "words"],
    "additionalProperties": False,
}
FITS = '{"stars": 4, "words": "fine"}'

CHAT = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Größe?"}]
TOOLS = [{"type": "function", "function": {"name": "add", "parameters": {"type": "object"}}}]

ASKED: dict[str, tuple[dict[str, Any], list[Any]]] = {
    "chat": (
        {"model": "openai/gpt-4o-mini", "params": {"temperature": 0, "max_tokens": 20}},
        [{"messages": CHAT}, {"prompt": "one"}, {"prompt": "tools", "tools": TOOLS}],
    ),
    "chat, cold": ({"model": "openai/gpt-4o-mini", "params": {"temperature": 0.0}}, ["cold"]),
    "chat, colder": ({"model": "openai/gpt-4o-mini", "params": {"temperature": -0.0}}, ["colder"]),
    "chat, warm": (
        {"model": "groq/llama-3.1-8b-instant", "params": {"temperature": 0.7, "top_p": 1.0}},
        ["warm", {"prompt": "of a project", "user": "me"}],
    ),
    "reasoning": ({"model": "openai/gpt-5-mini", "params": {"max_tokens": 50}}, ["think"]),
    "several": ({"model": "openai/gpt-4o-mini", "takes_several": True}, [{"prompt": "n", "n": 3}]),
    "samples": (
        {"model": "openai/gpt-4o-mini", "params": {"temperature": 1.0}},
        [Sampled({"prompt": "a poem"}, k) for k in range(3)],
    ),
    "told apart": (
        {"model": "openai/gpt-4o-mini", "cache_vars": {"edition": 2}},
        ["with a variable"],
    ),
    "azure": (
        {"model": "azure/deployed", "url": "https://team.openai.azure.com", "api_key": "k"},
        ["hosted"],
    ),
    "text": (
        {"model": "openai/gpt-3.5-turbo-instruct", "gen_type": "text", "params": {"top_p": 1.0}},
        ["Once upon"],
    ),
    "responses": (
        {"model": "openai/gpt-4o-mini", "gen_type": "responses", "params": {"temperature": 0.0}},
        ["respond", {"messages": CHAT}],
    ),
    "anthropic": (
        {"model": "anthropic/claude-haiku-4-5", "params": {"temperature": 0.0}},
        [{"messages": CHAT}, "without a length", {"prompt": "short", "max_tokens": 9}],
    ),
    "gemini": (
        {"model": "gemini/gemini-2.5-flash", "params": {"temperature": 0.0, "top_p": 1.0}},
        [{"messages": CHAT}, "gemini"],
    ),
    "a form, natively": (
        {"model": "openai/gpt-4o-mini", "output": output_of(FORM), "params": {"temperature": 0.0}},
        ["rate it"],
    ),
    "a form, in words": (
        {"model": "deepseek/deepseek-chat", "output": output_of(FORM)},
        ["rate it too"],
    ),
    "a form, by a tool": (
        {"model": "anthropic/claude-haiku-4-5", "output": output_of(FORM)},
        ["rate it as well"],
    ),
    "a form, by Gemini": (
        {"model": "gemini/gemini-2.5-flash", "output": output_of(FORM)},
        ["rate it last"],
    ),
}
"""Who is asked and what, by a name; a text is a prompt."""

TIERS: dict[str, tuple[dict[str, Any], list[Any]]] = {
    "flex": (
        {"model": "openai/gpt-5-mini", "params": {"service_tier": "flex"}},
        ["one", {"prompt": "of the request", "user": "me"}],
    ),
    "priority, cold": (
        {"model": "openai/gpt-4o-mini", "params": {"temperature": 0.0}},
        [{"prompt": "fast", "service_tier": "priority"}],
    ),
    "response": (
        {"model": "openai/gpt-5-mini", "gen_type": "responses"},
        [{"prompt": "respond", "service_tier": "flex"}],
    ),
    "anthropic": (
        {"model": "anthropic/claude-haiku-4-5"},
        [{"prompt": "one", "service_tier": "standard_only"}],
    ),
    "gemini": (
        {"model": "gemini/gemini-2.5-flash"},
        [{"prompt": "one", "serviceTier": "flex"}],
    ),
}
"""The same of requests that name a service tier."""

EMBEDDED = ["a red fox", "a blue whale", "größer"]


def ask_everything(
    cache_dir: Path, asked: dict[str, tuple[dict[str, Any], list[Any]]] = ASKED
) -> dict[str, list[Outcome]]:
    """Ask all questions in the project *golden*; returns the outcomes by name."""
    by_name: dict[str, list[Outcome]] = {}
    for name, (asking, questions) in asked.items():
        requests = [
            {"prompt": question} if isinstance(question, str) else question
            for question in questions
        ]
        run = start(
            requests,
            Asking(**{"api_key": "k", **asking}),
            project_name="golden",
            cache_dir=cache_dir,
        )
        by_name[name] = run.result(60)
    return by_name


def embed_everything(cache_dir: Path) -> EmbeddingRun:
    """Embed the texts in the project *golden* and wait for the end."""
    asking = Asking(
        model="openai/text-embedding-3-small",
        gen_type=EMBEDS,
        params={"dimensions": 8},
        api_key="k",
    )
    run = EmbeddingRun(
        EMBEDDED, Order(asking=asking, project_name="golden", cache_dir=str(cache_dir))
    )
    run.result(60)
    return run


def load(path: Path, cache_dir: Path) -> int:
    """Write the kept rows into the project *golden* as they were; returns how many there are."""
    rows: dict[str, str] = json.loads(path.read_text(encoding="utf-8"))
    store = open_project("golden", cache_dir)
    # The folder and its mark are made by saving; the rows themselves are written as they were.
    first = Entry(key="-", request=b"", raw=b"", dialect="", provider="", model="", quality="bad")
    store.commit([first], is_bought=False)
    database = databases.open(store.paths)
    database.delete("-")
    database.put_many((key, text.encode("utf-8")) for key, text in rows.items())
    return len(rows)


def rows_of(store: ProjectStore) -> dict[str, str]:
    """Return everything that a store keeps, as text."""
    database = databases.existing(store.paths)
    assert database is not None
    return {key: data.decode("utf-8") for key, data in database.items()}


def _main(path: Path) -> None:
    def answer(prompt: str) -> str:
        return FITS if "rate it" in prompt else f"An answer — {prompt[:30]}"

    with (
        tempfile.TemporaryDirectory() as folder,
        SimulatedProvider(reply=answer, latency=0, limit_headers=False) as sim,
        redirect({**dict.fromkeys(ORIGINS, sim), "https://api.deepseek.com": sim}),
    ):
        by_name = ask_everything(Path(folder), TIERS if path.name == KEPT_TIERS.name else ASKED)
        if path.name != KEPT_TIERS.name:
            embed_everything(Path(folder))
        store = open_project("golden", Path(folder))
        assert store.flush()
        for name, outcomes in by_name.items():
            for outcome in outcomes:
                assert outcome.error is None, (name, outcome.error)
        path.write_text(
            json.dumps(rows_of(store), indent=1, sort_keys=True, ensure_ascii=False) + "\n",
            encoding="utf-8",
        )


if __name__ == "__main__":
    _main(Path(sys.argv[1]))
