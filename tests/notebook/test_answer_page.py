"""Promises about an answer in a real browser: whatever a model writes, no node of it lives."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest
from inert import ELEMENTS
from markup import PAYLOADS

from llmnb.notebook.answer import Answer
from llmnb.notebook.options import Report
from llmnb.options import FORMATS
from llmnb.records import Outcome, Reply

pytestmark = pytest.mark.browser

TABLES = ("align", "cellpadding", "scope")
PLACES = ("{}", "# {}", "> - {}", "| {} |\n|---|\n| {} |", "[x]({})", "![{}]({})", "<{}>", "`{}`")

CENSUS = """() => {
  const nodes = [...document.querySelectorAll("main *")];
  const attributes = nodes.flatMap((node) => [...node.attributes].map((one) => one.name));
  return { tags: [...new Set(nodes.map((node) => node.localName))],
           attributes: [...new Set(attributes)], ran: window.ran ?? 0 };
}"""


@pytest.fixture
def page(browser) -> Any:
    """Open an empty page that notes what it is made to do."""
    return browser.new_page()


def census(page: Any, *pieces: str) -> dict[str, Any]:
    """Return what a page holds that shows pieces of HTML, and fail where it asked for anything."""
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    page.on("dialog", lambda dialog: requests.append("a dialog"))
    # Each piece stands alone, so that one cannot close what another has opened.
    main = "".join(f"<main>{piece}</main>" for piece in pieces)
    page.set_content(f"<!doctype html><script>window.alert = () => {{ ran = 1 }}</script>{main}")
    page.evaluate("() => new Promise((done) => setTimeout(done, 50))")
    assert requests == []
    found: dict[str, Any] = page.evaluate(CENSUS)
    assert page.locator("main").count() == len(pieces)
    assert found["ran"] == 0
    return found


def answered(text: str, **options: Any) -> Answer:
    """Return an answer of a text, by a model whose name is that text, too."""
    outcome = Outcome(row=0, reply=Reply(text=text), provider="openai", model=text, seconds=1.0)
    return Answer(outcome, **options)


@pytest.mark.parametrize("form", FORMATS)
def test_no_payload_becomes_a_node(page, form):
    """
    Every payload in every place of a Markdown text, in every form, is text; nothing is loaded.
    """
    texts = [place.replace("{}", payload) for payload in PAYLOADS for place in PLACES]
    values = {"json": lambda text: {text: text}, "table": lambda text: pd.DataFrame({text: [text]})}
    read = values.get(form, lambda text: text)

    found = census(page, *(answered(text, form=form, value=read(text))._html() for text in texts))

    assert set(found["tags"]) <= ELEMENTS | {"div"}
    assert set(found["attributes"]) <= {"class", "style", "start", *TABLES}


def test_no_payload_becomes_a_node_in_a_report(page):
    """
    Names of projects and models are text.
    """
    pieces = [
        Report(head=[payload], rows=[[payload]], notes=[payload])._repr_mimebundle_()
        for payload in PAYLOADS
    ]

    found = census(page, *(piece["text/html"] for piece in pieces))

    assert set(found["tags"]) <= {"div", "strong", "span"} | ELEMENTS
    assert set(found["attributes"]) <= {"class", "style", *TABLES}
