"""Promises about an answer on show while it comes."""

from __future__ import annotations

from itertools import count, pairwise

import pytest
from inert import check_inert
from markup import PAYLOADS, about
from shells import new_shell

from llmnb.engine.status import Clock
from llmnb.notebook import answer
from llmnb.notebook.answer import PageText, TerminalText
from llmnb.records import Delta


@pytest.fixture
def clock(monkeypatch):
    """Hold the clock; yields a function that sets it."""
    now = [0.0]
    monkeypatch.setattr(Clock, "monotonic", staticmethod(lambda: now[0]))

    def to(seconds: float) -> None:
        now[0] = seconds

    return to


@pytest.fixture
def page():
    """Start a shell that looks as if a page were behind it."""
    with new_shell(has_kernel=True) as one:
        one.names["PageText"] = PageText
        yield one


def test_a_page_is_told_ten_times_a_second_at_most(page, clock):
    """
    A thousand pieces in a second are ten updates, and the last holds them all.
    """
    text = PageText()

    def come() -> None:
        for number in range(1000):
            clock(number / 1000)
            text.take(0, Delta(text=f"{number} "))
            text.draw()
        text.end({"text/plain": text.text})

    page.names["come"] = come
    shown = page.run("come()").shown

    assert len(shown) <= 12
    assert shown[-1]["text/plain"].split() == [str(number) for number in range(1000)]


def test_only_markdown_is_rendered_as_it_comes(page, clock):
    """
    What was asked for in another form is shown as it stands.
    """
    for form, shown in (("markdown", "<strong>now</strong>"), ("code", "**now**")):
        text = PageText(form)
        page.names["text"] = text
        text.take(0, Delta(text="Half of it, **now** and `th"))
        (output,) = page.run("text.draw()").shown
        assert shown in output["text/html"]


def test_nothing_is_shown_before_the_first_piece(page, clock):
    """
    An answer that was kept is shown once, whole.
    """
    text = PageText()
    text.draw()

    assert text.end({}) is False


def test_a_long_answer_sends_its_end_only(page, clock):
    """
    What is on show while more comes stays small.
    """
    text = PageText()
    page.names["text"] = text
    text.take(0, Delta(text="word " * 100_000))
    (shown,) = page.run("text.draw()").shown

    assert len(shown["text/html"]) < 2 * answer.LONGEST_LIVE


def test_pieces_on_show_are_text(page, clock):
    """
    Half an element is as inert as a whole one, and the end takes the place of the last.
    """
    moments = count()

    def come(payload: str) -> None:
        text = PageText()
        for character in payload:
            clock(float(next(moments)))
            text.take(0, Delta(text=character))
            text.draw()
        text.end({"text/plain": "x"})

    page.names["come"] = come
    for payload in PAYLOADS:
        with about(payload):
            *shown, last = page.run(f"come({payload!r})").shown

            assert len(shown) == len(payload)
            for piece in shown:
                check_inert(piece["text/html"], wrapped=True)
                assert not set(piece["text/plain"]) & set("\x1b\u202e\x00\r\x07")
            assert last == {"text/plain": "x"}


def test_a_terminal_prints_what_is_new(capsys, clock):
    """
    Each piece once, in order, with a line's end behind the last; nothing acts on the terminal.
    """
    text = TerminalText()
    for number, piece in enumerate(("one ", "two\x1b[2J", " three")):
        clock(float(number))
        text.take(0, Delta(text=piece))
        text.draw()
    assert text.end({})

    assert capsys.readouterr().out == "one two\\x1b[2J three\n"


def test_an_answer_is_streamed_into_its_place(page, slow_desk):
    """
    In a notebook its beginning is shown, the finished Markdown takes its place, once.
    """
    slow_desk.answer = answer = "**Bold** " + "words " * 20 + "end"
    page.ip.extension_manager.load_extension("llmnb")
    ran = page.run("%llm Hi")

    assert ran.error is None
    assert len(ran.shown) > 2
    for earlier, later in pairwise(one["text/plain"] for one in ran.shown[:-1]):
        assert later.startswith(earlier)
    assert "<strong>Bold</strong>" in ran.shown[-1]["text/html"]
    assert ran.value_shown == {}
    assert str(page.run("_").value) == answer
    assert "<strong>" in page.run("_1").value_shown["text/html"]


def test_a_kept_answer_is_shown_at_once(page, desk):
    """
    The value of the cell is what is shown; no display of its own.
    """
    page.ip.extension_manager.load_extension("llmnb")
    page.run("%llm Hi")
    ran = page.run("%llm Hi")

    assert ran.shown == []
    assert "An answer." in ran.value_shown["text/plain"]


def test_without_streaming_nothing_is_asked_for_as_a_stream(page, desk):
    """
    --no-stream, or the option, asks for the answer whole.
    """
    page.ip.extension_manager.load_extension("llmnb")
    page.run("%llm --no-stream One")
    page.run("%config LLMMagics.stream = False")
    page.run("%llm Two")
    page.run("%%llm --stream\nThree")

    assert [bool(body.get("stream")) for body in desk.bodies] == [False, False, True]
