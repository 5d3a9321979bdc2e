"""What a notebook could save of a widget: plain JSON, without a key, a prompt or an answer."""

from __future__ import annotations

import base64
import json
import pickle
import re

import pandas as pd
import pytest

import llmnb
from llmnb.notebook.cache_manager import CacheManager
from llmnb.notebook.dashboard import RunDashboard
from llmnb.notebook.labeller import LabellerWidget
from llmnb.notebook.plan_card import PlanCard
from llmnb.testing import SimulatedProvider

KEY = "sk-" + "neverinanotebook" * 2
PROMPT = "a private question"
ANSWER = "a private answer"


@pytest.fixture
def run(monkeypatch):
    """A run over three rows, the last of which failed."""

    def fault(request):
        return 400 if "2" in request.prompt else None

    with SimulatedProvider(reply=ANSWER, faults=fault, latency=0, api_key=KEY) as sim:
        monkeypatch.setenv("OPENAI_BASE_URL", sim.base_url)
        monkeypatch.setenv("OPENAI_API_KEY", KEY)
        llmnb.register_accessor("llm")
        frame = pd.DataFrame({"text": [f"{PROMPT} {number}" for number in range(3)]})
        started = frame.llm.start("text", model="openai/m", on_error="column")
        started.result(60)
        yield started, frame


def surfaces(run, frame):
    """Return one of each widget, all about the same run."""
    return [
        RunDashboard(run, ticks=False),
        PlanCard(frame.llm.plan("text", model="openai/m")),
        CacheManager(),
        frame.llm.workbench(f"{PROMPT} {{text}}", model="openai/m").widget(),
        LabellerWidget(frame.llm.label("mood", ["kind", "unkind"])),
    ]


def test_state_is_plain_json_without_anything_private(run):
    """
    Of every widget: text and numbers only; no key, no prompt, no answer, nothing pickled.
    """
    for widget in surfaces(*run):
        state = widget.get_state()
        kept = json.dumps({name: state[name] for name in state if not name.startswith("_")})
        whole = json.dumps(state, default=lambda one: pytest.fail(f"{one!r} is no JSON"))

        assert '"snapshot": {"' in kept
        for private in (KEY, PROMPT, ANSWER):
            assert private not in whole
        assert not pickled(whole), type(widget).__name__
        widget.close()


def pickled(text):
    """Return what in a text begins like a pickle, as it is or in base64."""
    starts = [pickle.dumps("")[:2]]
    found = [start for start in starts if start.decode("latin-1") in text]
    for word in re.findall(r"[A-Za-z0-9+/=]{16,}", text):
        head = base64.b64decode(word[: len(word) // 4 * 4] or "AAAA", validate=False)
        found += [word for start in starts if head.startswith(start)]
    return found


def test_the_search_for_pickles_finds_them():
    """
    A search that finds nothing has been seen to find something.
    """
    assert pickled(base64.b64encode(pickle.dumps({"a": [1, 2, 3]})).decode())
    assert pickled(pickle.dumps("x").decode("latin-1"))
    assert not pickled(json.dumps({"a": "b" * 40}))
