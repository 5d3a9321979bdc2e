"""Promises about the comparison with peers, in small: those that need no further package."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from benchmarks.peers import page, trials
from benchmarks.peers.__main__ import main
from benchmarks.peers.catalog import PEERS, chosen
from benchmarks.peers.page import Line
from benchmarks.peers.trials import FaultsSurvived, LimitUse, PeerFailed, Sizes
from benchmarks.peers.venvs import Venvs, environment

HERE = Venvs(None)
SMALL = Sizes(
    speed_rows=60, rounds=1, in_flight=20, fault_rows=100, repeated_rows=60, distinct=6,
    limit_seconds=1.0,
)  # fmt: skip


def peer(name):
    return chosen([name])[0]


@pytest.mark.parametrize("name", ["aiohttp", "llmnb", "openai", "cookbook"])
def test_every_row_gets_the_answer_to_its_own_prompt(name):
    """
    What is timed is whole: no peer is quick because it left rows out.
    """
    done = trials.speed(peer(name), HERE, SMALL)

    assert done.right == SMALL.speed_rows
    assert done.told["cpu"] > 0


def test_llmnb_loses_no_row_to_single_failures():
    """
    One more request for each that failed, and none before the time that a refusal named.
    """
    result = trials.failures(peer("llmnb"), HERE, SMALL)

    assert result == FaultsSurvived(lost=0, extra=4, needed=4, early=0)


def test_a_client_that_asks_nothing_twice_is_seen_to_lose_rows():
    """
    The trial can tell: bare aiohttp loses each row that failed, and sends nothing again.
    """
    result = trials.failures(peer("aiohttp"), HERE, SMALL)

    assert result == FaultsSurvived(lost=4, extra=0, needed=4, early=0)


@pytest.mark.parametrize(("name", "requests"), [("llmnb", 6), ("aiohttp", 60)])
def test_repeated_prompts_are_counted_by_the_provider(name, requests):
    """
    60 rows of six prompts are six requests, or 60 where nobody looks.
    """
    assert trials.repeats(peer(name), HERE, SMALL) == requests


@pytest.mark.alone
def test_a_limit_that_is_named_is_kept():
    """
    The provider refuses nothing and no row is lost, also where its bucket holds one second.
    """
    use = trials.limit(peer("llmnb"), HERE, SMALL, burst=1.0)

    assert (use.refused, use.lost) == (0, 0)
    assert use.used <= 1.0


def test_a_client_that_knows_no_limit_is_seen_to_break_it():
    """
    The trial can tell: bare aiohttp is refused, and each refusal is a lost row.
    """
    use = trials.limit(peer("aiohttp"), HERE, SMALL, burst=1.0)

    assert use.refused > 0
    assert use.lost > 0


def test_a_peer_that_dies_shows_its_last_lines():
    """
    A missing package is a sentence, not a traceback.
    """
    absent = replace(peer("aiohttp"), name="absent", script="with_nobody")

    with pytest.raises(PeerFailed, match=r"absent ended with 2 and said: .*with_nobody\.py"):
        trials.speed(absent, HERE, SMALL)


def test_a_peer_sees_no_key_and_no_proxy(monkeypatch):
    """
    Whatever the person's environment holds, requests go to this machine with no real key.
    """
    monkeypatch.setenv("OPENAI_API_KEY", "somebody's")
    monkeypatch.setenv("https_proxy", "http://proxy.example:1")
    monkeypatch.setenv("LLMNB_PROJECT", "somebody's")

    result = environment("")

    assert {"OPENAI_API_KEY", "https_proxy", "LLMNB_PROJECT"}.isdisjoint(result)


@pytest.mark.parametrize("one", PEERS, ids=lambda one: one.name)
def test_every_peer_is_there_whole_and_pinned(one):
    """
    A script, a sentence on what holds it back, and packages with one version each.
    """
    lines = one.requirements_path.read_text(encoding="utf-8").splitlines()
    packages = [line for line in lines if not line.startswith("#")]

    assert one.path.is_file()
    assert one.remark
    assert packages
    assert [line for line in packages if not re.match(r"[\w.\[\]-]+==[\w.]+( ;|$)", line)] == []


def test_an_unknown_peer_is_an_error_that_lists_the_known():
    """
    A typo does not measure everything.
    """
    with pytest.raises(SystemExit, match=r"No peer is called opanai\. Known: aiohttp, llmnb"):
        main(["--only", "opanai"])


def test_the_table_says_what_was_measured_and_what_was_not():
    """
    Ratios, use of the limit, rows lost in bold, and the reason for an empty cell below.
    """
    line = Line(
        peer("openai"),
        cpu=[4.0, 9.0, 5.0],
        limits={10.0: LimitUse(0.413, 1234, 0), 1.0: LimitUse(0.2, 7, 3)},
        faults=FaultsSurvived(lost=0, extra=41, needed=40, early=2),
        failures=["repeats: it ended"],
    )

    text = page.table([line], Sizes())

    assert "| OpenAI SDK | 5.0 × | – | 41%, 1,234 refused | 20%, 7 refused, **3 rows lost** |" in (
        text
    )
    assert "none lost, 41 sent again of 40 needed, 2 came back too early" in text
    assert "- OpenAI SDK: repeats: it ended." in text
    cells = {row.count(" | ") for row in text.splitlines() if row.startswith("| ")}
    assert len(cells) == 1


def test_only_what_stands_between_the_markers_is_replaced(tmp_path):
    """
    A page's own text stays; a page without markers is left alone.
    """
    kept = tmp_path / "page.md"
    kept.write_text(f"before\n{page.START}\nold\n{page.END}\nafter\n", encoding="utf-8")
    bare = tmp_path / "bare.md"
    bare.write_text("text\n", encoding="utf-8")

    page.write(kept, "new\n")
    with pytest.raises(ValueError, match="nothing was written"):
        page.write(bare, "new\n")

    assert kept.read_text(encoding="utf-8") == (f"before\n{page.START}\nnew\n{page.END}\nafter\n")
    assert bare.read_text(encoding="utf-8") == "text\n"


@pytest.mark.parametrize(("load", "is_said"), [(0.0, False), (1e6, True)])
def test_a_busy_machine_is_named(load, is_said):
    """
    Figures of cost taken while others worked say so on the page.
    """
    assert ("was busy" in page.stamp(Sizes(), is_quick=False, load=load)) is is_said
